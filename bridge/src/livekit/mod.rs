//! A participant in a LiveKit room, with Element Call's frame encryption.
//!
//! [`Participant::join`] connects with a token, publishes a microphone track and subscribes to everyone's audio. Frames
//! are given and taken as Opus packets in clear; between here and the other participants they are encrypted under the
//! keys that [`Participant::set_send_key`] and [`Participant::set_receive_key`] are told, and the SFU sees none of it.
//!
//! One task per participant holds the connection. [`hearing`] (what becomes of a frame), [`frame_crypto`] and `roster`
//! (who is there) are sans-IO and tested alone; `session` and `peer` are the edge.

pub mod frame_crypto;
pub mod hearing;
mod keys;
mod participant;
mod peer;
mod roster;
mod session;
mod types;

pub use keys::{FAILURE_TOLERANCE, KeyRing, MediaKey, MediaKeyError, Opened};
pub use participant::Participant;
pub use types::{
    Admitted, CloseReason, Encryption, FrameAudio, JoinOptions, ParticipantIdentity, RemoteFrame, SfuError, SfuEvent,
    SfuStats,
};
