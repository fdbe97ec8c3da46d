//! Names of top-ups and payouts, made by whoever asks: the same name is done once.

use crate::ledger::ids::id;

id!(
    /// Names a request for a top-up: of the Matrix event that asked for it, say.
    TopUpId,
    "lightning top-up"
);
id!(
    /// Names a payout: the same is paid once.
    PayoutId,
    "lightning payout"
);
