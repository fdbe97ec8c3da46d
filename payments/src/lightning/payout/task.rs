//! The task that pays: takes payouts off the disk and goes on with each as far as it can be gone.
//!
//! What decides, in the words of the incidents it comes from: a timeout, a broken connection and "not found" are not failures.
//! A payout counts as not paid only when the node says so of a payment that it had, when it turned it away before it did
//! anything, or when it has never heard of it and the invoice has expired since. Whatever else, the money stays held back.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::rows::{self, Payout, PayoutState};
use super::{PayoutError, Payouts, Target, part, settles, voids};
use crate::ledger::{LedgerError, Movement, Purpose, StoreError, Transfer};
use crate::lightning::{
    Cancelled, Handed, NodeError, Outgoing, Payment, PaymentHash, PayoutId, Told, crediting, top_up,
};
use crate::tables::TableError;
use crate::{Msat, UnixMillis};

/// How long after it was handed over the node's word counts for less: what was handed to it may still be on its way there.
pub const QUIET: Duration = Duration::from_secs(60);
/// How long the node is asked to wait for an outcome, all payouts of a round together.
const WAIT: Duration = Duration::from_secs(5);
/// How often is looked for what nobody told of: another process may have put it in.
const LOOK_AROUND: Duration = Duration::from_secs(15);
/// How long it rests when something is under way, or went wrong.
const REST: Duration = Duration::from_secs(1);

/// Told of every payout that is over, once or, where a kill comes in between, again. `false`: it could not be told, try again.
pub type OnEnded = Arc<dyn Fn(Payout) -> Told + Send + Sync>;

/// Why a payout was not gone on with. What was done is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum PayError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("the ledger does not book payout {id}: {error}")]
    Ledger { id: PayoutId, error: LedgerError },
}

/// Carries payouts out.
pub struct Paying {
    payouts: Payouts,
    on_ended: OnEnded,
    /// Those of which people were told that nobody knows what became of them.
    told_unknown: std::collections::HashSet<PayoutId>,
}

impl std::fmt::Debug for Paying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Paying")
    }
}

/// What a round left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Payouts that are over since.
    pub ended: usize,
    /// Payouts that are at the node.
    pub under_way: usize,
    /// Payouts that could not be gone on with.
    pub failed: usize,
}

impl Paying {
    /// Pays by the node of these payouts. Two at once, in whatever processes, do no harm.
    #[must_use]
    pub fn new(payouts: Payouts, on_ended: OnEnded) -> Self {
        Self { payouts, on_ended, told_unknown: std::collections::HashSet::new() }
    }

