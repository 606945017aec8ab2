//! What has expired goes and what is held stays: on real folders with days of the past, by the program itself.
//!
//! The days lie in the past by their records; the clock is the real one.

#[path = "retention/clock.rs"]
mod clock;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "retention/holds.rs"]
mod holds;
#[path = "retention/killed.rs"]
mod killed;
#[path = "retention/purge.rs"]
mod purge;
#[path = "retention/scene.rs"]
mod scene;
