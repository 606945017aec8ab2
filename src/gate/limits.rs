//! How fast a provider may send, and how fast an address may try passwords.
//!
//! Owns both measures and what is remembered for them, bounded in memory. Refuses to read a
//! clock and to wait: it says yes or no, or how long. Driven by the desks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::sessions::origin;
use crate::register::Rate;

/// The wait before the try that follows a first refusal; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest wait before a bind is looked at.
pub const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Without a refusal for this long, one of them is forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Refusals beyond these change nothing, so that all are forgiven in bounded time.
const MOST_FAILURES: u32 = 6;

/// The addresses remembered.
const MOST_ADDRESSES: usize = 10_000;

/// The providers whose allowance is remembered while they are away.
const MOST_ABSENT: usize = 1_000;

/// The addresses that tried wrong passwords lately.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    offenders: Mutex<HashMap<IpAddr, Offender>>,
}

#[derive(Clone, Copy, Debug)]
struct Offender {
    failures: u32,
    last: Instant,
}

impl Offender {
    fn failures_at(self, now: Instant) -> u32 {
        let forgiven = now.saturating_duration_since(self.last).as_secs() / FORGIVEN_AFTER.as_secs();
        self.failures.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// How long the next try from this address waits, whatever its password.
    pub(super) fn delay(&self, address: IpAddr, now: Instant) -> Duration {
        let failures = self.lock().get(&origin(address)).map_or(0, |offender| offender.failures_at(now));
        match failures {
            0 => Duration::ZERO,
            failures => FIRST_DELAY.saturating_mul(1 << (failures - 1)).min(LONGEST_DELAY),
        }
    }

    /// A try from this address was refused for who it claimed to be.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) {
        let address = origin(address);
        let mut offenders = self.lock();
        if offenders.len() >= MOST_ADDRESSES && !offenders.contains_key(&address) {
            forget(&mut offenders, now);
        }
        let offender = offenders.entry(address).or_insert(Offender { failures: 0, last: now });
        *offender = Offender { failures: (offender.failures_at(now) + 1).min(MOST_FAILURES), last: now };
    }

