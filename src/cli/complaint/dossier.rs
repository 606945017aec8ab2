//! A complaint's dossier: everything about it in one folder, for the authority, the carrier or the court.
//!
//! Owns what belongs to it: the messages of the sender complained of to that subscriber, each of those meant with
//! the whole reasoning, consents with their evidence, replies, measures, who the sender is. Built on an export and
//! signed as one. Numbers are whole: who complains is known. Driven by `complaint open --out` and `dossier`.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::list::Listed;
use super::report;
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::cli::bundle::{About, Bundle};
use crate::cli::consent::user;
use crate::cli::explain::account;
use crate::cli::journal::export::{Export, Format, registered};
use crate::cli::showing;
use crate::cli::{Failure, load};
use crate::clock;
use crate::config::Config;
use crate::gate::DoNotDisturb;
use crate::gate::complaint::FoundComplaint;
use crate::gate::evidence::{Found, Query};
use crate::gate::measures::FoundStep;
use crate::gate::readings::Reading;
use crate::register::Register;
use crate::rules::r25_measures::Kind;

/// Things shown in the report; the export beside it has all.
const SHOWN: usize = 500;

/// How far around the time complained of is looked where neither sender nor port is known, in milliseconds.
const AROUND_MS: i64 = 24 * 3_600_000;

/// What the report says.
#[derive(Serialize)]
pub(super) struct Report {
    /// The complaint with its terms and steps.
    pub(super) complaint: Listed,
    /// The senders, providers and ports concerned, as registered now.
    pub(super) registered: Map<String, Value>,
    /// Each message meant, with the whole reasoning.
    pub(super) meant: Vec<Value>,
    /// The newest of what else went to that subscriber from there, and came back.
    pub(super) around: Vec<Found>,
    /// Whether there is more of it than is shown here.
    pub(super) more: bool,
    /// Measures ever taken against those concerned.
    pub(super) measures: Vec<FoundStep>,
    /// The zone of its local times.
    pub(super) time_zone: String,
}

/// Makes the dossier of a complaint.
pub(super) fn make(
    access: &mut Access,
    config: &Config,
    complaint: &FoundComplaint,
    mut bundle: Bundle,
) -> Result<(), Failure> {
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let lists = DoNotDisturb::load(&config.do_not_disturb).map_err(Failure::Config)?;
    let query = query(complaint, config);
    let mut export = Export::new(config, &register, &mut bundle, true);
    export.run(access, query.clone(), Format::Both, false)?;
    let (counts, mut wanting) = (std::mem::take(&mut export.counts), std::mem::take(&mut export.wanting));
    let mut meant = Vec::new();
    for record in &complaint.messages {
        match account(access, config, &register, &lists, record) {
            Ok(told) => meant.push(told),
            Err(error) => wanting.push(format!("message {record}: {error}")),
        }
    }
    let (around, more) = around(access, query)?;
    let names: Vec<(bool, String)> = of_kind(complaint, Kind::Sender)
        .map(|id| (true, id))
        .chain(of_kind(complaint, Kind::Provider).map(|id| (false, id)))
        .collect();
    let now = clock::wall();
    let report = Report {
        complaint: Listed::new(complaint.clone(), config, now),
        registered: registered(&register, &names, &of_kind(complaint, Kind::Port).collect()),
        meant,
        around,
        more,
        measures: measures(access, complaint)?,
        time_zone: config.time_zone_name.clone(),
    };
    bundle.put_json("report.json", &report)?;
    bundle.put("report.html", report::html(&report, &config.time_zone).as_bytes())?;
    let about = About {
        kind: "dossier",
        made: now,
        by: user(),
        time_zone: config.time_zone_name.clone(),
        whole: true,
        query: vec![("complaint", complaint.id.clone()), ("subscriber", complaint.subscriber.clone())],
        counts,
        wanting,
    };
    let out = bundle.target().display().to_string();
    bundle.seal(&about, access)?;
    eprintln!("{out}: the dossier of {}", complaint.id);
    about.wanting.iter().for_each(|what| eprintln!("warning: {what}"));
    Ok(())
}

/// What of a subscriber's messages is the complaint's business: those of the sender complained of, or of the
/// port; where neither is known, those around the time.
fn query(complaint: &FoundComplaint, config: &Config) -> Query {
    let only = |kind| {
        let mut all = of_kind(complaint, kind);
        all.next().filter(|_| all.next().is_none())
    };
    let base = Query {
        to: Some(complaint.subscriber.clone()),
        message_id_form: config.carrier.message_id,
        ..Query::default()
    };
    match (only(Kind::Sender), only(Kind::Port)) {
        (Some(sender), _) => Query { sender: Some(sender), ..base },
        (None, Some(port)) => Query { port: Some(port), ..base },
        (None, None) => {
            let about = complaint.about.as_millisecond();
            Query { since_ms: Some(about - AROUND_MS), until_ms: Some(about + AROUND_MS), ..base }
        }
    }
}

fn of_kind(complaint: &FoundComplaint, kind: Kind) -> impl Iterator<Item = String> + use<'_> {
    complaint.against.iter().filter(move |(of, _)| *of == kind).map(|(_, name)| name.clone())
}

fn around(access: &mut Access, query: Query) -> Result<(Vec<Found>, bool), Failure> {
    let query = Query { limit: SHOWN, newest_first: true, ..query };
    let (mut around, mut more) = (Vec::new(), false);
    access.ask(&Request::Find(query), |line| {
        match line {
            Line::Found(found) => around.push(found),
            Line::More(_) => more = true,
            _ => {}
        }
        true
    })?;
    Ok((around, more))
}

fn measures(access: &mut Access, complaint: &FoundComplaint) -> Result<Vec<FoundStep>, Failure> {
    let mut taken = Vec::new();
    let is_concerned =
        |step: &FoundStep| complaint.against.iter().any(|(kind, name)| kind.name() == step.kind && *name == step.name);
    access.ask(&Request::MeasureHistory(None), |line| {
        if let Line::Step(step) = line
            && is_concerned(&step)
        {
            taken.push(step);
        }
        true
    })?;
    Ok(taken)
}

/// Reads the configuration and makes the dossier of a complaint by its name.
pub(super) fn run(config: &Path, id: &str, out: &Path) -> Result<(), Failure> {
    let config = load(config)?;
    let bundle = Bundle::begin(out)?;
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, Reading::new("complaint dossier", true).with("", Some(id)))?;
    let found = super::complaints(&mut access, &Request::Complaints(None))?;
    let complaint = found.into_iter().find(|complaint| complaint.id == id);
    let missing = || Failure::Usage(format!("no complaint {id}: `portcullis complaint list` shows their names"));
    let complaint = complaint.ok_or_else(missing)?;
    access.end(0)?;
    let reading = Reading::new("complaint dossier", true).with("", Some(id));
    showing::begin(&mut access, reading.about("--of", Some(&complaint.subscriber)))?;
    make(&mut access, &config, &complaint, bundle)?;
    access.end(1)?;
    Ok(())
}
