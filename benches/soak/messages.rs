//! What the load sends, the register that files it and the consents of its subscribers.
//!
//! Every message has a serial number in its text, so that it can be found in the journal.
//! Numbers beginning with [`NEVER`] get only what must not reach the carrier.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use portcullis_protocol::{CommandId, Frame};

use crate::parts::{Form, Long};
use crate::provider::{OK, submit};
use crate::random::Random;

/// Holds parts until their message is whole.
pub(crate) const HOLDS: &str = "herald";
/// Has its parts acknowledged.
pub(crate) const ACKNOWLEDGED: &str = "courier";
/// The commercial port all messages come from.
pub(crate) const PORT: &str = "10690007770001";
/// Subscribers who agreed.
const WILLING: &str = "86138";
/// Subscribers whose messages offend.
pub(crate) const NEVER: &str = "86139";
/// Subscribers of each kind.
const SUBSCRIBERS: u32 = 20_000;

/// What is right or wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merit {
    /// Must not be refused by the rules.
    Compliant,
    /// Must not be forwarded.
    Offending,
    /// Must not be accepted: it is no message.
    Broken,
}

/// One message in as many PDUs as it takes.
pub(crate) struct Message {
    pub(crate) serial: u32,
    pub(crate) merit: Merit,
    /// In the order they are sent, the first part first.
    pub(crate) frames: Vec<Frame>,
    pub(crate) is_long: bool,
}

/// Makes messages, no two alike.
#[derive(Default)]
pub(crate) struct Messages {
    last: AtomicU32,
}

impl Messages {
    /// One that must be accepted.
    pub(crate) fn plain(&self) -> Message {
        let serial = self.last.fetch_add(1, Relaxed) + 1;
        let to = subscriber(WILLING, serial);
        let frames = vec![submit(PORT, &to, &short(serial, true))];
        Message { serial, merit: Merit::Compliant, frames, is_long: false }
    }

    pub(crate) fn any(&self, random: &mut Random) -> Message {
        let serial = self.last.fetch_add(1, Relaxed) + 1;
        match random.below(100) {
            0..3 => broken(serial, random),
            3..10 => {
                let frames = vec![submit(PORT, &subscriber(NEVER, serial), &short(serial, random.chance(50)))];
                Message { serial, merit: Merit::Offending, frames, is_long: false }
            }
            10..35 => long(serial, random),
            _ => {
                let frames = vec![submit(PORT, &subscriber(WILLING, serial), &short(serial, true))];
                Message { serial, merit: Merit::Compliant, frames, is_long: false }
            }
        }
    }
}

/// A part may come again, or never.
fn long(serial: u32, random: &mut Random) -> Message {
    let offends = random.chance(20);
    let (merit, prefix) = if offends { (Merit::Offending, NEVER) } else { (Merit::Compliant, WILLING) };
    let form = Form::ALL[usize::try_from(random.below(6)).unwrap_or(0)];
    let to = subscriber(prefix, serial);
    let text = long_text(serial, !offends);
    let reference = u16::try_from(serial & 0xFFFF).unwrap_or(0);
    let long = Long { from: PORT, to: &to, text: &text, reference, form };
    let octets = 100 + usize::try_from(random.below(33)).unwrap_or(0);
    let mut frames = if random.chance(50) { long.parts_with_receipts(octets) } else { long.parts(octets) };
    match random.below(10) {
        0 => frames.truncate(1 + usize::try_from(random.below(2)).unwrap_or(0)),
        1 => frames.insert(1, frames[0].clone()),
        2 => frames[1..].reverse(),
        _ => {}
    }
    Message { serial, merit, frames, is_long: true }
}

/// No one-part message at all, each in its own way.
fn broken(serial: u32, random: &mut Random) -> Message {
    let good = submit(PORT, &subscriber(WILLING, serial), &short(serial, true));
    let body = good.body();
    let frame = match random.below(3) {
        // Its last octets are missing.
        0 => Frame::new(CommandId::SUBMIT_SM, OK, 0, &body[..body.len() - 7]),
        1 => Frame::new(CommandId(0x0100_0001), OK, 0, body),
        _ => submit("10690009990000", &subscriber(WILLING, serial), &short(serial, true)),
    };
    Message { serial, merit: Merit::Broken, frames: vec![frame], is_long: false }
}

fn short(serial: u32, has_phone: bool) -> String {
    let phone = if has_phone { "订购热线400-000-0077，" } else { "" };
    format!("【麦香坊】第{serial}号：新炉面包今日出炉，全场八折。{phone}拒收请回复R")
}

/// Long enough for three parts of 132 octets; what is asked for stands at its end.
fn long_text(serial: u32, complete: bool) -> String {
    let end = if complete {
        "订购热线400-000-0077，拒收请回复R"
    } else {
        "欢迎光临，门店地址见公众号"
    };
    format!(
        "【麦香坊】第{serial}号：新炉面包今日出炉，全场八折，会员另享赠品一份，数量有限先到先得，欢迎到店选购。\
         营业时间早七点到晚九点，周末延长一小时，提前预订更有惊喜好礼相送，老顾客凭本条短信再送咖啡一杯，\
         新品吐司、可颂、贝果与欧包同步上架，欢迎试吃品鉴，更多口味敬请期待，祝您生活愉快。{end}"
    )
}

/// The serial number in a text.
pub(crate) fn serial_of(text: &str) -> Option<u32> {
    text.split_once('第')?.1.split_once('号')?.0.parse().ok()
}

/// The same in the hexadecimal octets of a part that is no text without the next one.
pub(crate) fn serial_in(octets: &str) -> Option<u32> {
    let digits = octets.split_once("7b2c")?.1.split_once("53f7")?.0;
    // Each digit is a code unit of its own: 003x.
    digits.as_bytes().chunks(4).map(|unit| char::from(unit[unit.len() - 1])).collect::<String>().parse().ok()
}

fn subscriber(prefix: &str, serial: u32) -> String {
    format!("{prefix}{:08}", serial % SUBSCRIBERS)
}

pub(crate) fn register() -> String {
    let provider = |system_id: &str, mode: &str| {
        format!(
            "[[provider]]\nsystem_id = \"{system_id}\"\npassword = \"s3cret\"\nports = [\"{PORT}\"]\n\
             mode = \"enforce\"\nmax_binds = 1000\nlong_messages = \"{mode}\"\n\n"
        )
    };
    provider(HOLDS, "hold")
        + &provider(ACKNOWLEDGED, "acknowledge")
        + &format!(
            "[[sender]]\nid = \"bakery\"\nname = \"Bakery Ltd\"\ncredential = \"91310000TEST000077\"\n\
             signatures = [\"麦香坊\"]\nphones = [\"400-000-0077\"]\n\n\
             [[port]]\nnumber = \"{PORT}\"\nclass = \"commercial\"\nsender = \"bakery\"\n"
        )
}

/// Those who agreed.
pub(crate) fn consents() -> String {
    let mut csv = String::from("msisdn,sender,category,status,at,method,evidence,expires_at\n");
    for serial in 0..SUBSCRIBERS {
        let to = subscriber(WILLING, serial);
        let _infallible = writeln!(csv, "{to},bakery,marketing,consent,2026-01-05T09:00:00+08:00,web,form 12,");
    }
    csv
}
