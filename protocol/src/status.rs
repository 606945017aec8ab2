//! `command_status` codes (SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6).

/// The outcome of a request; any value survives, the named ones are the specification's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandStatus(pub u32);

impl CommandStatus {
    /// No error.
    pub const ESME_ROK: Self = Self(0x0000_0000);
    /// Invalid message length.
    pub const ESME_RINVMSGLEN: Self = Self(0x0000_0001);
    /// Invalid command length.
    pub const ESME_RINVCMDLEN: Self = Self(0x0000_0002);
    /// Invalid command id.
    pub const ESME_RINVCMDID: Self = Self(0x0000_0003);
    /// Incorrect bind status for the given command.
    pub const ESME_RINVBNDSTS: Self = Self(0x0000_0004);
    /// Already bound.
    pub const ESME_RALYBND: Self = Self(0x0000_0005);
    /// System error.
    pub const ESME_RSYSERR: Self = Self(0x0000_0008);
    /// Bind failed.
    pub const ESME_RBINDFAIL: Self = Self(0x0000_000D);
    /// Invalid password.
    pub const ESME_RINVPASWD: Self = Self(0x0000_000E);
    /// Invalid system id.
    pub const ESME_RINVSYSID: Self = Self(0x0000_000F);
    /// Throttled.
    pub const ESME_RTHROTTLED: Self = Self(0x0000_0058);
}

impl std::fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
