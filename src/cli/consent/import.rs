//! `portcullis consent import`: a CSV or JSON-lines file into the store, and changes of holder likewise.
//!
//! Owns the loop of read, take in, make durable, remember how far. Refuses to hold more than one
//! batch of rows. Driven by the command line; [`source`] reads, [`resume`] remembers.

mod faults;
mod hashing;
mod resume;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::papers::Papers;
use super::rows::reading::Reading;
use super::user;
use crate::admin::api::{Imported, Line, Request};
use crate::admin::client::Access;
use crate::cli::{Failure, load};
use crate::clock;
use crate::config::Config;
use crate::gate::open_evidence;
use crate::register::Register;
use crate::store::consents::{Held, Import};
use crate::store::{Applied, Consents};
use faults::Faults;
use resume::{Mark, Resume};
use source::{Next, Source};

/// Rows taken in before they are made durable together: many at a time cost far less each.
const BATCH: usize = 400_000;

/// The longest time between two of these: where rows come slowly, an interruption must not cost hours.
const BATCH_TIME: Duration = Duration::from_secs(5);

/// Rows sent to a running gate at a time.
const LINE: usize = 10_000;

/// Octets of their texts at a time, for rows with long evidence.
const LINE_OCTETS: usize = 4 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(after_help = "The file has a header line and these columns, in any order:
  msisdn,sender,category,status,at,method,evidence,expires_at
and any of these: frequency,wording,sha256,recorded_by,recorded_at. With --jsonl, or where its name ends in
.jsonl, it has a JSON object with these keys on each line.

  msisdn      in any usual form: 13800138000, 86…, +86…, 0086…, E.164
  sender      an id of the register; provider:ACCOUNT in a refusal of all of a provider's senders
  status      consent, refusal, or holder-change (no sender: consents from before are over)
  at          when it was said: 2026-11-23T10:15:00+08:00, or a day; not in the future
  expires_at  until when a consent holds; empty for no end
  frequency   how often a consent allows messages: 4/month, 1/week
  wording     what the subscriber was shown
  sha256      of the evidence's file

With --evidence-dir a consent whose file is missing is a faulty row; a refusal counts all the same.

Importing the same file again changes nothing. An import that was interrupted goes on where it was durable
when the same command is given again. The exit code is 1 when rows were faulty.

Examples:
  portcullis consent import consents.csv --config portcullis.toml
  portcullis consent import consents.csv --errors faulty.csv --evidence-dir scans
  zcat consents.csv.gz | portcullis consent import - --config portcullis.toml")]
pub(super) struct ImportArgs {
    /// The file; - for stdin
    file: PathBuf,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Read JSON lines
    #[arg(long)]
    jsonl: bool,
    /// Write every faulty row to this file, with its line and what is wrong
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Take in the files that `evidence` names in this folder, or that lie there by their sha256
    #[arg(long, value_name = "DIR")]
    evidence_dir: Option<PathBuf>,
    /// Who records rows that do not say; you, unless given
    #[arg(long, value_name = "NAME")]
    recorded_by: Option<String>,
    /// The file is an export: keep the arrivals it tells, and senders that are no longer registered
    #[arg(long)]
    restore: bool,
    /// Begin at the first row even if this import was interrupted before
    #[arg(long)]
    from_start: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "A number that changed its holder has no consents from before any more, to whichever sender; refusals
stay, and what the new holder agrees to later counts.

The file has a header line with msisdn and any of at, method, evidence, recorded_by; without at it is today's.

Examples:
  portcullis consent recycle --msisdn 13800138000 --at 2026-11-01
  portcullis consent recycle recycled-2026-11.csv --config portcullis.toml"
)]
pub(super) struct RecycleArgs {
    /// The CSV file of numbers; - for stdin
    #[arg(required_unless_present = "msisdn", conflicts_with = "msisdn")]
    file: Option<PathBuf>,
    /// One number, in any usual form
    #[arg(long, value_name = "NUMBER")]
    msisdn: Option<String>,
    /// When its holder changed: a time or a day; now, unless given
    #[arg(long, value_name = "TIME", requires = "msisdn", default_value = "")]
    at: String,
    /// Where the proof is
    #[arg(long, requires = "msisdn", default_value = "")]
    evidence: String,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Write every faulty row to this file, with its line and what is wrong
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
}

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    ended(import(args))
}

pub(super) fn recycle(args: &RecycleArgs) -> ExitCode {
    ended(recycle_all(args))
}

