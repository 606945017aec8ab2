//! Found and handed over, over real sockets: searches and their pages, exports and dossiers that sha256sum and
//! openssl check, complaints and what is due.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "gate/stage.rs"]
mod stage;

#[path = "handover/checking.rs"]
mod checking;
#[path = "handover/complaints.rs"]
mod complaints;
#[path = "handover/export.rs"]
mod export;
#[path = "handover/find.rs"]
mod find;
#[path = "handover/traffic.rs"]
mod traffic;
