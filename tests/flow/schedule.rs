//! R21: schedules and validity within bounds, and refusals in between.

use portcullis::clock;
use portcullis_protocol::field::COctetString;
use portcullis_protocol::time::{Absolute, SmppTime};
use portcullis_protocol::{CommandStatus, Frame};

use crate::provider::OK;
use crate::scene::{Scene, WILLING, offer_with, sent};

const BOUNDS: &str = "[profile]\nschedule_at_most = \"7d\"\nvalidity_at_most = \"14d\"";

/// So many seconds from now, as the wire has it.
pub(crate) fn in_seconds(seconds: i64) -> String {
    let at = clock::wall().as_millisecond() + seconds * 1000;
    SmppTime::Absolute(Absolute::from_unix_ms(at)).to_string()
}

fn scheduled(n: u32, schedule: &str, validity: &str) -> Frame {
    let (schedule, validity) = (schedule.to_owned().leak().as_bytes(), validity.to_owned().leak().as_bytes());
    offer_with(WILLING, n, |pdu| {
        pdu.schedule_delivery_time = COctetString(schedule);
        pdu.validity_period = COctetString(validity);
    })
}

#[tokio::test]
async fn schedules_and_validity_have_bounds() {
    let scene = Scene::start(BOUNDS).await;
    let mut provider = scene.provider().await;
    let (schedule, validity) = (CommandStatus::ESME_RINVSCHED, CommandStatus::ESME_RINVEXPIRY);
    let (hour, day) = (3600, 86_400);
    let at = in_seconds;
    let cases = [
        ("nothing", String::new(), String::new(), OK),
        ("within", at(6 * day), at(8 * day), OK),
        ("relative, within", "000006000000000R".into(), "000008000000000R".into(), OK),
        ("just past is at once", at(-20), String::new(), OK),
        ("past", at(-hour), String::new(), schedule),
        ("too far", at(8 * day), String::new(), schedule),
        ("relative, too far", "000100000000000R".into(), String::new(), schedule),
        ("unreadable", "tomorrow at nine".into(), String::new(), schedule),
        ("no such day", "261131120000000+".into(), String::new(), schedule),
        ("over before it begins", at(2 * day), at(day), validity),
        ("over already", String::new(), at(-hour), validity),
        ("relative, over before it begins", "000002000000000R".into(), "000001000000000R".into(), validity),
        ("valid too long", String::new(), at(15 * day), validity),
        ("relative, too long", String::new(), "000015000000000R".into(), validity),
    ];
    for (n, (what, schedule, validity, status)) in (0..).zip(cases) {
        assert_eq!(sent(&mut provider, scheduled(n, &schedule, &validity)).await, status, "{what}");
    }
}
