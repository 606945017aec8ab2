//! `portcullis consent export`: everything, with its evidence where asked for.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use clap::Args;

use super::load;
use super::rows::Sink;
use super::showing::{self, Showing};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::cli::{Failure, written};
use crate::gate::open_evidence;
use crate::store::evidence_files::Found;
use crate::store::{EvidenceFiles, Sha256};

/// Hashes remembered, so that a file that many consents name is copied once.
const REMEMBERED: usize = 1 << 20;

#[derive(Args, Debug)]
#[command(
    after_help = "What stands is written, one row for the last consent to each category and for the last refusal of each
sender; with --history every event there is. `consent import --restore` of the latter gives the same history, where
it has the numbers whole.

Examples:
  portcullis consent export --config portcullis.toml > consents.csv
  portcullis consent export --whole --history --evidence papers > everything.csv
  portcullis consent import --restore --evidence-dir papers everything.csv"
)]
pub(super) struct ExportArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Write JSON, one line each
    #[arg(long)]
    json: bool,
    /// Write every event, not only what stands
    #[arg(long)]
    history: bool,
    /// Copy the evidence's files to this folder, each under its SHA-256; they have whole numbers
    #[arg(long, value_name = "DIR", requires = "whole")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    showing: Showing,
}

pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let from = args.evidence.as_ref().map(|_| open_evidence(&config)).transpose()?;
    let mut papers = args.evidence.as_ref().zip(from).map(|(dir, from)| Papers {
        from,
        to: EvidenceFiles::at(dir),
        known: HashSet::new(),
        failed: None,
        missing: 0,
    });
    let request = if args.history { Request::ExportHistory } else { Request::Export };
    let mut broken = None;
    let mut sink = Sink::new(io::BufWriter::with_capacity(1 << 16, io::stdout().lock()), args.json, args.showing)?;
    let reading = args
        .showing
        .reading("consent export")
        .with("", args.history.then_some("--history"))
        .with("--evidence", args.evidence.as_ref().map(|dir| dir.display()));
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, reading)?;
    let mut rows = 0;
    access.ask(&request, |line| {
        let Line::Held(held) = line else { return true };
        rows += 1;
        broken = sink.write(&held).err();
        let copied = match (&mut papers, held.sha256) {
            (Some(papers), Some(sha256)) => papers.copy(sha256),
            _ => true,
        };
        broken.is_none() && copied
    })?;
    written(broken.map_or_else(|| sink.flush(), Err))?;
    access.end(rows)?;
    match papers {
        Some(Papers { failed: Some(error), .. }) => Err(error.into()),
        Some(Papers { missing, .. }) if missing > 0 => {
            Err(Failure::Usage(format!("{missing} evidence files are missing or not what their hash says")))
        }
        _ => Ok(()),
    }
}

struct Papers {
    from: EvidenceFiles,
    to: EvidenceFiles,
    known: HashSet<Sha256>,
    failed: Option<crate::store::StoreError>,
    missing: u64,
}

impl Papers {
    /// Copies a file once; false where no more can be.
    fn copy(&mut self, sha256: Sha256) -> bool {
        if self.known.contains(&sha256) {
            return true;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(sha256);
        match self.from.copy_to(sha256, &self.to) {
            Ok(Found::Whole) => true,
            Ok(found) => {
                let what = if found == Found::Missing { "is missing" } else { "is not what its hash says" };
                eprintln!("warning: the evidence file {sha256} {what}");
                self.missing += 1;
                true
            }
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }
}
