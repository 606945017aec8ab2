//! `portcullis judge`: a dry run of the rules, for one message or for many.
//!
//! Owns the reading of requests, from flags or as JSON lines, and the printing of verdicts.
//! Refuses to send and to record anything. What the store knows comes through [`Open`].

mod request;

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::clock;
use crate::config::Config;
use crate::register::Register;
use crate::rules::{Effect, Facts, Identity, Rule, Verdict, judge};

pub use request::{Request, Standing};

/// The longest line of JSON that is read.
const LONGEST_LINE: u64 = 1024 * 1024;

/// What the store knows about the recipient, for a message that does not say.
pub type Lookup = dyn for<'r> Fn(Identity<'r>, Timestamp) -> Result<Facts<'r>, String>;

/// Opens the way to what the store knows; called once, and only when a message needs it.
pub type Open<'o> = dyn Fn(&Config) -> Result<Box<Lookup>, String> + 'o;

/// What would become of a message: nothing is sent and nothing recorded.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  portcullis judge --config portcullis.toml --source 10690001230801 --destination 8613800138000 \\
      --text '【青禾鲜生】全场8折。客服400-000-0000，拒收请回复R' --consent active
  portcullis judge --config portcullis.toml --jsonl < messages.jsonl

A JSON line is {id, source, destination, text, provider?, at?, consent?: none|active|expired|refused};
its answer is {id, verdict, rules, status, class, why}, or {id, line, error} where the line is faulty.
Without consent the store is asked. The exit code is 0 unless a line was faulty, whatever the verdicts.")]
pub struct JudgeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    pub config: PathBuf,
    /// Read messages as JSON lines from stdin, answer each with one
    #[arg(long, conflicts_with_all = ["source", "destination", "text", "provider", "at", "consent"])]
    pub jsonl: bool,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
    /// The sending number or name
    #[arg(long, required_unless_present = "jsonl")]
    pub source: Option<String>,
    /// The recipient's number
    #[arg(long, required_unless_present = "jsonl")]
    pub destination: Option<String>,
    /// The text
    #[arg(long, required_unless_present = "jsonl")]
    pub text: Option<String>,
    /// The provider's system_id; not needed where the register leaves no doubt
    #[arg(long)]
    pub provider: Option<String>,
    /// When it is sent, as 2026-11-23T10:15:00+08:00; now, unless said
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// The recipient's standing; the store is asked, unless said
    #[arg(long, value_enum)]
    pub consent: Option<Standing>,
}

/// Judges what the arguments or stdin say. Faults of the files go to stderr, one a line.
pub fn run(args: &JudgeArgs, open: &Open<'_>) -> ExitCode {
    let loaded = Config::load(&args.config).and_then(|config| Ok((Register::load(&config.register)?, config)));
    let (register, config) = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            return ExitCode::FAILURE;
        }
    };
    let mut desk = Desk { config: &config, register: &register, open, lookup: None };
    let outcome = if args.jsonl { desk.lines(io::stdin().lock(), io::stdout().lock()) } else { desk.one(args) };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faulty) => {
            eprintln!("error: {faulty} faulty {}", if faulty == 1 { "line" } else { "lines" });
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One answer, as it is printed.
#[derive(Debug, Serialize)]
pub struct Answer {
    id: Value,
    verdict: String,
    rules: Vec<&'static str>,
    status: String,
    class: &'static str,
    why: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observed: Vec<&'static str>,
}

impl Answer {
    /// Puts a verdict into the form that is printed.
    pub fn new(id: Value, verdict: &Verdict) -> Self {
        let observed = verdict.findings.iter().filter(|finding| finding.effect == Effect::Observed);
        Self {
            id,
            verdict: verdict.decision.to_string(),
            rules: verdict.rules().map(Rule::id).collect(),
            status: format!("{:#010x}", verdict.status.0).replace("0X", "0x"),
            class: verdict.class.name(),
            why: verdict.findings.iter().map(|finding| format!("{}: {}", finding.rule, finding.why)).collect(),
            observed: observed.map(|finding| finding.rule.id()).collect(),
        }
    }
}

/// A line that could not be judged.
#[derive(Debug, Serialize)]
struct Faulty {
    id: Value,
    line: usize,
    error: String,
}

struct Desk<'d> {
    config: &'d Config,
    register: &'d Register,
    open: &'d Open<'d>,
    lookup: Option<Box<Lookup>>,
}

