//! What the register says of one provider.

use std::collections::HashMap;

use ipnet::IpNet;
use portcullis_protocol::text::TextSettings;
use portcullis_protocol::tlv::TlvTag;

use super::Secret;
use crate::rules::{Class, Codes, Mode, Modes};
use crate::tls::CertificateName;

/// A peer that binds to the gate.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its account.
    pub system_id: String,
    /// Its password; without one any is accepted here and the carrier decides.
    pub password: Option<Secret>,
    /// The certificate it must present; none named for any, or none at all.
    pub certificate: Option<CertificateName>,
    /// The networks it may come from; none named for any.
    pub allow: Vec<IpNet>,
    /// How many binds it may have at a time.
    pub max_binds: usize,
    /// Requests it may leave unanswered, where that differs from the configuration's.
    pub window: Option<usize>,
    /// What becomes of a request beyond it, where that differs from the configuration's.
    pub window_overflow: Option<WindowOverflow>,
    /// How fast it may send; as fast as it can where nothing is said.
    pub rate: Option<Rate>,
    /// The numbers it may send from, as prefixes.
    pub ports: Vec<String>,
    /// The strictest mode any rule has for it.
    pub mode: Mode,
    /// Rules whose mode differs for it.
    pub rules: Modes,
    /// The same for its messages on ports of one class.
    pub class_rules: [Modes; Class::ALL.len()],
    /// Which codes it is answered with.
    pub codes: Codes,
    /// Whether a refusal is explained in words, where it speaks SMPP 5.0.
    pub explain: bool,
    /// How it means what `data_coding` leaves open.
    pub text: TextSettings,
    /// What is done with the parts of its long messages, where that differs from the configuration's.
    pub long_messages: Option<LongMode>,
    /// What becomes of its messages in quiet hours.
    pub quiet_hours: QuietHours,
    /// Whether it may send to distribution lists, whose recipients only the carrier knows.
    pub distribution_lists: bool,
    /// Whether it may broadcast commercial messages, which nobody in the area has agreed to one by one.
    pub broadcasts: bool,
    /// The class it declares by a `service_type`.
    pub service_types: HashMap<String, Class>,
    /// The class it declares by a parameter of its own.
    pub class_tlv: Option<ClassTlv>,
    /// The account the carrier sees in place of its own.
    pub carrier_system_id: Option<String>,
    /// The password that goes with it.
    pub carrier_password: Option<Secret>,
    /// Where its binds go in place of the configured addresses, host and port; tried in order.
    pub carrier_addresses: Vec<String>,
}

/// A parameter by which a provider declares the class of its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTlv {
    /// Its tag.
    pub tag: TlvTag,
    /// Its values, without a NUL at the end, each with its class.
    pub values: Vec<(Vec<u8>, Class)>,
}

impl ClassTlv {
    /// The class that a value declares; none where it is not known.
    pub fn class(&self, value: &[u8]) -> Option<Class> {
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        self.values.iter().find(|(known, _)| known == value).map(|&(_, class)| class)
    }
}

/// What becomes of a provider's request beyond its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowOverflow {
    /// It is not read before there is room: TCP holds the provider back.
    #[default]
    Wait,
    /// It is answered `ESME_RMSGQFUL`.
    Reject,
}

impl WindowOverflow {
    /// As the files say it.
    pub const WORDS: [(&str, Self); 2] = [("wait", Self::Wait), ("reject", Self::Reject)];
}

/// How fast a provider may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Messages a second, in the long run.
    pub messages_per_second: u32,
    /// Messages at once after a pause.
    pub burst: u32,
}

/// What becomes of a message in quiet hours (R18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuietHours {
    /// It is answered `ESME_RTHROTTLED`: its provider keeps it.
    #[default]
    Hold,
    /// The gate keeps it, under a `message_id` of its own.
    Queue,
}

impl QuietHours {
    /// As the register says it.
    pub const WORDS: [(&'static str, Self); 2] = [("hold", Self::Hold), ("queue", Self::Queue)];
}

/// What is done with a part whose message is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongMode {
    /// It waits unanswered, unless its peer visibly waits for the answer.
    Hold,
    /// It is stored and answered with the gate's own `message_id`.
    Acknowledge,
}

impl LongMode {
    /// The modes by their names in configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("hold", Self::Hold), ("acknowledge", Self::Acknowledge)];
}
