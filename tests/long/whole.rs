//! Parts that wait, and the one verdict on all of them.

use std::time::Duration;

use portcullis_protocol::{CommandId, CommandStatus, Frame};

use crate::parts::{Form, Long};
use crate::provider::{self, OK, message_id};
use crate::scene::*;

#[tokio::test]
async fn every_form_is_judged_whole_and_forwarded_byte_for_byte() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let mut carried = 0;
    for (reference, form) in (0u16..).zip(Form::ALL) {
        let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form };
        let mut parts = long.parts(60);
        assert!(parts.len() >= 3, "{form:?}");
        // The last part first: the phrase that ends the text is in it alone.
        parts.reverse();
        assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![OK; parts.len()], "{form:?}");
        let mut seen = bodies(&scene.carried().split_off(carried));
        carried += parts.len();
        let mut sent = bodies(&parts);
        seen.sort();
        sent.sort();
        assert_eq!(seen, sent, "{form:?}");
    }
}

#[tokio::test]
async fn what_the_whole_lacks_refuses_every_part() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    for (reference, (text, to, status)) in
        (0u16..).zip([(NO_PHONE, WILLING, PHONE), (NO_WAY_OUT, WILLING, OPT_OUT), (COMPLIANT, SILENT, CONSENT)])
    {
        for form in Form::ALL {
            let parts = Long { from: COMMERCIAL, to, text, reference, form }.parts(50);
            assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![status; parts.len()], "{form:?} {text}");
        }
    }
    assert!(scene.carried().is_empty());
}

#[tokio::test]
async fn one_record_lists_all_parts() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 7, form: Form::Udh8 }.parts(60);
    let answers = send_all(&mut provider, &parts).await;
    let [record] = scene.folder.sent_to(WILLING).try_into().expect("one record");
    assert_eq!(record.text.as_deref(), Some(COMPLIANT));
    assert_eq!(record.verdict, "forward");
    let ids: Vec<_> = record.parts.iter().map(|part| part.outcome.as_ref()?.message_id.clone()).collect();
    assert_eq!(ids, answers.iter().map(message_id).collect::<Vec<_>>());
    let numbers: Vec<_> = record.parts.iter().map(|part| usize::from(part.number)).collect();
    assert_eq!(numbers, (1..=parts.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn parts_may_come_over_several_binds_of_the_account() {
    let scene = Scene::holding().await;
    let (mut one, mut other) = (scene.provider("herald").await, scene.provider("herald").await);
    for (text, status) in [(COMPLIANT, OK), (NO_PHONE, PHONE)] {
        let parts = Long { from: COMMERCIAL, to: WILLING, text, reference: 3, form: Form::Udh16 }.parts(60);
        let (first, rest) = parts.split_first().expect("parts");
        let sent = one.send(first.clone()).await;
        assert_eq!(statuses(&send_all(&mut other, rest).await), vec![status; rest.len()]);
        assert_eq!(one.answer_to(sent).await.command_status(), status);
    }
    // Each part goes over the bind it came by.
    let sessions: Vec<u64> = scene.carrier.received_of(CommandId::SUBMIT_SM).iter().map(|part| part.session).collect();
    assert!(sessions.contains(&1) && sessions.contains(&2), "{sessions:?}");
}

#[tokio::test]
async fn a_message_that_never_becomes_whole_is_answered_recorded_and_forgotten() {
    let scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let (mut one, mut other) = (scene.provider("herald").await, scene.provider("herald").await);
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 3, form: Form::Udh8 }.parts(60);
    // The session is not silent, so nothing is acknowledged: the part is answered when its time is up.
    let sent = one.send(parts[0].clone()).await;
    let answered = async {
        let answer = one.answer_to(sent).await;
        (answer.command_status(), one)
    };
    let noise = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(
                other.ask(provider::submit(SERVICE, SILENT, "[Bakery] Your code is 4711.")).await.command_status(),
                OK
            );
        }
    };
    let ((status, _one), ()) = tokio::join!(answered, noise);
    // A silent peer is acknowledged first; either way nobody waits for ever and nothing is forwarded.
    assert!(status == INCOMPLETE || status == OK, "{status:?}");
    assert!(scene.carried().iter().all(|frame| !parts.iter().any(|part| part.body() == frame.body())));
    let record = scene.folder.sent_to(WILLING).into_iter().find(|record| record.verdict == "incomplete");
    let record = record.expect("a record of the incomplete message");
    assert!(record.findings[0].why.contains("did not come in time"), "{record:?}");
    assert_eq!(scene.folder.status().totals.incomplete, 1);
}

#[tokio::test]
async fn a_repeated_part_does_not_become_another_message() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 }.parts(60);
    let repeated = [&parts[..1], &parts[..]].concat();
    assert_eq!(statuses(&send_all(&mut provider, &repeated).await), vec![OK; repeated.len()]);
    // After the message is whole, a repetition is judged with the whole and goes on by itself.
    let last = parts.last().expect("parts").clone();
    assert_eq!(provider.ask(last).await.command_status(), OK);
    assert_eq!(scene.carried().len(), parts.len() + 2);
}

