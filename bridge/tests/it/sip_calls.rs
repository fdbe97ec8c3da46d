//! Calls from INVITE to the end, over real sockets.

use std::time::Duration;

use bridge::audio::g711::G711;
use bridge::ids::E164;
use bridge::sip::{CallOutcome, SipError, SipEvent};

use crate::sip_phone::{Message, OFFER, Phone, endpoint, endpoint_with, event, incoming};

fn ended(event: SipEvent) -> CallOutcome {
    match event {
        SipEvent::Ended { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_rings_is_answered_and_ends_when_the_caller_hangs_up() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    assert_eq!(phone.receive().await.status(), 100);
    let call = incoming(&mut events).await;
    assert_eq!(call.called, "+15550100");
    assert_eq!(call.called_number, E164::parse("+15550100").ok());
    assert_eq!(call.caller, E164::parse("+442079460123").ok());
    assert_eq!(call.caller_name.as_deref(), Some("Ann"));
    assert_eq!(call.source, phone.socket.local_addr().unwrap());

    endpoint.ring(call.leg).await.unwrap();
    let ringing = phone.expect(180).await;
    let media = endpoint.answer(call.leg).await.unwrap();
    let ok = phone.expect(200).await;
    assert_eq!(ringing.header("To"), ok.header("To"));
    let port = media.rtp.local_addr().unwrap().port();
    assert!(ok.body.contains(&format!("m=audio {port} RTP/AVP 8 101\r\n")), "{}", ok.body);
    assert!(ok.body.contains(&format!("a=rtcp:{}\r\n", port + 1)));
    assert_eq!(media.rtcp.local_addr().unwrap().port(), port + 1);
    assert_eq!((media.config.codec, media.config.telephone_event), (G711::Pcma, Some(101)));
    assert_eq!(media.config.remote, "127.0.0.1:4000".parse().unwrap());
    assert!(ok.header("Allow").contains("BYE") && ok.header("Contact").contains(&endpoint.local_addr().to_string()));
    phone.ack("").await;

    phone.cseq = 2;
    phone.send(&phone.request("BYE", &[], "")).await;
    phone.expect(200).await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::CallerHungUp);
    assert!(matches!(endpoint.hang_up(call.leg).await, Err(SipError::NoSuchLeg(_))));
    assert_eq!(endpoint.stats().calls, 0);
}

#[tokio::test]
async fn we_hang_up_with_bye_and_its_cause() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    let (leg, _media) = phone.call(&endpoint, &mut events).await;
    // The ACK may still be on its way; BYE comes after it either way.
    endpoint.reject(leg, CallOutcome::MediaTimeout).await.unwrap();
    assert_eq!(ended(event(&mut events).await), CallOutcome::MediaTimeout);
    let bye = phone.receive().await;
    assert_eq!(bye.method(), "BYE");
    assert!(bye.header("Reason").contains("cause=102"), "{bye:?}");
    assert_eq!(bye.header("From"), phone.to);
    assert_eq!(bye.header("To"), phone.from);
    phone.answer(&bye, "200 OK").await;
    // Answered: it is not sent again.
    assert!(phone.receive_within(Duration::from_millis(300)).await.is_none());
}

#[tokio::test]
async fn a_cancelled_call_is_487_and_over() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    let call = incoming(&mut events).await;
    endpoint.ring(call.leg).await.unwrap();
    let ringing = phone.expect(180).await;
    let to = std::mem::replace(&mut phone.to, format!("<sip:+15550100@{}>", phone.server));
    phone.send(&phone.request("CANCEL", &[], "")).await;
    let (a, b) = (phone.receive().await, phone.receive().await);
    let statuses = |m: &Message| (m.status(), m.header("CSeq").to_owned());
    let mut got = [statuses(&a), statuses(&b)];
    got.sort();
    assert_eq!(got, [(200, "1 CANCEL".to_owned()), (487, "1 INVITE".to_owned())]);
    assert_eq!(a.header("To"), to);
    assert_eq!(b.header("To"), ringing.header("To"));
    assert_eq!(ended(event(&mut events).await), CallOutcome::Cancelled);
    // Until its ACK the 487 is repeated: a lost one must not leave the phone hanging.
    assert_eq!(phone.receive().await.status(), 487);
    phone.to = to;
    phone.send(&phone.request("ACK", &[], "").replace("-ACK1", "")).await;
    assert!(phone.receive_within(Duration::from_millis(500)).await.is_none());
}

