//! `portcullis journal`: the send records.

pub(super) mod export;
mod far;
mod filters;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::showing::{self, Showing};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::config::Config;
use crate::gate::evidence::{Found, FoundChange, FoundDelivery, FoundMessage, Query};
pub(super) use far::Far;
pub(super) use filters::Filters;

/// The send records: what came, what was decided and why, and what became of it.
#[derive(Args, Debug)]
pub(super) struct JournalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Finds messages, replies and session events
    Find(FindArgs),
    /// Makes a folder of records with consents and evidence, hashed and signed, for whoever inspects
    Export(export::ExportArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis journal find --to 13800138000 --config portcullis.toml
  portcullis journal find --message-id 4F2A --json
  portcullis journal find --from 10690001230801 --since 2026-11-23 --until 2026-11-24 --limit 1000
  portcullis journal find --sender qinghe --rule R09 --verdict reject --newest-first --limit 20
  portcullis journal find --text 水果 --since 2026-11-01 --limit 20 --after 20261124-000000123

All conditions given must hold. With --limit, what follows is had with --after and the record named at the end (with
--json, in a last line of kind \"more\"). Where neither --to, --from nor --message-id is given, every record of the time
is looked at, which is told on a terminal; an interrupt ends it, in the running gate as well.

A time is a day (2026-11-23, from its midnight in the configured time zone), a day and a time
(2026-11-23T10:15) or a full timestamp (2026-11-23T10:15:00+08:00).")]
struct FindArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    #[command(flatten)]
    filters: Filters,
    /// At most this many; all, unless given
    #[arg(long)]
    limit: Option<usize>,
    /// Only what comes behind this record in the order asked for: where the page before ended
    #[arg(long, value_name = "RECORD")]
    after: Option<String>,
    /// The newest first
    #[arg(long)]
    newest_first: bool,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &JournalArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Find(args) => find(args),
        Command::Export(args) => export::run(args),
    }
}

fn find(args: &FindArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let reading = args.filters.reading(args.showing.reading("journal find"))?.with("--limit", args.limit);
    let query = Query {
        limit: args.limit.unwrap_or(usize::MAX),
        after: args.after.clone(),
        newest_first: args.newest_first,
        ..args.filters.query(&config)?
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut count, mut more, mut broken) = (0_usize, None, None);
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, reading)?;
    let mut far = Far::new();
    let asked = access.ask_last(&Request::Find(query), |line| {
        match line {
            Line::Found(found) => {
                count += 1;
                broken = far.aside(|| show(&mut out, found, args, &config.time_zone)).err();
            }
            Line::Walked { entries, at_ms } => {
                far.at(entries, at_ms, count, &config.time_zone);
                // Who waits for a rare find sees it when it is there.
                broken = out.flush().err();
            }
            Line::More(id) => more = Some(id),
            _ => {}
        }
        broken.is_none()
    });
    far.end();
    asked?;
    if let (Some(after), true) = (&more, args.json) {
        broken = broken.or_else(|| writeln!(out, "{}", serde_json::json!({ "kind": "more", "after": after })).err());
    }
    let is_read = broken.is_none();
    written(broken.map_or_else(|| out.flush(), Err))?;
    if is_read {
        access.end(count as u64)?;
    }
    match more {
        Some(after) => eprintln!("{count} so far: there may be more; go on with --after {after}"),
        None if count == 0 => eprintln!("nothing found"),
        None => {}
    }
    Ok(())
}

pub(super) fn moment(text: Option<&str>, config: &Config) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let zoned = |time: civil::DateTime| time.to_zoned_datetime(config.time_zone.clone()).map(|zoned| zoned.timestamp());
    let moment =
        text.parse::<Timestamp>().or_else(|_| text.parse::<civil::DateTime>().and_then(zoned)).map_err(|_| {
            Failure::Usage(format!("{text:?} is no time: expected 2026-11-23 or 2026-11-23T10:15:00+08:00"))
        })?;
    Ok(Some(moment.as_millisecond()))
}

