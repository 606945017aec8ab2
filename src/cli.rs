//! (placeholder: see the contract)

pub mod check;
pub mod judge;
