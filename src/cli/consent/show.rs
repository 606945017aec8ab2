//! `portcullis consent show`: where a number stands, its history, and why it was sent something on a day.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::rows::reading::moment;
use super::rows::{Sink, json_of, spelled, word};
use super::showing::{self, Showing};
use super::{events, load, number};
use crate::admin::api::Request;
use crate::admin::client::Access;
use crate::cli::{Failure, written};
use crate::config::Config;
use crate::gate::masking::Masking;
use crate::gate::{facts, open_evidence};
use crate::register::Register;
use crate::store::consents::{Held, Stood, Towards, standing_as_of};
use crate::store::evidence_files::Found;
use crate::store::{EvidenceFiles, Sha256};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis consent show 13800138000
  portcullis consent show 13800138000 --history
  portcullis consent show 13800138000 --sender qinghe --on 2026-03-05T10:00:00+08:00")]
pub(super) struct ShowArgs {
    /// The subscriber's number, in any usual form
    #[arg(value_name = "NUMBER", required_unless_present = "msisdn", conflicts_with = "msisdn")]
    subscriber: Option<String>,
    /// The same
    #[arg(long, value_name = "NUMBER")]
    msisdn: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Every event, in the order in which they happened, with its arrival, recorder and evidence
    #[arg(long)]
    history: bool,
    /// Only what concerns this sender
    #[arg(long, value_name = "ID")]
    sender: Option<String>,
    /// Where the number stood with the sender at this time: as known today, and as known then
    #[arg(long, value_name = "TIME", requires = "sender", conflicts_with = "history")]
    on: Option<String>,
    /// For messages of this kind
    #[arg(long, requires = "on")]
    category: Option<String>,
    /// For messages that came by this provider, whose senders may have been refused altogether
    #[arg(long, value_name = "ACCOUNT", requires = "sender")]
    provider: Option<String>,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let given = args.subscriber.as_deref().or(args.msisdn.as_deref()).unwrap_or_default();
    let msisdn = number(given)?.0;
    let request = if args.history || args.on.is_some() { Request::History(msisdn) } else { Request::Show(msisdn) };
    let reading = args
        .showing
        .reading("consent show")
        .about("", Some(given))
        .with("", args.history.then_some("--history"))
        .with("--sender", args.sender.as_ref())
        .with("--on", args.on.as_ref());
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, reading)?;
    let mut held = events(&mut access, &request)?;
    access.end(held.len() as u64)?;
    drop(access);
    let own = spelled(msisdn);
    let masking = args.showing.of([&own]);
    let has_files = held.iter().any(|held| held.sha256.is_some());
    let files = has_files.then(|| open_evidence(&config)).transpose()?;
    let desk = Desk { files, zone: &config.time_zone, json: args.json, showing: args.showing, masking: &masking };
    if let (Some(on), Some(sender)) = (&args.on, &args.sender) {
        let at_ms = moment(on, &config.time_zone).map_err(|error| Failure::Usage(format!("--on: {error}")))?;
        return desk.answer(args, &config, msisdn, &held, (sender, at_ms));
    }
    if let Some(sender) = &args.sender {
        let register = Register::load(&config.register).map_err(Failure::Config)?;
        let towards = towards(&register, sender, args.provider.as_deref());
        held.retain(|held| towards.is_meant_by(held));
    }
    if args.history && !args.json {
        desk.tell(&held)?
    } else {
        desk.list(&held)?
    }
    if held.is_empty() {
        eprintln!("{}: nothing is known, which is a refusal by law", masking.text(&own));
    }
    Ok(())
}

/// The sender under all its ids; one that is no longer registered under that alone.
fn towards<'a>(register: &'a Register, sender: &'a str, provider: Option<&'a str>) -> Towards<'a> {
    let unknown = Towards { sender, former: &[], provider };
    register.sender(sender).map_or(unknown, |sender| facts::towards(sender, provider))
}

struct Desk<'a> {
    /// Opened where there is one to be looked at.
    files: Option<EvidenceFiles>,
    zone: &'a TimeZone,
    json: bool,
    showing: Showing,
    /// Hides the number asked about.
    masking: &'a Masking,
}

