//! `portcullis consent import`: a CSV file into the store.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::tz::TimeZone;

use super::rows::Columns;
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::cli::{Failure, load};
use crate::register::Register;
use crate::store::Applied;
use crate::store::consents::Held;

/// Rows sent to a running gate at a time: each batch is durable before the next is read.
const BATCH: usize = 20_000;

/// Octets of their texts at a time, for rows with long evidence.
const BATCH_OCTETS: usize = 4 * 1024 * 1024;

/// Octets read for one row at most: one that never ends, for want of a closing quote as a rule, must not fill
/// the memory.
const ROW_OCTETS: usize = 1024 * 1024;

/// Faulty rows told one by one; the rest are counted.
const TOLD: u64 = 100;

#[derive(Args, Debug)]
#[command(after_help = "The file has a header line and these columns, in any order:
  msisdn,sender,category,status,at,method,evidence,expires_at

  msisdn      in any usual form: 13800138000, 86…, +86…, 0086…, E.164
  sender      an id of the register
  status      consent or refusal
  at          when it was said: 2026-11-23T10:15:00+08:00, or a day
  expires_at  until when a consent holds; empty for no end

Importing the same file again changes nothing. The exit code is 1 when rows were faulty.

Examples:
  portcullis consent import consents.csv --config portcullis.toml
  zcat consents.csv.gz | portcullis consent import - --config portcullis.toml")]
pub(super) struct ImportArgs {
    /// The CSV file; - for stdin
    file: PathBuf,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    match import(args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many rows were faulty.
fn import(args: &ImportArgs) -> Result<u64, Failure> {
    let config = load(&args.config)?;
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let mut access = Access::open(&config)?;
    let (input, size): (Box<dyn Read>, Option<u64>) = if args.file.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(&args.file)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", args.file.display())))?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        (Box::new(file), size)
    };
    let progress = progress(size);
    let input = Bounded { input: progress.wrap_read(input), left: Cell::new(ROW_OCTETS) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(1 << 16).from_reader(input);
    let columns = Columns::of(reader.byte_headers().map_err(io::Error::from)?).map_err(Failure::Usage)?;
    let rows = Rows {
        reader: &mut reader,
        columns,
        register: &register,
        zone: &config.time_zone,
        progress: &progress,
        faulty: 0,
        read: 0,
    };
    let (applied, read, faulty) = take_in(rows, &mut access)?;
    progress.finish_and_clear();
    println!(
        "{read} rows: {} changed, {} unchanged, {} superseded by what is held, {faulty} faulty",
        applied.changed, applied.unchanged, applied.stale
    );
    Ok(faulty)
}

fn take_in<R: Read>(mut rows: Rows<'_, R>, access: &mut Access) -> Result<(Applied, u64, u64), Failure> {
    let applied = match access {
        Access::Store { consents, .. } => {
            let mut import = consents.import();
            while let Some(row) = rows.next_good()? {
                import.push(&row.as_event())?;
            }
            import.finish()?
        }
        Access::Gate(_) => {
            let mut total = Applied::default();
            loop {
                let batch = rows.batch()?;
                if batch.is_empty() {
                    break total;
                }
                access.ask(&Request::Apply(batch), |line| {
                    if let Line::Applied { changed, unchanged, stale } = line {
                        total.changed += changed;
                        total.unchanged += unchanged;
                        total.stale += stale;
                    }
                    true
                })?;
            }
        }
    };
    Ok((applied, rows.read, rows.faulty))
}

/// A file that gives so many octets for each row and then an error.
struct Bounded<R> {
    input: R,
    left: Cell<usize>,
}

impl<R: Read> Read for Bounded<R> {
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

/// The good rows of a file; the faulty ones are told as they are met.
struct Rows<'f, R> {
    reader: &'f mut csv::Reader<Bounded<R>>,
    columns: Columns,
    register: &'f Register,
    zone: &'f TimeZone,
    progress: &'f ProgressBar,
    faulty: u64,
    read: u64,
}

impl<R: Read> Rows<'_, R> {
    fn next_good(&mut self) -> Result<Option<Held>, Failure> {
        let mut row = ByteRecord::new();
        loop {
            self.reader.get_ref().left.set(ROW_OCTETS);
            let line = self.reader.position().line();
            match self.reader.read_byte_record(&mut row) {
                Ok(false) => return Ok(None),
                Ok(true) => {}
                Err(error) => {
                    let error = io::Error::from(error);
                    return Err(Failure::Usage(format!("line {line}: {error}; nothing after it was read")));
                }
            }
            self.read += 1;
            match self.columns.read(&row, self.register, self.zone) {
                Ok(held) => return Ok(Some(held)),
                Err(fault) => self.tell(row.position().map_or(0, csv::Position::line), &fault),
            }
        }
    }

    fn batch(&mut self) -> Result<Vec<Held>, Failure> {
        let (mut batch, mut octets) = (Vec::with_capacity(BATCH), 0);
        while batch.len() < BATCH && octets < BATCH_OCTETS {
            let Some(row) = self.next_good()? else { break };
            octets += row.evidence.len() + row.method.len() + row.category.len();
            batch.push(row);
        }
        Ok(batch)
    }

    fn tell(&mut self, line: u64, fault: &str) {
        self.faulty += 1;
        if self.faulty <= TOLD {
            self.progress.suspend(|| eprintln!("line {line}: {fault}"));
        } else if self.faulty == TOLD + 1 {
            self.progress.suspend(|| eprintln!("more faulty rows are only counted"));
        }
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
