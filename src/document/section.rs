//! One table of a document, its keys asked for one by one.
//!
//! Owns the checks of type and presence, and the complaint about keys that nobody asked for.

use std::cell::RefCell;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Complaints, did_you_mean, type_name};

/// A table under reading. A key that is never asked for is unknown when [`Section::finish`] comes.
#[derive(Debug)]
pub struct Section<'d, 's> {
    table: &'s DeTable<'d>,
    complaints: &'s Complaints<'d>,
    path: String,
    at: usize,
    asked: RefCell<Vec<String>>,
}

impl<'d, 's> Section<'d, 's> {
    /// The document's top.
    pub fn top(table: &'s DeTable<'d>, complaints: &'s Complaints<'d>) -> Self {
        Self { table, complaints, path: String::new(), at: 0, asked: RefCell::default() }
    }

    /// A string.
    pub fn string(&self, key: &str) -> Option<&'s str> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            other => self.mistyped(key, "a string", other),
        }
    }

    /// A string that must be there and not be empty; the empty string stands in after a complaint.
    pub fn required(&self, key: &str) -> &'s str {
        match (self.string(key), self.contains(key)) {
            (Some(""), _) => self.fault(key, "must not be empty"),
            (Some(text), _) => return text,
            (None, false) => self.fault(key, "is missing"),
            (None, true) => {}
        }
        ""
    }

    /// A truth value.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            other => self.mistyped(key, "true or false", other),
        }
    }

    /// A whole number within bounds.
    pub fn integer(&self, key: &str, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.mistyped(key, "a whole number", value.get_ref());
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none_or(|number| !bounds.contains(&number)) {
            self.fault(key, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
            return None;
        }
        number
    }

    /// A length of time: `"10s"`, `"100ms"`, `"5m"`.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        let text = self.string(key)?;
        let duration = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        if duration.is_none() {
            self.fault(key, format!("{text:?} is no length of time; write \"10s\", \"100ms\" or \"5m\""));
        }
        duration
    }

    /// A list of strings.
    pub fn strings(&self, key: &str) -> Option<Vec<&'s str>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.mistyped(key, "a list of strings", value.get_ref());
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(text.as_ref()),
                other => {
                    self.complain(item.span().start, key, format!("expected a string, found {}", type_name(other)))
                }
            }
        }
        Some(texts)
    }

    /// Places to connect to, as `host:port`.
    pub fn endpoints(&self, key: &str) -> Vec<String> {
        let endpoints = self.strings(key).unwrap_or_default();
        for text in &endpoints {
            let port =
                text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
            if port.is_none_or(|port: u16| port == 0) {
                self.fault(key, format!("{text:?} is not host:port"));
            }
        }
        endpoints.into_iter().map(str::to_owned).collect()
    }

    /// A string that one of these words must equal; a near miss is pointed out.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
        if found.is_none() {
            self.fault(key, unknown_word(text, words.iter().map(|&(word, _)| word)));
        }
        found
    }

    /// A string that a function understands, or a complaint that names what was expected.
    pub fn parsed<T>(&self, key: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.string(key)?;
        let parsed = parse(text);
        if parsed.is_none() {
            self.fault(key, format!("{text:?} is not {expected}"));
        }
        parsed
    }

    /// A table within this one.
    pub fn section(&self, key: &str) -> Option<Section<'d, 's>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(self.within(self.name(key), table, self.key_at(key).unwrap_or(value.span().start)))
            }
            other => self.mistyped(key, "a table", other),
        }
    }

    /// The tables of a `[[key]]` list.
    pub fn sections(&self, key: &str) -> Vec<Section<'d, 's>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.mistyped::<()>(key, "a list of tables, each under a [[heading]]", value.get_ref());
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(self.within(format!("{}[{index}]", self.name(key)), table, item.span().start));
                }
                other => self.complain(item.span().start, key, format!("expected a table, found {}", type_name(other))),
            }
        }
        sections
    }

    /// The keys that are there, asked for or not.
    pub fn keys(&self) -> impl Iterator<Item = &'s str> + use<'d, 's> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// All that the table sets, in one form whatever the order, the blanks and the comments; without these keys.
    pub fn settings(&self, without: &[&str]) -> String {
        let mut out = String::new();
        let keys = |name: &str| !without.contains(&name);
        write_table(self.table, keys, &mut out);
        out
    }

    /// Whether a key is there that is known, though not read.
    pub fn knows(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether the key holds a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, value)| value.get_ref().is_table())
    }

    /// Whether the key holds a string.
    pub fn is_string(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(_, value)| value.get_ref().is_str())
    }

    /// Complains about a key; where it is missing, at the table's head.
    pub fn fault(&self, key: &str, message: impl Into<String>) {
        self.complain(self.value_at(key), key, message);
    }

    /// Complains about this table as a whole.
    pub fn fault_here(&self, message: impl Into<String>) {
        self.complaints.fault(Some(self.at), self.path.clone(), message);
    }

    /// Points out something that works but is probably not meant.
    pub fn warn(&self, key: &str, message: impl Into<String>) {
        self.complaints.warn(Some(self.value_at(key)), self.name(key), message);
    }

    /// Complains about every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref().as_ref();
            if !asked.iter().any(|known| known == name) {
                let known = asked.iter().map(String::as_str);
                let hint =
                    did_you_mean(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                self.complain(key.span().start, name, format!("is not a known key{hint}"));
            }
        }
    }

    /// The complaints this table's go to.
    pub fn complaints(&self) -> &'s Complaints<'d> {
        self.complaints
    }

    /// Where in the text the key's value stands; the table's head where there is no such key.
    pub fn value_at(&self, key: &str) -> usize {
        self.find(key).map_or(self.at, |(_, value)| value.span().start)
    }

    /// The full name of a key.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn value(&self, key: &str) -> Option<&'s Spanned<DeValue<'d>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.iter().any(|known| known == key) {
            asked.push(key.to_owned());
        }
        self.find(key).map(|(_, value)| value)
    }

    fn find(&self, key: &str) -> Option<(usize, &'s Spanned<DeValue<'d>>)> {
        let (name, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span().start, value))
    }

    fn key_at(&self, key: &str) -> Option<usize> {
        self.find(key).map(|(at, _)| at)
    }

    fn within(&self, path: String, table: &'s DeTable<'d>, at: usize) -> Section<'d, 's> {
        Section { table, complaints: self.complaints, path, at, asked: RefCell::default() }
    }

    fn mistyped<T>(&self, key: &str, expected: &str, found: &DeValue<'_>) -> Option<T> {
        self.fault(key, format!("expected {expected}, found {}", type_name(found)));
        None
    }

    fn complain(&self, at: usize, key: &str, message: impl Into<String>) {
        self.complaints.fault(Some(at), self.name(key), message);
    }
}

