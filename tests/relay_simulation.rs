//! Accounts with several binds whose peers delay, lose, repeat, reorder, crash, leave and return,
//! from a seed: long messages over any of the binds, held or acknowledged, and a carrier that restarts.
//!
//! `RELAY_SEED=n` runs one seed again, `RELAY_SEEDS=n` that many (256 unless told). A failure
//! prints its seed. The shadow watches every action; the peers watch what they are told.

#[path = "relay_simulation/account.rs"]
mod account;
#[path = "relay_simulation/peers.rs"]
mod peers;
#[path = "relay_simulation/random.rs"]
mod random;
#[path = "relay_simulation/scene.rs"]
mod scene;
#[path = "relay_shadow/shadow.rs"]
mod shadow;
#[path = "relay_simulation/world.rs"]
mod world;

use std::collections::BTreeMap;

use scene::Scene;

/// Says which seed it was when a simulation panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with RELAY_SEED={}", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_keeps_the_invariants() {
    let seeds = match number("RELAY_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("RELAY_SEEDS").unwrap_or(256),
    };
    let many = seeds.clone().count() >= 256;
    let mut seen = BTreeMap::new();
    for seed in seeds {
        let guard = Seed(seed);
        for name in Scene::new(seed).run() {
            *seen.entry(name).or_insert(0_u32) += 1;
        }
        drop(guard);
    }
    if many {
        for name in ["provider-unbound", "carrier-unbound", "provider-lost", "carrier-lost", "drained", "bind-refused"]
        {
            assert!(seen.contains_key(name), "no session ended {name}: {seen:?}");
        }
        for name in ["carrier-silent", "provider-silent", "provider-frame-fault", "carrier-frame-fault"] {
            assert!(seen.contains_key(name), "no session ended {name}: {seen:?}");
        }
        for name in
            ["Answered", "Refused", "Nacked", "TimedOut", "Acknowledged", "CarrierLost", "ProviderLost", "NotForwarded"]
        {
            assert!(seen.contains_key(name), "no message was {name}: {seen:?}");
        }
        for name in ["originated", "carrier-restarted"] {
            assert!(seen.get(name).is_some_and(|count| *count > 100), "hardly ever {name}: {seen:?}");
        }
        assert!(seen["accepted"] > 10_000, "hardly any traffic: {seen:?}");
    }
}
