//! The thresholds of measures, as a profile's `[measures]` has them.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::Step;
use crate::document::Section;

/// From when on what is done; off where nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Refused messages among those judged.
    pub rejects: Thresholds,
    /// Complaints about messages among those sent.
    pub complaints: Thresholds,
    /// Messages of one text that was not seen before.
    pub bursts: Thresholds,
    /// From when on a text is no longer new.
    pub known_after: Duration,
    /// Messages a second that pass where one is slowed down.
    pub slow_rate: u32,
    /// How long an alert or a slow-down outlasts its cause.
    pub calm_after: Duration,
}

/// A window, what it must hold at least to mean anything, and from where on each step is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Over which time.
    pub window: Duration,
    /// The fewest messages, or complaints, of which a rate is taken.
    pub minimum: u64,
    /// For each step in millionths, or for bursts in messages.
    steps: [Option<u64>; Step::ALL.len()],
}

impl Default for Settings {
    fn default() -> Self {
        let off = |window| Thresholds { window: Duration::from_secs(window), minimum: 1, steps: [None; 3] };
        Self {
            rejects: off(600),
            complaints: off(7 * 86_400),
            bursts: off(600),
            known_after: Duration::from_secs(86_400),
            slow_rate: 1,
            calm_after: Duration::from_secs(1800),
        }
    }
}

impl Settings {
    /// Takes over what `[measures]` names.
    pub(in crate::rules) fn read(&mut self, section: &Section<'_, '_>) {
        let Some(table) = section.section("measures") else { return };
        self.rejects.read(&table, "rejects", Some(rate));
        self.complaints.read(&table, "complaints", Some(rate));
        self.bursts.read(&table, "bursts", None);
        self.known_after = period(&table, "known_after").unwrap_or(self.known_after);
        self.calm_after = period(&table, "calm_after").unwrap_or(self.calm_after);
        let rate = table.integer("slow_rate", 1..=100_000).and_then(|rate| u32::try_from(rate).ok());
        self.slow_rate = rate.unwrap_or(self.slow_rate);
        table.finish();
    }

    /// How far back what is counted for a measure may lie.
    pub fn reaches_back(&self) -> Duration {
        let bursts = self.bursts.window.max(self.known_after);
        let windows =
            [(&self.rejects, self.rejects.window), (&self.complaints, self.complaints.window), (&self.bursts, bursts)];
        windows
            .into_iter()
            .filter(|(thresholds, _)| thresholds.is_on())
            .map(|(_, window)| window)
            .max()
            .unwrap_or_default()
    }

    /// Whether anything is counted for a measure.
    pub fn is_on(&self) -> bool {
        self.rejects.is_on() || self.complaints.is_on() || self.bursts.is_on()
    }

    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Self {
        let complaints = crate::document::Complaints::new(std::path::Path::new("p.toml"), text);
        let table = crate::document::parse(text, &complaints);
        let mut settings = Self::default();
        settings.read(&Section::top(&table, &complaints));
        drop(table);
        let (faults, _) = complaints.into_parts();
        assert!(faults.is_empty(), "{faults:?}");
        settings
    }
}

