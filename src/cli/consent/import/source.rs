//! The rows of a file, one by one, with the place where each began.
//!
//! Owns the reading of CSV and of JSON lines, and the bound on what one row may take. Refuses to read
//! on where a row cannot end. Driven by the import.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek};
use std::path::Path;

use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::rows::reading::Reading;
use super::super::rows::{Columns, json_field, json_row};
use super::hashing::Hashing;
use super::resume::Mark;
use crate::cli::Failure;
use crate::store::consents::Held;

/// Octets read for one row at most: one that never ends, for want of a closing quote as a rule, must not fill
/// the memory.
const ROW_OCTETS: usize = 1024 * 1024;

/// What a file gives.
pub(super) enum Next {
    Good(Held),
    Faulty { line: u64, why: String, row: String },
    End,
}

pub(super) struct Source<'a> {
    rows: Rows,
    reading: Reading<'a>,
    /// Where the rows begin that this reads: octet and lines before.
    base: (u64, u64),
    /// Of everything up to where it has come.
    sum: Hashing,
    pub(super) progress: ProgressBar,
}

enum Rows {
    Csv { reader: Box<csv::Reader<Bounded>>, columns: Box<Columns>, row: ByteRecord },
    Json { reader: BufReader<Bounded>, line: Vec<u8>, at: (u64, u64) },
}

impl<'a> Source<'a> {
    /// Opens a file, or stdin for `-`, from where an earlier import came to.
    pub(super) fn open(path: &Path, json: bool, reading: Reading<'a>, mark: &Mark) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
        if path.as_os_str() == "-" {
            let sum = Hashing::new();
            return Self::of(Box::new(sum.reading(io::stdin())), None, json, reading, (None, sum), (0, 0));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        if mark.offset == 0 {
            let sum = Hashing::new();
            return Self::of(Box::new(sum.reading(file)), size, json, reading, (None, sum), (0, 0));
        }
        let header = if json { None } else { Some(header(&file, &reading)?) };
        file.rewind().map_err(unreadable)?;
        let sum = Hashing::new();
        sum.skip(&file, mark.offset).map_err(unreadable)?;
        file.seek(io::SeekFrom::Start(mark.offset)).map_err(unreadable)?;
        Self::of(Box::new(sum.reading(file)), size, json, reading, (header, sum), (mark.offset, mark.line - 1))
    }

    /// A single row of these columns.
    pub(super) fn one(fields: &[(&str, &str)], reading: Reading<'a>) -> Self {
        let object: serde_json::Map<_, _> =
            fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
        let line = serde_json::Value::Object(object).to_string();
        let sum = Hashing::new();
        let input = sum.reading(io::Cursor::new(line.into_bytes()));
        let reader = BufReader::new(Bounded::new(Box::new(input)));
        let rows = Rows::Json { reader, line: Vec::new(), at: (0, 0) };
        Self { rows, reading, base: (0, 0), sum, progress: ProgressBar::hidden() }
    }

    fn of(
        input: Box<dyn Read>,
        size: Option<u64>,
        json: bool,
        reading: Reading<'a>,
        (header, sum): (Option<Columns>, Hashing),
        base: (u64, u64),
    ) -> Result<Self, Failure> {
        let progress = progress(size);
        progress.inc(base.0);
        let input = Bounded::new(Box::new(progress.wrap_read(input)));
        let rows = if json {
            Rows::Json { reader: BufReader::with_capacity(1 << 16, input), line: Vec::new(), at: (0, 0) }
        } else {
            let mut builder = csv::ReaderBuilder::new();
            builder.flexible(true).buffer_capacity(1 << 16).has_headers(header.is_none());
            let mut reader = builder.from_reader(input);
            let columns = match header {
                Some(columns) => columns,
                None => columns(&mut reader, &reading)?,
            };
            Rows::Csv { reader: Box::new(reader), columns: Box::new(columns), row: ByteRecord::new() }
        };
        Ok(Self { rows, reading, base, sum, progress })
    }

    /// The SHA-256 of the file, once it is read to its end.
    pub(super) fn sha256(&self) -> String {
        self.sum.hex()
    }

    /// Where the next row begins, and on which line.
    pub(super) fn position(&self) -> (u64, u64) {
        let (octets, lines) = match &self.rows {
            Rows::Csv { reader, .. } => (reader.position().byte(), reader.position().line()),
            Rows::Json { at: (octets, lines), .. } => (*octets, lines + 1),
        };
        (self.base.0 + octets, self.base.1 + lines)
    }

    pub(super) fn next(&mut self) -> Result<Next, Failure> {
        let (_, begun) = self.position();
        let endless = |error: io::Error| Failure::Usage(format!("line {begun}: {error}; nothing after it was read"));
        match &mut self.rows {
            Rows::Csv { reader, columns, row } => {
                reader.get_ref().left.set(ROW_OCTETS);
                if !reader.read_byte_record(row).map_err(io::Error::from).map_err(endless)? {
                    return Ok(Next::End);
                }
                let line = self.base.1 + row.position().map_or(0, csv::Position::line);
                match self.reading.read(|column| columns.field(row, column)) {
                    Ok(held) => Ok(Next::Good(held)),
                    Err(why) => Ok(Next::Faulty { line, why, row: text_of(row) }),
                }
            }
            Rows::Json { reader, line, at } => loop {
                line.clear();
                reader.get_ref().left.set(ROW_OCTETS);
                let read = reader.read_until(b'\n', line).map_err(endless)?;
                if read == 0 {
                    return Ok(Next::End);
                }
                *at = (at.0 + read as u64, at.1 + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let read = json_row(line).and_then(|row| self.reading.read(|column| json_field(&row, column)));
                return Ok(match read {
                    Ok(held) => Next::Good(held),
                    Err(why) => {
                        let row = String::from_utf8_lossy(line.trim_ascii()).into_owned();
                        Next::Faulty { line: self.base.1 + at.1, why, row }
                    }
                });
            },
        }
    }
}

/// The columns of a file whose rows are read from further on.
fn header(file: &File, reading: &Reading<'_>) -> Result<Columns, Failure> {
    let again = file.try_clone()?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(Bounded::new(Box::new(again)));
    columns(&mut reader, reading)
}

fn columns(reader: &mut csv::Reader<Bounded>, reading: &Reading<'_>) -> Result<Columns, Failure> {
    let header = reader.byte_headers().map_err(io::Error::from)?;
    Columns::of(header, reading.required()).map_err(Failure::Usage)
}

/// A row as a file of errors shows it.
fn text_of(row: &ByteRecord) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let written = writer.write_byte_record(row).ok().and_then(|()| writer.into_inner().ok());
    String::from_utf8_lossy(written.as_deref().unwrap_or_default()).trim_end().to_owned()
}

/// A file that gives so many octets for each row and then an error.
struct Bounded {
    input: Box<dyn Read>,
    left: Cell<usize>,
}

impl Bounded {
    fn new(input: Box<dyn Read>) -> Self {
        Self { input, left: Cell::new(ROW_OCTETS) }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let left = self.left.get().checked_sub(read);
        self.left.set(left.ok_or_else(|| {
            let endless = format!("the row has more than {ROW_OCTETS} octets (is a quote not closed?)");
            io::Error::new(io::ErrorKind::InvalidData, endless)
        })?);
        Ok(read)
    }
}

fn progress(size: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr_with_hz(4));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}") {
        bar.set_style(style);
    }
    bar
}
