//! `portcullis classify`: how much a text promotes, and how well that tells messages apart.
//!
//! Owns reading texts, from a flag or as JSON lines, and labelled files for the evaluation.
//! Refuses to look at ports, templates and declarations: those need no measuring.

mod evaluation;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, written};
use crate::config::Config;
use crate::rules::r10_class::weigh;
use crate::rules::{Class, Profile};
use evaluation::Evaluation;

/// The longest line of JSON that is read.
const LONGEST_LINE: usize = 1024 * 1024;

/// How much a text promotes, and how well that tells commercial messages from others.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis classify --text '您的快递已到驿站，取件码3-2-1234。驿站鸡蛋特价9.9元'
  portcullis classify < texts.jsonl
  portcullis classify --evaluate held-out.jsonl --errors

A JSON line is {text, id?}; its answer is {id, class, points, terms}. What is evaluated is {text, class, kind?}:
class is what the message is, commercial or any other; kind is what the figures are broken down by.
The threshold is promotion_threshold of the profile.")]
pub(super) struct ClassifyArgs {
    /// The text; without it, JSON lines are read from stdin
    #[arg(long)]
    text: Option<String>,
    /// Evaluate on labelled JSON lines: precision and recall by class, confusion, and other thresholds
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "text")]
    evaluate: Vec<PathBuf>,
    /// Print the messages that were taken for what they are not
    #[arg(long, requires = "evaluate")]
    errors: bool,
    /// The configuration whose profile holds; without it a built-in profile
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A built-in profile
    #[arg(long, value_name = "NAME", conflicts_with = "config", default_value = crate::rules::profile::DEFAULT)]
    profile: String,
}

/// A text to classify, or one whose class is known.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: Value,
    text: String,
    class: Option<String>,
    kind: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: Value,
    class: &'static str,
    points: u32,
    terms: String,
}

pub(super) fn run(args: &ClassifyArgs) -> Result<(), Failure> {
    let threshold = profile(args)?.thresholds.service;
    if !args.evaluate.is_empty() {
        return evaluate(args, threshold);
    }
    if let Some(text) = &args.text {
        let Answer { class, points, terms, .. } = answer(Value::Null, text, threshold);
        println!(
            "{class}   {points} points of {threshold}{}",
            if terms.is_empty() { String::new() } else { format!(": {terms}") }
        );
        return Ok(());
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for_each_line(Path::new("stdin"), io::stdin().lock(), |line| {
        let answer = serde_json::to_string(&answer(line.id, &line.text, threshold)).map_err(io::Error::from)?;
        written(writeln!(out, "{answer}"))
    })?;
    written(out.flush())
}

fn profile(args: &ClassifyArgs) -> Result<Profile, Failure> {
    if let Some(file) = &args.config {
        return Ok(Config::load(file).map_err(Failure::Config)?.profile);
    }
    Profile::built_in(&args.profile).ok_or_else(|| {
        let known: Vec<&str> = Profile::built_in_names().collect();
        Failure::Usage(format!("no profile is called {:?}; expected one of {}", args.profile, known.join(", ")))
    })
}

/// A text whose port would be a service port.
fn answer(id: Value, text: &str, threshold: u32) -> Answer {
    let weight = weigh(text);
    let class = if weight.points >= threshold { Class::Commercial } else { Class::Service };
    Answer { id, class: class.name(), points: weight.points, terms: weight.terms }
}

fn evaluate(args: &ClassifyArgs, threshold: u32) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut evaluation = Evaluation::new(threshold);
    for path in &args.evaluate {
        let file = File::open(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        for_each_line(path, BufReader::new(file), |line| {
            let word = line.class.unwrap_or_default();
            let Some(&(_, class)) = Class::WORDS.iter().find(|(known, _)| *known == word) else {
                return Err(Failure::Usage(format!("class {word:?} is none of commercial, service, public, personal")));
            };
            let weight = weigh(&line.text);
            let wrong = evaluation.count(class, line.kind.as_deref().unwrap_or("-"), weight.points);
            if wrong && args.errors {
                let Line { text, .. } = line;
                return written(writeln!(out, "{word}, {} points ({}): {text}", weight.points, weight.terms));
            }
            Ok(())
        })?;
    }
    written(write!(out, "{evaluation}").and_then(|()| out.flush()))
}

/// Reads JSON lines; a faulty one ends it, told with its place.
fn for_each_line(
    path: &Path,
    mut input: impl BufRead,
    mut take: impl FnMut(Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        let read = io::Read::take(&mut input, LONGEST_LINE as u64).read_until(b'\n', &mut buffer)?;
        let place = |why: String| Failure::Usage(format!("{}:{number}: {why}", path.display()));
        match read {
            0 => break,
            LONGEST_LINE if buffer.last() != Some(&b'\n') => {
                return Err(place(format!("longer than {LONGEST_LINE} octets")));
            }
            _ if buffer.trim_ascii().is_empty() => continue,
            _ => {}
        }
        let line = serde_json::from_slice(&buffer).map_err(|error| place(error.to_string()))?;
        take(line).map_err(|failure| match failure {
            Failure::Usage(why) => place(why),
            other => other,
        })?;
    }
    Ok(())
}
