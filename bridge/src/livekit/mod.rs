//! A participant in a LiveKit room, with Element Call's frame encryption.

pub mod frame_crypto;
mod keys;
mod types;

pub use keys::{FAILURE_TOLERANCE, KeyRing, MediaKey, MediaKeyError, Opened};
pub use types::{
    Admitted, CloseReason, Encryption, FrameAudio, JoinOptions, ParticipantIdentity, RemoteFrame, SfuError, SfuEvent,
    SfuStats,
};
