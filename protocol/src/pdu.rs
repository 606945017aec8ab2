//! (placeholder: see the contract)

/// Any PDU, decoded.
#[derive(Debug)]
pub enum Pdu {}
