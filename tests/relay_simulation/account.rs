//! What the gate keeps for an account across its binds: parts of long messages, and what it owes.
//!
//! Owns a naive account of both and what must hold in the end: no part goes on unless its whole
//! message may, and whatever was acknowledged has exactly one end. Refuses to be a relay.

use std::collections::{BTreeMap, HashMap, VecDeque};

use portcullis::relay::{Leg, Outcome, Ticket};
use portcullis_protocol::Frame;

use super::random::Random;
use super::shadow::{Verdict, request};

/// How long parts wait for the others, in microseconds.
const TIMEOUT: u64 = 5_000_000;

/// Something for one of the sessions: the decision on a part of its.
pub(crate) struct Mail {
    pub(crate) session: usize,
    pub(crate) ticket: Ticket,
    pub(crate) frame: Frame,
    pub(crate) verdict: Verdict,
}

/// A request of the gate's own, and the part it is about.
#[derive(Clone)]
pub(crate) struct Owed {
    pub(crate) asking: Leg,
    pub(crate) frame: Frame,
    part: Vec<u8>,
}

enum Holder {
    Waiting { session: usize, ticket: Ticket, frame: Frame },
    Acknowledged,
}

/// A message whose parts come over whichever bind.
struct Group {
    missing: usize,
    parts: Vec<(Vec<u8>, Holder)>,
    deadline: u64,
    verdict: Option<Verdict>,
}

pub(crate) struct Account {
    random: Random,
    acknowledges: bool,
    groups: Vec<Group>,
    group_of: HashMap<Vec<u8>, usize>,
    /// Ends of what was acknowledged: there must be one in the end.
    ends: BTreeMap<Vec<u8>, u32>,
    owed: VecDeque<Owed>,
    pub(crate) mail: Vec<Mail>,
    pub(crate) carrier_is_up: bool,
}

impl Account {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            random: Random(random.next()),
            acknowledges: random.chance(50),
            groups: Vec::new(),
            group_of: HashMap::new(),
            ends: BTreeMap::new(),
            owed: VecDeque::new(),
            mail: Vec::new(),
            carrier_is_up: true,
        }
    }

    /// A part has come; whether it is acknowledged at once.
    pub(crate) fn take_part(&mut self, session: usize, ticket: Ticket, frame: &Frame, now: u64) -> bool {
        let body = frame.body().to_vec();
        let at = self.open_group(now);
        let holder = match self.acknowledges {
            true => Holder::Acknowledged,
            false => Holder::Waiting { session, ticket, frame: frame.clone() },
        };
        if self.acknowledges {
            self.ends.insert(body.clone(), 0);
        }
        self.group_of.insert(body.clone(), at);
        let group = &mut self.groups[at];
        group.parts.push((body, holder));
        group.missing -= 1;
        if group.missing == 0 {
            let verdict = if self.random.chance(70) { Verdict::Forward } else { Verdict::Refuse };
            self.decide(at, verdict);
        }
        self.acknowledges
    }

    /// One that lacks parts, or a new one.
    fn open_group(&mut self, now: u64) -> usize {
        let open: Vec<usize> =
            self.groups.iter().enumerate().filter(|(_, group)| group.verdict.is_none()).map(|(at, _)| at).collect();
        if open.len() >= 3 || (!open.is_empty() && self.random.chance(60)) {
            return open[usize::try_from(self.random.below(open.len() as u64)).unwrap_or(0)];
        }
        let missing = 2 + usize::try_from(self.random.below(3)).unwrap_or(0);
        self.groups.push(Group { missing, parts: Vec::new(), deadline: now + TIMEOUT, verdict: None });
        self.groups.len() - 1
    }

    fn decide(&mut self, at: usize, verdict: Verdict) {
        let group = &mut self.groups[at];
        group.verdict = Some(verdict);
        for (body, holder) in std::mem::take(&mut group.parts) {
            match holder {
                Holder::Waiting { session, ticket, frame } => {
                    self.mail.push(Mail { session, ticket, frame, verdict });
                }
                Holder::Acknowledged => self.owe(body, verdict),
            }
        }
    }

    /// The part itself to the carrier, or word of its refusal to the provider.
    fn owe(&mut self, part: Vec<u8>, verdict: Verdict) {
        let (asking, command, mark) = match verdict {
            Verdict::Forward => (Leg::Provider, 0x04, b'O'),
            Verdict::Acknowledge | Verdict::Refuse => (Leg::Carrier, 0x05, b'R'),
        };
        let frame = request(command, 0, &[&[mark], &part[..]].concat());
        self.owed.push_back(Owed { asking, frame, part });
    }

    /// The session that asked has ended, or ends.
    pub(crate) fn withdraw(&mut self, session: usize, ticket: Ticket) {
        for group in &mut self.groups {
            let is_it = |holder: &Holder| matches!(holder, Holder::Waiting { session: s, ticket: t, .. } if (*s, *t) == (session, ticket));
            let before = group.parts.len();
            group.parts.retain(|(_, holder)| !is_it(holder));
            group.missing += before - group.parts.len();
        }
    }

    /// When the next message is given up.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.groups.iter().filter(|group| group.verdict.is_none()).map(|group| group.deadline).min()
    }

    pub(crate) fn expire(&mut self, now: u64) {
        for at in 0..self.groups.len() {
            if self.groups[at].verdict.is_none() && self.groups[at].deadline <= now {
                self.decide(at, Verdict::Refuse);
            }
        }
    }

    pub(crate) fn next_owed(&mut self, asking: Leg) -> Option<Owed> {
        let at = self.owed.iter().position(|owed| owed.asking == asking)?;
        self.owed.remove(at)
    }

    /// It could not be sent now.
    pub(crate) fn take_back(&mut self, owed: Owed) {
        self.owed.push_front(owed);
    }

    /// What was sent has its end. A report that the provider does not have is owed still.
    pub(crate) fn conclude(&mut self, owed: Owed, outcome: Outcome) {
        assert_ne!(outcome, Outcome::NotForwarded, "sent, and not forwarded");
        let is_told = owed.asking == Leg::Provider || matches!(outcome, Outcome::Answered(_) | Outcome::Nacked(_));
        if is_told {
            *self.ends.get_mut(&owed.part).expect("owed for what was acknowledged") += 1;
        } else {
            let frame = request(0x05, 0, &[owed.frame.body(), b"again"].concat());
            self.owed.push_back(Owed { frame, ..owed });
        }
    }

    pub(crate) fn has_acknowledged(&self, body: &[u8]) -> bool {
        self.ends.contains_key(body)
    }

    /// Whether a part may have gone to the carrier.
    pub(crate) fn may_pass(&self, body: &[u8]) -> bool {
        self.group_of.get(body).is_none_or(|at| self.groups[*at].verdict == Some(Verdict::Forward))
    }

    /// Everything is over: nothing was lost, nothing had two ends.
    pub(crate) fn settled(&self) {
        for (part, ends) in &self.ends {
            let waiting = self.owed.iter().filter(|owed| owed.part == *part).count();
            let gathering = self.groups.iter().flat_map(|group| &group.parts).filter(|(body, _)| body == part).count();
            assert_eq!(
                *ends as usize + waiting + gathering,
                1,
                "acknowledged, and its ends: {ends} had, {waiting} owed"
            );
        }
    }
}
