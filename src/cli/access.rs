//! `portcullis access`: who looked at records and consents.
//!
//! Owns the printing. Works through the running gate, or on the store where none runs; that somebody looked is
//! recorded like any other reading.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::journal::moment;
use super::showing::{self, Showing, given};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::gate::readings::{FoundReading, ReadingQuery};

/// Who looked at records and consents.
#[derive(Args, Debug)]
pub(super) struct AccessArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Shows the readings, oldest first
    List(ListArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis access list --since 2026-11-01 --config portcullis.toml
  portcullis access list --to 13800138000 --json           who looked at this number
  portcullis access list --who alice

A time is written as for `portcullis journal find`.")]
struct ListArgs {
    /// Readings about this subscriber, in any usual form
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    /// Readings by this user
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AccessArgs) -> Result<(), Failure> {
    let Command::List(args) = &args.command;
    let config = load(&args.config)?;
    let to = args.to.as_deref().map(given).transpose()?;
    let query = ReadingQuery {
        to: to.map(str::to_owned),
        who: args.who.clone(),
        since_ms: moment(args.since.as_deref(), &config)?,
        until_ms: moment(args.until.as_deref(), &config)?,
    };
    let reading = args
        .showing
        .reading("access list")
        .about("--to", to)
        .with("--who", args.who.as_ref())
        .with("--since", args.since.as_ref())
        .with("--until", args.until.as_ref());
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, reading)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut shown, mut broken) = (0, None);
    access.ask(&Request::Readings(query), |line| {
        let Line::Reading(reading) = line else { return true };
        shown += 1;
        let printed = if args.json {
            args.showing.json(&mut out, &reading, &reading.subscriber)
        } else {
            print(&mut out, &reading)
        };
        broken = printed.err();
        broken.is_none()
    })?;
    written(broken.map_or_else(|| out.flush(), Err))?;
    access.end(shown)?;
    Ok(())
}

pub(super) fn print(out: &mut impl Write, reading: &FoundReading) -> io::Result<()> {
    let FoundReading { id, at, who, what, query, .. } = reading;
    let whole = if reading.whole { ", whole numbers" } else { "" };
    let results = reading.results.map_or("cut off".to_owned(), |results| format!("{results} results"));
    writeln!(out, "{at:.3}  {id}  {who}  {what} {query}  ({results}{whole})")
}
