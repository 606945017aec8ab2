//! Long messages: their parts are held or acknowledged until the last one has come, then judged
//! as one message.
//!
//! Whoever sends a part and waits for its answer before the next would wait for ever. Such a
//! session is told by its silence, or by a window full of held parts, and its parts are
//! acknowledged from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use portcullis_protocol::text::Concatenation;
use portcullis_protocol::{BodyFault, CommandStatus, Frame, Pdu};

use super::owing::owed_part;
use super::ruling::{Judgement, Ruling};
use super::write::{Message, Pen, Written};
use super::{Desk, Judged, Late, Open, Sent, Settling, TRY_AGAIN};
use crate::gate::mailbox::{Mail, Mailbox};
use crate::gate::owed::{Owed, State, acknowledgement};
use crate::gate::parts::{Added, Holder, Key, Part};
use crate::gate::reading::{Reading, Recipients};
use crate::gate::record::subscriber_key;
use crate::gate::{Gate, Moment};
use crate::register::{LongMode, Provider, Register};
use crate::relay::{self, Outcome, Ticket};
use crate::rules::{Class, Mode, Msisdn, Rule};

/// A part this session has not answered.
#[derive(Debug)]
pub(super) struct Held {
    key: Key,
    since: Instant,
    /// For several recipients, of whom some may be refused: no one receipt could say so.
    is_multiple: bool,
}

/// How many times the patience a part is held on a bind that is busy with other things.
const BUSY: u32 = 4;

/// What a decision on a long message rests on.
struct Whole<'a, 'r, 'm> {
    ruling: Ruling,
    judgements: &'a [Judgement<'r, 'm>],
    written: Written,
    now: Timestamp,
}

impl Desk {
    #[expect(clippy::too_many_arguments, reason = "what was found out about one PDU, each thing once")]
    pub(super) fn gather(
        &mut self,
        register: &Register,
        provider: &Provider,
        ticket: Ticket,
        frame: &Frame,
        reading: &Reading<'_>,
        place: Concatenation,
        now: Moment,
    ) -> Option<Judged> {
        let key = key(provider, reading, frame, place);
        let holder = Holder::Waiting { ticket, mailbox: self.mailbox.clone() };
        if self.owes_too_much() {
            self.gate.counters.throttled();
            return Some(self.refuse(ticket, Open::unrecorded(now.wall), CommandStatus::ESME_RTHROTTLED));
        }
        let (number, received, session) = (place.number, now.wall, self.session);
        let part = Part { number, frame: frame.clone(), received, session, holder };
        match self.gate.parts.add(&key, part, now.monotonic) {
            Added::Over => {
                self.gate.counters.throttled();
                Some(self.refuse(ticket, Open::unrecorded(now.wall), CommandStatus::ESME_RTHROTTLED))
            }
            Added::Known(id) => {
                // Its record may be as young as the part it repeats.
                let sequence = Some(self.gate.journal.accepted());
                self.open.insert(ticket, Open { sequence, ..Open::recorded(Vec::new(), now.wall) });
                Some(acknowledged(id))
            }
            Added::Waits { displaced } => {
                self.gate.give_up(&key, displaced, "another part of the same number took its place", now.wall);
                let due = now.monotonic + self.gate.patience();
                // What was held before is gone, and its time with it.
                self.look_at = self.look_at.filter(|_| !self.held.is_empty()).or(Some(due));
                let is_multiple = matches!(reading.recipients, Recipients::Many(_));
                self.held.insert(ticket, Held { key, since: now.monotonic, is_multiple });
                if self.waits_for_answers || self.gate.long_mode(provider) == LongMode::Acknowledge {
                    return self.acknowledge(ticket, now.wall);
                }
                None
            }
            Added::Whole { parts, displaced } => {
                self.gate.give_up(&key, displaced, "another part of the same number took its place", now.wall);
                let frames = parts.iter().map(|part| (part.number, part.frame.clone())).collect();
                self.judge_parts(register, provider, &key, frames, parts, now);
                None
            }
        }
    }

