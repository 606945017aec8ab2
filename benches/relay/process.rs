//! The processes of a run: sink, forwarders and gate, each with its own CPU time.
//!
//! Owns starting, measuring and ending them. The sink and the forwarders are this very
//! binary in another role; the gate is `portcullis run`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::message::{self, TextKind};

/// How long a process may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(20);
/// Clock ticks a second in /proc (USER_HZ): 100 on every Linux.
const TICKS: f64 = 100.0;
/// Messages looked for one by one, at most.
const LOOKUPS: usize = 1_000;

/// What a process uses, by its id.
#[derive(Clone, Copy)]
pub(crate) struct Meter(u32);

impl Meter {
    /// This process.
    pub(crate) fn this() -> Self {
        Self(std::process::id())
    }

    /// CPU seconds used so far, in user and kernel mode, by all its threads.
    pub(crate) fn cpu(self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        // utime and stime are fields 14 and 15; these begin after the second.
        let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok());
        match (ticks(11), ticks(12)) {
            (Some(user), Some(system)) => Ok((user + system) / TICKS),
            _ => Err(io::Error::other("/proc/PID/stat reads differently")),
        }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("");
        let kibibytes = line.trim().trim_end_matches("kB").trim().parse::<u64>();
        kibibytes.map(|kibibytes| kibibytes * 1024).map_err(io::Error::other)
    }
}

/// A child process, ended when dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    fn spawn(name: &'static str, command: &mut Command) -> io::Result<Self> {
        let child = command.spawn().map_err(|error| io::Error::other(format!("cannot start the {name}: {error}")))?;
        Ok(Self { child, name })
    }

    /// What it uses.
    pub(crate) fn meter(&self) -> Meter {
        Meter(self.child.id())
    }

    /// Asks it to end (SIGTERM) and waits.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        terminate(&self.child)?;
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(PAUSE);
            waited += PAUSE;
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("the {} did not end on SIGTERM", self.name)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn terminate(child: &Child) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(io::Error::from)
}

/// A process that says its address first and answers lines on stdin with lines on stdout.
pub(crate) struct Helper {
    /// The process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    /// This binary in another role.
    pub(crate) fn start(name: &'static str, arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn(name, &mut command)?;
        let missing = || io::Error::other("no pipe to the process");
        let stdin = process.child.stdin.take().ok_or_else(missing)?;
        let stdout = process.child.stdout.take().ok_or_else(missing)?;
        let mut helper =
            Self { process, address: SocketAddr::from(([0; 4], 0)), stdin, stdout: BufReader::new(stdout) };
        helper.address = helper.line()?.parse().map_err(io::Error::other)?;
        Ok(helper)
    }

    /// How many messages it has seen.
    pub(crate) fn count(&mut self) -> io::Result<u64> {
        self.stdin.write_all(b"count\n")?;
        self.line()?.parse().map_err(io::Error::other)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// The gate and its folder.
pub(crate) struct Gate {
    /// The process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: PathBuf,
}

/// The binary under measurement.
fn portcullis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.stdin(Stdio::null());
    command
}

impl Gate {
    /// Lays out `folder`, imports the consents and starts the gate in front of `carrier`.
    pub(crate) fn start(
        folder: &Path,
        carrier: SocketAddr,
        durability: &str,
        (text, destinations): (TextKind, u64),
    ) -> io::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let address = free_address()?;
        let config = folder.join("portcullis.toml");
        fs::write(folder.join("register.toml"), message::register(text))?;
        fs::write(folder.join("consents.csv"), message::consents(destinations))?;
        fs::write(
            &config,
            format!(
                "register = \"register.toml\"\ndata = \"data\"\n\n[[listen]]\naddress = \"{address}\"\n\n\
                 [carrier]\naddresses = [\"{carrier}\"]\n\n[journal]\ndurability = \"{durability}\"\n"
            ),
        )?;
        let log = fs::File::create(folder.join("gate.log"))?;
        let import = portcullis()
            .args(["consent", "import"])
            .arg(folder.join("consents.csv"))
            .arg("--config")
            .arg(&config)
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .status()?;
        if !import.success() {
            return Err(io::Error::other(format!("consent import failed: see {}", folder.join("gate.log").display())));
        }
        let mut command = portcullis();
        command.arg("run").arg("--config").arg(&config).stdout(log.try_clone()?).stderr(log);
        let process = Process::spawn("gate", &mut command)?;
        await_listener(address)?;
        Ok(Self { process, address, folder: folder.to_owned() })
    }

    /// Ends the gate, then counts the messages in the journal that the carrier gave an id.
    pub(crate) fn end_and_count(mut self) -> io::Result<u64> {
        self.process.end()?;
        let (mut ids, mut open) = (HashSet::new(), HashMap::new());
        self.find(&[], |record| {
            let (known, whole) = carriers_ids(record);
            ids.extend(known);
            // A search of everything shows an outcome only near its message: asked for by number below.
            if !whole && open.len() < LOOKUPS {
                open.insert(text(record, "id"), text(record, "destination"));
            }
        })?;
        for (entry, destination) in open {
            self.find(&["--to", &destination], |record| {
                if record["id"] == entry {
                    ids.extend(carriers_ids(record).0);
                }
            })?;
        }
        Ok(ids.len() as u64)
    }

    fn find(&self, arguments: &[&str], mut found: impl FnMut(&Value)) -> io::Result<()> {
        let mut command = portcullis();
        command.args(["journal", "find", "--whole", "--json"]).args(arguments).arg("--config");
        let mut find = command.arg(self.folder.join("portcullis.toml")).stdout(Stdio::piped()).spawn()?;
        let stdout = find.stdout.take().ok_or_else(|| io::Error::other("no pipe to the journal"))?;
        for line in BufReader::new(stdout).lines() {
            found(&serde_json::from_str(&line?).map_err(io::Error::other)?);
        }
        if find.wait()?.success() { Ok(()) } else { Err(io::Error::other("journal find failed")) }
    }
}

/// The ids the carrier gave a message, one for each PDU, and whether none is wanting.
fn carriers_ids(record: &Value) -> (Vec<String>, bool) {
    if record["verdict"] != "forward" {
        return (Vec::new(), true);
    }
    let alone = [record.clone()];
    let pdus = record["parts"].as_array().filter(|parts| !parts.is_empty()).map_or(&alone[..], Vec::as_slice);
    let ids: Vec<String> =
        pdus.iter().filter_map(|pdu| pdu["outcome"]["message_id"].as_str()).map(str::to_owned).collect();
    let whole = ids.len() == pdus.len();
    (ids, whole)
}

fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap_or_default().to_owned()
}

/// An address nobody listens on at the moment.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn await_listener(address: SocketAddr) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    while TcpStream::connect(address).is_err() {
        if waited >= PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing listens on {address}")));
        }
        sleep(PAUSE);
        waited += PAUSE;
    }
    Ok(())
}
