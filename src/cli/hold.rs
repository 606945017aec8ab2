//! `portcullis hold`: legal holds set, shown and lifted.
//!
//! Owns the printing and the reading of what is to be held. Works through the running gate, or on the store where
//! none runs.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::journal::moment;
use super::showing::{self, Showing};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::config::Config;
use crate::gate::retention::{Hold, HoldOrder};
use crate::register::Register;
use crate::rules::Msisdn;

/// What must not expire, whatever its age.
#[derive(Args, Debug)]
pub(super) struct HoldArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Holds what meets all that is named, until it is lifted
    Set(SetArgs),
    /// Shows the holds
    List(ListArgs),
    /// Lifts a hold: what it alone kept goes with the next purge
    Lift(LiftArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis hold set --msisdn 13800138000 --why 'case 2026-118 of 12321'
  portcullis hold set --sender qinghe --from 2026-09-01 --until 2026-10-01 --why 'inspection of 24 November'")]
struct SetArgs {
    /// The subscriber's number
    #[arg(long, value_name = "NUMBER")]
    msisdn: Option<String>,
    /// The sender's id, as in the register
    #[arg(long, value_name = "ID")]
    sender: Option<String>,
    /// The provider's system_id
    #[arg(long, value_name = "ACCOUNT")]
    provider: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why: it stands in the record
    #[arg(long)]
    why: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis hold list --all --json --config portcullis.toml")]
struct ListArgs {
    /// Those that were lifted, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    showing: Showing,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis hold lift H3 --why 'case 2026-118 is closed'")]
struct LiftArgs {
    /// The hold's name
    id: String,
    /// Why: it stands in the record
    #[arg(long)]
    why: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &HoldArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Set(args) => set(args),
        Command::List(args) => list(args),
        Command::Lift(args) => lift(args),
    }
}

fn set(args: &SetArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let order = HoldOrder {
        msisdn: args.msisdn.as_deref().map(number).transpose()?,
        sender: args.sender.clone(),
        provider: args.provider.clone(),
        since_ms: moment(args.from.as_deref(), &config)?,
        until_ms: moment(args.until.as_deref(), &config)?,
        why: args.why.trim().to_owned(),
    };
    check(&config, &order);
    let hold = ask(&config, &Request::Hold(order))?;
    println!("{} holds from now on", hold.id);
    Ok(())
}

/// Whoever has left the register can be held all the same, but a slip of the pen holds nothing.
fn check(config: &Config, order: &HoldOrder) {
    let Ok(register) = Register::load(&config.register) else { return };
    let file = config.register.display();
    if let Some(sender) = order.sender.as_ref().filter(|id| register.sender(id).is_none()) {
        eprintln!("warning: no sender has the id {sender:?} in {file}: only what was recorded under it is held");
    }
    if let Some(provider) = order.provider.as_ref().filter(|id| register.provider(id).is_none()) {
        eprintln!(
            "warning: no provider has the account {provider:?} in {file}: only what was recorded under it is held"
        );
    }
}

fn number(text: &str) -> Result<u64, Failure> {
    let msisdn = Msisdn::parse(showing::given(text)?);
    let number = msisdn.map(|msisdn| msisdn.0);
    number.ok_or_else(|| Failure::Usage(format!("{text:?} is no subscriber's number")))
}

fn lift(args: &LiftArgs) -> Result<(), Failure> {
    let request = Request::LiftHold(args.id.clone(), args.why.trim().to_owned());
    let hold = ask(&load(&args.config)?, &request)?;
    println!("{} is lifted: what it alone kept goes with the next purge", hold.id);
    Ok(())
}

fn ask(config: &Config, request: &Request) -> Result<Hold, Failure> {
    let mut hold = None;
    Access::open(config)?.ask(request, |line| {
        if let Line::Hold(found) = line {
            hold = Some(*found);
        }
        true
    })?;
    hold.ok_or_else(|| Failure::Usage("the running gate does not know of holds: another version?".to_owned()))
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let mut access = Access::open(&load(&args.config)?)?;
    showing::begin(&mut access, args.showing.reading("hold list"))?;
    let mut holds = Vec::new();
    access.ask(&Request::Holds, |line| {
        if let Line::Hold(hold) = line {
            holds.push(*hold);
        }
        true
    })?;
    access.end(holds.len() as u64)?;
    holds.retain(|hold| args.all || hold.lifted.is_none());
    if holds.is_empty() {
        eprintln!("nothing is held");
    }
    let mut out = io::stdout().lock();
    for hold in &holds {
        let subscriber = hold.order.msisdn.map(|msisdn| msisdn.to_string());
        written(match args.json {
            true => args.showing.json(&mut out, hold, subscriber),
            false => args.showing.text(&mut out, subscriber, |out| print(out, hold)),
        })?;
    }
    Ok(())
}

fn print(out: &mut Vec<u8>, hold: &Hold) -> io::Result<()> {
    let order = &hold.order;
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    write!(out, "{}  ", hold.id)?;
    if let Some(msisdn) = order.msisdn {
        write!(out, "number {msisdn}  ")?;
    }
    if let Some(sender) = &order.sender {
        write!(out, "sender {sender}  ")?;
    }
    if let Some(provider) = &order.provider {
        write!(out, "provider {provider}  ")?;
    }
    if let Some(since) = order.since_ms {
        write!(out, "from {}  ", time(since))?;
    }
    if let Some(until) = order.until_ms {
        write!(out, "until {}  ", time(until))?;
    }
    write!(out, "· {} · by {} at {:.0}", order.why, hold.by, hold.at)?;
    if let Some(lifted) = &hold.lifted {
        write!(out, " · lifted by {} at {:.0}: {}", lifted.by, lifted.at, lifted.why)?;
    }
    writeln!(out)
}
