//! Whether a refusal sent to a port would be honoured, tried with a reply that nobody sent.
//!
//! Owns the synthetic reply: from a number that no country gives out, read, recorded, judged and stored as any
//! other, and passed on to nobody. Refuses to guess: each step says what was found. Driven by `portcullis probe`.

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, DataCoding};
use portcullis_protocol::pdu::DeliverSm;
use portcullis_protocol::text::{gsm7, ucs2};
use portcullis_protocol::{CommandStatus, Frame, Pdu};
use serde::{Deserialize, Serialize};

use super::context::{self, LastMessage};
use super::{Effect, Reply, port_of};
use crate::gate::record::port_key;
use crate::gate::{Desk, Gate, Moment};
use crate::register::{Provider, Register};
use crate::rules::reply::{Said, Taken};
use crate::store::Health;
use crate::store::consents::Towards;

/// The subscriber that replies: the country code 999 is reserved, and this no number of it.
const SYNTHETIC: &str = "999000000000";
const SYNTHETIC_NUMBER: u64 = 999_000_000_000;

/// One step: what it is about, and what was found, good or bad.
type Found = (&'static str, Result<String, String>);

/// The most characters an address has.
const LONGEST_PORT: usize = 20;
/// The most characters of a keyword that are tried.
const LONGEST_KEYWORD: usize = 40;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The number the reply went to.
    pub port: String,
    /// What it said.
    pub keyword: String,
    /// Whether a subscriber who sends it there refuses.
    pub honoured: bool,
    /// What was looked at, in order.
    pub steps: Vec<Step>,
}

/// One thing that must be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `register`, `route`, `journal`, `reply` or `consents`.
    pub of: String,
    /// Whether it is.
    pub good: bool,
    /// What was found.
    pub found: String,
}

impl Probe {
    fn step(&mut self, of: &str, found: Result<String, String>) -> bool {
        let good = found.is_ok();
        let found = found.unwrap_or_else(|found| found);
        self.steps.push(Step { of: of.to_owned(), good, found });
        good
    }
}

impl Gate {
    /// Sends the keyword to the port, in nobody's name.
    pub async fn probe(self: &Arc<Self>, port: &str, keyword: &str, now: Moment) -> Probe {
        let mut probe =
            Probe { port: port.to_owned(), keyword: keyword.to_owned(), honoured: false, steps: Vec::new() };
        let register = self.register.load_full();
        let provider = match self.provider_to_probe(&register, port) {
            Ok((provider, found)) => {
                probe.step("register", Ok(found));
                provider
            }
            Err(found) => {
                probe.step("register", Err(found));
                return probe;
            }
        };
        let known = port_of(&register, port).0.map_or(port, |known| &known.number);
        let route = probe.step("route", self.route(provider, known, now.wall));
        let heard = self.heard(&register, provider, port, keyword, now);
        let recorded = match &heard {
            Ok(Some(reply)) => self.settled(reply.sequence).await.map_err(|failure| failure.to_string()),
            Ok(None) => Ok(()),
            Err(found) => Err(found.clone()),
        };
        if !probe.step("journal", recorded.and_then(|()| self.recorded())) {
            return probe;
        }
        let Ok(Some(reply)) = heard else {
            probe.step("reply", Err(self.unheard(&register, port, keyword)));
            return probe;
        };
        let (gate, at) = (Arc::clone(self), now.wall);
        let concluded = tokio::task::spawn_blocking(move || gate.conclude_probe(&register, &reply, at)).await;
        let steps = concluded.unwrap_or_else(|error| vec![("reply", Err(error.to_string()))]);
        let good = steps.into_iter().fold(true, |good, (of, found)| probe.step(of, found) && good);
        probe.honoured = route && good;
        probe
    }

