//! The foreign peers: scripts in processes of their own.
//!
//! Owns finding, starting and ending them, and what they said; every wait is bounded.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stderr};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a conversation may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The folder `.ci/peers` filled, or a loud line. npm `smpp` is in it: every test needs it.
pub(crate) fn folder() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("PORTCULLIS_PEERS") else {
        loudly("peers that others wrote: run `.ci/peers DIR` and set PORTCULLIS_PEERS=DIR");
        return None;
    };
    let folder = fs::canonicalize(folder).expect("PORTCULLIS_PEERS is a folder filled by .ci/peers");
    if !folder.join("node_modules/smpp").is_dir() {
        loudly("npm smpp is not installed");
        return None;
    }
    Some(folder)
}

/// Says once what is skipped, also where the harness keeps what tests print to itself.
pub(crate) fn loudly(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned()) {
        writeln!(stderr(), "SKIPPED: {what}").ok();
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Esme {
    /// npm `smpp`
    Node,
    /// PyPI smpplib
    Python,
    /// Perl Net::SMPP
    Perl,
    /// Kannel's bearerbox and smsbox: it decides itself when it binds, enquires and splits.
    Kannel,
}

impl Esme {
    /// Those whose every PDU a script decides.
    pub(crate) fn scripted(peers: &Path) -> Vec<Self> {
        [Self::Node, Self::Python, Self::Perl].into_iter().filter(|which| which.is_there(peers)).collect()
    }

    /// Whether it is installed; else a loud line.
    pub(crate) fn is_there(self, peers: &Path) -> bool {
        let there = match self {
            Self::Node => true,
            Self::Python => succeeds(Command::new(python(peers)).args(["-c", "import smpplib"])),
            Self::Perl => succeeds(Command::new("perl").args(["-MNet::SMPP", "-MJSON::PP", "-e1"])),
            Self::Kannel => {
                ["bearerbox", "smsbox"].iter().all(|program| Path::new("/usr/sbin").join(program).is_file())
            }
        };
        if !there {
            loudly(&format!("{self:?} is not installed"));
        }
        there
    }

    fn command(self, peers: &Path) -> Command {
        let (program, name) = match self {
            Self::Node => ("node".into(), "esme.js"),
            Self::Python => (python(peers), "esme.py"),
            Self::Perl => ("perl".into(), "esme.pl"),
            Self::Kannel => ("python3".into(), "kannel.py"),
        };
        script(program, name)
    }
}

/// Which foreign carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// npm `smpp`
    Node,
    /// PyPI smpp34
    Smpp34,
}

impl Carrier {
    /// Whether it is installed; else a loud line.
    pub(crate) fn is_there(self, peers: &Path) -> bool {
        let there = self == Self::Node || succeeds(Command::new(python(peers)).args(["-c", "import smpp34"]));
        if !there {
            loudly(&format!("{self:?} is not installed"));
        }
        there
    }

    fn command(self, peers: &Path) -> Command {
        match self {
            Self::Node => script("node".into(), "carrier.js"),
            Self::Smpp34 => script(python(peers), "carrier.py"),
        }
    }
}

/// A script's process and what it said.
pub(crate) struct Script {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Vec<Value>>>,
    readers: Vec<JoinHandle<()>>,
    _folder: TempDir,
}

impl Script {
    /// The ESME `plan` describes.
    pub(crate) fn esme(peers: &Path, which: Esme, plan: Value) -> Self {
        Self::start(&mut which.command(peers), peers, plan)
    }

    /// The carrier on npm `smpp`, and where it listens.
    pub(crate) fn carrier(peers: &Path, plan: Value) -> (Self, SocketAddr) {
        let address = free_address();
        (Self::carrier_at(peers, Carrier::Node, address, plan), address)
    }

    /// A carrier that listens there.
    pub(crate) fn carrier_at(peers: &Path, which: Carrier, address: SocketAddr, mut plan: Value) -> Self {
        plan["port"] = json!(address.port());
        let carrier = Self::start(&mut which.command(peers), peers, plan);
        let listens = wait_until(|| !carrier.events("listening").is_empty());
        assert!(listens, "the carrier does not listen; it said {:#?}", carrier.said());
        carrier
    }

    fn start(command: &mut Command, peers: &Path, mut plan: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        plan["folder"] = json!(folder.path());
        plan["modules"] = json!(peers);
        plan["patience_ms"] = json!(u64::try_from(PATIENCE.as_millis()).expect("a short time"));
        command.arg(plan.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the peer starts");
        let stdin = child.stdin.take();
        let said = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            follow(child.stdout.take().expect("a pipe"), Arc::clone(&said)),
            follow(child.stderr.take().expect("a pipe"), Arc::clone(&said)),
        ];
        Self { child, stdin, said, readers, _folder: folder }
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
        assert!(ended, "the peer did not finish; it said {:#?}", self.said());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader");
        }
        let failures = self.events("failure");
        assert!(failures.is_empty(), "the peer failed: {:#?}", self.said());
    }

    /// Lets a carrier send the receipts it holds.
    pub(crate) fn send_receipts(&mut self) {
        self.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("the carrier reads");
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

/// A loopback address nobody listens at.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

/// Remembers each line: an event, or noise.
fn follow(pipe: impl Read + Send + 'static, said: Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "noise", "line": line}));
            said.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    })
}

fn python(peers: &Path) -> PathBuf {
    peers.join("venv/bin/python")
}

fn script(program: PathBuf, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name));
    command
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The numbers of one field.
pub(crate) fn numbers(events: &[Value], field: &str) -> Vec<u64> {
    events.iter().filter_map(|event| event[field].as_u64()).collect()
}

/// The strings of one field.
pub(crate) fn strings<'a>(events: impl IntoIterator<Item = &'a Value>, field: &str) -> Vec<String> {
    events.into_iter().filter_map(|event| event[field].as_str()).map(str::to_owned).collect()
}
