//! The gate as its users meet it: the program itself, between a provider and a carrier on real sockets.
//!
//! Every promise of the README that needs a running gate has its test here; one folder, one
//! gate and one simulated carrier each, so that they run side by side.

#[path = "gate/binds.rs"]
mod binds;
#[path = "gate/cancelled.rs"]
mod cancelled;
#[path = "gate/commands.rs"]
mod commands;
#[path = "gate/consents.rs"]
mod consents;
#[path = "gate/deliveries.rs"]
mod deliveries;
#[path = "gate/drain.rs"]
mod drain;
#[path = "gate/durability.rs"]
mod durability;
#[path = "gate/explain.rs"]
mod explain;
#[path = "gate/failure.rs"]
mod failure;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "gate/keys.rs"]
mod keys;
#[path = "gate/modes.rs"]
mod modes;
#[path = "gate/outage.rs"]
mod outage;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "gate/readings.rs"]
mod readings;
#[path = "gate/refused.rs"]
mod refused;
#[path = "gate/reload.rs"]
mod reload;
#[path = "support/samples.rs"]
mod sample;
#[path = "gate/samples.rs"]
mod samples;
#[path = "gate/secrecy.rs"]
mod secrecy;
#[path = "gate/stage.rs"]
mod stage;
#[path = "gate/timers.rs"]
mod timers;
#[path = "gate/traffic.rs"]
mod traffic;
#[path = "gate/unaltered.rs"]
mod unaltered;