    /// Pays until it is told to stop; then stops where it is, which at any point loses nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => return,
                round = self.round() => round,
            };
            let rest = match round {
                Ok(Round { ended: 0, under_way: 0, failed: 0 }) => LOOK_AROUND,
                Ok(_) => REST,
                Err(error) => {
                    tracing::error!(%error, "payouts are not read for a moment");
                    REST
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.payouts.wake.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Goes on with every payout that is not over, and tells of those that are.
    ///
    /// # Errors
    /// Where the payouts cannot be read. One that cannot be gone on with stops none of the others.
    pub async fn round(&mut self) -> Result<Round, TableError> {
        let mut round = Round::default();
        let open = rows::open(self.payouts.ledger.database()).await?;
        let at_the_node = open.iter().filter(|payout| payout.state == PayoutState::Sent).count();
        let wait = WAIT / u32::try_from(at_the_node.max(1)).unwrap_or(u32::MAX);
        for payout in open {
            let id = payout.id;
            match self.go_on(payout, wait).await {
                Ok(Step::Ended) => round.ended += 1,
                Ok(Step::AtTheNode) => round.under_way += 1,
                Ok(Step::Waits) => {}
                // Another process goes on with it at this moment.
                Err(PayError::Table(TableError::Changed(_))) => round.under_way += 1,
                Err(error) => {
                    tracing::error!(%id, %error, "a payout is not gone on with for a moment");
                    round.failed += 1;
                }
            }
        }
        for payout in rows::untold(self.payouts.ledger.database()).await? {
            let id = payout.id;
            if (self.on_ended)(payout).await {
                rows::told(self.payouts.ledger.database(), id, self.payouts.ledger.now()).await?;
            }
        }
        Ok(round)
    }

    async fn go_on(&mut self, payout: Payout, wait: Duration) -> Result<Step, PayError> {
        match &payout.state {
            PayoutState::Asked => self.reserve(&payout).await,
            PayoutState::WaitsForApproval if self.has_expired(&payout) => {
                self.let_go(&payout, "the invoice expired while it waited for approval").await
            }
            PayoutState::WaitsForApproval => Ok(Step::Waits),
            PayoutState::Ready if payout.is_inside => self.pay_inside(&payout).await,
            PayoutState::Ready if self.has_expired(&payout) => {
                self.let_go(&payout, "the invoice expired before it could be paid").await
            }
            PayoutState::Ready => self.send(payout).await,
            PayoutState::Sent => self.look(payout, wait).await,
            PayoutState::Releasing { why } => {
                let why = why.clone();
                release(&self.payouts, &payout, &why).await?;
                Ok(Step::Ended)
            }
            PayoutState::Paid { .. } | PayoutState::NotPaid { .. } => Ok(Step::Ended),
        }
    }

    fn has_expired(&self, payout: &Payout) -> bool {
        payout.to.expires() <= self.payouts.ledger.now()
    }

    /// What was on disk and not held back when somebody was killed.
    async fn reserve(&self, payout: &Payout) -> Result<Step, PayError> {
        match self.payouts.reserve(payout).await {
            Ok(_) => Ok(Step::AtTheNode),
            Err(PayoutError::Table(error)) => Err(error.into()),
            Err(PayoutError::Unsure(error)) => Err(PayError::Ledger { id: payout.id, error }),
            Err(_) => Ok(Step::Ended),
        }
    }

    /// Gives the money back of one that was never handed to the node. The row first, so that nobody approves or sends it then.
    async fn let_go(&self, payout: &Payout, why: &str) -> Result<Step, PayError> {
        let (database, now) = (self.payouts.ledger.database(), self.payouts.ledger.now());
        rows::turn(database, payout, &PayoutState::Releasing { why: why.to_owned() }, now).await?;
        Ok(Step::AtTheNode)
    }

    /// Hands it to the node; that it does so is on disk before.
    async fn send(&mut self, mut payout: Payout) -> Result<Step, PayError> {
        let database = self.payouts.ledger.database().clone();
        if !rows::sending(&database, &mut payout, self.payouts.ledger.now()).await? {
            return Ok(Step::Waits);
        }
        let is_the_first = payout.sends == 1;
        match self.payouts.node.pay(&payment(&payout)).await {
            Ok(Handed::Started | Handed::Duplicate) => rows::heard(&database, &payout).await?,
            Ok(Handed::Refused(why)) if is_the_first => {
                release(&self.payouts, &payout, &why).await?;
                return Ok(Step::Ended);
            }
            Err(NodeError::Refused(why)) if is_the_first => {
                tracing::warn!(id = %payout.id, why, "the node was not reached for a payout; it is tried again");
                rows::not_sent(&database, &payout).await?;
            }
            // What became of an earlier try is not known: of that the node must be asked.
            Ok(Handed::Refused(why)) | Err(NodeError::Refused(why) | NodeError::Unsure(why)) => {
                tracing::warn!(id = %payout.id, why, "it is not known whether the node has a payout");
            }
        }
        Ok(Step::AtTheNode)
    }

    /// Asks what became of one that the node may have.
    async fn look(&mut self, payout: Payout, wait: Duration) -> Result<Step, PayError> {
        let payment = payment(&payout);
        let asked = self.payouts.ledger.now();
        let is_quiet = payout.sent.is_none_or(|sent| sent.after(QUIET) <= asked);
        let outcome = match self.payouts.node.outgoing(&payment, wait).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(id = %payout.id, %error, "the node does not say what became of a payout");
                return Ok(Step::AtTheNode);
            }
        };
        match outcome {
            Outgoing::InFlight if payout.heard => Ok(Step::AtTheNode),
            Outgoing::InFlight => {
                rows::heard(self.payouts.ledger.database(), &payout).await?;
                Ok(Step::AtTheNode)
            }
            Outgoing::Succeeded { fee, preimage } if fits(payout.to.hash(), preimage) => {
                settle(&self.payouts, &payout, fee, preimage).await?;
                Ok(Step::Ended)
            }
            Outgoing::Succeeded { .. } => {
                self.tell_unknown(&payout, "the node shows a receipt that is not this invoice's");
                Ok(Step::AtTheNode)
            }
            // What it says may be of the try before the last one.
            Outgoing::Failed(_) if !payout.heard && !is_quiet => Ok(Step::AtTheNode),
            Outgoing::Failed(why) => {
                release(&self.payouts, &payout, &why).await?;
                Ok(Step::Ended)
            }
            Outgoing::NeverHeard if payout.heard => {
                self.tell_unknown(&payout, "the node had it and does not know of it any more");
                Ok(Step::AtTheNode)
            }
            Outgoing::NeverHeard if !is_quiet => Ok(Step::AtTheNode),
            Outgoing::NeverHeard => self.never_heard(payout, asked).await,
        }
    }

    /// It was handed over some time ago without an answer, and the node does not know of it.
    async fn never_heard(&mut self, payout: Payout, asked: UnixMillis) -> Result<Step, PayError> {
        match &payout.to {
            Target::Invoice(invoice) if invoice.expires() <= asked => {
                release(&self.payouts, &payout, "the node never got it, and the invoice has expired").await?;
                Ok(Step::Ended)
            }
            // The node refuses what it has already: this cannot be paid twice.
            Target::Invoice(_) => self.send(payout).await,
            // An offer can be paid twice.
            Target::Offer(_) => {
                self.tell_unknown(&payout, "the node does not know of a payment to an offer that it may have got");
                Ok(Step::AtTheNode)
            }
        }
    }

    fn tell_unknown(&mut self, payout: &Payout, why: &str) {
        if self.told_unknown.insert(payout.id) {
            tracing::error!(id = %payout.id, why, "nobody knows what became of a payout; somebody must look and decide");
        }
    }

    /// Pays an invoice of ours without the node: first nobody else can pay it any more, then the ledger moves the money.
    async fn pay_inside(&self, payout: &Payout) -> Result<Step, PayError> {
        let Payouts { ledger, node, switch, .. } = &self.payouts;
        if switch.stopped().await?.is_some() {
            return Ok(Step::Waits);
        }
        let Some(hash) = payout.to.hash() else { return self.let_go(payout, "an offer is not paid inside").await };
        let Some(ours) = top_up::ours(ledger.database(), hash).await? else {
            return self.let_go(payout, "the invoice is not ours any more").await;
        };
        let paid = crediting::credit(hash, payout.account, ours.account, payout.amount);
        // Killed behind the ledger's commit: it is paid, whatever the node says of its cancelled invoice.
        let is_paid = ledger.record(paid.id).await.map_err(|error| unsure(payout, error))?;
        let is_paid = is_paid.is_some_and(|record| record.refused.is_none() && record.transfer == paid);
        if !is_paid {
            match node.cancel_invoice(hash).await {
                Ok(Cancelled::Now) => {}
                Ok(Cancelled::AlreadySettled) => return self.let_go(payout, "the invoice is paid already").await,
                Err(error) => {
                    tracing::warn!(id = %payout.id, %error, "an invoice of ours is not cancelled yet, and not paid inside");
                    return Ok(Step::AtTheNode);
                }
            }
        }
        let mut list = freed(payout);
        list.push(paid);
        match ledger.apply(list).await {
            Ok(_) => {}
            Err(LedgerError::Refused { refusal, .. }) => return self.let_go(payout, &refusal.to_string()).await,
            Err(error) => return Err(PayError::Ledger { id: payout.id, error }),
        }
        let now = ledger.now();
        crediting::arrived_inside(ledger, hash, payout.amount, now).await?;
        let paid = PayoutState::Paid { fee: Msat::ZERO, preimage: None };
        rows::turn(ledger.database(), payout, &paid, now).await?;
        Ok(Step::Ended)
    }
}

