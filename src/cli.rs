//! The command line: one file a subcommand.
//!
//! Owns the list of subcommands and how a failure is told. Refuses to do any work itself.
//! Driven by `main`.

mod access;
mod backup;
mod bundle;
pub mod check;
mod classify;
mod complaint;
mod consent;
mod demo;
mod explain;
mod hold;
mod journal;
pub mod judge;
mod keys;
mod measures;
mod probe;
mod replay;
mod retention;
mod run;
mod showing;
pub mod simulate;
mod status;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::document::Fault;

/// The gate on the wire between SMS providers and a carrier's SMSC.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// A simulated carrier, the gate and sample traffic over real sockets; prints the verdicts
    Demo(demo::DemoArgs),
    /// The gate
    Run(run::RunArgs),
    /// Checks configuration and register: every fault with file, line and key
    Check(check::CheckArgs),
    /// What would become of a message: nothing is sent and nothing recorded
    Judge(judge::JudgeArgs),
    /// How much a text promotes, and how well that tells commercial messages from others
    Classify(classify::ClassifyArgs),
    /// What subscribers agreed to and refused
    Consent(consent::ConsentArgs),
    /// The send records
    Journal(journal::JournalArgs),
    /// The keys that everything kept is sealed with
    Keys(keys::KeysArgs),
    /// Copies everything that is kept, while the gate runs or not
    Backup(backup::BackupArgs),
    /// Checks every octet of a backup
    VerifyBackup(backup::VerifyArgs),
    /// Makes a data directory of a backup
    Restore(backup::RestoreArgs),
    /// Who is warned of, slowed down or suspended, and lifting that
    Measures(measures::MeasuresArgs),
    /// Who looked at records and consents
    Access(access::AccessArgs),
    /// Legal holds: what must not expire
    Hold(hold::HoldArgs),
    /// What expires when, and letting it go
    Retention(retention::RetentionArgs),
    /// Complaints of subscribers
    Complaint(complaint::ComplaintArgs),
    /// Why a message was judged as it was, or what a reply was taken for
    Explain(explain::ExplainArgs),
    /// What another profile or register would change, for the messages of the journal; nothing is sent
    Replay(replay::ReplayArgs),
    /// A simulated carrier to try the gate against
    Simulate(simulate::SimulateArgs),
    /// Whether a refusal sent to a port would be honoured: a synthetic reply through the running gate
    Probe(probe::ProbeArgs),
    /// Sessions, rates and verdict counts of a running gate
    Status(status::StatusArgs),
}

impl Cli {
    /// What is logged unless `RUST_LOG` says otherwise: servers tell their life, tools only their troubles.
    pub fn default_log_filter(&self) -> &'static str {
        match self.command {
            Command::Run(_) => "info",
            _ => "warn",
        }
    }

    /// Carries the command out.
    pub fn run(&self) -> ExitCode {
        match &self.command {
            Command::Demo(args) => told(demo::run(args)),
            Command::Run(args) => told(run::run(args)),
            Command::Check(args) => check::run(args),
            Command::Judge(args) => judge::run(args, &consent::lookup),
            Command::Classify(args) => told(classify::run(args)),
            Command::Consent(args) => consent::run(args),
            Command::Journal(args) => told(journal::run(args)),
            Command::Keys(args) => told(keys::run(args)),
            Command::Backup(args) => told(backup::run(args)),
            Command::VerifyBackup(args) => told(backup::check(args)),
            Command::Restore(args) => told(backup::bring_back(args)),
            Command::Measures(args) => told(measures::run(args)),
            Command::Access(args) => told(access::run(args)),
            Command::Hold(args) => told(hold::run(args)),
            Command::Retention(args) => told(retention::run(args)),
            Command::Complaint(args) => told(complaint::run(args)),
            Command::Explain(args) => told(explain::run(args)),
            Command::Replay(args) => told(replay::run(args)),
            Command::Simulate(args) => told(simulate::run(args.clone())),
            Command::Probe(args) => told(probe::run(args)),
            Command::Status(args) => told(status::run(args)),
        }
    }
}

/// A failure as the user reads it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", list(.0))]
    Config(Vec<Fault>),
    #[error(transparent)]
    Start(#[from] crate::proxy::StartError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Access(#[from] crate::admin::client::AccessError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0} of what was checked is not as it was written")]
    Altered(u64),
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

fn told<E: std::fmt::Display>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever reads may have seen enough, as `head` has: that is no failure.
fn written(outcome: std::io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    let config = Config::load(path).map_err(Failure::Config)?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(config)
}
