//! Accounts: four sums, and what they may never become.

use serde::{Deserialize, Serialize};

use super::{AccountId, Refusal};
use crate::Msat;

/// What an account stands for. The number is stored: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AccountKind {
    /// What we owe a customer: prepaid, never below zero.
    Customer = 1,
    /// What calls and plans have earned.
    Revenue = 2,
    /// What trunks have cost us.
    TrunkCost = 3,
    /// What lies in the Lightning node: what top-ups brought, less what went out.
    Lightning = 4,
    /// Routing fees paid.
    RoutingFees = 5,
    /// What a partner or a carrier owes us, or we them.
    Partner = 6,
    /// What lies on Stellar.
    Stellar = 7,
    /// Came in and cannot be told whose it is.
    Suspense = 8,
    /// Given away: vouchers, credits by an admin, free minutes.
    Gifts = 9,
}

impl AccountKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Customer,
        Self::Revenue,
        Self::TrunkCost,
        Self::Lightning,
        Self::RoutingFees,
        Self::Partner,
        Self::Stellar,
        Self::Suspense,
        Self::Gifts,
    ];

    /// Whether debits, pending ones too, must never exceed posted credits.
    #[must_use]
    pub const fn is_prepaid(self) -> bool {
        matches!(self, Self::Customer)
    }

    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From what is stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// The four sums of an account. Debits take from a customer, credits give. Pending is reserved, posted is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Reserved to be taken.
    pub debits_pending: Msat,
    /// Taken.
    pub debits_posted: Msat,
    /// Reserved to be given.
    pub credits_pending: Msat,
    /// Given.
    pub credits_posted: Msat,
}

impl Sums {
    /// What can still be taken: given, less taken, less reserved; nothing where that is below nothing.
    #[must_use]
    pub fn available(&self) -> Msat {
        self.credits_posted.saturating_sub(self.debits_posted).saturating_sub(self.debits_pending)
    }

    /// Given less taken, with its sign: what the books say of the account, reservations aside.
    #[must_use]
    pub fn balance(&self) -> i128 {
        i128::from(self.credits_posted.msat()) - i128::from(self.debits_posted.msat())
    }
}

/// An account as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// What it stands for.
    pub kind: AccountKind,
    /// Its sums.
    pub sums: Sums,
    /// Nothing new goes in or out while frozen; what was reserved before can still be settled or released.
    pub frozen: bool,
}

impl Account {
    /// An account without a transfer.
    #[must_use]
    pub fn new(id: AccountId, kind: AccountKind) -> Self {
        Self { id, kind, sums: Sums::default(), frozen: false }
    }

    /// Checks what this change would make of the account. The caller puts the result in.
    pub(super) fn changed(&self, change: impl FnOnce(&mut Sums) -> Option<()>) -> Result<Self, Refusal> {
        let mut sums = self.sums;
        change(&mut sums).ok_or(Refusal::Overflow { account: self.id })?;
        let taken =
            sums.debits_posted.checked_add(sums.debits_pending).ok_or(Refusal::Overflow { account: self.id })?;
        let takes_more = sums.debits_posted > self.sums.debits_posted || sums.debits_pending > self.sums.debits_pending;
        if self.kind.is_prepaid() && takes_more && taken > sums.credits_posted {
            return Err(Refusal::NotEnough { account: self.id, available: self.sums.available() });
        }
        Ok(Self { sums, ..*self })
    }
}
