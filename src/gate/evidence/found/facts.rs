//! What a verdict rested on and how the message was to be handled, as a search gives it (rulebook §5).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gate::evidence::time;
use crate::gate::record::{Content, Ground, Grounds, Kept, Submission, port_key};
use crate::rules::Rule;
use crate::rules::signature::signatures;

/// What is known of a message beside its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoundFacts {
    /// The source without the country code that some carriers put before it.
    pub source_canonical: String,
    /// Type of number and numbering plan of source and destination.
    pub ton_npi: [(u8, u8); 2],
    /// The class of the registered port.
    pub port_class: Option<String>,
    /// The signature that the text bears.
    pub signature: Option<String>,
    /// Why it is of its class.
    pub class_why: Option<String>,
    /// `service_type`
    pub service_type: String,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// Reference, total and number of a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<(u16, u8, u8)>,
    /// The digest of the profile's settings.
    pub settings: Option<String>,
    /// The consent or refusal that it rested on, with the recipient and the sender the name of its event.
    pub basis: Option<FoundBasis>,
    /// When it was to be delivered, where that was later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_at: Option<Timestamp>,
    /// Until when the carrier was to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The TLS version and certificate of the bind; none where it was plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// When the answer was settled; it left once its record was on disk. None while it is not.
    pub answered: Option<Timestamp>,
    /// The signalling has expired: session, peer, `sequence_number` and the like are no longer known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub signalling_expired: bool,
}

/// The consent or refusal a verdict rested on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBasis {
    /// `consent`, `expired`, `refused` or `do-not-disturb`.
    pub standing: String,
    /// The category agreed to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// When it was said.
    pub at: Option<Timestamp>,
}

impl FoundFacts {
    pub(super) fn of(record: &Submission<'_>) -> Self {
        let ton_npi = [&record.source, &record.destination].map(|address| (address.ton, address.npi));
        let signature = match &record.content {
            Content::Text(text) => signatures(text).label.map(|label| label.name.to_owned()),
            Content::Opaque(..) => None,
        };
        // What is refused or held is answered at once; what goes on, when its end is known.
        let answered = (record.verdict != "forward").then(|| time(record.received_ms));
        Self {
            source_canonical: port_key(&record.source.addr).to_owned(),
            ton_npi,
            port_class: record.port.as_ref().map(|(_, class)| class.to_string()),
            signature,
            class_why: class_why(record),
            service_type: record.service_type.to_string(),
            registered_delivery: record.flags.2,
            part: record.part,
            answered,
            ..Self::default()
        }
    }

    /// With what stands behind the record and beside it.
    pub(super) fn with(self, kept: &Kept<'_>) -> Self {
        let told = kept.grounds.as_ref().map(Grounds::handling).unwrap_or_default();
        let settings = kept.grounds.as_ref().and_then(Grounds::profile);
        let tls = &kept.signalling.tls;
        Self {
            settings: settings.map(|digest| format!("{:016x}", u64::from_be_bytes(digest))),
            basis: kept.grounds.as_ref().and_then(FoundBasis::of),
            deliver_at: told.deliver_at,
            valid_until: told.valid_until,
            tls: (!tls.is_empty()).then(|| tls.to_string()),
            signalling_expired: kept.is_expired,
            ..self
        }
    }
}

impl FoundBasis {
    fn of(grounds: &Grounds<'_>) -> Option<Self> {
        let basis = |standing: &str, category: &str, at: Option<i64>| Self {
            standing: standing.to_owned(),
            category: category.to_owned(),
            at: at.map(time),
        };
        grounds.iter().find_map(|ground| match ground {
            Ground::Consent(at, category) => Some(basis("consent", category, Some(*at))),
            Ground::Expired(at, category) => Some(basis("expired", category, Some(*at))),
            Ground::Refused(at) => Some(basis("refused", "", *at)),
            Ground::DoNotDisturb => Some(basis("do-not-disturb", "", None)),
            _ => None,
        })
    }
}

/// The port's class, or what R03 said of a text that is another.
fn class_why(record: &Submission<'_>) -> Option<String> {
    let (_, port_class) = record.port.as_ref()?;
    if record.class == *port_class {
        return Some("the port's class".to_owned());
    }
    record.findings.iter().find(|finding| finding.rule == Rule::R03.id()).map(|finding| finding.why.to_string())
}
