//! From register.toml to checked values, with every fault in it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use super::{
    ClassTlv, LONGEST_PORT, LongMode, Port, Provider, QuietHours, Rate, Register, Secret, Sender, WindowOverflow,
};
use super::{templates, version_of};
use portcullis_protocol::text::{Alphabet, TextSettings};
use portcullis_protocol::tlv::TlvTag;

use crate::document::{self, Complaints, Fault, Section, did_you_mean};
use crate::rules::profile::{read_class_modes, read_modes};
use crate::rules::{Class, Codes, Mode, Modes};
use crate::tls::CertificateName;

/// How the consents name all senders of a provider: this, then its account.
pub(crate) const ALL_SENDERS_OF: &str = "provider:";

/// How many binds a provider may have where nothing is said.
const MAX_BINDS: usize = 10;

pub(super) fn register(path: &Path, text: &str) -> Result<Register, Vec<Fault>> {
    let complaints = Complaints::new(path, text);
    let table = document::parse(text, &complaints);
    let top = Section::top(&table, &complaints);
    let mut register = Register {
        providers: Vec::new(),
        senders: Vec::new(),
        ports: Vec::new(),
        by_system_id: HashMap::new(),
        by_sender_id: HashMap::new(),
        by_signature: HashMap::new(),
        by_number: HashMap::new(),
        lengths: 0,
        version: version_of([text]),
        warnings: Vec::new(),
        files: vec![path.to_owned()],
    };
    for section in top.sections("provider") {
        add_provider(&mut register, &section);
        section.finish();
    }
    for section in top.sections("sender") {
        add_sender(&mut register, &section);
        section.finish();
    }
    for section in top.sections("port") {
        add_port(&mut register, &section);
        section.finish();
    }
    templates::read(&mut register, path, &top);
    check_references(&register, &top);
    if register.providers.is_empty() && !top.contains("provider") {
        top.fault("provider", "no [[provider]] is registered, so nobody may bind");
    }
    top.finish();
    let (faults, warnings) = complaints.into_parts();
    register.warnings.splice(..0, warnings);
    if faults.is_empty() { Ok(register) } else { Err(faults) }
}

fn add_provider(register: &mut Register, section: &Section<'_, '_>) {
    let system_id = section.required("system_id").to_owned();
    if system_id.len() > 15 {
        section.fault("system_id", "has more than the 15 octets that a bind can carry");
    }
    let password = section.string("password").map(str::to_owned);
    if password.as_ref().is_some_and(|password| password.len() > 8) {
        section.warn("password", "has more than the 8 octets of the specification; some peers cut it");
    }
    let (mut rules, mut class_rules) = (Modes::default(), [Modes::default(); Class::ALL.len()]);
    if let Some(table) = section.section("rules") {
        read_modes(&table, &mut rules, None);
        read_class_modes(&table, &mut class_rules);
        table.finish();
    }
    let mode = section.word("mode", &Mode::WORDS).unwrap_or(Mode::Enforce);
    if mode == Mode::Off {
        section.warn("mode", "no rule is applied to this provider at all; \"observe\" would at least record");
    }
    let whole = |key, most| section.integer(key, 1..=most).and_then(|number| usize::try_from(number).ok());
    let provider = Provider {
        password: password.map(Secret::new),
        certificate: section.parsed("certificate", "a SHA-256 fingerprint or a name", CertificateName::parse),
        allow: networks(section, "allow"),
        max_binds: whole("max_binds", 10_000).unwrap_or(MAX_BINDS),
        window: whole("window", 100_000),
        window_overflow: section.word("window_overflow", &WindowOverflow::WORDS),
        rate: rate(section),
        ports: prefixes(section),
        mode,
        rules,
        class_rules,
        codes: section.word("codes", &Codes::WORDS).unwrap_or_default(),
        explain: section.boolean("explain").unwrap_or(false),
        text: text_settings(section),
        long_messages: section.word("long_messages", &LongMode::WORDS),
        quiet_hours: section.word("quiet_hours", &QuietHours::WORDS).unwrap_or_default(),
        distribution_lists: section.boolean("distribution_lists").unwrap_or(false),
        broadcasts: section.boolean("broadcasts").unwrap_or(false),
        service_types: service_types(section),
        class_tlv: class_tlv(section),
        carrier_system_id: section.string("carrier_system_id").map(str::to_owned),
        carrier_password: section.string("carrier_password").map(|text| Secret::new(text.to_owned())),
        carrier_addresses: section.endpoints("carrier_addresses"),
        system_id,
    };
    let index = register.providers.len();
    if register.by_system_id.insert(provider.system_id.clone(), index).is_some() && !provider.system_id.is_empty() {
        section.fault("system_id", format!("provider {:?} is registered twice", provider.system_id));
    }
    register.providers.push(provider);
}

