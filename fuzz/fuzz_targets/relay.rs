#![no_main]
//! No sequence of operations makes a relay break its word: see the shadow's header.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| portcullis_fuzz::relay(data));
