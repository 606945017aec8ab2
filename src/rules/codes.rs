//! The answer that goes with a failed rule.
//!
//! Owns the gate's own code range and the standard codes it can be mapped to. A compliance
//! reject never uses 0x04, 0x08, 0x14, 0x58 or 0x64, because peers retry those; a hold must.

use portcullis_protocol::CommandStatus;

/// Which codes a provider is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Codes {
    /// The gate's own range, which tells the rules apart.
    #[default]
    Gate,
    /// Standard codes only, for peers that understand no others.
    Standard,
}

impl Codes {
    /// The words of the register.
    pub const WORDS: [(&'static str, Self); 2] = [("gate", Self::Gate), ("standard", Self::Standard)];
}

/// What a failed rule answers, before the provider's choice of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An offset in the gate's own range.
    Own(u8),
    /// A code of the specification.
    Fixed(CommandStatus),
}

/// What every code of the gate's own becomes for a peer that wants standard codes.
const SUBMIT_FAIL: CommandStatus = CommandStatus::ESME_RSUBMITFAIL;

impl Code {
    /// The status on the wire.
    pub const fn status(self, codes: Codes, base: u32) -> CommandStatus {
        match (self, codes) {
            (Self::Fixed(status), _) => status,
            (Self::Own(offset), Codes::Gate) => CommandStatus(base + offset as u32),
            (Self::Own(_), Codes::Standard) => SUBMIT_FAIL,
        }
    }
}
