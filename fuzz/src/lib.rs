//! What the fuzz targets share with the property tests: where values come from and what
//! must hold of them. Owns nothing itself. Driven by the targets in `fuzz_targets`.

#[path = "../../protocol/tests/support/checks.rs"]
pub mod checks;
#[path = "../../protocol/tests/support/values.rs"]
pub mod values;
