//! Complaints as they are printed, with what is due.

use std::collections::BTreeSet;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::showing::{Showing, plain};
use crate::cli::{Failure, written};
use crate::clock;
use crate::config::Config;
use crate::gate::complaint::FoundComplaint;
use crate::rules::terms::{Stage, Term, Terms};

/// A complaint with its terms.
#[derive(Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    pub(super) complaint: FoundComplaint,
    /// What is due when.
    pub(super) terms: Terms,
}

impl Listed {
    pub(super) fn new(complaint: FoundComplaint, config: &Config, now: Timestamp) -> Self {
        let terms = Terms::of(&complaint.course, &config.workdays, &config.time_zone, now);
        Self { complaint, terms }
    }
}

/// Prints complaints; with `due` only open ones, what is overdue or due soonest first.
pub(super) fn print(
    found: Vec<FoundComplaint>,
    config: &Config,
    due: bool,
    json: bool,
    showing: Showing,
) -> Result<(), Failure> {
    let now = clock::wall();
    let mut listed: Vec<Listed> = found.into_iter().map(|complaint| Listed::new(complaint, config, now)).collect();
    if due {
        listed.retain(|listed| listed.terms.next.is_some());
        listed.sort_by_key(|listed| listed.terms.next.map(|term| term.due));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = listed.iter().try_for_each(|listed| {
        let of = [&listed.complaint.subscriber];
        match json {
            true => showing.json(&mut out, listed, of),
            false => showing.text(&mut out, of, |out| tell(out, listed, config, now)),
        }
    });
    written(printed.and_then(|()| out.flush()))?;
    warn(listed.iter().map(|listed| &listed.terms));
    Ok(())
}

/// Says which years are not in the table of holidays.
pub(super) fn warn<'t>(terms: impl Iterator<Item = &'t Terms>) {
    let unknown: BTreeSet<i16> = terms.flat_map(|terms| terms.unknown_years.iter().copied()).collect();
    for year in unknown {
        eprintln!(
            "warning: the holidays of {year} are not known: its days are counted by weekends alone. \
             Name a file with the notice's days: [complaints] holidays = \"FILE\""
        );
    }
}

fn tell(out: &mut impl Write, listed: &Listed, config: &Config, now: Timestamp) -> io::Result<()> {
    let complaint = &listed.complaint;
    let local = |at: Timestamp| at.to_zoned_datetime(config.time_zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let FoundComplaint { id, subscriber, about, reference, course, .. } = complaint;
    let reference = if reference.is_empty() { String::new() } else { format!("  ({reference})") };
    let (received, channel) = (local(course.received), course.channel.name());
    writeln!(out, "{id}  {received}  {subscriber} complains of {}, by way of {channel}{reference}", local(*about))?;
    if !complaint.text.is_empty() {
        writeln!(out, "    {}", plain(&complaint.text))?;
    }
    let messages = if complaint.messages.is_empty() { "none found".into() } else { complaint.messages.join(" ") };
    writeln!(out, "    messages: {messages}")?;
    let against: Vec<String> = complaint.against.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
    match &complaint.repeats {
        Some(earlier) => writeln!(out, "    counted before: {earlier} speaks of the same message")?,
        None if against.is_empty() => writeln!(out, "    counts against nobody")?,
        None => writeln!(out, "    counts against {}", against.join(", "))?,
    }
    for term in &listed.terms.terms {
        writeln!(out, "    {}", due(term, listed, config, now))?;
    }
    if let Some(hold) = &complaint.hold {
        writeln!(out, "    legal hold {hold}")?;
    }
    if let Some(closed) = course.closed {
        writeln!(out, "    closed {}", local(closed))?;
    }
    for step in complaint.steps.iter().filter(|step| !step.note.is_empty()) {
        writeln!(out, "    {}  {} by {}: {}", local(step.done), step.step, step.by, plain(&step.note))?;
    }
    Ok(())
}

fn due(term: &Term, listed: &Listed, config: &Config, now: Timestamp) -> String {
    let what = match term.stage {
        Stage::Forward => "12321 forwards it",
        Stage::Act => "act and report",
        Stage::Answer => "answer the user",
    };
    let (due, day) = (term.due, |at: Timestamp| at.to_zoned_datetime(config.time_zone.clone()).date());
    let weekday = due.strftime("%a");
    match term.done {
        Some(done) if term.is_late => format!("{what} by {due} ({weekday}): done {}, LATE", day(done)),
        Some(done) => format!("{what} by {due} ({weekday}): done {}", day(done)),
        None if listed.complaint.course.closed.is_some() => format!("{what} by {due} ({weekday})"),
        None if term.is_late => format!("{what} by {due} ({weekday}): OVERDUE"),
        None => {
            let left = config.workdays.between(day(now), due);
            format!("{what} by {due} ({weekday}): {left} working days left")
        }
    }
}