/// Networks like `10.0.0.0/8`, or single addresses.
pub(crate) fn networks(section: &Section<'_, '_>, key: &str) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in section.strings(key).unwrap_or_default() {
        match text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => networks.push(network),
            Err(_) => section.fault(key, format!("{text:?} is neither an address nor a network like 10.0.0.0/8")),
        }
    }
    networks
}

/// A burst of one second where nothing is said.
fn rate(section: &Section<'_, '_>) -> Option<Rate> {
    let whole = |key| section.integer(key, 1..=1_000_000).and_then(|number| u32::try_from(number).ok());
    let (rate, burst) = (whole("rate"), whole("burst"));
    if burst.is_some() && !section.contains("rate") {
        section.fault("burst", "means nothing without a rate");
    }
    rate.map(|messages_per_second| Rate { messages_per_second, burst: burst.unwrap_or(messages_per_second) })
}

fn prefixes(section: &Section<'_, '_>) -> Vec<String> {
    let prefixes = section.strings("ports");
    if prefixes.is_none() && !section.contains("ports") {
        section.fault("ports", "is missing: the prefixes of the numbers it may send from");
    }
    let prefixes = prefixes.unwrap_or_default();
    for prefix in &prefixes {
        check_number(section, "ports", prefix);
    }
    prefixes.into_iter().map(str::to_owned).collect()
}

fn text_settings(section: &Section<'_, '_>) -> TextSettings {
    let default = TextSettings::default();
    let expected = "an alphabet: gsm7, ia5, latin1, iso-8859-5, iso-8859-8, utf-16, utf-8 or gb18030";
    TextSettings {
        default_alphabet: section
            .parsed("default_alphabet", expected, Alphabet::from_name)
            .unwrap_or(default.default_alphabet),
        packed_gsm7: section.boolean("packed_gsm7").unwrap_or(default.packed_gsm7),
        gb18030_for_15: section.boolean("gb18030_for_15").unwrap_or(default.gb18030_for_15),
    }
}

fn service_types(section: &Section<'_, '_>) -> HashMap<String, Class> {
    let Some(table) = section.section("service_types") else { return HashMap::new() };
    let mut declared = HashMap::new();
    for key in table.keys() {
        if let Some(class) = table.word(key, &Class::WORDS) {
            declared.insert(key.to_owned(), class);
        }
    }
    table.finish();
    declared
}

