//! The gate on the wire between SMS providers and a carrier's SMSC.
//!
//! Dependencies point one way: `protocol <- rules <- relay`; `store` knows none of them;
//! `gate` joins rules and store, `proxy` drives relay and gate, `admin` and `cli` sit on top.

pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod document;
pub mod gate;
pub mod proxy;
pub mod register;
pub mod relay;
pub mod rules;
pub mod simulator;
pub mod store;
pub mod tls;
