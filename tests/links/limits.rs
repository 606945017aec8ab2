//! How fast a provider may send, how fast passwords may be tried, and how much may be open.

use std::num::NonZeroU64;

use portcullis::simulator::{Answers, Faults};
use portcullis_protocol::field::EsmClass;
use portcullis_protocol::pdu::{Destinations, SubmitMulti, SubmitSm};
use portcullis_protocol::{CommandId, CommandStatus, Frame, Pdu};

use crate::gate::PATIENCE;
use crate::provider::{OK, Provider, bind, encoded, source, subscriber};
use crate::stage::{PORT, gate, message, sends};

const THROTTLED: CommandStatus = CommandStatus::ESME_RTHROTTLED;

/// Sends so many messages in one segment; their answers' statuses.
async fn burst(provider: &mut Provider, first: u32, count: u32) -> Vec<CommandStatus> {
    let mut octets = Vec::new();
    for sequence_number in first..first + count {
        let mut frame = message(0);
        frame.restamp(sequence_number);
        octets.extend_from_slice(frame.as_bytes());
    }
    provider.write(&octets).await;
    let mut statuses = vec![OK; count as usize];
    for _ in 0..count {
        let answer = provider.read().await.expect("an answer");
        statuses[(answer.sequence_number() - first) as usize] = answer.command_status();
    }
    statuses
}

#[tokio::test]
async fn a_provider_that_sends_too_fast_is_throttled_over_all_its_binds() {
    let (folder, gate, carrier) = gate(&[("herald", "rate = 1\nburst = 3"), ("finch", "")], "", "").await;
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    let mut other = Provider::bound(gate.address, "herald", "s3cret").await;
    let mut finch = Provider::bound(gate.address, "finch", "s3cret").await;
    assert_eq!(burst(&mut herald, 100, 2).await, [OK, OK]);
    let statuses = burst(&mut other, 100, 20).await;
    assert_eq!(statuses[0], OK, "the burst's last");
    assert!(statuses.iter().filter(|status| **status == THROTTLED).count() >= 10, "{statuses:?}");
    assert!(statuses.iter().all(|status| [OK, THROTTLED].contains(status)), "{statuses:?}");
    sends(&mut finch, 1).await;

    let passed = statuses.iter().filter(|status| **status == OK).count() as u64 + 3;
    let status = folder.status();
    assert_eq!((status.totals.forwarded, status.totals.throttled), (passed, 23 - passed));
    assert_eq!(carrier.counts().messages, passed, "what is throttled is not forwarded");
    assert_eq!(folder.sent_to("8613800138001").len() as u64, passed, "nor recorded: there is no verdict on it");

    let end = tokio::time::Instant::now() + PATIENCE;
    let mut more = 1000;
    while burst(&mut herald, more, 1).await != [OK] {
        assert!(tokio::time::Instant::now() < end, "never again");
        more += 1;
    }
}

#[tokio::test]
async fn every_recipient_counts_as_a_message() {
    let (_folder, gate, _carrier) = gate(&[("herald", "rate = 1\nburst = 4")], "", "").await;
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    let multi = || {
        let mut entries = bytes::BytesMut::new();
        for n in 0..4 {
            let number = format!("861380013800{n}");
            entries.extend_from_slice(&[1, 1, 1]);
            entries.extend_from_slice(number.as_bytes());
            entries.extend_from_slice(&[0]);
        }
        let from = format!("{PORT}0");
        let destinations = Destinations::from_bytes(&entries).expect("a list");
        let (data_coding, octets) = encoded("[Bakery] Your code is 4711");
        let submit = SubmitMulti {
            source: source(&from),
            destinations,
            data_coding,
            short_message: &octets,
            ..SubmitMulti::default()
        };
        Pdu::SubmitMulti(submit).to_frame(OK, 0)
    };
    let statuses =
        [herald.ask(multi()).await, herald.ask(message(0)).await].map(|answer: Frame| answer.command_status());
    assert_eq!(statuses, [OK, THROTTLED]);
}

