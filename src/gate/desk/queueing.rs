//! The gate's own queue for quiet hours (R18): a message is stored, answered, and judged again when they end.
//!
//! What the gate has answered in the carrier's place is treated as an acknowledged part is: a receipt tells of
//! an end the carrier will not tell, and `query_sm` and `cancel_sm` go by the gate's `message_id`.

use bytes::BytesMut;
use jiff::{SignedDuration, Timestamp};
use portcullis_protocol::field::COctetString;
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::time::{Absolute, SmppTime};
use portcullis_protocol::{CommandStatus, Frame, Pdu, frame};

use super::long::{acknowledged, parties};
use super::owing::owed_part;
use super::ruling::{Judgement, Ruling};
use super::weighing::Watch;
use super::write::{Message, Pen};
use super::{Desk, Judged, Late, Open, Sent};
use crate::gate::measures::Trails;
use crate::gate::owed::{Owed, OwedPart, State};
use crate::gate::parts::{Holder, Part};
use crate::gate::queue::Queued;
use crate::gate::reading::{Reading, moment};
use crate::gate::record::{Kept, Record};
use crate::gate::restore::LOOK_BACK_HOURS;
use crate::gate::{Gate, Moment};
use crate::register::{Provider, QuietHours, Register};
use crate::relay::Ticket;
use crate::rules::{Decision, Effect, Operation, Rule};
use crate::store::{EntryId, Health, StoreError};

/// How far ahead the quiet hours that a message waits for may end: what is for later stays with its provider.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// What has waited for this long will not be delivered, and its provider is told so: after a restart the gate
/// looks not much further back. Whatever is taken has almost a day left when its hours end.
const LONGEST: SignedDuration = SignedDuration::from_hours(LOOK_BACK_HOURS - 2);
const _: () = assert!(LONGEST.as_hours() - AHEAD.as_hours() >= 22);

/// The wait before something that must still wait is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

impl Desk {
    /// Stores and answers a message that only quiet hours hold; `None` where that cannot be done.
    pub(super) fn queue_message(
        &mut self,
        (register, ticket, frame): (&Register, Ticket, &Frame),
        reading: &Reading<'_>,
        judgements: &[Judgement<'_, '_>],
        (ruling, until): (&Ruling, Timestamp),
        now: Timestamp,
    ) -> Option<Judged> {
        let holder = Holder::Waiting { ticket, mailbox: self.mailbox.clone() };
        let part = Part { number: 1, frame: frame.clone(), received: now, session: self.session, holder };
        // The part, and what was judged of it.
        let (entries, octets) = (1 + judgements.len(), frame.as_bytes().len());
        let room = self.gate.journal.reserve(entries, octets.saturating_mul(entries)).ok()?;
        let pen = self.pen().within(&room);
        let id = pen.write_part(&part, reading).ok()?.id;
        let part = Part { holder: Holder::Acknowledged { id }, ..part };
        let message = Message { frame, reading, parts: std::slice::from_ref(&part) };
        let Ok(records) = pen.write_submissions(register, &message, judgements, ruling, now) else {
            self.not_taken(&[(id, frame)], now);
            return None;
        };
        let provider = self.provider.as_deref().unwrap_or_default();
        self.gate.enqueue(provider, until, std::slice::from_ref(&part), &records);
        self.open.insert(ticket, Open::recorded(records, now));
        Some(acknowledged(id))
    }

