//! `portcullis journal`: the send records.

pub(super) mod export;
mod far;
mod filters;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::showing::{self, Showing, plain};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::config::Config;
use crate::gate::evidence::{Found, FoundChange, FoundDelivery, FoundMessage, FoundSession, Query};
use crate::store::journal::{Check, Day, KnownHead, Standing};
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
    /// Tells whether all is as it was written, and names what is not
    Verify(VerifyArgs),
    /// Prints what was signed of each day, to be kept elsewhere
    Heads(HeadsArgs),
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

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis journal verify --config portcullis.toml
  portcullis journal verify --day 20261124 --json
  portcullis journal heads --json > /elsewhere/heads.jsonl
  portcullis journal verify --against /elsewhere/heads.jsonl
  portcullis journal verify --data /backup/data        a copy of the data directory

The exit code is 1 where anything is not as it was written.")]
struct VerifyArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Another data directory than the configuration's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this day, and all heads
    #[arg(long, value_name = "YYYYMMDD")]
    day: Option<Day>,
    /// Only what was signed, and whether the days are there
    #[arg(long)]
    heads_only: bool,
    /// What `journal heads --json` printed before
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis journal heads --json --config portcullis.toml > heads.jsonl

The files are in the folder heads of the data directory. Without portcullis, one is checked by
  openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in 20261124.json -sigfile 20261124.sig")]
struct HeadsArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &JournalArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Find(args) => find(args),
        Command::Export(args) => export::run(args),
        Command::Verify(args) => verify(args),
        Command::Heads(args) => heads(args),
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
            Line::Wanting(what) => eprintln!("warning: wanting: {what}"),
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

fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let mut config = load(&args.config)?;
    config.data = args.data.clone().unwrap_or(config.data);
    let against = args.against.as_deref().map(read_heads).transpose()?.unwrap_or_default();
    let day = args.day.map(|day| day.to_string());
    let check = Check { day, heads_only: args.heads_only, against };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut faults, mut broken) = (0, None);
    Access::open(&config)?.ask(&Request::Verify(check), |line| {
        faults += u64::from(matches!(line, Line::Fault(_)));
        broken = print_verified(&mut out, &line, args.json).err();
        broken.is_none()
    })?;
    written(broken.map_or_else(|| out.flush(), Err))?;
    match faults {
        0 => Ok(()),
        faults => Err(Failure::Altered(faults)),
    }
}

fn print_verified(out: &mut impl Write, line: &Line, json: bool) -> io::Result<()> {
    match line {
        Line::Fault(fault) if json => writeln!(out, "{}", serde_json::to_string(fault)?),
        Line::Fault(fault) => {
            writeln!(out, "{}: {}", fault.entry.as_deref().unwrap_or(&fault.place), fault.what)
        }
        Line::Verified(verified) if json => writeln!(out, "{}", serde_json::to_string(verified)?),
        Line::Verified(verified) => {
            writeln!(
                out,
                "{} heads, {} days with {} blocks and {} entries; {} days have expired",
                verified.heads, verified.days, verified.blocks, verified.entries, verified.expired
            )?;
            match verified.unchained.is_empty() {
                true => Ok(()),
                false => writeln!(out, "without a chain, of layout 1: {}", verified.unchained.join(" ")),
            }
        }
        _ => Ok(()),
    }
}

fn heads(args: &HeadsArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut broken = None;
    Access::open(&config)?.ask(&Request::Heads, |line| {
        let Line::Head(known) = line else { return true };
        broken = print_head(&mut out, &known, args.json).err();
        broken.is_none()
    })?;
    written(broken.map_or_else(|| out.flush(), Err))
}

fn print_head(out: &mut impl Write, known: &KnownHead, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string(known)?);
    }
    let head = &known.head;
    let standing = match head.standing {
        Standing::Sealed => "sealed",
        Standing::Held => "held",
        Standing::Expired => "expired",
    };
    let entries = head.extent.as_ref().map_or(0, |extent| extent.entries);
    writeln!(out, "{:>6}  {}  {standing:8} {entries:>10} entries  {}", head.serial, head.day, known.sha256)
}

/// The heads in a file that `journal heads --json` made.
fn read_heads(path: &Path) -> Result<Vec<KnownHead>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            let place = format!("{}:{}", path.display(), at + 1);
            Failure::Usage(format!("{place}: expected a line of `journal heads --json`: {e}"))
        })
    };
    text.lines().enumerate().map(line).collect()
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
        Found::Session(session) => print_session(out, session, &local),
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

pub(super) fn print_session(
    out: &mut impl Write,
    session: &FoundSession,
    local: &dyn Fn(Timestamp) -> String,
) -> io::Result<()> {
    let FoundSession { id, provider, event, peer, session: number, .. } = session;
    let at = local(session.at);
    if session.signalling_expired {
        return writeln!(out, "{at}  {id}  a session of {provider}, its signalling expired: {event}");
    }
    let bind = session
        .bind
        .as_ref()
        .map(|bind| format!("  ({}, version {:#04x}, {:?})", bind.operation, bind.interface_version, bind.system_type));
    writeln!(out, "{at}  {id}  session {number} of {provider} from {peer}: {event}{}", bind.unwrap_or_default())
}

pub(super) fn print_change(
    out: &mut impl Write,
    change: &FoundChange,
    local: &dyn Fn(Timestamp) -> String,
) -> io::Result<()> {
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
        plain(delivery.text.as_deref().or(delivery.opaque.as_deref()).unwrap_or_default())
    )?;
    let Some(taken) = &delivery.taken else { return Ok(()) };
    writeln!(out, "    {} {} {}", taken.rule, taken.effect, taken.senders.join(" "))
}

/// Whose it was, how it came, and what it rested on.
fn print_facts(out: &mut impl Write, message: &FoundMessage, local: &dyn Fn(Timestamp) -> String) -> io::Result<()> {
    let facts = &message.facts;
    let came = match (&facts.tls, facts.signalling_expired) {
        (_, true) => "signalling expired".to_owned(),
        (None, false) => format!("session {} from {}", message.session, message.peer),
        (Some(tls), false) => format!("session {} from {}, {tls}", message.session, message.peer),
    };
    let sender = message.sender.as_ref().map(|sender| format!("  sender {sender}")).unwrap_or_default();
    let signature = facts.signature.as_ref().map(|name| format!("  signature {name}")).unwrap_or_default();
    let basis = facts.basis.as_ref().map(|basis| {
        let (blank, category) = (if basis.category.is_empty() { "" } else { " " }, &basis.category);
        let at = basis.at.map(|at| format!(" of {}", local(at))).unwrap_or_default();
        format!("  {}{blank}{category}{at}", basis.standing)
    });
    writeln!(out, "    by {}, {came}{sender}{signature}{}", message.provider, basis.unwrap_or_default())
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
    writeln!(out, "    {}", plain(message.text.as_deref().or(message.opaque.as_deref()).unwrap_or_default()))?;
    print_facts(out, message, local)?;
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
        writeln!(
            out,
            "    {} reply {}  {}",
            local(reply.received),
            reply.id,
            plain(reply.text.as_deref().unwrap_or("-"))
        )?;
    }
    if let (Some(state), Some(at)) = (&message.final_state, message.final_at) {
        writeln!(out, "    {} ended {state}", local(at))?;
    }
    Ok(())
}
