//! RTP and RTCP: the phone's media, sans-IO. RFC 3550, 3551, 4733.
//!
//! [`RtpSession`] is one phone leg's media; [`JitterBuffer`] serves other transports too.

mod conceal;
mod dtmf;
#[doc(hidden)]
pub mod fuzz;
mod jitter;
mod latch;
mod number;
mod packet;
mod quality;
mod reception;
pub mod rtcp;
mod session;
mod stats;

pub use conceal::Concealer;
pub use dtmf::{Digit, DtmfReceiver, EventPayload};
pub use jitter::{JitterBuffer, JitterConfig, JitterStats, Popped};
pub use latch::Latch;
pub use number::{WideSequence, WideTimestamp};
pub use packet::{PacketError, RtpPacket, is_rtcp};
pub use quality::mos;
pub use session::{FrameKind, PhoneFrame, RtpConfig, RtpOutput, RtpSession};
pub use stats::{Dropped, RtpStats};
