//! An account as a person reads it.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Account;
use crate::cli::showing::plain;
use crate::cli::{access, journal};
use crate::gate::evidence::{FoundMessage, FoundPart};
use crate::gate::explain::{
    Again, ExplainedMessage, ExplainedReply, ExplainedRule as Told, ExplainedSpan, ExplainedStanding, JudgedBy,
};
use crate::store::consents::Held;

pub(super) fn account(out: &mut impl Write, account: &Account, zone: &TimeZone) -> io::Result<()> {
    let clock = Clock(zone);
    match account {
        Account::Message(told) => message(out, told, clock),
        Account::Reply(told) => reply(out, told, clock),
        Account::Session(session) => journal::print_session(out, session, &|at| clock.local(at)),
        Account::Change(change) => journal::print_change(out, change, &|at| clock.local(at)),
        Account::Reading(reading) => access::print(out, reading),
    }
}

/// Tells times in the configured zone.
#[derive(Clone, Copy)]
struct Clock<'z>(&'z TimeZone);

impl Clock<'_> {
    fn local(self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
    }

    fn local_ms(self, ms: i64) -> String {
        self.local(Timestamp::from_millisecond(ms).unwrap_or_default())
    }
}

fn message(out: &mut impl Write, told: &ExplainedMessage, clock: Clock<'_>) -> io::Result<()> {
    let sent = &told.message;
    writeln!(out, "{}  {}", sent.id, clock.local(sent.received))?;
    if sent.facts.signalling_expired {
        writeln!(out, "{} of provider {}, its signalling expired", sent.operation, sent.provider)?;
    } else {
        let tls = sent.facts.tls.as_ref().map(|tls| format!(", {tls}")).unwrap_or_default();
        writeln!(
            out,
            "{} {} of provider {}, session {} from {}{tls}",
            sent.operation, sent.sequence_number, sent.provider, sent.session, sent.peer
        )?;
    }
    writeln!(out, "from {} to {}", or_dash(&sent.source), or_dash(&sent.destination))?;
    let known = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
    writeln!(out, "port {}, sender {}", known(&sent.port), known(&sent.sender))?;
    writeln!(out, "verdict {}, {}", sent.verdict, sent.status)?;
    if let Some(class) = &told.class {
        writeln!(out, "class {class}")?;
    }
    if let Some(why) = &told.unjudged {
        writeln!(out, "not judged: {why}")?;
    }
    text(out, sent, &told.spans)?;
    recipients(out, told)?;
    rules(out, told)?;
    if let Some(told) = &told.standing {
        standing(out, told, clock)?;
    }
    judged_by(out, &told.judged_by)?;
    again(out, &told.again)?;
    fate(out, sent, clock)
}

fn text(out: &mut impl Write, sent: &FoundMessage, spans: &[ExplainedSpan]) -> io::Result<()> {
    let Some(text) = &sent.text else {
        return writeln!(out, "\nno text: {}", sent.opaque.as_deref().unwrap_or_default());
    };
    writeln!(out, "\ntext\n  {}", plain(&marked(text, spans)))?;
    for span in spans {
        writeln!(out, "  {:<10} {}: {}", span.label, plain(&span.text), span.note)?;
    }
    Ok(())
}

/// The text with each place in brackets that say what it is; of places that overlap, the first.
fn marked(text: &str, spans: &[ExplainedSpan]) -> String {
    let (mut marked, mut at) = (String::with_capacity(text.len()), 0);
    for span in spans {
        let (Some(start), Some(end)) = (span.start, span.end) else { continue };
        let (Some(before), Some(within)) = (text.get(at..start), text.get(start..end)) else { continue };
        marked.push_str(before);
        marked.push_str(&format!("⟦{} {within}⟧", span.label));
        at = end;
    }
    marked.push_str(text.get(at..).unwrap_or_default());
    marked
}

fn recipients(out: &mut impl Write, told: &ExplainedMessage) -> io::Result<()> {
    if told.others.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nthe same request was for {} more", told.others.len())?;
    for other in &told.others {
        writeln!(out, "  {}  {}  {} {}", other.record, other.destination, other.verdict, other.status)?;
    }
    Ok(())
}

fn rules(out: &mut impl Write, told: &ExplainedMessage) -> io::Result<()> {
    if told.rules.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nrules")?;
    for rule in &told.rules {
        let mode = rule.mode.unwrap_or("-");
        let Told { rule: id, name, outcome, why, article, .. } = rule;
        writeln!(out, "  {id} {name:<20} {mode:<8} {outcome:<14} {why} ({article})")?;
        if let Some(now) = &rule.now {
            writeln!(out, "      now {now}")?;
        }
        if matches!(rule.outcome, "failed" | "held" | "alert" | "observed") {
            writeln!(out, "      {}", rule.sentence)?;
        }
    }
    Ok(())
}

fn standing(out: &mut impl Write, told: &ExplainedStanding, clock: Clock<'_>) -> io::Result<()> {
    writeln!(out, "\nconsent of {} towards {}", told.msisdn, told.sender)?;
    let source = if told.is_recorded { "as recorded" } else { "by what had been recorded by then" };
    writeln!(out, "  then   {} ({source})", told.then)?;
    events(out, &told.then_by, clock)?;
    if told.is_same && told.then_by == told.today_by {
        return writeln!(out, "  today  the same is known of that time");
    }
    writeln!(out, "  today  {} (what is known now of that time)", told.today)?;
    events(out, &told.today_by, clock)
}

