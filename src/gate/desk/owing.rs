//! What this session sends for the gate: acknowledged parts, and receipts about them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_protocol::{CommandStatus, Frame};

use super::write::{Pen, message_id};
use super::{Desk, Kind, Open, Sent, Settling};
use crate::gate::accounts::Bound;
use crate::gate::owed::{Owed, OwedPart, Report, State, receipt};
use crate::gate::parts::{Holder, Part};
use crate::gate::scheduled::Withdrawal;
use crate::gate::{Gate, Moment, facts};
use crate::relay::{BindKind, Leg, Outcome, Ticket};
use crate::rules::Permit;
use crate::store::consents::Towards;
use crate::store::{EntryId, Progress};

/// How often something owed is tried again that the peer refused for now.
const ATTEMPTS: u32 = 30;

/// What a provider's own `cancel_sm` makes of an acknowledged part (SMPP 3.4 appendix B).
pub(super) const DELETED: &str = "DELETED";

/// The wait between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

impl Desk {
    /// The session is bound: from now on it can send what the gate owes its account.
    pub fn join(&self, kind: BindKind, now: Timestamp) {
        if let Some(provider) = &self.provider {
            let reach = self.gate.route_opened(self.pen().origin(), (kind, self.address_range.clone()), now);
            let (session, mailbox) = (self.session, self.mailbox.clone());
            self.gate.accounts.join(provider, Bound { session, kind, reach, mailbox });
        }
    }

    /// Takes over something the gate owes.
    pub fn owe(&mut self, owed: Owed) {
        let asking = match owed {
            Owed::Part(_) | Owed::Withdrawal(_) => Leg::Provider,
            Owed::Report(_) => Leg::Carrier,
        };
        self.owed[place(asking)].push_back(owed);
    }

    /// Whether anything is to be sent in place of this leg, now or later.
    pub fn owes(&self, asking: Leg) -> bool {
        !self.owed[place(asking)].is_empty()
    }

    /// What is to be sent next in place of this leg, if it may be sent yet.
    pub fn next_owed(&mut self, asking: Leg, progress: &Progress, now: Moment) -> Option<(Frame, Permit)> {
        loop {
            let queue = &mut self.owed[place(asking)];
            if queue.front()?.not_before().is_some_and(|at| at > now.monotonic) {
                // Whoever waits for its next attempt lets the others pass.
                let at = queue.iter().position(|owed| owed.not_before().is_none_or(|at| at <= now.monotonic))?;
                queue.swap(0, at);
            }
            match queue.front()? {
                Owed::Report(report) => {
                    return Some((report.frame.clone(), Permit::unjudged("a receipt of the gate's own")));
                }
                Owed::Withdrawal(withdrawal) if withdrawal.deliver_at > now.wall => {
                    return Some((
                        withdrawal.frame.clone(),
                        Permit::unjudged("withdraws what the subscriber has refused"),
                    ));
                }
                Owed::Withdrawal(_) => {
                    if let Some(Owed::Withdrawal(withdrawal)) = self.owed[place(asking)].pop_front() {
                        self.pen().write_withdrawn(&withdrawal, "too-late", 0, now.wall);
                    }
                }
                Owed::Part(part) if !is_recorded(part, progress) => return None,
                Owed::Part(part) if part.alone && self.gate.is_quiet(now.wall) => {
                    if let Some(Owed::Part(part)) = self.owed[place(asking)].pop_front() {
                        self.requeue(&part, now.wall);
                    }
                }
                Owed::Part(part) if !self.gate.is_refused_since(part, now.wall) => {
                    return Some((part.frame.clone(), part.permit));
                }
                Owed::Part(_) => {
                    if let Some(Owed::Part(part)) = self.owed[place(asking)].pop_front() {
                        self.refused_since(&part, now.wall);
                    }
                }
            }
        }
    }

