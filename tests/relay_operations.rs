//! Any sequence of events, however little sense it makes, against the shadow of a session.
//!
//! No panic, and what the shadow holds. The fuzz target `relay` performs the same operations.

#[path = "relay_shadow/driver.rs"]
mod driver;
#[path = "relay_shadow/shadow.rs"]
mod shadow;

use driver::{Operation, Setup};
use proptest::collection::vec;
use proptest::prelude::*;

fn setups() -> impl Strategy<Value = Setup> {
    let keepalive = prop_oneof![Just(0_u64), Just(30)];
    (1_usize..6, keepalive, any::<bool>(), any::<bool>()).prop_map(|(window, keepalive, bound, deserted)| Setup {
        window,
        keepalive,
        bound,
        deserted,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_the_invariants(
        setup in setups(),
        operations in vec(any::<Operation>(), 0..300),
    ) {
        driver::run(setup, operations);
    }
}
