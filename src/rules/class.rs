//! The class of a port and of a message.

use std::fmt;

/// What a port may carry, and what a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Promotes goods, services or investment.
    Commercial,
    /// Business management, notices, one-time passwords.
    Service,
    /// In the public interest (公益): government, emergencies, disasters.
    Public,
    /// Between persons.
    Personal,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Commercial, Self::Service, Self::Public, Self::Personal];

    /// The words of the register, each with its class.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("commercial", Self::Commercial),
        ("service", Self::Service),
        ("public", Self::Public),
        ("personal", Self::Personal),
    ];

    /// Whether no marketing rule may stop a message on such a port (R13, R14).
    pub const fn is_sheltered(self) -> bool {
        matches!(self, Self::Service | Self::Public)
    }

    /// The word for this class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Service => "service",
            Self::Public => "public",
            Self::Personal => "personal",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