fn write_table(table: &DeTable<'_>, keys: impl Fn(&str) -> bool, out: &mut String) {
    let mut entries: Vec<(&str, &DeValue<'_>)> =
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref())).collect();
    entries.sort_by_key(|(key, _)| *key);
    for (key, value) in entries.into_iter().filter(|(key, _)| keys(key)) {
        out.push_str(&format!("{key:?}="));
        write_value(value, out);
        out.push(';');
    }
}

fn write_value(value: &DeValue<'_>, out: &mut String) {
    match value {
        DeValue::String(text) => out.push_str(&format!("{text:?}")),
        DeValue::Integer(number) => out.push_str(&format!("{}/{}", number.as_str(), number.radix())),
        DeValue::Float(number) => out.push_str(number.as_str()),
        DeValue::Boolean(truth) => out.push_str(&truth.to_string()),
        DeValue::Datetime(time) => out.push_str(&time.to_string()),
        DeValue::Array(items) => {
            out.push('[');
            for item in items.iter() {
                write_value(item.get_ref(), out);
                out.push(',');
            }
            out.push(']');
        }
        DeValue::Table(table) => {
            out.push('{');
            write_table(table, |_| true, out);
            out.push('}');
        }
    }
}

/// The complaint about a word outside a list.
pub(crate) fn unknown_word<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> String {
    let all: Vec<&str> = words.collect();
    if let Some(near) = did_you_mean(text, all.iter().copied()) {
        return format!("{text:?} is not known; did you mean {near:?}?");
    }
    format!("{text:?} is not known; expected one of {}", all.join(", "))
}
