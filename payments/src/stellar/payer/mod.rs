//! Paying, exactly once, over a network whose answers get lost.
//!
//! 1. An order is stored. Its id is its idempotency key.
//! 2. The account's next sequence number is asked for, a transaction is signed, and **envelope and hash are stored before
//!    anything is sent**.
//! 3. Only those bytes are sent, again and again if need be: applied once, they cannot be applied again, because the sequence
//!    number is used up. An answer to sending is never an outcome.
//! 4. The outcome is what a closed ledger says: success or failure.
//! 5. Another transaction is signed for the same order only when the last one can never be applied any more: a ledger was
//!    closed later than its time bounds, and the server, whose ledgers reach back to before it was signed, does not know it.
//! 6. Where it is not taken, a fee bump around the same bytes offers more. Inside it is the same transaction: applied once.
//!
//! [`Delivery`] is the state machine of one order, without clock, disk or network; [`Orders`] keeps it on disk, [`Payer`] is
//! the task that drives it.

mod delivery;
mod orders;
mod task;

pub use delivery::{
    Attempt, Bump, Change, Delivery, Order, OrderId, Outcome, Policy, Seen, Signer, State, Step, Told, Via,
};
pub use orders::{Orders, Stored};
pub use task::{Counter, Did, Payer};
