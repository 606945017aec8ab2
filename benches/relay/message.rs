//! The messages of the load: compliant commercial ones, each with a consent.
//!
//! Owns their texts, the register that files them and the consents for their destinations.

use std::fmt::Write as _;

use bytes::BytesMut;
use clap::ValueEnum;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::command::CommandId;
use portcullis_protocol::field::{COctetString, DataCoding, InterfaceVersion};
use portcullis_protocol::frame::Frame;
use portcullis_protocol::pdu::{Bind, Pdu, SubmitSm};
use portcullis_protocol::status::CommandStatus;
use portcullis_protocol::text::{gsm7, ucs2};

/// Who binds.
pub(crate) const SYSTEM_ID: &str = "bench";
/// The commercial port all messages come from.
const PORT: &str = "10690001230801";
/// What every destination begins with; eight digits follow.
const PREFIX: &str = "86138";
/// Exactly 160 septets of the GSM 7-bit default alphabet: each bracket takes two.
const LATIN: &str = "[QingheFresh] Members only - this Saturday every fruit 12 off from 50, in all shops and our \
                     app, while stock lasts. Call 400-000-0000. Reply TD to unsubscribe";
/// Exactly 70 characters, all a single UCS-2 PDU holds.
const CHINESE: &str = "【青禾鲜生】老会员专享:本周六全场水果满50减12,门店及小程序同享,数量有限,先到先得。详情咨询客服400-000-0000,拒收请回复R";

/// Which text the load sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TextKind {
    /// 160 septets, GSM 7-bit
    Gsm7,
    /// 70 characters, UCS-2
    Ucs2,
}

/// A submit_sm that is copied, restamped and readdressed for each message.
#[derive(Clone)]
pub(crate) struct Template {
    frame: Frame,
    digits: std::ops::Range<usize>,
    destinations: u64,
}

impl Template {
    /// One of `kind` to `destinations` different numbers.
    pub(crate) fn new(kind: TextKind, destinations: u64) -> Self {
        let (data_coding, text) = match kind {
            TextKind::Gsm7 => (DataCoding(0), gsm7::encode(LATIN).expect("the text is of that alphabet")),
            TextKind::Ucs2 => (DataCoding(8), ucs2::encode(CHINESE)),
        };
        let destination = msisdn(0);
        let submit = SubmitSm {
            source: Address { ton: Ton(0), npi: Npi(1), addr: COctetString(PORT.as_bytes()) },
            destination: Address { ton: Ton(1), npi: Npi(1), addr: COctetString(destination.as_bytes()) },
            data_coding,
            short_message: &text,
            ..SubmitSm::default()
        };
        let frame = Pdu::SubmitSm(submit).to_frame(CommandStatus::ESME_ROK, 0);
        let at = frame
            .as_bytes()
            .windows(destination.len())
            .position(|window| window == destination.as_bytes())
            .expect("the destination stands in the PDU as it is");
        Self { frame, digits: at + PREFIX.len()..at + destination.len(), destinations }
    }

    /// Appends the message of this serial to `out`.
    pub(crate) fn push(&self, out: &mut BytesMut, sequence_number: u32, serial: u64) {
        let start = out.len();
        out.extend_from_slice(self.frame.as_bytes());
        let message = &mut out[start..];
        message[12..16].copy_from_slice(&sequence_number.to_be_bytes());
        // A stride coprime to any round number of destinations visits them all, far apart.
        let mut index = serial.wrapping_mul(7_919) % self.destinations;
        for digit in message[self.digits.clone()].iter_mut().rev() {
            *digit = b'0' + u8::try_from(index % 10).unwrap_or(0);
            index /= 10;
        }
    }
}

/// The bind_transceiver that opens every connection of the load.
pub(crate) fn bind() -> Frame {
    let bind = Bind {
        system_id: COctetString(SYSTEM_ID.as_bytes()),
        password: COctetString(b"secret"),
        interface_version: InterfaceVersion::V3_4,
        ..Bind::default()
    };
    let frame = Pdu::BindTransceiver(bind).to_frame(CommandStatus::ESME_ROK, 1);
    debug_assert_eq!(frame.command_id(), CommandId::BIND_TRANSCEIVER);
    frame
}

fn msisdn(index: u64) -> String {
    format!("{PREFIX}{index:08}")
}

/// The register that files the messages' sender.
pub(crate) fn register() -> String {
    format!(
        "[[provider]]\nsystem_id = \"{SYSTEM_ID}\"\nports = [\"{PORT}\"]\nmode = \"enforce\"\nmax_binds = 2000\n\n\
         [[sender]]\nid = \"qinghe\"\nname = \"青禾鲜生商贸有限公司\"\ncredential = \"91310000TEST000001\"\n\
         signatures = [\"青禾鲜生\", \"QingheFresh\"]\nphones = [\"400-000-0000\"]\n\n\
         [[port]]\nnumber = \"{PORT}\"\nclass = \"commercial\"\nsender = \"qinghe\"\n"
    )
}

/// A consent of every destination, as `portcullis consent import` reads them.
pub(crate) fn consents(destinations: u64) -> String {
    let mut csv = String::from("msisdn,sender,category,status,at,method,evidence,expires_at\n");
    for index in 0..destinations {
        let _infallible =
            writeln!(csv, "{},qinghe,marketing,consent,2026-01-05T09:00:00+08:00,web,form 2026-01,", msisdn(index));
    }
    csv
}