fn ended(outcome: Result<u64, Failure>) -> ExitCode {
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn import(args: &ImportArgs) -> Result<u64, Failure> {
    let config = load(&args.config)?;
    let papers = |dir| Ok::<_, Failure>(Papers::new(dir, open_evidence(&config)?));
    let papers = args.evidence_dir.as_deref().map(papers).transpose()?;
    let by = args.recorded_by.clone().unwrap_or_else(|| recorder(&args.file));
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let reading = Reading {
        register: &register,
        zone: &config.time_zone,
        now: clock::wall(),
        restore: args.restore,
        recycle: false,
        recorder: &by,
        papers: papers.as_ref(),
    };
    let json = args.jsonl || args.file.extension().is_some_and(|extension| extension == "jsonl");
    let resume = Resume::of(&config.data, &args.file, args.from_start);
    let faults = Faults::new(args.errors.as_deref(), resume.mark().errors)?;
    let what = if args.restore { "restore-import" } else { "import" };
    let imported = Imported { what: what.to_owned(), file: args.file.display().to_string(), ..Imported::default() };
    take_in(&config, Source::open(&args.file, json, reading, resume.mark())?, faults, resume, imported)
}

fn recycle_all(args: &RecycleArgs) -> Result<u64, Failure> {
    let config = load(&args.config)?;
    let file = args.file.clone().unwrap_or_default();
    let by = if args.msisdn.is_some() { user() } else { recorder(&file) };
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let reading = Reading {
        register: &register,
        zone: &config.time_zone,
        now: clock::wall(),
        restore: false,
        recycle: true,
        recorder: &by,
        papers: None,
    };
    let faults = Faults::new(args.errors.as_deref(), 0)?;
    let resume = Resume::never();
    let source = match &args.msisdn {
        Some(msisdn) => {
            let one = [("msisdn", msisdn.as_str()), ("at", &args.at), ("evidence", &args.evidence)];
            Source::one(&one, reading)
        }
        None => Source::open(&file, false, reading, resume.mark())?,
    };
    let named = args.msisdn.as_ref().map_or_else(|| file.display().to_string(), |_| "one number".to_owned());
    let imported = Imported { what: "recycle-import".to_owned(), file: named, ..Imported::default() };
    take_in(&config, source, faults, resume, imported)
}

fn recorder(file: &std::path::Path) -> String {
    match file.file_name() {
        Some(name) if file.as_os_str() != "-" => format!("{}, import of {}", user(), name.to_string_lossy()),
        _ => format!("{}, import", user()),
    }
}

/// Takes in every row and tells how many were faulty.
fn take_in(
    config: &Config,
    mut source: Source<'_>,
    mut faults: Faults,
    mut resume: Resume,
    imported: Imported,
) -> Result<u64, Failure> {
    let mut access = Access::open(config)?;
    let imported = Imported { from_line: resume.mark().line, ..imported };
    access.ask(&Request::Imported(imported.clone()), |_| true)?;
    let mut store = Store::of(&mut access);
    let mut total = resume.mark().clone();
    if total.line > 0 {
        eprintln!("going on at line {}: the {} rows before it are taken in", total.line, total.read);
    }
    loop {
        let (mut taken, begun) = (0, clock::monotonic());
        let ended = loop {
            match source.next()? {
                Next::End => break true,
                Next::Faulty { line, why, row } => {
                    total.faulty += 1;
                    source.progress.suspend(|| faults.tell(line, &why, &row))?;
                }
                Next::Good(held) => {
                    store.push(held)?;
                    taken += 1;
                }
            }
            total.read += 1;
            if taken == BATCH || (taken % 256 == 0 && begun.elapsed() > BATCH_TIME) {
                break false;
            }
        };
        let Applied { changed, unchanged, stale } = store.commit()?;
        (total.changed, total.unchanged, total.stale) =
            (total.changed + changed, total.unchanged + unchanged, total.stale + stale);
        total.errors = faults.flush()?;
        (total.offset, total.line) = source.position();
        if ended {
            break;
        }
        resume.save(&total)?;
    }
    source.progress.finish_and_clear();
    resume.end();
    let Mark { read, changed, unchanged, stale, faulty, .. } = total;
    drop(store);
    let rows = [read, changed, unchanged, stale, faulty];
    access.ask(&Request::Imported(Imported { sha256: Some(source.sha256()), rows, ..imported }), |_| true)?;
    println!(
        "{read} rows: {changed} changed, {unchanged} unchanged, {stale} superseded by what is held, {faulty} faulty"
    );
    Ok(faulty)
}

/// Where rows go: into the files, or to the running gate.
enum Store<'a> {
    Files(Import<&'a Consents>),
    Gate { access: &'a mut Access, rows: Vec<Held>, octets: usize },
}

impl<'a> Store<'a> {
    fn of(access: &'a mut Access) -> Self {
        match access {
            Access::Store { consents, .. } => Self::Files(consents.import()),
            Access::Gate(_) => Self::Gate { access, rows: Vec::new(), octets: 0 },
        }
    }

    fn push(&mut self, held: Held) -> Result<(), Failure> {
        match self {
            Self::Files(import) => Ok(import.push(&held.as_event())?),
            Self::Gate { rows, octets, .. } => {
                *octets += held.evidence.len() + held.wording.len() + held.method.len() + held.category.len();
                rows.push(held);
                if rows.len() >= LINE || *octets >= LINE_OCTETS { self.send() } else { Ok(()) }
            }
        }
    }

    fn send(&mut self) -> Result<(), Failure> {
        if let Self::Gate { access, rows, octets } = self
            && !rows.is_empty()
        {
            access.ask(&Request::Stage(std::mem::take(rows)), |_| true)?;
            *octets = 0;
        }
        Ok(())
    }

    /// Everything pushed is durable when this returns.
    fn commit(&mut self) -> Result<Applied, Failure> {
        self.send()?;
        match self {
            Self::Files(import) => Ok(import.commit()?),
            Self::Gate { access, .. } => {
                let mut applied = Applied::default();
                access.ask(&Request::Commit, |line| {
                    if let Line::Applied { changed, unchanged, stale } = line {
                        applied = Applied { changed, unchanged, stale };
                    }
                    true
                })?;
                Ok(applied)
            }
        }
    }
}
