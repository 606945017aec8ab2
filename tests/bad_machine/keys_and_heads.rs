//! Keys and heads on a machine that misbehaves: what is sealed already goes on, a day without a key cannot begin,
//! a signature that cannot be written waits, and a key or master that is not the right one replaces nothing.

use std::fs;
use std::path::PathBuf;

use portcullis::clock;
use rustix::process::Signal;

use super::{LIMIT, OK, Scene, Stage, TRY_AGAIN};

const DAY_S: i64 = 86_400;

/// Where the day that is so many seconds ahead has its content key.
fn content_key(scene: &Scene, ahead_s: i64) -> PathBuf {
    let config = scene.stage.folder.config();
    let at = clock::wall().saturating_add(jiff::SignedDuration::from_secs(ahead_s)).expect("a time");
    let day = config.time_zone.to_datetime(at).date().strftime("%Y%m%d").to_string();
    scene.data("keys").join(format!("{day}-content.key"))
}

/// The journal cannot begin the next day: marketing waits, service goes on, all of it is written once `heal` was
/// called, without a restart.
async fn waits_for_a_key(mut scene: Scene, what: &str, fault: &str, heal: impl FnOnce(&Scene)) {
    assert_eq!(scene.offer().await, OK, "{what}");
    scene.machine.behaves(&format!("clock {DAY_S}\n{fault}"));
    assert_eq!(scene.notice().await, OK, "{what}");
    scene.stage.gate.await_log("the journal cannot write; entries wait in memory");
    for _ in 0..2 {
        assert_eq!(scene.offer().await, TRY_AGAIN, "{what}: marketing waits");
        assert_eq!(scene.notice().await, OK, "{what}: service goes on");
    }
    heal(&scene);
    scene.machine.behaves(&format!("clock {DAY_S}"));
    scene.await_offers().await;
    assert_eq!(scene.notice().await, OK);
    scene.all_recorded();
    assert_eq!(scene.stage.folder.status().journal, "up", "{what}");
    assert!(content_key(&scene, DAY_S).exists(), "the day has its key");
    is_whole(scene);
}