    /// The relay has sent what [`Desk::next_owed`] named, under this ticket.
    pub fn owed_sent(&mut self, asking: Leg, ticket: Ticket, now: Timestamp) {
        let Some(owed) = self.owed[place(asking)].pop_front() else { return };
        let (records, part, acknowledged) = match &owed {
            Owed::Part(part) => (part.records.clone(), Some(part.number), Some(part.id)),
            Owed::Report(_) | Owed::Withdrawal(_) => (Vec::new(), None, None),
        };
        if let Some(Sent { subscriber, .. }) = records.first() {
            self.gate.ids.expect(subscriber);
        }
        let open = Open { kind: Kind::Owed(Box::new(owed)), part, acknowledged, ..Open::of(records, now) };
        self.open.insert(ticket, open);
    }

    /// Whether as many acknowledged parts wait for the carrier as may wait for others of their kind.
    pub(super) fn owes_too_much(&self) -> bool {
        self.owed[place(Leg::Provider)].len() >= self.gate.long_messages.max_parts
    }

    /// When something owed may be tried again.
    pub(super) fn owed_due(&self, now: Instant) -> Option<Instant> {
        // What is due already waits for room, which no clock gives.
        self.owed.iter().flatten().filter_map(Owed::not_before).filter(|at| *at > now).min()
    }

    pub(super) fn conclude_owed(
        &mut self,
        owed: Owed,
        open: &Open,
        outcome: Outcome,
        answer: Option<&Frame>,
        now: Moment,
    ) {
        match owed {
            Owed::Part(part) => {
                let subscriber = part.records.first().map(|sent| sent.subscriber.clone());
                self.conclude_part(part, open, outcome, answer, now);
                // Once its name is known: nobody may look between.
                subscriber.inspect(|subscriber| self.gate.ids.expect_no_more(subscriber));
            }
            Owed::Report(report) => self.conclude_report(report, outcome, now),
            Owed::Withdrawal(withdrawal) => self.conclude_withdrawal(withdrawal, outcome, now),
        }
    }

    fn conclude_part(
        &mut self,
        mut part: OwedPart,
        open: &Open,
        outcome: Outcome,
        answer: Option<&Frame>,
        now: Moment,
    ) {
        match outcome {
            Outcome::NotForwarded => return self.gate.post(Owed::Part(part), now.wall),
            Outcome::Answered(status) | Outcome::Nacked(status) if is_temporary(status) && part.attempts < ATTEMPTS => {
                part.attempts += 1;
                part.not_before = Some(now.monotonic + PAUSE);
                return self.owe(Owed::Part(part));
            }
            _ => {}
        }
        self.pen().write_outcome(open, outcome, answer, now.wall);
        let state = match outcome {
            Outcome::Answered(CommandStatus::ESME_ROK) => {
                if let (Some(carriers), Some(sent)) = (answer.and_then(message_id), part.records.first()) {
                    self.gate.ids.learn(&carriers, part.id, &sent.subscriber, &sent.port);
                }
                return;
            }
            Outcome::Answered(status) | Outcome::Nacked(status) => State::Undeliverable(status),
            _ => State::Unknown,
        };
        self.gate.report(&part.provider, &part.frame, part.id, state, part.received, now.wall);
    }

    fn conclude_report(&mut self, mut report: Report, outcome: Outcome, now: Moment) {
        match outcome {
            Outcome::Answered(_) | Outcome::Nacked(_) | Outcome::TimedOut
                if !wants_another(outcome) || report.attempts >= ATTEMPTS =>
            {
                let (word, _) = report.state.word();
                let _recorded =
                    self.pen().write_report(report.id, (&report.subscriber, &report.port), word, true, now.wall);
            }
            Outcome::Answered(_) | Outcome::Nacked(_) | Outcome::TimedOut => {
                report.attempts += 1;
                report.not_before = Some(now.monotonic + PAUSE);
                self.owe(Owed::Report(report));
            }
            _ => self.gate.post(Owed::Report(report), now.wall),
        }
    }

