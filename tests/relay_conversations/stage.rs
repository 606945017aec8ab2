//! The stage a script is played on: the relay, a clock, and a driver that waits where told.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::relay::{
    Action, BindGrant, Cause, Credentials, Decision, Event, Leg, Outcome, Relay, RelayConfig, Ticket,
};
use portcullis::rules::Permit;
use portcullis_protocol::{CommandStatus, Frame, FrameFault};

use super::pdu;

/// What the gate does without being told, unless the script says `manual …`.
#[derive(Clone, Copy)]
struct Manual {
    bind: bool,
    connect: bool,
    judge: bool,
    record: bool,
}

pub(crate) struct Stage {
    config: RelayConfig,
    manual: Manual,
    origin: Instant,
    now: Instant,
    relay: Option<Relay>,
    /// Frames a peer sent that the relay does not want yet.
    unread: [VecDeque<Frame>; 2],
    judged: Vec<(Ticket, Option<Frame>)>,
    numbers: HashMap<Ticket, usize>,
    log: VecDeque<(Duration, String)>,
}

impl Default for Stage {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin of virtual time")]
    fn default() -> Self {
        let origin = Instant::now();
        Self {
            config: RelayConfig { enquire_link_interval: Duration::ZERO, ..RelayConfig::default() },
            manual: Manual { bind: false, connect: false, judge: false, record: false },
            origin,
            now: origin,
            relay: None,
            unread: [VecDeque::new(), VecDeque::new()],
            judged: Vec::new(),
            numbers: HashMap::new(),
            log: VecDeque::new(),
        }
    }
}

