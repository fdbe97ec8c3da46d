//! Payouts: a customer's balance out of the house, to an invoice or an offer.
//!
//! The row comes first, then what the ledger holds back (the amount, and the most that the way may cost), then, where the rules
//! ask for it, somebody's approval, then the node. What the node was handed is not known to have failed because it, or the
//! connection to it, is silent: the money stays held back until the node says for certain what became of it
//! ([`Paying`]). An invoice of ours is paid inside, without the node, and can be paid by nobody else then.

mod rows;
mod task;

use std::sync::Arc;

use tokio::sync::Notify;

pub(in crate::lightning) use rows::on_their_way;
pub use rows::{Payout, PayoutState};
pub use task::{OnEnded, Paying, QUIET, Round};

use super::switch::{Stopped, Switch};
use super::{Books, Chain, InvoiceError, Node, PayoutId, Target, top_up};
use crate::ledger::{AccountId, Ledger, LedgerError, Movement, Purpose, Refusal, StoreError, Transfer, TransferId};
use crate::tables::TableError;
use crate::{Msat, UnixMillis};
use rows::Added;

/// What may be paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutRules {
    /// The most at a time.
    pub most: Msat,
    /// The most of an account in 24 hours.
    pub daily_of_account: Msat,
    /// The most of all together in 24 hours.
    pub daily: Msat,
    /// From this amount on somebody has to approve it.
    pub approval_from: Msat,
    /// The most that the way may cost, in millionths of the amount.
    pub fee_ppm: u32,
    /// And this besides.
    pub fee_base: Msat,
}

impl Default for PayoutRules {
    /// At most 0.01 bitcoin at a time, 0.02 of an account and 0.1 of all in a day; 100 000 sat and more are looked at by
    /// somebody. The way may cost 1 % and 10 sat.
    fn default() -> Self {
        let sat = |sat| Msat::from_sat(sat).unwrap_or(Msat::MAX);
        Self {
            most: sat(1_000_000),
            daily_of_account: sat(2_000_000),
            daily: sat(10_000_000),
            approval_from: sat(100_000),
            fee_ppm: 10_000,
            fee_base: sat(10),
        }
    }
}

impl PayoutRules {
    /// The most that the way may cost for this amount. It is held back with the amount, and the node is told.
    #[must_use]
    pub fn max_fee(&self, amount: Msat) -> Msat {
        let share = u128::from(amount.msat()) * u128::from(self.fee_ppm) / 1_000_000;
        let share = u64::try_from(share).ok().and_then(Msat::new).unwrap_or(Msat::MAX);
        share.checked_add(self.fee_base).unwrap_or(Msat::MAX)
    }
}

/// Why nothing is paid out. Nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// It cannot be paid by anybody.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// Over the limit of one.
    #[error("a payout is {most} at most")]
    TooMuch {
        /// The limit.
        most: Msat,
    },
    /// Over the limit of a day.
    #[error("{left} of what may be paid out in 24 hours are left")]
    Daily {
        /// What is left of it.
        left: Msat,
    },
    /// The balance does not hold the amount and the most that the way may cost.
    #[error("{available} are left, and the payout needs {needs}, the most that its way may cost counted in")]
    NotEnough {
        /// What can be taken.
        available: Msat,
        /// Amount and greatest fee.
        needs: Msat,
    },
    /// Somebody has frozen the account, or it cannot be paid from.
    #[error("the ledger refuses the payout: {0}")]
    Refused(Refusal),
    /// The invoice has been used for a payout before.
    #[error("this invoice has been used before; ask for a new one")]
    Used,
    /// A customer's own invoice.
    #[error("this invoice would pay into the account that pays it")]
    Own,
    /// Payouts are stopped.
    #[error("payouts are stopped: {0}")]
    Stopped(String),
    /// There is none of this name, or it is past that.
    #[error("there is no such payout that waits")]
    NotThere,
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// It is on the disk and will be gone on with; ask for its state.
    #[error("the payout is under way: {0}")]
    Unsure(LedgerError),
    /// The ledger's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A payout that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name: the same is paid once.
    pub id: PayoutId,
    /// Whose money.
    pub account: AccountId,
    /// Where to.
    pub to: Target,
    /// How much; needed where the target does not say.
    pub amount: Option<Msat>,
    /// The most that the way may cost; `None`: as the rules say.
    pub max_fee: Option<Msat>,
}

