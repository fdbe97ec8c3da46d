//! Credit control of a call, after RFC 8506.
//!
//! ```text
//!  desk ── reserve ──▶ Prepaid ── guard, rate, trunk ──▶ Service ── one task a call: CreditSession ──▶ Ledger
//!       ◀─ may ring ──┘   INITIAL      reserve the first quota
//!       ── answered ──▶   UPDATE       settle what was used, reserve the next, ahead of need
//!       ◀─ warn, extended, cut
//!       ── settle ────▶   TERMINATION  settle the rest, release what is left, write the records
//! ```
//!
//! [`CreditSession`] decides, without clock and ledger; [`Service`] runs it; [`CallCharging`] is what the desk knows of it all.
//! What a call costs is its price's exact cost of the whole call, however it was reserved. What its carrier takes for it is booked in
//! the commit that ends it: an expense of ours ([`crate::cdr::Carrier::expenses`]), owed to the carrier. A reservation expires by itself some
//! minutes behind the time that it pays for: what a dead desk held is free again. A desk that comes back ends its calls before
//! that, where the ledger last heard of them ([`Snapshot`]).

mod prepaid;
mod quota;
mod seam;
mod service;
mod session;
mod snapshot;

pub use prepaid::{CallCharging, Prepaid, Reserving, Tariffs};
pub use quota::{Quota, QuotaError};
pub use seam::{Answer, CallTerms, Declined, Ended, Input, Length, Means, Now, Output, Request};
pub(crate) use service::FarEnd;
pub use service::{CallCredit, Happened, Service, StartError};
pub use session::{ANSWER_WITHIN, CreditSession};
pub use snapshot::{Carried, Held, Snapshot};
