//! The bridge from outside: a file per behaviour, real peers where they matter.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "tests")]

mod frame_crypto;
mod livekit_others;
mod livekit_party;
mod livekit_rooms;
mod livekit_server;
mod mix_ear;
mod phone_leg;
mod sip_calls;
mod sip_door;
mod sip_phone;