fn show(out: &mut impl Write, mut found: Found, args: &FindArgs, zone: &TimeZone) -> io::Result<()> {
    if !args.showing.whole {
        found.hide_octets();
    }
    if args.json {
        return args.showing.json(out, &found, found.subscribers());
    }
    args.showing.text(out, found.subscribers(), |out| print(out, &found, zone))
}

fn print(out: &mut impl Write, found: &Found, zone: &TimeZone) -> io::Result<()> {
    let local = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    match found {
        Found::Message(message) => print_message(out, message, &local),
        Found::Delivery(delivery) => print_delivery(out, delivery, &local),
        Found::Session(session) => writeln!(
            out,
            "{}  {}  session {} of {} from {}: {}",
            local(session.at),
            session.id,
            session.session,
            session.provider,
            session.peer,
            session.event
        ),
        Found::Change(change) => print_change(out, change, &local),
        Found::List(list) => writeln!(
            out,
            "{}  {}  do-not-disturb list {} ({}): {} numbers and {} prefixes, {} added, {} removed",
            local(list.at),
            list.id,
            list.name,
            list.file,
            list.numbers,
            list.prefixes,
            list.added,
            list.removed
        ),
    }
}

fn print_change(out: &mut impl Write, change: &FoundChange, local: &dyn Fn(Timestamp) -> String) -> io::Result<()> {
    let FoundChange { id, at, what, who, about, outcome, .. } = change;
    let of = change.subscriber.as_ref().map(|number| format!(" of {number}")).unwrap_or_default();
    writeln!(out, "{}  {id}  {what}{of} by {who}: {about}  {outcome}", local(*at))?;
    change
        .details
        .iter()
        .try_for_each(|(name, value)| writeln!(out, "    {name} {}", value.replace('\n', "\n        ")))
}

fn print_delivery(
    out: &mut impl Write,
    delivery: &FoundDelivery,
    local: &dyn Fn(Timestamp) -> String,
) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}  {} {} -> {}  {}",
        local(delivery.received),
        delivery.id,
        if delivery.state.is_some() && delivery.taken.is_none() { "receipt" } else { "reply" },
        delivery.source,
        delivery.destination,
        delivery.text.as_deref().or(delivery.opaque.as_deref()).unwrap_or_default()
    )?;
    let Some(taken) = &delivery.taken else { return Ok(()) };
    writeln!(out, "    {} {} {}", taken.rule, taken.effect, taken.senders.join(" "))
}

fn print_message(out: &mut impl Write, message: &FoundMessage, local: &dyn Fn(Timestamp) -> String) -> io::Result<()> {
    writeln!(
        out,
        "{}  {}  {} -> {}  {} {}  {} ({})",
        local(message.received),
        message.id,
        message.source,
        message.destination,
        message.operation,
        message.verdict,
        message.status,
        message.class
    )?;
    writeln!(out, "    {}", message.text.as_deref().or(message.opaque.as_deref()).unwrap_or_default())?;
    for finding in &message.findings {
        writeln!(out, "    {} {}: {}", finding.rule, finding.effect, finding.why)?;
    }
    if let Some(outcome) = &message.outcome {
        let id = outcome.message_id.as_deref().unwrap_or("-");
        writeln!(out, "    {} {} {}  message_id {id}", local(outcome.at), outcome.outcome, outcome.status)?;
    }
    for receipt in &message.receipts {
        let done = receipt.done.map(|done| format!("  done {done} by the carrier's clock")).unwrap_or_default();
        writeln!(out, "    {} receipt {}{done}", local(receipt.received), receipt.state.as_deref().unwrap_or("-"))?;
    }
    for reply in &message.replies {
        writeln!(out, "    {} reply {}  {}", local(reply.received), reply.id, reply.text.as_deref().unwrap_or("-"))?;
    }
    if let (Some(state), Some(at)) = (&message.final_state, message.final_at) {
        writeln!(out, "    {} ended {state}", local(at))?;
    }
    Ok(())
}
