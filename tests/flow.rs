//! Rules that hang on time and on earlier messages, through a running gate: how often (R19), asked once
//! and silence (R12), quiet hours and the gate's queue (R18), schedules (R21), replacements (R22).
//!
//! The gate as a child process, the simulator as carrier; restarts are real ones.

#[path = "flow/asking.rs"]
mod asking;
#[path = "flow/frequency.rs"]
mod frequency;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "flow/queue.rs"]
mod queue;
#[path = "flow/replace.rs"]
mod replace;
#[path = "flow/scene.rs"]
mod scene;
#[path = "flow/schedule.rs"]
mod schedule;
