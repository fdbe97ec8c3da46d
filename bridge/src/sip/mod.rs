//! Calls over SIP: a user agent server on UDP. RFC 3261, 3264, 3581.
//!
//! [`SipEndpoint`] takes calls and tells of them with [`SipEvent`]s; the desk rings, answers, refuses and hangs up by
//! [`crate::ids::LegId`]. Behind it is `rsipstack` (transactions, dialogs), of which nothing is visible from outside, so that it can
//! be replaced. Ours are the door (who is listened to), the session descriptions ([`sdp`]) and the verdicts ([`CallOutcome`]).
//!
//! A call by its answers: no codec in common 488, a body that is no SDP 415, required extensions 420, too many calls 503 with
//! Retry-After, a flood nothing; unknown dialogs 481, methods that we do not take 405, that nobody knows 501.

mod address;
mod api;
mod call;
mod endpoint;
#[doc(hidden)]
pub mod fuzz;
mod guard;
mod outcome;
mod ports;
mod quiet;
pub mod sdp;
mod stateless;

pub use api::{IncomingCall, PhoneMedia, SipConfig, SipError, SipEvent, SipStats};
pub use endpoint::SipEndpoint;
pub use outcome::{CallOutcome, Fault};
