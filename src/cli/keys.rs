//! `portcullis keys`: making a master key, showing what keys there are, and changing the master.
//!
//! Owns the printing. Refuses to print a key. Works through the running gate, or on the store where
//! none runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Failure, load};
use crate::admin::api::{KeyRing, Line, Request};
use crate::admin::client::Access;
use crate::store::keys::{MASTER_VARIABLE, Master};

/// The keys that everything kept is sealed with.
#[derive(Args, Debug)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Makes a master key's file, readable by you alone; one that is there is left as it is
    New(NewArgs),
    /// Shows what keys there are, and by which master key they are wrapped
    List(ListArgs),
    /// Wraps all keys anew under another master key; what they sealed stays as it is
    Rotate(RotateArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis keys new /etc/portcullis/master.key        # then: [keys] master = \"/etc/portcullis/master.key\"")]
struct NewArgs {
    /// The file to make
    file: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis keys list --config portcullis.toml")]
struct ListArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:
  portcullis keys new /etc/portcullis/master-2027.key
  portcullis keys rotate --to /etc/portcullis/master-2027.key --config portcullis.toml
Then name the new file under [keys], or give it in the environment, before the next start.
A rotation that was cut short is given again, with the old master key configured.")]
struct RotateArgs {
    /// The new master key's file
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The configuration, which still names the old one
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    match &args.command {
        Command::New(args) => new(args),
        Command::List(args) => list(args),
        Command::Rotate(args) => rotate(args),
    }
}

fn new(args: &NewArgs) -> Result<(), Failure> {
    let master = Master::create(&args.file)?;
    println!("master key {} made in {}: keep a copy where the data is not", master.id(), args.file.display());
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let ring = ask(&args.config, &Request::Keys)?;
    if args.json {
        println!("{}", serde_json::to_string(&ring).map_err(std::io::Error::from)?);
        return Ok(());
    }
    println!("{} keys in {}, wrapped by the master key {}", ring.names.len(), ring.dir.display(), ring.master);
    ring.names.iter().for_each(|name| println!("  {name}"));
    Ok(())
}

fn rotate(args: &RotateArgs) -> Result<(), Failure> {
    // A running gate has another working directory.
    let to = std::path::absolute(&args.to)?;
    let ring = ask(&args.config, &Request::RotateKeys(to))?;
    println!("{} keys wrapped anew by the master key {}", ring.wrapped, ring.master);
    println!("name it under [keys] master, or in {MASTER_VARIABLE}, before the next start");
    Ok(())
}

fn ask(config: &std::path::Path, request: &Request) -> Result<KeyRing, Failure> {
    let mut ring = None;
    Access::open(&load(config)?)?.ask(request, |line| {
        if let Line::Keys(keys) = line {
            ring = Some(keys);
        }
        true
    })?;
    ring.ok_or_else(|| Failure::Usage("the running gate does not know of keys: another version?".to_owned()))
}
