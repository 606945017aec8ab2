//! What passed the taps, as a capture file that tshark reads.
//!
//! Owns the pcap and TCP framing around the octets that went over the real sockets; needs
//! no privilege to capture.

use std::path::Path;
use std::process::Command;

use crate::party::Passed;

/// LINKTYPE_RAW: packets begin with their IP header.
const RAW_IP: u32 = 101;
/// The port under which the tapped listener appears, SMPP's own.
const SMPP: u16 = 2775;

/// What tshark calls the packets it finds fault with.
pub(crate) const FAULTS: &str = "_ws.malformed || _ws.expert.severity == error";

/// A capture file's octets.
pub(crate) fn pcap(passed: &[Passed]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4 as two 16-bit numbers, UTC, accuracy, longest packet, link type.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, RAW_IP] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for (at, octets) in passed.iter().enumerate() {
        let sent = |forth: bool| -> usize {
            let earlier = passed[..at].iter().filter(|p| p.connection == octets.connection && p.forth == forth);
            1 + earlier.map(|p| p.octets.len()).sum::<usize>()
        };
        let packet = packet(octets, sent(octets.forth), sent(!octets.forth));
        let length = u32::try_from(packet.len()).expect("a short packet");
        let at = u32::try_from(at).expect("a short capture");
        for word in [at / 1_000, at % 1_000 * 1_000, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

/// The octets in a TCP segment in an IPv4 packet; checksums 0, which tshark does not check.
fn packet(passed: &Passed, sent: usize, received: usize) -> Vec<u8> {
    let (near, far) = (([127, 0, 0, 2], 40_000 + passed.connection), ([127, 0, 0, 1], SMPP));
    let (from, to) = if passed.forth { (near, far) } else { (far, near) };
    let length = u16::try_from(40 + passed.octets.len()).expect("a short segment");
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&from.0);
    packet.extend_from_slice(&to.0);
    packet.extend_from_slice(&from.1.to_be_bytes());
    packet.extend_from_slice(&to.1.to_be_bytes());
    for number in [sent, received] {
        packet.extend_from_slice(&u32::try_from(number).expect("a short stream").to_be_bytes());
    }
    // Data offset 5 words, PSH and ACK, window 65535, no checksum, nothing urgent.
    packet.extend_from_slice(&[0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend_from_slice(&passed.octets);
    packet
}

/// The values of `field` in the packets that `filter` selects.
pub(crate) fn tshark(capture: &Path, filter: &str, field: &str) -> Vec<String> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(["-Y", filter, "-T", "fields", "-E", "aggregator=,", "-e", field])
        .output()
        .expect("tshark runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark failed: {said}");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.split(['\n', ',']).filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

/// Whether tshark is installed.
pub(crate) fn has_tshark() -> bool {
    Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success())
}
