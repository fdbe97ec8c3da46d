//! From agreed statements to the books, and to what is to be paid.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Agreement, Side};
use crate::ledger::{AccountId, Movement, Purpose, Transfer, TransferId};
use crate::stellar::payer::{Order, OrderId};
use crate::stellar::{Address, Destination, Network, Pay, PayLink, Stroops};
use crate::{Msat, UnixMillis};

/// Where a partner's money stands in our books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounts {
    /// What they owe us, or we them.
    pub partner: AccountId,
    /// What calls have earned.
    pub revenue: AccountId,
    /// Where what they have carried stands until it is agreed; see [`super::Partner::carried`].
    pub carried: AccountId,
    /// What lies on Stellar.
    pub stellar: AccountId,
}

/// When is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayWhen {
    /// At once above this.
    pub above: Msat,
    /// And whatever is owed after so long.
    pub after: Duration,
}

/// What one side owes the other over some agreed windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Who is to pay.
    pub payer: Side,
    /// How much.
    pub amount: Msat,
    /// The same in what is paid with.
    pub stroops: Stroops,
    /// The memo of the payment: that of the last statement which it pays.
    pub reference: u64,
}

fn transfer(agreement: &Agreement, what: &str, debit: AccountId, credit: AccountId, amount: Msat) -> Option<Transfer> {
    // By the statement's hash: whoever books it again after a crash names the same.
    let id = TransferId::named(&["settlement", what, &hex::encode(agreement.statement.hash().0)]);
    let movement = Movement::Post { debit, credit, amount };
    (!amount.is_zero()).then_some(Transfer { id, purpose: Purpose::Settlement, movement })
}

/// What an agreement puts into the books of this side: what they carried for us, and we for them. Linked: all or nothing.
#[must_use]
pub fn booked(agreement: &Agreement, us: Side, accounts: &Accounts) -> Vec<Transfer> {
    let totals = agreement.totals();
    let (to_us, to_them) = match us {
        Side::A => (totals.to_a, totals.to_b),
        Side::B => (totals.to_b, totals.to_a),
    };
    let earned = transfer(agreement, "earned", accounts.partner, accounts.revenue, to_us);
    let spent = transfer(agreement, "spent", accounts.carried, accounts.partner, to_them);
    [earned, spent].into_iter().flatten().collect()
}

/// What is due now over these windows, in their order, none of them paid. Both sides reckon the same. `None`: nothing yet.
#[must_use]
pub fn due(open: &[Agreement], now: UnixMillis, when: PayWhen) -> Option<Due> {
    let (first, last) = (open.first()?, open.last()?);
    // Positive: B is owed.
    let net: i128 = open
        .iter()
        .map(|agreement| {
            let totals = agreement.totals();
            i128::from(totals.to_b.msat()) - i128::from(totals.to_a.msat())
        })
        .sum();
    let amount = u64::try_from(net.unsigned_abs()).ok().and_then(Msat::new)?;
    let late = now >= first.statement.window.until.after(when.after);
    if amount.is_zero() || (amount <= when.above && !late) {
        return None;
    }
    let stroops = last.statement.terms.rate.stroops_for(amount)?;
    let payer = if net > 0 { Side::A } else { Side::B };
    Some(Due { payer, amount, stroops, reference: last.statement.reference() })
}

impl Due {
    /// The order for the payer. Its id comes from the last statement and from how often that was tried to be paid: asked for
    /// again, it is the same order.
    #[must_use]
    pub fn order(&self, last: &Agreement, attempt: u32, to: Address) -> Order {
        let mut id = [0; 16];
        let from = [b"roomtone settlement order 1\n", &last.statement.hash().0[..], &attempt.to_be_bytes()].concat();
        id.copy_from_slice(&Sha256::digest(from)[..16]);
        let pay =
            Pay { destination: Destination::account(to), asset: last.statement.terms.asset, amount: self.stroops };
        Order { id: OrderId(id), pay, memo: Some(self.reference), via: None }
    }

    /// The link by which a person pays it out of a wallet.
    #[must_use]
    pub fn link(&self, last: &Agreement, network: &Network) -> PayLink {
        PayLink {
            destination: Destination::account(last.statement.terms.key(self.payer.other())),
            amount: Some(self.stroops),
            asset: last.statement.terms.asset,
            memo_id: Some(self.reference),
            message: None,
            network: Some(network.clone()).filter(|network| !network.is_public()),
        }
    }
}

fn of_order(order: OrderId, what: &str, movement: Movement) -> Transfer {
    let id = TransferId::named(&["settlement payment", what, &hex::encode(order.0)]);
    Transfer { id, purpose: Purpose::Settlement, movement }
}

/// Holds back what a payment is about to take from Stellar. It does not expire: only proof of the outcome ends it.
#[must_use]
pub fn held(order: OrderId, amount: Msat, accounts: &Accounts) -> Transfer {
    let (debit, credit) = (accounts.partner, accounts.stellar);
    of_order(order, "held", Movement::Reserve { debit, credit, amount, expires: None })
}

/// What the payer's books take in when the payment is in a ledger.
#[must_use]
pub fn paid(order: OrderId, amount: Msat, accounts: &Accounts) -> Transfer {
    of_order(order, "paid", Movement::Settle { reservation: held(order, amount, accounts).id, amount })
}

/// What the payer's books take in when it is proved that it was not and cannot be made.
#[must_use]
pub fn not_paid(order: OrderId, amount: Msat, accounts: &Accounts) -> Transfer {
    of_order(order, "not paid", Movement::Void { reservation: held(order, amount, accounts).id })
}
