//! What anybody can check without portcullis: hashes and their signature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether sha256sum and openssl, both as README.txt says, find everything as it was.
pub(crate) fn holds(folder: &Path) -> bool {
    let succeeds = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap_or_else(|error| panic!("{program}: {error}")).success()
    };
    let verify = "pkeyutl -verify -pubin -inkey public.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig";
    succeeds("sha256sum", &["--strict", "--quiet", "-c", "SHA256SUMS"])
        && succeeds("openssl", &verify.split(' ').collect::<Vec<_>>())
}

/// Every file in a folder and those below it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() { folders.push(entry) } else { files.push(entry) }
        }
    }
    files.sort();
    files
}

/// Changes octets of every file, one at a time, and takes each away: every time somebody notices.
pub(crate) fn every_change_is_noticed(folder: &Path) {
    assert!(holds(folder));
    for file in files(folder) {
        let whole = fs::read(&file).expect("a file");
        for at in (0..6).map(|sixth| sixth * whole.len() / 6).chain([whole.len().saturating_sub(1)]) {
            for flip in [0x20, 0x01] {
                let mut changed = whole.clone();
                let Some(octet) = changed.get_mut(at) else { continue };
                *octet ^= flip;
                fs::write(&file, &changed).expect("a file to write");
                assert!(!holds(folder), "octet {at} of {}", file.display());
            }
        }
        fs::remove_file(&file).expect("a file to remove");
        assert!(!holds(folder), "{} is gone", file.display());
        fs::write(&file, &whole).expect("a file to write");
    }
    assert!(holds(folder), "as it was");
}

/// What all files of a folder say.
pub(crate) fn everything(folder: &Path) -> String {
    files(folder).iter().map(|file| String::from_utf8_lossy(&fs::read(file).expect("a file")).into_owned()).collect()
}
