//! A message to judge, as flags and JSON lines give it.

use clap::ValueEnum;
use jiff::Timestamp;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::text::Text;
use serde::Deserialize;

use crate::register::{Provider, Register};
use crate::rules::{Consent, Facts, Identity, Operation, Presentation, Refusal, Submission};

/// One message.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// The sending number or name.
    pub source: String,
    /// The recipient's number.
    pub destination: String,
    /// The text.
    pub text: String,
    /// The provider's `system_id`.
    pub provider: Option<String>,
    /// When it is sent.
    pub at: Option<String>,
    /// The recipient's standing.
    pub consent: Option<Standing>,
}

/// The recipient's standing with the sender, said in place of asking the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Never agreed
    None,
    /// Agreed
    Active,
    /// Agreed for a term that is over
    Expired,
    /// Refused
    Refused,
}

impl Standing {
    /// The facts of a recipient of this standing.
    pub const fn facts(self, identity: Identity<'_>) -> Facts<'_> {
        let mut facts = Facts::new(identity);
        match self {
            Self::None => {}
            Self::Active => facts.consent = Consent::Active,
            Self::Expired => facts.consent = Consent::Expired,
            Self::Refused => facts.refusal = Some(Refusal::Sender { at: None }),
        }
        facts
    }
}

impl Request {
    /// The time of sending, where it is said.
    pub fn at(&self) -> Result<Option<Timestamp>, String> {
        let parse = |text: &String| text.parse().map_err(|error| format!("at {text:?} is no RFC 3339 time: {error}"));
        self.at.as_ref().map(parse).transpose()
    }

    /// The provider that is named, or else the only one, or else the one whose numbers cover the source best.
    pub fn provider<'r>(&self, register: &'r Register) -> Result<&'r Provider, String> {
        match (&self.provider, register.providers()) {
            (Some(name), _) => register.provider(name).ok_or_else(|| format!("no provider has the system_id {name:?}")),
            (None, [only]) => Ok(only),
            (None, _) => register
                .provider_of(self.source.as_bytes())
                .ok_or_else(|| format!("no provider's ports cover the source {:?}; name the provider", self.source)),
        }
    }

    /// The message as a `submit_sm` would carry it: digits have an unknown type of number, anything else is
    /// alphanumeric.
    pub fn submission(&self) -> Submission<'_> {
        Submission {
            operation: Operation::SubmitSm,
            source: address(&self.source),
            destination: address(&self.destination),
            service_type: b"",
            class_tlv: None,
            sm_default_msg_id: 0,
            content: Text::Readable(self.text.as_str().into()),
            presentation: Presentation::Kept,
            part: None,
            deliver_at: None,
            valid_until: None,
        }
    }
}

fn address(text: &str) -> Address<'_> {
    let number = text.strip_prefix('+').unwrap_or(text).bytes().all(|octet| octet.is_ascii_digit());
    let (ton, npi) = if number { (Ton::UNKNOWN, Npi::ISDN) } else { (Ton::ALPHANUMERIC, Npi::UNKNOWN) };
    Address::new(ton, npi, text.as_bytes())
}
