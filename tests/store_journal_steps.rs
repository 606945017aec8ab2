//! A crash between any two steps of rewriting a day leaves one of its states whole, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::store::journal::{Day, Parts};
use portcullis::store::{EntryId, Journal};
use proptest::prelude::*;

#[path = "store/days.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod days;
#[path = "store/records.rs"]
#[allow(dead_code, reason = "each of the programs that share this uses its own part")]
mod records;

use days::{NOON, all, append, assert_sound, content, copy, files, open, sealed, signalling};

const DAY: &str = "20261117";

/// Moments at which a crash differs from one at another.
const STEPS: usize = 8;

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
        (0..STEPS).for_each(|step| self.at_step(step));
    }

    /// A crash at one of them.
    fn at_step(&self, step: usize) {
        let (before, after) = (self.folder("before"), self.folder("after"));
        let built = |journal: &Path, name: &str| {
            let to = journal.join(format!("{DAY}.{name}"));
            copy(&after, &to);
            if !self.forgotten.is_empty() {
                fs::write(to.join("forget"), self.forgotten.join("\n") + "\n").unwrap();
            }
        };
        let out_of_place = |journal: &Path| {
            fs::rename(journal.join(DAY), journal.join(format!("{DAY}.going"))).unwrap();
            built(journal, "ready");
        };
        match step {
            0 => self.check("half built", &self.before, "before", |journal| {
                built(journal, "building");
                let file = files(&journal.join(format!("{DAY}.building"))).pop().unwrap();
                let octets = fs::read(&file).unwrap();
                fs::write(file, &octets[..octets.len() / 2]).unwrap();
            }),
            1 => self.check("a scratch left", &self.before, "before", |journal| {
                copy(&before, &journal.join(format!("{DAY}.scratch")))
            }),
            2 => self.check("built", &self.before, "before", |journal| built(journal, "building")),
            3 => self.check("ready, not signed", &self.before, "before", |journal| built(journal, "ready")),
            4 => self.check("ready", &self.after, "after", |journal| built(journal, "ready")),
            5 => self.check("half in place, not signed", &self.before, "before", out_of_place),
            6 => self.check("half in place", &self.after, "after", out_of_place),
            _ => self.check("in place, keys not forgotten", &self.after, "after", |journal| {
                out_of_place(journal);
                fs::rename(journal.join(format!("{DAY}.ready")), journal.join(DAY)).unwrap();
            }),
        }
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
fn signalling_that_is_not_held_goes_or_stays() {
    let change = Change::of(one_sealed_day, |journal| {
        assert!(journal.thin_signalling(day(), |id, _| id.number % 50 == 3).unwrap());
    });
    assert_eq!(change.forgotten, ["20261117-signalling"]);
    let kept: Vec<u64> =
        change.after.iter().filter(|(_, parts)| parts.signalling.is_some()).map(|(id, _)| id.number).collect();
    assert_eq!(kept, [3, 53, 103]);
    change.at_every_step();
}

/// Something that is done to a day that is over.
#[derive(Clone, Debug)]
enum Deed {
    /// Signalling's time is over, but for the entries whose number leaves this rest.
    Thin(u64, u64),
    /// That of the contents.
    Extract(u64, u64),
    DropSignalling,
    /// An entry comes late.
    Late,
    Reopen,
}

impl Deed {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (2_u64..40, 0_u64..40).prop_map(|(by, rest)| Self::Thin(by, rest % by)),
            2 => (2_u64..10, 0_u64..10).prop_map(|(by, rest)| Self::Extract(by, rest % by)),
            1 => Just(Self::DropSignalling),
            1 => Just(Self::Late),
            1 => Just(Self::Reopen),
        ]
    }

    fn run(&self, journal: &Journal, model: &mut Model) {
        match *self {
            Self::Thin(by, rest) => {
                journal.thin_signalling(day(), |id, _| id.number % by == rest).unwrap();
                model.thin(|number| number % by == rest);
            }
            Self::Extract(by, rest) if model.entries.keys().any(|number| number % by == rest) => {
                let done = journal.extract_day(day(), |id, _| id.number % by == rest).unwrap();
                model.entries.retain(|number, _| number % by == rest);
                model.has_key |= done;
            }
            Self::DropSignalling => {
                journal.drop_signalling(day()).unwrap();
                model.thin(|_| false);
            }
            Self::Late => {
                let ids = append(journal, 900..903, NOON);
                for (id, n) in ids.iter().zip(900..) {
                    // Where signalling's time is over, none is taken.
                    let signalling = if model.has_key { signalling(n) } else { Vec::new() };
                    model.entries.insert(id.number, (content(n, NOON), signalling));
                }
            }
            Self::Extract(..) | Self::Reopen => {}
        }
    }
}

/// What is to be there.
#[derive(Clone, Debug)]
struct Model {
    /// Contents, and signalling that is left.
    entries: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    /// Whether the day has a key for the signalling of what comes.
    has_key: bool,
}

impl Model {
    fn new(entries: &Entries) -> Self {
        Self { entries: Self::seen(entries), has_key: true }
    }

    fn seen(entries: &Entries) -> BTreeMap<u64, (Vec<u8>, Vec<u8>)> {
        let seen = |(id, parts): &(EntryId, Parts)| {
            (id.number, (parts.content.clone(), parts.signalling.clone().unwrap_or_default()))
        };
        entries.iter().map(seen).collect()
    }

    fn thin(&mut self, is_held: impl Fn(u64) -> bool) {
        self.has_key = false;
        self.entries.iter_mut().filter(|(number, _)| !is_held(**number)).for_each(|(_, parts)| parts.1.clear());
    }
}

/// Does one thing after the other, each to the day as it is once it is over again.
fn run_all(dir: &Path, deeds: &[Deed], model: &mut Model) {
    for deed in deeds {
        deed.run(&open(dir), model);
        open(dir).seal().unwrap();
        let journal = open(dir);
        assert!(Model::seen(&all(&journal)) == model.entries, "{deed:?}");
        assert_sound(&journal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Whatever was held, lifted and expired before: a crash at any step leaves what was, or what is to be.
    #[test]
    fn holds_come_and_go_and_a_crash_at_any_step_loses_nothing_that_is_held(
        deeds in prop::collection::vec(Deed::any(), 0..4),
        (by, rest) in (2_u64..40, 0_u64..40),
        step in 0..STEPS,
    ) {
        let mut model = None;
        let prepare = |dir: &Path| {
            one_sealed_day(dir);
            let sealed = all(&open(dir));
            run_all(dir, &deeds, model.insert(Model::new(&sealed)));
        };
        let change = Change::of(prepare, |journal| {
            journal.thin_signalling(day(), |id, _| id.number % by == rest % by).unwrap();
        });
        let mut model = model.expect("what was prepared");
        prop_assert!(Model::seen(&change.before) == model.entries);
        model.thin(|number| number % by == rest % by);
        prop_assert!(Model::seen(&change.after) == model.entries);
        change.at_step(step);
        // What was cut short is completed by the next time.
        let trial = change.dir.path().join("trial");
        run_all(&trial, &[Deed::Thin(by, rest % by), Deed::DropSignalling], &mut model);
        let keys = files(&trial.join("journal/keys"));
        prop_assert!(keys.iter().all(|key| !key.to_string_lossy().contains("-signalling")), "{keys:?}");
    }
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
