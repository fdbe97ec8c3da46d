//! The phone leg: one task that carries sound between a telephone's RTP and an SFU room.
//!
//! Every 20 ms, on a clock that neither drifts nor bursts, it takes 20 ms of what the phone says out of the RTP session,
//! encodes it (Opus straight from 8 kHz) and gives it to the [`Participant`]; and it mixes what everyone in the room says
//! with the prompts meant for this caller and sends that to the phone. The caller of this module passes the frames on
//! that the participant's events bring: it alone knows who may be heard.

mod clock;
mod leg;
mod room;

pub use leg::{LegStats, PhoneEvent, PhoneLeg, PhoneSettings};
pub use room::{Over, Prompt, RoomStats};

#[cfg(doc)]
use crate::livekit::Participant;
