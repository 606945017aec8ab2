//! Why a session ended.
//!
//! Owns the names used alike for log, metric and test. Refuses to describe single requests:
//! those have an `Outcome`. Driven by the relay; read by whoever watches sessions.

use portcullis_protocol::{CommandStatus, FrameFault};

use super::interface::Cause;

/// The one reason a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The provider went away without ever being bound.
    NeverBound(Cause),
    /// No bind within the session-init time-out.
    SessionInitTimeout,
    /// Bind after bind was refused; this was the last status.
    BindRefused(CommandStatus),
    /// The provider unbound.
    ProviderUnbound,
    /// The carrier unbound.
    CarrierUnbound,
    /// The provider's connection was lost while bound.
    ProviderLost(Cause),
    /// The carrier's connection was lost while bound.
    CarrierLost(Cause),
    /// The provider no longer answers `enquire_link`.
    ProviderSilent,
    /// The carrier no longer answers `enquire_link`.
    CarrierSilent,
    /// The provider's stream could not be read on.
    ProviderFrameFault(FrameFault),
    /// The carrier's stream could not be read on.
    CarrierFrameFault(FrameFault),
    /// Nothing but `enquire_link` for the inactivity time-out.
    Inactive,
    /// The process stops.
    Drained,
}

impl Ending {
    /// The name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverBound(_) => "never-bound",
            Self::SessionInitTimeout => "session-init-timeout",
            Self::BindRefused(_) => "bind-refused",
            Self::ProviderUnbound => "provider-unbound",
            Self::CarrierUnbound => "carrier-unbound",
            Self::ProviderLost(_) => "provider-lost",
            Self::CarrierLost(_) => "carrier-lost",
            Self::ProviderSilent => "provider-silent",
            Self::CarrierSilent => "carrier-silent",
            Self::ProviderFrameFault(_) => "provider-frame-fault",
            Self::CarrierFrameFault(_) => "carrier-frame-fault",
            Self::Inactive => "inactive",
            Self::Drained => "drained",
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::NeverBound(cause) | Self::ProviderLost(cause) | Self::CarrierLost(cause) => {
                let cause = match cause {
                    Cause::Eof => "closed by the peer",
                    Cause::Reset => "reset by the peer",
                    Cause::Io => "input or output failed",
                };
                write!(f, ": {cause}")
            }
            Self::BindRefused(status) => write!(f, ": {status:?}"),
            Self::ProviderFrameFault(fault) | Self::CarrierFrameFault(fault) => write!(f, ": {fault}"),
            _ => Ok(()),
        }
    }
}
