//! What to look for in the journal, as the command line says it.

use clap::Args;

use super::moment;
use crate::cli::Failure;
use crate::cli::showing::given;
use crate::config::Config;
use crate::gate::evidence::{Kind, Query};
use crate::gate::readings::Reading;
use crate::rules::Rule;

/// Conditions; all that are given must hold.
#[derive(Args, Debug, Default)]
pub(in crate::cli) struct Filters {
    /// The subscriber's number, in any usual form
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) to: Option<String>,
    /// The number it came from, or a reply went to, as it stood on the wire
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The registered port, whatever extension of it was used
    #[arg(long, value_name = "NUMBER")]
    port: Option<String>,
    /// The sender's id in the register; replies that were taken to speak to it, too
    #[arg(long, value_name = "ID")]
    sender: Option<String>,
    /// The provider's system_id
    #[arg(long, value_name = "SYSTEM_ID")]
    provider: Option<String>,
    /// The carrier's name for the message
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// A rule that failed, alerted or was observed (R09), or that a reply was taken for (R23, R24)
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// What was decided
    #[arg(long, value_parser = ["forward", "reject", "hold", "incomplete"])]
    verdict: Option<String>,
    /// The class of the message
    #[arg(long, value_parser = ["commercial", "service", "public", "personal"])]
    class: Option<String>,
    /// Only messages, replies, receipts of no message found, session events, refreshed lists or other changes
    #[arg(long, value_parser = ["message", "reply", "receipt", "session", "list", "change"])]
    kind: Option<String>,
    /// Part of the text, as it stands or whatever the width and case of its letters
    #[arg(long, value_name = "FRAGMENT")]
    text: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Binds and endings of sessions too, refreshed do-not-disturb lists, and every other change
    #[arg(long)]
    sessions: bool,
}

impl Filters {
    /// The question they make.
    pub(in crate::cli) fn query(&self, config: &Config) -> Result<Query, Failure> {
        let (since_ms, until_ms) = (moment(self.since.as_deref(), config)?, moment(self.until.as_deref(), config)?);
        if since_ms.zip(until_ms).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::Usage("--since must be before --until".to_owned()));
        }
        if self.text.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::Usage("--text is empty: expected part of the message's text".to_owned()));
        }
        let kind = |word: &String| Kind::WORDS.into_iter().find(|(known, _)| known == word).map(|(_, kind)| kind);
        Ok(Query {
            to: self.to.clone(),
            from: self.from.clone(),
            port: self.port.clone(),
            sender: self.sender.clone(),
            provider: self.provider.clone(),
            message_id: self.message_id.clone(),
            rule: self.rule.as_deref().map(rule).transpose()?,
            verdict: self.verdict.clone(),
            class: self.class.clone(),
            kind: self.kind.as_ref().and_then(kind),
            text: self.text.clone(),
            since_ms,
            until_ms,
            sessions: self.sessions,
            message_id_form: config.carrier.message_id,
            ..Query::default()
        })
    }

    /// The record of a reading by these conditions.
    pub(in crate::cli) fn reading(&self, reading: Reading) -> Result<Reading, Failure> {
        let to = self.to.as_deref().map(given).transpose()?;
        let rest = self.told().into_iter().filter(|(name, _)| *name != "to");
        Ok(rest
            .fold(reading.about("--to", to), |reading, (name, value)| reading.with(&format!("--{name}"), Some(value))))
    }

    /// The conditions in words, for whoever reads what came of them.
    pub(in crate::cli) fn told(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("to", &self.to),
            ("from", &self.from),
            ("port", &self.port),
            ("sender", &self.sender),
            ("provider", &self.provider),
            ("message-id", &self.message_id),
            ("rule", &self.rule),
            ("verdict", &self.verdict),
            ("class", &self.class),
            ("kind", &self.kind),
            ("text", &self.text),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given.chain(self.sessions.then(|| ("sessions", "yes".to_owned()))).collect()
    }
}

fn rule(text: &str) -> Result<String, Failure> {
    let id = text.to_ascii_uppercase();
    let known = Rule::from_id(&id).map(|rule| rule.id().to_owned());
    known.ok_or_else(|| Failure::Usage(format!("--rule {text:?}: expected R01 to R26")))
}