enum Step {
    Ended,
    AtTheNode,
    Waits,
}

fn unsure(payout: &Payout, error: StoreError) -> PayError {
    PayError::Ledger { id: payout.id, error: LedgerError::Unsure(Arc::new(error)) }
}

fn payment(payout: &Payout) -> Payment {
    let Payout { id, to, amount, max_fee, .. } = payout.clone();
    Payment { id, to, amount, max_fee }
}

/// Whether a receipt is the invoice's. A node that shows none is believed, and so is one that pays an offer: its invoice was
/// the node's to ask for.
fn fits(hash: Option<PaymentHash>, preimage: Option<[u8; 32]>) -> bool {
    match (hash, preimage) {
        (Some(hash), Some(preimage)) => Sha256::digest(preimage)[..] == hash.0[..],
        _ => true,
    }
}

/// What was held back for a payment inside, let go in the same commit in which it moves.
fn freed(payout: &Payout) -> Vec<Transfer> {
    let movement = Movement::Void { reservation: part(payout.id, "amount") };
    vec![Transfer { id: part(payout.id, "amount moved inside"), purpose: Purpose::Refund, movement }]
}

/// It has arrived: the ledger moves what was held back, and then the row says so.
pub(super) async fn settle(
    payouts: &Payouts,
    payout: &Payout,
    fee: Msat,
    preimage: Option<[u8; 32]>,
) -> Result<(), PayError> {
    let Payouts { ledger, books, switch, .. } = payouts;
    let id = payout.id;
    ledger.apply(settles(payout, fee, books)).await.map_err(|error| PayError::Ledger { id, error })?;
    if fee > payout.max_fee {
        switch
            .stop(
                &format!("the node paid {fee} of fees for payout {id}, and {} were allowed", payout.max_fee),
                ledger.now(),
            )
            .await?;
    }
    rows::turn(ledger.database(), payout, &PayoutState::Paid { fee, preimage }, ledger.now()).await?;
    Ok(())
}

/// It was not paid, for certain: the money is the customer's again, and then the row says so.
pub(super) async fn release(payouts: &Payouts, payout: &Payout, why: &str) -> Result<(), PayError> {
    let ledger = &payouts.ledger;
    let id = payout.id;
    ledger.apply(voids(payout)).await.map_err(|error| PayError::Ledger { id, error })?;
    let why = why.chars().take(200).collect();
    rows::turn(ledger.database(), payout, &PayoutState::NotPaid { why }, ledger.now()).await?;
    Ok(())
}
