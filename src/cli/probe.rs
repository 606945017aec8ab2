//! `portcullis probe`: whether a refusal sent to a port would be honoured.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, load};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::gate::Probe;

/// Sends a synthetic reply through the running gate, in the name of a number that nobody has.
#[derive(Args, Debug)]
#[command(after_help = "The reply is read, recorded, judged and stored as a subscriber's is, and goes to no provider.
The exit code is 0 where the keyword would be honoured.

Examples:
  portcullis probe --port 10690001230801
  portcullis probe --port 10690001230801 --keyword TD --json")]
pub(super) struct ProbeArgs {
    /// The configuration of the gate that runs
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// The number that the reply is sent to
    #[arg(long, value_name = "NUMBER")]
    port: String,
    /// What it says
    #[arg(long, default_value = "R")]
    keyword: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ProbeArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let mut probe = None;
    let request = Request::Probe { port: args.port.clone(), keyword: args.keyword.clone() };
    Access::gate(&config)?.ask(&request, |line| {
        if let Line::Probe(found) = line {
            probe = Some(found);
        }
        true
    })?;
    let Some(probe) = probe else {
        return Err(Failure::Usage("the running gate gave no answer to the probe".to_owned()));
    };
    if args.json {
        println!("{}", serde_json::to_string(&probe).map_err(std::io::Error::from)?);
    } else {
        print(&probe);
    }
    if probe.honoured {
        return Ok(());
    }
    Err(Failure::Usage(format!("{} is not honoured on {}", probe.keyword, probe.port)))
}

fn print(probe: &Probe) {
    for step in &probe.steps {
        let mark = if step.good { "ok" } else { "no" };
        println!("{mark}  {:<9} {}", step.of, step.found);
    }
    if probe.honoured {
        println!("{} is honoured on {}", probe.keyword, probe.port);
    }
}
