//! A folder that is handed over: files, their hashes, and a signature of these.
//!
//! Owns the writing of such a folder, so that it is whole or visibly not: it grows under another name and gets its
//! own when everything in it is on disk. What checks it is on every machine: sha256sum and openssl. Refuses to
//! touch what is there already. Driven by exports and dossiers.

mod csv_rows;
mod readme;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest;
use serde::Serialize;
use serde_json::Value;

use super::Failure;
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;

pub(super) use csv_rows::CsvRows;

/// What holds the hash of every other file.
const SUMS: &str = "SHA256SUMS";
/// The signature of that.
const SIGNATURE: &str = "SHA256SUMS.sig";
/// Whose signature it is.
const PUBLIC_KEY: &str = "public.pem";
/// What the folder holds, for programs.
const MANIFEST: &str = "manifest.json";
/// The same for people, and how to check it.
const README: &str = "README.txt";

/// What an export says of itself.
#[derive(Clone, Debug, Serialize)]
pub(super) struct About {
    /// `export` or `dossier`.
    pub(super) kind: &'static str,
    /// When it was begun.
    pub(super) made: Timestamp,
    /// By whom.
    pub(super) by: String,
    /// The zone of local times in it.
    pub(super) time_zone: String,
    /// Whether subscribers' numbers are whole.
    pub(super) whole: bool,
    /// What was asked for.
    pub(super) query: Vec<(&'static str, String)>,
    /// How many of what it holds.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// What could not be had.
    pub(super) wanting: Vec<String>,
}

#[derive(Serialize)]
struct Manifest<'m> {
    format: &'static str,
    portcullis: &'static str,
    #[serde(flatten)]
    about: &'m About,
    public_key: &'m str,
    files: Vec<Listed<'m>>,
}

#[derive(Serialize)]
struct Listed<'m> {
    path: &'m str,
    octets: u64,
    sha256: &'m str,
}

/// A folder under writing.
pub(super) struct Bundle {
    target: PathBuf,
    partial: PathBuf,
    /// Each finished file's hash and length.
    files: BTreeMap<String, (String, u64)>,
}

impl Bundle {
    /// Begins a folder beside where it is to be.
    pub(super) fn begin(target: &Path) -> Result<Self, Failure> {
        let name =
            target.file_name().ok_or_else(|| Failure::Usage(format!("--out {}: names no folder", target.display())))?;
        match fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
            Ok(true) => return Err(Failure::Usage(format!("--out {}: is there and not empty", target.display()))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(target, &error)),
            _ => {}
        }
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = target.with_file_name(partial);
        match DirBuilder::new().mode(0o700).create(&partial) {
            Ok(()) => Ok(Self { target: target.to_owned(), partial, files: BTreeMap::new() }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::Usage(format!(
                "{} is there: another export is writing it, or one was cut short and it can be removed",
                partial.display()
            ))),
            Err(error) => Err(at(&partial, &error)),
        }
    }

    /// The name it gets.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// A new file in it; its name may have folders before it.
    pub(super) fn create(&self, name: &str) -> Result<Growing, Failure> {
        let path = self.partial.join(name);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| at(folder, &error))?;
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| at(&path, &error))?;
        let hash = digest::Context::new(&digest::SHA256);
        Ok(Growing { name: name.to_owned(), path, file: BufWriter::with_capacity(1 << 16, file), hash, octets: 0 })
    }

    /// Ends a file: on disk when this returns.
    pub(super) fn finish(&mut self, mut file: Growing) -> Result<(), Failure> {
        let written = file.file.flush().and_then(|()| file.file.get_ref().sync_all());
        written.map_err(|error| at(&file.path, &error))?;
        self.files.insert(file.name, (HEXLOWER.encode(file.hash.finish().as_ref()), file.octets));
        Ok(())
    }

    /// A whole file at once.
    pub(super) fn put(&mut self, name: &str, octets: &[u8]) -> Result<(), Failure> {
        let mut file = self.create(name)?;
        file.write_all(octets).map_err(|error| at(&file.path, &error))?;
        self.finish(file)
    }

    /// A value as a file of JSON for people to read, too.
    pub(super) fn put_json(&mut self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        text.push('\n');
        self.put(name, text.as_bytes())
    }

    /// Lists and signs what is there, and gives the folder its name.
    pub(super) fn seal(mut self, about: &About, access: &mut Access) -> Result<(), Failure> {
        let key = sign(access, &self.sums())?;
        self.put(PUBLIC_KEY, key.public_pem.as_bytes())?;
        self.put(README, readme::text(about, &key.public_key).as_bytes())?;
        let listed =
            |(path, (sha256, octets)): (&'_ String, &'_ (String, u64))| (path.clone(), sha256.clone(), *octets);
        let files: Vec<(String, String, u64)> = self.files.iter().map(listed).collect();
        let manifest = Manifest {
            format: "portcullis-handover-1",
            portcullis: env!("CARGO_PKG_VERSION"),
            about,
            public_key: &key.public_key,
            files: files.iter().map(|(path, sha256, octets)| Listed { path, octets: *octets, sha256 }).collect(),
        };
        self.put_json(MANIFEST, &manifest)?;
        let sums = self.sums();
        let signed = sign(access, &sums)?;
        if signed.public_key != key.public_key {
            return Err(Failure::Usage("the signing key was changed meanwhile: begin anew".to_owned()));
        }
        let signature =
            HEXLOWER.decode(signed.signature.as_bytes()).map_err(|error| Failure::Usage(error.to_string()))?;
        self.put(SUMS, sums.as_bytes())?;
        self.put(SIGNATURE, &signature)?;
        self.settle().map_err(|error| at(&self.partial, &error))
    }

    /// Every name on disk, then the folder's own.
    fn settle(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.partial)? {
            let path = entry?.path();
            if path.is_dir() {
                File::open(path)?.sync_all()?;
            }
        }
        File::open(&self.partial)?.sync_all()?;
        // In the place of an empty folder as well.
        fs::rename(&self.partial, &self.target)?;
        let beside = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(beside.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// The list as `sha256sum -c` reads it.
    fn sums(&self) -> String {
        self.files.iter().map(|(name, (sha256, _))| format!("{sha256}  {name}\n")).collect()
    }
}

