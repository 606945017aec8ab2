//! `portcullis complaint`: what subscribers complain of.
//!
//! Owns the reading of a complaint and its printing. Works through the running gate, or on the
//! store where none runs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::journal::moment;
use super::showing::{self, Showing, given};
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::config::Config;
use crate::gate::complaint::{FoundComplaint, Plea};
use crate::gate::readings::Reading;
use crate::register::Register;
use crate::rules::Msisdn;

/// Complaints of subscribers.
#[derive(Args, Debug)]
pub(super) struct ComplaintArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Records a complaint, finds the messages it speaks of and counts it against who sent them
    Open(OpenArgs),
    /// Shows the complaints, oldest first
    List(ListArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis complaint open --msisdn 13800138000 --about 2026-11-23T10:15 --reference 12321-20261124-77
  portcullis complaint open --msisdn 13800138000 --about 2026-11-23 --port 10690001230801 --text '全场9折'

With --text every message that has these words is meant; without, the last one that had come by then.
Only what was forwarded is looked at. A time is written as for `portcullis journal find`.")]
struct OpenArgs {
    /// The subscriber's number, in any usual form
    #[arg(long, value_name = "NUMBER")]
    msisdn: String,
    /// When the message came, by the complainer's word
    #[arg(long, value_name = "TIME")]
    about: String,
    /// How far that may be off, in hours to either side
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    within: u32,
    /// The number it came from
    #[arg(long, value_name = "NUMBER")]
    port: Option<String>,
    /// The sender's id in the register
    #[arg(long, value_name = "ID")]
    sender: Option<String>,
    /// Words of the message
    #[arg(long)]
    text: Option<String>,
    /// The number of the case where it comes from, of 12321 say
    #[arg(long, default_value = "")]
    reference: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis complaint list --since 2026-11-01 --json")]
struct ListArgs {
    /// Recorded not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    #[command(flatten)]
    showing: Showing,
    /// Print JSON, one line each
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ComplaintArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Open(args) => open(args),
        Command::List(args) => {
            let config = load(&args.config)?;
            let since = moment(args.since.as_deref(), &config)?;
            let reading = args.showing.reading("complaint list").with("--since", args.since.as_ref());
            show(&config, &Request::Complaints(since), reading, args.json).map(|_| ())
        }
    }
}

fn open(args: &OpenArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let Some(msisdn) = Msisdn::parse(given(&args.msisdn)?) else {
        let expected = "expected 13800138000, 86…, +86… or E.164";
        return Err(Failure::Usage(format!("{:?} is no subscriber's number: {expected}", args.msisdn)));
    };
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    if let Some(sender) = args.sender.as_ref().filter(|sender| register.sender(sender).is_none()) {
        return Err(Failure::Usage(format!("sender {sender:?} is not in {}", config.register.display())));
    }
    // What is counted goes by the register's entry, whatever extension the message came from.
    let port = args.port.as_ref().map(|number| register.port(number.as_bytes()).map_or(number, |port| &port.number));
    let owner = port.and_then(|number| register.port(number.as_bytes())).map(|port| port.sender.clone());
    let within = Duration::from_secs(u64::from(args.within) * 3600);
    let plea = Plea {
        msisdn: msisdn.0,
        about_ms: moment(Some(&args.about), &config)?.unwrap_or_default(),
        within_ms: i64::try_from(within.as_millis()).unwrap_or(i64::MAX),
        port: port.cloned(),
        sender: args.sender.clone().or(owner),
        text: args.text.clone(),
        reference: args.reference.clone(),
    };
    let reading = args.showing.reading("complaint open").about("--msisdn", Some(&args.msisdn));
    let shown = show(&config, &Request::Complain(plea), reading, args.json)?;
    if shown.iter().any(|complaint| complaint.messages.is_empty()) {
        eprintln!("no message that went to this number around that time fits: it counts against whom it names");
    }
    Ok(())
}

fn show(config: &Config, request: &Request, reading: Reading, json: bool) -> Result<Vec<FoundComplaint>, Failure> {
    let showing = Showing { whole: reading.whole };
    let mut access = Access::open(config)?;
    showing::begin(&mut access, reading)?;
    let mut out = io::stdout().lock();
    let (mut shown, mut broken) = (Vec::new(), None);
    access.ask(request, |line| {
        if let Line::Complaint(complaint) = line {
            let of = [&complaint.subscriber];
            broken = match json {
                true => showing.json(&mut out, &complaint, of),
                false => showing.text(&mut out, of, |out| print(out, &complaint)),
            }
            .err();
            shown.push(complaint);
        }
        broken.is_none()
    })?;
    written(broken.map_or_else(|| out.flush(), Err))?;
    access.end(shown.len() as u64)?;
    Ok(shown)
}

fn print(out: &mut impl Write, complaint: &FoundComplaint) -> io::Result<()> {
    let FoundComplaint { id, at, subscriber, about, reference, .. } = complaint;
    let reference = if reference.is_empty() { String::new() } else { format!("  ({reference})") };
    writeln!(out, "{id}  {at:.0}  {subscriber} complains of {about:.0}{reference}")?;
    if !complaint.text.is_empty() {
        writeln!(out, "    {}", complaint.text)?;
    }
    let messages = if complaint.messages.is_empty() { "none found".into() } else { complaint.messages.join(" ") };
    writeln!(out, "    messages: {messages}")?;
    let against: Vec<String> = complaint.against.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
    match &complaint.repeats {
        Some(earlier) => writeln!(out, "    counted before: {earlier} speaks of the same message"),
        None => {
            writeln!(
                out,
                "    counts against {}",
                if against.is_empty() { "nobody".into() } else { against.join(", ") }
            )
        }
    }
}
