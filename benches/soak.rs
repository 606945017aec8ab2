//! Moderate load with churn through a gate for as long as you like: does anything grow or stay?
//!
//! `cargo bench --bench soak -- --minutes 30`. Binds come and go, the carrier restarts and
//! misbehaves, messages are long, abandoned, offending or broken. Prints the gate's figures as
//! they are; fails when memory grows, when a session, part, thread or descriptor is left, when
//! an answer is missing in the journal, or when the carrier saw what must not pass.

#[path = "soak/bind.rs"]
mod bind;
#[path = "soak/carrier.rs"]
mod carrier;
#[expect(dead_code, reason = "tests use the rest")]
#[path = "../tests/support/gate.rs"]
mod gate;
#[path = "soak/gauge.rs"]
mod gauge;
#[path = "soak/ledger.rs"]
mod ledger;
#[path = "soak/messages.rs"]
mod messages;
#[path = "../tests/long/parts.rs"]
mod parts;
#[expect(dead_code, reason = "tests use the rest")]
#[path = "../tests/support/provider.rs"]
mod provider;
#[path = "../tests/relay_simulation/random.rs"]
mod random;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use clap::Parser;
use portcullis::admin::api::Status;
use portcullis::clock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use bind::Crowd;
use carrier::Trouble;
use gate::{Folder, Gate};
use gauge::{Gauge, Reading, Series};
use ledger::Ledger;
use messages::Messages;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the gate may take to be as it was, once everyone has left.
const SETTLING: Duration = Duration::from_secs(60);

/// Runs the gate under load with churn and looks what it leaves behind.
#[derive(Parser, Clone, Debug)]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Messages a second, long ones counted once
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Connections at a time
    #[arg(long, default_value_t = 24)]
    binds: u32,
    /// Seconds between two lines
    #[arg(long, default_value_t = 30)]
    every: u64,
    /// MiB a minute that count as growth
    #[arg(long, default_value_t = 1.0)]
    growth: f64,
    /// The course of chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What cargo says to a bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if std::env::args().len() == 1 {
        println!("soak: run by `cargo bench --bench soak`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let faults = match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(soak(&arguments))) {
        Ok(faults) => faults,
        Err(error) => vec![error.to_string()],
    };
    for fault in &faults {
        eprintln!("soak: {fault}");
    }
    println!(
        "{}",
        if faults.is_empty() { "soak: nothing grew, nothing was left, nothing was lost" } else { "soak: FAILED" }
    );
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Gives all that was wrong.
async fn soak(arguments: &Arguments) -> Result<Vec<String>> {
    let ledger = Arc::new(Ledger::default());
    let trouble = Trouble::start(arguments.seed, Arc::clone(&ledger)).await?;
    let folder = layout(trouble.address())?;
    let gate = folder.start_logging("warn,portcullis::cli=info");
    let crowd = Arc::new(Crowd {
        gate: gate.address,
        pace: Duration::from_secs(1) * arguments.binds / arguments.rate.max(1),
        messages: Messages::default(),
        ledger: Arc::clone(&ledger),
    });
    crowd.warm_up().await?;
    let gauge = Gauge::of(gate.id());
    let before = quiet(&folder, gauge, None).await?;
    let (stop, stopped) = watch::channel(false);
    let mut binds = JoinSet::new();
    for number in 0..arguments.binds {
        binds.spawn(Arc::clone(&crowd).live(number, arguments.seed, stopped.clone()));
    }
    let trouble = tokio::spawn(trouble.make(stopped));
    let series = watch_gate(arguments, &folder, gauge, &ledger).await?;
    stop.send_replace(true);
    while let Some(ended) = binds.join_next().await {
        ended?;
    }
    let after = quiet(&folder, gauge, Some(&before)).await?;
    let restarts = trouble.await??;
    println!("the carrier restarted {restarts} times");
    let mut faults = left_behind(&before, &after);
    faults.extend(series.growth(arguments.growth));
    faults.extend(end(gate));
    faults.extend(ledger.check(&folder.config())?);
    Ok(faults)
}

