//! Consent as a living thing, through the program and over the wire: every event kept, answered by
//! event time, bound to the legal entity, proved by files, taken out and in again.

#[path = "consent/entity.rs"]
mod entity;
#[path = "consent/files.rs"]
mod files;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "consent/history.rs"]
mod history;
#[path = "consent/layout.rs"]
mod layout;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "consent/stage.rs"]
mod stage;
#[path = "consent/time.rs"]
mod time;
