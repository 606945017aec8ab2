//! `portcullis complaint`: what subscribers complain of, and what becomes of it.
//!
//! Owns the reading of a complaint and of the steps that follow it. Works through the running gate, or on the
//! store where none runs. What is due is reckoned here, by the calendar of the configuration.

mod dossier;
mod list;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::journal::moment;
use super::showing::{self, Showing, given};
use super::{Failure, load};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::cli::bundle::Bundle;
use crate::clock;
use crate::config::Config;
use crate::gate::complaint::{FoundComplaint, Plea, Step, Stride};
use crate::gate::readings::Reading;
use crate::gate::retention::HoldOrder;
use crate::register::Register;
use crate::rules::Msisdn;
use crate::rules::terms::{Channel, FORWARD};

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
    /// Records that the company acted on a complaint and reported
    Act(StepArgs),
    /// Records that the user was answered
    Answer(StepArgs),
    /// Records anything else that belongs to a complaint
    Note(StepArgs),
    /// Makes a folder of everything about a complaint, hashed and signed
    Dossier(DossierArgs),
    /// Closes a complaint: nothing is due any more
    Close(CloseArgs),
    /// Shows the complaints and what is due
    List(ListArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis complaint open --msisdn 13800138000 --about 2026-11-23T10:15 --channel 12321 --reference 12321-20261124-77
  portcullis complaint open --msisdn 13800138000 --about 2026-11-23 --port 10690001230801 --text '全场9折'

With --text every message that has these words is meant; without, the last one that had come by then.
Only what was forwarded is looked at. A time is written as for `portcullis journal find`.

The clocks run from --received: 12321 has 3 working days to forward a complaint, the company 15 from then on to act
and report, and 3 more to answer the user. What came through 12321 counts as forwarded by now, unless --reached
says when it was.")]
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
    /// How the complaint came
    #[arg(long, value_parser = ["12321", "carrier", "direct"], default_value = "direct")]
    channel: String,
    /// When it was made; now, unless given
    #[arg(long, value_name = "TIME")]
    received: Option<String>,
    /// When it reached you, where that was later
    #[arg(long, value_name = "TIME")]
    reached: Option<String>,
    /// Set no legal hold on what there is of the subscriber
    #[arg(long)]
    no_hold: bool,
    /// Make the dossier in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
#[command(after_help = "Examples:
  portcullis complaint act 20261124-000000123 --note 'sender suspended, report 2026-118 sent to 12321'
  portcullis complaint answer 20261124-000000123 --note 'called back' --at 2026-12-01T15:30")]
struct StepArgs {
    /// The complaint's name, as `complaint list` shows it
    #[arg(value_name = "COMPLAINT")]
    id: String,
    /// What was done
    #[arg(long)]
    note: String,
    /// When; now, unless given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
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
  portcullis complaint dossier 20261124-000000123 --out case-118

The folder has a report (report.html, report.json), the records of the sender complained of for that subscriber, what
the subscriber agreed to and refused with the evidence, the replies, and who the sender is. Its README.txt says how to
check it with sha256sum and openssl. Numbers in it are whole.")]
struct DossierArgs {
    /// The complaint's name, as `complaint list` shows it
    #[arg(value_name = "COMPLAINT")]
    id: String,
    /// The folder to make; one that is there must be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis complaint close 20261124-000000123 --note 'answered, no reply for a month'")]
struct CloseArgs {
    #[command(flatten)]
    step: StepArgs,
    /// Lift the legal hold that was set for it
    #[arg(long)]
    lift_hold: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis complaint list --due
  portcullis complaint list --since 2026-11-01 --json")]
struct ListArgs {
    /// Recorded not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only open ones, what is overdue or due soonest first
    #[arg(long)]
    due: bool,
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
        Command::Act(args) => step(args, Step::Acted, None),
        Command::Answer(args) => step(args, Step::Answered, None),
        Command::Note(args) => step(args, Step::Noted, None),
        Command::Dossier(args) => dossier::run(&args.config, &args.id, &args.out),
        Command::Close(args) => close(args),
        Command::List(args) => {
            let config = load(&args.config)?;
            let since = moment(args.since.as_deref(), &config)?;
            let reading = args.showing.reading("complaint list").with("--since", args.since.as_ref());
            let mut access = Access::open(&config)?;
            showing::begin(&mut access, reading)?;
            let found = complaints(&mut access, &Request::Complaints(since))?;
            access.end(found.len() as u64)?;
            list::print(found, &config, args.due, args.json, args.showing)
        }
    }
}

fn open(args: &OpenArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let plea = plea(args, &config)?;
    // Before anything is on record: what cannot be written would be asked for twice.
    let bundle = args.out.as_deref().map(Bundle::begin).transpose()?;
    let mut access = Access::open(&config)?;
    let whole = args.showing.whole || args.out.is_some();
    let reading = Reading::new("complaint open", whole).about("--msisdn", Some(&args.msisdn));
    showing::begin(&mut access, reading.with("--out", args.out.as_ref().map(|out| out.display())))?;
    let opened = held(&mut access, plea, args.no_hold)?;
    if opened.iter().any(|complaint| complaint.messages.is_empty()) {
        eprintln!("no message that went to this number around that time fits: it counts against whom it names");
    }
    let complaint = opened.first().cloned();
    list::print(opened, &config, false, args.json, args.showing)?;
    if let (Some(bundle), Some(complaint)) = (bundle, complaint) {
        dossier::make(&mut access, &config, &complaint, bundle)?;
    }
    access.end(1)?;
    Ok(())
}

/// Takes the complaint, under a legal hold of all there is of the subscriber, so that nothing of it expires meanwhile.
fn held(access: &mut Access, plea: Plea, no_hold: bool) -> Result<Vec<FoundComplaint>, Failure> {
    if no_hold {
        return complaints(access, &Request::Complain(plea));
    }
    let reference = Some(plea.reference.as_str()).filter(|reference| !reference.is_empty());
    let why = format!("complaint {}", reference.unwrap_or("of the subscriber"));
    let order = HoldOrder { msisdn: Some(plea.msisdn), why, ..HoldOrder::default() };
    let hold = hold(access, &Request::Hold(order))?;
    let opened = complaints(access, &Request::Complain(Plea { hold: hold.clone(), ..plea }));
    if let (Err(_), Some(hold)) = (&opened, hold) {
        eprintln!("warning: the complaint is not on record, the legal hold {hold} is: `portcullis hold lift {hold}`");
    }
    opened
}

/// The name of the hold that a request is answered with.
fn hold(access: &mut Access, request: &Request) -> Result<Option<String>, Failure> {
    let mut name = None;
    access.ask(request, |line| {
        if let Line::Hold(hold) = line {
            name = Some(hold.id.clone());
        }
        true
    })?;
    Ok(name)
}

/// Closes a complaint, and lifts its hold where that is asked for: first the closing, for it is on record then why.
fn close(args: &CloseArgs) -> Result<(), Failure> {
    if !args.lift_hold {
        return step(&args.step, Step::Closed, None);
    }
    let config = load(&args.step.config)?;
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, args.step.showing.reading("complaint close").with("", Some(&args.step.id)))?;
    let mut all = complaints(&mut access, &Request::Complaints(None))?;
    access.end(0)?;
    all.retain(|complaint| complaint.id == args.step.id);
    let held = all.pop().and_then(|complaint| complaint.hold);
    drop(access);
    step(&args.step, Step::Closed, held.clone())?;
    let Some(held) = held else {
        eprintln!("no legal hold was set for {}", args.step.id);
        return Ok(());
    };
    let mut access = Access::open(&config)?;
    let why = format!("complaint {} is closed", args.step.id);
    showing::begin(&mut access, args.step.showing.reading("hold lift").with("", Some(&held)))?;
    if let Err(failed) = hold(&mut access, &Request::LiftHold(held.clone(), why.clone())) {
        eprintln!(
            "warning: the complaint is closed, its legal hold stands: `portcullis hold lift {held} --why '{why}'`"
        );
        return Err(failed);
    }
    access.end(1)?;
    eprintln!("legal hold {held} is lifted");
    Ok(())
}

/// What the complainer says, checked.
fn plea(args: &OpenArgs, config: &Config) -> Result<Plea, Failure> {
    let Some(msisdn) = Msisdn::parse(given(&args.msisdn)?) else {
        let expected = "expected 13800138000, 86…, +86… or E.164";
        return Err(Failure::Usage(format!("{:?} is no subscriber's number: {expected}", args.msisdn)));
    };
    if args.text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        return Err(Failure::Usage("--text is empty: expected words of the message".to_owned()));
    }
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    if let Some(sender) = args.sender.as_ref().filter(|sender| register.sender(sender).is_none()) {
        return Err(Failure::Usage(format!("sender {sender:?} is not in {}", config.register.display())));
    }
    // What is counted goes by the register's entry, whatever extension the message came from.
    let port = args.port.as_ref().map(|number| register.port(number.as_bytes()).map_or(number, |port| &port.number));
    let owner = port.and_then(|number| register.port(number.as_bytes())).map(|port| port.sender.clone());
    let within = Duration::from_secs(u64::from(args.within) * 3600);
    let channel = Channel::from_name(&args.channel).unwrap_or_default();
    let received = moment(args.received.as_deref(), config)?;
    let reached = moment(args.reached.as_deref(), config)?;
    Ok(Plea {
        msisdn: msisdn.0,
        about_ms: moment(Some(&args.about), config)?.unwrap_or_default(),
        within_ms: i64::try_from(within.as_millis()).unwrap_or(i64::MAX),
        port: port.cloned(),
        sender: args.sender.clone().or(owner),
        text: args.text.clone(),
        reference: args.reference.clone(),
        channel,
        received_ms: received,
        reached_ms: reached.or_else(|| forwarded(channel, received, config)),
        hold: None,
    })
}

/// When 12321 forwarded a complaint that is at hand now: in time, as far as nobody says otherwise.
fn forwarded(channel: Channel, received_ms: Option<i64>, config: &Config) -> Option<i64> {
    if channel != Channel::Hotline {
        return None;
    }
    let now = clock::wall();
    let received = received_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(now);
    let due = config.workdays.after(received.to_zoned_datetime(config.time_zone.clone()).date(), FORWARD);
    let end = due.at(23, 59, 59, 0).to_zoned_datetime(config.time_zone.clone()).ok()?.timestamp();
    Some(now.min(end).max(received).as_millisecond())
}

fn step(args: &StepArgs, step: Step, hold: Option<String>) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let stride = Stride {
        of: args.id.clone(),
        step,
        done_ms: moment(args.at.as_deref(), &config)?,
        note: args.note.clone(),
        hold,
    };
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, args.showing.reading("complaint step").with("", Some(&args.id)))?;
    let stepped = complaints(&mut access, &Request::ComplaintStep(stride))?;
    access.end(stepped.len() as u64)?;
    about(&mut access, args.showing.reading("complaint step"), stepped.first())?;
    list::print(stepped, &config, false, args.json, args.showing)
}

/// Records that what is shown now is a complaint of this subscriber.
fn about(access: &mut Access, reading: Reading, complaint: Option<&FoundComplaint>) -> Result<(), Failure> {
    let Some(complaint) = complaint else { return Ok(()) };
    showing::begin(access, reading.with("", Some(&complaint.id)).about("--of", Some(&complaint.subscriber)))?;
    Ok(access.end(1)?)
}

/// The complaints that a request is answered with.
fn complaints(access: &mut Access, request: &Request) -> Result<Vec<FoundComplaint>, Failure> {
    let mut found = Vec::new();
    access.ask(request, |line| {
        if let Line::Complaint(complaint) = line {
            found.push(complaint);
        }
        true
    })?;
    Ok(found)
}
