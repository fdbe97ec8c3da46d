//! MatrixRTC as deployed ("compatibility" mode of Element Call): who is in a room's call, and under which media keys.
//!
//! Everything here is sans-IO. One [`Session`] stands for one of our devices in one room's call:
//!
//! 1. **Join.** A leave is scheduled with the homeserver first (MSC4140), so that a crash cannot leave us in the
//!    call; then the membership state event is sent (MSC3401/MSC4143).
//! 2. **Stay.** The scheduled leave is put off every 4 s; the membership is sent again before it expires; when it
//!    vanishes while we are in the call it is sent again.
//! 3. **Keys.** Our media key goes to every member's device, Olm-encrypted. It is made anew when someone leaves, or
//!    joins while it is older than 10 s ([`KeyDistribution`]).
//! 4. **Leave.** The scheduled leave is sent at once; where there is none, the empty state event.
//!
//! What comes from others is read by [`Membership::parse`] into a [`Roster`], and by [`ReceivedKey::check`].

mod keys;
mod membership;
mod ring;
mod roster;
mod session;
#[cfg(test)]
mod tests;

pub use keys::{KEY_EVENT, KeyDistribution, KeyOutput, KeyRefusal, ReceivedKey, key_content};
pub use membership::{
    MEMBER_EVENT, Member, MemberEvent, Membership, MembershipError, Transport, own_content, state_key,
};
pub use ring::{RING_EVENT, ring_content};
pub use roster::{Roster, RosterChange};
pub use session::{DelayId, Session, SessionInput, SessionOutput, SessionTimers};
