//! The class of a message: what declares it, what templates say of it, and how well its text tells it.
//!
//! The figures are those of `portcullis classify --evaluate` on made-up traffic of a fixed seed.

#[path = "classes/corpus.rs"]
mod corpus;
#[path = "classes/figures.rs"]
mod figures;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/gate.rs"]
mod gate;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/provider.rs"]
mod provider;
#[path = "classes/similar.rs"]
mod similar;
#[path = "classes/slots.rs"]
mod slots;
#[path = "classes/wire.rs"]
mod wire;
