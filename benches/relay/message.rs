//! The messages of the load: compliant commercial ones, each with a consent.
//!
//! Owns their texts, the register that files them and the consents for their destinations. A
//! long one is three PDUs that the gate holds until it can judge the whole.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::BytesMut;
use clap::ValueEnum;
use portcullis_protocol::address::{Address, Npi, Ton};
use portcullis_protocol::command::CommandId;
use portcullis_protocol::field::{COctetString, DataCoding, EsmClass, InterfaceVersion};
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

/// 185 characters, which UCS-2 carries in three parts of 67 at most.
const LONG: &str = "【青禾鲜生】老会员专享:本周六全场水果满50减12,门店及小程序同享,数量有限,先到先得。新到云南蓝莓、海南芒果、\
                    赣南脐橙与本地草莓,当日采摘,冷链直达,不满意包退换。会员凭本条短信到店另赠时令鲜果一份,每人限领一次,\
                    赠完为止;十公里内免费配送,下单后两小时送达,遇雨雪天气顺延,请以门店公告为准,感谢您一直以来的支持。\
                    详情咨询客服400-000-0000,拒收请回复R";
/// Octets of text in one of its parts.
const PART: usize = 134;
/// Stands in the template for a message's own.
const REFERENCE: u8 = 0;

/// Which text the load sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TextKind {
    /// 160 septets, GSM 7-bit
    Gsm7,
    /// 70 characters, UCS-2
    Ucs2,
    /// Three parts, UCS-2
    Long,
}

/// A message that is copied, restamped and readdressed for each one sent.
#[derive(Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
    destinations: u64,
}

/// One of its PDUs.
#[derive(Clone)]
struct Part {
    frame: Frame,
    /// Where the destination's last digits are.
    digits: Range<usize>,
    /// Where the message's reference is, in a part of a long one.
    reference: Option<usize>,
}

impl Template {
    /// One of `kind` to `destinations` different numbers.
    pub(crate) fn new(kind: TextKind, destinations: u64) -> Self {
        let (data_coding, text) = match kind {
            TextKind::Gsm7 => (DataCoding(0), gsm7::encode(LATIN).expect("the text is of that alphabet")),
            TextKind::Ucs2 => (DataCoding(8), ucs2::encode(CHINESE)),
            TextKind::Long => (DataCoding(8), ucs2::encode(LONG)),
        };
        let pieces: Vec<&[u8]> = if kind == TextKind::Long { text.chunks(PART).collect() } else { vec![&text] };
        let total = u8::try_from(pieces.len()).expect("a few parts");
        let parts = (1..=total).zip(pieces);
        let parts = parts.map(|(number, piece)| match total {
            1 => Part::new(data_coding, EsmClass(0), piece),
            _ => {
                let message = [&[5, 0, 3, REFERENCE, total, number], piece].concat();
                let part = Part::new(data_coding, EsmClass::UDHI, &message);
                let at = part.frame.as_bytes().len() - message.len() + 3;
                Part { reference: Some(at), ..part }
            }
        });
        Self { parts: parts.collect(), destinations }
    }

    /// PDUs of a message.
    pub(crate) fn parts(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    /// Appends the message of this serial to `out`, its PDUs numbered from `sequence_number` on.
    pub(crate) fn push(&self, out: &mut BytesMut, sequence_number: u32, serial: u64) {
        // A stride coprime to any round number of destinations visits them all, far apart.
        let destination = serial.wrapping_mul(7_919) % self.destinations;
        for (part, number) in self.parts.iter().zip(sequence_number..) {
            let start = out.len();
            out.extend_from_slice(part.frame.as_bytes());
            let message = &mut out[start..];
            message[12..16].copy_from_slice(&number.to_be_bytes());
            if let Some(at) = part.reference {
                message[at] = u8::try_from(serial & 0xFF).unwrap_or(0);
            }
            let mut index = destination;
            for digit in message[part.digits.clone()].iter_mut().rev() {
                *digit = b'0' + u8::try_from(index % 10).unwrap_or(0);
                index /= 10;
            }
        }
    }
}

impl Part {
    fn new(data_coding: DataCoding, esm_class: EsmClass, short_message: &[u8]) -> Self {
        let destination = msisdn(0);
        let submit = SubmitSm {
            source: Address { ton: Ton(0), npi: Npi(1), addr: COctetString(PORT.as_bytes()) },
            destination: Address { ton: Ton(1), npi: Npi(1), addr: COctetString(destination.as_bytes()) },
            data_coding,
            esm_class,
            short_message,
            ..SubmitSm::default()
        };
        let frame = Pdu::SubmitSm(submit).to_frame(CommandStatus::ESME_ROK, 0);
        let at = frame
            .as_bytes()
            .windows(destination.len())
            .position(|window| window == destination.as_bytes())
            .expect("the destination stands in the PDU as it is");
        Self { frame, digits: at + PREFIX.len()..at + destination.len(), reference: None }
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
///
/// Its window counts PDUs, the load's messages: it takes three for each of the widest load.
pub(crate) fn register(kind: TextKind) -> String {
    let window = if kind == TextKind::Long { 300 } else { 100 };
    format!(
        "[[provider]]\nsystem_id = \"{SYSTEM_ID}\"\nports = [\"{PORT}\"]\nmode = \"enforce\"\nmax_binds = 2000\n\
         window = {window}\n\n\
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