fn events(out: &mut impl Write, events: &[Held], clock: Clock<'_>) -> io::Result<()> {
    for event in events {
        let status = format!("{:?}", event.status).to_lowercase();
        let category = if event.category.is_empty() { "every category" } else { &event.category };
        writeln!(out, "         {} {status}, {category}", clock.local_ms(event.at_ms))?;
        let until = event.expires_at_ms.map(|end| clock.local_ms(end)).unwrap_or_default();
        let recorded = event.recorded_at_ms.map(|at| clock.local_ms(at)).unwrap_or_default();
        let hash = event.sha256.as_ref().map(ToString::to_string).unwrap_or_default();
        let told = [
            ("method", &event.method),
            ("until", &until),
            ("frequency", &event.frequency),
            ("wording", &event.wording),
            ("evidence", &event.evidence),
            ("sha256", &hash),
            ("recorded by", &event.recorded_by),
            ("recorded at", &recorded),
        ];
        for (name, value) in told.into_iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(out, "           {name:<12} {}", value.replace('\n', "\n                        "))?;
        }
    }
    Ok(())
}

fn judged_by(out: &mut impl Write, told: &JudgedBy) -> io::Result<()> {
    let settings = told.settings.as_deref().unwrap_or("not recorded");
    writeln!(out, "\njudged by profile {} (settings {settings}), register {}", told.profile, told.register)?;
    match told.is_same {
        Some(true) => writeln!(out, "  the configuration has the same"),
        _ => writeln!(
            out,
            "  the configuration has profile {} (settings {}), register {}",
            told.profile_now, told.settings_now, told.register_now
        ),
    }
}

fn again(out: &mut impl Write, all: &[Again]) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\njudged again")?;
    for again in all {
        let verdict = again.verdict.as_deref().unwrap_or("not judged");
        let status = again.status.as_deref().unwrap_or_default();
        let same = if again.is_same { "the same: " } else { "" };
        writeln!(out, "  by {}: {same}{verdict} {status}", again.by)?;
        for difference in &again.differs {
            writeln!(out, "    {difference}")?;
        }
    }
    Ok(())
}

fn fate(out: &mut impl Write, sent: &FoundMessage, clock: Clock<'_>) -> io::Result<()> {
    if sent.outcome.is_none() && sent.receipts.is_empty() && sent.parts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nwhat became of it")?;
    if let Some(outcome) = &sent.outcome {
        let id = outcome.message_id.as_deref().unwrap_or("-");
        writeln!(out, "  {} {} {}, message_id {id}", clock.local(outcome.at), outcome.outcome, outcome.status)?;
    }
    for receipt in &sent.receipts {
        writeln!(out, "  {} receipt {}", clock.local(receipt.received), receipt.state.as_deref().unwrap_or("-"))?;
    }
    if let (Some(state), Some(at)) = (&sent.final_state, sent.final_at) {
        writeln!(out, "  {} ended {state}", clock.local(at))?;
    }
    sent.parts.iter().try_for_each(|told| part(out, told, clock))
}

fn part(out: &mut impl Write, part: &FoundPart, clock: Clock<'_>) -> io::Result<()> {
    let end = match (&part.outcome, &part.reported) {
        (Some(outcome), _) => format!("{} {}", outcome.outcome, outcome.status),
        (None, Some(state)) => format!("reported {state}"),
        (None, None) => "not forwarded".to_owned(),
    };
    let name = part.message_id.as_ref().map(|id| format!(", acknowledged as {id}")).unwrap_or_default();
    writeln!(
        out,
        "  part {} came {} over session {} as {}{name}: {end}",
        part.number,
        clock.local(part.received),
        part.session,
        part.sequence_number
    )
}

fn reply(out: &mut impl Write, told: &ExplainedReply, clock: Clock<'_>) -> io::Result<()> {
    let came = &told.delivery;
    writeln!(out, "{}  {}", came.id, clock.local(came.received))?;
    let class = told.port_class.map(|class| format!(", a {class} port")).unwrap_or_default();
    writeln!(out, "from {} to {}{class}, for provider {}", came.source, came.destination, came.provider)?;
    writeln!(out, "\ntext\n  {}", plain(came.text.as_deref().or(came.opaque.as_deref()).unwrap_or_default()))?;
    writeln!(out, "\ntaken for\n  {}", told.taken)?;
    if let Some(heard) = &told.heard {
        writeln!(out, "\nread again\n  {heard}")?;
    }
    if let Some(last) = &told.answers {
        writeln!(out, "  the last message from the port was {} of {}", last.id, clock.local(last.received))?;
        writeln!(out, "    {}", plain(last.text.as_deref().unwrap_or("(no text)")))?;
    }
    if let Some(again) = &told.again {
        writeln!(out, "  {again}")?;
    }
    if !told.events.is_empty() {
        writeln!(out, "\nstored")?;
        for event in &told.events {
            writeln!(out, "  towards {}", event.sender)?;
            events(out, std::slice::from_ref(event), clock)?;
        }
    }
    Ok(())
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(label: &'static str, place: Option<(usize, usize)>) -> ExplainedSpan {
        let (start, end) = place.unzip();
        ExplainedSpan { label, start, end, text: String::new(), note: String::new() }
    }

    #[test]
    fn places_are_marked_in_order_and_none_twice() {
        let spans = [
            span("signature", Some((0, 6))),
            span("phone", Some((8, 11))),
            span("contact", Some((9, 12))),
            span("x", None),
        ];
        assert_eq!(marked("[Shop] 4001 ok", &spans), "⟦signature [Shop]⟧ 4⟦phone 001⟧ ok");
        assert_eq!(marked("青禾", &[span("x", Some((1, 2)))]), "青禾");
    }
}
