//! Evidence files that an import names.
//!
//! Owns the way from a name in a row to a stored file and its hash, and a bounded memory of names
//! met before. Refuses names that lead out of the folder. Driven by the reading of rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::store::evidence_files::Found;
use crate::store::{EvidenceFiles, Sha256};

/// Names remembered at a time.
const REMEMBERED: usize = 1 << 16;

/// The folder of an import's evidence, and where it goes.
pub(super) struct Papers {
    dir: PathBuf,
    /// The same folder, laid out as an export lays it out.
    exported: EvidenceFiles,
    files: EvidenceFiles,
    known: RefCell<HashMap<String, Sha256>>,
}

impl Papers {
    pub(super) fn new(dir: &Path, files: EvidenceFiles) -> Self {
        Self { dir: dir.to_owned(), exported: EvidenceFiles::at(dir), files, known: RefCell::default() }
    }

    /// Stores the file that a row names, by its hash or by its name, and gives its hash.
    pub(super) fn take(&self, name: &str, sha256: Option<Sha256>) -> Result<Option<Sha256>, String> {
        if let Some(sha256) = sha256 {
            let found = self.exported.copy_to(sha256, &self.files).map_err(|error| error.to_string())?;
            match found {
                Found::Whole => return Ok(Some(sha256)),
                Found::Changed => return Err(format!("the evidence file {sha256} is not what its hash says")),
                Found::Missing => {}
            }
        }
        if name.is_empty() {
            return match sha256 {
                Some(sha256) => Err(format!("the evidence file {sha256} is not in {}", self.dir.display())),
                None => Ok(None),
            };
        }
        let stored = self.store(name)?;
        match sha256 {
            Some(sha256) if sha256 != stored => {
                Err(format!("evidence {name:?} has the SHA-256 {stored}, and not the row's"))
            }
            _ => Ok(Some(stored)),
        }
    }

    fn store(&self, name: &str) -> Result<Sha256, String> {
        if let Some(sha256) = self.known.borrow().get(name) {
            return Ok(*sha256);
        }
        let path = Path::new(name);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("evidence {name:?} leads out of {}", self.dir.display()));
        }
        let sha256 = self.files.put(&self.dir.join(path)).map_err(|error| format!("evidence: {error}"))?;
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.to_owned(), sha256);
        Ok(sha256)
    }
}