    fn conclude_withdrawal(&mut self, mut withdrawal: Withdrawal, outcome: Outcome, now: Moment) {
        let status = match outcome {
            Outcome::Answered(status) | Outcome::Nacked(status) => status,
            // Asking twice does no harm.
            _ => return self.gate.post(Owed::Withdrawal(withdrawal), now.wall),
        };
        if is_temporary(status) && withdrawal.attempts < ATTEMPTS {
            withdrawal.attempts += 1;
            withdrawal.not_before = Some(now.monotonic + PAUSE);
            return self.owe(Owed::Withdrawal(withdrawal));
        }
        let word = if status == CommandStatus::ESME_ROK { "cancelled" } else { "failed" };
        self.pen().write_withdrawn(&withdrawal, word, status.0, now.wall);
    }

    /// The hours are quiet again before it could go out: it waits once more.
    fn requeue(&mut self, part: &OwedPart, now: Timestamp) {
        let open = Open { part: Some(part.number), acknowledged: Some(part.id), ..Open::of(part.records.clone(), now) };
        self.pen().write_outcome(&open, Outcome::NotForwarded, None, now);
        self.gate.enqueue_again(&part.provider, vec![part.id], &part.frame, now);
    }

    /// The subscriber refused after the verdict: what has not gone out does not go out.
    fn refused_since(&mut self, part: &OwedPart, now: Timestamp) {
        let status = self.gate.refusal_status(&part.provider);
        let open = Open { part: Some(part.number), acknowledged: Some(part.id), ..Open::of(part.records.clone(), now) };
        self.pen().write_outcome(&open, Outcome::Refused(status), None, now);
        self.gate.report(&part.provider, &part.frame, part.id, State::Rejected(status), part.received, now);
    }
}

impl Gate {
    /// Records which acknowledged parts were not sent before the process ends: the next one may send
    /// them, where otherwise it could not know.
    pub fn close(&self, now: Timestamp) {
        for owed in self.accounts.unsent() {
            let Owed::Part(part) = owed else { continue };
            let pen = Pen::absent(self, &part.provider);
            let open =
                Open { part: Some(part.number), acknowledged: Some(part.id), ..Open::of(part.records.clone(), now) };
            pen.write_outcome(&open, Outcome::NotForwarded, None, now);
        }
    }

    /// Hands on something owed, and ends what gives way to it.
    pub(in crate::gate) fn post(&self, owed: Owed, now: Timestamp) {
        let Some(oldest) = self.accounts.post(owed) else { return };
        let provider = oldest.provider().to_owned();
        tracing::error!(provider, "too much is owed to a provider without a fitting bind: the oldest is given up");
        match oldest {
            Owed::Part(part) => self.give_up_part(part, now),
            Owed::Report(report) => {
                self.untold(&provider, report.id, &(report.subscriber, report.port), report.state, now);
            }
            Owed::Withdrawal(withdrawal) => {
                Pen::absent(self, &provider).write_withdrawn(&withdrawal, "given-up", 0, now);
            }
        }
    }

    fn give_up_part(&self, part: OwedPart, now: Timestamp) {
        let status = CommandStatus::ESME_RMSGQFUL;
        let OwedPart { provider, id, number, frame, records, received, .. } = part;
        let open = Open { part: Some(number), acknowledged: Some(id), ..Open::of(records, now) };
        let pen = Pen::absent(self, &provider);
        pen.write_outcome(&open, Outcome::Refused(status), None, now);
        let state = State::Undeliverable(status);
        let report = self.report_on(&provider, &frame, id, state, received, now);
        // One that had to be kept would make another give way.
        if !report.is_some_and(|report| self.accounts.offer(Owed::Report(report))) {
            self.untold(&provider, id, &super::long::parties(&frame), state, now);
        }
    }

    /// Tells a provider of an acknowledged part's end, or records that it did not ask to be told.
    pub(in crate::gate) fn report(
        &self,
        provider: &str,
        part: &Frame,
        id: EntryId,
        state: State,
        received: Timestamp,
        now: Timestamp,
    ) {
        match self.report_on(provider, part, id, state, received, now) {
            Some(report) => self.post(Owed::Report(report), now),
            None => self.untold(provider, id, &super::long::parties(part), state, now),
        }
    }

