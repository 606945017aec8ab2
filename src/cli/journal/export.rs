//! `portcullis journal export`: records for somebody else, checkable without portcullis.
//!
//! Owns what goes into the folder: what was found, the entries it was found in, the consents of the subscribers
//! concerned with their evidence, the senders as registered, the heads of the days. All of it streams; what is
//! remembered is numbers, days and hashes, up to a bound. Driven by the command line and by dossiers.

mod registered;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Far, Filters};
use crate::admin::api::{Line, Request};
use crate::admin::client::Access;
use crate::admin::entries::Entry;
use crate::cli::bundle::{About, Bundle, CsvRows, Growing, at};
use crate::cli::consent::{json_of, user};
use crate::cli::showing::{self, Showing};
use crate::cli::{Failure, load};
use crate::clock;
use crate::config::Config;
use crate::gate::evidence::{Found, Query};
use crate::gate::masking::{Masking, readable, without_mobiles};
use crate::gate::open_evidence;
use crate::gate::record::Kept;
use crate::register::Register;
use crate::store::Sha256;
use crate::store::consents::{Held, Status, all_senders_of};
use crate::store::evidence_files::Found as Paper;

pub(in crate::cli) use registered::registered;

/// Subscribers remembered: some hundreds of megabytes.
const MOST: usize = 5_000_000;

/// Evidence files in a folder: the list of their hashes is signed in one piece.
const PAPERS: usize = 200_000;

/// The form of the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(in crate::cli) enum Format {
    /// records.csv
    Csv,
    /// records.jsonl and entries.jsonl
    Jsonl,
    /// All of them
    Both,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis journal export --out case-118 --to 13800138000 --whole
  portcullis journal export --out november --since 2026-11-01 --until 2026-12-01 --sender qinghe --format csv --bom

The folder has the records, what the subscribers concerned agreed to, the senders as registered, the heads of the days,
a list of all hashes and its signature. Its README.txt says how to check it with sha256sum and openssl. It grows as
DIR.partial and gets its name when it is whole. Without --whole numbers are masked, and what cannot be masked is
left out: the entries as they are kept, and the files of evidence.")]
pub(super) struct ExportArgs {
    /// The folder to make; one that is there must be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    filters: Filters,
    /// The form of the records
    #[arg(long, value_enum, default_value = "both")]
    format: Format,
    /// Begin records.csv with a byte-order mark, for Excel
    #[arg(long)]
    bom: bool,
    #[command(flatten)]
    showing: Showing,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let query = args.filters.query(&config)?;
    let register = Register::load(&config.register).map_err(Failure::Config)?;
    let mut about = About {
        kind: "export",
        made: clock::wall(),
        by: user(),
        time_zone: config.time_zone_name.clone(),
        whole: args.showing.whole,
        query: args.filters.told(),
        counts: BTreeMap::new(),
        wanting: Vec::new(),
    };
    if let (false, Some((_, number))) = (args.showing.whole, about.query.iter_mut().find(|(name, _)| *name == "to")) {
        *number = readable(number);
    }
    if !args.showing.whole {
        about.query.iter_mut().for_each(|(_, value)| *value = without_mobiles(value));
    }
    let reading = args.filters.reading(args.showing.reading("journal export"))?;
    let mut bundle = Bundle::begin(&args.out)?;
    let mut access = Access::open(&config)?;
    showing::begin(&mut access, reading.with("--out", Some(args.out.display())))?;
    let mut export = Export::new(&config, &register, &mut bundle, args.showing.whole);
    export.run(&mut access, query, args.format, args.bom)?;
    about.counts = std::mem::take(&mut export.counts);
    about.wanting = std::mem::take(&mut export.wanting);
    access.end(about.counts.values().sum())?;
    bundle.seal(&about, &mut access)?;
    let told: Vec<String> = about.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    eprintln!("{}: {}", args.out.display(), told.join(", "));
    about.wanting.iter().for_each(|what| eprintln!("warning: {what}"));
    Ok(())
}

/// What goes into a folder.
pub(in crate::cli) struct Export<'e> {
    config: &'e Config,
    register: &'e Register,
    bundle: &'e mut Bundle,
    whole: bool,
    /// The subscribers concerned, each with the senders and providers it was found with.
    subscribers: BTreeMap<u64, BTreeSet<u32>>,
    /// Senders and providers by the numbers they are remembered under.
    names: Vec<Name>,
    ports: BTreeSet<String>,
    days: BTreeSet<String>,
    /// How many of what.
    pub(in crate::cli) counts: BTreeMap<&'static str, u64>,
    /// What could not be had.
    pub(in crate::cli) wanting: Vec<String>,
}

/// Whoever subscribers speak to.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Name {
    Sender(String),
    Provider(String),
}

/// The files that records go into.
struct Files {
    rows: Option<CsvRows<Growing>>,
    records: Option<Growing>,
    entries: Option<Growing>,
}

