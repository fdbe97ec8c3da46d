//! Transfers: what can be asked of the ledger, and why it refuses.

use serde::{Deserialize, Serialize};

use super::{AccountId, TransferId};
use crate::{Msat, UnixMillis};

/// One thing to be done. Never changed once done: what was wrong is corrected by another transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Its name, chosen by who asks: the idempotency key.
    pub id: TransferId,
    /// What it is for, as a statement shows it.
    pub purpose: Purpose,
    /// What is to be done.
    pub movement: Movement,
}

impl Transfer {
    /// Releases a reservation because its time has come. Whoever notices names the same transfer.
    #[must_use]
    pub fn expiry_of(reservation: TransferId) -> Self {
        let id = TransferId::named(&["expiry", &reservation.to_string()]);
        Self { id, purpose: Purpose::Correction, movement: Movement::Expire { reservation } }
    }
}

/// What a transfer is for. The number is stored: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Purpose {
    /// Money that came in by Lightning.
    TopUp = 1,
    /// A call, by its minutes.
    Call = 2,
    /// A plan's fee.
    Plan = 3,
    /// A voucher that was redeemed.
    Voucher = 4,
    /// A balance paid back.
    Refund = 5,
    /// The node's fee for a payout.
    RoutingFee = 6,
    /// A settlement with a partner.
    Settlement = 7,
    /// Given by an admin.
    Credit = 8,
    /// Mends what an earlier transfer got wrong, or lets go what was held back.
    Correction = 9,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TopUp,
        Self::Call,
        Self::Plan,
        Self::Voucher,
        Self::Refund,
        Self::RoutingFee,
        Self::Settlement,
        Self::Credit,
        Self::Correction,
    ];

    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From what is stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.number() == number)
    }
}

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Moves money at once.
    Post {
        /// From whom.
        debit: AccountId,
        /// To whom.
        credit: AccountId,
        /// How much, more than nothing.
        amount: Msat,
    },
    /// Holds money back until it is settled, voided or expired: one of them, once.
    Reserve {
        /// From whom.
        debit: AccountId,
        /// To whom.
        credit: AccountId,
        /// How much at most, more than nothing.
        amount: Msat,
        /// From when on it may be expired; `None`: never, only proof of the outcome ends it (a payout).
        expires: Option<UnixMillis>,
    },
    /// Moves so much of a reservation and releases the rest. Also behind its expiry, as long as nobody has expired it.
    Settle {
        /// Which.
        reservation: TransferId,
        /// How much, nothing to all of it.
        amount: Msat,
    },
    /// Releases a reservation whole.
    Void {
        /// Which.
        reservation: TransferId,
    },
    /// Releases a reservation whose time has come.
    Expire {
        /// Which.
        reservation: TransferId,
    },
}

/// What became of a transfer that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Done now.
    New,
    /// The same transfer was done before; nothing was changed.
    Exists,
}

/// Why a transfer is not done, in the order in which it is looked for. Nothing has changed, but for what
/// [`Refusal::spends_the_id`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The id stands for another transfer.
    #[error("transfer {id} was asked for before with another {field}")]
    OtherBody {
        /// The id.
        id: TransferId,
        /// The first field that differs.
        field: &'static str,
    },
    /// Some of a list of linked transfers were done before and some not: they are not the same list.
    #[error("transfer {id} is linked with others that were not done with it")]
    OtherList {
        /// The first that was done before.
        id: TransferId,
    },
    /// Twice the same id in one list.
    #[error("transfer {id} is twice in one list")]
    Twice {
        /// The id.
        id: TransferId,
    },
    /// Nothing to move.
    #[error("an amount of nothing cannot be moved")]
    Nothing,
    /// Debit and credit are one account.
    #[error("account {account} cannot pay itself")]
    SameAccount {
        /// The account.
        account: AccountId,
    },
    /// There is no such account.
    #[error("there is no account {account}")]
    NoAccount {
        /// As asked for.
        account: AccountId,
    },
    /// There is no such reservation.
    #[error("there is no reservation {reservation}")]
    NoReservation {
        /// As asked for.
        reservation: TransferId,
    },
    /// It was settled, voided or expired before.
    #[error("reservation {reservation} was {how} before")]
    Resolved {
        /// Which.
        reservation: TransferId,
        /// How it ended.
        how: Resolution,
    },
    /// Its time has not come.
    #[error("reservation {reservation} does not expire yet")]
    NotYet {
        /// Which.
        reservation: TransferId,
    },
    /// More than was reserved.
    #[error("reservation {reservation} holds {reserved}, less than is to be settled")]
    MoreThanReserved {
        /// Which.
        reservation: TransferId,
        /// What it holds.
        reserved: Msat,
    },
    /// An operator has frozen the account.
    #[error("account {account} is frozen")]
    Frozen {
        /// Which.
        account: AccountId,
    },
    /// A sum would leave what can be counted.
    #[error("the sums of account {account} would be more than all money there is")]
    Overflow {
        /// Which.
        account: AccountId,
    },
    /// The account holds too little.
    #[error("account {account} has {available} left, which is not enough")]
    NotEnough {
        /// Which.
        account: AccountId,
        /// What can be taken from it.
        available: Msat,
    },
}

impl Refusal {
    /// Whether the id is used up: it depends on the moment whether this is refused, and a late repetition of the same
    /// request must not go through behind the asker's back. Who still wants it asks under a new id.
    #[must_use]
    pub const fn spends_the_id(&self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::NotEnough { .. })
    }
}

/// How a reservation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// So much of it was moved.
    Settled(Msat),
    /// It was released.
    Voided,
    /// It was released because its time had come.
    Expired,
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Settled(_) => "settled",
            Self::Voided => "voided",
            Self::Expired => "expired",
        })
    }
}
