//! `portcullis consent`: what subscribers agreed to and refused.

mod import;
mod rows;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::judge::Lookup;
use super::{Failure, load, told, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::clock;
use crate::config::Config;
use crate::gate::facts;
use crate::register::Register;
use crate::rules::Msisdn;
use crate::store::consents::{Held, Status};
use rows::Columns;

/// What subscribers agreed to and refused.
#[derive(Args, Debug)]
pub(super) struct ConsentArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Takes in a CSV file; bad rows are reported with their line, good rows kept
    Import(import::ImportArgs),
    /// Records one consent
    Grant(SayArgs),
    /// Records one refusal: the sender may send this number nothing commercial any more
    Refuse(SayArgs),
    /// Shows where a number stands with every sender
    Show(ShowArgs),
    /// Writes everything as CSV, in the form that import reads
    Export(ExportArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis consent grant --msisdn 13800138000 --sender qinghe --category promotion --method web --evidence form-118
  portcullis consent refuse --msisdn 13800138000 --sender qinghe --method counter --at 2026-11-23T10:15:00+08:00")]
struct SayArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// The subscriber's number, in any usual form
    #[arg(long, value_name = "NUMBER")]
    msisdn: String,
    /// The sender's id in the register
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
    /// When it was said; now, unless given
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Until when a consent holds
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis consent show 13800138000 --json")]
struct ShowArgs {
    /// The subscriber's number, in any usual form
    msisdn: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis consent export --config portcullis.toml > consents.csv")]
struct ExportArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ConsentArgs) -> ExitCode {
    match &args.command {
        Command::Import(args) => import::run(args),
        Command::Grant(args) => told(say(args, Status::Consent)),
        Command::Refuse(args) => told(say(args, Status::Refusal)),
        Command::Show(args) => told(show(args)),
        Command::Export(args) => told(export(args)),
    }
}

fn say(args: &SayArgs, status: Status) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    if register.sender(&args.sender).is_none() {
        return Err(Failure::Usage(format!("sender {:?} is not in {}", args.sender, config.register.display())));
    }
    let at = args.at.unwrap_or_else(clock::wall);
    let row = Held {
        msisdn: number(&args.msisdn)?.0,
        sender: args.sender.clone(),
        category: args.category.clone(),
        status,
        at_ms: at.as_millisecond(),
        method: args.method.clone(),
        evidence: args.evidence.clone(),
        expires_at_ms: args.expires_at.map(Timestamp::as_millisecond),
        ..Held::default()
    };
    let mut stale = false;
    Access::open(&config)?.ask(&Request::Apply(vec![row]), |line| {
        stale |= matches!(line, Line::Applied { stale: 1.., .. });
        true
    })?;
    if stale {
        return Err(Failure::Usage(
            "not recorded: something said later, or a refusal at the same time, stands".to_owned(),
        ));
    }
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let msisdn = number(&args.msisdn)?;
    let shown = print(&config, &Request::Show(msisdn.0), args.json)?;
    if shown == 0 {
        eprintln!("{}: nothing is known, which is a refusal by law", msisdn.0);
    }
    Ok(())
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    print(&config, &Request::Export, args.json).map(|_| ())
}

fn print(config: &Config, request: &Request, json: bool) -> Result<usize, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut count, mut broken) = (0, None);
    if !json {
        writeln!(out, "{}", Columns::HEADER)?;
    }
    Access::open(config)?.ask(request, |line| {
        let Line::Held(held) = line else { return true };
        count += 1;
        broken = if json { rows::write_json(&mut out, &held) } else { rows::write_csv(&mut out, &held) }.err();
        broken.is_none()
    })?;
    written(broken.map_or_else(|| out.flush(), Err))?;
    Ok(count)
}

fn number(text: &str) -> Result<Msisdn, Failure> {
    Msisdn::parse(text).ok_or_else(|| {
        Failure::Usage(format!("{text:?} is no subscriber's number: expected 13800138000, 86…, +86… or E.164"))
    })
}

/// What the store knows, for `portcullis judge`: through the running gate, or from the files.
pub(super) fn lookup(config: &Config) -> Result<Box<Lookup>, String> {
    let access = std::cell::RefCell::new(Access::open(config).map_err(|error| error.to_string())?);
    Ok(Box::new(move |identity, now| {
        let mut held = Vec::new();
        if let Some(msisdn) = identity.msisdn {
            let mut take = |line| {
                if let Line::Held(row) = line {
                    held.push(row);
                }
                true
            };
            access.borrow_mut().ask(&Request::History(msisdn.0), &mut take).map_err(|error| error.to_string())?;
        }
        Ok(facts::of_events(identity, &held, now))
    }))
}