/// The gate ends well, and its journal is as it was written.
fn is_whole(scene: Scene) {
    let Stage { gate, folder, carrier: _carrier } = scene.stage;
    assert!(gate.stop().success());
    let verified = folder.run(&["journal", "verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_finds_no_room_for_its_keys_waits() {
    for fault in ["readonly", "full"] {
        let scene = Scene::new().await;
        let line = format!("{fault} {}", scene.data("keys").display());
        waits_for_a_key(scene, fault, &line, |_| ()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_finds_no_folder_of_keys_waits() {
    let scene = Scene::new().await;
    let (keys, away) = (scene.data("keys"), scene.data("away"));
    fs::rename(&keys, &away).expect("a folder to take away");
    waits_for_a_key(scene, "gone", "", |_| fs::rename(&away, &keys).expect("a folder to give back")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_whose_key_is_cut_off_waits_and_the_key_is_not_replaced() {
    let scene = Scene::new().await;
    let (key, half) = (content_key(&scene, DAY_S), "{\"version\":1,\"mas");
    fs::write(&key, half).expect("half a key");
    waits_for_a_key(scene, "cut off", "", |scene| {
        assert_eq!(fs::read_to_string(&key).expect("the key"), half);
        assert!(scene.stage.gate.log().contains("is damaged"), "it says what is wrong");
        fs::remove_file(&key).expect("half a key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_heads_on_a_slow_disk_delay_and_lose_nothing() {
    for store in ["keys", "heads"] {
        let mut scene = Scene::new().await;
        let line = format!("slow 500 {}", scene.data(store).display());
        for ahead in [0, DAY_S] {
            scene.machine.behaves(&format!("{line}\nclock {ahead}"));
            assert_eq!(scene.offer().await, OK, "{store}");
            assert_eq!(scene.notice().await, OK, "{store}");
        }
        scene.all_recorded();
        assert_eq!(scene.stage.folder.status().journal, "up");
        is_whole(scene);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_cannot_be_signed_stop_no_message_and_are_signed_later() {
    for fault in ["readonly", "full"] {
        let scene = Scene::new().await;
        // The first record is signed at once: the fault is there before.
        scene.machine.behaves(&format!("{fault} {}", scene.data("heads").display()));
        let mut scene = scene.again(LIMIT, Signal::TERM).await;
        scene.stage.gate.await_log("could not be signed");
        assert_eq!(scene.offer().await, OK, "{fault}");
        assert_eq!(scene.notice().await, OK, "{fault}");
        assert_eq!(scene.stage.folder.status().journal, "up", "{fault}: what is written is safe");
        scene.machine.behaves("");
        scene.all_recorded();
        is_whole(scene);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_go_away_and_come_back_are_signed_on() {
    let mut scene = Scene::new().await;
    let (heads, away) = (scene.data("heads"), scene.data("away"));
    fs::rename(&heads, &away).and_then(|()| fs::write(&heads, "")).expect("a folder to take away");
    assert_eq!(scene.offer().await, OK);
    assert_eq!(scene.notice().await, OK);
    let log = scene.stage.gate.log_handle();
    let Scene { stage: Stage { gate, folder, carrier }, machine, sent, next, .. } = scene;
    assert!(gate.stop().success());
    assert!(log().iter().any(|line| line.contains("could not be signed")), "it is said");
    fs::remove_file(&heads).and_then(|()| fs::rename(&away, &heads)).expect("a folder to give back");
    let stage = Stage { gate: super::start(&machine, &folder), folder, carrier };
    let provider = stage.herald().await;
    let scene = Scene { stage, machine, provider, sent, next };
    scene.all_recorded();
    is_whole(scene);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_or_master_that_is_not_the_right_one_stops_the_start_and_replaces_nothing() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.offer().await, OK);
    let (keys, today) = (scene.data("keys"), content_key(&scene, 0));
    let Scene { stage: Stage { gate, folder, carrier }, machine, sent, next, .. } = scene;
    assert!(gate.stop().success());
    let zeros = "0".repeat(64);
    for (file, wrong, told) in [
        (today.clone(), Some("{\"version\":1,"), "-content.key is damaged"),
        (today, None, "its key was deleted, nothing in it can be read any more"),
        (keys.join("consents.key"), Some(""), "consents.key is damaged"),
        (keys.join("consents.key"), None, "consents.key is missing: what was sealed with it cannot be read"),
        (keys.join("signing.key"), Some("{}"), "signing.key is damaged"),
        (keys.join("master"), Some(&*zeros), "signing.key was wrapped by the master key"),
        (keys.join("master"), Some("no key"), "keys/master is no master key"),
        (keys.join("master"), None, "keys/master: read the master key: No such file"),
    ] {
        let right = fs::read(&file).expect("a key");
        match wrong {
            Some(text) => fs::write(&file, text).expect("another key"),
            None => fs::remove_file(&file).expect("a key to take away"),
        }
        let said = folder.run(&["run"]);
        let name = file.file_name().expect("a name").to_string_lossy();
        assert_eq!(said.code, Some(1), "{name} {wrong:?}: {}", said.stderr);
        assert!(said.stderr.contains(told), "{name} {wrong:?}: {}", said.stderr);
        let now = fs::read_to_string(&file).ok();
        assert_eq!(now.as_deref(), wrong, "{name} is not replaced");
        fs::write(&file, right).expect("the right key");
    }
    let stage = Stage { gate: super::start(&machine, &folder), folder, carrier };
    let provider = stage.herald().await;
    let mut scene = Scene { stage, machine, provider, sent, next };
    assert_eq!(scene.offer().await, OK);
    scene.all_recorded();
    is_whole(scene);
}