    fn report_on(
        &self,
        provider: &str,
        part: &Frame,
        id: EntryId,
        state: State,
        received: Timestamp,
        now: Timestamp,
    ) -> Option<Report> {
        let frame = receipt(part, id, state, received, now, &self.profile.time_zone)?;
        let (subscriber, port) = super::long::parties(part);
        let provider = provider.to_owned();
        let register = self.register.load();
        let route = register.port(port.as_bytes()).map(|port| port.number.clone()).unwrap_or_default();
        Some(Report { provider, id, frame, subscriber, port, route, state, attempts: 0, not_before: None })
    }

    /// An acknowledged part has ended, and its provider is not told.
    pub(super) fn untold(&self, provider: &str, id: EntryId, parties: &(String, String), state: State, now: Timestamp) {
        let pen = Pen::absent(self, provider);
        let _logged = pen.write_report(id, (&parties.0, &parties.1), state.word().0, false, now);
    }

    /// Whether the subscriber has refused the sender since the verdict.
    fn is_refused_since(&self, part: &OwedPart, now: Timestamp) -> bool {
        part.marketing.as_ref().is_some_and(|who| self.has_refused(who, &part.provider, now))
    }

    /// Whether a subscriber has refused a sender, all of the provider's, or everybody.
    pub(in crate::gate) fn has_refused(
        &self,
        (sender, msisdn): &(String, u64),
        provider: &str,
        now: Timestamp,
    ) -> bool {
        if self.do_not_disturb.has(*msisdn) {
            return true;
        }
        let register = self.register.load();
        let unknown = Towards { sender, former: &[], provider: Some(provider) };
        let towards = register.sender(sender).map_or(unknown, |sender| facts::towards(sender, Some(provider)));
        let standing = self.consents.standing(towards, *msisdn, now.as_millisecond());
        // A store that cannot answer does not change a verdict that stands.
        standing.is_ok_and(|standing| standing.refused_at_ms.is_some())
    }

    pub(super) fn refusal_status(&self, provider: &str) -> CommandStatus {
        let register = self.register.load();
        let codes = register.provider(provider).map(|provider| provider.codes).unwrap_or_default();
        crate::rules::Code::Own(2).status(codes, self.profile.code_base)
    }
}

/// An acknowledged part whose message may pass becomes something owed.
pub(super) fn owed_part(
    provider: &str,
    part: &Part,
    frame: Frame,
    records: Vec<Sent>,
    permit: Permit,
    marketing: Option<(String, u64)>,
) -> Option<OwedPart> {
    let Holder::Acknowledged { id } = part.holder else { return None };
    let (provider, number, received) = (provider.to_owned(), part.number, part.received);
    Some(OwedPart {
        provider,
        id,
        number,
        frame,
        records,
        permit,
        marketing,
        received,
        alone: false,
        attempts: 0,
        not_before: None,
    })
}

/// Nothing is sent before the verdict on it is on disk: a restart must not send it twice.
fn is_recorded(part: &OwedPart, progress: &Progress) -> bool {
    Settling::of(part.records.last().map(|sent| sent.sequence)).is_settled_by(progress)
}

/// Whether a report is to be sent again.
const fn wants_another(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Answered(status) | Outcome::Nacked(status) => is_temporary(status),
        _ => true,
    }
}

/// Statuses that ask for another try (rulebook §3).
const fn is_temporary(status: CommandStatus) -> bool {
    matches!(
        status,
        CommandStatus::ESME_RSYSERR
            | CommandStatus::ESME_RMSGQFUL
            | CommandStatus::ESME_RTHROTTLED
            | CommandStatus::ESME_RX_T_APPN
    )
}

const fn place(asking: Leg) -> usize {
    match asking {
        Leg::Provider => 0,
        Leg::Carrier => 1,
    }
}
