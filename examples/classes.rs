//! Made-up traffic with its class, as JSON lines for `portcullis classify --evaluate`.
//!
//! ```text
//! cargo run --example classes -- training  service 3000 1 > training.jsonl
//! cargo run --example classes -- held-out commercial 3000 2 > held-out.jsonl
//! ```

use std::io::{BufWriter, Write};
use std::process::ExitCode;

#[path = "../tests/classes/corpus.rs"]
mod corpus;
#[path = "../tests/classes/similar.rs"]
mod similar;
#[path = "../tests/classes/slots.rs"]
mod slots;

use corpus::{Corpus, Part};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, class, count, seed] = arguments.as_slice() else { return usage() };
    let part = match part.as_str() {
        "training" => Part::Training,
        "held-out" => Part::HeldOut,
        "exam" => Part::Exam,
        _ => return usage(),
    };
    let (Ok(count), Ok(seed)) = (count.parse(), seed.parse()) else { return usage() };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for message in Corpus::read().messages(part, class, count, seed) {
        let (class, kind) = (message.class, format!("{} {}", message.kind, message.campaign));
        let line = serde_json::json!({ "text": message.text, "class": class, "kind": kind });
        if writeln!(out, "{line}").is_err() {
            // Whoever reads may have seen enough.
            return ExitCode::SUCCESS;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: classes training|held-out|exam service|commercial COUNT SEED");
    ExitCode::from(2)
}
