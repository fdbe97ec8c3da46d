//! What goes in and comes out of a [`super::SipEndpoint`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;

use super::outcome::CallOutcome;
use crate::ids::{E164, LegId};
use crate::rtp::RtpConfig;

/// Settings of a [`super::SipEndpoint`].
#[derive(Debug, Clone)]
pub struct SipConfig {
    /// UDP address for signalling; media sockets are on the same address. Port 0: the system chooses.
    pub listen: SocketAddr,
    /// The address that callers reach us at, where it is not that of the interface (behind NAT). Put into Contact and SDP.
    pub advertised: Option<IpAddr>,
    /// Ports for media; pairs of even and odd. Beginning with 0: the system chooses.
    pub rtp_ports: RangeInclusive<u16>,
    /// Calls at once, ringing ones included. What comes above is answered 503 with Retry-After.
    pub max_calls: usize,
    /// RFC 3261 T1, the first retransmission interval; 64 of it is how long an ACK is waited for. Default 500 ms: 32 s.
    pub t1: Duration,
    /// Numbers from the trunk come without their `+` (8 to 15 digits, country code first). Default: no.
    pub bare_numbers: bool,
}

impl SipConfig {
    /// Defaults on `listen`: ports 10000 to 19999 for media, 100 calls.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertised: None,
            rtp_ports: 10_000..=19_999,
            max_calls: 100,
            t1: Duration::from_millis(500),
            bare_numbers: false,
        }
    }
}

/// A call that rings us. Nothing has been sent but `100 Trying`.
#[derive(Clone)]
pub struct IncomingCall {
    /// Names it in all that follows.
    pub leg: LegId,
    /// User part of the request URI as dialled: a number, a name, digits. Empty where the URI has none.
    pub called: String,
    /// `called` as a number, where it is one.
    pub called_number: Option<E164>,
    /// Who calls, as the network says (P-Asserted-Identity) or as the phone itself says (From). `None`: withheld or no number.
    /// Nobody has checked it.
    pub caller: Option<E164>,
    /// Display name that came with it. Nobody has checked it.
    pub caller_name: Option<String>,
    /// Where the INVITE came from: the trunk, or the phone itself.
    pub source: SocketAddr,
    /// Its Call-ID: the same on the other side's records.
    pub sip_call_id: String,
}

impl fmt::Debug for IncomingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingCall")
            .field("leg", &self.leg)
            .field("called_number", &self.called_number)
            .field("caller", &self.caller)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// What happens on the SIP side.
#[derive(Debug, Clone)]
pub enum SipEvent {
    /// Somebody calls: answer it with [`super::SipEndpoint::ring`], `answer` or `reject`.
    Incoming(IncomingCall),
    /// The phone put the call on hold, took it back, or moved its media: tell the [`crate::rtp::RtpSession`].
    MediaChanged {
        /// Which call.
        leg: LegId,
        /// Where RTP goes from now on.
        remote: SocketAddr,
        /// Where RTCP goes.
        remote_rtcp: SocketAddr,
        /// The phone does not listen (hold): it need not be sent anything.
        held: bool,
    },
    /// The call is over; the last event of its leg, exactly one for each [`SipEvent::Incoming`], whoever ended it.
    Ended {
        /// Which call.
        leg: LegId,
        /// How.
        outcome: CallOutcome,
    },
}

/// The media of an answered call: two bound sockets and what was negotiated. Make an [`crate::rtp::RtpSession`] of `config`.
#[derive(Debug)]
pub struct PhoneMedia {
    /// RTP, even port.
    pub rtp: UdpSocket,
    /// RTCP, the port above; unused with `config.rtcp_mux`.
    pub rtcp: UdpSocket,
    /// Codec, payload types, where to send.
    pub config: RtpConfig,
}

/// Why something on the SIP side did not work.
#[derive(Debug, Error)]
pub enum SipError {
    /// The signalling port cannot be had.
    #[error("cannot listen for SIP on {listen}: {source}")]
    Bind {
        /// The configured address.
        listen: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The call is over, or never was.
    #[error("{0} is not a call")]
    NoSuchLeg(LegId),
    /// The call was answered already.
    #[error("{0} is answered already")]
    Answered(LegId),
    /// No pair of ports for its media; the call was refused with 503.
    #[error("no media ports for {leg}: {source}")]
    NoPorts {
        /// Which call.
        leg: LegId,
        /// The system's error.
        source: std::io::Error,
    },
    /// The peer's answer to our offer (it called without one) is of no use; the call was ended.
    #[error("{leg} has no media in common: {source}")]
    Media {
        /// Which call.
        leg: LegId,
        /// What is wrong with it.
        source: super::sdp::SdpError,
    },
    /// The SIP stack failed.
    #[error("{leg}: SIP stack: {why}")]
    Stack {
        /// Which call.
        leg: LegId,
        /// Its words.
        why: String,
    },
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SipStats {
    /// Calls running or ringing now.
    pub calls: usize,
    /// Calls offered to the desk.
    pub incoming: u64,
    /// INVITEs refused here: no common codec, overload, malformed, merged.
    pub refused: u64,
    /// Datagrams that are no SIP.
    pub garbage: u64,
    /// Requests dropped unanswered: a flood.
    pub throttled: u64,
}
