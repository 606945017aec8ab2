//! `portcullis run`: the gate, until a signal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, load};
use crate::admin::client::AccessError;
use crate::admin::{Admin, handover};
use crate::clock;
use crate::config::{Config, Fault};
use crate::gate::record_refused_start;
use crate::proxy::{Inherited, Proxy, StartError};

/// The exit code of who was ended before there was anything to drain: that of SIGTERM, as shells tell it.
const ENDED_AT_START: i32 = 128 + 15;

/// Runs the gate. SIGTERM or SIGINT drains it: no new connections, answers awaited, both legs
/// unbound; a second signal ends it at once.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis run --config portcullis.toml
  portcullis run --config portcullis.toml --take-over      in place of the one that runs

Started by systemd through a socket unit, the gate listens on the sockets that come with it.

The log goes to stderr; RUST_LOG=debug shows more. Message text is never logged above trace.")]
pub(super) struct RunArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,

    /// Take the listening sockets of the gate that runs on the same data directory; it drains
    /// and ends, and whoever connects meanwhile waits for this one
    #[arg(long)]
    take_over: bool,
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load(&args.config).inspect_err(|failure| {
        if let (Failure::Config(faults), (Some(config), _)) = (failure, Config::examine(&args.config)) {
            record_refused(&config, ("configuration", &args.config), faults);
        }
    })?;
    let inherited = inherited(args, &config)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        // Caught, so that a file that may not grow is an error of the store and not the end of the gate.
        let _file_too_large = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        // Before anybody may connect: whoever is served is drained, however soon the end is asked for.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let starting = tokio::spawn(end_at_once(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
        let proxy = Proxy::start(&config, inherited, || starting.abort()).await.inspect_err(|error| {
            if let StartError::Register(faults) = error {
                record_refused(&config, ("register", &config.register), faults);
            }
        })?;
        let gate = Arc::clone(&proxy.gate);
        let admin = Admin::bind(&config.data, Arc::clone(&proxy.gate), Some(proxy.handover()))?;
        let admin = tokio::spawn(admin.serve(proxy.draining()));
        for address in proxy.addresses() {
            tracing::info!(%address, "listening");
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = proxy.taken_over() => tracing::info!("a successor has the listening sockets"),
        }
        tracing::info!("draining");
        tokio::select! {
            _ = proxy.drain() => {}
            _ = terminate.recv() => tracing::warn!("second signal: ending at once"),
            _ = interrupt.recv() => tracing::warn!("second signal: ending at once"),
        }
        // Its end only removes the socket.
        let _ = admin.await;
        // Whoever is still being answered has a handle on it: its end is not waited for.
        gate.journal.close();
        Ok(())
    })
}

/// What cannot be put on record is on stderr at least, as all of it is.
fn record_refused(config: &Config, what: (&str, &Path), faults: &[Fault]) {
    if let Err(error) = record_refused_start(config, what, faults, clock::wall()) {
        eprintln!("warning: that the {} was refused is not on record: {error}", what.0);
    }
}

/// A gate that still starts, which may take long, serves nobody yet: it ends as if nothing caught the signal.
async fn end_at_once(mut terminate: tokio::signal::unix::Signal, mut interrupt: tokio::signal::unix::Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    std::process::exit(ENDED_AT_START);
}

fn inherited(args: &RunArgs, config: &Config) -> Result<Inherited, Failure> {
    let passed = Inherited::from_environment()?;
    if !args.take_over || !passed.is_empty() {
        return Ok(passed);
    }
    match handover::take_over(&config.data) {
        Ok(offer) => {
            tracing::info!(sockets = offer.sockets.len(), "taking over from the running gate");
            Ok(Inherited::from_predecessor(offer.sockets, move || offer.stream.accept()))
        }
        // Or it ends already: then only the store is to be waited for.
        Err(AccessError::NotRunning(_)) => Ok(Inherited::from_predecessor(Vec::new(), || Ok(()))),
        Err(error) => Err(error.into()),
    }
}
