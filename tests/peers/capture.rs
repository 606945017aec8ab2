//! What passed the taps, as a capture file that tshark reads.
//!
//! Owns the pcap and TCP framing around the octets that went over the real sockets; needs
//! no privilege to capture.

use std::process::Command;

use crate::party::loudly;
use crate::wire::{Passed, Tap};

/// LINKTYPE_RAW: packets begin with their IP header.
const RAW_IP: u32 = 101;
/// The port under which the tapped listener appears, SMPP's own.
const SMPP: u16 = 2775;

/// How tshark writes an expert's remark that is an error.
const SEVERITY_ERROR: &str = "8388608";

/// A capture file's octets.
fn pcap(passed: &[Passed]) -> Vec<u8> {
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

/// What tshark made of a capture.
pub(crate) struct Decoded {
    /// The `command_id` of each PDU.
    commands: Vec<String>,
    /// The packets it finds fault with.
    pub(crate) faults: Vec<String>,
}

/// Runs tshark over everything that passed.
pub(crate) fn decode(passed: &[Passed]) -> Decoded {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("capture.pcap");
    std::fs::write(&file, pcap(passed)).expect("a capture file");
    let fields = ["frame.number", "smpp.command_id", "_ws.malformed", "_ws.expert.severity"];
    let output = Command::new("tshark")
        .arg("-r")
        .arg(&file)
        .args(["-T", "fields", "-E", "aggregator=,"])
        .args(fields.into_iter().flat_map(|field| ["-e", field]))
        .output()
        .expect("tshark runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark failed: {said}");
    let mut decoded = Decoded { commands: Vec::new(), faults: Vec::new() };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [number, commands, malformed, severities] = columns[..] else { panic!("tshark wrote {line:?}") };
        decoded.commands.extend(commands.split(',').filter(|command| !command.is_empty()).map(str::to_owned));
        if !malformed.is_empty() || severities.split(',').any(|severity| severity == SEVERITY_ERROR) {
            decoded.faults.push(number.to_owned());
        }
    }
    decoded
}

/// Whether tshark is installed; else a loud line.
pub(crate) fn has_tshark() -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        loudly("no tshark to decode what passed");
    }
    there
}

/// What tshark makes of a tap: no fault, and this many of each operation.
pub(crate) fn assert_decodes(leg: &str, tap: &Tap, counts: &[(&str, usize)]) {
    let Decoded { commands, faults } = decode(&tap.passed());
    assert!(faults.is_empty(), "{leg} leg: faults in packets {faults:?}");
    for (command, wanted) in counts {
        let found = commands.iter().filter(|found| found == command).count();
        assert_eq!(found, *wanted, "{leg} leg: {command} in {commands:?}");
    }
}

/// tshark sees both legs' messages in one go, and no fault.
pub(crate) fn assert_both_decode(provider_leg: &Tap, carrier_leg: &Tap) {
    let mut passed = provider_leg.passed();
    let connections = passed.iter().map(|passed| passed.connection + 1).max().unwrap_or(0);
    passed.extend(carrier_leg.passed().into_iter().map(|mut other| {
        other.connection += connections;
        other
    }));
    let Decoded { commands, faults } = decode(&passed);
    assert!(faults.is_empty(), "faults in packets {faults:?} of {passed:02x?}");
    assert!(commands.iter().any(|command| command == "0x00000004"), "no submit_sm in {commands:?}");
}
