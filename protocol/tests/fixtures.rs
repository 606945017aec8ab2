//! Every file of testdata/pdu is a case, written from the specification and not by the encoder under test.
//!
//! Valid PDUs decode, say what the file promises, and encode to the same octets. Malformed ones fail as the
//! file says: the frame, a named field with the status to answer, or not at all.

#[path = "fixtures/case.rs"]
mod case;
#[path = "fixtures/field.rs"]
mod field;

use std::collections::BTreeSet;

use bytes::BytesMut;
use case::Case;
use field::Value;
use portcullis_protocol::{BodyFault, CommandId, CommandStatus, Frame, FrameFault, Pdu, frame};

#[test]
fn valid_pdus() {
    let cases = case::all("valid");
    report(&cases, |case| {
        if case.expect.is_some() || case.fields.is_empty() {
            return Err("a valid PDU promises fields and expects no fault".to_owned());
        }
        survives(case)
    });
    assert!(cases.len() >= 120, "{} valid PDUs: expected at least 120", cases.len());
    let missing: Vec<_> = CommandId::ALL.iter().filter(|id| !has_case(&cases, **id)).collect();
    assert!(missing.is_empty(), "commands without a valid PDU: {missing:?}");
    println!("{} valid PDUs", cases.len());
}

#[test]
fn malformed_pdus() {
    let cases = case::all("malformed");
    report(&cases, |case| match case.expect.as_deref() {
        None => Err("a malformed PDU expects something".to_owned()),
        Some("survives") if case.fields.is_empty() => Err("what survives promises fields".to_owned()),
        Some("survives") => survives(case),
        Some(expected) => {
            let failed = fails(case)?;
            (failed == expected).then_some(()).ok_or_else(|| format!("expected {expected}, got {failed}"))
        }
    });
    let faults = cases.iter().filter(|case| case.expect.as_deref() != Some("survives")).count();
    assert!(faults >= 80, "{faults} PDUs with a fault: expected at least 80");
    println!("{} malformed PDUs, {faults} of them with a fault", cases.len());
}

#[test]
fn no_two_cases_are_the_same() {
    let mut seen = BTreeSet::new();
    for case in case::all("valid").into_iter().chain(case::all("malformed")) {
        assert!(seen.insert(case.bytes), "{}: another file has the same octets", case.name);
    }
}

/// Runs every case before it fails, so that one run tells all.
fn report(cases: &[Case], check: impl Fn(&Case) -> Result<(), String>) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| check(case).err().map(|why| format!("{}: {why}", case.name))).collect();
    assert!(failures.is_empty(), "{} of {} failed\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn has_case(cases: &[Case], id: CommandId) -> bool {
    cases.iter().any(|case| case.bytes[4..8] == id.0.to_be_bytes())
}

fn whole_frame(case: &Case) -> Result<Option<Frame>, FrameFault> {
    let mut buffer = BytesMut::from(&case.bytes[..]);
    let frame = frame::split(&mut buffer, frame::DEFAULT_LIMIT)?;
    assert!(frame.is_none() || buffer.is_empty(), "{}: octets behind the PDU", case.name);
    Ok(frame)
}

fn survives(case: &Case) -> Result<(), String> {
    let frame = whole_frame(case).map_err(|fault| fault.to_string())?.ok_or("incomplete")?;
    let pdu = Pdu::decode(&frame).map_err(|fault| fault.to_string())?;
    if case.command != frame.command_id().name().unwrap_or("unknown") || pdu.command_id() != frame.command_id() {
        return Err(format!("decoded as {:?}", frame.command_id()));
    }
    let again = pdu.to_frame(frame.command_status(), frame.sequence_number());
    if again.as_bytes() != case.bytes {
        return Err(format!("encodes to {:02x?}", again.as_bytes()));
    }
    case.fields.iter().try_for_each(|(name, promise)| {
        let promised = Value::promised(promise).ok_or_else(|| format!("{name}: {promise}: what is it?"))?;
        match field::of(&frame, &pdu, &case.settings, name) {
            Some(value) if value == promised => Ok(()),
            value => Err(format!("{name}: expected {promised:?}, got {value:?}")),
        }
    })
}

/// How a PDU fails, in the words of the files.
fn fails(case: &Case) -> Result<String, String> {
    let frame = match whole_frame(case) {
        Err(FrameFault::TooShort { .. }) => return Ok("frame too short".to_owned()),
        Err(FrameFault::TooLong { .. }) => return Ok("frame too long".to_owned()),
        Ok(None) => return Ok("incomplete".to_owned()),
        Ok(Some(frame)) => frame,
    };
    if case.command != frame.command_id().name().unwrap_or("unknown") {
        return Err(format!("is {:?}", frame.command_id()));
    }
    match Pdu::decode(&frame) {
        Err(fault) => Ok(format!("fault {}", name_of(&fault))),
        Ok(pdu) => match field::message(&pdu) {
            Some(Err(fault)) => Ok(format!("message fault {}", name_of(&fault))),
            _ => Err(format!("decodes: {pdu:?}")),
        },
    }
}

fn name_of(fault: &BodyFault) -> String {
    let BodyFault { field, fault, status } = fault;
    assert!(!field.is_empty() && !fault.is_empty() && *status != CommandStatus::ESME_ROK);
    format!("{field} {}", status.name().unwrap_or("without a name"))
}
