#![no_main]
//! Any octets as any operation's body: what can be read is written back octet for octet,
//! reads the same again, and is forwarded with its sequence number changed alone.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::checks;
use portcullis_fuzz::values::Octets;

fuzz_target!(|data: &[u8]| {
    let mut octets = Octets(data);
    let command_id = octets.command_id();
    checks::octets(command_id, octets.0);
});
