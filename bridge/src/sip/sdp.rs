//! Session descriptions, as far as one phone leg needs them. RFC 4566, offer and answer as in RFC 3264.
//!
//! [`Offer::parse`] reads what the phone offers, [`Offer::choose`] picks PCMU or PCMA and key presses (RFC 4733),
//! [`answer`] writes our side: one line for each line of theirs, all but the chosen one refused with port 0.
//! [`offer`] is for calls that came without one (RFC 3261 13.3.1.4): ours goes out in the 200, theirs comes in the ACK.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::audio::g711::G711;

/// Longest description read, bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// Media lines read at most.
const MAX_MEDIA: usize = 16;

/// Who sends, seen from the side that wrote the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// Only the writer: the other is on hold.
    SendOnly,
    /// Only the reader.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// What the other side answers.
    #[must_use]
    pub fn answered(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            other => other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "sendrecv" => Self::SendRecv,
            "sendonly" => Self::SendOnly,
            "recvonly" => Self::RecvOnly,
            "inactive" => Self::Inactive,
            _ => return None,
        })
    }
}

/// Why a description is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpError {
    /// Not UTF-8, not `v=0`, or too long.
    #[error("not a session description: {0}")]
    NotSdp(&'static str),
    /// A line that cannot be read, by its number from 1.
    #[error("line {line} of the session description cannot be read")]
    Line {
        /// From 1.
        line: usize,
    },
    /// More media lines than any phone has.
    #[error("more than {MAX_MEDIA} media lines")]
    TooManyMedia,
    /// No audio over plain RTP with G.711 at a numeric address.
    #[error("no audio that we speak: {0}")]
    NothingInCommon(&'static str),
}

/// One `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Media {
    kind: String,
    port: u16,
    protocol: String,
    formats: Vec<String>,
    connection: Option<IpAddr>,
    direction: Option<Direction>,
    maps: Vec<(u8, String)>,
    rtcp: Option<(u16, Option<IpAddr>)>,
    mux: bool,
    mid: Option<String>,
}

/// What a peer described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    connection: Option<IpAddr>,
    direction: Direction,
    media: Vec<Media>,
}

/// What was chosen of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which of the media lines, from 0.
    pub line: usize,
    /// Codec.
    pub codec: G711,
    /// Its RTP payload type there.
    pub payload_type: u8,
    /// Payload type of key presses, if offered.
    pub telephone_event: Option<u8>,
    /// Where to send RTP. Port 9 or address 0.0.0.0 in old-style hold come with [`Direction::Inactive`].
    pub remote: SocketAddr,
    /// Where to send RTCP.
    pub remote_rtcp: SocketAddr,
    /// RTCP on the RTP port, RFC 5761.
    pub rtcp_mux: bool,
    /// As the peer wrote it.
    pub direction: Direction,
}

/// Our side of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Address that the peer reaches us at.
    pub ip: IpAddr,
    /// RTP port.
    pub rtp: u16,
    /// RTCP port.
    pub rtcp: u16,
    /// Session id, any number; the same for the whole call.
    pub id: u64,
    /// Version, one more at each change.
    pub version: u64,
}