    /// A bind from this address was good.
    pub(super) fn succeeded(&self, address: IpAddr) {
        self.lock().remove(&origin(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Offender>> {
        self.offenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: what is forgiven goes, else whoever has been quiet for longest.
fn forget(offenders: &mut HashMap<IpAddr, Offender>, now: Instant) {
    offenders.retain(|_, offender| offender.failures_at(now) > 0);
    if offenders.len() < MOST_ADDRESSES {
        return;
    }
    if let Some(quietest) = offenders.iter().min_by_key(|(_, offender)| offender.last).map(|(address, _)| *address) {
        offenders.remove(&quietest);
    }
}

/// What one provider may still send just now, over all of its binds.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// In messages; below zero after one PDU with more recipients than a burst.
    left: f64,
    seen: Option<Instant>,
}

impl Allowance {
    /// Whether so many messages may pass now.
    pub(super) fn take(&mut self, rate: Rate, messages: u32, now: Instant) -> bool {
        let (burst, messages) = (f64::from(rate.burst), f64::from(messages));
        self.earn(rate, now);
        // A PDU with more recipients than a burst would never pass otherwise; it is paid off after.
        let passes = messages == 0.0 || self.left >= messages.min(burst);
        if passes {
            self.left -= messages;
        }
        passes
    }

    /// Whether a message may pass, which does not take it.
    pub(super) fn has(&mut self, rate: Rate, now: Instant) -> bool {
        self.earn(rate, now);
        self.left >= f64::from(rate.burst).min(1.0)
    }

    /// A message passes: of several that asked at the same moment, all are paid for.
    pub(super) fn spend(&mut self, rate: Rate, now: Instant) {
        self.earn(rate, now);
        self.left -= 1.0;
    }

    fn earn(&mut self, rate: Rate, now: Instant) {
        let burst = f64::from(rate.burst);
        self.left = match self.seen {
            Some(seen) => {
                let since = now.saturating_duration_since(seen).as_secs_f64();
                let earned = since * f64::from(rate.messages_per_second);
                (self.left + earned).min(burst)
            }
            None => burst,
        };
        self.seen = Some(now);
    }
}

/// Every provider's allowance.
#[derive(Debug, Default)]
pub(super) struct Allowances {
    table: Mutex<HashMap<String, Arc<Mutex<Allowance>>>>,
}

impl Allowances {
    /// The one all binds of this provider share.
    pub(super) fn of(&self, system_id: &str) -> Arc<Mutex<Allowance>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = table.get(system_id) {
            return Arc::clone(allowance);
        }
        if table.len() >= MOST_ABSENT {
            table.retain(|_, allowance| Arc::strong_count(allowance) > 1);
        }
        Arc::clone(table.entry(system_id.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn address(last: u32) -> IpAddr {
        IpAddr::from(0x0A00_0000_u32.wrapping_add(last).to_be_bytes())
    }

    #[test]
    fn each_wrong_password_doubles_the_wait_up_to_a_limit_and_a_good_one_ends_it() {
        let (attempts, now) = (Attempts::default(), clock::monotonic());
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(attempts.delay(address(1), now).as_millis());
            attempts.failed(address(1), now);
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(attempts.delay(address(2), now), Duration::ZERO, "another address");
        attempts.succeeded(address(1));
        assert_eq!(attempts.delay(address(1), now), Duration::ZERO);
    }

    #[test]
    fn time_forgives() {
        let (attempts, now) = (Attempts::default(), clock::monotonic());
        for _ in 0..100 {
            attempts.failed(address(1), now);
        }
        let later = |minutes: u64| attempts.delay(address(1), now + Duration::from_secs(60 * minutes)).as_millis();
        assert_eq!([later(0), later(1), later(5), later(6)], [5000, 4000, 250, 0]);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_quietest() {
        let (attempts, start) = (Attempts::default(), clock::monotonic());
        let most = u32::try_from(MOST_ADDRESSES).unwrap();
        for n in 0..most + 10 {
            attempts.failed(address(n), start + Duration::from_micros(u64::from(n)));
        }
        assert_eq!(attempts.lock().len(), MOST_ADDRESSES);
        let now = start + Duration::from_secs(1);
        assert_eq!(attempts.delay(address(9), now), Duration::ZERO);
        assert_eq!(attempts.delay(address(10), now), FIRST_DELAY);
        assert_eq!(attempts.delay(address(most + 9), now), FIRST_DELAY);
    }

    const RATE: Rate = Rate { messages_per_second: 10, burst: 5 };

    /// How many of so many tries pass at one moment.
    fn passing(allowance: &mut Allowance, tries: usize, now: Instant) -> usize {
        (0..tries).filter(|_| allowance.take(RATE, 1, now)).count()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let (mut allowance, start) = (Allowance::default(), clock::monotonic());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(passing(&mut allowance, 100, at(0)), 5);
        assert_eq!(passing(&mut allowance, 100, at(99)), 0);
        assert_eq!(passing(&mut allowance, 100, at(100)), 1);
        let in_ten_seconds: usize = (1..=1000).map(|n| passing(&mut allowance, 3, at(100 + 10 * n))).sum();
        assert!((99..=100).contains(&in_ten_seconds), "{in_ten_seconds}");
        assert_eq!(passing(&mut allowance, 100, at(1_000_000)), 5, "a pause earns no more than a burst");
    }

    #[test]
    fn each_recipient_counts_and_what_exceeds_a_burst_is_paid_off() {
        let (mut allowance, start) = (Allowance::default(), clock::monotonic());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert!(allowance.take(RATE, 3, at(0)));
        assert!(!allowance.take(RATE, 3, at(0)));
        assert!(allowance.take(RATE, 2, at(0)));
        assert!(!allowance.take(RATE, 25, at(499)), "not before the burst is there again");
        assert!(allowance.take(RATE, 25, at(501)));
        assert!(!allowance.take(RATE, 1, at(2500)));
        assert!(allowance.take(RATE, 1, at(2700)));
        assert!(allowance.take(RATE, 0, at(2700)), "a further part of a message counted before");
    }

    #[test]
    fn binds_of_one_provider_share_an_allowance() {
        let allowances = Allowances::default();
        let (one, two) = (allowances.of("agg1"), allowances.of("agg1"));
        assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &allowances.of("agg2")));
        for n in 0..2 * MOST_ABSENT {
            allowances.of(&n.to_string());
        }
        assert!(Arc::ptr_eq(&one, &allowances.of("agg1")), "kept while bound");
        assert!(allowances.table.lock().unwrap().len() <= MOST_ABSENT + 1);
    }
}
