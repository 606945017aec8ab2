//! Decoding and encoding of `submit_sm`, beside the crates smpp34, rusmpp-core and smpp-codec.
//!
//! Every contender starts from a whole PDU in memory and ends with the header and every
//! field at hand, TLVs included: ours reads TLVs when asked, so it walks them here; the
//! others build a list. rusmpp-core is taken in its borrowing form. Encoding starts from a
//! value and ends with a whole PDU in a fresh buffer of its own (`encode`) or in a buffer
//! used again (`encode_again`; smpp34 has no such way).

use bytes::BytesMut;
use divan::{Bencher, black_box};
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::field::{COctetString, RegisteredDelivery};
use portcullis_protocol::pdu::SubmitSm;
use portcullis_protocol::tlv::{self, TlvTag, Tlvs};
use portcullis_protocol::{CommandStatus, Frame, Pdu, frame};
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use rusmpp_core::encode::{Encode, Length};
use smpp_codec::pdus::SubmitSmRequest;
use smpp34::{CommandHeader, submit_sm};

const TEXT: &[u8; 160] = b"[Qinghe] Members this Saturday: 12 off every 50 in all shops and in the app. \
                           Call 400-000-0000 with any question; reply R to refuse, at no cost. Welcome back 2!";
const CASES: [&str; 2] = ["160 octets", "5 TLVs"];
/// Room for the TLVs in rusmpp-core's list of fixed capacity.
const CAPACITY: usize = 8;

fn main() {
    divan::main();
}

/// A whole PDU: 160 octets of text, then five TLVs where the case asks for them.
fn pdu(case: &str) -> Frame {
    let mut tail = BytesMut::new();
    if case == CASES[1] {
        tlv::push(&mut tail, TlvTag::USER_MESSAGE_REFERENCE, &[0x12, 0x34]);
        tlv::push(&mut tail, TlvTag::SAR_MSG_REF_NUM, &[0x00, 0x07]);
        tlv::push(&mut tail, TlvTag::SAR_TOTAL_SEGMENTS, &[0x02]);
        tlv::push(&mut tail, TlvTag::SAR_SEGMENT_SEQNUM, &[0x01]);
        tlv::push(&mut tail, TlvTag::DESTINATION_PORT, &[0x15, 0xB3]);
    }
    let submission = SubmitSm {
        service_type: COctetString(b"CMT"),
        source: Address::new(Ton::NETWORK_SPECIFIC, Npi::ISDN, b"1069000100"),
        destination: Address::new(Ton::INTERNATIONAL, Npi::ISDN, b"8613800138000"),
        validity_period: COctetString(b"000002000000000R"),
        registered_delivery: RegisteredDelivery::RECEIPT,
        short_message: TEXT,
        tlvs: Tlvs::from_bytes(&tail),
        ..SubmitSm::default()
    };
    Pdu::SubmitSm(submission).to_frame(CommandStatus::ESME_ROK, 1)
}

fn rusmpp_command(octets: &[u8]) -> Command<'_, CAPACITY> {
    Command::decode(&octets[4..], octets.len() - 4).expect("rusmpp-core reads the PDU").0
}

fn smpp34_submit(octets: &[u8]) -> submit_sm {
    let header = CommandHeader::decode(octets).expect("smpp34 reads the header");
    submit_sm::decode(header, octets).expect("smpp34 reads the body")
}

#[divan::bench_group]
mod decode {
    use super::*;

    #[divan::bench(args = CASES)]
    fn portcullis(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        bencher.bench(|| {
            let frame = black_box(&frame);
            let Ok(Pdu::SubmitSm(submission)) = Pdu::decode(frame) else { panic!("another operation came back") };
            submission.tlvs.iter().for_each(|tlv| _ = black_box(tlv));
            (frame.header(), submission)
        });
    }

    /// The same, from the stream's buffer: split, header, body.
    #[divan::bench(args = CASES)]
    fn portcullis_with_split(bencher: Bencher, case: &str) {
        let octets = pdu(case);
        bencher.with_inputs(|| BytesMut::from(octets.as_bytes())).bench_values(|mut buffer| {
            let Ok(Some(frame)) = frame::split(&mut buffer, frame::DEFAULT_LIMIT) else { panic!("no PDU came back") };
            Pdu::decode(&frame).map(|pdu| _ = black_box(pdu)).ok();
            (buffer, frame)
        });
    }

    #[divan::bench(args = CASES)]
    fn smpp34(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        bencher.bench(|| smpp34_submit(black_box(frame.as_bytes())));
    }

    #[divan::bench(args = CASES)]
    fn rusmpp_core(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        bencher.bench(|| drop(black_box(rusmpp_command(black_box(frame.as_bytes())))));
    }

    #[divan::bench(args = CASES)]
    fn smpp_codec(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        bencher.bench(|| SubmitSmRequest::decode(black_box(frame.as_bytes())));
    }
}

#[divan::bench_group]
mod encode {
    use super::*;

    #[divan::bench(args = CASES)]
    fn portcullis(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let pdu = Pdu::decode(&frame).expect("the PDU reads");
        bencher.bench(|| black_box(&pdu).to_frame(CommandStatus::ESME_ROK, 1));
    }

    #[divan::bench(args = CASES)]
    fn smpp34(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let submission = smpp34_submit(frame.as_bytes());
        bencher.with_inputs(|| submission.clone()).bench_values(submit_sm::encode);
    }

    #[divan::bench(args = CASES)]
    fn rusmpp_core(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let command = rusmpp_command(frame.as_bytes());
        bencher.bench(|| {
            let command = black_box(&command);
            let length = 4 + command.length();
            let mut out = vec![0; length];
            out[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            command.encode(&mut out[4..]);
            out
        });
    }

    #[divan::bench(args = CASES)]
    fn smpp_codec(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let submission = SubmitSmRequest::decode(frame.as_bytes()).expect("smpp-codec reads the PDU");
        bencher.bench(|| {
            let mut out = Vec::new();
            black_box(&submission).encode(&mut out).expect("smpp-codec writes the PDU");
            out
        });
    }
}

#[divan::bench_group]
mod encode_again {
    use super::*;

    #[divan::bench(args = CASES)]
    fn portcullis(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let pdu = Pdu::decode(&frame).expect("the PDU reads");
        let mut out = BytesMut::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            black_box(&pdu).encode_frame(CommandStatus::ESME_ROK, 1, &mut out);
            black_box(&out);
        });
    }

    #[divan::bench(args = CASES)]
    fn rusmpp_core(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let command = rusmpp_command(frame.as_bytes());
        let mut out = [0; 512];
        bencher.bench_local(|| {
            let command = black_box(&command);
            let length = 4 + command.length();
            out[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            command.encode(&mut out[4..]);
            black_box(&out);
        });
    }

    #[divan::bench(args = CASES)]
    fn smpp_codec(bencher: Bencher, case: &str) {
        let frame = pdu(case);
        let submission = SubmitSmRequest::decode(frame.as_bytes()).expect("smpp-codec reads the PDU");
        let mut out = Vec::with_capacity(512);
        bencher.bench_local(|| {
            out.clear();
            black_box(&submission).encode(&mut out).expect("smpp-codec writes the PDU");
            black_box(&out);
        });
    }
}
