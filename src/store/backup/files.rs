//! Copying the files beside the databases: keys, heads, evidence, measures, and the configuration.
//!
//! Owns what is taken and what is not: never the master key, a lock, a socket or a file that is being
//! written. Refuses nothing for being large: a file is read a chunk at a time. Driven by the backup, once
//! the databases are copied.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::rows::Writer;
use super::{BackupError, CHUNK, Copied, Job, Manifest, Step, by_name};
use crate::store::journal::{Day, TABLE};

/// The folders of databases: of these only days that are over, and what was set aside as damaged, are taken as they are.
const DATABASES: [&str; 3] = ["journal", "consents", "sends"];
const JOURNAL: &str = "journal";

/// How the name of a database that was set aside goes on.
const ASIDE: [&str; 2] = [".broken-", ".damaged-"];

/// Files that are nobody's business but their writer's.
const PASSING: [&str; 4] = ["lock", "sock", "new", "tmp"];

/// The folders whose files belong together.
const BOUND: [&str; 3] = [JOURNAL, KEYS, "heads"];

/// Where keys lie, and what the files of those are called that the master has wrapped.
const KEYS: &str = "keys";
const WRAPPED: &str = "key";

/// How far the last day had come, as it was signed. A copy from before the rows were copied is true of them; a later
/// one would speak of entries that they lack.
const TIP: &str = "heads/tip";

/// How often the files are looked at again where a day was rewritten while they were copied.
const LOOKS: usize = 10;

/// Copies what has to be older than the rows; `None` where there is none.
pub(super) fn copy_tip(job: &mut Job<'_>, data: &Path) -> Result<Option<Copied>, BackupError> {
    copy(job, &data.join(TIP), TIP, None)
}

/// Copies the files of the data directory.
///
/// A day that is rewritten meanwhile has other keys and another head than before, and a rotation of the master key
/// writes all keys anew: then all are looked at once more, until days, keys and heads are those of one moment.
pub(super) fn copy_data(
    job: &mut Job<'_>,
    data: &Path,
    master: Option<&Path>,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    for _ in 0..LOOKS {
        let before = std::mem::take(&mut manifest.files);
        if let Some(known) = &mut job.before {
            known.files.extend(before);
        }
        copy_once(job, data, master, manifest)?;
        if is_of_one_moment(data, master, manifest)? {
            return Ok(());
        }
    }
    Err(BackupError::database(JOURNAL, "days are rewritten faster than they are copied: try again later"))
}

/// Whether the days, keys and heads there are now are those that were copied.
fn is_of_one_moment(data: &Path, master: Option<&Path>, manifest: &Manifest) -> Result<bool, BackupError> {
    let is_bound = |name: &str| BOUND.iter().any(|folder| Path::new(name).starts_with(folder));
    let copied = manifest.files.iter().filter(|file| is_bound(&file.name));
    let mut copied: HashSet<&str> = copied.filter(|file| is_unchanged(data, file)).map(|file| &*file.name).collect();
    let all = manifest.files.iter().filter(|file| is_bound(&file.name)).count();
    if copied.len() != all {
        return Ok(false);
    }
    let mut is_known = true;
    for folder in BOUND {
        walk(data, &data.join(folder), master, &manifest.unreadable, &mut |_, name| {
            is_known &= copied.remove(name);
            Ok(())
        })?;
    }
    Ok(is_known)
}

fn is_unchanged(data: &Path, copied: &Copied) -> bool {
    fs::metadata(data.join(&copied.name)).is_ok_and(|now| is_copied(copied, &now))
}

fn is_copied(copied: &Copied, now: &fs::Metadata) -> bool {
    copied.copy.octets == now.len() && copied.modified_ns == modified_ns(now)
}

fn modified_ns(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

fn copy_once(
    job: &mut Job<'_>,
    data: &Path,
    master: Option<&Path>,
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let before = job.before.take();
    let known = before.as_ref().map(|before| by_name(&before.files)).unwrap_or_default();
    let Manifest { files, unreadable, .. } = manifest;
    walk(data, data, master, unreadable, &mut |path, name| {
        files.extend(copy(job, path, name, known.get(name).copied())?);
        Ok(())
    })?;
    job.before = before;
    Ok(())
}

/// Shows the files below a folder that are copied as they are, with their names in the data directory.
fn walk(
    data: &Path,
    folder: &Path,
    master: Option<&Path>,
    unreadable: &[String],
    see: &mut dyn FnMut(&Path, &str) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let master = master.and_then(|file| fs::canonicalize(file).ok());
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for path in listed(&folder)? {
            let Some(name) = path.strip_prefix(data).ok().and_then(Path::to_str) else {
                return Err(BackupError::Damaged { path, what: "its name is no text".to_owned() });
            };
            if !is_taken(name, unreadable) || (master.is_some() && fs::canonicalize(&path).ok() == master) {
                continue;
            }
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => left.push(path.clone()),
                Ok(metadata) if metadata.is_file() => see(&path, name)?,
                // A socket, or gone again.
                _ => {}
            }
        }
    }
    Ok(())
}

