//! `portcullis consent grant` and `refuse`: one event, from the counter or the hotline.

use std::path::PathBuf;

use clap::Args;

use super::rows::reading::{AHEAD_MS, frequency, moment, sender};
use super::rows::word;
use super::{events, load, number, showing, user};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::cli::Failure;
use crate::clock;
use crate::gate::open_evidence;
use crate::gate::readings::Reading;
use crate::register::Register;
use crate::store::consents::{Held, Status, Stood, Towards, standing_as_of};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis consent grant --msisdn 13800138000 --sender qinghe --category promotion --method web --evidence form-118
  portcullis consent grant --msisdn 13800138000 --sender qinghe --frequency 4/month --evidence-file scan-118.pdf
  portcullis consent refuse --msisdn 13800138000 --sender qinghe --method counter --at 2026-11-23T10:15:00+08:00
  portcullis consent refuse --msisdn 13800138000 --sender provider:agg1")]
pub(super) struct SayArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// The subscriber's number, in any usual form
    #[arg(long, value_name = "NUMBER")]
    msisdn: String,
    /// The sender's id in the register; provider:ACCOUNT refuses all senders of a provider
    #[arg(long, value_name = "ID")]
    sender: String,
    /// What kind of messages; without it a consent covers every kind
    #[arg(long, default_value = "")]
    category: String,
    /// How it was said: web, paper, MO, counter, api
    #[arg(long, default_value = "counter")]
    method: String,
    /// Where the proof is
    #[arg(long, default_value = "")]
    evidence: String,
    /// The proof itself: stored beside the consents under its SHA-256
    #[arg(long, value_name = "FILE")]
    evidence_file: Option<PathBuf>,
    /// When it was said, a time or a day; now, unless given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Until when a consent holds
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// How often a consent allows messages: 4/month, 1/week
    #[arg(long, value_name = "N/PERIOD", default_value = "")]
    frequency: String,
    /// What the subscriber was shown or told
    #[arg(long, value_name = "TEXT", default_value = "")]
    wording: String,
    /// Who records it; you, unless given
    #[arg(long, value_name = "NAME")]
    recorded_by: Option<String>,
}

pub(super) fn run(args: &SayArgs, status: Status) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let now = clock::wall().as_millisecond();
    let time = |text: &Option<String>, name: &str| {
        let read = text.as_ref().map(|text| moment(text, &config.time_zone));
        read.transpose().map_err(|error| Failure::Usage(format!("--{name}: {error}")))
    };
    let at_ms = time(&args.at, "at")?.unwrap_or(now);
    if at_ms > now + AHEAD_MS {
        return Err(Failure::Usage("--at is in the future: nobody can have said it yet".to_owned()));
    }
    let expires_at_ms = time(&args.expires_at, "expires-at")?;
    if expires_at_ms.is_some_and(|end| end <= at_ms) {
        return Err(Failure::Usage("--expires-at is not after --at".to_owned()));
    }
    let file_name = || {
        let name = args.evidence_file.as_ref().and_then(|file| file.file_name());
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut row = Held {
        msisdn: number(&args.msisdn)?.0,
        sender: sender(&register, &args.sender, status).map_err(Failure::Usage)?,
        category: args.category.clone(),
        status,
        at_ms,
        method: args.method.clone(),
        evidence: if args.evidence.is_empty() { file_name() } else { args.evidence.clone() },
        expires_at_ms,
        frequency: frequency(&args.frequency).map_err(Failure::Usage)?,
        wording: args.wording.clone(),
        sha256: None,
        recorded_by: args.recorded_by.clone().unwrap_or_else(user),
        recorded_at_ms: None,
    };
    if let Some(file) = &args.evidence_file {
        row.sha256 = Some(open_evidence(&config)?.put(file)?);
    }
    record(&mut Access::open(&config)?, row, now)
}

/// Records an event, and says so where something else stands all the same.
fn record(access: &mut Access, row: Held, now: i64) -> Result<(), Failure> {
    let mut stale = false;
    access.ask(&Request::Apply(vec![row.clone()]), |line| {
        stale |= matches!(line, Line::Applied { stale: 1.., .. });
        true
    })?;
    let what = if row.status == Status::Consent { "consent grant" } else { "consent refuse" };
    let reading = Reading::new(what, false).about("", Some(&row.msisdn.to_string()));
    showing::begin(access, reading)?;
    let history = events(access, &Request::History(row.msisdn))?;
    access.end(history.len() as u64)?;
    let towards = Towards { sender: &row.sender, former: &[], provider: None };
    let category = Some(row.category.as_str());
    let stands = match standing_as_of(&history, towards, category, now.max(row.at_ms)).today {
        Stood::Refused(refusal) if row.status == Status::Consent => Some(refusal),
        Stood::HolderChanged(_, change) if row.status == Status::Consent => Some(change),
        Stood::Agreed(consents) if row.status == Status::Refusal => consents.first().copied(),
        _ if stale => history.iter().rev().find(|held| held.sender == row.sender && held.status == row.status),
        _ => None,
    };
    match stands {
        Some(held) => Err(Failure::Usage(format!(
            "recorded in the history, but it does not stand: a {} of {} does, said later or a refusal at the same time",
            word(held.status),
            jiff::Timestamp::from_millisecond(held.at_ms).unwrap_or_default(),
        ))),
        None => Ok(()),
    }
}