#[tokio::test]
async fn each_refusal_reaches_the_phone_with_its_status() {
    let (endpoint, mut events) = endpoint().await;
    for (outcome, status) in [
        (CallOutcome::UnknownNumber, 404),
        (CallOutcome::NobodyAnswered, 480),
        (CallOutcome::Busy, 486),
        (CallOutcome::Overloaded, 503),
        (CallOutcome::Refused { status: 403 }, 403),
        (CallOutcome::Failed { why: "test".into() }, 500),
    ] {
        let mut phone = Phone::new(endpoint.local_addr()).await;
        phone.invite().await;
        let call = incoming(&mut events).await;
        endpoint.ring(call.leg).await.unwrap();
        endpoint.reject(call.leg, outcome.clone()).await.unwrap();
        phone.expect(status).await;
        assert_eq!(ended(event(&mut events).await), outcome);
    }
}

#[tokio::test]
async fn without_ack_the_answer_is_repeated_then_the_call_is_ended() {
    let (endpoint, mut events) = endpoint_with(|c| c.t1 = Duration::from_millis(20)).await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    let call = incoming(&mut events).await;
    let _media = endpoint.answer(call.leg).await.unwrap();
    let mut answers = 0;
    let bye = loop {
        let got = phone.receive().await;
        match got.status() {
            200 => answers += 1,
            100 => {}
            _ => break got,
        }
    };
    assert!(answers >= 4, "{answers}");
    assert_eq!(bye.method(), "BYE");
    phone.answer(&bye, "200 OK").await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::NoAck);
}

#[tokio::test]
async fn a_call_without_offer_gets_ours_and_its_answer_in_the_ack_is_taken() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.send(&phone.request("INVITE", &[], "")).await;
    let call = incoming(&mut events).await;
    let answering = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.answer(call.leg).await })
    };
    let ok = phone.expect(200).await;
    assert!(ok.body.contains("RTP/AVP 8 0 101"), "{}", ok.body);
    phone.ack(&OFFER.replace("8 0 101", "0")).await;
    let media = answering.await.unwrap().unwrap();
    assert_eq!((media.config.codec, media.config.telephone_event), (G711::Pcmu, None));
    endpoint.hang_up(call.leg).await.unwrap();
    assert_eq!(ended(event(&mut events).await), CallOutcome::Completed);
}

#[tokio::test]
async fn an_ack_without_the_answer_that_was_due_ends_the_call() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.send(&phone.request("INVITE", &[], "")).await;
    let call = incoming(&mut events).await;
    let answering = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.answer(call.leg).await })
    };
    phone.expect(200).await;
    phone.ack("").await;
    assert!(matches!(answering.await.unwrap(), Err(SipError::Media { .. })));
    assert_eq!(phone.receive().await.method(), "BYE");
    assert_eq!(ended(event(&mut events).await), CallOutcome::NoCommonCodec);
}

