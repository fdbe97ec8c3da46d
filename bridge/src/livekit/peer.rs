//! One WebRTC peer connection: str0m and its UDP sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpApi, SdpOffer, SdpPendingOffer};
use str0m::media::MediaData;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// A datagram on a media socket is at most this long here: Opus frames, STUN, DTLS, RTCP and SCTP of small messages.
pub(super) const DATAGRAM: usize = 2048;

/// The longest pause between checks of a path, so that even an SFU that sends nothing by itself is heard this often.
const STUN_RTO: Duration = Duration::from_millis(1_500);

/// One datagram as it came.
pub(super) struct Arrived {
    pub(super) length: usize,
    source: SocketAddr,
    destination: SocketAddr,
}

pub(super) struct Peer {
    pub(super) rtc: Rtc,
    sockets: Vec<(UdpSocket, SocketAddr)>,
    pending: Option<SdpPendingOffer>,
    /// ICE and DTLS are through.
    pub(super) connected: bool,
    /// Since when ICE has no working pair, after it had one.
    pub(super) lost_since: Option<Instant>,
    /// When anything last came.
    pub(super) heard_at: Instant,
    /// Since when it is over: the server has closed it.
    pub(super) ended_since: Option<Instant>,
}

impl Peer {
    /// A connection with one socket on each of these local addresses.
    pub(super) fn new(now: Instant, local: &[IpAddr]) -> io::Result<Self> {
        // Frames are given as they arrive: waiting for those that are late or lost is the jitter buffer's work.
        let mut config = Rtc::builder().clear_codecs().enable_opus(true, false).set_reordering_size_audio(0);
        config.set_max_stun_rto(STUN_RTO);
        let mut rtc = config.build(now);
        let mut sockets = Vec::new();
        for ip in local {
            let socket = StdUdpSocket::bind((*ip, 0))?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            match Candidate::host(address, "udp") {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                    sockets.push((UdpSocket::from_std(socket)?, address));
                }
                Err(error) => tracing::debug!(%error, "a local address is no candidate"),
            }
        }
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no local address to send from"));
        }
        Ok(Self { rtc, sockets, pending: None, connected: false, lost_since: None, heard_at: now, ended_since: None })
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.pending.is_some()
    }

    /// Makes an offer of the changes; `None` when there are none.
    pub(super) fn offer(&mut self, change: impl FnOnce(&mut SdpApi<'_>)) -> Option<String> {
        let mut api = self.rtc.sdp_api();
        change(&mut api);
        let (offer, pending) = api.apply()?;
        self.pending = Some(pending);
        Some(offer.to_sdp_string())
    }

    /// Takes the answer to our offer. Without an offer it is passed over.
    pub(super) fn answered(&mut self, sdp: &str) -> Result<(), String> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|error| error.to_string())?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| error.to_string())
    }

    /// Answers the server's offer.
    pub(super) fn offered(&mut self, sdp: &str) -> Result<String, String> {
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|error| error.to_string())?;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        Ok(answer.to_sdp_string())
    }

    /// Drains str0m: sends what is to be sent, collects media. Returns when it wants to be woken.
    pub(super) async fn drain(&mut self, media: &mut Vec<MediaData>) -> Result<Instant, RtcError> {
        loop {
            if !self.rtc.is_alive() {
                self.ended_since.get_or_insert_with(Instant::now);
            }
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(packet) if packet.proto == Protocol::Udp => {
                    if let Some((socket, _)) = self.sockets.iter().find(|(_, address)| *address == packet.source) {
                        // UDP may lose it anyway; what cannot be routed shows as ICE failing.
                        let _ = socket.send_to(&packet.contents, packet.destination).await;
                    }
                }
                Output::Transmit(_) => {}
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::IceConnectionStateChange(state)) => {
                    tracing::debug!(?state, "ice");
                    let lost = state == IceConnectionState::Disconnected;
                    self.lost_since = lost.then(|| self.lost_since.unwrap_or_else(Instant::now));
                }
                Output::Event(Event::MediaData(data)) => media.push(data),
                Output::Event(_) => {}
            }
        }
    }

    /// The next datagram on any socket. Errors of a UDP socket belong to some earlier packet: passed over.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Arrived> {
        for (socket, address) in &self.sockets {
            // So many errors in a row, then the next wake-up tries again.
            for _ in 0..8 {
                let mut read = ReadBuf::new(buffer);
                match socket.poll_recv_from(cx, &mut read) {
                    Poll::Ready(Ok(source)) => {
                        let length = read.filled().len();
                        return Poll::Ready(Arrived { length, source, destination: *address });
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }

    /// Gives a datagram to str0m. What is no STUN, DTLS, RTP or RTCP is passed over.
    pub(super) fn receive(&mut self, now: Instant, arrived: &Arrived, bytes: &[u8]) -> Result<(), RtcError> {
        self.heard_at = now;
        let Ok(contents) = bytes.try_into() else { return Ok(()) };
        if self.ended_since.is_some() {
            return Ok(());
        }
        let (source, destination) = (arrived.source, arrived.destination);
        self.rtc.handle_input(Input::Receive(now, Receive { proto: Protocol::Udp, source, destination, contents }))
    }

    pub(super) fn wake(&mut self, now: Instant) -> Result<(), RtcError> {
        if self.ended_since.is_some() {
            return Ok(());
        }
        self.rtc.handle_input(Input::Timeout(now))
    }
}

/// The local addresses to send media from: the one that routes to the SFU's host, and that of the default route, for an
/// SFU whose signalling is reached another way than its media. No packet is sent to find them.
pub(super) fn local_addresses(hosts: &[SocketAddr]) -> Vec<IpAddr> {
    const ELSEWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];
    let elsewhere = ELSEWHERE.iter().filter_map(|address| address.parse().ok());
    let mut found: Vec<IpAddr> = Vec::new();
    for target in hosts.iter().copied().chain(elsewhere) {
        let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let routed = StdUdpSocket::bind(any).and_then(|socket| {
            socket.connect(target)?;
            socket.local_addr()
        });
        if let Ok(local) = routed
            && !local.ip().is_unspecified()
            && !found.contains(&local.ip())
        {
            found.push(local.ip());
        }
    }
    found
}
