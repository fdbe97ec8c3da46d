//! What is no call: questions, nonsense, floods.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::util::SubscriberInitExt;

use crate::sip_phone::{OFFER, Phone, endpoint, event, incoming};

#[tokio::test]
async fn questions_and_unknown_methods_are_answered() {
    let (endpoint, _events) = endpoint().await;
    let server = endpoint.local_addr();
    for (method, status, header) in [
        ("OPTIONS", 200, "Allow"),
        ("REGISTER", 405, "Allow"),
        ("SUBSCRIBE", 405, "Allow"),
        ("BYE", 481, "To"),
        ("DANCE", 501, "Allow"),
    ] {
        let mut phone = Phone::new(server).await;
        phone.send(&phone.request(method, &[], "")).await;
        let got = phone.expect(status).await;
        assert!(!got.header(header).is_empty(), "{method}: {got:?}");
    }
    let mut stray = Phone::new(server).await;
    stray.to.push_str(";tag=nobody");
    stray.invite().await;
    stray.expect(481).await;
}

#[tokio::test]
async fn an_invite_that_cannot_be_a_call_never_reaches_the_desk() {
    let (endpoint, mut events) = endpoint().await;
    for (more, body, status) in [
        (vec![], OFFER.replace("8 0 101", "9 18"), 488),
        (vec![], OFFER.replace("RTP/AVP", "RTP/SAVP"), 488),
        (vec![], "garbage".to_owned(), 400),
        (vec!["Content-Type: text/plain"], "hello".to_owned(), 415),
        (vec!["Require: 100rel, precondition"], OFFER.to_owned(), 420),
    ] {
        let mut phone = Phone::new(endpoint.local_addr()).await;
        phone.send(&phone.request("INVITE", &more, &body)).await;
        let got = phone.expect(status).await;
        if status == 420 {
            assert_eq!(got.header("Unsupported"), "100rel, precondition");
        }
    }
    assert_eq!(endpoint.stats().refused, 5);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn answers_go_where_the_request_came_from() {
    let (endpoint, _events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    let local = phone.socket.local_addr().unwrap().to_string();
    phone.send(&phone.request("OPTIONS", &[], "").replacen(&local, "203.0.113.9:5060", 1)).await;
    let via = phone.expect(200).await.header("Via").to_owned();
    assert!(
        via.contains("received=127.0.0.1") && via.contains(&format!("rport={}", local.rsplit(':').next().unwrap())),
        "{via}"
    );
}

#[tokio::test]
async fn garbage_is_counted_and_the_port_lives() {
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    let good = phone.request("INVITE", &[], OFFER);
    let mut sent = 0;
    // Noise, then a real message cut at every length and with every byte broken in turn.
    for bytes in [&[0_u8; 1][..], b"\xff\xfe\xfd", b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", &[b'A'; 60_000]] {
        phone.socket.send_to(bytes, phone.server).await.unwrap();
    }
    for len in (0..good.len()).step_by(7) {
        phone.socket.send_to(&good.as_bytes()[..len], phone.server).await.unwrap();
        let mut broken = good.clone().into_bytes();
        broken[len] ^= 0x80;
        phone.socket.send_to(&broken, phone.server).await.unwrap();
        sent += 2;
        if sent % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut keeper = [0; 8];
    let alive = Phone::new(endpoint.local_addr()).await;
    alive.send("\r\n\r\n").await;
    assert_eq!(alive.socket.recv(&mut keeper).await.unwrap(), 2);
    let mut asker = Phone::at([127, 0, 0, 3].into(), endpoint.local_addr()).await;
    asker.send(&asker.request("OPTIONS", &[], "")).await;
    asker.expect(200).await;
    let stats = endpoint.stats();
    assert!(stats.garbage > 20, "{stats:?}");
    while events.try_recv().is_ok() {}
    while phone.receive_within(Duration::from_millis(50)).await.is_some() {}
}

#[tokio::test]
async fn a_flood_from_one_address_is_met_with_silence_and_others_get_through() {
    let (endpoint, mut events) = endpoint().await;
    let mut flooder = Phone::at([127, 0, 0, 2].into(), endpoint.local_addr()).await;
    for n in 0..1_000 {
        flooder.call_id = format!("flood-{n}");
        flooder.branch = format!("z9hG4bKflood{n}");
        flooder.invite().await;
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.invite().await;
    loop {
        let call = incoming(&mut events).await;
        if call.source == phone.socket.local_addr().unwrap() {
            break;
        }
    }
    let stats = endpoint.stats();
    assert!(stats.throttled > 500, "{stats:?}");
    assert!(stats.calls <= 100, "{stats:?}");
    // Whom we talk to already is heard in spite of it.
    phone.to = format!("<sip:+15550100@{}>", phone.server);
    phone.send(&phone.request("CANCEL", &[], "")).await;
    phone.expect(200).await;
    phone.expect(487).await;
}

/// All that is logged in this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_at_any_level_holds_a_number_or_a_name() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = subscriber.set_default();
    let (endpoint, mut events) = endpoint().await;
    let mut phone = Phone::new(endpoint.local_addr()).await;
    phone.from = "\"Canary Bird\" <sip:+442079460123@example.org>;tag=phone".into();
    let (leg, _media) = phone.call(&endpoint, &mut events).await;
    endpoint.hang_up(leg).await.unwrap();
    let bye = phone.receive().await;
    phone.answer(&bye, "200 OK").await;
    event(&mut events).await;
    let mut bad = Phone::new(endpoint.local_addr()).await;
    bad.send(&bad.request("INVITE", &[], "garbage")).await;
    bad.expect(400).await;
    endpoint.shut_down(Duration::from_secs(1)).await;
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("SIP call comes in") && text.contains("SIP call ended"), "{text}");
    for secret in ["442079460123", "15550100", "Canary", "m=audio"] {
        assert!(!text.contains(secret), "{secret} in:\n{text}");
    }
}
