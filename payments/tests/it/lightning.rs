//! Lightning against a node in memory: topping up and paying out, with lost answers and kills; and every incident that others
//! had with money on Lightning.

#[cfg(feature = "ldk")]
mod contract;
pub(crate) mod fake;
mod incidents;
pub(crate) mod kills;
mod paying_out;
#[cfg(feature = "ldk")]
mod regtest;
mod topping_up;

use std::sync::{Arc, Mutex};

use payments::ledger::{Ledger, Movement, Purpose, Transfer, TransferId};
use payments::lightning::{
    Books, Chain, Credited, Crediting, Order, Paying, Payout, PayoutId, PayoutRules, Payouts, Target, TopUpId,
    TopUpRules, TopUps,
};

use crate::support::{Hands, account, msat, now};
use fake::Fake;

pub(crate) fn top_up_id(n: u8) -> TopUpId {
    TopUpId::from_bytes([n; 16])
}

pub(crate) fn payout_id(n: u8) -> PayoutId {
    PayoutId::from_bytes([n; 16])
}

/// What was told of, in order.
pub(crate) type Told<T> = Arc<Mutex<Vec<T>>>;

/// A task that credits, and what it tells.
pub(crate) struct In {
    pub(crate) top_ups: TopUps,
    pub(crate) crediting: Crediting,
    pub(crate) told: Told<Credited>,
}

pub(crate) async fn coming_in(ledger: &Ledger, fake: &Fake) -> In {
    let books = (Books::default(), Chain::Regtest);
    let top_ups = TopUps::new(ledger.clone(), fake.node(), books, TopUpRules::default()).await.unwrap();
    let told: Told<Credited> = Arc::default();
    let heard = Arc::clone(&told);
    let on_credited = move |credited| {
        heard.lock().unwrap().push(credited);
        Box::pin(std::future::ready(true)) as payments::lightning::Told
    };
    let crediting = Crediting::new(top_ups.clone(), Arc::new(on_credited));
    In { top_ups, crediting, told }
}

/// A task that pays out, and what it tells.
pub(crate) struct Out {
    pub(crate) payouts: Payouts,
    pub(crate) paying: Paying,
    pub(crate) told: Told<Payout>,
}

pub(crate) async fn going_out(ledger: &Ledger, fake: &Fake, rules: PayoutRules) -> Out {
    let books = (Books::default(), Chain::Regtest);
    let payouts = Payouts::new(ledger.clone(), fake.node(), books, rules).await.unwrap();
    let told: Told<Payout> = Arc::default();
    let heard = Arc::clone(&told);
    let on_ended = move |payout| {
        heard.lock().unwrap().push(payout);
        Box::pin(std::future::ready(true)) as payments::lightning::Told
    };
    let paying = Paying::new(payouts.clone(), Arc::new(on_ended));
    Out { payouts, paying, told }
}

pub(crate) fn order(n: u8, who: &str, to: Target) -> Order {
    Order { id: payout_id(n), account: account(who), to, amount: None, max_fee: None }
}

/// An invoice of somebody in the network over so many satoshi, which can be paid for an hour.
pub(crate) fn theirs(n: u8, sat: u64) -> Target {
    Target::Invoice(fake::bolt11([n; 32], Some(sat * 1_000), 3_600))
}

/// A clock that stands at this moment: invoices have real times.
pub(crate) fn hands() -> Hands {
    Hands::at(now().0)
}

/// A customer's balance, reservations aside.
pub(crate) async fn balance(ledger: &Ledger, who: &str) -> i128 {
    balance_of(ledger, account(who)).await
}

pub(crate) async fn balance_of(ledger: &Ledger, id: payments::ledger::AccountId) -> i128 {
    ledger.account(id).await.unwrap().map_or(0, |account| account.sums.balance())
}

/// Ada gets so many satoshi that lie in the node.
pub(crate) async fn give(ledger: &Ledger, who: &str, sat: u64) {
    ledger.open_account(account(who), payments::ledger::AccountKind::Customer).await.unwrap();
    ledger.open_account(Books::default().lightning, payments::ledger::AccountKind::Lightning).await.unwrap();
    let movement =
        Movement::Post { debit: Books::default().lightning, credit: account(who), amount: msat(sat * 1_000) };
    let id = TransferId::named(&["given to", who]);
    ledger.apply(vec![Transfer { id, purpose: Purpose::Credit, movement }]).await.unwrap();
}
