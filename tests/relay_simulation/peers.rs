//! A provider and a carrier as they are: mostly right, each with habits of its own.

use std::collections::{HashMap, HashSet};

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use super::random::Random;
use super::shadow::{ENQUIRE_LINK, UNBIND, request, response};

/// What a peer does, microseconds from now.
pub(crate) enum Deed {
    Say(Frame),
    Close,
    /// Its next request is due.
    Tick,
}

pub(crate) type Deeds = Vec<(u64, Deed)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answer,
    Close,
    Ignore,
}

/// How a peer behaves, the same for a whole session.
pub(crate) struct Habits {
    pub(crate) window: usize,
    interval: u64,
    slowest: u64,
    loses: u64,
    repeats: u64,
    errs: u64,
    at_unbind: Manner,
    answers_enquire_link: bool,
    refuses_binds: bool,
    requests: u32,
    unbinds: bool,
}

impl Habits {
    pub(crate) fn of(random: &mut Random) -> Self {
        let faulty = random.chance(60);
        let some = |random: &mut Random, most: u64| if faulty { random.below(most) } else { 0 };
        Self {
            window: 1 + usize::try_from(random.delay(400)).unwrap_or(0),
            interval: 50 + random.delay(200_000),
            slowest: 100 + random.delay(20_000_000),
            loses: some(random, 5),
            repeats: some(random, 5),
            errs: some(random, 20),
            at_unbind: match random.below(4) {
                0 => Manner::Close,
                1 => Manner::Ignore,
                _ => Manner::Answer,
            },
            answers_enquire_link: !random.chance(20),
            refuses_binds: random.chance(8),
            requests: 50 + u32::try_from(random.delay(600)).unwrap_or(0),
            unbinds: random.chance(25),
        }
    }
}

