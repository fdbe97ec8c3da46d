//! A phone of bare text over a UDP socket, to be as right or as wrong as a test wants.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bridge::sip::{IncomingCall, SipConfig, SipEndpoint, SipEvent};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// An endpoint on a free port whose timers run ten times as fast (T1 50 ms, no ACK 3.2 s).
pub async fn endpoint() -> (SipEndpoint, mpsc::Receiver<SipEvent>) {
    endpoint_with(|_| {}).await
}

pub async fn endpoint_with(change: impl FnOnce(&mut SipConfig)) -> (SipEndpoint, mpsc::Receiver<SipEvent>) {
    let mut config =
        SipConfig { rtp_ports: 0..=0, t1: Duration::from_millis(50), ..SipConfig::new(([127, 0, 0, 1], 0).into()) };
    change(&mut config);
    SipEndpoint::bind(config).await.unwrap()
}

pub async fn event(events: &mut mpsc::Receiver<SipEvent>) -> SipEvent {
    tokio::time::timeout(Duration::from_secs(10), events.recv())
        .await
        .expect("an event within 10 s")
        .expect("the endpoint lives")
}

pub async fn incoming(events: &mut mpsc::Receiver<SipEvent>) -> IncomingCall {
    match event(events).await {
        SipEvent::Incoming(call) => call,
        other => panic!("{other:?}"),
    }
}

/// One message, taken apart.
#[derive(Debug, Clone)]
pub struct Message {
    pub first: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }
}

pub struct Phone {
    pub socket: UdpSocket,
    pub server: SocketAddr,
    pub call_id: String,
    pub branch: String,
    pub cseq: u32,
    /// To with its tag, once there is one.
    pub to: String,
    pub from: String,
    pub uri: String,
}

impl Phone {
    pub async fn new(server: SocketAddr) -> Self {
        Self::at([127, 0, 0, 1].into(), server).await
    }

    pub async fn at(ip: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        Self {
            call_id: format!("call-{ip}-{port}"),
            branch: format!("z9hG4bK{port}"),
            cseq: 1,
            to: format!("<sip:+15550100@{server}>"),
            from: "\"Ann\" <sip:+442079460123@example.org>;tag=phone".into(),
            uri: format!("sip:+15550100@{server}"),
            socket,
            server,
        }
    }

    /// Any request of this call; `more` is whole header lines.
    pub fn request(&self, method: &str, more: &[&str], body: &str) -> String {
        let local = self.socket.local_addr().unwrap();
        let mut text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={}{method_tag};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\nContact: <sip:ann@{local}>\r\n",
            self.uri,
            self.branch,
            self.from,
            self.to,
            self.call_id,
            self.cseq,
            method_tag =
                if matches!(method, "INVITE" | "CANCEL") { String::new() } else { format!("-{method}{}", self.cseq) },
        );
        for line in more {
            text.push_str(line);
            text.push_str("\r\n");
        }
        if !body.is_empty() && !more.iter().any(|l| l.starts_with("Content-Type")) {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        text
    }

    pub async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    pub async fn invite(&self) {
        self.send(&self.request("INVITE", &[], OFFER)).await;
    }

    /// The next message.
    pub async fn receive(&mut self) -> Message {
        self.receive_within(Duration::from_secs(5)).await.expect("a message within 5 s")
    }

    pub async fn receive_within(&mut self, limit: Duration) -> Option<Message> {
        let mut buffer = vec![0; 65_535];
        let (len, _) = tokio::time::timeout(limit, self.socket.recv_from(&mut buffer)).await.ok()?.unwrap();
        let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap().to_owned();
        let headers = lines
            .map(|l| l.split_once(':').unwrap())
            .map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))
            .collect();
        Some(Message { first, headers, body: body.to_owned() })
    }

    /// The next answer with `status`; provisional ones and repeated ones before it are passed over.
    pub async fn expect(&mut self, status: u16) -> Message {
        for _ in 0..20 {
            let got = self.receive().await;
            if got.status() == status {
                if status > 100 && got.header("To").contains("tag=") && got.header("CSeq").ends_with("INVITE") {
                    self.to = got.header("To").to_owned();
                }
                return got;
            }
            assert!(got.status() < 200, "{status} expected, got {}", got.first);
        }
        panic!("no {status}");
    }

    pub async fn ack(&self, body: &str) {
        self.send(&self.request("ACK", &[], body)).await;
    }

    /// Answers a request that came.
    pub async fn answer(&self, request: &Message, status: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            text.push_str(&format!("{name}: {}\r\n", request.header(name)));
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        self.send(&text).await;
    }

    /// Rings, is answered, confirms. The sockets of the far side come back.
    pub async fn call(
        &mut self,
        endpoint: &SipEndpoint,
        events: &mut mpsc::Receiver<SipEvent>,
    ) -> (bridge::ids::LegId, bridge::sip::PhoneMedia) {
        self.invite().await;
        let call = incoming(events).await;
        let media = endpoint.answer(call.leg).await.unwrap();
        self.expect(200).await;
        self.ack("").await;
        (call.leg, media)
    }
}
