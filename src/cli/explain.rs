//! `portcullis explain`: the whole reasoning on one record.
//!
//! Owns the finding of the record and of what belongs to it, in the running gate's journal or on the
//! store, and the printing. Refuses to change anything. The account itself is `gate::explain`'s.

mod print;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use portcullis_protocol::CommandId;
use serde::Serialize;

use super::showing::{self, Showing};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::clock;
use crate::config::Config;
use crate::gate::DoNotDisturb;
use crate::gate::again::Bench;
use crate::gate::evidence::{self, Found, FoundChange, FoundDelivery, FoundMessage, FoundSession, Query};
use crate::gate::explain::{Case, ExplainedMessage, ExplainedReply, explain_message, explain_reply};
use crate::gate::readings::FoundReading;
use crate::gate::record::{self, Kept, Name, Record, entry_id};
use crate::register::Register;
use crate::rules::Msisdn;
use crate::store::EntryId;
use crate::store::consents::Held;

/// Why a message was judged as it was, or what a reply was taken for.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis explain 20261124-000000123 --config portcullis.toml
  portcullis explain --message-id 4F2A --json | jq .rules

RECORD is the name that `journal find` prints. The record of an outcome, a part or a report leads to its message.
Told are: the text with what was found in it; every rule with its mode, result and article; the consent or refusal
it rested on, as it was known then and as it is known today; the profile and register it was judged by; and what
judging it again comes to, by the profile and register of the configuration.")]
pub(super) struct ExplainArgs {
    /// The record's name
    #[arg(required_unless_present = "message_id", conflicts_with = "message_id")]
    record: Option<String>,
    /// The carrier's name for the message, or the gate's own for a part it acknowledged
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON, one line for each record
    #[arg(long)]
    json: bool,
}

/// One record, accounted for.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Account {
    Message(Box<ExplainedMessage>),
    Reply(Box<ExplainedReply>),
    Session(FoundSession),
    Change(FoundChange),
    Reading(FoundReading),
}

impl Account {
    /// Whose numbers stand in it.
    fn subscribers(&self) -> Vec<String> {
        let of = |message: &FoundMessage| {
            [message.msisdn.map(|n| n.to_string()).unwrap_or_default(), message.destination.clone()]
        };
        match self {
            Self::Message(told) => {
                let others = told.others.iter().map(|other| other.destination.clone());
                of(&told.message).into_iter().chain(others).collect()
            }
            Self::Reply(told) => vec![told.delivery.source.clone()],
            Self::Change(change) => change.subscriber.iter().cloned().collect(),
            Self::Reading(reading) => reading.subscriber.iter().cloned().collect(),
            Self::Session(_) => Vec::new(),
        }
    }

    fn hide_octets(&mut self) {
        let opaque = match self {
            Self::Message(told) => &mut told.message.opaque,
            Self::Reply(told) => &mut told.delivery.opaque,
            Self::Session(_) | Self::Change(_) | Self::Reading(_) => return,
        };
        if let Some(opaque) = opaque {
            evidence::hide_octets(opaque);
        }
    }
}

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let lists = DoNotDisturb::load(&config.do_not_disturb).map_err(Failure::Config)?;
    let access = &mut Access::open(&config)?;
    let mut desk = Desk { access, config: &config, register: &register, lists: &lists };
    let what = args.record.as_ref().map_or("--message-id", |_| "");
    let reading = args.showing.reading("explain").with(what, args.record.as_ref().or(args.message_id.as_ref()));
    showing::begin(desk.access, reading)?;
    let names = match (&args.record, &args.message_id) {
        (Some(name), _) => vec![name.clone()],
        (None, Some(id)) => desk.named(id)?,
        (None, None) => Vec::new(),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let accounts = names.len() as u64;
    for name in names {
        let mut account = desk.account(&name)?;
        if !args.showing.whole {
            account.hide_octets();
        }
        let told = if args.json {
            args.showing.json(&mut out, &account, account.subscribers())
        } else {
            args.showing.text(&mut out, account.subscribers(), |out| print::account(out, &account, &config.time_zone))
        };
        written(told)?;
    }
    written(out.flush())?;
    desk.access.end(accounts)?;
    Ok(())
}

/// An entry's name, content and signalling.
type Parts = (EntryId, Vec<u8>, Option<Vec<u8>>);

struct Desk<'d> {
    access: &'d mut Access,
    config: &'d Config,
    register: &'d Register,
    lists: &'d DoNotDisturb,
}

