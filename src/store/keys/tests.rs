use std::hash::Hasher;

use super::*;

fn keys(dir: &Path) -> Keys {
    Keys::open(&dir.join("keys"), &MasterSource::Beside).unwrap()
}

#[test]
fn a_key_stays_the_same_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let first = keys(folder.path());
    assert!(first.get("20261124-content").unwrap().is_none());
    let key = first.make("20261124-content").unwrap();
    assert_eq!(first.make("20261124-content").unwrap().octets(), key.octets());
    assert_ne!(first.make("20261125-content").unwrap().octets(), key.octets());
    drop(first);
    let again = keys(folder.path());
    assert_eq!(again.get("20261124-content").unwrap().unwrap().octets(), key.octets());
    assert_eq!(again.names().unwrap(), ["20261124-content", "20261125-content", "signing"]);
    assert!(again.forget("20261124-content").unwrap() && !again.forget("20261124-content").unwrap());
    assert!(again.get("20261124-content").unwrap().is_none());
    assert_ne!(again.make("20261124-content").unwrap().octets(), key.octets(), "it never comes back");
}

#[test]
fn no_file_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let key = keys.make("consents").unwrap();
    let text = fs::read_to_string(folder.path().join("keys/consents.key")).unwrap();
    assert!(!text.contains(&HEXLOWER.encode(key.octets())));
    assert_eq!(format!("{key:?} {keys:?}").matches(&HEXLOWER.encode(key.octets())).count(), 0);
}

#[test]
fn another_master_is_named_and_nothing_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("keys");
    let text = |digit: &str| MasterSource::Text(digit.repeat(64));
    let key = Keys::open(&dir, &text("a")).unwrap().make("consents").unwrap();
    let error = Keys::open(&dir, &text("b")).unwrap_err().to_string();
    assert!(error.contains("signing.key") && error.contains("was wrapped by the master key"), "{error}");
    // No master is made up where keys wait for theirs.
    assert!(Keys::open(&dir, &MasterSource::Beside).is_err());
    assert_eq!(Keys::open(&dir, &text("A")).unwrap().get("consents").unwrap().unwrap().octets(), key.octets());
    let error = Keys::open(&dir, &MasterSource::Text("abc".to_owned())).unwrap_err().to_string();
    assert!(error.contains("PORTCULLIS_MASTER_KEY is no master key") || error.contains("64 hexadecimal"), "{error}");
}

#[test]
fn every_change_of_a_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let key = keys.make("consents").unwrap();
    let path = folder.path().join("keys/consents.key");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut octets = whole.clone();
        octets[at] ^= 1;
        fs::write(&path, octets).unwrap();
        match keys.get("consents") {
            // Blank for blank and the like: nothing of the key is another.
            Ok(Some(read)) => assert_eq!(read.octets(), key.octets(), "octet {at}"),
            Ok(None) => panic!("octet {at}: the key is gone"),
            Err(_) => {}
        }
    }
    fs::write(folder.path().join("keys/other.key"), whole).unwrap();
    assert!(keys.get("other").is_err(), "a key's file opens under its own name alone");
}

#[test]
fn a_rotation_wraps_all_keys_anew_and_one_cut_short_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let made: Vec<Key> = ["a", "b", "c"].iter().map(|name| keys.make(name).unwrap()).collect();
    let old = fs::read(folder.path().join("keys/b.key")).unwrap();
    let signing = fs::read(folder.path().join("keys/signing.key")).unwrap();
    let beside = fs::read(folder.path().join("keys/master")).unwrap();
    let to = Master::create(&folder.path().join("new")).unwrap();
    assert_eq!(keys.rotate(to.clone()).unwrap(), 4);
    assert_eq!(keys.master_id(), to.id());
    // As if the power had gone before `b`, the signing key and the master were written.
    fs::write(folder.path().join("keys/b.key"), old).unwrap();
    fs::write(folder.path().join("keys/signing.key"), signing).unwrap();
    fs::write(folder.path().join("keys/master"), beside).unwrap();
    let again = self::keys(folder.path());
    assert!(again.get("a").is_err() && again.get("b").is_ok());
    assert_eq!(again.rotate(to).unwrap(), 2);
    let again = self::keys(folder.path());
    for (name, key) in ["a", "b", "c"].iter().zip(&made) {
        assert_eq!(again.get(name).unwrap().unwrap().octets(), key.octets());
    }
}