impl Desk<'_> {
    /// One row or line each, as an export has them.
    fn list(&self, held: &[Held]) -> Result<(), Failure> {
        if self.json {
            let lines: Vec<Value> = held.iter().map(|held| self.object(held)).collect::<Result<_, _>>()?;
            let mut out = io::stdout().lock();
            return written(lines.iter().try_for_each(|line| writeln!(out, "{line}")));
        }
        let mut sink = Sink::new(io::stdout().lock(), false, self.showing)?;
        written(held.iter().try_for_each(|held| sink.write(held)).and_then(|()| sink.flush()))?;
        for sha256 in held.iter().filter_map(|held| held.sha256) {
            let paper = self.paper(sha256)?;
            eprintln!("evidence file {sha256}: {paper}");
        }
        Ok(())
    }

    /// Every event, for a person.
    fn tell(&self, held: &[Held]) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for held in held {
            writeln!(out, "{}", self.masking.text(&self.line(held)))?;
            for line in self.details(held)? {
                writeln!(out, "    {}", self.masking.text(&line))?;
            }
        }
        written(out.flush())
    }

    fn line(&self, held: &Held) -> String {
        let who = match (held.sender.as_str(), held.category.as_str()) {
            ("", _) => "consents from before are over".to_owned(),
            (sender, "") => sender.to_owned(),
            (sender, category) => format!("{sender} ({category})"),
        };
        let frequency = if held.frequency.is_empty() { String::new() } else { format!(", {}", held.frequency) };
        let until = held.expires_at_ms.map(|end| format!(", until {}", self.time(end))).unwrap_or_default();
        format!("{}  {}  {who}{frequency}{until}", self.time(held.at_ms), word(held.status))
    }

    fn details(&self, held: &Held) -> Result<Vec<String>, Failure> {
        let mut said = vec![format!("by {}", if held.method.is_empty() { "?" } else { &held.method })];
        if !held.evidence.is_empty() {
            said.push(format!("evidence {}", held.evidence.replace('\n', "\n        ")));
        }
        if let Some(sha256) = held.sha256 {
            said.push(format!("evidence file {sha256}: {}", self.paper(sha256)?));
        }
        if !held.wording.is_empty() {
            said.push(format!("wording {:?}", held.wording));
        }
        let by = if held.recorded_by.is_empty() { String::new() } else { format!(" by {}", held.recorded_by) };
        said.push(match held.recorded_at_ms {
            Some(at_ms) => format!("recorded {}{by}", self.time(at_ms)),
            None => format!("recorded{by} before arrivals were kept"),
        });
        Ok(said)
    }

    /// Where the number stood at a moment, and by which events.
    fn answer(
        &self,
        args: &ShowArgs,
        config: &Config,
        msisdn: u64,
        held: &[Held],
        (sender, at_ms): (&str, i64),
    ) -> Result<(), Failure> {
        let register = Register::load(&config.register).map_err(Failure::Config)?;
        let towards = towards(&register, sender, args.provider.as_deref());
        let as_of = standing_as_of(held, towards, args.category.as_deref(), at_ms);
        let mut out = io::stdout().lock();
        if self.json {
            let mut object = json!({
                "msisdn": spelled(msisdn), "sender": sender, "on": Timestamp::from_millisecond(at_ms).unwrap_or_default(),
                "as_known_today": self.stood_object(&as_of.today)?, "as_known_then": self.stood_object(&as_of.then)?,
            });
            self.masking.value(&mut object);
            return written(writeln!(out, "{object}"));
        }
        writeln!(out, "{} and {sender} on {}", self.masking.text(&spelled(msisdn)), self.time(at_ms))?;
        for (when, stood) in [("as known today", &as_of.today), ("as known then", &as_of.then)] {
            writeln!(out, "  {when}: {}", reading(stood))?;
            for held in of(stood) {
                writeln!(out, "    {}", self.masking.text(&self.line(held)))?;
                for line in self.details(held)? {
                    writeln!(out, "        {}", self.masking.text(&line))?;
                }
            }
        }
        written(out.flush())
    }

    fn stood_object(&self, stood: &Stood<'_>) -> Result<Value, Failure> {
        let events: Vec<Value> = of(stood).map(|held| self.object(held)).collect::<Result<_, _>>()?;
        Ok(json!({ "standing": name(stood), "events": events }))
    }

    fn object(&self, held: &Held) -> Result<Value, Failure> {
        let mut object = json_of(held);
        if let Some(sha256) = held.sha256 {
            object.insert("evidence_file".to_owned(), self.paper(sha256)?.into());
        }
        let mut object = Value::Object(object);
        self.masking.value(&mut object);
        Ok(object)
    }

    fn paper(&self, sha256: Sha256) -> Result<&'static str, Failure> {
        let found = self.files.as_ref().map_or(Ok(Found::Missing), |files| files.check(sha256))?;
        Ok(match found {
            Found::Whole => "whole",
            Found::Changed => "CHANGED: it is not what its hash says",
            Found::Missing => "MISSING",
        })
    }

    fn time(&self, at_ms: i64) -> String {
        Timestamp::from_millisecond(at_ms).map_or_else(
            |_| at_ms.to_string(),
            |at| at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
        )
    }
}

/// The events that made it so.
fn of<'h>(stood: &Stood<'h>) -> impl Iterator<Item = &'h Held> {
    let events = match stood {
        Stood::Nothing => Vec::new(),
        Stood::Refused(held) | Stood::Expired(held) => vec![*held],
        Stood::Agreed(held) => held.clone(),
        Stood::HolderChanged(consent, change) => vec![*consent, *change],
    };
    events.into_iter()
}

const fn name(stood: &Stood<'_>) -> &'static str {
    match stood {
        Stood::Nothing => "none",
        Stood::Refused(_) => "refused",
        Stood::Agreed(_) => "active",
        Stood::Expired(_) => "expired",
        Stood::HolderChanged(..) => "holder-changed",
    }
}

const fn reading(stood: &Stood<'_>) -> &'static str {
    match stood {
        Stood::Nothing => "nothing had been said, which is a refusal by law",
        Stood::Refused(_) => "refused",
        Stood::Agreed(_) => "a consent held",
        Stood::Expired(_) => "the consent's term was over",
        Stood::HolderChanged(..) => "the number had gone to another holder, who had agreed to nothing",
    }
}