#[tokio::test]
async fn the_parts_of_a_long_message_count_once() {
    let (folder, gate, _carrier) = gate(&[("herald", "rate = 1\nburst = 2")], "", "").await;
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    let from = format!("{PORT}0");
    let texts = ["[Bakery] Your code is 4711, ", "good for the next ten minutes, ", "on our site alone."];
    let mut octets = Vec::new();
    for (n, text) in (1..).zip(texts) {
        let (data_coding, text) = encoded(text);
        let short_message = [&[5, 0, 3, 77, 3, n][..], &text].concat();
        let part = SubmitSm {
            source: source(&from),
            destination: subscriber("8613800138001"),
            esm_class: EsmClass(0x40),
            data_coding,
            short_message: &short_message,
            ..SubmitSm::default()
        };
        octets.extend_from_slice(Pdu::SubmitSm(part).to_frame(OK, 100 + u32::from(n)).as_bytes());
    }
    herald.write(&octets).await;
    for _ in texts {
        assert_eq!(herald.read().await.expect("an answer").command_status(), OK);
    }
    assert_eq!(folder.status().totals.throttled, 0);
}

#[tokio::test]
async fn the_carriers_own_throttling_comes_through_unchanged() {
    let (folder, gate, carrier) = gate(&[("herald", "")], "", "").await;
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    for status in [THROTTLED, CommandStatus::ESME_RMSGQFUL] {
        carrier.set_faults(Faults { refuse_every: Some((NonZeroU64::MIN, status)), ..Faults::default() });
        assert_eq!(herald.ask(message(0)).await.command_status(), status);
    }
    let sent = folder.sent_to("8613800138001");
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter().all(|sent| sent.outcome.as_ref().is_some_and(|outcome| outcome.outcome == "answered")),
        "{sent:?}"
    );
    assert_eq!(folder.status().totals.throttled, 0);
}

#[tokio::test]
async fn beyond_the_window_a_message_is_refused_where_it_is_so_configured() {
    let rejecting = "window = 2\nwindow_overflow = \"reject\"";
    let (_folder, gate, carrier) = gate(&[("herald", rejecting)], "", "").await;
    carrier.set_faults(Faults { answers: Answers::Never, ..Faults::default() });
    let mut herald = Provider::bound(gate.address, "herald", "s3cret").await;
    let sent = [herald.send(message(0)).await, herald.send(message(0)).await, herald.send(message(0)).await];
    let answer = herald.read().await.expect("an answer");
    assert_eq!((answer.sequence_number(), answer.command_status()), (sent[2], CommandStatus::ESME_RMSGQFUL));
    assert!(carrier.wait_until(PATIENCE, |counts| counts.messages == 2).await);
}

#[tokio::test]
async fn wrong_passwords_slow_the_next_try_from_their_address_and_nobody_else() {
    let proxied = "proxy_protocol = true\ntrusted = [\"127.0.0.0/8\"]";
    let (folder, gate, _carrier) = gate(&[("herald", ""), ("finch", "")], proxied, "").await;
    let from = |host: u8| format!("PROXY TCP4 192.0.2.{host} 198.51.100.1 4660 2775\r\n");
    let mut guesser = Provider::connect(gate.address).await;
    guesser.write(from(1).as_bytes()).await;
    for _ in 0..4 {
        let status = guesser.bind(CommandId::BIND_TRANSCEIVER, "herald", "wrong").await;
        assert_eq!(status, CommandStatus::ESME_RINVPASWD);
    }
    // A fresh connection from there is no way round it.
    let mut slowed = Provider::connect(gate.address).await;
    slowed.write(from(1).as_bytes()).await;
    let tried = slowed.send(bind(CommandId::BIND_TRANSCEIVER, "herald", "wrong")).await;
    folder.await_status("three sessions' worth", |status| status.sessions.len() == 2);
    let mut finch = Provider::connect(gate.address).await;
    finch.write(from(2).as_bytes()).await;
    assert_eq!(finch.bind(CommandId::BIND_TRANSCEIVER, "finch", "s3cret").await, OK);
    sends(&mut finch, 1).await;
    let refused = gate.log().matches("bind refused: wrong password").count();
    assert_eq!(slowed.answer_to(tried).await.command_status(), CommandStatus::ESME_RINVPASWD);
    assert_eq!(refused, 4, "the fifth try waited while others went on");
    assert_eq!(slowed.bind(CommandId::BIND_TRANSCEIVER, "herald", "s3cret").await, OK, "slowed, not shut out");
}
