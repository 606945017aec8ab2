//! PDUs as scripts write them: `submit_sm seq=5 status=0x58 body=text\0`.

use portcullis_protocol::{CommandId, CommandStatus, Frame};

const NAMES: [(&str, u32); 19] = [
    ("bind_receiver", 0x01),
    ("bind_transmitter", 0x02),
    ("query_sm", 0x03),
    ("submit_sm", 0x04),
    ("deliver_sm", 0x05),
    ("unbind", 0x06),
    ("replace_sm", 0x07),
    ("cancel_sm", 0x08),
    ("bind_transceiver", 0x09),
    ("outbind", 0x0B),
    ("enquire_link", 0x15),
    ("submit_multi", 0x21),
    ("alert_notification", 0x102),
    ("data_sm", 0x103),
    ("broadcast_sm", 0x111),
    ("query_broadcast_sm", 0x112),
    ("cancel_broadcast_sm", 0x113),
    ("generic_nack", 0x8000_0000),
    ("smpp_plus", 0x0100_0001),
];

pub(crate) fn name(command: CommandId) -> String {
    let find = |code| NAMES.iter().find(|(_, other)| *other == code).map(|(name, _)| *name);
    match (find(command.0), find(command.0 & 0x7FFF_FFFF)) {
        (Some(name), _) => name.to_owned(),
        (None, Some(name)) => format!("{name}_resp"),
        (None, None) => format!("{:#x}", command.0),
    }
}

fn code(name: &str) -> Result<u32, String> {
    let find = |name| NAMES.iter().find(|(other, _)| *other == name).map(|(_, code)| *code);
    if let Some(code) = find(name) {
        return Ok(code);
    }
    match name.strip_suffix("_resp").and_then(find) {
        Some(code) => Ok(code | 0x8000_0000),
        None => number(name),
    }
}

pub(crate) fn number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("not a number: {text}"))
}

pub(crate) fn parse(text: &str) -> Result<Frame, String> {
    let mut words = text.split_whitespace();
    let command = CommandId(code(words.next().ok_or("no operation")?)?);
    let (mut sequence, mut status, mut body) = (None, 0, Vec::new());
    for word in words {
        match word.split_once('=') {
            Some(("seq", value)) => sequence = Some(number(value)?),
            Some(("status", value)) => status = number(value)?,
            Some(("body", value)) => body = unescape(value)?,
            _ => return Err(format!("not a field: {word}")),
        }
    }
    Ok(Frame::new(command, CommandStatus(status), sequence.ok_or("no seq=")?, &body))
}

pub(crate) fn print(frame: &Frame) -> String {
    let mut line = format!("{} seq={}", name(frame.command_id()), frame.sequence_number());
    if frame.command_status() != CommandStatus(0) {
        line += &format!(" status={:#x}", frame.command_status().0);
    }
    if !frame.body().is_empty() {
        line += &format!(" body={}", escape(frame.body()));
    }
    line
}

pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        if let Some(after) = escaped.strip_prefix('0') {
            bytes.push(0);
            rest = after;
            continue;
        }
        let hex = escaped.strip_prefix('x').and_then(|hex| hex.get(..2)).ok_or("write \\0 or \\xNN")?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| "write \\xNN".to_owned())?);
        rest = &escaped[3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn escape(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&octet| match octet {
            0 => "\\0".to_owned(),
            b'\\' | 0x7F.. | ..=b' ' => format!("\\x{octet:02x}"),
            _ => char::from(octet).to_string(),
        })
        .collect()
}