impl Stage {
    pub(crate) fn play(&mut self, line: &str) -> Result<(), String> {
        let (first, rest) = line.split_once(' ').ok_or("one word is no line")?;
        match first {
            "set" => self.set(rest),
            "manual" => self.set_manual(rest),
            "bound" => self.bind_as(rest),
            _ => {
                let seconds: f64 = first.parse().map_err(|_| format!("not a time: {first}"))?;
                let (who, what) = rest.trim().split_once(' ').ok_or("who does what?")?;
                self.at(Duration::from_secs_f64(seconds), who, what.trim())
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), String> {
        self.collect();
        match self.log.front() {
            None => Ok(()),
            Some((at, line)) => Err(format!("not in the script: {} {line}", at.as_secs_f64())),
        }
    }

    fn set(&mut self, rest: &str) -> Result<(), String> {
        let (name, value) = rest.split_once(' ').ok_or("set what to what?")?;
        let seconds = value.parse().map(Duration::from_secs_f64).map_err(|_| format!("not a number: {value}"))?;
        let config = &mut self.config;
        match name {
            "session-init-timeout" => config.session_init_timeout = seconds,
            "connect-timeout" => config.connect_timeout = seconds,
            "response-timeout" => config.response_timeout = seconds,
            "enquire-link-interval" => config.enquire_link_interval = seconds,
            "inactivity-timeout" => config.inactivity_timeout = seconds,
            "unbind-timeout" => config.unbind_timeout = seconds,
            "drain-timeout" => config.drain_timeout = seconds,
            "provider-window" => config.provider_window = pdu::number(value)? as usize,
            "reject-over-window" => config.reject_over_window = pdu::number(value)? != 0,
            "carrier-window" => config.carrier_window = pdu::number(value)? as usize,
            "bind-attempts" => config.bind_attempts = pdu::number(value)?,
            _ => return Err(format!("no such setting: {name}")),
        }
        Ok(())
    }

    fn set_manual(&mut self, rest: &str) -> Result<(), String> {
        for word in rest.split_whitespace() {
            match word {
                "bind" => self.manual.bind = true,
                "connect" => self.manual.connect = true,
                "judge" => self.manual.judge = true,
                "record" => self.manual.record = true,
                _ => return Err(format!("the gate does not {word}")),
            }
        }
        Ok(())
    }

    /// Binds before the script's first line; nothing of it is expected there.
    fn bind_as(&mut self, kind: &str) -> Result<(), String> {
        let manual = self.manual;
        self.manual.bind = false;
        self.manual.connect = false;
        self.at(Duration::ZERO, "provider", &format!("-> bind_{kind} seq=1"))?;
        self.at(Duration::ZERO, "carrier", &format!("<- bind_{kind} seq=1"))?;
        self.at(Duration::ZERO, "carrier", &format!("-> bind_{kind}_resp seq=1"))?;
        self.at(Duration::ZERO, "provider", &format!("<- bind_{kind}_resp seq=1"))?;
        self.manual = manual;
        Ok(())
    }

    fn at(&mut self, time: Duration, who: &str, what: &str) -> Result<(), String> {
        self.wait_until(time)?;
        let leg = match who {
            "provider" => Leg::Provider,
            "carrier" => Leg::Carrier,
            "gate" => return self.gate(time, what),
            "journal" => return self.expect(time, &format!("journal {what}")),
            "counts" => return self.count(what),
            _ => return Err(format!("nobody is called {who}")),
        };
        match what.split_once(' ').unwrap_or((what, "")) {
            ("->", rest) => {
                let frame = pdu::parse(rest)?;
                self.unread[leg as usize].push_back(frame);
                self.settle();
            }
            ("!>", rest) => {
                let frame = pdu::parse(rest)?;
                self.tell(Event::Received { leg, frame });
            }
            ("<-", rest) => {
                let wanted = if rest == "close" { rest.to_owned() } else { pdu::print(&pdu::parse(rest)?) };
                return self.expect(time, &format!("{who} <- {wanted}"));
            }
            ("breaks", rest) => {
                let fault = FrameFault::TooShort { command_length: pdu::number(rest)? };
                self.tell(Event::Faulted { leg, fault });
            }
            ("closes", "") => self.tell(Event::Closed { leg, cause: Cause::Eof }),
            ("resets", "") => self.tell(Event::Closed { leg, cause: Cause::Reset }),
            ("fails", "") => self.tell(Event::Closed { leg, cause: Cause::Io }),
            ("is", how @ ("held" | "read")) => {
                let read = self.relay().wants_input(leg);
                return if read == (how == "read") { Ok(()) } else { Err("it is not".to_owned()) };
            }
            _ => return Err("not a line this stage knows".to_owned()),
        }
        Ok(())
    }

    fn gate(&mut self, time: Duration, what: &str) -> Result<(), String> {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        match verb {
            "grants" => {
                let decision = Ok(grant(rest)?);
                self.tell(Event::BindJudged { decision });
            }
            "refuses-bind" => {
                let decision = Err(CommandStatus(pdu::number(rest)?));
                self.tell(Event::BindJudged { decision });
            }
            "connects" => self.tell(Event::CarrierConnected),
            "cannot-connect" => self.tell(Event::CarrierUnreachable),
            "drains" => self.tell(Event::Drain),
            "forwards" => self.decide(rest, Decision::Forward(Permit::unjudged("script")))?,
            "acknowledges" => {
                let (number, body) = rest.split_once(" body=").ok_or("acknowledges #n body=message_id")?;
                self.decide(number, Decision::Acknowledge { body: Bytes::from(pdu::unescape(body)?) })?;
            }
            "originates" => self.originate(rest)?,
            "refuses" => {
                let (number, rest) = rest.split_once(' ').ok_or("refuses #n status")?;
                let (status, body) = rest.split_once(" body=").unwrap_or((rest, ""));
                let body = Bytes::from(pdu::unescape(body)?);
                self.decide(number, Decision::Refuse { status: CommandStatus(pdu::number(status)?), body })?;
            }
            "records" => {
                let (number, answer) = match rest.split_once(" answer=") {
                    Some((number, pdu)) => (number, Some(pdu::parse(pdu)?)),
                    None => (rest, None),
                };
                let (ticket, _) = self.judged[ordinal(number)?];
                self.tell(Event::Recorded { ticket, answer });
            }
            _ => return self.expect(time, &format!("gate {what}")),
        }
        Ok(())
    }

    fn decide(&mut self, number: &str, decision: Decision) -> Result<(), String> {
        let (ticket, frame) = self.judged.get_mut(ordinal(number)?).ok_or("no such message")?;
        let frame = frame.take().ok_or("it was decided before")?;
        let ticket = *ticket;
        self.tell(Event::Judged { ticket, frame, decision });
        Ok(())
    }

    /// A request of the gate's own, numbered with the judged ones; `cannot` where it is not taken.
    fn originate(&mut self, what: &str) -> Result<(), String> {
        let (leg, rest) = what.split_once(' ').ok_or("originates to-carrier|to-provider PDU")?;
        let asking = match leg {
            "to-carrier" => Leg::Provider,
            "to-provider" => Leg::Carrier,
            _ => return Err(format!("to whom? {leg}")),
        };
        let (rest, wanted) = rest.strip_prefix("cannot ").map_or((rest, true), |rest| (rest, false));
        let (frame, now) = (pdu::parse(rest)?, self.now);
        let ticket = self.relay().originate(asking, frame, Permit::unjudged("script"), now);
        if ticket.is_some() != wanted {
            return Err(format!("taken: {}", ticket.is_some()));
        }
        if let Some(ticket) = ticket {
            self.judged.push((ticket, None));
            self.numbers.insert(ticket, self.judged.len());
        }
        self.settle();
        Ok(())
    }

    fn count(&mut self, what: &str) -> Result<(), String> {
        let counts = format!("{:?}", self.relay().snapshot().counts).replace(": ", "=");
        for word in what.split_whitespace() {
            if !counts.split([' ', ',']).any(|count| count == word) {
                return Err(format!("counted {counts}"));
            }
        }
        Ok(())
    }

    fn expect(&mut self, time: Duration, wanted: &str) -> Result<(), String> {
        self.collect();
        match self.log.pop_front() {
            None => Err("nothing of the kind happened".to_owned()),
            Some((at, line)) if at == time && line == wanted => Ok(()),
            Some((at, line)) => Err(format!("instead: {} {line}", at.as_secs_f64())),
        }
    }

    /// Lets the clock run, every timer at its instant.
    fn wait_until(&mut self, time: Duration) -> Result<(), String> {
        let until = self.origin + time;
        if until < self.now {
            return Err("time runs backwards".to_owned());
        }
        while let Some(due) = self.relay().poll_timeout().filter(|due| *due <= until) {
            self.collect();
            let before = self.log.len();
            self.now = self.now.max(due);
            let now = self.now;
            self.relay().handle_timeout(now);
            self.settle();
            if self.log.len() == before && self.relay().poll_timeout().is_some_and(|next| next <= now) {
                return Err("a timer that is due does nothing".to_owned());
            }
        }
        self.now = until;
        Ok(())
    }

    fn relay(&mut self) -> &mut Relay {
        self.relay.get_or_insert_with(|| Relay::new(self.config.clone(), self.now))
    }

    fn tell(&mut self, event: Event) {
        let now = self.now;
        self.relay().handle_event(event, now);
        self.settle();
    }

    /// Does what the relay asks and reads what it wants, until neither is left.
    fn settle(&mut self) {
        loop {
            self.collect();
            let leg = Leg::BOTH.into_iter().find(|leg| {
                !self.unread[*leg as usize].is_empty()
                    && self.relay.as_ref().is_none_or(|relay| relay.wants_input(*leg))
            });
            let Some(leg) = leg else { return };
            if let Some(frame) = self.unread[leg as usize].pop_front() {
                let now = self.now;
                self.relay().handle_event(Event::Received { leg, frame }, now);
            }
        }
    }

    fn collect(&mut self) {
        while let Some(action) = self.relay().poll_action() {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        let now = self.now;
        match action {
            Action::JudgeBind { .. } if self.manual.bind => self.note("gate judges-bind".to_owned()),
            Action::JudgeBind { .. } => {
                self.relay().handle_event(Event::BindJudged { decision: Ok(BindGrant::default()) }, now);
            }
            Action::Connect if self.manual.connect => self.note("gate dials".to_owned()),
            Action::Connect => self.relay().handle_event(Event::CarrierConnected, now),
            Action::Send { leg, frame } => self.note(format!("{} <- {}", who(leg), pdu::print(&frame))),
            Action::Judge { ticket, leg, frame } => self.judge(ticket, leg, frame),
            Action::Record { ticket, outcome } => {
                self.note(format!("journal #{} {}", self.numbers[&ticket], print(outcome)));
                if !self.manual.record {
                    self.relay().handle_event(Event::Recorded { ticket, answer: None }, now);
                }
            }
            Action::Close { leg } => {
                self.unread[leg as usize].clear();
                self.note(format!("{} <- close", who(leg)));
            }
            Action::Ended(ending) => self.note(format!("gate ends {}", ending.name())),
        }
    }

    fn judge(&mut self, ticket: Ticket, leg: Leg, frame: Frame) {
        let number = self.judged.len() + 1;
        self.numbers.insert(ticket, number);
        if self.manual.judge {
            self.note(format!("gate judges #{number} {} of the {}", pdu::name(frame.command_id()), who(leg)));
            return self.judged.push((ticket, Some(frame)));
        }
        self.judged.push((ticket, None));
        let decision = Decision::Forward(Permit::unjudged("script"));
        let now = self.now;
        self.relay().handle_event(Event::Judged { ticket, frame, decision }, now);
    }

    fn note(&mut self, line: String) {
        self.log.push_back((self.now - self.origin, line));
    }
}

fn who(leg: Leg) -> &'static str {
    match leg {
        Leg::Provider => "provider",
        Leg::Carrier => "carrier",
    }
}

fn print(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(status) => format!("refused {:#x}", status.0),
        Outcome::Acknowledged => "acknowledged".to_owned(),
        Outcome::NotForwarded => "not-forwarded".to_owned(),
        Outcome::Answered(status) => format!("answered {:#x}", status.0),
        Outcome::Nacked(status) => format!("nacked {:#x}", status.0),
        Outcome::TimedOut => "timed-out".to_owned(),
        Outcome::CarrierLost => "carrier-lost".to_owned(),
        Outcome::ProviderLost => "provider-lost".to_owned(),
        Outcome::Abandoned => "abandoned".to_owned(),
    }
}

fn ordinal(text: &str) -> Result<usize, String> {
    let number = pdu::number(text.strip_prefix('#').ok_or("#n names a message")?)? as usize;
    number.checked_sub(1).ok_or_else(|| "the first message is #1".to_owned())
}

fn grant(text: &str) -> Result<BindGrant, String> {
    let mut grant = BindGrant::default();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("window", value)) => grant.window = Some(pdu::number(value)? as usize),
            Some(("as", value)) => {
                let mut fields = value.split('/').map(|field| field.as_bytes().to_vec());
                let mut next = || fields.next().ok_or("as=system_id/password[/system_type]".to_owned());
                grant.credentials =
                    Some(Credentials { system_id: next()?, password: next()?, system_type: next().ok() });
            }
            _ => return Err(format!("not granted: {word}")),
        }
    }
    Ok(grant)
}