    fn provider_to_probe<'r>(&self, register: &'r Register, port: &str) -> Result<(&'r Provider, String), String> {
        if port.len() > LONGEST_PORT || !port.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(format!("{port:?} is no address: at most {LONGEST_PORT} characters"));
        }
        let (Some(known), class) = port_of(register, port) else {
            return Err(format!("{port} is no port of the register, nor an extension of one"));
        };
        let Some(provider) = register.provider_of(port_key(port).as_bytes()) else {
            return Err(format!("no provider's numbers cover {port}: nothing is sent from it"));
        };
        let what = format!("{class} port {} of {}, provider {}", known.number, known.sender, provider.system_id);
        match (known.active, known.replies) {
            (false, _) => Err(format!("{what}: it is withdrawn")),
            (_, false) => Err(format!("{what}: its replies do not reach the gate (replies = false)")),
            (true, true) if class.is_sheltered() => {
                Err(format!("{what}: messages of this class go on whatever is replied, which is only recorded"))
            }
            (true, true) => Ok((provider, what)),
        }
    }

    /// The bind by which the carrier may deliver a reply: the carrier binds as the provider does.
    fn route(&self, provider: &Provider, port: &str, now: Timestamp) -> Result<String, String> {
        let id = &provider.system_id;
        let seen = self.routes.see(id, port);
        let Some(first) = seen.taking.first() else {
            let since = self.routes.lost(id, port, now).map(|since| format!(" since {since:.0}")).unwrap_or_default();
            return Err(match seen.refusing.first() {
                None => format!("no bind of {id} can receive{since}: the carrier has no way to deliver a reply"),
                Some(bind) => format!(
                    "no bind of {id} takes replies to {port}{since}: {} can receive, session {} with {}",
                    seen.refusing.len(),
                    bind.session,
                    bind.range
                ),
            });
        };
        let more = match seen.taking.len() - 1 {
            0 => String::new(),
            more => format!(", or by one of {more} more"),
        };
        let peer = self.sessions.peer(first.session).map(|peer| format!(" from {peer}")).unwrap_or_default();
        Ok(format!("it may come in by session {} of {id}{peer}, {}{more}", first.session, first.range))
    }

    /// The way of a delivery up to what is heard in it, its record included.
    fn heard(
        self: &Arc<Self>,
        register: &Register,
        provider: &Provider,
        port: &str,
        keyword: &str,
        now: Moment,
    ) -> Result<Option<Reply>, String> {
        if !(1..=LONGEST_KEYWORD).contains(&keyword.chars().count()) {
            return Err(format!("a keyword has 1 to {LONGEST_KEYWORD} characters"));
        }
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let place = self.sessions.enter(nowhere, now.wall).map_err(|full| full.to_string())?;
        let (mut desk, _mail) = Desk::new(Arc::clone(self), place, None, now.monotonic);
        desk.hear_probe(register, provider, &delivery(port, keyword), now.wall)
    }

    /// Whether what was written last got to disk.
    fn recorded(&self) -> Result<String, String> {
        let health = self.journal.progress().borrow().health.clone();
        match health {
            Health::Up => Ok("the reply is recorded as any other, in the name of nobody (peer \"probe\")".to_owned()),
            Health::Down { reason } => Err(format!("it cannot write ({reason}): a reply would have to come again")),
        }
    }

    fn unheard(&self, register: &Register, port: &str, keyword: &str) -> String {
        let (known, _) = port_of(register, port);
        let own = known.and_then(|port| port.opt_out.as_ref()).map(|own| own.join(", "));
        let own = own.map_or_else(|| "the profile's".to_owned(), |own| format!("{own} and the profile's"));
        format!("{keyword:?} is no keyword on this port (those are {own}), nor does it refuse in words")
    }

    /// The decision, and what became of it; the last message that went from the port to anybody stands for the
    /// one that a subscriber answers.
    fn conclude_probe(&self, register: &Register, reply: &Reply, now: Timestamp) -> Vec<Found> {
        match self.try_probe(register, reply, now) {
            Ok(steps) => steps,
            Err(failure) => vec![("reply", Err(failure.to_string()))],
        }
    }

    fn try_probe(&self, register: &Register, reply: &Reply, now: Timestamp) -> Result<Vec<Found>, super::Failure> {
        let mut question = self.ask(register, reply)?;
        let mut about = String::new();
        if matches!(reply.said, Said::Word(_)) {
            let since = now.saturating_sub(self.profile.replies.look_back).unwrap_or(Timestamp::MIN);
            let last = context::last_from(&self.journal, &reply.port, reply.entry, since)?;
            about = told(last.as_ref(), &reply.text);
            question.last = Some(last.unwrap_or_else(|| assumed(reply, now)));
        }
        let (taken, effect) = self.conclude(reply, &question)?;
        let sender = question.sender.unwrap_or_default();
        let meant = match taken {
            Taken::Refuse(_) => Ok(format!("R23 takes it for a refusal of {sender}{about}")),
            Taken::Grant { .. } => Err(format!("R24 takes it for a consent{about}")),
            Taken::RecordOnly => Err(format!("it is only recorded{about}")),
            Taken::Nothing => Err(format!("it refuses nothing{about}: such a letter counts where it was offered")),
        };
        let mut steps = vec![("reply", meant)];
        if matches!(taken, Taken::Refuse(_)) {
            let provider = question.provider.map(|provider| provider.system_id.as_str());
            let towards = Towards { sender: &sender, former: &[], provider };
            steps.push(("consents", self.read_back(towards, effect, now)));
        }
        Ok(steps)
    }

    /// What the consents hold after it.
    fn read_back(&self, towards: Towards<'_>, effect: Effect, now: Timestamp) -> Result<String, String> {
        match effect {
            Effect::Stored => {}
            Effect::Observed => return Err("R23 is only observed here: nothing was stored".to_owned()),
            Effect::Off => return Err("R23 is off here: nothing was stored".to_owned()),
            Effect::Nobody | Effect::None => return Err("nothing was stored: the port has no known sender".to_owned()),
        }
        let standing = self.consents.standing(towards, SYNTHETIC_NUMBER, now.as_millisecond());
        let standing = standing.map_err(|error| error.to_string())?;
        match standing.refused_at_ms {
            Some(at) if at >= now.as_millisecond() => {
                Ok(format!("the refusal is on disk and read back, for {SYNTHETIC} only (method \"probe\")"))
            }
            _ => Err("the refusal was stored and is not read back".to_owned()),
        }
    }
}