/// A value is text, or octets as `0x0102`.
fn class_tlv(section: &Section<'_, '_>) -> Option<ClassTlv> {
    let table = section.section("class_tlv")?;
    let hex = |text: &str| text.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let tag = table.parsed("tag", "the tag of a parameter, like \"0x1400\"", hex);
    if tag.is_none() && !table.contains("tag") {
        table.fault("tag", "is missing: the parameter's tag, like \"0x1400\"");
    }
    let mut values = Vec::new();
    if let Some(words) = table.section("values") {
        for key in words.keys() {
            let value = match key.strip_prefix("0x") {
                Some(digits) => octets(digits),
                None => Some(key.as_bytes().to_vec()),
            };
            match (value.filter(|value| !value.is_empty()), words.word(key, &Class::WORDS)) {
                (Some(value), Some(class)) => values.push((value, class)),
                (None, _) => words.fault(key, "is neither a text nor octets like 0x01"),
                (Some(_), None) => {}
            }
        }
        words.finish();
    }
    if values.is_empty() {
        table.fault("values", "names no value and its class, as in { promo = \"commercial\", 0x02 = \"service\" }");
    }
    table.finish();
    tag.map(|tag| ClassTlv { tag: TlvTag(tag), values })
}

fn octets(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

fn add_sender(register: &mut Register, section: &Section<'_, '_>) {
    let texts = |key| section.strings(key).unwrap_or_default().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let sender = Sender {
        id: section.required("id").to_owned(),
        former_ids: texts("former_ids"),
        name: section.required("name").to_owned(),
        credential: section.required("credential").to_owned(),
        government: section.boolean("government").unwrap_or(false),
        signatures: texts("signatures"),
        phones: phones(section),
        links: texts("links"),
        active: section.boolean("active").unwrap_or(true),
        filed_until: section.parsed("filed_until", "a date like \"2027-06-30\"", |text| text.parse().ok()),
        providers: texts("providers"),
        templates: None,
    };
    let index = register.senders.len();
    name_sender(register, section, &sender, index);
    let twin = register.senders.iter().find(|other| entity(other) == entity(&sender));
    if let Some(twin) = twin.filter(|_| !sender.credential.is_empty()) {
        section.fault(
            "credential",
            format!(
                "is that of sender {:?} too; a legal entity is one sender, with all its signatures, and a second id \
                 goes into its former_ids, so that what was said to that one still holds",
                twin.id
            ),
        );
    }
    if sender.signatures.is_empty() {
        section.warn("signatures", "none: no message of this sender can carry its name (R05)");
    }
    for signature in &sender.signatures {
        add_signature(register, section, signature, index);
    }
    register.senders.push(sender);
}

/// A legal entity by its credential, however that is spelled.
fn entity(sender: &Sender) -> String {
    let spoken = sender.credential.chars().filter(|c| !c.is_whitespace() && *c != '-');
    spoken.flat_map(char::to_uppercase).collect()
}

/// Every id names one sender, those it had before as well as its own.
fn name_sender(register: &mut Register, section: &Section<'_, '_>, sender: &Sender, index: usize) {
    let own = std::iter::once(("id", &sender.id));
    for (key, id) in own.chain(sender.former_ids.iter().map(|id| ("former_ids", id))) {
        if id.starts_with(ALL_SENDERS_OF) {
            section.fault(key, format!("{id:?}: {ALL_SENDERS_OF}… names all senders of a provider"));
        }
        if key == "former_ids" && id.is_empty() {
            section.fault(key, "an id must not be empty");
        }
        if register.by_sender_id.insert(id.clone(), index).is_some() && !id.is_empty() {
            section.fault(key, format!("sender {id:?} is registered twice"));
        }
    }
}

fn add_signature(register: &mut Register, section: &Section<'_, '_>, signature: &str, index: usize) {
    if signature.trim() != signature || signature.is_empty() || signature.contains(['【', '】', '[', ']']) {
        section
            .fault("signatures", format!("{signature:?}: write the bare name, without brackets or blanks around it"));
    }
    match register.by_signature.insert(signature.to_owned(), index) {
        Some(other) if other != index => {
            let other = register.senders.get(other).map_or("", |sender| sender.id.as_str());
            section.fault("signatures", format!("{signature:?} is registered for sender {other:?} already"));
        }
        Some(_) => section.warn("signatures", format!("{signature:?} stands twice")),
        None => {}
    }
}

fn phones(section: &Section<'_, '_>) -> Vec<String> {
    let mut phones = Vec::new();
    for text in section.strings("phones").unwrap_or_default() {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.len() < 3 || text.chars().any(|c| !c.is_ascii_digit() && !" -+()转".contains(c)) {
            section.fault("phones", format!("{text:?} is no telephone number"));
        }
        phones.push(digits);
    }
    phones
}

fn add_port(register: &mut Register, section: &Section<'_, '_>) {
    let number = section.required("number").to_owned();
    if !number.is_empty() {
        check_number(section, "number", &number);
    }
    let class = section.word("class", &Class::WORDS);
    if !section.contains("class") {
        section.fault("class", "is missing: commercial, service, public or personal");
    }
    let sender = section.required("sender");
    let words = [("prefix", true), ("exact", false)];
    let port = Port {
        class: class.unwrap_or(Class::Commercial),
        sender: sender.to_owned(),
        signature: section.string("signature").map(str::to_owned),
        extensions: section.word("match", &words).unwrap_or(true),
        active: section.boolean("active").unwrap_or(true),
        category: section.string("category").map(str::to_owned),
        opt_out: section.strings("opt_out").map(|words| words.into_iter().map(str::to_uppercase).collect()),
        replies: section.boolean("replies").unwrap_or(true),
        number,
    };
    check_port(register, section, &port);
    let index = register.ports.len();
    let octets = port.number.as_bytes();
    if register.by_number.insert(octets.into(), index).is_some() && !octets.is_empty() {
        section.fault("number", format!("port {} is registered twice", port.number));
    }
    register.lengths |= 1 << octets.len().min(LONGEST_PORT);
    register.ports.push(port);
}

fn check_port(register: &Register, section: &Section<'_, '_>, port: &Port) {
    match register.sender(&port.sender) {
        Some(sender) if port.class == Class::Public && !sender.government => {
            section
                .warn("sender", format!("{:?} is no government body, so R14 exempts nothing on this port", sender.id));
        }
        Some(sender) if port.signature.as_ref().is_some_and(|own| !sender.signatures.contains(own)) => {
            section.fault("signature", format!("is not among the signatures of sender {:?}", sender.id));
        }
        Some(_) => {}
        None if port.sender.is_empty() => {}
        None => {
            let near = did_you_mean(&port.sender, register.senders.iter().map(|sender| sender.id.as_str()));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            section.fault("sender", format!("no sender has the id {:?}{hint}", port.sender));
        }
    }
    let covered = register.providers.iter().any(|provider| provider.covers(port.number.as_bytes()) > 0);
    if !covered && !port.number.is_empty() {
        section.warn("number", format!("{} lies within no provider's ports, so nobody can use it", port.number));
    }
}

/// A number of the right form: digits, or (an alphanumeric source) letters, digits and a little punctuation.
fn check_number(section: &Section<'_, '_>, key: &str, number: &str) {
    let digits = number.bytes().all(|octet| octet.is_ascii_digit());
    let longest = if digits { LONGEST_PORT } else { 11 };
    if number.is_empty() || number.len() > longest {
        section.fault(key, format!("{number:?} must have 1 to {longest} characters"));
    } else if !digits && !number.bytes().all(|octet| octet.is_ascii_alphanumeric() || b" -_.&".contains(&octet)) {
        section.fault(key, format!("{number:?} is neither a number nor an alphanumeric source"));
    }
}

/// References that look forward or sideways, once everything is read.
fn check_references(register: &Register, top: &Section<'_, '_>) {
    for (section, sender) in top.sections("sender").iter().zip(&register.senders) {
        for provider in sender.providers.iter().filter(|provider| register.provider(provider).is_none()) {
            let near = did_you_mean(provider, register.providers.iter().map(|provider| provider.system_id.as_str()));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            section.fault("providers", format!("no provider has the system_id {provider:?}{hint}"));
        }
    }
}
