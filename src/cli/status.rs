//! `portcullis status`: how a running gate is.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, load};
use crate::admin::api::{Line, Request, Status};
use crate::admin::client::Access;

/// Sessions, rates and verdict counts of a running gate.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis status --config portcullis.toml
  portcullis status --config portcullis.toml --json | jq .totals")]
pub(super) struct StatusArgs {
    /// The configuration of the gate that runs
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatusArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let mut status = None;
    Access::gate(&config)?.ask(&Request::Status, |line| {
        if let Line::Status(said) = line {
            status = Some(said);
        }
        true
    })?;
    let Some(status) = status else {
        return Err(Failure::Usage("the running gate gave no status".to_owned()));
    };
    if args.json {
        println!("{}", serde_json::to_string(&status).map_err(std::io::Error::from)?);
    } else {
        print(&status);
    }
    Ok(())
}

fn print(status: &Status) {
    let totals = &status.totals;
    println!("since {} · profile {} · register {}", status.started, status.profile, status.register);
    println!("journal {} · {} entries durable · consents {}", status.journal, status.durable, status.consents);
    println!(
        "{} forwarded · {} rejected · {} held · {} malformed · {} unrecorded · {} throttled · {} deliveries · {} refusals and {} consents by reply · {} messages/s",
        totals.forwarded,
        totals.rejected,
        totals.held,
        totals.malformed,
        totals.unrecorded,
        totals.throttled,
        totals.deliveries,
        totals.refusals,
        totals.consents,
        status.messages_per_second
    );
    let (parts, octets) = status.parts;
    println!(
        "{parts} parts of long messages wait or are kept ({octets} octets) · {} messages never became whole",
        totals.incomplete
    );
    if totals.unknown > 0 {
        println!("{} forwards of the process before have an unknown end: it was killed meanwhile", totals.unknown);
    }
    for rule in &totals.rules {
        println!("  {}  {} failed, {} alerts, {} observed", rule.rule, rule.failed, rule.alerted, rule.observed);
    }
    let steps = &status.steps;
    println!(
        "{} measures in force · since the start {} alerts, {} slow-downs, {} suspensions, {} ended",
        status.measures.len(),
        steps.alerts,
        steps.slowed,
        steps.suspended,
        steps.resumed
    );
    for measure in &status.measures {
        println!("  {}", super::measures::line(measure));
    }
    println!("{}", super::retention::line(&status.retention));
    for lost in &status.lost_routes {
        println!(
            "replies to {} of {} ports of {} do not come in since {:.0}: {}{}",
            lost.ports,
            lost.of,
            lost.provider,
            lost.since,
            lost.named.join(", "),
            if lost.ports > lost.named.len() { " …" } else { "" }
        );
    }
    println!("{} sessions", status.sessions.len());
    for session in &status.sessions {
        let provider = session.provider.as_deref().unwrap_or("(not bound)");
        println!("  {:>6}  {provider}  from {}  since {}", session.session, session.peer, session.since);
    }
}