    /// Judges the text of `frames` and decides on `parts`, in their order.
    fn judge_parts(
        &mut self,
        register: &Register,
        provider: &Provider,
        key: &Key,
        frames: BTreeMap<u8, Frame>,
        mut parts: Vec<Part>,
        now: Moment,
    ) {
        parts.sort_by_key(|part| part.number);
        // Nothing goes on whose octets were not judged.
        let judged = |part: &Part| frames.get(&part.number).is_some_and(|frame| frame.body() == part.frame.body());
        let (parts, strays): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(judged);
        self.gate.give_up(key, strays, "another part of the same number took its place", now.wall);
        let frames: Vec<Frame> = frames.into_values().collect();
        let reading = match Reading::of_parts(&frames, &provider.text) {
            Ok(reading) => reading,
            Err(fault) => return self.turn_away_parts(&fault, parts, now.wall),
        };
        let judgements = match self.weigh(register, provider, &reading, now.wall) {
            Ok(judgements) => judgements,
            Err(fault) => return self.turn_away_parts(&fault, parts, now.wall),
        };
        let Some(first) = frames.first() else { return };
        let ruling = self.rule(&judgements, now.wall);
        let parts = match self.queue_parts((register, provider), parts, &reading, &judgements, &ruling, now.wall) {
            Ok(()) => return,
            Err(parts) => parts,
        };
        let written = self.pen().write_submissions(
            register,
            &Message { frame: first, reading: &reading, parts: &parts },
            &judgements,
            &ruling,
            now.wall,
        );
        self.gate.settle_counts(&judgements, &ruling, written.is_ok());
        let whole = Whole { ruling, judgements: &judgements, written, now: now.wall };
        let mut undecided = Vec::new();
        for part in parts {
            match part.holder {
                Holder::Waiting { ticket, ref mailbox } => {
                    let (judged, open) = self.decide_part(&whole, &part);
                    self.gate.deliver(mailbox, Late { ticket, judged, open }, now.wall);
                }
                Holder::Acknowledged { .. } => undecided.extend(self.settle_acknowledged(&whole, part, now)),
            }
        }
        if !undecided.is_empty() {
            self.gate.parts.put_back(key, undecided, now.monotonic);
        }
    }

    fn decide_part(&self, whole: &Whole<'_, '_, '_>, part: &Part) -> (Judged, Open) {
        let written = match &whole.written {
            Ok(records) => Ok(records.clone()),
            Err(error) => Err(*error),
        };
        // Another bind may speak another version.
        let explain = part.session == self.session && self.explains();
        let (judged, open) = self.decide(whole.ruling, &part.frame, whole.judgements, written, (explain, whole.now));
        (judged, Open { part: Some(part.number), ..open })
    }

    /// A part the provider was told to be accepted: forwarded or reported; given back where neither
    /// can be recorded or decided now.
    fn settle_acknowledged(&mut self, whole: &Whole<'_, '_, '_>, part: Part, now: Moment) -> Option<Part> {
        let Holder::Acknowledged { id } = part.holder else { return None };
        let provider = self.provider.clone().unwrap_or_default();
        match (whole.ruling, &whole.written) {
            (ruling, _) if ruling.waits() => return Some(part),
            (_, Err(_)) => return Some(part),
            (Ruling::Refuse { status, .. }, Ok(_)) => {
                let state = State::Rejected(status);
                self.gate.report(&provider, &part.frame, id, state, part.received, now.wall);
            }
            // Parts for several recipients are never acknowledged, so there is nothing to split.
            (Ruling::Forward(permit) | Ruling::Split(permit), Ok(records)) => {
                let marketing = self.gate.marketing(whole.judgements);
                let frame = part.frame.clone();
                let owed = owed_part(&provider, &part, frame, records.clone(), permit, marketing);
                owed.into_iter().for_each(|part| self.owe(Owed::Part(part)));
            }
        }
        None
    }