#[test]
fn what_is_sealed_opens_with_what_was_bound_to_it() {
    let key = Key::random().unwrap();
    let (one, other) = (key.sealer(), key.sealer());
    let sealed = one.seal(b"row 7", b"13800138000");
    assert_eq!(sealed.len(), 11 + OVERHEAD);
    assert_ne!(sealed, one.seal(b"row 7", b"13800138000"), "no nonce twice");
    assert_eq!(other.open(b"row 7", &mut sealed.clone()).unwrap(), b"13800138000");
    assert!(one.open(b"row 8", &mut sealed.clone()).is_none());
    assert!(key.derive("else").sealer().open(b"row 7", &mut sealed.clone()).is_none());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 0x80;
        assert!(one.open(b"row 7", &mut changed).is_none(), "octet {at}");
        assert!(one.open(b"row 7", &mut sealed[..at].to_vec()).is_none(), "{at} octets");
    }
}

#[test]
fn derived_keys_and_hashes_depend_on_key_and_purpose() {
    let key = Key::read(&[7; 32]).unwrap();
    let hash = |key: &Key| {
        let mut hasher = key.hasher();
        hasher.write(b"8613800138000");
        hasher.finish()
    };
    assert_eq!(key.derive("index").octets(), key.derive("index").octets());
    let all = [&key, &key.derive("index"), &key.derive("wrap"), &Key::read(&[8; 32]).unwrap()];
    let mut hashes: Vec<u64> = all.into_iter().map(hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4);
}

#[test]
fn signatures_are_of_the_key_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let signer = keys(folder.path()).signer().unwrap();
    let signature = signer.sign(b"head");
    let public_key = keys(folder.path()).signer().unwrap().public_key();
    assert!(verify(&public_key, b"head", &signature) && !verify(&public_key, b"hand", &signature));
    assert!(signer.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"));
}

#[test]
fn a_deletion_that_was_cut_short_is_finished_when_the_keys_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let first = keys(folder.path());
    first.make("20261124-content").unwrap();
    first.make("20261125-content").unwrap();
    let path = first.path("20261124-content");
    fs::write(&path, vec![0; fs::read(&path).unwrap().len()]).unwrap();
    drop(first);
    let again = keys(folder.path());
    assert_eq!(again.names().unwrap(), ["20261125-content", "signing"]);
    assert!(again.get("20261124-content").unwrap().is_none());
    again.make("20261124-content").unwrap();
}

#[test]
fn what_is_made_or_forgotten_during_a_rotation_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    for number in 0..100 {
        keys.make(&format!("old-{number}")).unwrap();
    }
    let masters: Vec<Master> =
        (0..8).map(|turn| Master::create(&folder.path().join(format!("new-{turn}"))).unwrap()).collect();
    let rotations = std::thread::spawn({
        let keys = keys.clone();
        move || masters.into_iter().for_each(|to| _ = keys.rotate(to).unwrap())
    });
    let mut number = 0;
    while !rotations.is_finished() {
        keys.make(&format!("new-{number}")).unwrap();
        assert!(number >= 100 || keys.forget(&format!("old-{number}")).unwrap());
        number += 1;
    }
    rotations.join().unwrap();
    assert_eq!(keys.names().unwrap().len(), 1 + 100_usize.saturating_sub(number) + number);
    for name in keys.names().unwrap() {
        assert!(keys.get(&name).unwrap().is_some(), "{name}");
    }
}
