//! What a running gate tells and takes over its socket.
//!
//! Owns the unix socket in the data directory, readable by its user alone, and the requests
//! it answers: JSON lines, one request a line, any number of answer lines each. Refuses
//! anything that would change a verdict but consents and measures. Driven by `portcullis run`.

pub mod api;
mod asker;
pub mod backup;
pub mod client;
pub mod entries;
pub mod handover;
mod keeping;
mod record;
mod searching;
pub mod signing;
mod staging;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::clock;
use crate::gate::{Gate, Moment, Totals};
use crate::proxy::Handover;
use crate::store::Health;
use api::{Books, Line, Request, Status};
pub use asker::Asker;
use staging::Staging;

/// The longest request line: a batch of consents is far below it.
const LONGEST_LINE: u64 = 32 * 1024 * 1024;

/// Answer lines made before the reader has taken them.
const LINES_AHEAD: usize = 256;

/// How far such work stands back.
const NICE: i32 = 10;

/// The time over which rates are given.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Where the socket of a gate with this data directory is.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("portcullis.sock")
}

/// The listening socket and what is needed to answer.
pub struct Admin {
    listener: UnixListener,
    path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Arc<Gate>,
    started: jiff::Timestamp,
    /// The counters of one rate window ago, and of now.
    samples: Mutex<[Totals; 2]>,
    /// What a successor may have.
    handover: Option<Arc<Handover>>,
}

impl Admin {
    /// Takes the socket's place; one left behind by a gate that was killed is replaced. The
    /// store's lock, taken before, makes sure that no other gate answers there.
    /// With `handover`, a successor may ask for the listening sockets.
    pub fn bind(data: &Path, gate: Arc<Gate>, handover: Option<Arc<Handover>>) -> io::Result<Self> {
        let path = socket_path(data);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| unbound(&path, &error))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let shared = Shared { gate, started: clock::wall(), samples: Mutex::default(), handover };
        Ok(Self { listener, path, shared: Arc::new(shared) })
    }

    /// Answers until the gate drains.
    pub async fn serve(self, mut draining: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(converse(stream, Arc::clone(&self.shared)));
                    }
                }
                () = sleep(RATE_WINDOW) => self.shared.sample(),
                _ = draining.wait_for(|draining| *draining) => break,
            }
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the socket could not be removed");
        }
    }
}

fn unbound(path: &Path, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::InvalidInput => " (the system takes about 100 octets: give `data` a shorter path)",
        _ => "",
    };
    io::Error::new(error.kind(), format!("the socket {}: {error}{hint}", path.display()))
}

impl Shared {
    fn sample(&self) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.swap(0, 1);
        samples[1] = self.gate.counters.totals();
    }

    fn status(&self) -> Status {
        let [before, after] = self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let judged = |totals: &Totals| totals.forwarded + totals.rejected + totals.held;
        let progress = self.gate.journal.progress().borrow().clone();
        Status {
            started: self.started,
            now: clock::wall(),
            sessions: self.gate.sessions.list(),
            totals: self.gate.counters.totals(),
            messages_per_second: judged(&after).saturating_sub(judged(&before)) / RATE_WINDOW.as_secs(),
            profile: self.gate.profile.name.clone(),
            register: self.gate.register.load().version().to_owned(),
            journal: told(progress.health),
            consents: told(self.gate.consents.health()),
            parts: self.gate.held_parts(),
            durable: progress.durable,
            measures: self.gate.measures.list(clock::wall().as_millisecond()),
            steps: self.gate.measures.totals(),
            retention: self.gate.retention.status(),
            lost_routes: self.gate.lost_routes(clock::wall()),
        }
    }
}

fn told(health: Health) -> String {
    match health {
        Health::Up => "up".to_owned(),
        Health::Down { reason } => format!("down: {reason}"),
    }
}

