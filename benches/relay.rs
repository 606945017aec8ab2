//! Load generator -> gate -> sink, beside a dumb forwarder and no proxy at all.
//!
//! `cargo bench --bench relay -- --help`. Every party is a process of its own, so that the
//! gate's CPU time is the gate's alone. Prints medians of the repetitions; fails when a
//! message was lost, answered twice or refused.

#[path = "relay/forwarder.rs"]
mod forwarder;
#[path = "relay/load.rs"]
mod load;
#[path = "relay/message.rs"]
mod message;
#[path = "relay/process.rs"]
mod process;
#[path = "relay/report.rs"]
mod report;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use load::{Outcome, Plan};
use message::{Template, TextKind};
use process::{Gate, Helper, Meter};
use report::Sample;

/// Measures the gate under load.
#[derive(Parser, Clone, Debug)]
struct Arguments {
    /// Messages of a measured run, at most
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Seconds of a measured run, at most
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Binds x window, as many as wanted
    #[arg(long, value_delimiter = ',', default_value = "1x1,1x100,4x50")]
    shapes: Vec<Shape>,
    /// What stands between load and sink, as many as wanted
    #[arg(long, value_delimiter = ',', default_value = "direct,forwarder,filing-forwarder,before-response,interval")]
    paths: Vec<Path>,
    /// What is sent, as many as wanted
    #[arg(long, value_delimiter = ',', default_value = "gsm7")]
    texts: Vec<TextKind>,
    /// Repetitions; the table shows medians
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Different destinations, each with its consent
    #[arg(long, default_value_t = 100_000)]
    destinations: u64,
    /// Also open this many idle binds through the gate and print its memory for each
    #[arg(long, value_name = "N")]
    idle_binds: Option<u32>,
    /// Where the gate's data and the forwarder's file are; on the disk to be measured
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/relay"))]
    folder: PathBuf,
    /// Another party of the run, started by this binary itself
    #[arg(long, hide = true)]
    role: Option<Role>,
    /// Where a forwarder forwards to
    #[arg(long, hide = true)]
    to: Option<SocketAddr>,
    /// Where a forwarder files
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
    /// What cargo says to a bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Role {
    Sink,
    Forwarder,
}

/// Connections and unanswered messages on each.
#[derive(Clone, Copy, Debug)]
struct Shape {
    binds: u32,
    window: u32,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('x').and_then(|(binds, window)| Some((binds.parse().ok()?, window.parse().ok()?)));
        match parsed {
            Some((binds @ 1.., window @ 1..)) => Ok(Self { binds, window }),
            _ => Err(format!("expected BINDSxWINDOW, such as 4x50, not {text:?}")),
        }
    }
}

/// What stands between load and sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Path {
    /// Nothing
    Direct,
    /// A forwarder that copies octets
    Forwarder,
    /// The same, with every octet on disk before the answer
    FilingForwarder,
    /// The gate, records durable before the carrier sees the message
    BeforeForward,
    /// The gate, records durable before the answer
    BeforeResponse,
    /// The gate, records durable soon
    Interval,
}

