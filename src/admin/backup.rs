//! Making a backup for the command line, with the stores that are open.
//!
//! Owns what is asked and what is told of it on the way. Refuses to decide what a backup consists of.
//! Driven by the socket of a running gate, and by the command line where none runs.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::api::Line;
use crate::clock;
use crate::gate::changes;
use crate::gate::record::Change;
use crate::store::backup::{self, Lend, Manifest, Sources};
use crate::store::{Consents, Journal};

/// A backup that is asked for; all paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Where to.
    pub dir: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// The configuration and what it names.
    pub settings: Vec<PathBuf>,
    /// The master key's file, which stays where it is.
    pub master: Option<PathBuf>,
    /// No more than this.
    pub octets_per_second: Option<u64>,
}

/// A file that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// What it is a copy of.
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// Whether it was there already.
    pub reused: bool,
}

/// What a backup has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Whatever was durable by then is in it.
    pub began: Timestamp,
    /// What is in it is of this moment.
    pub moment: Timestamp,
    /// Days, consents and counts.
    pub databases: usize,
    /// Other files.
    pub files: usize,
    /// Days that could not be read, and are in it as the files they were.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// Octets of all of them.
    pub octets: u64,
    /// Octets that were there already.
    pub reused: u64,
}

/// Makes it, telling of each file and at last of the whole; what became of it is on record.
pub fn make(
    order: &Order,
    who: &str,
    (journal, consents, sends): (&Journal, &Consents, Option<&dyn Lend>),
    emit: &mut dyn FnMut(Line) -> bool,
) {
    let Order { dir, data, settings, master, octets_per_second } = order;
    let sources = Sources { data, journal, consents, sends, settings, master: master.as_deref() };
    let mut reused = 0;
    let made = backup::backup(sources, dir, *octets_per_second, &mut |step| {
        reused += if step.reused { step.octets } else { 0 };
        emit(Line::Copied(Copied { name: step.name.clone(), octets: step.octets, reused: step.reused }))
    });
    let made = made.map(|manifest| Made::of(&manifest, reused)).map_err(|error| error.to_string());
    note(journal, dir, who, &made);
    match made {
        Ok(made) => _ = emit(Line::Backup(made)) && emit(Line::End),
        Err(error) => _ = emit(Line::Error(error)),
    }
}

fn note(journal: &Journal, dir: &Path, who: &str, made: &Result<Made, String>) {
    let about = dir.to_string_lossy();
    let change = Change::new(clock::wall().as_millisecond(), "backup", who, &about);
    let change = match made {
        Ok(made) => {
            let change = change.with("moment", made.moment.to_string()).with("octets", made.octets.to_string());
            change.with("unreadable", made.unreadable.join(", "))
        }
        Err(error) => change.ending(error.as_str()),
    };
    changes::note(journal, change);
}

impl Made {
    fn of(manifest: &Manifest, reused: u64) -> Self {
        Self {
            began: manifest.began,
            moment: manifest.moment,
            databases: manifest.databases.len(),
            unreadable: manifest.unreadable.clone(),
            files: manifest.files.len() + manifest.settings.len(),
            octets: manifest.copies().map(|copy| copy.octets).sum(),
            reused,
        }
    }
}
