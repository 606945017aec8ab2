//! What a reply was taken for (R23, R24), and what it says when it is read again.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use crate::gate::again::Bench;
use crate::gate::evidence::{FoundDelivery, FoundMessage};
use crate::gate::replies::port_of;
use crate::rules::Rule;
use crate::rules::reply::{Last, Said, Scope, Taken, hear, take};
use crate::store::consents::Held;

/// The account of a reply or a receipt.
#[derive(Debug, Serialize)]
pub struct ExplainedReply {
    /// The record.
    pub delivery: FoundDelivery,
    /// The class of the port it was sent to.
    pub port_class: Option<&'static str>,
    /// What it was taken for, and the rule with its article.
    pub taken: String,
    /// What the text says by itself, read now.
    pub heard: Option<String>,
    /// The message it was read in the light of.
    pub answers: Option<FoundMessage>,
    /// What reading it again in that light comes to.
    pub again: Option<String>,
    /// The consents and refusals that quote it.
    pub events: Vec<Held>,
}

/// Accounts for a reply. `answers` is the message it was read in the light of, `events` all that is held of the subscriber.
pub fn explain_reply(
    delivery: FoundDelivery,
    answers: Option<FoundMessage>,
    events: &[Held],
    bench: Bench<'_>,
) -> ExplainedReply {
    if super::is_receipt(&delivery) {
        let of = delivery.receipt_of.as_deref().unwrap_or("an unnamed message");
        let state = delivery.state.as_deref().unwrap_or("no state");
        let taken = format!("a receipt: {state} for {of}; a receipt is never a reply");
        return ExplainedReply {
            taken,
            delivery,
            port_class: None,
            heard: None,
            answers: None,
            again: None,
            events: Vec::new(),
        };
    }
    let (port, class) = port_of(bench.register, &delivery.destination);
    let said = delivery.text.as_deref().map(|text| hear(text, bench.profile, port));
    let last = answers.as_ref().map(|message| Last {
        text: Cow::Owned(message.text.clone().unwrap_or_default()),
        at: message.received,
        answered: false,
    });
    let read = |said: &Said| take(said, class, port, last.as_ref(), bench.profile, delivery.received);
    let again = said.as_ref().map(|said| comes_to(&read(said)));
    let quotes = |event: &&Held| event.evidence.contains(&delivery.id);
    ExplainedReply {
        port_class: Some(class.name()),
        taken: taken(&delivery),
        heard: said.as_ref().map(heard),
        again,
        events: events.iter().filter(quotes).cloned().collect(),
        answers,
        delivery,
    }
}

fn taken(delivery: &FoundDelivery) -> String {
    let Some(taken) = &delivery.taken else {
        return "neither a refusal nor a consent: recorded and passed on".to_owned();
    };
    let article =
        Rule::from_id(&taken.rule).map(|rule| format!(" {} ({})", rule.name(), rule.article())).unwrap_or_default();
    let did = match taken.effect.as_str() {
        "refused" => "a refusal was stored before the reply went on, towards",
        "consented" => "a consent was stored before the reply went on, towards",
        "observed" => "only observed; it would have been stored towards",
        _ => "recorded only: on a service or public port it changes nothing",
    };
    format!("{}{article}: {did} {}", taken.rule, taken.senders.join(", ")).trim_end().to_owned()
}

fn heard(said: &Said) -> String {
    match said {
        Said::Nothing => "neither a word that refuses or agrees nor a sentence that refuses".to_owned(),
        Said::Refusal(Scope::Sender) => "a refusal by itself: a keyword, or a sentence that refuses".to_owned(),
        Said::Refusal(Scope::Provider) => "a refusal of every sender of the provider".to_owned(),
        Said::Word(_) => "a word that means what the last message from the port makes of it".to_owned(),
    }
}

fn comes_to(taken: &Taken) -> String {
    match taken {
        Taken::Refuse(Scope::Sender) => "it refuses the port's sender".to_owned(),
        Taken::Refuse(Scope::Provider) => "it refuses every sender of the provider".to_owned(),
        Taken::Grant { expires } => {
            let until: Timestamp = *expires;
            format!("it agrees, until {until:.0}, if the request had not been answered yet")
        }
        Taken::RecordOnly => "a refusal on a port whose messages go on all the same".to_owned(),
        Taken::Nothing => "it changes nothing".to_owned(),
    }
}
