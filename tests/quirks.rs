//! Sixty ways real peers misbehave, each of which the gate survives.
//!
//! testdata/quirks.toml says where each is proved; this file holds the table to its word, and
//! runs against the gate over sockets what fixtures and conversation scripts cannot show alone.

#[path = "quirks/carrier_side.rs"]
mod carrier_side;
#[path = "../protocol/tests/fixtures/case.rs"]
mod case;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[path = "quirks/parts.rs"]
mod parts;
#[path = "quirks/probes.rs"]
mod probes;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "quirks/provider_side.rs"]
mod provider_side;
#[path = "quirks/sessions.rs"]
mod sessions;
#[path = "quirks/stage.rs"]
mod stage;
#[path = "quirks/table.rs"]
mod table;
#[path = "quirks/wire.rs"]
mod wire;