impl<'e> Export<'e> {
    pub(in crate::cli) fn new(config: &'e Config, register: &'e Register, bundle: &'e mut Bundle, whole: bool) -> Self {
        Self {
            config,
            register,
            bundle,
            whole,
            subscribers: BTreeMap::new(),
            names: Vec::new(),
            ports: BTreeSet::new(),
            days: BTreeSet::new(),
            counts: BTreeMap::new(),
            wanting: Vec::new(),
        }
    }

    /// Writes everything but what the folder says of itself.
    pub(in crate::cli) fn run(
        &mut self,
        access: &mut Access,
        query: Query,
        format: Format,
        bom: bool,
    ) -> Result<(), Failure> {
        self.records(access, query, format, bom)?;
        let papers = self.consents(access)?;
        if self.whole {
            self.papers(&papers)?;
        }
        self.registered()?;
        self.heads()
    }

    fn records(&mut self, access: &mut Access, query: Query, format: Format, bom: bool) -> Result<(), Failure> {
        let zone = self.config.time_zone.clone();
        let (csv, jsonl) = (format != Format::Jsonl, format != Format::Csv);
        let mut files = Files {
            rows: match csv {
                true => Some(CsvRows::new(self.bundle.create("records.csv")?, bom, zone.clone())?),
                false => None,
            },
            records: jsonl.then(|| self.bundle.create("records.jsonl")).transpose()?,
            entries: (jsonl && self.whole).then(|| self.bundle.create("entries.jsonl")).transpose()?,
        };
        let (mut far, mut found, mut failed) = (Far::new(), 0, None);
        let asked = access.ask_last(&Request::Extract(query), |line| {
            let taken = match line {
                Line::Found(one) => {
                    found += 1;
                    self.take(one, &mut files)
                }
                Line::Entries(entries) => entries.iter().try_for_each(|entry| self.entry(entry, &mut files)),
                Line::Wanting(what) => {
                    self.wanting.push(what);
                    Ok(())
                }
                Line::Walked { entries, at_ms } => {
                    far.at(entries, at_ms, found, &zone);
                    Ok(())
                }
                _ => Ok(()),
            };
            failed = taken.err();
            failed.is_none()
        });
        far.end();
        asked?;
        failed.map_or(Ok(()), Err)?;
        if let Some(rows) = files.rows {
            self.bundle.finish(rows.into_inner()?)?;
        }
        [files.records, files.entries].into_iter().flatten().try_for_each(|file| self.bundle.finish(file))
    }

    /// One thing found: a row, and what else is to be looked for because of it.
    fn take(&mut self, mut found: Found, files: &mut Files) -> Result<(), Failure> {
        self.day_of(found.id());
        let kind = match &found {
            Found::Message(message) => {
                let sender = message.sender.clone().map(Name::Sender);
                let names = [sender, Some(Name::Provider(message.provider.clone()))];
                self.remember(message.msisdn, names.into_iter().flatten())?;
                if let Some(port) = message.port.as_ref().filter(|port| !self.ports.contains(*port)) {
                    self.ports.insert(port.clone());
                }
                "messages"
            }
            Found::Delivery(delivery) => {
                let msisdn = crate::rules::Msisdn::parse(&delivery.source).map(|msisdn| msisdn.0);
                let senders = delivery.taken.iter().flat_map(|taken| taken.senders.iter().cloned().map(Name::Sender));
                self.remember(msisdn, senders.chain([Name::Provider(delivery.provider.clone())]))?;
                if delivery.state.is_some() || delivery.receipt_of.is_some() { "receipts" } else { "replies" }
            }
            Found::Session(_) => "session events",
            Found::List(_) => "refreshed lists",
            Found::Change(_) => "changes",
        };
        *self.counts.entry(kind).or_default() += 1;
        if !self.whole {
            found.hide_octets();
        }
        let mut value = serde_json::to_value(&found).map_err(std::io::Error::from)?;
        self.hide(&mut value, &found.subscribers());
        if let Some(rows) = &mut files.rows {
            rows.write(&value)?;
        }
        files.records.as_mut().map_or(Ok(()), |file| file.line(&value))
    }

    fn day_of(&mut self, id: &str) {
        if let Some((day, _)) = id.split_once('-').filter(|(day, _)| !self.days.contains(*day)) {
            self.days.insert(day.to_owned());
        }
    }

    /// An entry as it is kept, in words.
    fn entry(&mut self, entry: &Entry, files: &mut Files) -> Result<(), Failure> {
        let Some(file) = &mut files.entries else { return Ok(()) };
        self.day_of(&entry.id);
        let (id, payload) = entry.read().map_err(Failure::Usage)?;
        let signalling = entry.signalling().map_err(Failure::Usage)?;
        let kept = Kept::decode(&payload, signalling.as_deref())
            .map_err(|error| Failure::Usage(format!("entry {id}: {error}")))?;
        *self.counts.entry("entries").or_default() += 1;
        file.line(&json!({
            "entry": entry.id, "record": kept.record, "content": entry.payload, "signalling": entry.signalling,
        }))
    }

