//! `portcullis measures`: who is warned of, slowed down or suspended (R25).
//!
//! Owns the printing, and the check that whoever is named is in the register. Works through the
//! running gate, or on the store where none runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::journal::moment;
use super::{Failure, load};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::config::Config;
use crate::document::did_you_mean;
use crate::gate::measures::{FoundStep, MeasureStatus, Order};
use crate::register::Register;
use crate::rules::r25_measures::{Kind, Measure, Reach, Step};
use crate::rules::{Class, Identity, Mode, Rule};

/// Who is warned of, slowed down or suspended, and lifting that.
#[derive(Args, Debug)]
pub(super) struct MeasuresArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Shows the measures in force
    List(ListArgs),
    /// Shows every step that was taken, oldest first, with its reason
    History(HistoryArgs),
    /// Suspends a provider, a sender or a port until it is resumed: its commercial messages are refused
    Suspend(SuspendArgs),
    /// Ends a measure; what led to it is counted anew from here
    Resume(OrderArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis measures list --json --config portcullis.toml")]
struct ListArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis measures history --since 2026-11-01 --config portcullis.toml")]
struct HistoryArgs {
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis measures resume port 10690001230801 --reason 'new texts agreed with the sender, ticket 118'")]
struct OrderArgs {
    /// provider, sender or port
    #[arg(value_parser = kind)]
    kind: Kind,
    /// system_id, id or number, as in the register
    name: String,
    /// Why: it stands in the record, in the log and in what is answered
    #[arg(long)]
    reason: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis measures suspend sender qinghe --reason 'complaints, ticket 117'
  portcullis measures suspend provider agg1 --everything --reason 'account taken over by a third party'")]
struct SuspendArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Service and public messages too: one-time passwords, bills and warnings then reach nobody
    #[arg(long)]
    everything: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_name(text).ok_or_else(|| "expected provider, sender or port".to_owned())
}

pub(super) fn run(args: &MeasuresArgs) -> Result<(), Failure> {
    match &args.command {
        Command::List(args) => list(args),
        Command::History(args) => history(args),
        Command::Suspend(args) => {
            let reach = if args.everything { Reach::Everything } else { Reach::Marketing };
            order(&args.order, Some(reach))
        }
        Command::Resume(args) => order(args, None),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let mut measures = Vec::new();
    Access::open(&config)?.ask(&Request::Measures, |line| {
        if let Line::Measure(measure) = line {
            measures.push(measure);
        }
        true
    })?;
    for measure in &measures {
        if args.json {
            println!("{}", serde_json::to_string(measure).map_err(std::io::Error::from)?);
        } else {
            println!("{}", line(measure));
        }
    }
    if measures.is_empty() {
        eprintln!("no measure is in force");
    }
    Ok(())
}

/// The suspension that speaks of a message, for a dry run: a slow-down depends on the moment.
pub(super) fn suspension(measures: &[MeasureStatus], identity: &Identity<'_>) -> Option<Measure> {
    let is_of = |measure: &&MeasureStatus| match measure.kind {
        Kind::Provider => identity.provider.system_id == measure.name,
        Kind::Sender => identity.port.and(identity.sender).is_some_and(|sender| sender.id == measure.name),
        Kind::Port => identity.port.is_some_and(|port| port.number == measure.name),
    };
    let of_message = measures.iter().filter(|measure| measure.step == Step::Suspend).filter(is_of);
    let hardest = of_message.max_by_key(|measure| measure.reach == Reach::Everything)?;
    Some(Measure {
        kind: hardest.kind,
        name: hardest.name.as_str().into(),
        step: hardest.step,
        reach: hardest.reach,
        reason: hardest.reason.as_str().into(),
    })
}

fn history(args: &HistoryArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let since = moment(args.since.as_deref(), &config)?;
    Access::open(&config)?.ask(&Request::MeasureHistory(since), |line| {
        let Line::Step(step) = line else { return true };
        if args.json {
            println!("{}", serde_json::to_string(&step).unwrap_or_default());
        } else {
            let everything = if step.everything { " (everything)" } else { "" };
            let FoundStep { id, at, kind, name, step, reason, by, .. } = &step;
            println!("{at:.0}  {id}  {kind} {name}: {step}{everything} by {by} · {reason}");
        }
        true
    })?;
    Ok(())
}

/// One measure, as `list` and `status` show it.
pub(super) fn line(measure: &MeasureStatus) -> String {
    let MeasureStatus { kind, name, step, reason, by, since, .. } = measure;
    let everything = if measure.reach == Reach::Everything { " (everything)" } else { "" };
    let end = match (step, measure.until) {
        (Step::Suspend, _) => " · until it is resumed".to_owned(),
        (_, Some(until)) => format!(" · until {until:.0} unless its cause goes on"),
        _ => String::new(),
    };
    format!(
        "{kind} {name}: {step}{everything} by {by} since {since:.0}{end} · {reason} · lately {} judged, {} rejected, {} sent, {} complaints",
        measure.judged, measure.rejected, measure.sent, measure.complaints
    )
}

fn order(args: &OrderArgs, suspend: Option<Reach>) -> Result<(), Failure> {
    let config = load(&args.config)?;
    if args.reason.trim().is_empty() {
        return Err(Failure::Usage("--reason is empty: whoever reads the record asks why".to_owned()));
    }
    if suspend.is_some() {
        check(&config, args)?;
    }
    let order = Order { kind: args.kind, name: args.name.clone(), suspend, reason: args.reason.trim().to_owned() };
    Access::open(&config)?.ask(&Request::Measure(order), |_| true)?;
    let done = if suspend.is_some() { "suspended" } else { "resumed" };
    println!("{} {} is {done}", args.kind, args.name);
    Ok(())
}

/// Whoever is not in the register sends nothing that could be stopped.
fn check(config: &Config, args: &OrderArgs) -> Result<(), Failure> {
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let known: Vec<&str> = match args.kind {
        Kind::Provider => register.providers().iter().map(|provider| provider.system_id.as_str()).collect(),
        Kind::Sender => register.senders().iter().map(|sender| sender.id.as_str()).collect(),
        Kind::Port => register.ports().iter().map(|port| port.number.as_str()).collect(),
    };
    if !known.contains(&args.name.as_str()) {
        let entry = register.port(args.name.as_bytes()).filter(|_| args.kind == Kind::Port);
        let hint = match (entry, did_you_mean(&args.name, known)) {
            (Some(port), _) => format!(": it belongs to the entry {}, which can be suspended", port.number),
            (None, Some(near)) => format!("; did you mean {near:?}?"),
            (None, None) => String::new(),
        };
        let register = config.register.display();
        return Err(Failure::Usage(format!("{} {:?} is not in {register}{hint}", args.kind, args.name)));
    }
    let mode = config.profile.mode_set(Rule::R25, Class::Commercial, None);
    if mode != Mode::Enforce {
        eprintln!(
            "warning: the profile does not enforce R25, so this is recorded but stops only whom a mode of its own enforces it for"
        );
    }
    Ok(())
}
