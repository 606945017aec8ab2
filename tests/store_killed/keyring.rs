//! A rotation of the master key that is killed: the gate comes up with the old one, or with the new one.

use std::fs;
use std::path::Path;

use portcullis::store::keys::Master;
use portcullis::store::{Keys, MasterSource};

use crate::{Scene, acknowledge, play};

pub(crate) const SCENES: [Scene; 2] = [
    Scene { name: "rotation", changes: 150, prepare, act: |dir| rotate(dir, &named(dir)), check },
    Scene {
        name: "rotation beside the data",
        changes: 150,
        prepare: |dir| seal(&Keys::open(&dir.join("keys"), &MasterSource::Beside).unwrap(), dir),
        act: |dir| rotate(dir, &MasterSource::Beside),
        check: check_beside,
    },
];

/// Before the signing key in order, and after it.
const NAMES: [&str; 6] = ["20261124-content", "20261124-signalling", "consents", "evidence", "sends", "zeta"];

fn named(dir: &Path) -> MasterSource {
    MasterSource::File(dir.join("old"))
}

fn prepare(dir: &Path) {
    Master::create(&dir.join("old")).unwrap();
    seal(&Keys::open(&dir.join("keys"), &named(dir)).unwrap(), dir);
}

/// Seals something with each key, and makes the new master.
fn seal(keys: &Keys, dir: &Path) {
    Master::create(&dir.join("new")).unwrap();
    for name in NAMES {
        fs::write(dir.join(name), keys.make(name).unwrap().sealer().seal(b"row", name.as_bytes())).unwrap();
    }
}

fn rotate(dir: &Path, source: &MasterSource) {
    let keys = Keys::open(&dir.join("keys"), source).unwrap();
    keys.rotate(Master::load(&dir.join("new")).unwrap()).unwrap();
    acknowledge(1);
}

fn opens_all(keys: &Keys, dir: &Path) {
    for name in NAMES {
        let key = keys.get(name).unwrap().unwrap();
        let mut sealed = fs::read(dir.join(name)).unwrap();
        assert_eq!(key.sealer().open(b"row", &mut sealed).unwrap(), name.as_bytes());
    }
    assert_eq!(keys.names().unwrap().len(), NAMES.len() + 1, "no key is left over");
}

fn check(dir: &Path, acknowledged: usize) {
    let new = MasterSource::File(dir.join("new"));
    if acknowledged == 0 {
        // Twice: a start changes nothing.
        for _ in 0..2 {
            match Keys::open(&dir.join("keys"), &named(dir)) {
                Ok(keys) => opens_all(&keys, dir),
                Err(_) => opens_all(&Keys::open(&dir.join("keys"), &new).unwrap(), dir),
            }
        }
        if let Ok(keys) = Keys::open(&dir.join("keys"), &named(dir)) {
            keys.make("20261125-content").unwrap();
            Master::create(&dir.join("third")).unwrap();
            rotate(dir, &named(dir));
            Keys::open(&dir.join("keys"), &new).unwrap().forget("20261125-content").unwrap();
        }
    }
    opens_all(&Keys::open(&dir.join("keys"), &new).unwrap(), dir);
    assert!(Keys::open(&dir.join("keys"), &named(dir)).is_err(), "the old one opens nothing any more");
}

fn check_beside(dir: &Path, acknowledged: usize) {
    let keys = Keys::open(&dir.join("keys"), &MasterSource::Beside).unwrap();
    opens_all(&keys, dir);
    if acknowledged == 0 {
        keys.rotate(Master::load(&dir.join("new")).unwrap()).unwrap();
    }
    for source in [MasterSource::Beside, MasterSource::File(dir.join("new"))] {
        opens_all(&Keys::open(&dir.join("keys"), &source).unwrap(), dir);
    }
}

#[test]
fn a_rotation_that_is_killed_leaves_keys_that_open() {
    play("rotation");
    play("rotation beside the data");
}