impl Drop for Bundle {
    /// One that came to nothing leaves nothing; what was written already is somebody's to look at.
    fn drop(&mut self) {
        if self.files.is_empty() {
            fs::remove_dir(&self.partial).ok();
        }
    }
}

fn sign(access: &mut Access, sums: &str) -> Result<crate::admin::signing::Signed, Failure> {
    let mut signed = None;
    access.ask(&Request::Sign(sums.to_owned()), |line| {
        if let Line::Signed(given) = line {
            signed = Some(given);
        }
        true
    })?;
    signed.ok_or_else(|| Failure::Usage("no signature was given".to_owned()))
}

pub(super) fn at(path: &Path, error: &io::Error) -> Failure {
    io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()
}

/// A file under writing; what goes into it is hashed on the way.
pub(super) struct Growing {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hash: digest::Context,
    octets: u64,
}

impl Growing {
    /// A value on a line of its own.
    pub(super) fn line(&mut self, value: &Value) -> Result<(), Failure> {
        writeln!(self, "{value}").map_err(|error| at(&self.path, &error))
    }
}

impl Write for Growing {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        self.hash.update(&octets[..written]);
        self.octets += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(target: &Path) -> String {
        Bundle::begin(target).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_folder_that_is_not_empty_and_one_under_writing_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        fs::create_dir(&target).unwrap();
        let begun = Bundle::begin(&target).unwrap();
        assert!(folder.path().join("out.partial").is_dir() && refused(&target).contains("another export"));
        drop(begun);
        fs::write(target.join("x"), b"").unwrap();
        assert!(refused(&target).contains("not empty"));
        assert!(refused(&folder.path().join("no/where")).contains("no/where.partial"));
        assert!(refused(Path::new("/")).contains("names no folder"));
    }

    #[test]
    fn the_list_is_in_order_and_has_the_hash_of_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut bundle = Bundle::begin(&folder.path().join("out")).unwrap();
        bundle.put("b.txt", b"abc").unwrap();
        bundle.put("a/c.txt", b"").unwrap();
        assert_eq!(
            bundle.sums(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a/c.txt\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.txt\n"
        );
        assert!(bundle.put("b.txt", b"again").is_err());
    }
}