    fn turn_away_parts(&mut self, fault: &BodyFault, parts: Vec<Part>, now: Timestamp) {
        for part in parts {
            let (judged, open) = self.turned_away(&part.frame, fault, now);
            match part.holder {
                Holder::Waiting { ticket, mailbox } => self.gate.deliver(&mailbox, Late { ticket, judged, open }, now),
                Holder::Acknowledged { id } => {
                    let provider = self.provider.as_deref().unwrap_or_default();
                    let state = State::Rejected(fault.status);
                    self.gate.report(provider, &part.frame, id, state, part.received, now);
                }
            }
        }
    }

    /// Takes a held part over: it is on disk before the provider is told so. `None` where it is no
    /// longer held, because its message has become whole: the decision is on its way.
    fn acknowledge(&mut self, ticket: Ticket, now: Timestamp) -> Option<Judged> {
        // What is told to be accepted must be on disk, and waits for no spool.
        if self.is_down() {
            return None;
        }
        let held = self.held.get(&ticket).filter(|held| !held.is_multiple)?;
        let register = self.gate.register.load();
        let settings = register.provider(&held.key.provider).map(|provider| provider.text).unwrap_or_default();
        let mut sequence = None;
        let id = self.gate.parts.acknowledge(&held.key, ticket, self.session, |part| {
            let reading = Reading::of(&part.frame, &settings).ok()?;
            let ticket = self.pen().write_part(part, &reading).ok()?;
            sequence = Some(ticket.sequence);
            Some(ticket.id)
        })?;
        self.held.remove(&ticket);
        self.open.insert(ticket, Open { sequence, ..Open::recorded(Vec::new(), now) });
        Some(acknowledged(id))
    }

    /// When held parts show that the peer waits for their answers, or something owed is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let held = self.look_at.filter(|_| !self.held.is_empty());
        [held, self.owed_due(now)].into_iter().flatten().min()
    }

    /// Acknowledges what is held where the peer visibly waits: it has been silent for the patience,
    /// or `stuck` says that its window is full of held parts.
    pub fn handle_timeout(&mut self, stuck: bool, now: Moment) -> Vec<(Ticket, Judged)> {
        if !stuck && self.look_at.is_none_or(|at| now.monotonic < at) {
            return Vec::new();
        }
        let patience = self.gate.patience();
        self.look_at = Some(now.monotonic + patience);
        self.judge_repeats(stuck, now);
        let silent = stuck || now.monotonic >= self.heard + patience;
        // On a busy bind one of many may wait: nothing came for its message all that time.
        let waits = |held: &Held| silent || now.monotonic >= held.since + patience * BUSY;
        let waiting: Vec<Ticket> =
            self.held.iter().filter(|(_, held)| waits(held)).map(|(ticket, _)| *ticket).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        if silent && !std::mem::replace(&mut self.waits_for_answers, true) {
            tracing::info!(held = self.held.len(), "the provider waits for answers to parts: they are acknowledged");
        }
        waiting.into_iter().filter_map(|ticket| Some((ticket, self.acknowledge(ticket, now.wall)?))).collect()
    }

    /// Parts that only repeat a message that was whole before, and to which nothing new has come:
    /// judged with that message, they go on by themselves.
    fn judge_repeats(&mut self, stuck: bool, now: Moment) {
        let gate = Arc::clone(&self.gate);
        let register = gate.register.load();
        let Some(provider) = self.provider.as_deref().and_then(|id| register.provider(id)) else { return };
        let patience = gate.patience();
        let due = self.held.iter().filter(|(_, held)| stuck || now.monotonic >= held.since + patience);
        let due: Vec<(Ticket, Key)> = due.map(|(ticket, held)| (*ticket, held.key.clone())).collect();
        for (ticket, key) in due {
            if let Some(repeats) = gate.parts.take_repeats(&key, ticket, self.session) {
                let whole = repeats.whole.into_iter().collect();
                self.judge_parts(&register, provider, &key, whole, repeats.parts, now);
            }
        }
    }

    /// How many parts are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The session takes no more requests: what is held will not become whole here.
    pub fn release_held(&mut self, now: Moment) -> Vec<(Ticket, Judged)> {
        let tickets: Vec<Ticket> = self.held.keys().copied().collect();
        let mut released = Vec::new();
        for ticket in tickets {
            if let Some(records) = self.withdraw(ticket, now) {
                released.push((ticket, self.refuse(ticket, Open::of(records, now.wall), TRY_AGAIN)));
            }
        }
        released
    }

    /// Gives up a held part with its record; `None` where its decision is on its way.
    pub(super) fn withdraw(&mut self, ticket: Ticket, now: Moment) -> Option<Vec<Sent>> {
        let held = self.held.remove(&ticket)?;
        let part = self.gate.parts.withdraw(&held.key, ticket, self.session)?;
        let why = "its session ended before the other parts came";
        Some(self.gate.record_given_up(&held.key, &[part], why, now.wall))
    }
}

