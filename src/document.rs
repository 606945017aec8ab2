//! Reading a TOML file key by key, so that one run names every fault in it.
//!
//! Owns the way a setting is looked up, checked and complained about: file, line, key, a
//! sentence, and the key that was probably meant. Refuses to know any setting. Driven by
//! `config`, `register` and the profiles of `rules`.

mod section;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

pub use section::Section;
pub(crate) use section::unknown_word;

/// Something in a file that is wrong, or (among warnings) worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1; none where the fault is the file itself.
    pub line: Option<usize>,
    /// The key, with its tables: `port[3].class`; empty where the fault is no key's.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Fault {
    /// A fault of the file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, key: String::new(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

impl std::error::Error for Fault {}

/// The faults and warnings of one file, gathered while it is read.
#[derive(Debug)]
pub struct Complaints<'d> {
    file: &'d Path,
    text: &'d str,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl<'d> Complaints<'d> {
    /// Nothing to complain about yet.
    pub fn new(file: &'d Path, text: &'d str) -> Self {
        Self { file, text, faults: RefCell::default(), warnings: RefCell::default() }
    }

    /// Notes a fault at a byte offset of the text.
    pub fn fault(&self, at: Option<usize>, key: impl Into<String>, message: impl Into<String>) {
        self.faults.borrow_mut().push(self.describe(at, key.into(), message.into()));
    }

    /// Notes something that works but is probably not meant.
    pub fn warn(&self, at: Option<usize>, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.describe(at, key.into(), message.into()));
    }

    /// Takes over the faults of another file.
    pub fn adopt(&self, faults: Vec<Fault>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// All of it, in the order of the lines: faults, then warnings.
    pub fn into_parts(self) -> (Vec<Fault>, Vec<Fault>) {
        let (mut faults, mut warnings) = (self.faults.into_inner(), self.warnings.into_inner());
        faults.sort_by_key(|fault| fault.line);
        warnings.sort_by_key(|fault| fault.line);
        (faults, warnings)
    }

    fn describe(&self, at: Option<usize>, key: String, message: String) -> Fault {
        let line = at.map(|at| 1 + self.text.bytes().take(at).filter(|&octet| octet == b'\n').count());
        Fault { file: self.file.to_owned(), line, key, message }
    }
}

/// Parses a text as TOML; syntax errors go to the complaints, what could be read is kept.
pub fn parse<'d>(text: &'d str, complaints: &Complaints<'d>) -> DeTable<'d> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        complaints.fault(error.span().map(|span| span.start), "", format!("not TOML: {}", error.message()));
    }
    table.into_inner()
}

/// The known word nearest to a misspelt one, if any is near.
pub fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let limit = 1 + word.chars().count() / 3;
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How a value's type is called in a complaint.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Edit distance (insert, delete, replace), ignoring case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_recognised() {
        assert_eq!(did_you_mean("comercial", ["commercial", "service"]), Some("commercial"));
        assert_eq!(did_you_mean("Servce", ["commercial", "service"]), Some("service"));
        assert_eq!(did_you_mean("xyzzy", ["commercial", "service"]), None);
    }

    #[test]
    fn every_syntax_error_is_named_with_its_line() {
        let text = "a = 1\nb = \nc = 2\nd d\n";
        let complaints = Complaints::new(Path::new("x.toml"), text);
        let table = parse(text, &complaints);
        let lines: Vec<_> = complaints.into_parts().0.into_iter().map(|fault| fault.line).collect();
        assert!(lines.contains(&Some(2)) && lines.contains(&Some(4)), "{lines:?}");
        assert!(table.iter().any(|(key, _)| key.get_ref() == "c"));
    }

    #[test]
    fn a_fault_prints_file_line_and_key() {
        let complaints = Complaints::new(Path::new("f.toml"), "a = 1\nb = 2\n");
        complaints.fault(Some(6), "b", "must not be 2");
        assert_eq!(complaints.into_parts().0[0].to_string(), "f.toml:2: b: must not be 2");
    }
}
