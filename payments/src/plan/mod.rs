//! What an account has beside its calls: a plan with its quota of transcription, and vouchers.

mod plans;
mod usage;
mod voucher;

pub use plans::{Allowance, History, Plan, PlanError, Plans, Prices, Renewed, Subscription};
pub use usage::Month;
pub use voucher::{Code, NoCode, VoucherError, Vouchers};
