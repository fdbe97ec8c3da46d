//! Does what settling with partners takes: windows are proposed and agreed, what is agreed goes into the books, what is owed
//! is paid, what they pay is recognised.
//!
//! Every step reads what there is to do off the disk, does one thing whose name is always the same, and writes down that it
//! was done. Killed anywhere, the next step finds the same thing to do, and the ledger and the payer do it once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::payments::{Beginning, Payments};
use super::windows::{Kept, Windows, account_of};
use super::{
    Accounts, Agreement, Carried, PairSecret, PayWhen, Payment, PaymentEnd, Proposal, Refused, Standing, Statement,
    StatementError, StatementHash, Terms, Window, booked, due, held, not_paid, paid,
};
use crate::Msat;
use crate::ledger::{AccountId, AccountKind, Ledger, LedgerError, StoreError, Transfer};
use crate::stellar::incoming::{Inbox, claimed};
use crate::stellar::payer::{Counter, Outcome};
use crate::stellar::{Address, Asset, PayLink, Rate, SigningKey, TxHash};
use crate::tables::TableError;

/// How often is looked whether something is to be done.
const LOOK_AROUND: Duration = Duration::from_secs(20);

/// Whatever is owed, at once.
pub(super) const NOW: PayWhen = PayWhen { above: Msat::ZERO, after: Duration::ZERO };

/// Who we settle with, as agreed beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partner {
    /// Their account: it signs statements, and is paid.
    pub key: Address,
    /// In what is paid.
    pub asset: Asset,
    /// What that is worth.
    pub rate: Rate,
    /// When; `None`: when people say so ([`Clerk::pay_now`]), or by hand.
    pub when: Option<PayWhen>,
    /// Where what they have carried for us stands until it is agreed. Calls over their trunk are booked one by one as they end, as
    /// an expense and as owed to the trunk: then it is the trunk's account ([`crate::cdr::Carrier::account`]), so that what is owed
    /// by our records becomes what is owed as agreed, and no call is an expense twice.
    pub carried: AccountId,
}

/// The accounts of the ledger that settling writes to, beside one for each partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// What calls that partners have handed us have earned.
    pub revenue: AccountId,
    /// What lies on Stellar.
    pub stellar: AccountId,
    /// What lies there in other accounts of ours: people have paid out of them by hand.
    pub elsewhere: AccountId,
    /// What came and nobody knew whose it is.
    pub suspense: AccountId,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            revenue: AccountId::named(&["revenue", "settlement"]),
            stellar: AccountId::named(&["stellar"]),
            elsewhere: AccountId::named(&["stellar", "elsewhere"]),
            suspense: AccountId::named(&["suspense", "stellar"]),
        }
    }
}

/// Why something was not done. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// Not one that we settle with.
    #[error("{0} is no partner; check payments.settlement.partners")]
    Nobody(Address),
    /// The window before is not agreed yet.
    #[error("the window before is not agreed with {0} yet; send them what is proposed, and take in what they send")]
    StillOpen(Address),
    /// A window must begin where the last one ended, so that no call is left out or counted twice.
    #[error("the next window with {partner} begins at {begins} ms, where the last one ended")]
    NotNext {
        /// With whom.
        partner: Address,
        /// Where it must begin.
        begins: u64,
    },
    /// The partner's statement is of a window for which we have none yet.
    #[error("there is no statement of ours for the window that {0} sent; make it, and take theirs in again")]
    NotYet(Address),
    /// There is nothing to pay.
    #[error("nothing is owed to {0} over agreed windows, or a payment is under way")]
    NothingOwed(Address),
    /// A transaction is no payment of what is owed.
    #[error("transaction {tx} does not pay what is owed: {why}")]
    NotThis {
        /// Which.
        tx: TxHash,
        /// Why not.
        why: String,
    },
    /// Nothing of this name is in suspense.
    #[error("operation {operation} of transaction {tx} is not in suspense, or is somebody's already")]
    NotInSuspense {
        /// In which transaction.
        tx: TxHash,
        /// Which of its operations.
        operation: u32,
    },
    /// What they sent changes nothing.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Our own CDRs make no statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger's database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error("the books do not take a settlement: {0}")]
    Ledger(#[from] LedgerError),
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// There is nothing to do.
    Nothing,
    /// Put an agreed window into the books.
    Booked(Address, u32),
    /// Moved a payment out of suspense to the partner who had made it.
    Claimed(TxHash),
    /// Recognised that the partner has paid these windows.
    Received(Address, std::ops::RangeInclusive<u32>),
    /// Began to pay.
    Began(Payment),
    /// A payment of ours is over.
    Ended(Payment, PaymentEnd),
}

