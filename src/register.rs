//! The register: who may send, from which ports, under which names.
//!
//! Owns the checked values of register.toml and the questions asked of them: who is this
//! system_id, whose port is this number, whose signature is this. Refuses to watch the file;
//! `proxy` loads it again and swaps it whole. Driven by the gate and the command line.

mod load;
mod provider;
mod secret;
mod templates;

use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use portcullis_protocol::text::Text;

use crate::document::Fault;
use crate::rules::signature::signatures;
use crate::rules::template::Templates;
use crate::rules::{Class, Identity, Msisdn, Ownership, Submission};

pub(crate) use load::networks;
pub use provider::{ClassTlv, LongMode, Provider, QuietHours, Rate, WindowOverflow};
pub use secret::Secret;

/// The longest port number.
pub const LONGEST_PORT: usize = 20;

/// Everything register.toml says.
#[derive(Debug)]
pub struct Register {
    providers: Vec<Provider>,
    senders: Vec<Sender>,
    ports: Vec<Port>,
    by_system_id: HashMap<String, usize>,
    by_sender_id: HashMap<String, usize>,
    by_signature: HashMap<String, usize>,
    by_number: HashMap<Box<[u8]>, usize>,
    /// Bit n: some port number has n digits.
    lengths: u32,
    version: String,
    warnings: Vec<Fault>,
    files: Vec<PathBuf>,
}

/// A legal entity on whose behalf messages are sent.
#[derive(Clone, Debug)]
pub struct Sender {
    /// How consents, ports and records name it.
    pub id: String,
    /// Ids it had before: what subscribers said to those they said to it.
    pub former_ids: Vec<String>,
    /// Its registered name.
    pub name: String,
    /// Its unified social credit code.
    pub credential: String,
    /// A government body, which public-interest ports ask for.
    pub government: bool,
    /// The names it may put in 【】.
    pub signatures: Vec<String>,
    /// Its contact phones, digits only.
    pub phones: Vec<String>,
    /// The links and contact ids it may put in a text.
    pub links: Vec<String>,
    /// Whether it may send at all.
    pub active: bool,
    /// The last day its filing is good for.
    pub filed_until: Option<Date>,
    /// The providers that may send for it; none named for any.
    pub providers: Vec<String>,
    /// The templates it has filed, to which its messages keep; none for any text.
    pub templates: Option<Arc<Templates>>,
}

/// A sending number and all numbers that extend it.
#[derive(Clone, Debug)]
pub struct Port {
    /// The number, or the alphanumeric source.
    pub number: String,
    /// What it may carry.
    pub class: Class,
    /// Whose it is.
    pub sender: String,
    /// The one of its sender's signatures that belongs to it; none for any of them.
    pub signature: Option<String>,
    /// Whether longer numbers belong to it.
    pub extensions: bool,
    /// Whether it may be used.
    pub active: bool,
    /// The category a consent must be of; none for any.
    pub category: Option<String>,
    /// The opt-out keywords honoured on it; none named for the profile's.
    pub opt_out: Option<Vec<String>>,
    /// Whether replies reach the gate, without which no keyword is honoured.
    pub replies: bool,
}

impl Register {
    /// Loads and checks a register.
    pub fn load(path: &Path) -> Result<Self, Vec<Fault>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![Fault::of_file(path, format!("cannot be read: {error}"))])?;
        Self::parse(path, &text)
    }

    /// Checks a register's text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        load::register(path, text)
    }

    /// The provider with this account.
    pub fn provider(&self, system_id: &str) -> Option<&Provider> {
        self.by_system_id.get(system_id).map(|&index| &self.providers[index])
    }

    /// Every provider.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The sender with this id, or one that had it before.
    pub fn sender(&self, id: &str) -> Option<&Sender> {
        self.by_sender_id.get(id).map(|&index| &self.senders[index])
    }

    /// Every sender.
    pub fn senders(&self) -> &[Sender] {
        &self.senders
    }

    /// The sender that owns a signature, written without its brackets.
    pub fn signatory(&self, signature: &str) -> Option<&Sender> {
        self.by_signature.get(signature).map(|&index| &self.senders[index])
    }

    /// Every port.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The port a number belongs to: the longest entry that is the number or that it extends.
    pub fn port(&self, number: &[u8]) -> Option<&Port> {
        let longest = number.len().min(LONGEST_PORT);
        (1..=longest).rev().filter(|length| self.lengths & (1 << length) != 0).find_map(|length| {
            let port = &self.ports[*self.by_number.get(&number[..length])?];
            (length == number.len() || port.extensions).then_some(port)
        })
    }

    /// The provider whose prefixes cover a number best.
    pub fn provider_of(&self, number: &[u8]) -> Option<&Provider> {
        self.providers.iter().rev().max_by_key(|provider| provider.covers(number)).filter(|p| p.covers(number) > 0)
    }

    /// The providers that send from a port, or from numbers that extend it.
    pub fn providers_of<'r>(&'r self, port: &'r Port) -> impl Iterator<Item = &'r Provider> {
        let number = port.number.as_bytes();
        let best = self.providers.iter().map(|provider| provider.covers(number)).max().unwrap_or(0);
        let sends = move |provider: &&Provider| {
            best > 0 && provider.covers(number) == best
                || port.extensions && provider.extensions_of(number).next().is_some()
        };
        self.providers.iter().filter(sends)
    }

    /// The senders a provider may send for: those with a port among its numbers.
    pub fn senders_of(&self, provider: &Provider) -> BTreeSet<&str> {
        let reaches = |port: &&Port| {
            let number = port.number.as_bytes();
            provider.covers(number) > 0 || port.extensions && provider.extensions_of(number).next().is_some()
        };
        self.ports.iter().filter(reaches).map(|port| port.sender.as_str()).collect()
    }

    /// What the register knows about a submission.
    pub fn identify<'r>(&'r self, provider: &'r Provider, submission: &Submission<'_>) -> Identity<'r> {
        let number = submission.source.addr.0;
        let port = self.port(number);
        let sender = match (port, &submission.content) {
            (Some(port), _) => self.sender(&port.sender),
            (None, Text::Readable(text)) => signatures(text).label.and_then(|label| self.signatory(label.name)),
            (None, Text::Opaque(_)) => None,
        };
        let ownership = match port {
            None => Ownership::Unregistered,
            Some(_) if !self.assigned(provider, number) => Ownership::Foreign,
            Some(port) if !port.active => Ownership::Inactive,
            Some(_) => Ownership::Owned,
        };
        Identity { provider, port, sender, msisdn: Msisdn::from_address(&submission.destination), ownership }
    }

    /// A short name for exactly this content, for the records.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The files it was read from: its own, then those it names.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What works but is probably not meant.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Whether no other provider covers the number better.
    fn assigned(&self, provider: &Provider, number: &[u8]) -> bool {
        let covers = provider.covers(number);
        covers > 0 && self.providers.iter().all(|other| other.covers(number) <= covers)
    }
}