impl Gate {
    /// Tells a session of a decision; where it has ended meanwhile, the part has not gone on.
    pub(super) fn deliver(&self, mailbox: &Mailbox, late: Late, now: Timestamp) {
        if let Err(back) = mailbox.try_send(Mail::Judged(Box::new(late)))
            && let Mail::Judged(late) = back.into_inner()
        {
            let pen = Pen::absent(self, "");
            pen.write_outcome(&late.open, Outcome::NotForwarded, None, now);
        }
    }

    /// Whose refusal stops a message that has not gone out yet; nobody's where R11 is not enforced.
    pub(super) fn marketing(&self, judgements: &[Judgement<'_, '_>]) -> Option<(String, u64)> {
        let [judgement] = judgements else { return None };
        self.marketing_of(judgement)
    }

    /// The same for one recipient of several.
    pub(super) fn marketing_of(&self, judgement: &Judgement<'_, '_>) -> Option<(String, u64)> {
        let identity = &judgement.facts.identity;
        let port_class = identity.port.map_or(Class::Commercial, |port| port.class);
        let enforced = self.profile.mode(Rule::R11, port_class, identity.provider) == Mode::Enforce;
        let commercial = judgement.verdict.class == Class::Commercial && !port_class.is_sheltered();
        let (sender, msisdn) = (identity.sender?, identity.msisdn?);
        (enforced && commercial).then(|| (sender.id.clone(), msisdn.0))
    }

    /// How this provider's parts are treated.
    fn long_mode(&self, provider: &Provider) -> LongMode {
        provider.long_messages.unwrap_or(self.long_messages.mode)
    }

    /// Gives up what never became whole.
    pub fn sweep(&self, now: Moment) {
        for (key, parts) in self.parts.expire(now.monotonic) {
            let why = missing(&key, &parts);
            self.give_up(&key, parts, &why, now.wall);
        }
    }

    /// Records parts that will not become whole, and tells whoever sent them.
    fn give_up(&self, key: &Key, parts: impl IntoIterator<Item = Part>, why: &str, now: Timestamp) {
        let parts: Vec<Part> = parts.into_iter().collect();
        if parts.is_empty() {
            return;
        }
        let records = self.record_given_up(key, &parts, why, now);
        for part in parts {
            match part.holder {
                Holder::Waiting { ticket, mailbox } => {
                    let open = Open::of(records.clone(), now);
                    let decision = relay::Decision::Refuse { status: TRY_AGAIN, body: bytes::Bytes::new() };
                    let judged = Judged { decision, settling: Settling::Now, frame: None };
                    self.deliver(&mailbox, Late { ticket, judged, open }, now);
                }
                Holder::Acknowledged { id } => {
                    let state = State::Undeliverable(TRY_AGAIN);
                    self.report(&key.provider, &part.frame, id, state, part.received, now);
                }
            }
        }
    }

