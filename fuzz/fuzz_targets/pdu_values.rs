#![no_main]
//! Any value that can be made survives the wire.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::checks;
use portcullis_fuzz::values::Octets;

fuzz_target!(|data: &[u8]| {
    let mut octets = Octets(data);
    let command_id = octets.command_id();
    let built = octets.build();
    checks::value(&octets.pdu(command_id, &built));
});