/// Copies the configuration and what it names.
pub(super) fn copy_settings(
    job: &mut Job<'_>,
    settings: &[PathBuf],
    manifest: &mut Manifest,
) -> Result<(), BackupError> {
    let before = job.before.take();
    let known = before.as_ref().map(|before| by_name(&before.settings)).unwrap_or_default();
    for path in settings {
        let name = path.to_string_lossy().into_owned();
        manifest.settings.extend(copy(job, path, &name, known.get(name.as_str()).copied())?);
    }
    job.before = before;
    Ok(())
}

/// Whether a file or folder, by its name in the data directory, is one of those that are copied as they are.
fn is_taken(name: &str, unreadable: &[String]) -> bool {
    let path = Path::new(name);
    if unreadable.iter().any(|day| path.starts_with(day)) {
        return true;
    }
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let ending = path.extension().or(path.file_name()).and_then(|ending| ending.to_str()).unwrap_or_default();
    match parts.as_slice() {
        _ if name == TIP || PASSING.contains(&ending) => false,
        // A file in its place is whole and never changed: another takes its place.
        [JOURNAL, day] if day.parse::<Day>().is_ok() => true,
        [JOURNAL, day, rest @ ..] if day.parse::<Day>().is_ok() => rest == [TABLE],
        [top, next, ..] if DATABASES.contains(top) => ASIDE.iter().any(|aside| next.contains(aside)),
        [KEYS, ..] if parts.len() > 1 => ending == WRAPPED,
        _ => true,
    }
}

/// Copies one file unless its copy is there; `None` where it is gone.
fn copy(job: &mut Job<'_>, path: &Path, name: &str, before: Option<&Copied>) -> Result<Option<Copied>, BackupError> {
    let failed = |e| BackupError::io(path, "copy", e);
    let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (mut file, metadata) = match opened {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    if let Some(before) =
        before.filter(|before| is_copied(before, &metadata)).filter(|before| job.is_there(&before.copy))
    {
        job.told(Step { name: name.to_owned(), octets: before.copy.octets, reused: true })?;
        return Ok(Some(before.clone()));
    }
    let place = match name.strip_prefix('/') {
        Some(absolute) => format!("settings/{absolute}"),
        None => format!("data/{name}"),
    };
    let (copied, mut out) = job.create(&job.free(&place), Writer::create)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        out.write(&buffer[..read]).map_err(failed)?;
        job.pace.took(read as u64);
    }
    let copy = job.finish(name, copied, out)?;
    Ok(Some(Copied { name: name.to_owned(), copy, modified_ns: modified_ns(&metadata) }))
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    match entries {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|e| BackupError::io(folder, "list the data", e)).map(|mut paths: Vec<PathBuf>| {
            paths.sort_unstable();
            paths
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::is_taken;

    #[test]
    fn the_master_key_and_what_passes_stay_where_they_are() {
        let taken = [
            "evidence/ab/cdef",
            "keys",
            "keys/20261124-content.key",
            "heads/20261124.json",
            "measures.json",
            "journal",
            "journal/20261124",
            "journal/20261124/table",
            "journal/20261124.broken-1/db",
            "journal/20261122/db",
            "sends/db.damaged-17/db",
            "imports/0123.json",
        ];
        let left = [
            "keys/master",
            "heads/tip",
            "keys/master.old",
            "keys/x.key.new",
            "journal/20261124/db",
            "journal/20261124/forget",
            "journal/20261124.ready/table",
            "journal/20261123.going/db",
            "journal/lock",
            "consents/db",
            "consents/lock",
            "sends/db/db",
            "portcullis.sock",
            "register.last-good.new",
        ];
        let unreadable = ["journal/20261122".to_owned()];
        assert_eq!(taken.map(|name| is_taken(name, &unreadable)), [true; 12]);
        assert_eq!(left.map(|name| is_taken(name, &unreadable)), [false; 14]);
    }
}
