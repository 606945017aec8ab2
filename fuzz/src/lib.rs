//! What the fuzz targets share with the property tests: where values come from and what
//! must hold of them. Owns nothing itself. Driven by the targets in `fuzz_targets`.

#[path = "../../protocol/tests/support/checks.rs"]
pub mod checks;
#[path = "../../tests/relay_shadow/driver.rs"]
mod driver;
#[path = "../../tests/relay_shadow/shadow.rs"]
mod shadow;
#[path = "../../protocol/tests/support/values.rs"]
pub mod values;

use driver::Setup;

/// Performs on a relay what these octets say: two that begin, then three for each operation.
pub fn relay(octets: &[u8]) {
    let Some(([window, flags], operations)) = octets.split_first_chunk() else { return };
    let setup = Setup {
        window: 1 + usize::from(window % 6),
        keepalive: if flags & 1 == 0 { 0 } else { 30 },
        bound: flags & 2 == 0,
        deserted: flags & 4 != 0,
    };
    driver::run(setup, operations.as_chunks().0.iter().copied());
}
