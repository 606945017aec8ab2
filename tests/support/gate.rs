//! The gate as a child process, in a folder of its own.
//!
//! Owns the folder, the process and its log; every wait is bounded. Refuses to speak SMPP.
//! Driven by the tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use portcullis::admin::api::{Line, Request, Status};
use portcullis::admin::client::Access;
use portcullis::clock;
use portcullis::config::Config;
use portcullis::gate::evidence::{Found, FoundMessage, Query};
use portcullis::gate::{open_journal, open_keys};
use portcullis::store::Journal;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what announces itself in no other way.
const PAUSE: Duration = Duration::from_millis(5);

/// Configuration, register and data of one gate.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// A gate with this register in front of `carrier`.
    pub(crate) fn new(register: &str, carrier: SocketAddr) -> Self {
        let folder = Self { dir: tempfile::tempdir().expect("a folder") };
        folder.write_register(register);
        folder.configure("", carrier, "");
        folder
    }

    /// Writes the configuration: `top` before its first table, `more` after `[carrier]`'s addresses.
    pub(crate) fn configure(&self, top: &str, carrier: SocketAddr, more: &str) {
        let text = format!(
            "{top}\nregister = \"register.toml\"\ndata = \"data\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n\
             [carrier]\naddresses = [\"{carrier}\"]\n{more}\n"
        );
        fs::write(self.config_file(), text).expect("the configuration");
    }

    /// Puts a register in the old one's place, whole.
    pub(crate) fn write_register(&self, text: &str) {
        let (fresh, file) = (self.path().join("register.toml.new"), self.path().join("register.toml"));
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &file)).expect("the register");
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path().join("portcullis.toml")
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(self.config_file()).unwrap_or_else(|faults| panic!("{}", faults[0]))
    }

    /// The journal, where no gate has it open.
    pub(crate) fn journal(&self) -> Journal {
        let config = self.config();
        let keys = open_keys(&config).expect("the keys open");
        open_journal(&config, &keys).expect("the journal opens")
    }

    /// Starts the gate and waits until it listens.
    pub(crate) fn start(&self) -> Gate {
        self.start_logging("info")
    }

    /// The same, with another `RUST_LOG`.
    pub(crate) fn start_logging(&self, filter: &str) -> Gate {
        let mut command = self.command(&["run"]);
        command.env("RUST_LOG", filter);
        Self::launch(command)
    }

    /// Starts a gate by a command of the test's own and waits until it listens.
    pub(crate) fn launch(mut command: Command) -> Gate {
        let mut child = command.stdout(Stdio::null()).spawn().expect("the gate");
        let log = Log::follow(child.stderr.take().expect("a pipe"));
        let mut gate = Gate { child, log, address: SocketAddr::from(([0; 4], 0)) };
        let line = gate.await_log("listening address=");
        let address = line.rsplit("address=").next().and_then(|text| text.trim().parse().ok());
        gate.address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        gate
    }

    /// Runs a subcommand on this folder's configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.feed(arguments, "")
    }

    /// The same, with something on its stdin.
    pub(crate) fn feed(&self, arguments: &[&str], stdin: &str) -> Said {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the command");
        let pid = Pid::from_child(&child);
        let mut pipe = child.stdin.take().expect("a pipe");
        let (stdin, (give, taken)) = (stdin.to_owned(), mpsc::sync_channel(1));
        // A command that fails early reads nothing: its exit code says so.
        thread::spawn(move || pipe.write_all(stdin.as_bytes()).ok());
        thread::spawn(move || give.send(child.wait_with_output()));
        let Ok(output) = taken.recv_timeout(PATIENCE) else {
            kill_process(pid, Signal::KILL).ok();
            panic!("portcullis {arguments:?} does not end");
        };
        let Output { status, stdout, stderr } = output.expect("its output");
        let text = |octets| String::from_utf8(octets).expect("UTF-8");
        Said { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs a subcommand that takes no configuration.
    pub(crate) fn plain(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let output = command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()).output().expect("the command");
        let text = |octets| String::from_utf8(octets).expect("UTF-8");
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// A subcommand on this folder's configuration, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).arg("--config").arg(self.config_file()).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Asks the running gate over its socket.
    pub(crate) fn ask(&self, request: &Request) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut access = Access::gate(&self.config()).expect("the running gate's socket");
        let asked = access.ask(request, |line| {
            lines.push(line);
            true
        });
        asked.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        lines
    }

    /// What the running gate finds in its journal.
    pub(crate) fn find(&self, query: Query) -> Vec<Found> {
        let found = self.ask(&Request::Find(Query { limit: 1000, ..query }));
        found.into_iter().filter_map(|line| if let Line::Found(found) = line { Some(found) } else { None }).collect()
    }

    /// The send records to a number, in the running gate's journal.
    pub(crate) fn sent_to(&self, number: &str) -> Vec<FoundMessage> {
        messages(self.find(Query { to: Some(number.to_owned()), ..Query::default() }))
    }

    /// How the running gate is.
    pub(crate) fn status(&self) -> Status {
        match self.ask(&Request::Status).pop() {
            Some(Line::Status(status)) => *status,
            other => panic!("no status but {other:?}"),
        }
    }

    /// Waits until the running gate's status pleases.
    pub(crate) fn await_status(&self, what: &str, pleases: impl Fn(&Status) -> bool) -> Status {
        let end = clock::monotonic() + PATIENCE;
        loop {
            let status = self.status();
            if pleases(&status) {
                return status;
            }
            assert!(clock::monotonic() < end, "not {what}: {status:?}");
            thread::sleep(PAUSE);
        }
    }
}