fn layout(carrier: std::net::SocketAddr) -> Result<Folder> {
    let folder = Folder::new(&messages::register(), carrier);
    folder.configure(
        "drain_timeout = \"10s\"",
        carrier,
        "response_timeout = \"3s\"\n[long_messages]\ntimeout = \"4s\"\n[session]\nenquire_link_interval = \"5s\"",
    );
    let consents = folder.path().join("consents.csv");
    std::fs::write(&consents, messages::consents())?;
    folder.run(&["consent", "import", consents.to_str().ok_or("the folder's name is not UTF-8")?]).ok();
    Ok(folder)
}

/// The gate with nobody there: as soon as it is as before, or when its time for that is over.
async fn quiet(folder: &Folder, gauge: Gauge, before: Option<&Quiet>) -> Result<Quiet> {
    let end = clock::monotonic() + SETTLING;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = Quiet { reading: gauge.read()?, status: folder.status() };
        let settled = found.is_empty() && before.is_none_or(|before| left_behind(before, &found).is_empty());
        if settled || clock::monotonic() >= end {
            return Ok(found);
        }
    }
}

/// The gate while nobody is there.
struct Quiet {
    reading: Reading,
    status: Status,
}

impl Quiet {
    fn is_empty(&self) -> bool {
        self.status.sessions.is_empty() && self.status.parts.0 == 0
    }
}

fn left_behind(before: &Quiet, after: &Quiet) -> Vec<String> {
    let mut faults = Vec::new();
    let mut compare = |what: &str, before: usize, after: usize, slack: usize| {
        if after > before + slack {
            faults.push(format!("{after} {what} when all have left, {before} before they came"));
        }
    };
    compare("sessions", 0, after.status.sessions.len(), 0);
    compare("parts of long messages", 0, after.status.parts.0, 0);
    // The engine opens a file or two as it grows, the runtime keeps a thread or two for the next question.
    compare("file descriptors", before.reading.descriptors, after.reading.descriptors, 2);
    compare("threads", before.reading.threads, after.reading.threads, 2);
    faults
}

/// Prints the gate's figures until the time is over.
async fn watch_gate(arguments: &Arguments, folder: &Folder, gauge: Gauge, ledger: &Ledger) -> Result<Series> {
    let start = clock::monotonic();
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut series = Series::default();
    let (mut last, mut looked) = (0, start);
    gauge::heading();
    while clock::monotonic() - start < length {
        let rest = length.saturating_sub(clock::monotonic() - start);
        tokio::time::sleep(rest.min(Duration::from_secs(arguments.every.max(1)))).await;
        let (now, sent) = (clock::monotonic(), ledger.messages.load(Relaxed));
        let (reading, status) = (gauge.read()?, folder.status());
        series.push(now - start, reading);
        gauge::row(now - start, reading, &status, rate(sent - last, looked, now), ledger);
        (last, looked) = (sent, now);
    }
    Ok(series)
}

fn rate(messages: u64, from: Instant, to: Instant) -> f64 {
    messages as f64 / (to - from).as_secs_f64().max(0.001)
}

/// The gate must end in order and have nothing to complain of.
fn end(gate: Gate) -> Vec<String> {
    gate.ask_to_end();
    let log = gate.log_handle();
    let status = gate.ended();
    let mut faults = Vec::new();
    if !status.success() {
        faults.push(format!("the gate ended with {status}"));
    }
    let bad = |line: &String| line.contains("ERROR") || line.contains("panicked") || line.contains("cut off");
    let bad: Vec<String> = log().into_iter().filter(bad).collect();
    if let Some(first) = bad.first() {
        faults.push(format!("{} complaints in the gate's log, the first: {first}", bad.len()));
    }
    faults
}
