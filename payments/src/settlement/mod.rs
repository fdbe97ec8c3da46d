//! Settlement between operators: who carried which calls for whom, what is owed, and that both say the same.
//!
//! 1. At the end of a window each side makes a [`Statement`] out of its own CDRs. A line names a call by a hash that only the
//!    two can make ([`CallName`]): no number and no content is in it. The same calls give the same bytes on both sides.
//! 2. Both sign, and send one another statement and signature. Where the bytes are the same, the window is agreed.
//! 3. Where they are not, each call on which they differ is a [`Dispute`], and both sign what they do not differ on.
//! 4. What is agreed goes into the books, once; what is owed over all agreed windows is paid when it passes a threshold, or
//!    every day, with the last statement's [`Statement::reference`] as memo.
//!
//! [`Windows`] keeps all of it on disk, [`Clerk`] does what is to be done next. [`Office`] is the whole of it as an operator runs it:
//! by the configuration ([`SettlementConfig`]) and the calendar, with [`files`] that travel by any channel.

mod agreement;
mod by_hand;
mod calls;
mod clerk;
mod config;
mod due;
pub mod files;
pub mod fuzz;
mod office;
mod payments;
mod statement;
mod windows;

pub use agreement::{Agreement, Dispute, Proposal, Refused, Settlement, Standing};
pub use calls::{Between, CallsError, OurCall, OurCalls, calls};
pub use clerk::{Books, Clerk, ClerkError, Did, Partner};
pub use config::{Agreed, AgreedPartner, FeesConfig, PartnerConfig, Paying, SettlementConfig, SettlementConfigError};
pub use due::{Accounts, Due, PayWhen, booked, due, held, not_paid, paid};
pub use files::FileError;
pub use office::{Engines, GRACE, Imported, Office, OfficeError, PartnerStanding, Shown};
pub use payments::{Payment, PaymentEnd};
pub use statement::{
    CallLine, CallName, Carried, PairSecret, Side, Statement, StatementError, StatementHash, Terms, Totals, Window,
};
pub use windows::{Kept, Windows};
