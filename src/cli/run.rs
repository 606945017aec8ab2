//! `portcullis run`: the gate, until a signal.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, load};
use crate::admin::Admin;
use crate::proxy::Proxy;

/// Runs the gate. SIGTERM or SIGINT drains it: no new connections, answers awaited, both legs
/// unbound; a second signal ends it at once.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis run --config portcullis.toml

The log goes to stderr; RUST_LOG=debug shows more. Message text is never logged above trace.")]
pub(super) struct RunArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let proxy = Proxy::start(&config).await?;
        let admin = Admin::bind(&config.data, Arc::clone(&proxy.gate))?;
        let admin = tokio::spawn(admin.serve(proxy.draining()));
        for address in proxy.addresses() {
            tracing::info!(%address, "listening");
        }
        // Caught, so that a file that may not grow is an error of the store and not the end of the gate.
        let _file_too_large = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        tokio::select! {
            _ = proxy.drain() => {}
            _ = terminate.recv() => tracing::warn!("second signal: ending at once"),
            _ = interrupt.recv() => tracing::warn!("second signal: ending at once"),
        }
        // Its end only removes the socket.
        let _ = admin.await;
        Ok(())
    })
}