impl Offer {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`]; lines of unknown type are passed over.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_LENGTH {
            return Err(SdpError::NotSdp("longer than 16 KiB"));
        }
        let text = std::str::from_utf8(body).map_err(|_| SdpError::NotSdp("not UTF-8"))?;
        let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        if lines.next().map(|(_, l)| l.trim_end()) != Some("v=0") {
            return Err(SdpError::NotSdp("does not begin with v=0"));
        }
        let mut out = Self { connection: None, direction: Direction::default(), media: Vec::new() };
        for (at, line) in lines {
            let bad = SdpError::Line { line: at + 1 };
            let (kind, value) = line.trim_end().split_once('=').ok_or_else(|| bad.clone())?;
            match kind {
                "m" => {
                    if out.media.len() >= MAX_MEDIA {
                        return Err(SdpError::TooManyMedia);
                    }
                    out.media.push(media(value).ok_or(bad)?);
                }
                "c" => {
                    let connection = connection(value);
                    match out.media.last_mut() {
                        Some(m) => m.connection = connection,
                        None => out.connection = connection,
                    }
                }
                "a" => out.attribute(value),
                _ => {}
            }
        }
        Ok(out)
    }

    fn attribute(&mut self, value: &str) {
        let (name, rest) = value.split_once(':').unwrap_or((value, ""));
        if let Some(direction) = Direction::parse(name) {
            match self.media.last_mut() {
                Some(m) => m.direction = Some(direction),
                None => self.direction = direction,
            }
            return;
        }
        let Some(m) = self.media.last_mut() else { return };
        match name {
            "rtpmap" => {
                if let Some((pt, map)) = rest.split_once(' ')
                    && let Ok(pt) = pt.parse::<u8>()
                    && m.maps.len() < 64
                {
                    m.maps.push((pt, map.trim().to_ascii_lowercase()));
                }
            }
            "rtcp" => {
                let mut words = rest.split_whitespace();
                if let Some(port) = words.next().and_then(|p| p.parse().ok()) {
                    m.rtcp = Some((port, words.nth(2).and_then(|ip| ip.parse().ok())));
                }
            }
            "rtcp-mux" => m.mux = true,
            "mid" => m.mid = Some(rest.chars().filter(|c| !c.is_control()).take(64).collect()),
            _ => {}
        }
    }

    /// Picks audio that we speak: the first usable line, in it the first codec of the peer's order that is G.711.
    /// `keep`: only this codec will do (a session that is running).
    ///
    /// # Errors
    /// [`SdpError::NothingInCommon`].
    pub fn choose(&self, keep: Option<G711>) -> Result<Chosen, SdpError> {
        let mut why = "no audio line";
        for (line, m) in self.media.iter().enumerate().filter(|(_, m)| m.kind == "audio") {
            if m.port == 0 {
                why = "audio is refused";
                continue;
            }
            if !matches!(m.protocol.as_str(), "RTP/AVP" | "RTP/AVPF") {
                why = "audio is not over plain RTP";
                continue;
            }
            let Some(ip) = m.connection.or(self.connection) else {
                why = "no numeric address";
                continue;
            };
            let picked = m.formats.iter().find_map(|f| {
                let pt = f.parse::<u8>().ok().filter(|pt| *pt < 128)?;
                codec(m, pt).filter(|c| keep.is_none_or(|k| k == *c)).map(|c| (pt, c))
            });
            let Some((payload_type, codec)) = picked else {
                why = "neither PCMU nor PCMA";
                continue;
            };
            let telephone_event = m
                .maps
                .iter()
                .find(|(pt, map)| map.starts_with("telephone-event/8000") && listed(m, *pt))
                .map(|(pt, _)| *pt);
            let direction = m.direction.unwrap_or(self.direction);
            // Hold as in RFC 2543: no address.
            let direction = if ip.is_unspecified() { Direction::Inactive } else { direction };
            let (rtcp_port, rtcp_ip) = m.rtcp.unwrap_or((m.port.saturating_add(1), None));
            let remote = SocketAddr::new(ip, m.port);
            return Ok(Chosen {
                line,
                codec,
                payload_type,
                telephone_event,
                remote,
                remote_rtcp: if m.mux { remote } else { SocketAddr::new(rtcp_ip.unwrap_or(ip), rtcp_port) },
                rtcp_mux: m.mux,
                direction,
            });
        }
        Err(SdpError::NothingInCommon(why))
    }
}

/// Our answer to `offer`, with `chosen` of it.
#[must_use]
pub fn answer(offer: &Offer, chosen: &Chosen, local: &Local) -> String {
    let mut out = head(local);
    for (line, m) in offer.media.iter().enumerate() {
        if line != chosen.line {
            // Refused: port 0, formats as they were. RFC 3264 6.
            let _ = write!(out, "m={} 0 {} {}\r\n", m.kind, m.protocol, m.formats.join(" "));
            continue;
        }
        let formats: Vec<String> =
            std::iter::once(chosen.payload_type).chain(chosen.telephone_event).map(|pt| pt.to_string()).collect();
        let _ = write!(out, "m=audio {} {} {}\r\n", local.rtp, m.protocol, formats.join(" "));
        if let Some(mid) = &m.mid {
            let _ = write!(out, "a=mid:{mid}\r\n");
        }
        let _ = write!(out, "a=rtpmap:{} {}/8000\r\n", chosen.payload_type, chosen.codec.name());
        tail(&mut out, chosen.telephone_event, chosen.direction.answered(), local);
        if chosen.rtcp_mux {
            out.push_str("a=rtcp-mux\r\n");
        }
    }
    out
}

/// An offer of ours: both laws, key presses.
#[must_use]
pub fn offer(local: &Local) -> String {
    let mut out = head(local);
    let _ = write!(out, "m=audio {} RTP/AVP 8 0 101\r\n", local.rtp);
    out.push_str("a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n");
    tail(&mut out, Some(101), Direction::SendRecv, local);
    out
}

fn head(local: &Local) -> String {
    let family = if local.ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=- {} {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n",
        local.id,
        local.version,
        ip = local.ip
    )
}

fn tail(out: &mut String, event: Option<u8>, direction: Direction, local: &Local) {
    if let Some(pt) = event {
        let _ = write!(out, "a=rtpmap:{pt} telephone-event/8000\r\na=fmtp:{pt} 0-16\r\n");
    }
    let _ = write!(out, "a=ptime:20\r\na=maxptime:60\r\na={}\r\na=rtcp:{}\r\n", direction.name(), local.rtcp);
}

fn media(value: &str) -> Option<Media> {
    let mut words = value.split_whitespace();
    let kind = words.next()?.to_owned();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats: Vec<String> = words.take(64).map(str::to_owned).collect();
    if formats.is_empty() {
        return None;
    }
    Some(Media {
        kind,
        port,
        protocol,
        formats,
        connection: None,
        direction: None,
        maps: Vec::new(),
        rtcp: None,
        mux: false,
        mid: None,
    })
}

/// `IN IP4 192.0.2.1`; multicast suffixes and names are not for phones.
fn connection(value: &str) -> Option<IpAddr> {
    let mut words = value.split_whitespace();
    let (net, _family, address) = (words.next()?, words.next()?, words.next()?);
    (net == "IN").then_some(())?;
    address.parse::<IpAddr>().ok().filter(|ip| !ip.is_multicast())
}

fn listed(m: &Media, pt: u8) -> bool {
    m.formats.iter().any(|f| f.parse() == Ok(pt))
}

fn codec(m: &Media, pt: u8) -> Option<G711> {
    let map = m.maps.iter().find(|(p, _)| *p == pt).map(|(_, map)| map.as_str());
    match (map, pt) {
        (Some(map), _) => match map.strip_suffix("/1").unwrap_or(map) {
            "pcmu/8000" => Some(G711::Pcmu),
            "pcma/8000" => Some(G711::Pcma),
            _ => None,
        },
        (None, 0) => Some(G711::Pcmu),
        (None, 8) => Some(G711::Pcma),
        _ => None,
    }
}

#[cfg(test)]
#[path = "sdp_tests.rs"]
mod tests;