    fn remember(&mut self, msisdn: Option<u64>, names: impl Iterator<Item = Name>) -> Result<(), Failure> {
        let Some(msisdn) = msisdn else { return Ok(()) };
        if self.subscribers.len() >= MOST && !self.subscribers.contains_key(&msisdn) {
            return Err(Failure::Usage(format!("more than {MOST} subscribers: export a shorter time, or one sender")));
        }
        for name in names {
            let known = self.names.iter().position(|known| *known == name);
            let number = known.unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            });
            self.subscribers.entry(msisdn).or_default().insert(u32::try_from(number).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// What the subscribers concerned said to the senders concerned; gives the hashes of the papers that prove it.
    fn consents(&mut self, access: &mut Access) -> Result<BTreeSet<Sha256>, Failure> {
        let mut file = self.bundle.create("consents.jsonl")?;
        let (mut papers, mut failed) = (BTreeSet::new(), None);
        let subscribers = std::mem::take(&mut self.subscribers);
        for (msisdn, names) in &subscribers {
            let names: Vec<&Name> = names.iter().filter_map(|number| self.names.get(*number as usize)).collect();
            let mut events = 0;
            access.ask(&Request::History(*msisdn), |line| {
                let Line::Held(held) = line else { return true };
                if !self.concerns(&held, &names) {
                    return true;
                }
                events += 1;
                papers.extend(held.sha256);
                let mut value = Value::Object(json_of(&held));
                self.hide(&mut value, &[msisdn.to_string()]);
                failed = file.line(&value).err();
                failed.is_none()
            })?;
            if let Some(failed) = failed.take() {
                return Err(failed);
            }
            *self.counts.entry("consent events").or_default() += events;
            if self.whole && papers.len() > PAPERS {
                return Err(Failure::Usage(format!("more than {PAPERS} files of evidence: export a shorter time")));
            }
        }
        self.counts.insert("subscribers", subscribers.len() as u64);
        self.bundle.finish(file)?;
        Ok(papers)
    }

    /// Whether an event was said to one of these, or ends what was said before. A subscriber's words to others
    /// are nobody's business here.
    fn concerns(&self, held: &Held, names: &[&Name]) -> bool {
        held.status == Status::HolderChange
            || names.iter().any(|name| match name {
                Name::Provider(provider) => held.sender == all_senders_of(provider),
                Name::Sender(sender) => self.id_today(&held.sender) == self.id_today(sender),
            })
    }

    /// What a sender is called now, whatever it was called before.
    fn id_today<'i>(&'i self, id: &'i str) -> &'i str {
        self.register.sender(id).map_or(id, |sender| sender.id.as_str())
    }

    /// Copies the papers, each under its hash.
    fn papers(&mut self, papers: &BTreeSet<Sha256>) -> Result<(), Failure> {
        if papers.is_empty() {
            return Ok(());
        }
        let files = open_evidence(self.config)?;
        for sha256 in papers {
            match files.read(*sha256)? {
                Ok(octets) => {
                    self.bundle.put(&format!("evidence/{sha256}"), &octets)?;
                    *self.counts.entry("evidence files").or_default() += 1;
                }
                Err(Paper::Missing) => self.wanting.push(format!("evidence file {sha256} is not there")),
                Err(_) => self.wanting.push(format!("evidence file {sha256} is not what its hash says")),
            }
        }
        Ok(())
    }

    /// The senders, ports and providers concerned, as the register has them now.
    fn registered(&mut self) -> Result<(), Failure> {
        let mut value = registered(self.register, &self.names(), &self.ports);
        value.insert("version".to_owned(), self.register.version().into());
        self.bundle.put_json("register.json", &value)
    }

    fn names(&self) -> Vec<(bool, String)> {
        let each = self.names.iter().map(|name| match name {
            Name::Sender(id) => (true, id.clone()),
            Name::Provider(id) => (false, id.clone()),
        });
        each.collect()
    }

    /// The heads of the days concerned, as far as there are any.
    fn heads(&mut self) -> Result<(), Failure> {
        let folder = self.config.data.join("heads");
        for day in std::mem::take(&mut self.days) {
            let mut revision = 1;
            while self.head(&folder, &day, revision)? {
                revision += 1;
            }
            match revision {
                1 => self.wanting.push(format!("the head of {day}, which is made when the day is over")),
                _ => *self.counts.entry("heads of days").or_default() += 1,
            }
        }
        Ok(())
    }

    /// Copies a day's head of that revision; false where there is none.
    fn head(&mut self, folder: &Path, day: &str, revision: u32) -> Result<bool, Failure> {
        let name = if revision == 1 { day.to_owned() } else { format!("{day}.{revision}") };
        let mut is_there = false;
        for name in [format!("{name}.json"), format!("{name}.sig")] {
            match std::fs::read(folder.join(&name)) {
                Ok(octets) => {
                    self.bundle.put(&format!("heads/{name}"), &octets)?;
                    is_there = true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(at(&folder.join(&name), &error)),
            }
        }
        Ok(is_there)
    }

    /// Hides these numbers, unless whole ones were asked for.
    fn hide(&self, value: &mut Value, numbers: &[String]) {
        if !self.whole {
            Masking::of(numbers).value(value);
        }
    }
}
