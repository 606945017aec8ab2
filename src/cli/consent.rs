//! `portcullis consent`: what subscribers agreed to and refused.
//!
//! Owns the list of its commands and what they share. Refuses to know where the consents are: through
//! the running gate, or in the files where none runs.

mod export;
mod import;
mod papers;
mod rows;
mod say;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(in crate::cli) use rows::json_of;

use super::judge::Lookup;
use super::showing::{self, given};
use super::{Failure, load, told};
use crate::admin::api::{Line, Request};
use crate::admin::client::{Access, AccessError};
use crate::config::Config;
use crate::gate::readings::Reading;
use crate::gate::{DoNotDisturb, facts};
use crate::rules::{Facts, Msisdn};
use crate::store::consents::{Held, Status};

/// What subscribers agreed to and refused.
#[derive(Args, Debug)]
pub(super) struct ConsentArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Takes in a CSV or JSON-lines file; bad rows are reported with their line, good rows kept
    Import(import::ImportArgs),
    /// Records one consent
    Grant(say::SayArgs),
    /// Records one refusal: the sender may send this number nothing commercial any more
    Refuse(say::SayArgs),
    /// Records that numbers changed their holder: consents from before are over, refusals stay
    Recycle(import::RecycleArgs),
    /// Shows where a number stands with every sender, its history, or where it stood on a day
    Show(show::ShowArgs),
    /// Writes everything as CSV or JSON lines, in the form that import reads
    Export(export::ExportArgs),
}

pub(super) fn run(args: &ConsentArgs) -> ExitCode {
    match &args.command {
        Command::Import(args) => import::run(args),
        Command::Grant(args) => told(say::run(args, Status::Consent)),
        Command::Refuse(args) => told(say::run(args, Status::Refusal)),
        Command::Recycle(args) => import::recycle(args),
        Command::Show(args) => told(show::run(args)),
        Command::Export(args) => told(export::run(args)),
    }
}

fn number(text: &str) -> Result<Msisdn, Failure> {
    Msisdn::parse(given(text)?).ok_or_else(|| {
        Failure::Usage(format!("{text:?} is no subscriber's number: expected 13800138000, 86…, +86… or E.164"))
    })
}

/// Who gives this command.
pub(in crate::cli) fn user() -> String {
    let name = ["USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()));
    name.map_or_else(|| format!("uid:{}", rustix::process::getuid().as_raw()), |name| format!("user:{name}"))
}

/// All events that a request is answered with.
fn events(access: &mut Access, request: &Request) -> Result<Vec<Held>, AccessError> {
    let mut held = Vec::new();
    access.ask(request, |line| {
        if let Line::Held(row) = line {
            held.push(row);
        }
        true
    })?;
    Ok(held)
}

/// What the store knows, for `portcullis judge`: through the running gate, or from the files.
pub(super) fn lookup(config: &Config) -> Result<Box<Lookup>, String> {
    let lists = DoNotDisturb::load(&config.do_not_disturb).map_err(|faults| Failure::Config(faults).to_string())?;
    let mut access = Access::open(config).map_err(|error| error.to_string())?;
    let mut measures = Vec::new();
    let mut take = |line| {
        if let Line::Measure(measure) = line {
            measures.push(measure);
        }
        true
    };
    access.ask(&Request::Measures, &mut take).map_err(|error| error.to_string())?;
    // A dry run of whatever it is given: recorded as one reading, whomever it asks about.
    showing::begin(&mut access, Reading::new("judge", false)).map_err(|error| error.to_string())?;
    let access = std::cell::RefCell::new(access);
    Ok(Box::new(move |identity, now| {
        let held = match identity.msisdn {
            Some(msisdn) => events(&mut access.borrow_mut(), &Request::History(msisdn.0)),
            None => Ok(Vec::new()),
        };
        let measure = super::measures::suspension(&measures, &identity);
        let held = held.map_err(|error| error.to_string())?;
        Ok(Facts { measure, ..facts::of_events(identity, &held, &lists, now) })
    }))
}
