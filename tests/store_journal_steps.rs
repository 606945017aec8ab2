//! A crash between any two steps of rewriting a day leaves one of its states whole, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::store::journal::{Day, Parts};
use portcullis::store::{EntryId, Journal};

#[path = "store/days.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store/records.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod records;

use days::{NOON, all, append, assert_sound, copy, files, open, sealed};

const DAY: &str = "20261117";

type Entries = Vec<(EntryId, Parts)>;

/// A day before and after something was done to it.
struct Change {
    dir: tempfile::TempDir,
    before: Entries,
    after: Entries,
    /// The keys that go with it.
    forgotten: Vec<String>,
}

impl Change {
    fn of(prepare: impl FnOnce(&Path), change: impl FnOnce(Journal)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        prepare(&before);
        copy(&before, &after);
        change(open(&after));
        let names = |of: &Path| -> Vec<String> {
            let keys = files(&of.join("journal/keys"));
            keys.iter().map(|key| key.file_stem().unwrap().to_string_lossy().into_owned()).collect()
        };
        let left = names(&after);
        let forgotten = names(&before).into_iter().filter(|name| !left.contains(name)).collect();
        // A look at a copy changes nothing.
        let look = |of: &str| {
            let copied = dir.path().join("look");
            let _ = fs::remove_dir_all(&copied);
            copy(&dir.path().join(of), &copied);
            all(&open(&copied))
        };
        let (before, after) = (look("before"), look("after"));
        Self { dir, before, after, forgotten }
    }

    fn folder(&self, of: &str) -> PathBuf {
        self.dir.path().join(of).join("journal").join(DAY)
    }

    /// Opens the state before, further changed by `step`, with the keys of both; it is to be `expected` then.
    fn check(&self, what: &str, expected: &Entries, heads: &str, step: impl FnOnce(&Path)) {
        let trial = self.dir.path().join("trial");
        let _ = fs::remove_dir_all(&trial);
        copy(&self.dir.path().join("before"), &trial);
        copy(&self.dir.path().join("after/journal/keys"), &trial.join("journal/keys"));
        copy(&self.dir.path().join(heads).join("heads"), &trial.join("heads"));
        step(&trial.join("journal"));
        for again in [false, true] {
            let journal = open(&trial);
            assert!(all(&journal) == *expected, "{what}, opened again: {again}");
            let verified = assert_sound(&journal);
            assert_eq!(verified.entries, expected.len() as u64, "{what}");
        }
        let left: Vec<_> =
            fs::read_dir(trial.join("journal")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let whole = ["20261117", "keys", "lock"];
        assert!(left.iter().all(|name| whole.contains(&name.to_str().unwrap())), "{what}: {left:?}");
        let gone = |name: &String| !trial.join("journal/keys").join(format!("{name}.key")).exists();
        if expected == &self.after && self.before != self.after {
            assert!(self.forgotten.iter().all(gone), "{what}: {:?}", self.forgotten);
        }
    }

    fn at_every_step(&self) {
        let (before, after) = (self.folder("before"), self.folder("after"));
        let built = |journal: &Path, name: &str| {
            let to = journal.join(format!("{DAY}.{name}"));
            copy(&after, &to);
            if !self.forgotten.is_empty() {
                fs::write(to.join("forget"), self.forgotten.join("\n") + "\n").unwrap();
            }
        };
        self.check("half built", &self.before, "before", |journal| {
            built(journal, "building");
            let file = files(&journal.join(format!("{DAY}.building"))).pop().unwrap();
            let octets = fs::read(&file).unwrap();
            fs::write(file, &octets[..octets.len() / 2]).unwrap();
        });
        self.check("a scratch left", &self.before, "before", |journal| {
            copy(&before, &journal.join(format!("{DAY}.scratch")))
        });
        self.check("built", &self.before, "before", |journal| built(journal, "building"));
        for heads in ["before", "after"] {
            self.check("ready", &self.after, heads, |journal| built(journal, "ready"));
            self.check("half in place", &self.after, heads, |journal| {
                fs::rename(journal.join(DAY), journal.join(format!("{DAY}.going"))).unwrap();
                built(journal, "ready");
            });
        }
        self.check("in place, keys not forgotten", &self.after, "after", |journal| {
            fs::rename(journal.join(DAY), journal.join(format!("{DAY}.going"))).unwrap();
            built(journal, "ready");
            fs::rename(journal.join(format!("{DAY}.ready")), journal.join(DAY)).unwrap();
        });
    }
}

fn day() -> Day {
    DAY.parse().unwrap()
}

fn one_sealed_day(dir: &Path) {
    sealed(dir, 1, 150);
}

#[test]
fn signalling_goes_or_stays() {
    let change = Change::of(one_sealed_day, |journal| assert!(journal.drop_signalling(day()).unwrap()));
    assert_eq!(change.forgotten, ["20261117-signalling"]);
    change.at_every_step();
}

#[test]
fn what_is_not_held_goes_or_stays() {
    let change = Change::of(one_sealed_day, |journal| {
        assert!(journal.extract_day(day(), |id, _| id.number % 50 == 3).unwrap());
    });
    assert_eq!((change.before.len(), change.after.len()), (150, 3));
    assert_eq!(change.forgotten, ["20261117-content", "20261117-signalling"]);
    change.at_every_step();
}

#[test]
fn a_day_is_sealed_or_not_yet() {
    let unsealed = |dir: &Path| drop(append(&open(dir), 0..150, NOON));
    let change = Change::of(unsealed, |journal| journal.seal().unwrap());
    assert_eq!(change.forgotten, Vec::<String>::new());
    assert!(change.before == change.after);
    change.at_every_step();
}

#[test]
fn a_day_goes_whole_at_any_step() {
    let change = Change::of(one_sealed_day, |journal| assert!(journal.drop_day(day()).unwrap()));
    assert_eq!(change.after.len(), 0);
    let forget = |journal: &Path| {
        for name in &change.forgotten {
            let _ = fs::remove_file(journal.join("keys").join(format!("{name}.key")));
        }
    };
    // Signed, and no more: it is still there, and goes when it is asked for again.
    change.check("signed", &change.before, "after", |_| {});
    change.check("keys forgotten", &change.after, "after", forget);
    change.check("out of its place", &change.after, "after", |journal| {
        forget(journal);
        fs::rename(journal.join(DAY), journal.join(format!("{DAY}.going"))).unwrap();
    });
    let trial = change.dir.path().join("trial");
    copy(&change.folder("before"), &trial.join("journal").join(DAY));
    copy(&change.dir.path().join("before/journal/keys"), &trial.join("journal/keys"));
    assert!(open(&trial).drop_day(day()).unwrap());
    assert!(!trial.join("journal").join(DAY).exists());
    assert_sound(&open(&trial));
}