/// Takes orders for payouts. Cheap to clone. [`Paying`] carries them out.
#[derive(Clone)]
pub struct Payouts {
    pub(super) ledger: Ledger,
    pub(super) node: Arc<dyn Node>,
    pub(super) books: Books,
    chain: Chain,
    rules: PayoutRules,
    pub(super) switch: Switch,
    pub(super) wake: Arc<Notify>,
}

impl std::fmt::Debug for Payouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payouts")
    }
}

impl Payouts {
    /// Payouts of this ledger by this node. Opens the accounts that the node's money is in.
    ///
    /// # Errors
    /// What the database says.
    pub async fn new(
        ledger: Ledger,
        node: Arc<dyn Node>,
        (books, chain): (Books, Chain),
        rules: PayoutRules,
    ) -> Result<Self, StoreError> {
        books.open(&ledger).await?;
        let switch = Switch::new(ledger.database().clone());
        Ok(Self { ledger, node, books, chain, rules, switch, wake: Arc::new(Notify::new()) })
    }

    /// Takes an order: answered when what it may cost is held back. The same order again answers how far it is.
    ///
    /// # Errors
    /// [`PayoutError`]: nothing will be paid, but for [`PayoutError::Unsure`].
    pub async fn request(&self, order: &Order) -> Result<Payout, PayoutError> {
        if let Some(known) = self.status(order.id).await? {
            if let Some(field) = different(&known, order) {
                return Err(TableError::Other { what: format!("the payout {}", order.id), field }.into());
            }
            return Ok(known);
        }
        let now = self.ledger.now();
        let amount = order.to.payable(self.chain, now, order.amount)?;
        if amount > self.rules.most {
            return Err(PayoutError::TooMuch { most: self.rules.most });
        }
        let ours = match order.to.hash() {
            Some(hash) => top_up::ours(self.ledger.database(), hash).await?,
            None => None,
        };
        if ours.as_ref().is_some_and(|ours| ours.account == order.account) {
            return Err(PayoutError::Own);
        }
        let is_inside = ours.is_some();
        let max_fee = order.max_fee.unwrap_or_else(|| self.rules.max_fee(amount));
        let payout = Payout {
            id: order.id,
            account: order.account,
            to: order.to.clone(),
            amount,
            max_fee: if is_inside { Msat::ZERO } else { max_fee },
            is_inside,
            needs_approval: amount >= self.rules.approval_from,
            at: now,
            state: PayoutState::Asked,
            approved_by: None,
            sent: None,
            sends: 0,
            heard: false,
            version: 0,
        };
        self.add(&payout).await?;
        let payout = self.reserve(&payout).await?;
        self.wake.notify_one();
        Ok(payout)
    }

    async fn add(&self, payout: &Payout) -> Result<(), PayoutError> {
        match rows::add(self.ledger.database(), payout, &self.rules).await? {
            Added::New => Ok(()),
            Added::Used => Err(PayoutError::Used),
            Added::Stopped(why) => Err(PayoutError::Stopped(why)),
            Added::OverLimit { left } => Err(PayoutError::Daily { left }),
        }
    }

