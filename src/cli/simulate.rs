//! `portcullis simulate`: a carrier to try the gate against.
//!
//! Owns the command's arguments and its life until a signal. Refuses to know SMPP: the
//! simulator does. Driven by the command line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulator::{Account, Counts, Simulator, SimulatorOptions};

/// A simulated carrier: takes every message, answers it, and can send receipts and replies.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  portcullis simulate --listen 127.0.0.1:2776
  portcullis simulate --listen 127.0.0.1:2776 --receipts --latency 5ms
  portcullis simulate --listen 127.0.0.1:2776 --reply-with R
  portcullis simulate --listen 127.0.0.1:2776 --account agg1:secret")]
pub struct SimulateArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2776")]
    pub listen: SocketAddr,
    /// Send a delivery receipt for every message that asks for one
    #[arg(long)]
    pub receipts: bool,
    /// How long every answer to a message waits
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    pub latency: Duration,
    /// Send this text back from every message's destination
    #[arg(long, value_name = "TEXT")]
    pub reply_with: Option<String>,
    /// Who may bind (repeatable); without it, anyone may
    #[arg(long = "account", value_name = "SYSTEM_ID:PASSWORD", value_parser = account)]
    pub accounts: Vec<Account>,
    /// How often to ask bound peers whether they are there
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub enquire_link: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time such as 5ms, 2s or 1m, not {text:?}");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
    Duration::try_from(signed).map_err(|_| expected())
}

fn account(text: &str) -> Result<Account, String> {
    let (system_id, password) = text.split_once(':').ok_or("expected SYSTEM_ID:PASSWORD")?;
    Ok(Account { system_id: system_id.to_owned(), password: password.to_owned() })
}

/// Runs until SIGINT or SIGTERM, then says what was seen.
pub fn run(arguments: SimulateArgs) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: SimulateArgs) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulator = Simulator::start(SimulatorOptions {
        listen: arguments.listen,
        accounts: arguments.accounts,
        receipts: arguments.receipts,
        latency: arguments.latency,
        reply_with: arguments.reply_with,
        enquire_link: arguments.enquire_link,
        ..SimulatorOptions::default()
    })
    .await
    .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {}: {error}", arguments.listen)))?;
    println!("listening on {}", simulator.address());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let counts = simulator.counts();
    simulator.stop().await;
    println!("{}", sentence(&counts));
    Ok(())
}

fn sentence(counts: &Counts) -> String {
    format!(
        "{} connections, {} binds ({} refused), {} messages ({} refused), {} deliveries ({} acknowledged, {} declined)",
        counts.connections,
        counts.binds,
        counts.refused_binds,
        counts.messages,
        counts.refused,
        counts.delivered,
        counts.acknowledged,
        counts.declined
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    #[test]
    fn reads_times_and_accounts() {
        let line = Line::try_parse_from([
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--latency",
            "5ms",
            "--receipts",
            "--account",
            "a:b:c",
            "--enquire-link",
            "1m 30s",
        ])
        .unwrap()
        .simulate;
        assert_eq!(line.latency, Duration::from_millis(5));
        assert_eq!(line.enquire_link, Some(Duration::from_secs(90)));
        assert!(line.receipts);
        assert_eq!(line.accounts, [Account { system_id: "a".into(), password: "b:c".into() }]);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "5", "-5ms", "soon"] {
            assert!(duration(text).is_err(), "{text:?} was taken for a time");
        }
    }
}