/// The message that a letter answers, in words.
fn told(last: Option<&LastMessage>, keyword: &str) -> String {
    match last {
        Some(last) => format!(", after the port's last message ({}, {:.0})", last.id, last.at),
        None => format!(", after a message that offers {keyword} (none went from the port within look_back)"),
    }
}

/// What a subscriber would have been told.
fn assumed(reply: &Reply, now: Timestamp) -> LastMessage {
    let text = format!("拒收请回复{}", reply.text);
    LastMessage { id: reply.entry, at: now, text, sender: None, is_answered: true }
}

/// The keyword as a carrier delivers it.
fn delivery(port: &str, keyword: &str) -> Frame {
    let (data_coding, octets) = match gsm7::encode(keyword) {
        Some(octets) => (DataCoding::DEFAULT, octets),
        None => (DataCoding::UCS2, ucs2::encode(keyword)),
    };
    let deliver = DeliverSm {
        source: Address { ton: Ton::INTERNATIONAL, npi: Npi::ISDN, addr: COctetString(SYNTHETIC.as_bytes()) },
        destination: Address { ton: Ton::UNKNOWN, npi: Npi::ISDN, addr: COctetString(port.as_bytes()) },
        data_coding,
        short_message: &octets,
        ..DeliverSm::default()
    };
    Pdu::DeliverSm(deliver).to_frame(CommandStatus::ESME_ROK, 1)
}