    /// The same for the parts of a long message; gives them back where it is not to be queued.
    pub(super) fn queue_parts(
        &mut self,
        (register, provider): (&Register, &Provider),
        parts: Vec<Part>,
        reading: &Reading<'_>,
        judgements: &[Judgement<'_, '_>],
        ruling: &Ruling,
        now: Timestamp,
    ) -> Result<(), Vec<Part>> {
        let Some(until) = self.gate.queues_until(provider, reading.operation, judgements, ruling, now) else {
            return Err(parts);
        };
        let octets = parts.iter().map(|part| part.frame.as_bytes().len()).sum();
        let Ok(room) = self.gate.journal.reserve(parts.len() + 1, octets) else { return Err(parts) };
        let pen = self.pen().within(&room);
        let (mut taken, mut waiting, mut written) = (Vec::with_capacity(parts.len()), Vec::new(), Vec::new());
        for part in &parts {
            let id = match &part.holder {
                Holder::Acknowledged { id } => *id,
                Holder::Waiting { ticket, mailbox } => {
                    let Ok(record) = pen.write_part(part, reading) else { break };
                    written.push((record.id, &part.frame));
                    waiting.push((*ticket, mailbox.clone(), record.id));
                    record.id
                }
            };
            taken.push(Part { holder: Holder::Acknowledged { id }, ..part.clone() });
        }
        let message = taken.first().map(|first| Message { frame: &first.frame, reading, parts: &taken });
        let records = message
            .filter(|message| message.parts.len() == parts.len())
            .and_then(|message| pen.write_submissions(register, &message, judgements, ruling, now).ok());
        let Some(records) = records else {
            self.not_taken(&written, now);
            return Err(parts);
        };
        self.gate.enqueue(&provider.system_id, until, &taken, &records);
        for (ticket, mailbox, id) in waiting {
            let open = Open::recorded(records.clone(), now);
            self.gate.deliver(&mailbox, Late { ticket, judged: acknowledged(id), open }, now);
        }
        Ok(())
    }

    /// Parts are on record that their provider will send again: a process after this one must not take them up.
    fn not_taken(&self, written: &[(EntryId, &Frame)], now: Timestamp) {
        let provider = self.provider.as_deref().unwrap_or_default();
        for (id, frame) in written {
            let state = State::Rejected(CommandStatus::ESME_RTHROTTLED);
            self.gate.untold(provider, *id, &parties(frame), state, now);
        }
    }
}

impl Gate {
    /// Until when a message waits in the queue; `None` where it is not to wait there.
    pub(super) fn queues_until(
        &self,
        provider: &Provider,
        operation: Operation,
        judgements: &[Judgement<'_, '_>],
        ruling: &Ruling,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let ([judgement], Ruling::Refuse { down: false, .. }) = (judgements, ruling) else { return None };
        let is_kind = matches!(operation, Operation::SubmitSm | Operation::DataSm);
        let asks = provider.quiet_hours == QuietHours::Queue && is_kind;
        (asks && is_quiet_alone(judgement) && self.queue.has_room(&provider.system_id))
            .then(|| self.opening(judgement.deliver_at.unwrap_or(now)))
            .flatten()
            .filter(|until| now.duration_until(*until) <= AHEAD)
    }

    /// When deliveries are decent from a moment on.
    fn opening(&self, from: Timestamp) -> Option<Timestamp> {
        Some(self.profile.quiet_hours?.opens(from, &self.profile.time_zone))
    }

