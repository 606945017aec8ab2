//! `portcullis backup`, `verify-backup` and `restore`: a copy of everything kept, and the way back from it.
//!
//! Owns what the user is told. Refuses to touch a file itself. A backup goes through the running gate, or
//! opens the store where none runs; a restore needs neither.

use std::fs;
use std::path::{Path, PathBuf, absolute};

use clap::Args;

use super::{Failure, load};
use crate::admin::Asker;
use crate::admin::api::{Line, Request};
use crate::admin::backup::{self, Made, Order};
use crate::admin::client::{Access, AccessError};
use crate::config::Config;
use crate::gate;
use crate::register::Register;
use crate::store::backup::{BackupError, Manifest, Step, restore, verify};
use crate::store::sends::Asleep;

/// Copies everything that is kept, as it is at one moment, while the gate runs or not.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis backup /srv/backup/gate1 --config portcullis.toml
  portcullis backup /srv/backup/gate1 --rate 20          at most 20 MB a second are read

In it are the journal, consents, counts, evidence, measures, the wrapped keys, the configuration and the files it
names; not the master key, and not the keys and certificates of TLS: keep those elsewhere. Given again with the same
folder, only what has changed is copied, and what has expired goes. `sha256sum -c SHA256SUMS` in the folder checks it
without portcullis.")]
pub(super) struct BackupArgs {
    /// The folder: new, empty, or with the backup before
    dir: PathBuf,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Megabytes read a second, at most
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    /// Name every file
    #[arg(long)]
    verbose: bool,
}

/// Checks every octet of a backup against its manifest.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis verify-backup /srv/backup/gate1

Whether the journal in it is unaltered: restore it, and ask `portcullis journal verify`.")]
pub(super) struct VerifyArgs {
    /// The backup's folder
    dir: PathBuf,
}

/// Makes a data directory of a backup, once every octet of it has been checked.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis restore /srv/backup/gate1 --data /var/lib/portcullis
  cp /etc/portcullis/master.key …                        # the master key is in no backup
  portcullis run --config portcullis.toml                # with data = \"/var/lib/portcullis\"")]
pub(super) struct RestoreArgs {
    /// The backup's folder
    dir: PathBuf,
    /// The data directory to make: not there yet, or empty
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// Name every file
    #[arg(long)]
    verbose: bool,
}

pub(super) fn run(args: &BackupArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let order = order(args, &config)?;
    let mut made = None;
    let mut take = |line| {
        match line {
            Line::Backup(whole) => made = Some(whole),
            Line::Copied(copied) if args.verbose => {
                println!(
                    "{}{}  {} octets",
                    copied.name,
                    if copied.reused { " (as before)" } else { "" },
                    copied.octets
                );
            }
            _ => {}
        }
        true
    };
    match Access::gate(&config) {
        Ok(mut access) => access.ask(&Request::Backup(order), take)?,
        Err(AccessError::NotRunning(_)) => make(&config, &order, &mut take)?,
        Err(error) => return Err(error.into()),
    }
    match made {
        Some(made) => print(args, &config, &made),
        None => return Err(Failure::Usage("the running gate did not say what became of the backup".to_owned())),
    }
    Ok(())
}

/// Without a gate, on the store itself.
fn make(config: &Config, order: &Order, take: &mut dyn FnMut(Line) -> bool) -> Result<(), Failure> {
    let keys = gate::open_keys(config)?;
    let journal = gate::open_journal(config, &keys)?;
    let consents = gate::open_consents(&config.data, &keys)?;
    let sends = Asleep::open(&config.data.join("sends"))?;
    let mut failed = None;
    let sends = sends.as_ref().map(|sends| sends as &dyn crate::store::backup::Lend);
    backup::make(order, Asker::own().who(), (&journal, &consents, sends), &mut |line| match line {
        Line::Error(error) => {
            failed = Some(error);
            false
        }
        line => take(line),
    });
    failed.map_or(Ok(()), |error| Err(Failure::Usage(error)))
}

fn order(args: &BackupArgs, config: &Config) -> Result<Order, Failure> {
    Ok(Order {
        dir: real(&args.dir)?,
        data: real(&config.data)?,
        settings: settings(config).iter().map(absolute).collect::<Result<_, _>>()?,
        master: config.master_key.as_ref().map(absolute).transpose()?,
        octets_per_second: args.rate.map(|megabytes| megabytes * 1_000_000),
    })
}

/// Without links, as far as the path is there, so that one folder in another is seen to be.
fn real(path: &Path) -> Result<PathBuf, Failure> {
    let path = absolute(path)?;
    let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    Ok(fs::canonicalize(&path).unwrap_or_else(|_| match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    }))
}

/// The configuration and the files it names, but for secrets that are none of the store's.
fn settings(config: &Config) -> Vec<PathBuf> {
    let mut files = vec![config.file.clone()];
    files.extend(config.profile_file.clone());
    match Register::load(&config.register) {
        Ok(register) => files.extend_from_slice(register.files()),
        Err(_) => files.push(config.register.clone()),
    }
    files.extend(config.do_not_disturb.iter().map(|list| list.file.clone()));
    files
}

fn print(args: &BackupArgs, config: &Config, made: &Made) {
    let Made { databases, files, octets, reused, moment, .. } = made;
    println!(
        "{}: {databases} databases and {files} files, {octets} octets, {reused} of them as before; as of {moment}",
        args.dir.display()
    );
    for day in &made.unreadable {
        eprintln!("{day} could not be read, and was copied as the files it is");
    }
    match &config.master_key {
        Some(file) => eprintln!("the master key is not in it: keep {} elsewhere", file.display()),
        None => eprintln!(
            "the master key is not in it: without it (PORTCULLIS_MASTER_KEY, or {}) nothing of it can be read",
            config.data.join("keys/master").display()
        ),
    }
}

pub(super) fn check(args: &VerifyArgs) -> Result<(), Failure> {
    let manifest = verify(&args.dir, &mut |_| {})?;
    println!("{}", told(&args.dir, &manifest));
    Ok(())
}

pub(super) fn bring_back(args: &RestoreArgs) -> Result<(), Failure> {
    let manifest = restore(&args.dir, &args.data, &mut |step: &Step| {
        if args.verbose {
            println!("{}  {} octets", step.name, step.octets);
        }
    })?;
    println!("{}: restored from {}", args.data.display(), told(&args.dir, &manifest));
    eprintln!(
        "the master key is in no backup: name it under [keys] or in PORTCULLIS_MASTER_KEY, or put it at {}",
        args.data.join("keys/master").display()
    );
    for file in &manifest.settings {
        eprintln!("as it was then: {} is {}", file.name, args.dir.join(&file.copy.path).display());
    }
    Ok(())
}

fn told(dir: &Path, manifest: &Manifest) -> String {
    let octets: u64 = manifest.copies().map(|copy| copy.octets).sum();
    let (databases, files) = (manifest.databases.len(), manifest.files.len() + manifest.settings.len());
    format!(
        "{}: whole; {databases} databases and {files} files, {octets} octets, as of {}",
        dir.display(),
        manifest.moment
    )
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::Usage(error.to_string())
    }
}