/// Settles with all partners, for one account of ours.
#[derive(Debug)]
pub struct Clerk {
    pub(super) key: SigningKey,
    partners: Vec<Partner>,
    pub(super) books: Books,
    pub(super) ledger: Ledger,
    pub(super) windows: Windows,
    pub(super) payments: Payments,
    pub(super) inbox: Inbox,
    counter: Counter,
}

impl Clerk {
    /// A clerk with these partners. `counter`: of the payer of the account whose key this is. Opens the ledger's accounts.
    ///
    /// # Errors
    /// What the database says.
    pub async fn new(
        key: SigningKey,
        partners: Vec<Partner>,
        (ledger, books): (Ledger, Books),
        counter: Counter,
    ) -> Result<Self, StoreError> {
        for (account, kind) in [
            (books.revenue, AccountKind::Revenue),
            (books.stellar, AccountKind::Stellar),
            (books.elsewhere, AccountKind::Stellar),
            (books.suspense, AccountKind::Suspense),
        ] {
            ledger.open_account(account, kind).await?;
        }
        for partner in &partners {
            ledger.open_account(account_of(partner.key), AccountKind::Partner).await?;
            ledger.open_account(partner.carried, AccountKind::Partner).await?;
        }
        let database = ledger.database().clone();
        let inbox = Inbox::new(database.clone(), key.address());
        let (windows, payments) = (Windows::new(database.clone()), Payments::new(database));
        Ok(Self { key, partners, books, ledger, windows, payments, inbox, counter })
    }

    /// The account of the ledger in which a partner's debts to us, and ours to them, stand.
    #[must_use]
    pub fn account(partner: Address) -> AccountId {
        account_of(partner)
    }

    pub(super) fn partner(&self, key: Address) -> Result<&Partner, ClerkError> {
        self.partners.iter().find(|partner| partner.key == key).ok_or(ClerkError::Nobody(key))
    }

    fn terms(&self, partner: &Partner) -> Result<Terms, ClerkError> {
        let terms = Terms::between(self.key.address(), partner.key, partner.asset, partner.rate);
        terms.ok_or(ClerkError::Nobody(partner.key))
    }

    fn accounts(&self, partner: &Partner) -> Accounts {
        let Books { revenue, stellar, .. } = self.books;
        Accounts { partner: account_of(partner.key), revenue, carried: partner.carried, stellar }
    }