/// Millionths, from a share like `5%`.
fn rate(text: &str) -> Option<u64> {
    let share = text.strip_suffix('%')?.trim();
    let (whole, fraction) = share.split_once('.').unwrap_or((share, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 4 {
        return None;
    }
    let millionths = whole.parse::<u64>().ok()? * 10_000 + format!("{fraction:0<4}").parse::<u64>().ok()?;
    (1..=1_000_000).contains(&millionths).then_some(millionths)
}

fn period(table: &Section<'_, '_>, key: &str) -> Option<Duration> {
    let period = table.duration(key)?;
    if period < Duration::from_secs(1) || period > Duration::from_secs(366 * 86_400) {
        table.fault(key, "must be from 1s to 8784h");
        return None;
    }
    Some(period)
}

impl Thresholds {
    fn read(&mut self, measures: &Section<'_, '_>, key: &str, rate: Option<fn(&str) -> Option<u64>>) {
        let Some(table) = measures.section(key) else { return };
        self.window = period(&table, "window").unwrap_or(self.window);
        if rate.is_some() {
            self.minimum = table.integer("minimum", 1..=1_000_000_000).unwrap_or(self.minimum);
        }
        for step in Step::ALL {
            if !table.contains(step.name()) {
                continue;
            }
            let off = |text: &str| (text == "off").then_some(None);
            self.steps[step as usize] = match rate {
                Some(rate) => table
                    .parsed(step.name(), "a share like \"5%\", above 0.0001% and at most 100%, or \"off\"", |text| {
                        off(text).or_else(|| rate(text).map(Some))
                    })
                    .flatten(),
                None if table.is_string(step.name()) => {
                    table.parsed(step.name(), "a number of messages, or \"off\"", off).flatten()
                }
                None => table.integer(step.name(), 2..=1_000_000_000),
            };
        }
        let mut set = Step::ALL.into_iter().filter_map(|step| Some((step, self.steps[step as usize]?)));
        if let Some(mut milder) = set.next() {
            for step in set {
                if step.1 < milder.1 {
                    table.fault(step.0.name(), format!("is less than {}, which is the milder step", milder.0));
                }
                milder = step;
            }
        }
        table.finish();
    }

    /// Of how many messages one is looked at: the lowest threshold is still hundreds of those away.
    pub fn sampling(&self) -> Option<u64> {
        const ENOUGH: u64 = 256;
        self.steps.iter().flatten().min().map(|lowest| (lowest / ENOUGH).max(1))
    }

    /// Whether any step is set.
    pub fn is_on(&self) -> bool {
        self.steps.iter().any(Option::is_some)
    }

    /// The hardest step for `bad` of `all`, where `weight` is enough to speak of a rate.
    pub(super) fn rate_step(&self, bad: u64, all: u64, weight: u64) -> Option<Step> {
        if all == 0 || weight < self.minimum {
            return None;
        }
        self.hardest(|share| u128::from(bad) * 1_000_000 >= u128::from(share) * u128::from(all))
    }

    /// The hardest step for so many.
    pub(super) fn count_step(&self, count: u64) -> Option<Step> {
        self.hardest(|most| count >= most)
    }

    fn hardest(&self, reached: impl Fn(u64) -> bool) -> Option<Step> {
        Step::ALL.into_iter().rev().find(|step| self.steps[*step as usize].is_some_and(&reached))
    }
}

/// The window, in words.
impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = SignedDuration::try_from(self.window).unwrap_or_default();
        match (window.as_secs() % 86_400, window.as_secs() / 86_400) {
            (0, days) if days > 0 => write!(f, "{days}d"),
            _ => write!(f, "{window:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_to_a_millionth() {
        assert_eq!(
            [rate("5%"), rate("0.05%"), rate("100%"), rate("0.0001%")].map(Option::unwrap),
            [50_000, 500, 1_000_000, 1]
        );
        for wrong in ["5", "0%", "100.1%", "-1%", "x%", "%", ".5%", "5.%", "0.00001%"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_harder_step_from_a_lower_threshold_is_a_fault() {
        let text =
            "[measures]\nrejects = { alert = \"20%\", suspend = \"10%\" }\nbursts = { slow = 1, alert = \"x\" }\n";
        let complaints = crate::document::Complaints::new(std::path::Path::new("p.toml"), text);
        let table = crate::document::parse(text, &complaints);
        Settings::default().read(&Section::top(&table, &complaints));
        let (faults, _) = complaints.into_parts();
        let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.key.as_str())).collect();
        assert_eq!(
            told,
            [
                (Some(2), "measures.rejects.suspend"),
                (Some(3), "measures.bursts.alert"),
                (Some(3), "measures.bursts.slow")
            ]
        );
    }
}