    /// Whether nothing commercial is to be delivered now.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        self.opening(now).is_some_and(|opens| opens > now)
    }

    fn enqueue(&self, provider: &str, until: Timestamp, parts: &[Part], records: &[Sent]) {
        let Some(first) = parts.first() else { return };
        let (subscriber, port) = parties(&first.frame);
        let parts = parts.iter().filter_map(Part::acknowledged_as).collect();
        // The verdict's record is behind those of the parts.
        let sequence = records.iter().map(|sent| sent.sequence).max().unwrap_or_default();
        self.queue.add(provider, until, Queued { parts, subscriber, port, sequence });
    }

    /// A message of the process before waits on; whether the hours are still quiet is found out at once.
    pub(in crate::gate) fn enqueue_again(&self, provider: &str, parts: Vec<EntryId>, frame: &Frame, now: Timestamp) {
        let (subscriber, port) = parties(frame);
        self.queue.add(provider, now, Queued { parts, subscriber, port, sequence: 0 });
    }

    /// Judges again what has waited for long enough, and sends it on.
    pub(in crate::gate) fn release_queued(&self, now: Moment) -> Result<(), StoreError> {
        let register = self.register.load();
        let can_send = |provider: &str| {
            let known = register.provider(provider);
            // One that was struck off is told so; one that is away is waited for.
            (known.is_none() || self.accounts.can_send(provider)).then(|| known.and_then(|known| known.rate))
        };
        let mut first = Ok(());
        for (provider, queued) in self.queue.due(now.wall, now.monotonic, can_send) {
            if let Err(error) = self.release(&register, &provider, &queued, now) {
                self.queue.add(&provider, later(now.wall), queued);
                first = first.and(Err(error));
            }
        }
        first
    }

    fn release(&self, register: &Register, account: &str, queued: &Queued, now: Moment) -> Result<(), StoreError> {
        if self.journal.progress().borrow().durable < queued.sequence {
            self.queue.add(account, later(now.wall), queued.clone());
            return Ok(());
        }
        let read = self.read_queued(queued, now.wall)?;
        if read.iter().any(Option::is_none) {
            self.report_unreadable(account, queued, &read, now.wall);
            return Ok(());
        }
        let parts: Vec<Part> = read.into_iter().flatten().collect();
        let Some(provider) = register.provider(account) else {
            self.report_all(account, &parts, State::Rejected(CommandStatus::ESME_RINVSYSID), now.wall);
            return Ok(());
        };
        if parts.iter().any(|part| part.received.duration_until(now.wall) > LONGEST) {
            self.report_all(account, &parts, State::Undeliverable(CommandStatus::ESME_RTHROTTLED), now.wall);
            return Ok(());
        }
        let frames: Vec<Frame> = parts.iter().map(|part| part.frame.clone()).collect();
        let read = match frames.as_slice() {
            [frame] => Reading::of(frame, &provider.text),
            frames => Reading::of_parts(frames, &provider.text),
        };
        let mut trails = Trails::default();
        let down = matches!(self.journal.progress().borrow().health, Health::Down { .. });
        let mut watch = Watch { trails: &mut trails, at: now.monotonic, down };
        let judged = read.and_then(|reading| {
            let judgements = self.judgements(register, provider, &reading, &mut watch, now.wall)?;
            Ok((reading, judgements))
        });
        match judged {
            Ok((reading, judgements)) => self.let_go(register, account, queued, parts, &reading, &judgements, now.wall),
            Err(fault) => self.report_all(account, &parts, State::Rejected(fault.status), now.wall),
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what was found out about one message, each thing once")]
    fn let_go(
        &self,
        register: &Register,
        account: &str,
        queued: &Queued,
        parts: Vec<Part>,
        reading: &Reading<'_>,
        judgements: &[Judgement<'_, '_>],
        now: Timestamp,
    ) {
        let ruling = Ruling::of(judgements, &self.profile.failure);
        let holds = judgements.iter().any(|judgement| judgement.verdict.decision == Decision::Hold);
        if matches!(ruling, Ruling::Refuse { down: true, .. }) || holds {
            self.settle_counts(judgements, &ruling, true);
            let delivery = judgements.iter().filter_map(|judgement| judgement.deliver_at).max().unwrap_or(now);
            let quiet = judgements.iter().all(is_quiet_alone).then(|| self.opening(delivery)).flatten();
            return self.queue.add(account, quiet.unwrap_or(later(now)), queued.clone());
        }
        let Some(first) = parts.first() else { return };
        let pen = Pen { session: first.session, ..Pen::absent(self, account) };
        let message = Message { frame: &first.frame, reading, parts: &parts };
        let written = pen.write_submissions(register, &message, judgements, &ruling, now);
        self.settle_counts(judgements, &ruling, written.is_ok());
        self.count_verdicts(judgements, now);
        match (ruling, written) {
            (_, Err(_)) => self.queue.add(account, later(now), queued.clone()),
            (Ruling::Refuse { status, .. }, Ok(_)) => {
                self.report_all(account, &parts, State::Rejected(status), now);
            }
            (Ruling::Forward(permit) | Ruling::Split(permit), Ok(records)) => {
                let marketing = self.marketing(judgements);
                for part in &parts {
                    let owed = owed_part(account, part, part.frame.clone(), records.clone(), permit, marketing.clone());
                    let alone = parts.len() == 1 && marketing.is_some();
                    owed.into_iter().for_each(|part| self.post(Owed::Part(OwedPart { alone, ..part }), now));
                }
            }
        }
    }

    fn report_all(&self, account: &str, parts: &[Part], state: State, now: Timestamp) {
        for part in parts {
            if let Holder::Acknowledged { id } = part.holder {
                self.report(account, &part.frame, id, state, part.received, now);
            }
        }
    }

    /// What cannot be read again does not go on: its provider is told so where a part still says that it asked.
    fn report_unreadable(&self, account: &str, queued: &Queued, read: &[Option<Part>], now: Timestamp) {
        tracing::error!(message = ?queued.parts, "a queued message cannot be read: it is not delivered");
        let state = State::Undeliverable(CommandStatus::ESME_RSYSERR);
        for (id, part) in queued.parts.iter().zip(read) {
            if let Some(part) = part {
                self.report(account, &part.frame, *id, state, part.received, now);
                continue;
            }
            self.untold(account, *id, &(queued.subscriber.clone(), queued.port.clone()), state, now);
        }
    }

    /// The parts of a queued message as they go on; `None` for one that cannot be read.
    fn read_queued(&self, queued: &Queued, now: Timestamp) -> Result<Vec<Option<Part>>, StoreError> {
        (1..).zip(&queued.parts).map(|(number, id)| self.read_part(number, *id, now)).collect()
    }

    fn read_part(&self, number: u8, id: EntryId, now: Timestamp) -> Result<Option<Part>, StoreError> {
        let Some(kept) = self.journal.get_parts(id)? else { return Ok(None) };
        let Ok(Kept { record: Record::Part(part), .. }) = Kept::decode(&kept.content, kept.signalling.as_deref())
        else {
            return Ok(None);
        };
        let received = Timestamp::from_millisecond(part.received_ms).unwrap_or(now);
        let Some(frame) = frame_of(&part.frame).map(|frame| on_time(frame, received, now)) else { return Ok(None) };
        let holder = Holder::Acknowledged { id };
        Ok(Some(Part { number, frame, received, session: part.origin.session, holder }))
    }
}

/// Whether quiet hours are all that holds a message.
fn is_quiet_alone(judgement: &Judgement<'_, '_>) -> bool {
    let verdict = &judgement.verdict;
    let held = || verdict.findings.iter().filter(|finding| finding.effect == Effect::Held);
    verdict.decision == Decision::Hold && judgement.outage.is_none() && held().all(|finding| finding.rule == Rule::R18)
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(AGAIN).unwrap_or(now)
}

fn frame_of(octets: &[u8]) -> Option<Frame> {
    let mut octets = BytesMut::from(octets);
    let limit = octets.len();
    frame::split(&mut octets, limit).ok().flatten()
}

/// A message whose times were counted from its arrival, as it reads later: what was scheduled for a quiet
/// hour is delivered at once, and what was valid for some hours has fewer left.
fn on_time(frame: Frame, received: Timestamp, now: Timestamp) -> Frame {
    let Ok(Pdu::SubmitSm(pdu)) = Pdu::decode(&frame) else { return frame };
    let at = |field| SmppTime::of(field).ok().flatten().and_then(|time| moment(time, received));
    let schedule = at(pdu.schedule_delivery_time).filter(|at| *at > now).map(absolute).unwrap_or_default();
    let validity = at(pdu.validity_period).map(absolute);
    let is_same = pdu.schedule_delivery_time.0 == schedule.as_bytes() && validity.is_none();
    if is_same {
        return frame;
    }
    let validity_period = validity.as_deref().map_or(pdu.validity_period, |text| COctetString(text.as_bytes()));
    let pdu = SubmitSm { schedule_delivery_time: COctetString(schedule.as_bytes()), validity_period, ..pdu };
    Pdu::SubmitSm(pdu).to_frame(frame.command_status(), frame.sequence_number())
}

fn absolute(at: Timestamp) -> String {
    SmppTime::Absolute(Absolute::from_unix_ms(at.as_millisecond())).to_string()
}