    /// Makes our statement of a window out of our CDRs and signs it, once: asked again for the same window, it gives what was
    /// signed. What it gives is to be sent to the partner, as often as it takes.
    ///
    /// # Errors
    /// [`ClerkError::StillOpen`] and [`ClerkError::NotNext`]; what CDRs cannot be; what the database says.
    pub async fn propose<'a>(
        &self,
        partner: Address,
        window: Window,
        secret: &PairSecret,
        cdrs: impl IntoIterator<Item = Carried<'a>>,
    ) -> Result<Vec<Proposal>, ClerkError> {
        let terms = self.terms(self.partner(partner)?)?;
        let (number, previous) = match self.windows.newest(partner, &self.key).await? {
            None => (1, StatementHash::NONE),
            Some(last) if last.settlement.ours().window == window => {
                return Ok(last.settlement.proposals().cloned().collect());
            }
            Some(last) => {
                let Standing::Agreed(agreement) = last.settlement.standing() else {
                    return Err(ClerkError::StillOpen(partner));
                };
                let ended = last.settlement.ours().window.until;
                if window.from != ended {
                    return Err(ClerkError::NotNext { partner, begins: ended.0 });
                }
                (last.number.saturating_add(1), agreement.statement.hash())
            }
        };
        let ours = Statement::of_cdrs(terms, window, previous, (self.key.address(), secret), cdrs)?;
        if !self.windows.open(partner, number, &ours, self.ledger.now()).await? {
            // Another process was quicker: what it has signed stands.
            return Err(TableError::Changed("the windows of a partner").into());
        }
        self.proposals(partner).await
    }

    /// What is to be sent to a partner now.
    ///
    /// # Errors
    /// What the database says.
    pub async fn proposals(&self, partner: Address) -> Result<Vec<Proposal>, ClerkError> {
        let newest = self.windows.newest(partner, &self.key).await?;
        Ok(newest.map(|kept| kept.settlement.proposals().cloned().collect()).unwrap_or_default())
    }

    /// The newest window with a partner: how far it is, and on which calls the two differ.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest(&self, partner: Address) -> Result<Option<Kept>, ClerkError> {
        Ok(self.windows.newest(partner, &self.key).await?)
    }

    /// A window with a partner by its number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn window(&self, partner: Address, number: u32) -> Result<Option<Kept>, ClerkError> {
        Ok(self.windows.get(partner, number, &self.key).await?)
    }

    /// Takes in what a partner has sent, from wherever it came: only what they have signed counts.
    ///
    /// # Errors
    /// [`ClerkError::Refused`] and [`ClerkError::NotYet`]; nothing has changed.
    pub async fn receive(&self, said: &Proposal) -> Result<Standing, ClerkError> {
        self.partner(said.by)?;
        let newest = self.windows.newest(said.by, &self.key).await?;
        let Some(mut kept) = newest else { return Err(ClerkError::NotYet(said.by)) };
        if said.is_genuine() && said.statement.window.from >= kept.settlement.ours().window.until {
            return Err(ClerkError::NotYet(said.by));
        }
        kept.settlement.receive(said, &self.key)?;
        self.windows.heard(&kept, said, self.ledger.now()).await?;
        Ok(kept.settlement.standing().clone())
    }

    /// What is owed between us and a partner over all agreed windows that are not paid, whether it is time to pay or not, and
    /// the link to pay it by hand. Not what a payment under way pays; what one did not pay that has failed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn owed(
        &self,
        partner: Address,
        network: &crate::stellar::Network,
    ) -> Result<Option<(super::Due, PayLink)>, ClerkError> {
        let open = agreements(self.windows.payable(partner).await?);
        let owed = due(&open, self.ledger.now(), NOW);
        Ok(owed.zip(open.last()).map(|(owed, last)| (owed.clone(), owed.link(last, network))))
    }

    /// Our payments to a partner, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn payments(&self, partner: Address, limit: u32) -> Result<Vec<Payment>, ClerkError> {
        Ok(self.payments.of(partner, limit).await?)
    }

    /// Lets a payment that was not made ([`PaymentEnd::NotPaid`]) be tried again, because people have seen why. `false`: there
    /// is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn retry(&self, partner: Address) -> Result<bool, ClerkError> {
        Ok(self.payments.let_go(partner).await?)
    }

    /// Settles until it is told to stop; then stops where it is, which at any point loses nothing.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut over, mut is_paying) = (self.counter.over(), true);
        loop {
            let did = tokio::select! {
                () = stop.cancelled() => return,
                did = self.step() => did,
            };
            match did {
                Ok(Did::Nothing) => {}
                Ok(did) => {
                    tracing::info!(?did, "settlement");
                    continue;
                }
                Err(error) => tracing::error!(%error, "settlement stops for a moment"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                // The payer's end is no reason to end: statements still come in.
                changed = over.changed(), if is_paying => is_paying = changed.is_ok(),
                () = tokio::time::sleep(LOOK_AROUND) => {}
            }
        }
    }

    /// Does one thing, if there is one to do.
    ///
    /// # Errors
    /// [`ClerkError`]; the next step finds the same thing to do.
    pub async fn step(&self) -> Result<Did, ClerkError> {
        for (key, number, agreement) in self.windows.unbooked().await? {
            // Somebody who is no partner any more: what was agreed waits until they are again.
            if let Ok(partner) = self.partner(key) {
                return self.book(partner, number, &agreement).await;
            }
        }
        if let Some(did) = self.claim().await? {
            return Ok(did);
        }
        if let Some(did) = self.see_to_payments().await? {
            return Ok(did);
        }
        for partner in &self.partners {
            if let Some(did) = self.received(partner).await? {
                return Ok(did);
            }
            if let Some(when) = partner.when
                && let Some(payment) = self.begin(partner, when).await?
            {
                return Ok(Did::Began(payment));
            }
        }
        Ok(Did::Nothing)
    }

    /// Begins to pay what is owed to a partner now, however little and however soon: people have said so. `None`: nothing is
    /// owed to them, or a payment is under way or waits for people ([`Clerk::retry`]).
    ///
    /// # Errors
    /// What the database says.
    pub async fn pay_now(&self, partner: Address) -> Result<Option<Payment>, ClerkError> {
        self.begin(self.partner(partner)?, NOW).await
    }

    async fn book(&self, partner: &Partner, number: u32, agreement: &Agreement) -> Result<Did, ClerkError> {
        let us = agreement.statement.terms.side(self.key.address()).ok_or(StatementError::Party)?;
        let transfers = booked(agreement, us, &self.accounts(partner));
        if !transfers.is_empty() {
            self.ledger.apply(transfers).await?;
        }
        self.windows.mark_booked(partner.key, number, self.ledger.now()).await?;
        Ok(Did::Booked(partner.key, number))
    }

    /// Looks whether something in suspense came under the number of a window that is agreed by now: they may have paid before
    /// their last word on it reached us.
    async fn claim(&self) -> Result<Option<Did>, ClerkError> {
        for partner in &self.partners {
            for (_, agreement) in self.windows.unpaid(partner.key).await? {
                for kept in self.inbox.under(agreement.statement.reference()).await? {
                    let Some((credited, worth)) = kept.goes_to else { continue };
                    if credited != self.books.suspense || !kept.is_booked || kept.is_claimed {
                        continue;
                    }
                    let account = account_of(partner.key);
                    if !self.inbox.claim(&kept.arrival, account, kept.arrival.reference).await? {
                        continue;
                    }
                    self.ledger.apply(vec![claimed(&kept.arrival, worth, self.books.suspense, account)]).await?;
                    self.inbox.mark_claimed(&kept.arrival, self.ledger.now()).await?;
                    return Ok(Some(Did::Claimed(kept.arrival.tx)));
                }
            }
        }
        Ok(None)
    }

    async fn see_to_payments(&self) -> Result<Option<Did>, ClerkError> {
        for payment in self.payments.under_way().await? {
            let Ok(partner) = self.partner(payment.partner) else { continue };
            if let Some(end) = self.see_to(&payment, partner).await? {
                return Ok(Some(Did::Ended(payment, end)));
            }
        }
        Ok(None)
    }

    /// Holds the money back, orders the payment, and takes in its outcome.
    async fn see_to(&self, payment: &Payment, partner: &Partner) -> Result<Option<PaymentEnd>, ClerkError> {
        let accounts = self.accounts(partner);
        let (order, amount) = (payment.order, payment.amount);
        if let Err(error) = self.ledger.apply(vec![held(order, amount, &accounts)]).await {
            let LedgerError::Refused { refusal, .. } = &error else { return Err(error.into()) };
            // Held is always before ordered: what could not be held was never ordered.
            return self.over(payment, None, &refusal.to_string()).await.map(Some);
        }
        self.counter.order(&payment.order()).await?;
        match self.counter.outcome(order).await? {
            None => Ok(None),
            Some(Outcome::Paid { .. }) => {
                self.ledger.apply(vec![paid(order, amount, &accounts)]).await?;
                self.payments.paid(order, self.ledger.now()).await?;
                Ok(Some(PaymentEnd::Paid))
            }
            Some(Outcome::Failed { why, .. } | Outcome::NotApplied { why }) => {
                self.over(payment, Some(not_paid(order, amount, &accounts)), &why).await.map(Some)
            }
        }
    }

    async fn over(&self, payment: &Payment, void: Option<Transfer>, why: &str) -> Result<PaymentEnd, ClerkError> {
        if let Some(void) = void {
            self.ledger.apply(vec![void]).await?;
        }
        tracing::error!(partner = %payment.partner, why, "a settlement was not paid; look why, then let it be tried again");
        self.payments.not_paid(payment.order, why).await?;
        Ok(PaymentEnd::NotPaid { why: why.to_owned() })
    }

    /// Whether what came under a window's number pays that window and all before it.
    async fn received(&self, partner: &Partner) -> Result<Option<Did>, ClerkError> {
        let open = self.windows.unpaid(partner.key).await?;
        let (numbers, open): (Vec<u32>, Vec<Agreement>) = open.into_iter().unzip();
        let account = account_of(partner.key);
        for (place, last) in open.iter().enumerate() {
            let arrived = self.inbox.under(last.statement.reference()).await?;
            let theirs = arrived.iter().filter(|kept| {
                let credited = kept.claim.or(kept.goes_to.map(|(account, _)| account));
                credited == Some(account) && kept.arrival.asset == Some(last.statement.terms.asset)
            });
            let sum: i128 = theirs.map(|kept| i128::from(kept.arrival.amount.get())).sum();
            let now = self.ledger.now();
            let whole = due(&open[..=place], now, NOW);
            let theirs = last.statement.terms.side(partner.key);
            if whole.is_some_and(|due| Some(due.payer) == theirs && sum >= i128::from(due.stroops.get())) {
                let windows = numbers[0]..=numbers[place];
                self.windows.mark_paid(partner.key, windows.clone(), now).await?;
                return Ok(Some(Did::Received(partner.key, windows)));
            }
        }
        Ok(None)
    }

    /// Begins to pay where it is our turn and the time has come.
    async fn begin(&self, partner: &Partner, when: PayWhen) -> Result<Option<Payment>, ClerkError> {
        if self.payments.is_busy(partner.key).await? {
            return Ok(None);
        }
        let open = self.windows.unpaid(partner.key).await?;
        let (numbers, open): (Vec<u32>, Vec<Agreement>) = open.into_iter().unzip();
        let now = self.ledger.now();
        let Some(due) = due(&open, now, when) else { return Ok(None) };
        let (Some(first), Some(number), Some(last)) = (numbers.first(), numbers.last(), open.last()) else {
            return Ok(None);
        };
        if last.statement.terms.side(self.key.address()) != Some(due.payer) {
            return Ok(None);
        }
        let attempt = self.payments.tries(partner.key, *number).await?.saturating_add(1);
        let order = due.order(last, attempt, partner.key);
        let beginning = Beginning { partner: partner.key, windows: *first..=*number, attempt, due, order };
        self.payments.begin(&beginning, now).await?;
        Ok(self.payments.under_way().await?.into_iter().find(|payment| payment.order == beginning.order.id))
    }
}

fn agreements(windows: Vec<(u32, Agreement)>) -> Vec<Agreement> {
    windows.into_iter().map(|(_, agreement)| agreement).collect()
}