impl Desk<'_> {
    /// Judges JSON lines, each answered as it is read; tells how many were faulty.
    fn lines(&mut self, mut input: impl BufRead, mut output: impl Write) -> Result<usize, String> {
        let mut faulty = 0;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = io::Read::take(&mut input, LONGEST_LINE).read_until(b'\n', &mut line);
            match read.map_err(|error| format!("line {number} cannot be read: {error}"))? {
                0 => break,
                read if read as u64 == LONGEST_LINE && line.last() != Some(&b'\n') => {
                    return Err(format!("line {number} is longer than {LONGEST_LINE} octets"));
                }
                _ if line.trim_ascii().is_empty() => continue,
                _ => {}
            }
            let answer = match self.line(&line) {
                Ok(answer) => serde_json::to_string(&answer),
                Err((id, error)) => {
                    faulty += 1;
                    serde_json::to_string(&Faulty { id, line: number, error })
                }
            };
            let answer = answer.map_err(|error| error.to_string())?;
            writeln!(output, "{answer}").map_err(|error| format!("stdout: {error}"))?;
        }
        Ok(faulty)
    }

    fn line(&mut self, line: &[u8]) -> Result<Answer, (Value, String)> {
        let value: Value = serde_json::from_slice(line).map_err(|error| (Value::Null, format!("no JSON: {error}")))?;
        let id = value.get("id").cloned().unwrap_or(Value::Null);
        let request: Request = serde_json::from_value(value).map_err(|error| (id.clone(), error.to_string()))?;
        let verdict = self.judge(&request).map_err(|error| (id.clone(), error))?;
        Ok(Answer::new(id, &verdict))
    }

    /// Judges the message of the flags.
    fn one(&mut self, args: &JudgeArgs) -> Result<usize, String> {
        let request = Request {
            source: args.source.clone().unwrap_or_default(),
            destination: args.destination.clone().unwrap_or_default(),
            text: args.text.clone().unwrap_or_default(),
            provider: args.provider.clone(),
            at: args.at.clone(),
            consent: args.consent,
        };
        let verdict = self.judge(&request)?;
        if args.json {
            let answer =
                serde_json::to_string(&Answer::new(Value::Null, &verdict)).map_err(|error| error.to_string())?;
            println!("{answer}");
        } else {
            print(&verdict);
        }
        Ok(0)
    }

    fn judge(&mut self, request: &Request) -> Result<Verdict, String> {
        let now = request.at()?.unwrap_or_else(clock::wall);
        let provider = request.provider(self.register)?;
        let submission = request.submission();
        let identity = self.register.identify(provider, &submission);
        let facts = match request.consent {
            Some(standing) => standing.facts(identity),
            None => self.lookup()?(identity, now)?,
        };
        Ok(judge(&submission, &facts, &self.config.profile, now))
    }

    fn lookup(&mut self) -> Result<&Lookup, String> {
        if self.lookup.is_none() {
            self.lookup = Some((self.open)(self.config)?);
        }
        self.lookup.as_deref().ok_or_else(|| "the store cannot be asked".to_owned())
    }
}

/// A verdict for a person.
fn print(verdict: &Verdict) {
    println!("{}   status {:#010x}   class {}", verdict.decision, verdict.status.0, verdict.class);
    for finding in &verdict.findings {
        let effect = match finding.effect {
            Effect::Failed => "failed",
            Effect::Held => "held",
            Effect::Alert => "alert",
            Effect::Observed => "observed",
        };
        println!("  {} {} ({}), {effect}: {}", finding.rule, finding.rule.name(), finding.rule.article(), finding.why);
        println!("      {}", finding.rule.sentence());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: &str = r#"
        [[provider]]
        system_id = "one"
        ports = ["1069"]
        [[sender]]
        id = "s"
        name = "S"
        credential = "C"
        signatures = ["青禾"]
        [[port]]
        number = "1069001"
        class = "service"
        sender = "s"
    "#;

    fn answers(input: &str) -> (usize, Vec<Value>) {
        let register = Register::parse(std::path::Path::new("r.toml"), REGISTER).unwrap();
        let config = Config::parse(std::path::Path::new("c.toml"), crate::config::SMALLEST).unwrap();
        let open = |_: &Config| -> Result<Box<Lookup>, String> {
            Ok(Box::new(|identity: Identity<'_>, _: Timestamp| Ok(Facts::new(identity))))
        };
        let mut desk = Desk { config: &config, register: &register, open: &open, lookup: None };
        let mut output = Vec::new();
        let faulty = desk.lines(input.as_bytes(), &mut output).unwrap();
        let answers = output.split(|&octet| octet == b'\n').filter(|line| !line.is_empty());
        (faulty, answers.map(|line| serde_json::from_slice(line).unwrap()).collect())
    }

    #[test]
    fn every_line_has_its_answer_in_order() {
        let (faulty, answers) = answers(concat!(
            r#"{"id": 7, "source": "1069001", "destination": "13800138000", "text": "【青禾】您的账单已出", "consent": "none"}"#,
            "\n\n{\"id\": \"b\", \"source\": 1}\nnot json\n",
            r#"{"id": "d", "source": "1069001", "destination": "13800138000", "text": "全场五折，立即抢购"}"#,
        ));
        assert_eq!(faulty, 2);
        assert_eq!(answers.len(), 4);
        assert_eq!(answers[0]["id"], 7);
        assert_eq!(answers[0]["verdict"], "forward");
        assert_eq!(answers[0]["status"], "0x00000000");
        assert_eq!(answers[0]["class"], "service");
        assert_eq!(answers[1]["id"], "b");
        assert_eq!(answers[1]["line"], 3);
        assert!(answers[1]["error"].is_string());
        assert_eq!(answers[2]["line"], 4);
        assert_eq!(answers[3]["verdict"], "reject");
        assert_eq!(answers[3]["status"], "0x00000487");
        assert_eq!(answers[3]["rules"], serde_json::json!(["R03", "R05"]));
    }
}
