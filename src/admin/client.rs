//! The command line's way to the store: through a running gate's socket, or straight to the files.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use super::api::{Books, Line, Request};
use super::{Asker, socket_path};
use crate::clock;
use crate::config::Config;
use crate::gate::measures::Measures;
use crate::gate::readings::Reading;
use crate::gate::retention::Retention;
use crate::gate::{self, Moment};
use crate::store::{Consents, Journal, Keys, StoreError};

/// One process owns the store: whoever does answers.
pub enum Access {
    /// A gate is running.
    Gate(BufReader<UnixStream>),
    /// None is.
    Store {
        /// Consents and refusals.
        consents: Box<Consents>,
        /// The send records.
        journal: Journal,
        /// The measures in force.
        measures: Box<Measures>,
        /// What both are sealed with.
        keys: Keys,
        /// What expires, and what is held.
        retention: Box<Retention>,
        /// Who this is.
        asker: Asker,
    },
}

/// Why the store could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The conversation with the running gate broke.
    #[error("the running gate's socket: {0}")]
    Socket(#[from] io::Error),
    /// The answer was an error.
    #[error("{0}")]
    Answer(String),
    /// The gate speaks otherwise: another version, as a rule.
    #[error("the running gate's answer is not understood: {0}")]
    Speech(#[from] serde_json::Error),
    /// Asked of a gate, and none is running.
    #[error("no gate is running with data directory {0}")]
    NotRunning(String),
}

impl Access {
    /// Through the running gate, or straight to the files where none runs.
    pub fn open(config: &Config) -> Result<Self, AccessError> {
        match Self::gate(config) {
            Err(AccessError::NotRunning(_)) => {
                let keys = gate::open_keys(config)?;
                let consents = Box::new(gate::open_consents(&config.data, &keys)?);
                let journal = gate::open_journal(config, &keys)?;
                let measures = Box::new(gate::open_measures(config, &journal, clock::wall())?);
                let now = Moment { wall: clock::wall(), monotonic: clock::monotonic() };
                let retention = Box::new(Retention::open(config, &keys, now)?);
                Ok(Self::Store { consents, journal, measures, keys, retention, asker: Asker::own() })
            }
            other => other,
        }
    }

    /// Through the running gate only.
    pub fn gate(config: &Config) -> Result<Self, AccessError> {
        match UnixStream::connect(socket_path(&config.data)) {
            Ok(stream) => Ok(Self::Gate(BufReader::new(stream))),
            Err(error) => Err(match error.kind() {
                // Where the path is too long for a socket no gate can be running.
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::InvalidInput => {
                    AccessError::NotRunning(config.data.display().to_string())
                }
                _ => error.into(),
            }),
        }
    }

    /// Says what is about to be read, and waits until that is on record; why it is not, where it goes on all the same.
    pub fn begin(&mut self, reading: Reading) -> Result<Option<String>, AccessError> {
        let mut unrecorded = None;
        self.ask(&Request::Reading(reading), |line| {
            if let Line::Unrecorded(why) = line {
                unrecorded = Some(why);
            }
            true
        })?;
        Ok(unrecorded)
    }

    /// Says how many results that gave.
    pub fn end(&mut self, results: u64) -> Result<(), AccessError> {
        self.ask(&Request::Read(results), |_| true)
    }

    /// Asks a question that may be the last: when `take` answers false, the rest is not waited for, and nothing more
    /// can be asked; the gate stops searching when this is dropped.
    pub fn ask_last(&mut self, request: &Request, mut take: impl FnMut(Line) -> bool) -> Result<(), AccessError> {
        match self {
            Self::Gate(stream) => ask_gate(stream, request, &mut take, true),
            Self::Store { .. } => self.ask(request, take),
        }
    }

    /// Asks, and hands over each line of the answer; `false` stops.
    pub fn ask(&mut self, request: &Request, mut take: impl FnMut(Line) -> bool) -> Result<(), AccessError> {
        match self {
            Self::Gate(stream) => ask_gate(stream, request, &mut take, false),
            Self::Store { consents, journal, measures, keys, retention, asker } => {
                let mut failed = None;
                let now = clock::wall();
                let books = Books { consents, journal, measures, keys, retention, register: None, asker, now };
                books.answer(request, &mut |line| match line {
                    Line::Error(error) => {
                        failed = Some(error);
                        false
                    }
                    Line::End => false,
                    line => take(line),
                });
                failed.map_or(Ok(()), |error| Err(AccessError::Answer(error)))
            }
        }
    }
}

fn ask_gate(
    stream: &mut BufReader<UnixStream>,
    request: &Request,
    take: &mut dyn FnMut(Line) -> bool,
    is_last: bool,
) -> Result<(), AccessError> {
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    stream.get_mut().write_all(text.as_bytes())?;
    let mut wanted = true;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_str(&line)? {
            Line::End => return Ok(()),
            Line::Error(error) => return Err(AccessError::Answer(error)),
            // The rest is read past, so that the next question finds its own answer.
            line => wanted = wanted && take(line),
        }
        if is_last && !wanted {
            return Ok(());
        }
    }
}
