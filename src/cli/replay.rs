//! `portcullis replay`: what another profile or register would change.
//!
//! Owns the walk through the journal, page by page through the running gate or on the store, and the
//! printing. Refuses to send and to record anything: the judging is done in this process, which
//! stands back behind the gate's. Stops at an interrupt with what it has.

mod print;
mod stop;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::journal::moment;
use super::showing;
use super::{Failure, load, written};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::admin::entries::{Entry, Page};
use crate::clock;
use crate::config::Config;
use crate::gate::again::Bench;
use crate::gate::facts;
use crate::gate::readings::Reading;
use crate::gate::record::RecordSchema;
use crate::gate::replay::Replay;
use crate::register::Register;
use crate::rules::{Facts, Identity, Profile};
use crate::store::Schema;
use stop::Stop;

/// Entries asked for at a time.
const PAGE: usize = 8192;

/// How far this process stands back.
const NICE: i32 = 10;

/// What would change under another profile or register: the journal's messages judged again, nothing sent.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis replay --since 2026-11-01 --until 2026-11-08 --profile cn-2026-74 --config portcullis.toml
  portcullis replay --since 2026-11-23 --profile stricter.toml --register next.toml --json

A profile is a built-in name or a file, and holds as it is: what [profile] sets beside its base counts only where no
--profile is given. Each message is judged by what was known of its recipient when it came; what another profile's frequency
allows and what its measures would have stopped is counted again, from the beginning of the period and the windows
that --since is in. The exit code is 0 when all was judged, whatever would change, and 1 when it was stopped or something could not be read.")]
pub(super) struct ReplayArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Not before this time: 2026-11-23, or 2026-11-23T10:15:00+08:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The profile to judge by: a built-in name or a file; the configuration's, unless given
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// The register to judge by; the configuration's, unless given
    #[arg(long, value_name = "FILE")]
    register: Option<PathBuf>,
    /// At most this many messages, oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// At most this many examples
    #[arg(long, value_name = "N", default_value_t = 20)]
    examples: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let profile = profile(args.profile.as_deref(), &config)?;
    let register = Register::load(args.register.as_ref().unwrap_or(&config.register)).map_err(Failure::Config)?;
    let since_ms = moment(args.since.as_deref(), &config)?;
    let until_ms = moment(args.until.as_deref(), &config)?;
    if since_ms.zip(until_ms).is_some_and(|(since, until)| since >= until) {
        return Err(Failure::Usage("--since must be before --until".to_owned()));
    }
    // Also where nobody may: slower by itself, then.
    rustix::process::nice(NICE).ok();
    let bench = Bench { register: &register, profile: &profile };
    let mut walk = Walk {
        access: Access::open(&config)?,
        replay: Replay::new(bench, args.examples, clock::monotonic()),
        limit: args.limit.unwrap_or(u64::MAX),
        page: Page { since_ms, until_ms, after: None, limit: PAGE },
        bar: Bar::new(until_ms.unwrap_or_else(|| clock::wall().as_millisecond())),
        stop: Stop::on_interrupt()?,
    };
    // Numbers in examples are hidden always.
    let reading = Reading::new("replay", false)
        .with("--since", args.since.as_ref())
        .with("--until", args.until.as_ref())
        .with("--profile", args.profile.as_ref())
        .with("--limit", args.limit);
    showing::begin(&mut walk.access, reading)?;
    let ended = walk.run();
    walk.bar.bar.finish_and_clear();
    walk.replay.finish();
    let report = walk.replay.report();
    walk.access.end(report.messages)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let told = if args.json {
        serde_json::to_writer(&mut out, report).map_err(io::Error::from).and_then(|()| writeln!(out))
    } else {
        print::report(&mut out, report, &profile, &register, &config.time_zone)
    };
    written(told.and_then(|()| out.flush()))?;
    ended?;
    match report.unread {
        0 => Ok(()),
        unread => {
            Err(Failure::Usage(format!("{unread} entries of the journal cannot be read; the others were judged")))
        }
    }
}

/// The profile to judge by, with the configuration's time zone.
fn profile(named: Option<&str>, config: &Config) -> Result<Profile, Failure> {
    let Some(named) = named else { return Ok(config.profile.clone()) };
    let mut profile = match Profile::built_in(named) {
        Some(profile) => profile,
        None => read(Path::new(named))?,
    };
    profile.time_zone = config.time_zone.clone();
    Ok(profile)
}

fn read(path: &Path) -> Result<Profile, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let known: Vec<&str> = Profile::built_in_names().collect();
        Failure::Usage(format!("--profile {}: {error}, and it is none of {}", path.display(), known.join(", ")))
    })?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Profile::parse(&name, path, &text).map_err(Failure::Config)
}