    /// Has the ledger hold back what a payout may cost. Done before, it does nothing.
    pub(super) async fn reserve(&self, payout: &Payout) -> Result<Payout, PayoutError> {
        let needs = payout.amount.checked_add(payout.max_fee).unwrap_or(Msat::MAX);
        let held = self.ledger.apply(holds(payout, &self.books)).await;
        let database = self.ledger.database();
        let (next, refused) = match held {
            Ok(_) if payout.needs_approval => (PayoutState::WaitsForApproval, None),
            Ok(_) => (PayoutState::Ready, None),
            Err(LedgerError::Refused { refusal, .. }) => {
                let why = refusal.to_string();
                (PayoutState::NotPaid { why }, Some(refusal))
            }
            Err(error) => return Err(PayoutError::Unsure(error)),
        };
        rows::turn(database, payout, &next, self.ledger.now()).await?;
        match refused {
            None => self.status(payout.id).await?.ok_or(PayoutError::NotThere),
            Some(Refusal::NotEnough { .. }) => {
                // What the ledger says is of the moment between the amount and the fee.
                let account = self.ledger.account(payout.account).await?;
                let available = account.map_or(Msat::ZERO, |account| account.sums.available());
                Err(PayoutError::NotEnough { available, needs })
            }
            Some(refusal) => Err(PayoutError::Refused(refusal)),
        }
    }

    /// A payout as it stands; `None`: there is none.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn status(&self, id: PayoutId) -> Result<Option<Payout>, TableError> {
        rows::get(self.ledger.database(), id).await
    }

    /// Those that wait for approval, the oldest first.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn waiting(&self) -> Result<Vec<Payout>, TableError> {
        let open = rows::open(self.ledger.database()).await?;
        Ok(open.into_iter().filter(|payout| payout.state == PayoutState::WaitsForApproval).collect())
    }

    /// Lets a payout go that waits. `who`: as it is written down.
    ///
    /// # Errors
    /// [`PayoutError::NotThere`]: it does not wait.
    pub async fn approve(&self, id: PayoutId, who: &str) -> Result<(), PayoutError> {
        if !rows::approve(self.ledger.database(), id, who).await? {
            return Err(PayoutError::NotThere);
        }
        self.wake.notify_one();
        Ok(())
    }

    /// Turns a payout down that waits: its money is the customer's again.
    ///
    /// # Errors
    /// [`PayoutError::NotThere`]: it does not wait.
    pub async fn reject(&self, id: PayoutId, who: &str) -> Result<(), PayoutError> {
        let waiting = self.status(id).await?.filter(|payout| payout.state == PayoutState::WaitsForApproval);
        let Some(payout) = waiting else { return Err(PayoutError::NotThere) };
        // The row first: who approves it at the same moment is too late, or this is.
        let why = format!("{who} has turned it down");
        rows::turn(self.ledger.database(), &payout, &PayoutState::Releasing { why }, self.ledger.now()).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// People say what became of a payout that the node cannot tell of ([`PayoutState::Sent`] for ever): after a look into the
    /// node's own records, never as a guess. `paid`: the fee it has cost.
    ///
    /// # Errors
    /// [`PayoutError::NotThere`]: it was not handed to the node, or its end is known.
    pub async fn decide(&self, id: PayoutId, who: &str, paid: Option<Msat>) -> Result<(), PayoutError> {
        let sent = self.status(id).await?.filter(|payout| payout.state == PayoutState::Sent);
        let Some(payout) = sent else { return Err(PayoutError::NotThere) };
        tracing::warn!(%id, who, ?paid, "somebody decides what became of a payout");
        match paid {
            Some(fee) => task::settle(self, &payout, fee, None).await,
            None => task::release(self, &payout, &format!("{who} says that it was not paid")).await,
        }
        .map_err(|error| match error {
            task::PayError::Table(error) => PayoutError::Table(error),
            task::PayError::Ledger { error, .. } => PayoutError::Unsure(error),
        })
    }

    /// Stops all payouts of all processes, at once: what is at the node already goes on there.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stop(&self, why: &str) -> Result<(), TableError> {
        self.switch.stop(why, self.ledger.now()).await
    }

    /// Lets payouts go on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn resume(&self) -> Result<(), TableError> {
        self.switch.resume().await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Since when payouts are stopped, and why; `None`: they are not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stopped(&self) -> Result<Option<Stopped>, TableError> {
        self.switch.stopped().await
    }
}

