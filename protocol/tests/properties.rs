//! Properties of the codec: octets to values and back, values to octets and back.

#[expect(unreachable_pub, reason = "the fuzz targets share these files")]
#[path = "support/checks.rs"]
mod checks;
#[expect(unreachable_pub, reason = "the fuzz targets share these files")]
#[path = "support/values.rs"]
mod values;

use portcullis_protocol::frame::DEFAULT_LIMIT;
use portcullis_protocol::time::{Absolute, Relative, SmppTime};
use portcullis_protocol::tlv::{TlvTag, Tlvs, push};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};
use proptest::collection::vec;
use proptest::prelude::*;
use values::Octets;

/// A valid PDU drawn from `seed`, as octets.
fn written(seed: &[u8]) -> (CommandId, Vec<u8>) {
    let mut octets = Octets(seed);
    let command_id = octets.command_id();
    let built = octets.build();
    let pdu = octets.pdu(command_id, &built);
    (command_id, pdu.to_frame(CommandStatus::ESME_ROK, 1).body().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn any_value_survives(seed in vec(any::<u8>(), 0..2048)) {
        let mut octets = Octets(&seed);
        let command_id = octets.command_id();
        let built = octets.build();
        let pdu = octets.pdu(command_id, &built);
        prop_assert_eq!(pdu.command_id(), command_id);
        checks::value(&pdu);
    }

    #[test]
    fn any_octets_survive_if_they_can_be_read(seed in any::<u8>(), body in vec(prop_oneof![Just(0), any::<u8>()], 0..120)) {
        checks::octets(Octets(&[seed]).command_id(), &body);
    }

    #[test]
    fn a_damaged_pdu_survives_if_it_can_be_read(
        seed in vec(any::<u8>(), 0..512),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let (command_id, mut body) = written(&seed);
        for (at, octet) in damage {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = octet;
            }
        }
        checks::octets(command_id, &body);
        checks::octets(command_id, &body[..end.index(body.len() + 1)]);
    }

    #[test]
    fn a_mandatory_field_cut_short_is_a_named_fault(seed in vec(any::<u8>(), 0..256)) {
        let mut octets = Octets(&seed);
        let built = octets.build();
        for command_id in [CommandId::SUBMIT_SM, CommandId::BIND_RECEIVER] {
            let pdu = octets.pdu(command_id, &built);
            let tlvs = match pdu {
                Pdu::SubmitSm(pdu) => pdu.tlvs.as_bytes().len(),
                Pdu::BindReceiver(pdu) => pdu.tlvs.as_bytes().len(),
                _ => unreachable!("another operation was drawn"),
            };
            let frame = pdu.to_frame(CommandStatus::ESME_ROK, 1);
            let body = frame.body();
            for end in 0..body.len() - tlvs {
                let fault = Pdu::decode_body(command_id, &body[..end]).expect_err("a field is missing");
                prop_assert!(!fault.field.is_empty() && !fault.status.is_ok(), "{fault}");
            }
        }
    }

    #[test]
    fn a_stream_is_cut_at_the_same_places_however_it_arrives(
        seeds in vec(vec(any::<u8>(), 0..96), 0..6),
        rest in vec(any::<u8>(), 0..24),
        lengths in vec(1..40_usize, 1..20),
    ) {
        let mut stream = Vec::new();
        for seed in &seeds {
            let (command_id, body) = written(seed);
            let frame = Frame::new(command_id, CommandStatus::ESME_ROK, 1, &body);
            stream.extend_from_slice(frame.as_bytes());
        }
        stream.extend_from_slice(&rest);
        let mut lengths = lengths.iter().copied().cycle();
        checks::segments(&stream, DEFAULT_LIMIT, || lengths.next().unwrap_or(1));
    }

    #[test]
    fn tlvs_come_back_in_order(expected in vec((any::<u16>(), vec(any::<u8>(), 0..300)), 0..8)) {
        let mut tail = bytes::BytesMut::new();
        for (tag, value) in &expected {
            push(&mut tail, TlvTag(*tag), value);
        }
        let tlvs = Tlvs::from_bytes(&tail);
        let got: Vec<_> = tlvs.iter().map(|tlv| (tlv.tag.0, tlv.value.to_vec())).collect();
        prop_assert!(!tlvs.is_truncated());
        for (tag, _) in &expected {
            let first = expected.iter().find(|(other, _)| other == tag).map(|(_, value)| value.as_slice());
            prop_assert_eq!(tlvs.get(TlvTag(*tag)), first);
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_time_comes_back(parts in any::<[u8; 8]>()) {
        let [years, months, days, hours, minutes, seconds, tenth, quarters] = parts.map(|part| part % 100);
        let span = SmppTime::Relative(Relative { years, months, days, hours, minutes, seconds });
        prop_assert_eq!(SmppTime::parse(span.to_string().as_bytes()), Ok(Some(span)));
        let time = Absolute {
            year: years,
            month: months % 14,
            day: days % 33,
            hour: hours % 25,
            minute: minutes % 61,
            second: seconds % 61,
            tenth: tenth % 10,
            quarters: quarters.cast_signed() - 50,
        };
        let point = SmppTime::Absolute(time);
        prop_assert_eq!(SmppTime::parse(point.to_string().as_bytes()).is_ok(), time.exists());
        if time.exists() {
            prop_assert_eq!(SmppTime::parse(point.to_string().as_bytes()), Ok(Some(point)));
        }
    }

    #[test]
    fn a_time_later_in_the_day_is_a_later_instant(day in 1..29_u8, month in 1..12_u8, hour in 0..23_u8, year in 0..99_u8) {
        let time = Absolute { year, month, day, hour, minute: 0, second: 0, tenth: 0, quarters: 0 };
        let later = Absolute { hour: hour + 1, ..time };
        prop_assert_eq!(later.unix_ms() - time.unix_ms(), 3_600_000);
        let next_year = Absolute { year: year + 1, ..time };
        let days = (next_year.unix_ms() - time.unix_ms()) / 86_400_000;
        prop_assert!((365..=366).contains(&days));
    }

    #[test]
    fn no_field_is_mistaken_for_a_time_without_a_reason(field in vec(any::<u8>(), 0..20)) {
        if let Ok(Some(time)) = SmppTime::parse(&field) {
            prop_assert_eq!(time.to_string().len(), field.len());
        }
    }
}