impl Path {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Forwarder => "forwarder",
            Self::FilingForwarder => "forwarder + file",
            Self::BeforeForward => "gate, before-forward",
            Self::BeforeResponse => "gate, before-response",
            Self::Interval => "gate, interval",
        }
    }

    fn durability(self) -> Option<&'static str> {
        match self {
            Self::Direct | Self::Forwarder | Self::FilingForwarder => None,
            Self::BeforeForward => Some("before-forward"),
            Self::BeforeResponse => Some("before-response"),
            Self::Interval => Some("interval"),
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().len() == 1 {
        println!("relay: run by `cargo bench --bench relay`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match (arguments.role, arguments.to) {
        (Some(Role::Sink), _) => forwarder::sink(),
        (Some(Role::Forwarder), Some(to)) => forwarder::forwarder(to, arguments.file),
        (Some(Role::Forwarder), None) => Err(io::Error::other("--to is missing")),
        (None, _) => measure(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    if let Some(binds) = arguments.idle_binds {
        idle(arguments, binds)?;
    }
    let mut serial = 0;
    report::heading();
    for shape in &arguments.shapes {
        for text in &arguments.texts {
            let mut samples: Vec<(Path, Vec<Sample>)> = arguments.paths.iter().map(|path| (*path, vec![])).collect();
            for _ in 0..arguments.repeat {
                for (path, samples) in &mut samples {
                    samples.push(run(arguments, *shape, *text, *path, &mut serial)?);
                }
            }
            let medians: Vec<_> =
                samples.iter().filter_map(|(path, samples)| Some((*path, Sample::median(samples)?))).collect();
            report::rows(&format!("{}x{}", shape.binds, shape.window), &format!("{text:?}").to_lowercase(), &medians);
        }
    }
    Ok(())
}

/// What stands in between, running.
enum Between {
    Nothing,
    Forwarder(Helper),
    Gate(Gate),
}

impl Between {
    fn start(arguments: &Arguments, path: Path, text: TextKind, sink: SocketAddr) -> io::Result<Self> {
        let folder = &arguments.folder;
        if let Some(durability) = path.durability() {
            let load = (text, arguments.destinations);
            return Gate::start(&folder.join("gate"), sink, durability, load).map(Self::Gate);
        }
        let to = sink.to_string();
        let mut words = vec!["--role", "forwarder", "--to", &to];
        let file = folder.join("filed");
        match path {
            Path::Direct => return Ok(Self::Nothing),
            Path::FilingForwarder => {
                std::fs::create_dir_all(folder)?;
                words.extend(["--file", file.to_str().ok_or_else(|| io::Error::other("--folder is not UTF-8"))?]);
            }
            _ => {}
        }
        Helper::start("forwarder", &words).map(Self::Forwarder)
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Nothing => None,
            Self::Forwarder(helper) => Some(helper.address),
            Self::Gate(gate) => Some(gate.address),
        }
    }

    fn meter(&self) -> Option<Meter> {
        match self {
            Self::Nothing => None,
            Self::Forwarder(helper) => Some(helper.process.meter()),
            Self::Gate(gate) => Some(gate.process.meter()),
        }
    }
}

fn run(arguments: &Arguments, shape: Shape, text: TextKind, path: Path, serial: &mut u64) -> io::Result<Sample> {
    let mut sink = Helper::start("sink", &["--role", "sink"])?;
    let between = Between::start(arguments, path, text, sink.address)?;
    let target = between.address().unwrap_or(sink.address);
    let plan = Plan {
        binds: shape.binds,
        window: shape.window,
        messages: arguments.messages,
        time: Duration::from_secs_f64(arguments.seconds),
        first: *serial,
    };
    *serial += plan.messages * 2 + u64::from(plan.binds) * 2;
    let meters = [between.meter(), Some(sink.process.meter()), Some(Meter::this())];
    let before = Rc::new(Cell::new([0.0; 3]));
    let mark = Rc::clone(&before);
    let template = Template::new(text, arguments.destinations);
    let outcome = load::run(target, &template, plan, move || mark.set(cpu(meters).unwrap_or_default()))?;
    let after = cpu(meters)?;
    let used = std::array::from_fn(|party| after[party] - before.get()[party]);
    check(path, &outcome, sink.count()?)?;
    if let Between::Gate(gate) = between {
        let records = gate.end_and_count()?;
        if records != outcome.sent {
            return Err(lost(path, &format!("{} sent, {records} in the journal", outcome.sent)));
        }
    }
    Ok(Sample::new(&outcome, used))
}

fn cpu(meters: [Option<Meter>; 3]) -> io::Result<[f64; 3]> {
    let mut seconds = [0.0; 3];
    for (meter, seconds) in meters.iter().zip(&mut seconds) {
        *seconds = meter.map_or(Ok(0.0), Meter::cpu)?;
    }
    Ok(seconds)
}

fn check(path: Path, outcome: &Outcome, seen: u64) -> io::Result<()> {
    let Outcome { sent, accepted, refused, strays, .. } = outcome;
    if sent == accepted && *sent == seen && *strays == 0 {
        return Ok(());
    }
    let refused = refused.map_or(String::new(), |(count, status)| format!(", {count} refused ({status:?})"));
    Err(lost(path, &format!("{sent} sent, {accepted} accepted{refused}, {strays} stray answers, sink saw {seen}")))
}

fn lost(path: Path, what: &str) -> io::Error {
    io::Error::other(format!("{}: messages lost: {what}", path.name()))
}

/// Opens idle binds through the gate and prints what each costs it.
fn idle(arguments: &Arguments, binds: u32) -> io::Result<()> {
    let sink = Helper::start("sink", &["--role", "sink"])?;
    let mut gate = Gate::start(&arguments.folder.join("gate"), sink.address, "before-response", (TextKind::Gsm7, 1))?;
    let before = gate.process.meter().resident()?;
    let held = load::hold(gate.address, binds)?;
    std::thread::sleep(Duration::from_secs(1));
    let after = gate.process.meter().resident()?;
    println!(
        "{binds} idle binds: gate {:.1} MiB -> {:.1} MiB, {:.1} KiB each",
        before as f64 / 1_048_576.0,
        after as f64 / 1_048_576.0,
        (after.saturating_sub(before)) as f64 / 1024.0 / f64::from(binds)
    );
    drop(held);
    gate.process.end()
}
