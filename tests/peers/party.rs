//! The parties of a conversation with foreign peers: scripts, gate, taps.
//!
//! Owns starting and ending them, each in a process or thread of its own, and what they said.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a conversation may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The folder `.ci/peers` filled, or a loud line.
pub(crate) fn folder() -> Option<PathBuf> {
    match std::env::var_os("PORTCULLIS_PEERS") {
        Some(folder) => Some(fs::canonicalize(folder).expect("PORTCULLIS_PEERS is a folder filled by .ci/peers")),
        None => {
            eprintln!("SKIPPED: peers that others wrote: run `.ci/peers DIR` and set PORTCULLIS_PEERS=DIR");
            None
        }
    }
}

/// Looks until `done`, or until patience runs out.
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let mut waited = Duration::ZERO;
    while !done() {
        if waited >= PATIENCE {
            return false;
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
    true
}

/// Which foreign ESME.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Esme {
    /// npm `smpp`
    Node,
    /// PyPI smpplib
    Python,
}

/// A script's process and what it said.
pub(crate) struct Script {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
}

impl Script {
    /// The ESME `plan` describes.
    pub(crate) fn esme(peers: &Path, which: Esme, plan: Value) -> Self {
        match which {
            Esme::Node => Self::start(Command::new("node").arg(script("esme.js")), peers, plan),
            Esme::Python => {
                Self::start(Command::new(peers.join("venv/bin/python")).arg(script("esme.py")), peers, plan)
            }
        }
    }

    /// The carrier on npm `smpp`, and where it listens.
    pub(crate) fn carrier(peers: &Path, plan: Value) -> (Self, SocketAddr) {
        let carrier = Self::start(Command::new("node").arg(script("carrier.js")), peers, plan);
        assert!(wait_until(|| !carrier.events("listening").is_empty()), "the carrier does not listen");
        let port = carrier.events("listening")[0]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("the carrier's port")));
        (carrier, address)
    }

    fn start(command: &mut Command, peers: &Path, mut plan: Value) -> Self {
        plan["modules"] = json!(peers);
        plan["patience_ms"] = json!(u64::try_from(PATIENCE.as_millis()).expect("a short time"));
        command.arg(plan.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the peer starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&said);
        let reader = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "noise", "line": line}));
                writer.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Self { child, stdin, said, reader: Some(reader) }
    }

    /// Everything it said so far.
    pub(crate) fn said(&self) -> Vec<Value> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything of one kind it said so far.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        self.said().into_iter().filter(|event| event["event"] == kind).collect()
    }

    /// Waits until the script ends by itself.
    pub(crate) fn finish(&mut self) {
        let ended = wait_until(|| self.child.try_wait().expect("a child").is_some());
        if let Some(reader) = self.reader.take()
            && ended
        {
            reader.join().expect("the reader");
        }
        assert!(ended, "the peer did not finish; it said {:#?}", self.said());
        let failures = self.events("failure");
        assert!(failures.is_empty(), "the peer failed: {:#?}", self.said());
    }

    /// Lets a carrier end: its stdin closes.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
        self.finish();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// A gate in front of a carrier, in a folder of its own.
pub(crate) struct Gate {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Gate {
    /// Lays out the folder, imports the consents and runs the gate.
    pub(crate) fn start(carrier: SocketAddr, register: &str, consents: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let config = folder.path().join("portcullis.toml");
        let lines = format!(
            "register = \"register.toml\"\ndata = \"data\"\n[[listen]]\naddress = \"{address}\"\n\
             [carrier]\naddresses = [\"{carrier}\"]\n"
        );
        fs::write(&config, lines).expect("configuration");
        fs::write(folder.path().join("register.toml"), register).expect("register");
        let csv = folder.path().join("consents.csv");
        fs::write(&csv, consents).expect("consents");
        let imported = portcullis()
            .args(["consent", "import"])
            .arg(&csv)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .status();
        assert!(imported.expect("portcullis").success(), "consent import failed");
        let log = fs::File::create(folder.path().join("gate.log")).expect("a log");
        let child = portcullis().arg("run").arg("--config").arg(&config).stdout(Stdio::null()).stderr(log).spawn();
        let gate = Self { child: child.expect("portcullis"), address, folder };
        assert!(wait_until(|| TcpStream::connect(address).is_ok()), "the gate does not listen:\n{}", gate.log());
        gate
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("gate.log")).unwrap_or_default()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the gate logged:\n{}", self.log());
        }
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn portcullis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.stdin(Stdio::null());
    command
}

/// Octets that passed a tap.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// Which connection through this tap, counted from 0.
    pub(crate) connection: u16,
    /// Whether they went to the tapped listener.
    pub(crate) forth: bool,
    /// The octets.
    pub(crate) octets: Vec<u8>,
}

/// A wire that remembers what passed.
pub(crate) struct Tap {
    /// Where to connect instead.
    pub(crate) address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
}

impl Tap {
    /// Taps whatever goes to `target`.
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let passed = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&passed);
        thread::spawn(move || {
            for (connection, near) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let Ok(far) = TcpStream::connect(target) else { continue };
                for (from, to, forth) in [(&near, &far, true), (&far, &near, false)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let log = Arc::clone(&log);
                    thread::spawn(move || copy(from, to, connection, forth, &log));
                }
            }
        });
        Self { address, passed }
    }

    /// Everything that passed so far, in order.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, connection: u16, forth: bool, log: &Mutex<Vec<Passed>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let octets = buffer[..read].to_vec();
        log.lock().unwrap_or_else(PoisonError::into_inner).push(Passed { connection, forth, octets });
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Write);
}
