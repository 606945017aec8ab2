//! Long messages through a running gate: judged whole, whatever way their parts come.
//!
//! The gate as a child process, the simulator as carrier, a provider that sends part by part.

#[path = "long/acknowledged.rs"]
mod acknowledged;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "long/naming.rs"]
mod naming;
#[path = "long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "long/scene.rs"]
mod scene;
#[path = "long/whole.rs"]
mod whole;