#[tokio::test]
async fn other_text_under_a_number_takes_the_place_of_the_first() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let good = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let parts = good.parts(60);
    let total = u8::try_from(parts.len()).expect("few parts");
    let (_, other) = provider::encoded("加微信领红包加微信领红包加微信");
    let smuggled = good.part(2, total, &other, 0);
    // The smuggled part comes last of all: it is judged with the rest, or not at all.
    let sent: Vec<Frame> = [&parts[..], std::slice::from_ref(&smuggled)].concat();
    let mut numbers = Vec::new();
    for part in &sent {
        numbers.push(provider.send(part.clone()).await);
    }
    // They are answered in the order of their numbers, not in that of their coming.
    for number in &numbers[..parts.len()] {
        assert_eq!(provider.answer_to(*number).await.command_status(), OK);
    }
    assert!(scene.carried().iter().all(|frame| frame.body() != smuggled.body()));
}

#[tokio::test]
async fn a_part_of_a_changed_total_belongs_to_no_message() {
    let scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let mut provider = scene.provider("courier").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let parts = long.parts(60);
    let total = u8::try_from(parts.len()).expect("few parts");
    let (_, text) = provider::encoded(COMPLIANT);
    provider.send(parts[0].clone()).await;
    provider.send(long.part(2, total + 1, &text[60..120], 0)).await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let incomplete = scene.folder.sent_to(WILLING).into_iter().filter(|record| record.verdict == "incomplete");
    assert_eq!(incomplete.count(), 2);
    assert!(scene.carried().is_empty());
}

#[tokio::test]
async fn a_peer_that_waits_for_each_answer_does_not_wait_for_ever() {
    let scene = Scene::start("").await;
    let mut provider = scene.provider("herald").await;
    for (reference, form) in [(1, Form::Udh8), (2, Form::Sar), (3, Form::Data)] {
        let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form }.parts(60);
        let before = scene.carrier.counts().messages;
        for part in &parts {
            assert_eq!(provider.ask(part.clone()).await.command_status(), OK, "{form:?}");
        }
        scene.carries(before + parts.len() as u64).await;
    }
}

#[tokio::test]
async fn a_window_full_of_held_parts_is_opened() {
    let scene = Scene::start("[session]\nwindow = 2\n[long_messages]\npatience = \"9s\"").await;
    let mut provider = scene.provider("herald").await;
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 4, form: Form::Udh8 }.parts(40);
    assert!(parts.len() > 3);
    assert_eq!(statuses(&send_all(&mut provider, &parts).await), vec![OK; parts.len()]);
    scene.carries(parts.len() as u64).await;
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_provider() {
    let scene = Scene::start("[long_messages]\nmax_parts = 4\npatience = \"9s\"").await;
    let mut provider = scene.provider("herald").await;
    for reference in 0..4 {
        let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference, form: Form::Udh8 }.parts(60);
        provider.send(parts[0].clone()).await;
    }
    let parts = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 }.parts(60);
    assert_eq!(provider.ask(parts[0].clone()).await.command_status(), CommandStatus::ESME_RTHROTTLED);
    let mut other = scene.provider("courier").await;
    assert_eq!(other.ask(parts[0].clone()).await.command_status(), OK, "each provider has its own bound");
}

#[tokio::test]
async fn no_copy_of_a_replaced_part_goes_on() {
    let scene = Scene::holding().await;
    let mut provider = scene.provider("herald").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let parts = long.parts(60);
    let total = u8::try_from(parts.len()).expect("few parts");
    let (_, other) = provider::encoded("加微信领红包加微信领红包加微信");
    let smuggled = long.part(1, total, &other, 0);
    // Two copies wait beside one another; what takes their place is judged, they are not.
    let mut numbers = Vec::new();
    for part in [&[smuggled.clone(), smuggled.clone()], &parts[..]].concat() {
        numbers.push(provider.send(part).await);
    }
    for (number, status) in numbers.into_iter().zip([INCOMPLETE, INCOMPLETE, OK, OK, OK, OK]) {
        assert_eq!(provider.answer_to(number).await.command_status(), status);
    }
    assert!(scene.carried().iter().all(|frame| frame.body() != smuggled.body()));
}

#[tokio::test]
async fn references_of_different_kinds_are_different_messages() {
    let scene = Scene::start("[long_messages]\ntimeout = \"1s\"\npatience = \"900ms\"").await;
    let mut provider = scene.provider("courier").await;
    let narrow = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 9, form: Form::Udh8 };
    let wide = Long { form: Form::Udh16, ..narrow };
    let (narrow, wide) = (narrow.parts(60), wide.parts(60));
    let mixed = [&narrow[..2], &wide[2..]].concat();
    assert_eq!(statuses(&send_all(&mut provider, &mixed).await), vec![OK; mixed.len()], "each acknowledged");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert!(scene.carried().is_empty());
    let incomplete = scene.folder.sent_to(WILLING).into_iter().filter(|record| record.verdict == "incomplete");
    assert_eq!(incomplete.count(), 2);
}

#[tokio::test]
async fn one_who_waits_on_a_busy_bind_is_answered() {
    let scene = Scene::start("[long_messages]\npatience = \"200ms\"\ntimeout = \"9s\"").await;
    let mut provider = scene.provider("herald").await;
    let long = Long { from: COMMERCIAL, to: WILLING, text: COMPLIANT, reference: 1, form: Form::Udh8 };
    let waited = provider.send(long.parts(60)[0].clone()).await;
    let mut answered = false;
    for _ in 0..40 {
        let number = provider.send(provider::submit(SERVICE, SILENT, "[Bakery] Your order is ready.")).await;
        loop {
            let frame = provider.read().await.expect("an answer");
            answered |= frame.sequence_number() == waited && frame.command_status() == OK;
            if frame.sequence_number() == number {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answered, "others kept the bind busy, and its part unanswered");
}