fn different(known: &Payout, order: &Order) -> Option<&'static str> {
    if known.account != order.account {
        return Some("account");
    }
    if known.to != order.to {
        return Some("target");
    }
    order.amount.is_some_and(|amount| amount != known.amount).then_some("amount")
}

/// The name of one of a payout's transfers.
fn part(id: PayoutId, what: &str) -> TransferId {
    TransferId::named(&["payout", &id.to_string(), what])
}

const AMOUNT: (&str, Purpose) = ("amount", Purpose::Refund);
const FEE: (&str, Purpose) = ("fee", Purpose::RoutingFee);

/// What is held back for a payout. It never expires: only proof of the outcome ends it.
fn holds(payout: &Payout, books: &Books) -> Vec<Transfer> {
    held(payout)
        .map(|((what, purpose), amount)| Transfer {
            id: part(payout.id, what),
            purpose,
            movement: Movement::Reserve { debit: payout.account, credit: books.lightning, amount, expires: None },
        })
        .collect()
}

/// Its parts that are more than nothing.
fn held(payout: &Payout) -> impl Iterator<Item = ((&'static str, Purpose), Msat)> {
    [(AMOUNT, payout.amount), (FEE, payout.max_fee)].into_iter().filter(|(_, amount)| !amount.is_zero())
}

/// What gives back what was held back.
fn voids(payout: &Payout) -> Vec<Transfer> {
    held(payout)
        .map(|((what, purpose), _)| Transfer {
            id: part(payout.id, &format!("{what} released")),
            purpose,
            movement: Movement::Void { reservation: part(payout.id, what) },
        })
        .collect()
}

/// What books a payout that arrived. More fee than was held back is no customer's matter, and stands against us.
fn settles(payout: &Payout, fee: Msat, books: &Books) -> Vec<Transfer> {
    let mut list: Vec<_> = held(payout)
        .map(|((what, purpose), amount)| {
            let amount = if what == FEE.0 { fee.min(amount) } else { amount };
            let id = part(payout.id, &format!("{what} paid"));
            Transfer { id, purpose, movement: Movement::Settle { reservation: part(payout.id, what), amount } }
        })
        .collect();
    let excess = fee.saturating_sub(payout.max_fee);
    if !excess.is_zero() {
        let movement = Movement::Post { debit: books.fees, credit: books.lightning, amount: excess };
        list.push(Transfer { id: part(payout.id, "excess fee"), purpose: Purpose::RoutingFee, movement });
    }
    list
}

/// When the last of what counts for a day's limit was asked for.
fn day_before(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(24 * 3_600_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_most_that_a_way_may_cost_grows_with_the_amount_and_never_overflows(
            a in 0..=Msat::MAX.msat(),
            b in 0..=Msat::MAX.msat(),
            fee_ppm: u32,
            base in 0..=Msat::MAX.msat(),
        ) {
            let rules = PayoutRules { fee_ppm, fee_base: Msat::new(base).unwrap(), ..PayoutRules::default() };
            let cost = |msat| rules.max_fee(Msat::new(msat).unwrap());
            prop_assert!(cost(a.min(b)) <= cost(a.max(b)));
            prop_assert!(cost(a).msat() >= base);
        }
    }

    #[test]
    fn the_way_of_five_thousand_satoshi_may_cost_sixty() {
        let sat = |sat| Msat::from_sat(sat).unwrap();
        assert_eq!(PayoutRules::default().max_fee(sat(5_000)), sat(60));
        assert_eq!(PayoutRules::default().max_fee(Msat::ZERO), sat(10));
    }
}