/// The account of one record as JSON, for whoever hands it over.
pub(super) fn account(
    access: &mut Access,
    config: &Config,
    register: &Register,
    lists: &DoNotDisturb,
    name: &str,
) -> Result<serde_json::Value, Failure> {
    let account = Desk { access, config, register, lists }.account(name)?;
    Ok(serde_json::to_value(account).map_err(io::Error::from)?)
}

impl Desk<'_> {
    fn account(&mut self, name: &str) -> Result<Account, Failure> {
        let wanted: EntryId = name.parse().map_err(|error| Failure::Usage(format!("{error}")))?;
        let (id, content, signalling) = self.entry(wanted)?.ok_or_else(|| missing(wanted))?;
        let kept = Kept::decode(&content, signalling.as_deref())
            .map_err(|error| Failure::Usage(format!("record {id}: {error}")))?;
        let leads_to = |of: Name| entry_id(of).ok_or_else(|| Failure::Usage(format!("record {id} names no record")));
        match &kept.record {
            Record::Submission(sent) => self.message(id, &kept, sent),
            Record::Long(long) => self.message(id, &kept, &long.submission),
            Record::Delivery(delivery) => self.reply(id, delivery),
            Record::Outcome(outcome) => self.follow(id, leads_to(outcome.of)?),
            Record::PartOutcome(part) => self.follow(id, leads_to(part.outcome.of)?),
            Record::Taken(taken) => self.follow(id, leads_to(taken.of)?),
            Record::Asked(asked) => self.follow(id, leads_to(asked.of)?),
            Record::Silence(silence) => self.follow(id, leads_to(silence.of)?),
            Record::Scheduled(scheduled) => self.follow(id, leads_to(scheduled.of)?),
            Record::Withdrawn(withdrawn) => self.follow(id, leads_to(withdrawn.message)?),
            Record::Part(_) => self.whole_of(id),
            Record::Report(report) => self.whole_of(leads_to(report.of)?),
            Record::Change(change) => Ok(Account::Change(FoundChange::new(id, change))),
            Record::Accessed(accessed) => Ok(Account::Reading(FoundReading::new(id, accessed))),
            Record::Session(session) => Ok(Account::Session(FoundSession::new(id, session).with(&kept))),
            _ => Err(Failure::Usage(format!(
                "record {id} is neither a message's nor a reply's: see `portcullis measures` and `complaint`"
            ))),
        }
    }

    /// A record that tells of another one, which came before it.
    fn follow(&mut self, from: EntryId, to: EntryId) -> Result<Account, Failure> {
        if from <= to {
            return Err(Failure::Usage(format!("record {from} tells of {to}, which is not before it")));
        }
        eprintln!("{from} tells what became of {to}");
        self.account(&to.to_string())
    }

    /// The message that a part belongs to: known by the name the part was acknowledged under.
    fn whole_of(&mut self, part: EntryId) -> Result<Account, Failure> {
        let whole = self.named(&part.to_string())?.into_iter().find(|name| *name != part.to_string());
        let whole = whole.ok_or_else(|| {
            Failure::Usage(format!("{part} is a part that was acknowledged; its message is not judged yet"))
        })?;
        eprintln!("{part} is a part of {whole}");
        self.account(&whole)
    }

    fn message(&mut self, id: EntryId, kept: &Kept<'_>, sent: &record::Submission<'_>) -> Result<Account, Failure> {
        let subscriber = record::subscriber_key(sent.msisdn, &sent.destination.addr).into_owned();
        let to = Some(subscriber).filter(|key| !key.is_empty());
        let fate = match to {
            Some(to) => self.at(sent.received_ms, Query { to: Some(to), ..Query::default() })?,
            None => Vec::new(),
        };
        let message = fate.into_iter().find(|message| message.id == id.to_string());
        let Some(message) = message.or_else(|| evidence::message(id, kept)) else {
            return Err(Failure::Usage(format!("record {id} is no message's")));
        };
        let others = match CommandId(sent.command_id) {
            CommandId::SUBMIT_MULTI if !sent.source.addr.is_empty() => {
                let from = Some(sent.source.addr.to_string());
                self.at(sent.received_ms, Query { from, ..Query::default() })?
            }
            _ => Vec::new(),
        };
        // Where the signalling has expired only the text tells the recipients of one PDU from those of another.
        let is_other = |other: &FoundMessage| {
            other.id != message.id
                && other.text == message.text
                && (other.session, other.sequence_number) == (message.session, message.sequence_number)
        };
        let events = self.events(sent.msisdn)?;
        let case = Case {
            others: others.into_iter().filter(is_other).collect(),
            message,
            record: sent,
            grounds: kept.grounds.as_ref(),
            events: &events,
            lists: self.lists,
            bench: self.bench(),
            now: clock::wall(),
        };
        Ok(Account::Message(Box::new(explain_message(case))))
    }

    fn reply(&mut self, id: EntryId, record: &record::Delivery<'_>) -> Result<Account, Failure> {
        let to = record::subscriber_key(record.msisdn, &record.source.addr).into_owned();
        let query = Query { to: Some(to), ..Query::default() };
        let mut found = None;
        for line in self.find(record.received_ms, query)? {
            if let Found::Delivery(delivery) = line
                && delivery.id == id.to_string()
            {
                found = Some(delivery);
            }
        }
        // A receipt is found with its message, and so not by itself.
        let delivery = found.unwrap_or_else(|| FoundDelivery::new(id, record));
        let answers = match delivery.taken.as_ref().and_then(|taken| taken.answers.clone()) {
            Some(name) => self.sent(&name)?,
            None => None,
        };
        let events = self.events(record.msisdn)?;
        Ok(Account::Reply(Box::new(explain_reply(delivery, answers, &events, self.bench()))))
    }

    fn bench(&self) -> Bench<'_> {
        Bench { register: self.register, profile: &self.config.profile }
    }

    /// The message of that name by itself.
    fn sent(&mut self, name: &str) -> Result<Option<FoundMessage>, Failure> {
        let id: EntryId = name.parse().map_err(|error| Failure::Usage(format!("{error}")))?;
        let Some((id, content, signalling)) = self.entry(id)? else { return Ok(None) };
        Ok(Kept::decode(&content, signalling.as_deref()).ok().and_then(|kept| evidence::message(id, &kept)))
    }

    /// The name, the content and the signalling of an entry.
    fn entry(&mut self, id: EntryId) -> Result<Option<Parts>, Failure> {
        let mut entry = None;
        self.access.ask(&Request::Entry(id.to_string()), |line| {
            if let Line::Entries(entries) = line {
                entry = entries.into_iter().next();
            }
            true
        })?;
        let Some(entry) = entry else { return Ok(None) };
        let (id, content) = entry.read().map_err(Failure::Usage)?;
        Ok(Some((id, content, entry.signalling().map_err(Failure::Usage)?)))
    }

    /// The records of the messages with this id.
    fn named(&mut self, message_id: &str) -> Result<Vec<String>, Failure> {
        let query = Query {
            message_id: Some(message_id.to_owned()),
            message_id_form: self.config.carrier.message_id,
            ..Query::default()
        };
        let mut names = Vec::new();
        self.access.ask(&Request::Find(query), |line| {
            if let Line::Found(Found::Message(message)) = line {
                names.push(message.id);
            }
            true
        })?;
        if names.is_empty() {
            return Err(Failure::Usage(format!("no message with message_id {message_id:?} is in the journal")));
        }
        Ok(names)
    }

    /// Messages that came in this millisecond, with what became of them.
    fn at(&mut self, at_ms: i64, query: Query) -> Result<Vec<FoundMessage>, Failure> {
        let found = self.find(at_ms, query)?;
        let messages = found.into_iter().filter_map(|found| match found {
            Found::Message(message) => Some(*message),
            _ => None,
        });
        Ok(messages.collect())
    }

    fn find(&mut self, at_ms: i64, query: Query) -> Result<Vec<Found>, Failure> {
        let query = Query {
            since_ms: Some(at_ms),
            until_ms: Some(at_ms + 1),
            message_id_form: self.config.carrier.message_id,
            ..query
        };
        let mut all = Vec::new();
        self.access.ask(&Request::Find(query), |line| {
            if let Line::Found(found) = line {
                all.push(found);
            }
            true
        })?;
        Ok(all)
    }

    /// Every event of a subscriber.
    fn events(&mut self, msisdn: Option<u64>) -> Result<Vec<Held>, Failure> {
        let Some(Msisdn(msisdn)) = msisdn.map(Msisdn) else { return Ok(Vec::new()) };
        let mut events = Vec::new();
        self.access.ask(&Request::History(msisdn), |line| {
            if let Line::Held(held) = line {
                events.push(held);
            }
            true
        })?;
        Ok(events)
    }
}

fn missing(id: EntryId) -> Failure {
    Failure::Usage(format!("no record {id} is in the journal; `portcullis journal find` prints the names of records"))
}
