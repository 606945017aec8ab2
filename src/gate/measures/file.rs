//! What outlives the process: the measures in force, and what was counted.
//!
//! Owns two files in the data directory, each replaced whole. The measures are on disk before
//! they are acted on; the counts once a minute and with every complaint, for a minute of counting may be lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::subject::Counted;
use super::{Name, Standing};
use crate::rules::r25_measures::Kind;
use crate::store::{EntryId, StoreError};

/// Readers of a later form keep reading this one.
const VERSION: u32 = 1;

#[derive(Debug)]
pub(super) struct Files {
    standings: PathBuf,
    counts: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Standings {
    version: u32,
    /// The record of the last step in it.
    last: Option<String>,
    measures: Vec<(Kind, String, Standing)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Counts {
    version: u32,
    /// The record of the last complaint counted.
    last: Option<String>,
    counted: Vec<(Kind, String, Counted)>,
}

/// What a file held.
pub(super) struct Found<T> {
    pub(super) last: Option<EntryId>,
    pub(super) rows: Vec<(Kind, String, T)>,
}

impl Files {
    pub(super) fn new(data: &Path) -> Self {
        Self { standings: data.join("measures.json"), counts: data.join("measure-counts.json") }
    }

    pub(super) fn keep_standings(&self, standings: &BTreeMap<Name, Standing>, last: EntryId) -> io::Result<()> {
        let row = |((kind, name), standing): (&Name, &Standing)| (*kind, name.to_string(), standing.clone());
        let measures = standings.iter().map(row).collect();
        replace(&self.standings, &Standings { version: VERSION, last: Some(last.to_string()), measures })
    }

    pub(super) fn keep_counts(&self, last: Option<EntryId>, counted: BTreeMap<Name, Counted>) -> io::Result<()> {
        let counted = counted.into_iter().map(|((kind, name), counted)| (kind, name.to_string(), counted)).collect();
        replace(&self.counts, &Counts { version: VERSION, last: last.map(|id| id.to_string()), counted })
    }

    /// `None` where there is no such file: the journal has what is not older than itself. One that cannot be used is
    /// an error: it may have had a suspension from before.
    pub(super) fn standings(&self) -> Result<Option<Found<Standing>>, StoreError> {
        let read: Option<Standings> = read(&self.standings).map_err(|error| match error {
            Unusable::Io(error) => StoreError::io(&self.standings, "read the measures in force", error),
            Unusable::Form(error) => StoreError::damaged(
                &self.standings,
                format!(
                    "{error}: which measures are in force is not known; restore the file, or remove it to have them \
                     taken from the journal, which lifts those that are older than the journal"
                ),
            ),
        })?;
        Ok(read.map(|read| Found { last: last(read.last), rows: read.measures }))
    }

    /// `None` where there is none that can be used, which is said: counting begins anew.
    pub(super) fn counts(&self) -> Option<Found<Counted>> {
        let read = read::<Counts>(&self.counts).unwrap_or_else(|error| {
            tracing::error!(path = %self.counts.display(), %error, "cannot be used: what was counted begins anew");
            None
        });
        read.map(|read| Found { last: last(read.last), rows: read.counted })
    }
}

fn last(name: Option<String>) -> Option<EntryId> {
    name.and_then(|name| name.parse().ok())
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Form(#[from] serde_json::Error),
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Unusable> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Old or new after a crash, never half of either.
fn replace(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