async fn converse(stream: UnixStream, shared: Arc<Shared>) {
    let asker = match stream.peer_cred() {
        Ok(peer) => Arc::new(Asker::user(peer.uid())),
        Err(error) => return tracing::error!(%error, "a conversation with nobody knows whom is ended"),
    };
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let staging = Arc::new(Staging::default());
    loop {
        let mut line = String::new();
        match (&mut reading).take(LONGEST_LINE).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let (true, Some(handover)) = (is_take_over(&line), &shared.handover) {
            return hand_over(reading.into_inner(), writing, handover).await;
        }
        let mut answers = answers(line, Arc::clone(&shared), (Arc::clone(&asker), Arc::clone(&staging)));
        let mut is_over = false;
        while let Some(answer) = answers.recv().await {
            is_over = matches!(answer, Line::End | Line::Error(_));
            if !write(&mut writing, &answer).await {
                return;
            }
        }
        // Whoever asked would wait for ever.
        let broken = || Line::Error("the gate could not finish this request: its log says why".to_owned());
        if !is_over && !write(&mut writing, &broken()).await {
            return;
        }
    }
}

/// Whether there is still somebody to read it.
async fn write(writing: &mut OwnedWriteHalf, answer: &Line) -> bool {
    let mut text = serde_json::to_string(answer).unwrap_or_default();
    text.push('\n');
    writing.write_all(text.as_bytes()).await.is_ok()
}

fn is_take_over(line: &str) -> bool {
    serde_json::to_string(&Request::TakeOver).is_ok_and(|asked| line.trim_end() == asked)
}

/// Descriptors travel beside the octets, so this is no exchange of lines.
async fn hand_over(reading: OwnedReadHalf, writing: OwnedWriteHalf, handover: &Handover) {
    let Ok(stream) = reading.reunite(writing) else { return };
    if let Err(error) = handover::give(stream, handover).await {
        tracing::error!(%error, "the listening sockets could not be handed over: the gate goes on");
    }
}

/// The store is asked on a thread of its own: a search reads the disk.
fn answers(line: String, shared: Arc<Shared>, (asker, staging): (Arc<Asker>, Arc<Staging>)) -> mpsc::Receiver<Line> {
    let (give, answers) = mpsc::channel(LINES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut emit = move |line| give.blocking_send(line).is_ok();
        match serde_json::from_str(&line) {
            Err(error) => {
                emit(Line::Error(format!("request not understood: {error}")));
            }
            Ok(Request::Status) => {
                if emit(Line::Status(Box::new(shared.status()))) {
                    emit(Line::End);
                }
            }
            Ok(Request::Stage(rows)) => {
                emit(staging.stage(&rows, &shared.gate.consents).map_or_else(Line::Error, |()| Line::End));
            }
            Ok(Request::Commit) => match staging.commit() {
                Ok(line) => _ = emit(line) && emit(Line::End),
                Err(error) => _ = emit(Line::Error(error)),
            },
            Ok(Request::Probe { port, keyword }) => {
                let now = Moment { wall: clock::wall(), monotonic: clock::monotonic() };
                let probe = Handle::current().block_on(shared.gate.probe(&port, &keyword, now));
                if emit(Line::Probe(Box::new(probe))) {
                    emit(Line::End);
                }
            }
            Ok(Request::Backup(order)) => aside(move || {
                let gate = &shared.gate;
                backup::make(&order, asker.who(), (&gate.journal, &gate.consents, Some(gate.counts())), &mut emit);
            }),
            Ok(request) if request.is_long() => aside(move || books(&shared, &asker).answer(&request, &mut emit)),
            Ok(request) => books(&shared, &asker).answer(&request, &mut emit),
        }
    });
    answers
}

fn books<'s>(shared: &'s Shared, asker: &'s Asker) -> Books<'s> {
    let Gate { consents, journal, measures, keys, retention, .. } = &*shared.gate;
    let register = Some(shared.gate.register.load_full());
    Books { consents, journal, measures, keys, retention, register, asker, now: clock::wall() }
}

/// Runs what may take long and is not urgent: the messages' threads go before it.
fn aside(work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name("aside".to_owned()).spawn(move || {
        // Of this thread alone, as Linux has it.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!(%error, "the thread's priority stays as it is");
        }
        work();
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for a request of the command line");
    }
}