struct Walk<'w> {
    access: Access,
    replay: Replay<'w>,
    limit: u64,
    page: Page,
    bar: Bar,
    stop: Stop,
}

impl Walk<'_> {
    /// Judges what is asked for; before that, takes note of what counts for it.
    fn run(&mut self) -> Result<(), Failure> {
        let page = self.page.clone();
        let since = page.since_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        if let Some(since) = since {
            let from = self.replay.counts_from(since);
            self.measures_before()?;
            if from < since {
                let before = Page { since_ms: Some(from.as_millisecond()), until_ms: page.since_ms, ..page.clone() };
                self.walk(before, Self::remember)?;
            }
        } else {
            self.measures_before()?;
        }
        self.walk(page, Self::take)
    }

    /// Takes note of the measures that hold when counting begins.
    fn measures_before(&mut self) -> Result<(), Failure> {
        for request in [Request::MeasureHistory(None), Request::Measures] {
            let replay = &mut self.replay;
            self.access.ask(&request, |line| {
                match line {
                    Line::Step(step) => replay.stood(step),
                    Line::Measure(measure) => replay.stands(measure),
                    _ => {}
                }
                true
            })?;
        }
        self.replay.begin();
        Ok(())
    }

    /// Goes page by page, while each entry is taken. Between pages the way to the store is free for what records
    /// do not say.
    fn walk(&mut self, mut page: Page, take: fn(&mut Self, &Entry) -> Result<bool, Failure>) -> Result<(), Failure> {
        loop {
            let entries = self.entries(&page)?;
            for entry in &entries {
                if self.stop.is_asked() {
                    return Err(interrupted());
                }
                if !take(self, entry)? {
                    return Ok(());
                }
            }
            match entries.last() {
                Some(last) if entries.len() == PAGE => page.after = Some(last.id.clone()),
                _ => return Ok(()),
            }
        }
    }

    fn entries(&mut self, page: &Page) -> Result<Vec<Entry>, Failure> {
        let mut all = Vec::with_capacity(PAGE);
        let stop = &self.stop;
        self.access.ask(&Request::Entries(page.clone()), |line| {
            if let Line::Entries(entries) = line {
                all.extend(entries);
            }
            !stop.is_asked()
        })?;
        Ok(all)
    }

    fn remember(&mut self, entry: &Entry) -> Result<bool, Failure> {
        let (id, payload) = entry.read().map_err(Failure::Usage)?;
        self.replay.remember(id, &payload);
        self.bar.at(RecordSchema.at_ms(&payload), || "counted before".to_owned());
        Ok(true)
    }

    fn take(&mut self, entry: &Entry) -> Result<bool, Failure> {
        if self.replay.report().messages >= self.limit {
            return Ok(false);
        }
        let (id, payload) = entry.read().map_err(Failure::Usage)?;
        let access = &mut self.access;
        self.replay.take(id, &payload, &mut |identity, at| look_up(access, identity, at));
        let messages = self.replay.report().messages;
        self.bar.at(RecordSchema.at_ms(&payload), || format!("{messages} messages"));
        Ok(true)
    }
}

fn interrupted() -> Failure {
    Failure::Usage("interrupted: this is what was judged until then".to_owned())
}

/// Where a recipient stood by what had been recorded by that time.
fn look_up<'r>(access: &mut Access, identity: Identity<'r>, at: Timestamp) -> Result<Facts<'r>, String> {
    let mut events = Vec::new();
    if let (Some(msisdn), Some(_)) = (identity.msisdn, identity.sender) {
        let asked = access.ask(&Request::History(msisdn.0), |line| {
            if let Line::Held(held) = line {
                events.push(held);
            }
            true
        });
        asked.map_err(|error| error.to_string())?;
    }
    Ok(facts::of_events_known(identity, &events, at))
}

/// How far the walk has come, by the time of the records.
struct Bar {
    bar: ProgressBar,
    from_ms: Option<i64>,
    until_ms: i64,
    /// Entries passed: each of so many moves it.
    passed: u64,
}

impl Bar {
    fn new(until_ms: i64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(4));
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg}  eta {eta}") {
            bar.set_style(style);
        }
        Self { bar, from_ms: None, until_ms, passed: 0 }
    }

    fn at(&mut self, at_ms: i64, said: impl FnOnce() -> String) {
        self.passed += 1;
        if self.bar.is_hidden() || !self.passed.is_multiple_of(256) {
            return;
        }
        let from = *self.from_ms.get_or_insert(at_ms);
        let span = |until: i64| u64::try_from(until.saturating_sub(from)).unwrap_or(0);
        self.bar.set_length(span(self.until_ms));
        self.bar.set_position(span(at_ms));
        self.bar.set_message(said());
    }
}