    fn record_given_up(&self, key: &Key, parts: &[Part], why: &str, now: Timestamp) -> Vec<Sent> {
        self.counters.incomplete();
        let register = self.register.load();
        let settings = register.provider(&key.provider).map(|provider| provider.text).unwrap_or_default();
        let frames: BTreeMap<u8, Frame> = parts.iter().map(|part| (part.number, part.frame.clone())).collect();
        let frames: Vec<Frame> = frames.into_values().collect();
        let session = parts.first().map_or(0, |part| part.session);
        let pen = Pen { session, ..Pen::absent(self, &key.provider) };
        let written = match Reading::of_parts(&frames, &settings) {
            Ok(reading) => pen.write_given_up(&reading, parts, why, now),
            Err(fault) => frames.first().map_or(Ok(Vec::new()), |frame| pen.write_turned_away(frame, &fault, now)),
        };
        written.unwrap_or_else(|error| {
            self.counters.unrecorded();
            tracing::error!(%error, "parts of a long message could not be recorded");
            Vec::new()
        })
    }
}

/// Where a part's frame belongs: its message, and its number there. `None` where it is no part.
pub(in crate::gate) fn key_of(provider: &Provider, frame: &Frame) -> Option<(Key, u8)> {
    let reading = Reading::of(frame, &provider.text).ok()?;
    let place = reading.part.filter(|part| part.total > 1)?;
    Some((key(provider, &reading, frame, place), place.number))
}

/// What all parts of a message have in common.
fn key(provider: &Provider, reading: &Reading<'_>, frame: &Frame, place: Concatenation) -> Key {
    let destination = match reading.recipients {
        Recipients::One(to) => match Msisdn::from_address(&to) {
            Some(msisdn) => msisdn.0.to_string().into_bytes(),
            None => to.addr.0.to_vec(),
        },
        Recipients::Many(_) => recipients(frame),
    };
    Key {
        provider: provider.system_id.clone(),
        source: reading.source.addr.0.to_vec(),
        destination,
        kind: reading.kind,
        reference: place.reference,
        total: place.total,
    }
}

/// Every recipient of a `submit_multi`, as octets.
fn recipients(frame: &Frame) -> Vec<u8> {
    let mut octets = bytes::BytesMut::new();
    if let Ok(Pdu::SubmitMulti(pdu)) = Pdu::decode(frame) {
        pdu.destinations.encode(&mut octets);
    }
    octets.to_vec()
}

/// Subscriber and port of a part, as its records name them.
pub(super) fn parties(frame: &Frame) -> (String, String) {
    let (source, destination) = match Pdu::decode(frame) {
        Ok(Pdu::SubmitSm(pdu)) => (pdu.source, pdu.destination),
        Ok(Pdu::DataSm(pdu)) => (pdu.source, pdu.destination),
        _ => return (String::new(), String::new()),
    };
    let raw = destination.addr.to_string();
    let msisdn = Msisdn::from_address(&destination).map(|msisdn| msisdn.0);
    (subscriber_key(msisdn, &raw).into_owned(), source.addr.to_string())
}

fn missing(key: &Key, parts: &[Part]) -> String {
    let came = |number: u8| parts.iter().any(|part| part.number == number);
    let missing: Vec<String> =
        (1..=key.total).filter(|number| !came(*number)).map(|number| number.to_string()).collect();
    format!("part {} of {} did not come in time", missing.join(", "), key.total)
}

pub(super) fn acknowledged(id: crate::store::EntryId) -> Judged {
    let decision = relay::Decision::Acknowledge { body: acknowledgement(id) };
    Judged { decision, settling: Settling::Now, frame: None }
}
