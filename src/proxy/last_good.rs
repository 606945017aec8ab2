//! The register that was last in force, for a start while the file itself cannot be used (R26).
//!
//! Owns a copy of its text in the data directory; the files it names are read where they are.
//! Refuses to use it unless the operator has said so. Driven by the start and the reload.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::document::Fault;
use crate::register::Register;
use crate::rules::r26_evidence::{Failure, Unreadable};

/// The register for a gate that starts.
pub(super) fn load(config: &Config) -> Result<Register, Vec<Fault>> {
    let faults = match Register::load(&config.register) {
        Ok(register) => {
            keep(&config.profile.failure, (&config.register, &config.data), &register);
            return Ok(register);
        }
        Err(faults) if config.profile.failure.register == Unreadable::Stop => return Err(faults),
        Err(faults) => faults,
    };
    let kept = fs::read_to_string(copy(&config.data)).ok();
    let kept = kept.and_then(|text| Register::parse(&config.register, &text).ok());
    let Some(register) = kept else { return Err(faults) };
    for fault in &faults {
        tracing::error!("{fault}");
    }
    let version = register.version();
    tracing::error!(version, "the register cannot be used: the gate starts with the one last in force");
    Ok(register)
}

/// Keeps the text of a register in force, where it is asked for: it has passwords in it.
pub(super) fn keep(failure: &Failure, (file, data): (&Path, &Path), register: &Register) {
    if failure.register == Unreadable::Stop {
        return;
    }
    if let Err(error) = try_to_keep(file, data, register) {
        tracing::warn!(%error, "the register in force cannot be kept for another start");
    }
}

fn try_to_keep(file: &Path, data: &Path, register: &Register) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    // Changed again meanwhile: what it is then is kept when it is in force.
    if !Register::parse(file, &text).is_ok_and(|read| read.version() == register.version()) {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let fresh = copy(data).with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&fresh, copy(data))
}

fn copy(data: &Path) -> PathBuf {
    data.join("register.last-good.toml")
}