/// Either side; what differs is who binds and which operation it asks.
pub(crate) struct Peer {
    pub(crate) habits: Habits,
    command: u32,
    /// Who it is, and in which session: no two messages of a scene are alike.
    mark: [u8; 2],
    next: u32,
    sent: u32,
    pub(crate) bound: bool,
    leaving: bool,
    /// Requests not yet answered: number to message.
    open: HashMap<u32, (u32, Vec<u8>)>,
    /// Messages it took with success.
    pub(crate) accepted: HashSet<Vec<u8>>,
    /// Every message that reached it.
    reached: HashSet<Vec<u8>>,
    /// Its own messages it was told are accepted.
    pub(crate) confirmed: Vec<Vec<u8>>,
    /// Its own messages it was told the gate has taken over.
    pub(crate) acknowledged: Vec<Vec<u8>>,
    /// Its own messages it was told are refused by the rules.
    pub(crate) refused: Vec<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(habits: Habits, command: u32, mark: [u8; 2]) -> Self {
        Self {
            habits,
            command,
            mark,
            next: 1,
            sent: 0,
            bound: false,
            leaving: false,
            open: HashMap::new(),
            accepted: HashSet::new(),
            reached: HashSet::new(),
            confirmed: Vec::new(),
            acknowledged: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(crate) fn bind(&mut self) -> Deeds {
        self.ask(0x09)
    }

    fn ask(&mut self, command: u32) -> Deeds {
        let sequence = self.next;
        self.next += 1;
        let mut body = self.mark.to_vec();
        body.extend_from_slice(&sequence.to_be_bytes());
        self.open.insert(sequence, (command, body.clone()));
        let body = if [ENQUIRE_LINK, UNBIND].contains(&command) { Vec::new() } else { body };
        vec![(0, Deed::Say(request(command, sequence, &body)))]
    }

    /// The time for its next request has come.
    pub(crate) fn tick(&mut self, random: &mut Random) -> Deeds {
        if self.leaving || !self.bound {
            return Vec::new();
        }
        if self.sent >= self.habits.requests {
            self.leaving = self.habits.unbinds && self.mark[0] == b'P' || random.chance(1);
            return if self.leaving { self.ask(UNBIND) } else { vec![(1_000_000, Deed::Tick)] };
        }
        if self.open.len() >= self.habits.window {
            return vec![(20_000, Deed::Tick)];
        }
        let mut deeds = vec![(random.delay(self.habits.interval * 2), Deed::Tick)];
        self.sent += 1;
        let command = match random.below(40) {
            0 => ENQUIRE_LINK,
            1 if self.mark[0] == b'P' => 0x03,
            2 => 0x0100_0001,
            3 => 0x103,
            _ => self.command,
        };
        deeds.extend(self.ask(command));
        deeds
    }

    pub(crate) fn hear(&mut self, frame: &Frame, random: &mut Random) -> Deeds {
        if frame.command_id().is_response() {
            return self.hear_answer(frame);
        }
        let (command, sequence) = (frame.command_id().0, frame.sequence_number());
        match command {
            ENQUIRE_LINK if !self.habits.answers_enquire_link => Vec::new(),
            ENQUIRE_LINK => vec![(0, Deed::Say(response(command, 0, sequence, &[])))],
            UNBIND => {
                self.leaving = true;
                match self.habits.at_unbind {
                    Manner::Answer => vec![(0, Deed::Say(response(command, 0, sequence, &[]))), (10, Deed::Close)],
                    Manner::Close => vec![(0, Deed::Close)],
                    Manner::Ignore => Vec::new(),
                }
            }
            0x09 => self.decide_bind(sequence, random),
            _ => self.take(frame, random),
        }
    }

    fn decide_bind(&mut self, sequence: u32, random: &mut Random) -> Deeds {
        let refused = self.habits.refuses_binds || random.chance(5);
        self.bound = !refused;
        let answer = response(0x09, if refused { 0xE } else { 0 }, sequence, b"smsc\0");
        vec![(random.delay(self.habits.slowest), Deed::Say(answer)), (self.habits.interval, Deed::Tick)]
    }

    /// A message or a question: answered late, twice, not at all, or as it should be.
    fn take(&mut self, frame: &Frame, random: &mut Random) -> Deeds {
        let (command, sequence) = (frame.command_id().0, frame.sequence_number());
        assert!(self.reached.insert(frame.body().to_vec()), "a message came twice");
        if random.chance(self.habits.loses) {
            return Vec::new();
        }
        let at = random.delay(self.habits.slowest);
        let answer = match random.below(100) {
            n if n < self.habits.errs / 2 => response(0, 0x08, sequence, &[]),
            n if n < self.habits.errs => response(command, 0x58, sequence, &[]),
            _ => {
                self.accepted.insert(frame.body().to_vec());
                response(command, 0, sequence, frame.body())
            }
        };
        let mut deeds = vec![(at, Deed::Say(answer.clone()))];
        if random.chance(self.habits.repeats) {
            deeds.push((at + random.delay(5_000_000), Deed::Say(answer)));
        }
        deeds
    }

    fn hear_answer(&mut self, frame: &Frame) -> Deeds {
        let Some((command, body)) = self.open.remove(&frame.sequence_number()) else {
            let broken = frame.command_status() == CommandStatus::ESME_RINVCMDLEN;
            assert!(broken, "an answer to nothing it asked: {frame:?}");
            return Vec::new();
        };
        let known = command != 0x0100_0001;
        let expected = if known { CommandId(command).response() } else { CommandId::GENERIC_NACK };
        assert_eq!(frame.command_id(), expected, "its own operation answers");
        if command == 0x09 {
            self.bound = frame.command_status() == CommandStatus::ESME_ROK;
            return if self.bound { vec![(0, Deed::Tick)] } else { self.bind() };
        }
        if frame.command_status() == CommandStatus::ESME_ROK && frame.body().strip_prefix(b"A") == Some(&body[..]) {
            self.acknowledged.push(body);
        } else if frame.command_status() == CommandStatus::ESME_ROK && !frame.body().is_empty() {
            assert_eq!(frame.body(), body, "the answer to another message");
            self.confirmed.push(body);
        } else if frame.command_status() == CommandStatus(0x483) {
            self.refused.push(body);
        }
        Vec::new()
    }

    pub(crate) fn reached(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.reached.iter()
    }

    /// Whether this message ever reached this peer.
    pub(crate) fn was_reached_by(&self, body: &[u8]) -> bool {
        self.reached.contains(body)
    }
}
