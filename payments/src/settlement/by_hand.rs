//! What people do in the clerk's place: they pay by hand, and say whose something in suspense is.

use super::clerk::NOW;
use super::payments::Beginning;
use super::windows::account_of;
use super::{Agreement, Clerk, ClerkError, Payment, PaymentEnd, due};
use crate::ledger::{Movement, Purpose, Transfer, TransferId};
use crate::stellar::incoming::{Kept, arrivals, claimed};
use crate::stellar::rpc::Transaction;
use crate::stellar::{Address, Stroops, TxHash};

impl Clerk {
    /// Takes in a payment to a partner that people have made by hand: a transaction of a closed ledger that brought what is owed,
    /// in the agreed asset, under the number of the last window that it pays. From whichever account it came: what came from another
    /// than the key's is booked as ours elsewhere.
    ///
    /// # Errors
    /// [`ClerkError::NothingOwed`], [`ClerkError::NotThis`]; nothing has changed.
    pub async fn paid_by_hand(&self, partner: Address, tx: &Transaction) -> Result<Payment, ClerkError> {
        self.partner(partner)?;
        let (numbers, open): (Vec<u32>, Vec<Agreement>) = self.windows.payable(partner).await?.into_iter().unzip();
        let brought = arrivals(partner, tx);
        let Some(sender) = brought.first().map(|arrival| arrival.from) else {
            return Err(ClerkError::NotThis { tx: tx.hash, why: "it brought the partner nothing".into() });
        };
        let mut owes = false;
        // The most windows first: a number belongs to one of them, and pays all before it.
        for (place, last) in open.iter().enumerate().rev() {
            let terms = &last.statement.terms;
            let Some(due) = due(&open[..=place], self.ledger.now(), NOW) else { continue };
            if terms.side(self.key.address()) != Some(due.payer) {
                continue;
            }
            owes = true;
            let mut under =
                brought.iter().filter(|a| a.reference == Some(due.reference) && a.asset == Some(terms.asset));
            let sum = under.try_fold(Stroops::ZERO, |sum, arrival| sum.checked_add(arrival.amount));
            let sum = sum.unwrap_or(Stroops::MAX);
            if sum.is_zero() {
                continue;
            }
            if sum < due.stroops {
                let why = format!("it brought {sum}, and {} are owed", due.stroops);
                return Err(ClerkError::NotThis { tx: tx.hash, why });
            }
            // To the millisatoshi as it was owed; what is more than that is theirs, too.
            let amount =
                if sum == due.stroops { due.amount } else { terms.rate.worth(sum).unwrap_or(crate::Msat::MAX) };
            let credit = if sender == self.key.address() { self.books.stellar } else { self.books.elsewhere };
            let id = TransferId::named(&["settlement by hand", &partner.to_string(), &tx.hash.to_string()]);
            let movement = Movement::Post { debit: account_of(partner), credit, amount };
            // It has happened, whatever becomes of the rows: so the books have it first, under the transaction's name.
            self.ledger.apply(vec![Transfer { id, purpose: Purpose::Settlement, movement }]).await?;
            let attempt = self.payments.tries(partner, numbers[place]).await?.saturating_add(1);
            let (order, windows) = (due.order(last, attempt, partner), numbers[0]..=numbers[place]);
            let made = Beginning { partner, windows: windows.clone(), attempt, due, order };
            self.payments.by_hand(&made, self.ledger.now()).await?;
            let (due, order) = (made.due, made.order);
            return Ok(Payment {
                order: order.id,
                partner,
                windows,
                amount: due.amount,
                stroops: due.stroops,
                asset: order.pay.asset,
                reference: due.reference,
                end: Some(PaymentEnd::Paid),
            });
        }
        if !owes {
            return Err(ClerkError::NothingOwed(partner));
        }
        let why = "it brought nothing in the agreed asset under a number of an open window".into();
        Err(ClerkError::NotThis { tx: tx.hash, why })
    }

    /// What lies in suspense and nobody has claimed, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn in_suspense(&self, limit: u32) -> Result<Vec<Kept>, ClerkError> {
        Ok(self.inbox.in_suspense(self.books.suspense, limit).await?)
    }

    /// Says that something in suspense is a partner's, because people have found out: it goes to their account, and counts as if
    /// it had come under the number of what they owe now, which is given back. `None`: they owe nothing; it stands in their account.
    ///
    /// # Errors
    /// [`ClerkError::NotInSuspense`].
    pub async fn assign(&self, tx: TxHash, operation: u32, partner: Address) -> Result<Option<u64>, ClerkError> {
        self.partner(partner)?;
        let gone = || ClerkError::NotInSuspense { tx, operation };
        let lying = self.in_suspense(u32::MAX).await?;
        let named = |kept: &Kept| (kept.arrival.tx, kept.arrival.operation) == (tx, operation);
        let kept = lying.into_iter().find(named).ok_or_else(gone)?;
        let (_, worth) = kept.goes_to.ok_or_else(gone)?;
        let (_, open): (Vec<u32>, Vec<Agreement>) = self.windows.unpaid(partner).await?.into_iter().unzip();
        let theirs = |due: &super::Due| open.last().is_some_and(|l| l.statement.terms.key(due.payer) == partner);
        let owed = due(&open, self.ledger.now(), NOW).filter(theirs);
        let reference = owed.map(|due| due.reference);
        let account = account_of(partner);
        if !self.inbox.claim(&kept.arrival, account, reference).await? {
            return Err(gone());
        }
        self.ledger.apply(vec![claimed(&kept.arrival, worth, self.books.suspense, account)]).await?;
        self.inbox.mark_claimed(&kept.arrival, self.ledger.now()).await?;
        Ok(reference)
    }
}
