//! The configuration of a gate: portcullis.toml, read, checked and resolved.
//!
//! Owns every setting's name, default and bounds. Refuses unknown keys and values that
//! cannot work, each with file, line and key. Driven by the command line.

mod links;
mod load;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use crate::document::Fault;
use crate::register::{LongMode, Secret, WindowOverflow};
use crate::rules::Profile;
use crate::rules::workdays::Calendar;
use crate::tls::{CarrierTls, ListenTls};

/// Everything portcullis.toml says; paths are relative to it no longer.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The SHA-256 of what stood in it, in hex.
    pub sha256: String,
    /// The register's file.
    pub register: PathBuf,
    /// The folder of consents, journal and socket.
    pub data: PathBuf,
    /// The master key's file; none where the environment gives it, or a file beside the data.
    pub master_key: Option<PathBuf>,
    /// Where providers connect.
    pub listen: Vec<Listen>,
    /// Where the gate connects.
    pub carrier: Carrier,
    /// How records are written.
    pub journal: JournalConfig,
    /// How messages in several parts are treated.
    pub long_messages: LongMessages,
    /// Numbers that nobody sends anything commercial.
    pub do_not_disturb: Vec<ListFile>,
    /// Messages that wait for the end of quiet hours.
    pub queue: QueueConfig,
    /// When and how fast what has expired is purged.
    pub retention: RetentionConfig,
    /// Which rules hold.
    pub profile: Profile,
    /// Where they stand, if in a file of their own.
    pub profile_file: Option<PathBuf>,
    /// The limits of one session.
    pub session: SessionConfig,
    /// How long a stopping gate waits for answers.
    pub drain_timeout: Duration,
    /// The days on which complaints are worked on.
    pub workdays: Calendar,
    /// The zone of days and hours.
    pub time_zone: TimeZone,
    /// Its name.
    pub time_zone_name: String,
    /// What works but is probably not meant.
    pub warnings: Vec<Fault>,
}

/// One place where providers connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address and port.
    pub address: SocketAddr,
    /// TLS, where it is spoken there.
    pub tls: Option<ListenTls>,
    /// The networks of balancers that speak the PROXY protocol there; none where it is not spoken.
    pub trusted: Vec<IpNet>,
}

/// A file of subscribers' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFile {
    /// How logs and records name it.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
}

/// The SMSC side.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Host and port, tried in order.
    pub addresses: Vec<String>,
    /// How long one address is tried.
    pub connect_timeout: Duration,
    /// How long an answer is awaited.
    pub response_timeout: Duration,
    /// How long the leg may be silent before it is asked for life.
    pub enquire_link: Duration,
    /// Requests left unanswered at a time.
    pub window: usize,
    /// The account the carrier sees in place of the providers' own.
    pub system_id: Option<String>,
    /// The password that goes with it.
    pub password: Option<Secret>,
    /// How it writes message ids in answers and receipts.
    pub message_id: MessageIdForm,
    /// TLS, where it is spoken there.
    pub tls: Option<CarrierTls>,
}

/// How the carrier writes the id of a message in its answer and in its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum MessageIdForm {
    /// Found out from what fits.
    #[default]
    Auto,
    /// The same octets in both.
    AsIs,
    /// Hexadecimal in the answer, decimal in the receipt.
    HexInAnswer,
    /// Decimal in the answer, hexadecimal in the receipt.
    HexInReceipt,
}

impl MessageIdForm {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("as-is", Self::AsIs),
        ("hex-in-answer", Self::HexInAnswer),
        ("hex-in-receipt", Self::HexInReceipt),
    ];
}

/// When a record is durable with respect to the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before the message goes to the carrier.
    BeforeForward,
    /// Before the provider is answered.
    BeforeResponse,
    /// Every so often.
    Interval,
}

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// When they are durable.
    pub durability: Durability,
    /// How often, for [`Durability::Interval`].
    pub interval: Duration,
    /// Most records that wait in memory to be written.
    pub spool_entries: usize,
    /// Most octets of them.
    pub spool_bytes: usize,
}

/// How messages in several parts are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongMessages {
    /// What is done with parts, where the register says nothing else for the provider.
    pub mode: LongMode,
    /// From a message's first part to its last; shorter than the response timers of the peers.
    pub timeout: Duration,
    /// How long a peer with held parts may be silent before it is taken to wait for their answers.
    pub patience: Duration,
    /// Parts of one provider kept at a time.
    pub max_parts: usize,
    /// Octets of them.
    pub max_bytes: usize,
}

/// The queue for quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Messages of one provider that may wait.
    pub max_messages: usize,
    /// How many of them a second go on when the hours end.
    pub per_second: u32,
}

/// When and how fast what has expired is purged; how long it is kept is the profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// The time of day from which on it is done, once a day.
    pub at: Time,
    /// Days of the journal that may go in one night; more ask for an operator's word.
    pub at_most: usize,
    /// Octets read or deleted a second.
    pub per_second: u64,
}

/// The limits of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// From the connection to the bind.
    pub session_init_timeout: Duration,
    /// What PROXY header and TLS handshake may take of that.
    pub handshake_timeout: Duration,
    /// How long the provider's leg may be silent before it is asked for life.
    pub enquire_link_interval: Duration,
    /// How long no message may pass before the session is ended; zero for any time.
    pub inactivity_timeout: Duration,
    /// How long a provider's answer is awaited.
    pub response_timeout: Duration,
    /// Requests left unanswered at a time, each way.
    pub window: usize,
    /// What becomes of a provider's request beyond the window.
    pub window_overflow: WindowOverflow,
    /// The longest PDU, in octets.
    pub pdu_limit: usize,
    /// Connections at a time, bound or not.
    pub max_sessions: usize,
    /// Connections from one address at a time.
    pub max_sessions_per_address: usize,
    /// Binds of all providers at a time.
    pub max_binds: usize,
}

impl Config {
    /// Loads and checks a configuration.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Vec<Fault>> {
        match Self::examine(path.as_ref()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    /// Loads a configuration as far as it goes, with all its faults; one with faults must not be run.
    pub fn examine(path: &Path) -> (Option<Self>, Vec<Fault>) {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let (config, faults) = load::config(path, &text);
                (Some(config), faults)
            }
            Err(error) => (None, vec![Fault::of_file(path, format!("cannot be read: {error}"))]),
        }
    }

    /// Checks a configuration's text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let (config, faults) = load::config(path, text);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Whether a register is named at all.
    pub fn names_register(&self) -> bool {
        self.register.file_name().is_some()
    }
}

/// The smallest useful configuration.
#[cfg(test)]
pub(crate) const SMALLEST: &str = r#"
register = "register.toml"
[[listen]]
address = "127.0.0.1:2775"
[carrier]
addresses = ["127.0.0.1:2776"]
"#;
