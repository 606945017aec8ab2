//! `portcullis demo`: everything at work on this machine, needing nothing.
//!
//! A simulated carrier, the gate in front of it and a provider, each on a real socket; the
//! provider sends the sample traffic, and what came back is printed beside what was expected.

mod provider;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use portcullis_protocol::CommandStatus;
use serde::Deserialize;

use super::Failure;
use crate::admin::Admin;
use crate::clock;
use crate::config::Config;
use crate::gate::evidence::{self, Found, Query};
use crate::proxy::{Inherited, Proxy};
use crate::simulator::{Simulator, SimulatorOptions};
use crate::store::consents::{Event, Status};
use provider::Provider;

const REGISTER: &str = include_str!("../../testdata/demo/register.toml");
const TRAFFIC: &str = include_str!("../../testdata/demo/traffic.toml");

/// The demo's subscribers.
const SUBSCRIBERS: [(&str, u64); 3] =
    [("willing", 8_613_900_000_001), ("silent", 8_613_900_000_002), ("unwilling", 8_613_900_000_003)];

/// How long the last receipts may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A simulated carrier, the gate and sample traffic over real sockets.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis demo
  portcullis demo --stay      then send your own: any SMPP client, system_id demo, password demo-pw")]
pub(super) struct DemoArgs {
    /// Keep carrier and gate up until interrupted
    #[arg(long)]
    stay: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traffic {
    message: Vec<Message>,
}

/// One message of the demo.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    what: String,
    from: String,
    to: String,
    text: String,
    expect: String,
}

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let traffic: Traffic = toml::from_str(TRAFFIC).map_err(|error| Failure::Usage(error.to_string()))?;
    let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?;
    tokio::runtime::Runtime::new()?.block_on(show(args, &traffic, folder.path()))
}

async fn show(args: &DemoArgs, traffic: &Traffic, folder: &Path) -> Result<(), Failure> {
    let carrier = Simulator::start(SimulatorOptions { receipts: true, ..SimulatorOptions::default() }).await?;
    let config = configure(folder, &carrier.address().to_string())?;
    let proxy = Proxy::start(&config, Inherited::default(), || {}).await?;
    let admin = Admin::bind(&config.data, Arc::clone(&proxy.gate), None)?;
    let admin = tokio::spawn(admin.serve(proxy.draining()));
    subscribe(&proxy)?;
    let gate =
        proxy.addresses().first().copied().ok_or_else(|| Failure::Usage("the gate does not listen".to_owned()))?;
    println!("carrier (simulated) on {}, gate on {gate}, profile {}\n", carrier.address(), proxy.gate.profile.name);

    let unexpected = send_all(&proxy, gate, traffic).await?;
    println!(
        "\nthe carrier received {} messages; every verdict is in the journal with its grounds",
        carrier.counts().messages
    );
    if args.stay {
        println!("\nup until interrupted; the gate's configuration is {}", config.file.display());
        println!("  portcullis status --config {}", config.file.display());
        println!("  portcullis journal find --to {} --config {}", SUBSCRIBERS[0].1, config.file.display());
        tokio::signal::ctrl_c().await?;
    }
    proxy.drain().await;
    // Its end only removes the socket.
    let _ = admin.await;
    carrier.stop().await;
    if unexpected > 0 {
        return Err(Failure::Usage(format!("{unexpected} verdicts were not as expected")));
    }
    Ok(())
}

fn configure(folder: &Path, carrier: &str) -> Result<Config, Failure> {
    fs::write(folder.join("register.toml"), REGISTER)?;
    let file = folder.join("portcullis.toml");
    let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
    fs::write(
        &file,
        format!("register = \"register.toml\"\ndata = \"data\"\n\n{listen}\n[carrier]\naddresses = [\"{carrier}\"]\n"),
    )?;
    Config::load(&file).map_err(Failure::Config)
}

fn subscribe(proxy: &Proxy) -> Result<(), Failure> {
    let said = |msisdn, status, at: Timestamp| Event {
        msisdn,
        sender: "teahouse",
        status,
        at_ms: at.as_millisecond(),
        method: "web",
        evidence: "demo",
        recorded_by: "demo",
        ..Event::default()
    };
    let now = clock::wall();
    let [(_, willing), _, (_, unwilling)] = SUBSCRIBERS;
    let events = [said(willing, Status::Consent, now), said(unwilling, Status::Refusal, now)];
    proxy.gate.consents.apply(&events)?;
    Ok(())
}

/// Sends everything and prints the table; returns how many verdicts were not as expected.
async fn send_all(proxy: &Proxy, gate: std::net::SocketAddr, traffic: &Traffic) -> Result<usize, Failure> {
    let mut provider = Provider::bind(gate, "demo", "demo-pw").await?;
    println!("{:<8} {:<10} {:<14} {:<28} message", "verdict", "class", "rules", "answer");
    let mut unexpected = 0;
    for message in &traffic.message {
        let to = SUBSCRIBERS.iter().find(|(name, _)| *name == message.to).map_or(0, |(_, number)| *number);
        let (status, message_id) = provider.submit(&message.from, &to.to_string(), &message.text).await?;
        let (class, rules) = recorded(proxy, to, &message.text)?;
        let verdict = if status == CommandStatus::ESME_ROK { "forward" } else { "reject" };
        let answer =
            if verdict == "forward" { format!("message_id {message_id}") } else { format!("{:#010x}", status.0) };
        let mark = if verdict == message.expect { " " } else { "!" };
        unexpected += usize::from(verdict != message.expect);
        println!("{verdict:<7}{mark} {class:<10} {rules:<14} {answer:<28} {}", message.what);
    }
    let receipts = provider.receipts(PATIENCE).await?;
    println!("\n{receipts} delivery receipts came back through the gate");
    provider.unbind().await?;
    Ok(unexpected)
}

/// The class and the rules as the journal has them for the message just answered.
fn recorded(proxy: &Proxy, to: u64, text: &str) -> Result<(String, String), Failure> {
    let query = Query { to: Some(to.to_string()), ..Query::default() };
    let mut message = None;
    evidence::find(&proxy.gate.journal, &query, &mut |found| {
        if let Found::Message(found) = found
            && found.text.as_deref() == Some(text)
        {
            message = Some(found);
        }
        true
    })
    .map_err(|error| Failure::Usage(error.to_string()))?;
    let message =
        message.ok_or_else(|| Failure::Usage(format!("an answered message to {to} is not in the journal")))?;
    let rules: Vec<_> = message.findings.iter().map(|finding| finding.rule.as_str()).collect();
    Ok((message.class, rules.join(" ")))
}
