//! A report as a person reads it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::gate::replay::{Example, MeasureStep, Report};
use crate::register::Register;
use crate::rules::Profile;

/// Ports and senders that are told one by one; JSON has them all.
const TOLD: usize = 20;

pub(super) fn report(
    out: &mut impl Write,
    report: &Report,
    profile: &Profile,
    register: &Register,
    zone: &TimeZone,
) -> io::Result<()> {
    writeln!(
        out,
        "{} messages judged again by profile {} (settings {:016x}) and register {}",
        report.messages,
        profile.name,
        u64::from_be_bytes(profile.digest()),
        register.version()
    )?;
    writeln!(out, "  unchanged {}", report.unchanged)?;
    writeln!(out, "  changed   {}", report.changed)?;
    for (why, count) in &report.unjudged {
        writeln!(out, "  {count} not judged: {why}")?;
    }
    if report.looked_up > 0 {
        writeln!(out, "  {} by what the consents had recorded by then: their records do not say", report.looked_up)?;
    }
    remarks(out, report, zone)?;
    if report.changed == 0 {
        return Ok(());
    }
    counted(out, "verdicts", &report.decisions)?;
    counted(out, "classes that differ", &report.reclassed)?;
    rules(out, report)?;
    grouped(out, "by class", &report.classes)?;
    grouped(out, "by port", &report.ports)?;
    grouped(out, "by sender", &report.senders)?;
    examples(out, &report.examples, zone)
}

/// What is not as it would have been, told whatever the result is.
fn remarks(out: &mut impl Write, report: &Report, zone: &TimeZone) -> io::Result<()> {
    let local = |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    if report.recounted > 0 {
        let since = report.counted_since.map(|at| format!(", messages from {} on", local(at))).unwrap_or_default();
        writeln!(
            out,
            "  {} had been judged by other settings: the profile's frequency (R19) is counted again{since};\n    \
             what recipients agreed to (R19) is taken over as it was found then",
            report.recounted
        )?;
        measures(out, report, &local)?;
    }
    if report.undeclared > 0 {
        writeln!(
            out,
            "  {} without the class that their provider may have declared by its class_tlv: their records do not say",
            report.undeclared
        )?;
    }
    if report.uncounted > 0 {
        writeln!(out, "  {} found no room among the counts: R19 may miss some of what came later", report.uncounted)?;
    }
    for list in &report.lists {
        writeln!(
            out,
            "  do-not-disturb list {} changed at {}: {} new, {} gone; whom it spared before is known of judged messages only",
            list.name,
            local(list.at),
            list.added,
            list.removed
        )?;
    }
    Ok(())
}

/// What became of measures by the profile's thresholds (R25).
fn measures(out: &mut impl Write, report: &Report, local: &dyn Fn(Timestamp) -> String) -> io::Result<()> {
    let Some(since) = report.measures_since else { return Ok(()) };
    writeln!(
        out,
        "    measures (R25) are counted again, from {} on, by the verdicts of now: {} steps; operators' orders and\n    \
         complaints are taken as they came, what the gate did by itself then is not",
        local(since),
        report.measure_steps
    )?;
    let told = |out: &mut dyn Write, step: &MeasureStep| {
        writeln!(out, "      {}  {} {}: {} · {}", local(step.at), step.kind, step.name, step.step, step.reason)
    };
    for step in report.measures.iter().take(TOLD) {
        told(out, step)?;
    }
    if report.measures.len() > TOLD {
        writeln!(out, "      and more, see --json")?;
    }
    if !report.measures_before.is_empty() {
        writeln!(out, "    in force from before that, and taken over, because what led to them is not counted:")?;
        report.measures_before.iter().take(TOLD).try_for_each(|step| told(out, step))?;
    }
    if report.unmeasured > 0 {
        writeln!(out, "    {} messages found no room among these counts: R25 may miss some", report.unmeasured)?;
    }
    Ok(())
}

fn counted(out: &mut impl Write, what: &str, counts: &BTreeMap<String, u64>) -> io::Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{what}")?;
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    all.into_iter().try_for_each(|(name, count)| writeln!(out, "  {count:>9}  {name}"))
}

fn rules(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "\nby rule                  newly failing  no longer  newly noted  no longer")?;
    for (rule, changes) in report.rules_by_weight() {
        writeln!(
            out,
            "  {rule} {:<20} {:>12} {:>10} {:>12} {:>10}",
            rule.name(),
            changes.newly_failing,
            changes.no_longer_failing,
            changes.newly_noted,
            changes.no_longer_noted
        )?;
    }
    Ok(())
}

fn grouped(out: &mut impl Write, what: &str, groups: &BTreeMap<String, BTreeMap<String, u64>>) -> io::Result<()> {
    writeln!(out, "\n{what}")?;
    let mut all: Vec<_> = groups.iter().map(|(name, counts)| (counts.values().sum::<u64>(), name, counts)).collect();
    all.sort_by_key(|(sum, ..)| std::cmp::Reverse(*sum));
    for (sum, name, counts) in all.iter().take(TOLD) {
        let parts: Vec<String> = counts.iter().map(|(decision, count)| format!("{decision} {count}")).collect();
        writeln!(out, "  {sum:>9}  {name:<24} {}", parts.join(", "))?;
    }
    match all.len().checked_sub(TOLD) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "             and {more} more"),
    }
}

fn examples(out: &mut impl Write, examples: &[Example], zone: &TimeZone) -> io::Result<()> {
    if examples.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nexamples (`portcullis explain RECORD` tells more)")?;
    for example in examples {
        let at = example.received.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
        let class = example.class.as_ref().map(|class| format!("  class {class}")).unwrap_or_default();
        writeln!(
            out,
            "  {}  {at}  {} -> {}  {}{class}",
            example.record, example.source, example.destination, example.decision
        )?;
        for new in &example.new {
            writeln!(out, "      new  {new}")?;
        }
        for gone in &example.gone {
            writeln!(out, "      gone {gone}")?;
        }
    }
    Ok(())
}
