//! `portcullis retention`: what expires when, and letting it go by hand.
//!
//! Owns the printing. Refuses to let anything go early: a day to look from is for plans alone. Works through the
//! running gate, or on the store where none runs.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::gate::retention::{Gone, Item, Piece, Plan, Purged, RetentionStatus};

/// Days to come that a plan shows unless all are asked for.
const NEXT: usize = 5;

/// How long records are kept, and what goes when that is over.
#[derive(Args, Debug)]
pub(super) struct RetentionArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Shows what would go, and what is held; nothing is deleted
    Plan(PlanArgs),
    /// Lets go of what has expired, now
    Run(RunArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis retention plan --config portcullis.toml
  portcullis retention plan --as-of 2027-03-01 --all --json --config portcullis.toml")]
struct PlanArgs {
    /// Seen from this day instead of today
    #[arg(long, value_name = "DAY")]
    as_of: Option<Date>,
    /// Every day there is, and not only the next to go
    #[arg(long)]
    all: bool,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis retention run --config portcullis.toml
  portcullis retention run --yes --config portcullis.toml       after a change of the profile, or a long absence

A running gate does this by itself once a day, at the time under [retention] at.")]
struct RunArgs {
    /// You have looked at the clock and at the plan: however many days it is, they go
    #[arg(long)]
    yes: bool,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RetentionArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Plan(args) => plan(args),
        Command::Run(args) => purge(args),
    }
}

fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let mut plan = None;
    Access::open(&load(&args.config)?)?.ask(&Request::RetentionPlan(args.as_of), |line| {
        if let Line::RetentionPlan(found) = line {
            plan = Some(found);
        }
        true
    })?;
    let plan = plan.ok_or_else(other_version)?;
    if args.json {
        println!("{}", serde_json::to_string(&plan).map_err(io::Error::from)?);
        return Ok(());
    }
    written(print_plan(&plan, args.all))
}

fn print_plan(plan: &Plan, all: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (due, later): (Vec<&Item>, Vec<&Item>) = plan.items.iter().partition(|item| item.due);
    let (held, goes): (Vec<&Item>, Vec<&Item>) = due.into_iter().partition(|item| item.held);
    writeln!(out, "as of {}: {} due, {} held, {} to come", plan.as_of, goes.len(), held.len(), later.len())?;
    let shown = if all { later.len() } else { NEXT };
    for item in goes.iter().chain(&held).chain(later.iter().take(shown)) {
        let held = match (item.holds.as_slice(), item.held) {
            ([], _) => String::new(),
            (holds, true) => format!(" · what is left is held by {}", holds.join(", ")),
            (holds, false) => format!(" · but what is held by {}", holds.join(", ")),
        };
        let (what, day) = (piece(&item.what), item.day);
        let (on, months, profile) = (item.goes_on, item.months, &item.profile);
        writeln!(out, "  {day}  {what}  {on}  after {months} months ({profile})  {}{held}", size(item.octets))?;
    }
    if later.len() > shown {
        writeln!(out, "  … and {} more: --all", later.len() - shown)?;
    }
    if let Some(doubt) = plan.doubt() {
        writeln!(out, "nothing goes by itself: {doubt}")?;
    }
    Ok(())
}

fn purge(args: &RunArgs) -> Result<(), Failure> {
    let mut purged = None;
    Access::open(&load(&args.config)?)?.ask(&Request::Purge(args.yes), |line| {
        if let Line::Purged(found) = line {
            purged = Some(found);
        }
        true
    })?;
    let purged = purged.ok_or_else(other_version)?;
    if args.json {
        println!("{}", serde_json::to_string(&purged).map_err(io::Error::from)?);
    } else {
        written(print_purged(&purged))?;
    }
    if purged.clock_doubted {
        eprintln!(
            "warning: the clock is far ahead of when the gate was last there, and was not believed: --yes if it is right"
        );
    }
    match (&purged.doubt, purged.faults.as_slice()) {
        (Some(doubt), _) => Err(Failure::Usage(format!("not purged: {doubt}"))),
        (None, []) => Ok(()),
        (None, faults) => Err(Failure::Usage(faults.join("\nerror: "))),
    }
}

fn print_purged(purged: &Purged) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Gone { day, what, octets, kept, holds } in &purged.gone {
        let held = match holds.as_slice() {
            [] => String::new(),
            holds => format!(" · {kept} entries held by {}", holds.join(", ")),
        };
        writeln!(out, "  {day}  {}  {} freed{held}", piece(what), size(*octets))?;
    }
    let said = &purged.said;
    if said.events + said.papers + said.held > 0 {
        let (events, papers, held) = (said.events, said.papers, said.held);
        writeln!(out, "  {events} consents and refusals, {papers} evidence files · {held} held")?;
    }
    let end = if purged.complete { "" } else { " · told to end before all was done" };
    writeln!(out, "as of {}: {} gone, {} freed{end}", purged.as_of, purged.gone.len(), size(purged.octets()))
}

fn piece(what: &Piece) -> String {
    match what {
        Piece::Signalling => "signalling".to_owned(),
        Piece::Day => "all of it  ".to_owned(),
        Piece::Aside(name) => format!("set aside as {name}"),
    }
}

fn size(octets: u64) -> String {
    const MIB: u64 = 1 << 20;
    if octets >= MIB { format!("{} MiB", octets / MIB) } else { format!("{} KiB", octets.div_ceil(1024)) }
}

/// What `status` says of it.
pub(super) fn line(status: &RetentionStatus) -> String {
    let last = match &status.last {
        None => "nothing was purged yet".to_owned(),
        Some(Purged { doubt: Some(doubt), at, .. }) => format!("not purged at {at:.0}: {doubt}"),
        Some(purged) => {
            let faults = if purged.faults.is_empty() { "" } else { ", some of it could not be" };
            format!(
                "{} gone, {} freed at {:.0} by {}{faults}",
                purged.gone.len(),
                size(purged.octets()),
                purged.at,
                purged.by
            )
        }
    };
    let clock = if status.clock_doubted { " · the clock has jumped and is not believed yet" } else { "" };
    format!("retention: {last} · {} legal holds keep {} days from going{clock}", status.holds, status.remainders)
}

fn other_version() -> Failure {
    Failure::Usage("the running gate does not know of retention: another version?".to_owned())
}
