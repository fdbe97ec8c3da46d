//! The task that pays: takes orders off the disk, one after the other, and does what their [`Delivery`] says.
//!
//! One at a time, because an account's transactions carry its sequence number: two in the air would take the same. An order
//! whose outcome no server can tell therefore holds up those behind it, until one can.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Change, Delivery, Order, OrderId, Orders, Outcome, Policy, Seen, Signer, State, Step, Told};
use crate::UnixMillis;
use crate::ledger::Clock;
use crate::stellar::Address;
use crate::stellar::rpc::{Rpc, RpcError};
use crate::tables::TableError;

/// How often the disk is looked at for orders of which nobody has told: another process may have put one in.
const LOOK_AROUND: Duration = Duration::from_secs(30);

/// Pays one account's orders.
pub struct Payer<R> {
    orders: Orders,
    rpc: R,
    signer: Signer,
    policy: Policy,
    clock: Clock,
    wake: Arc<Notify>,
    /// Orders that were seen to end.
    over: watch::Sender<u64>,
    at_hand: Option<AtHand>,
    /// Whether the server was found to be on our network since it last failed.
    checked: bool,
}

struct AtHand {
    delivery: Delivery,
    version: i64,
    /// People were told that nobody can say what became of it.
    told_uncertain: bool,
}

/// Puts orders in, from anywhere. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Counter {
    orders: Orders,
    clock: ClockOf,
    wake: Arc<Notify>,
    over: watch::Receiver<u64>,
}

/// A [`Clock`] that can be shown.
#[derive(Clone)]
struct ClockOf(Clock);

impl std::fmt::Debug for ClockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Counter {
    /// Puts an order in; answered when it is on the disk. `false`: the same was there.
    ///
    /// # Errors
    /// As [`Orders::add`].
    pub async fn order(&self, order: &Order) -> Result<bool, TableError> {
        let new = self.orders.add(order, (self.clock.0)()).await?;
        self.wake.notify_one();
        Ok(new)
    }

    /// Changes whenever the payer of this process has ended an order: then ask [`Counter::outcome`].
    #[must_use]
    pub fn over(&self) -> watch::Receiver<u64> {
        self.over.clone()
    }

    /// How an order ended; `None`: it has not, or there is none.
    ///
    /// # Errors
    /// As [`Orders::get`].
    pub async fn outcome(&self, id: OrderId) -> Result<Option<Outcome>, TableError> {
        let stored = self.orders.get(id).await?;
        Ok(stored.and_then(|stored| if let State::Ended(outcome) = stored.state { Some(outcome) } else { None }))
    }
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    /// There is no order.
    Nothing,
    /// There is nothing to do before this moment.
    Waits(UnixMillis),
    /// Took an order in hand.
    Took(OrderId),
    /// Asked a server for accounts and fees.
    Looked,
    /// Wrote this.
    Stored(Change),
    /// Handed in what was written.
    Sent,
    /// Asked what became of it.
    Asked,
    /// An order is over.
    Ended(OrderId, Outcome),
}

impl<R> std::fmt::Debug for Payer<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payer of {}", self.signer.address())
    }
}

impl<R: Rpc> Payer<R> {
    /// A payer of the signer's account. Two for one account, in whatever processes, do no harm, and get in one another's way.
    #[must_use]
    pub fn new(database: crate::database::Database, rpc: R, signer: Signer, policy: Policy, clock: Clock) -> Self {
        let orders = Orders::new(database, signer.address(), &signer.network);
        Self {
            orders,
            rpc,
            signer,
            policy,
            clock,
            wake: Arc::new(Notify::new()),
            over: watch::Sender::new(0),
            at_hand: None,
            checked: false,
        }
    }

    /// Where orders are put in.
    #[must_use]
    pub fn counter(&self) -> Counter {
        Counter {
            orders: self.orders.clone(),
            clock: ClockOf(Arc::clone(&self.clock)),
            wake: Arc::clone(&self.wake),
            over: self.over.subscribe(),
        }
    }

