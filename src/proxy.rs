//! (placeholder: see the contract)