#[tokio::test]
async fn hold_and_resume_are_answered_and_told() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    let (leg, _media) = phone.call(&endpoint, &mut events).await;
    for (cseq, direction, ours, is_held) in
        [(2, "a=sendonly", "a=recvonly", true), (3, "a=sendrecv", "a=sendrecv", false)]
    {
        phone.cseq = cseq;
        phone.branch = format!("z9hG4bKhold{cseq}");
        phone.send(&phone.request("INVITE", &[], &OFFER.replace("a=sendrecv", direction))).await;
        let ok = phone.expect(200).await;
        assert!(ok.body.contains(ours), "{}", ok.body);
        phone.ack("").await;
        match event(&mut events).await {
            SipEvent::MediaChanged { leg: l, held, remote, .. } => {
                assert_eq!((l, held, remote), (leg, is_held, "127.0.0.1:4000".parse().unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
    // A refresh without a body gets what was said last.
    phone.cseq = 4;
    phone.branch = "z9hG4bKrefresh".into();
    phone.send(&phone.request("INVITE", &[], "")).await;
    assert!(phone.expect(200).await.body.contains("a=sendrecv"));
    phone.ack("").await;
    // A codec that we do not speak: no, and the call goes on.
    phone.cseq = 5;
    phone.branch = "z9hG4bKcodec".into();
    phone.send(&phone.request("INVITE", &[], &OFFER.replace("8 0 101", "18"))).await;
    phone.expect(488).await;
    phone.send(&phone.request("ACK", &[], "").replace("-ACK5", "")).await;
    phone.cseq = 6;
    phone.send(&phone.request("BYE", &[], "")).await;
    phone.expect(200).await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::CallerHungUp);
}

#[tokio::test]
async fn a_bye_before_the_answer_closes_the_invite_too() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    let call = incoming(&mut events).await;
    endpoint.ring(call.leg).await.unwrap();
    phone.expect(180).await;
    phone.cseq = 2;
    phone.send(&phone.request("BYE", &[], "")).await;
    let mut got = [phone.receive().await.status(), phone.receive().await.status()];
    got.sort_unstable();
    assert_eq!(got, [200, 487]);
    assert_eq!(ended(event(&mut events).await), CallOutcome::Cancelled);
}

#[tokio::test]
async fn a_repeated_invite_is_one_call_and_a_forked_one_is_refused() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    phone.invite().await;
    phone.invite().await;
    let call = incoming(&mut events).await;
    endpoint.ring(call.leg).await.unwrap();
    phone.expect(180).await;
    phone.to = format!("<sip:+15550100@{}>", phone.server);
    phone.branch = "z9hG4bKfork".into();
    phone.invite().await;
    phone.expect(482).await;
    assert_eq!(endpoint.stats().incoming, 1);
}

#[tokio::test]
async fn calls_above_the_limit_are_told_to_come_later() {
    let (endpoint, mut events) = endpoint_with(|c| c.max_calls = 1).await;
    let mut first = Phone::new(endpoint.local_addr()).await;
    first.invite().await;
    let call = incoming(&mut events).await;
    let mut second = Phone::new(endpoint.local_addr()).await;
    second.invite().await;
    assert_eq!(second.expect(503).await.header("Retry-After"), "10");
    endpoint.hang_up(call.leg).await.unwrap();
    first.expect(480).await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::Completed);
    let third = Phone::new(endpoint.local_addr()).await;
    third.invite().await;
    incoming(&mut events).await;
}

#[tokio::test]
async fn without_a_free_port_the_call_is_refused() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port() & !1;
    let other = std::net::UdpSocket::bind(("127.0.0.1", port + u16::from(taken.local_addr().unwrap().port() == port)));
    let (endpoint, mut events) = endpoint_with(|c| c.rtp_ports = port..=port + 1).await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    let call = incoming(&mut events).await;
    assert!(matches!(endpoint.answer(call.leg).await, Err(SipError::NoPorts { .. })));
    phone.expect(503).await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::Overloaded);
    drop(other);
}

#[tokio::test]
async fn a_session_timer_is_left_to_the_caller() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.send(&phone.request("INVITE", &["Supported: timer", "Session-Expires: 90;refresher=uac"], OFFER)).await;
    let call = incoming(&mut events).await;
    let _media = endpoint.answer(call.leg).await.unwrap();
    let ok = phone.expect(200).await;
    assert_eq!((ok.header("Session-Expires"), ok.header("Require")), ("90;refresher=uac", "timer"));
    phone.ack("").await;
    phone.cseq = 2;
    phone.send(&phone.request("UPDATE", &["Session-Expires: 90;refresher=uac"], "")).await;
    assert_eq!(phone.expect(200).await.header("Session-Expires"), "90;refresher=uac");
}

#[tokio::test]
async fn shutting_down_hangs_up() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    let (_, _media) = phone.call(&endpoint, &mut events).await;
    let down = tokio::spawn(async move { endpoint.shut_down(Duration::from_secs(3)).await });
    let bye = phone.receive().await;
    assert_eq!(bye.method(), "BYE");
    phone.answer(&bye, "200 OK").await;
    assert_eq!(ended(event(&mut events).await), CallOutcome::Completed);
    down.await.unwrap();
}