impl Provider {
    /// How many leading digits of the number its best prefix covers; 0 for none.
    pub fn covers(&self, number: &[u8]) -> usize {
        let matching = self.ports.iter().filter(|prefix| number.starts_with(prefix.as_bytes()));
        matching.map(String::len).max().unwrap_or(0)
    }

    /// Its prefixes that are longer than a number and begin with it.
    pub fn extensions_of<'p>(&'p self, number: &'p [u8]) -> impl Iterator<Item = &'p str> {
        let longer = move |prefix: &&String| prefix.len() > number.len() && prefix.as_bytes().starts_with(number);
        self.ports.iter().filter(longer).map(String::as_str)
    }
}

/// A short name for texts.
fn version_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut hasher = siphasher::sip::SipHasher13::new();
    texts.into_iter().for_each(|text| hasher.write(text.as_bytes()));
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(text: &str) -> Register {
        Register::parse(Path::new("r.toml"), text).unwrap_or_else(|faults| panic!("{}", faults[0]))
    }

    const SENDER: &str = "[[sender]]\nid = \"s\"\nname = \"S\"\ncredential = \"C\"\nsignatures = [\"S1\"]\n";

    #[test]
    fn the_longest_entry_has_the_number() {
        let port = |number: &str, more: &str| {
            format!("[[port]]\nnumber = \"{number}\"\nclass = \"service\"\nsender = \"s\"\n{more}\n")
        };
        let ports = [port("1069", ""), port("106901", "match = \"exact\""), port("10690", "")].concat();
        let register = register(&format!("[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\n{SENDER}{ports}"));
        let found = |number: &str| register.port(number.as_bytes()).map(|port| port.number.as_str());
        assert_eq!(found("1069"), Some("1069"));
        assert_eq!(found("10695"), Some("1069"));
        assert_eq!(found("106901"), Some("106901"));
        assert_eq!(found("1069012"), Some("10690"), "an exact entry has no extensions");
        assert_eq!(found("106"), None);
        assert_eq!(found(""), None);
        assert_eq!(found(&"1069".repeat(500)), Some("1069"));
    }

    #[test]
    fn a_provider_sends_for_the_senders_with_ports_among_its_numbers() {
        let register = register(
            &[
                "[[provider]]\nsystem_id = \"p\"\nports = [\"106901\", \"10650\"]\n",
                "[[provider]]\nsystem_id = \"q\"\nports = [\"106902\"]\n",
                SENDER,
                &SENDER.replace("\"s\"", "\"t\"").replace("S1", "T1").replace("\"C\"", "\"D\""),
                &SENDER.replace("\"s\"", "\"u\"").replace("S1", "U1").replace("\"C\"", "\"E\""),
                "[[port]]\nnumber = \"1069\"\nclass = \"commercial\"\nsender = \"s\"\n",
                "[[port]]\nnumber = \"1065001\"\nclass = \"service\"\nsender = \"t\"\n",
                "[[port]]\nnumber = \"1069022\"\nclass = \"commercial\"\nsender = \"u\"\n",
            ]
            .concat(),
        );
        let of = |id: &str| register.senders_of(register.provider(id).unwrap()).into_iter().collect::<Vec<_>>();
        assert_eq!(of("p"), ["s", "t"]);
        assert_eq!(of("q"), ["s", "u"]);
        let by = |number: &str| {
            let providers = register.providers_of(register.port(number.as_bytes()).unwrap());
            providers.map(|provider| provider.system_id.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((by("1069"), by("1065001"), by("1069022")), (vec!["p", "q"], vec!["p"], vec!["q"]));
    }

    #[test]
    fn a_version_names_the_content() {
        let text = "[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\n";
        assert_eq!(register(text).version(), register(text).version());
        assert_ne!(register(text).version(), register(&format!("{text}# changed\n")).version());
    }

    #[test]
    fn what_works_but_is_hardly_meant_is_a_warning() {
        let register = register(&format!(
            "[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\nmode = \"off\"\n{SENDER}[[port]]\nnumber = \"1065\"\nclass = \"public\"\nsender = \"s\"\n"
        ));
        let keys: Vec<&str> = register.warnings().iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(keys, ["provider[0].mode", "port[0].number", "port[0].sender"]);
    }
}