impl Said {
    /// What it printed, if it succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "failed: {}", self.stderr);
        self.stdout
    }
}

/// The send records among what was found.
pub(crate) fn messages(found: Vec<Found>) -> Vec<FoundMessage> {
    found
        .into_iter()
        .filter_map(|found| if let Found::Message(message) = found { Some(*message) } else { None })
        .collect()
}

/// A running gate; dropping it kills it.
pub(crate) struct Gate {
    child: Child,
    log: Arc<Log>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Gate {
    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    /// SIGTERM.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process to signal");
    }

    /// Lets no file of the gate's grow beyond this; `None` for no limit.
    pub(crate) fn limit_files(&self, octets: Option<u64>) {
        let limit = Rlimit { current: octets, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).expect("a limit of the gate's");
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let end = clock::monotonic() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(clock::monotonic() < end, "the gate does not end:\n{}", self.log());
            thread::sleep(PAUSE);
        }
    }

    /// SIGTERM, and its end.
    pub(crate) fn stop(self) -> ExitStatus {
        self.ask_to_end();
        self.ended()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads the log's lines, even once the gate has ended.
    pub(crate) fn log_handle(&self) -> impl Fn() -> Vec<String> + use<> {
        let log = Arc::clone(&self.log);
        move || log.lines()
    }

    /// Waits for its end; gives all it logged.
    pub(crate) fn whole_log(self) -> String {
        let log = Arc::clone(&self.log);
        self.ended();
        log.whole()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// Waits for a log line that contains `text`; gives it.
    pub(crate) fn await_log(&self, text: &str) -> String {
        self.log.find(text)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The lines of the log as they come.
struct Log {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn follow(stderr: ChildStderr) -> Arc<Self> {
        let log = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let writer = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.state.lock().unwrap_or_else(PoisonError::into_inner).0.push(line);
                writer.changed.notify_all();
            }
            writer.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
            writer.changed.notify_all();
        });
        log
    }

    fn lines(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn whole(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |state: &mut (Vec<String>, bool)| !state.1;
        let (state, _) = self.changed.wait_timeout_while(state, PATIENCE, open).unwrap_or_else(PoisonError::into_inner);
        assert!(state.1, "the log does not end");
        state.0.join("\n")
    }

    fn find(&self, text: &str) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |state: &mut (Vec<String>, bool)| !state.1 && !state.0.iter().any(|line| line.contains(text));
        let (state, _) =
            self.changed.wait_timeout_while(state, PATIENCE, missing).unwrap_or_else(PoisonError::into_inner);
        let found = state.0.iter().find(|line| line.contains(text)).cloned();
        found.unwrap_or_else(|| panic!("no {text:?} in the log:\n{}", state.0.join("\n")))
    }
}