    /// Pays until it is told to stop; then stops where it is, which at any point loses nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        let wake = Arc::clone(&self.wake);
        loop {
            let did = tokio::select! {
                () = stop.cancelled() => return,
                did = self.step() => did,
            };
            let pause = match did {
                Ok(Did::Nothing) => LOOK_AROUND,
                Ok(Did::Waits(until)) => Duration::from_millis(until.0.saturating_sub((self.clock)().0)),
                Ok(Did::Ended(order, outcome)) => {
                    tracing::info!(?order, ?outcome, "a payment on Stellar is over");
                    continue;
                }
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "paying on Stellar stops for a moment");
                    self.policy.poll
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does one thing. Killed before, in or behind it, nothing is lost and nothing is paid twice.
    ///
    /// # Errors
    /// Where the database fails, or another process was quicker. The order is read again at the next step.
    pub async fn step(&mut self) -> Result<Did, TableError> {
        let Some(at_hand) = &mut self.at_hand else { return self.take().await };
        let now = (self.clock)();
        let step = at_hand.delivery.next(now);
        match step {
            Step::Wait(until) => {
                if at_hand.delivery.is_uncertain() && !at_hand.told_uncertain {
                    at_hand.told_uncertain = true;
                    let order = at_hand.delivery.order().id;
                    tracing::error!(
                        ?order,
                        "no server says what became of a payment; nothing else is paid until one does"
                    );
                }
                Ok(Did::Waits(until))
            }
            Step::Done => {
                let (id, state) = (at_hand.delivery.order().id, at_hand.delivery.state().clone());
                self.at_hand = None;
                match state {
                    State::Ended(outcome) => {
                        self.over.send_modify(|ended| *ended += 1);
                        Ok(Did::Ended(id, outcome))
                    }
                    State::Wanted { .. } | State::Signed(_) => Ok(Did::Nothing),
                }
            }
            Step::Store(change) => self.store(change, now).await,
            Step::Look => {
                let seen = self.look().await;
                self.tell(|delivery, now, signer| delivery.looked(now, seen, signer));
                Ok(Did::Looked)
            }
            Step::Send(bytes) => {
                let told = self.send(&bytes).await;
                self.tell(|delivery, now, signer| delivery.told(now, told, signer));
                Ok(Did::Sent)
            }
            Step::Ask(hash) => {
                let told = self.asked(hash).await;
                self.tell(|delivery, now, signer| delivery.told(now, told, signer));
                Ok(Did::Asked)
            }
        }
    }

    async fn take(&mut self) -> Result<Did, TableError> {
        let Some(stored) = self.orders.next().await? else { return Ok(Did::Nothing) };
        let id = stored.order.id;
        let delivery = Delivery::new(stored.order, stored.state, self.policy);
        self.at_hand = Some(AtHand { delivery, version: stored.version, told_uncertain: false });
        Ok(Did::Took(id))
    }

    async fn store(&mut self, change: Change, now: UnixMillis) -> Result<Did, TableError> {
        // Let go until it is written: whatever goes wrong, what is on the disk is read again.
        let Some(mut at_hand) = self.at_hand.take() else { return Ok(Did::Nothing) };
        let read = (at_hand.delivery.order().id, at_hand.version);
        at_hand.version = self.orders.write(read, &change, now).await?;
        at_hand.delivery.stored();
        self.at_hand = Some(at_hand);
        Ok(Did::Stored(change))
    }

    fn tell(&mut self, what: impl FnOnce(&mut Delivery, UnixMillis, &Signer)) {
        // The time of the answer, not of the question: the question may have taken long.
        let now = (self.clock)();
        if let Some(at_hand) = &mut self.at_hand {
            what(&mut at_hand.delivery, now, &self.signer);
        }
    }

    /// Sees to it that the server is on our network: what another's knows, and knows not, says nothing.
    async fn check(&mut self) -> bool {
        if !self.checked {
            let checked = self.rpc.check(&self.signer.network).await;
            self.checked = self.answered(checked).is_some();
        }
        self.checked
    }

    /// An answer; none is written down and makes us look again whom we talk to.
    fn answered<T>(&mut self, answer: Result<T, RpcError>) -> Option<T> {
        answer
            .map_err(|error| {
                self.checked = false;
                tracing::warn!(%error, "Stellar");
            })
            .ok()
    }

    async fn look(&mut self) -> Option<Seen> {
        if !self.check().await {
            return None;
        }
        let (ours, theirs) = (self.signer.address(), self.destination()?);
        let source = self.rpc.account(ours).await;
        let source = self.answered(source)?;
        let destination = self.rpc.account(theirs).await;
        let destination = self.answered(destination)?;
        let fees = self.rpc.fee_stats().await;
        Some(Seen { source, destination, fees: self.answered(fees) })
    }

    fn destination(&self) -> Option<Address> {
        Some(self.at_hand.as_ref()?.delivery.order().pay.destination.account)
    }

    async fn send(&mut self, bytes: &[u8]) -> Told {
        if !self.check().await {
            return Told::Nothing;
        }
        let sent = self.rpc.send(bytes).await;
        self.answered(sent).map_or(Told::Nothing, |sent| Told::Sent(sent.status))
    }

    async fn asked(&mut self, hash: crate::stellar::TxHash) -> Told {
        if !self.check().await {
            return Told::Nothing;
        }
        let found = self.rpc.transaction(hash).await;
        self.answered(found).map_or(Told::Nothing, |found| Told::Found(hash, found))
    }
}
