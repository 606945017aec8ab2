//! R21 schedule (the gate's own): delivery and validity are within bounds the gate can answer for.
//!
//! What is scheduled too far ahead outlives consents, filings and the gate's memory of it. What is
//! refused between submission and delivery the gate cancels at the carrier: see `gate::scheduled`.

use jiff::{SignedDuration, Timestamp};
use portcullis_protocol::CommandStatus;

use super::case::Case;
use super::rule::About;
use super::verdict::{Flaw, Severity};
use super::{Code, Mode, Rule};
use crate::document::Section;

pub(super) const ABOUT: About = About {
    name: "schedule",
    article: "the gate's own",
    sentence: "Scheduled delivery and validity stay within bounds; who refuses before the delivery does not get the message.",
};

/// How long after its time a schedule still means "at once": clocks differ, and lines are slow.
const LATE: SignedDuration = SignedDuration::from_secs(60);

const SCHEDULE: Code = Code::Fixed(CommandStatus::ESME_RINVSCHED);
const VALIDITY: Code = Code::Fixed(CommandStatus::ESME_RINVEXPIRY);

/// The bounds a profile sets; none where it sets none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// From submission to delivery.
    pub schedule_at_most: Option<SignedDuration>,
    /// From submission to the end of the carrier's attempts.
    pub validity_at_most: Option<SignedDuration>,
}

impl Settings {
    pub(super) fn read(&mut self, section: &Section<'_, '_>) {
        let expected = "a length of time, like \"7d\" or \"36h\", or \"off\"";
        for (key, place) in
            [("schedule_at_most", &mut self.schedule_at_most), ("validity_at_most", &mut self.validity_at_most)]
        {
            let bound = section.parsed(key, expected, |text| match text {
                "off" => Some(None),
                text => length(text).map(Some),
            });
            *place = bound.unwrap_or(*place);
        }
    }
}

/// A day has 24 hours here: these are bounds, not dates.
fn length(text: &str) -> Option<SignedDuration> {
    let length = match text.strip_suffix('d') {
        Some(days) => SignedDuration::from_hours(days.trim().parse::<u16>().ok().map(i64::from)? * 24),
        None => text.parse().ok()?,
    };
    (SignedDuration::ZERO < length && length <= SignedDuration::from_hours(366 * 24)).then_some(length)
}

pub(super) fn check(case: &Case<'_>) -> Option<Flaw> {
    let flaw = out_of_bounds(case)?;
    // A provider's clock that is wrong must not keep a one-time password or an alert from anybody.
    let severity = if case.port_class.is_sheltered() { Severity::Alert } else { flaw.severity };
    Some(Flaw { severity, ..flaw })
}

fn out_of_bounds(case: &Case<'_>) -> Option<Flaw> {
    let (submission, now, bounds) = (case.submission, case.now, case.profile.schedule);
    let too_far = |at: Timestamp, bound: Option<SignedDuration>| bound.filter(|bound| now.duration_until(at) > *bound);
    if let Some(at) = submission.deliver_at {
        if at.duration_until(now) > LATE {
            return Some(Flaw::reject(SCHEDULE, format!("the scheduled delivery, {at:.0}, is past")));
        }
        if let Some(bound) = too_far(at, bounds.schedule_at_most) {
            return Some(Flaw::reject(
                SCHEDULE,
                format!("the scheduled delivery, {at:.0}, is more than {bound:#} ahead"),
            ));
        }
    }
    let until = submission.valid_until?;
    if until <= submission.delivery(now) {
        let what = if until <= now { "is past" } else { "comes before the scheduled delivery" };
        return Some(Flaw::reject(VALIDITY, format!("the end of its validity, {until:.0}, {what}")));
    }
    if let Some(opens) = opening(case).filter(|opens| until <= *opens) {
        let why = format!("the end of its validity, {until:.0}, comes before quiet hours end on {opens:.0}");
        return Some(Flaw::reject(VALIDITY, why));
    }
    let bound = too_far(until, bounds.validity_at_most)?;
    Some(Flaw::reject(VALIDITY, format!("the end of its validity, {until:.0}, is more than {bound:#} ahead")))
}

/// When quiet hours end for a message that they hold.
fn opening(case: &Case<'_>) -> Option<Timestamp> {
    if !case.is_marketing() || case.mode(Rule::R18) != Mode::Enforce {
        return None;
    }
    let delivery = case.submission.delivery(case.now);
    Some(case.profile.quiet_hours?.opens(delivery, &case.profile.time_zone)).filter(|opens| *opens > delivery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_days_too() {
        assert_eq!(length("7d"), Some(SignedDuration::from_hours(168)));
        assert_eq!(length("36h"), Some(SignedDuration::from_hours(36)));
        assert_eq!(length("1h 30m"), Some(SignedDuration::from_mins(90)));
        for text in ["", "d", "0d", "0s", "-1h", "7", "400d", "a week"] {
            assert_eq!(length(text), None, "{text}");
        }
    }
}
