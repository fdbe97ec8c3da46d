//! The door between the desk and credit control.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::seam::{CallTerms, Declined};
use super::service::{CallCredit, Service};
use crate::cdr::store::{self, CdrError};
use crate::cdr::{About, Carrier, Direction, Leg};
use crate::guard::{Guard, Rules};
use crate::ledger::{AccountId, AccountKind, Period, StoreError};
use crate::rates::Rates;
use crate::tariff::routing::{Choice, Trunk, Wanted, choose};
use crate::tariff::{DeckKind, Decks, Number};
use crate::{ChargeRequest, NoCharge, UnixMillis};

/// A day: what the fraud guard looks back on.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// What [`CallCharging::reserve`] gives.
pub type Reserving<'a> = Pin<Box<dyn Future<Output = Result<Option<CallCredit>, Declined>> + Send + 'a>>;

/// All that the desk knows of charging.
///
/// ```text
/// let credit = charging.reserve(&request).await?;      // before the phone leg is set up
/// credit.answered().await;                             // it was answered
/// while let Some(what) = credit.happened().await { … } // warn, extended, cut: in the desk's select
/// credit.settle(length, ending, patience).await        // it has ended: what it cost
/// ```
pub trait CallCharging: Send + Sync {
    /// Reserves the beginning of a call, before its phone leg is set up. `None`: nobody charges for it, it has no limit.
    ///
    /// # Errors
    /// [`Declined`], within [`super::ANSWER_WITHIN`]: the leg must not be set up.
    fn reserve<'a>(&'a self, request: &'a ChargeRequest) -> Reserving<'a>;

    /// Money came in: calls that were warned may go on. Call it when a top-up is credited.
    fn topped_up(&self) {}
}

impl CallCharging for NoCharge {
    fn reserve<'a>(&'a self, _request: &'a ChargeRequest) -> Reserving<'a> {
        Box::pin(async { Ok(None) })
    }
}

/// What calls cost and over which trunks they go.
#[derive(Debug, Clone, Default)]
pub struct Tariffs {
    /// All decks.
    pub decks: Decks,
    /// The name of the price deck by which rooms pay.
    pub price: String,
    /// For calls to the phone network; empty: what they cost us is not looked at.
    pub trunks: Vec<Trunk>,
    /// How trunks are compared.
    pub wanted: Wanted,
}

/// Rooms pay from an account each, ahead. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepaid {
    service: Service,
    tariffs: Arc<RwLock<Arc<Tariffs>>>,
    guard: Arc<Mutex<Guard>>,
    payee: AccountId,
    node: Arc<str>,
    rates: Option<Rates>,
}

impl Prepaid {
    /// Charges by these tariffs and rules on a service that has begun. `node` as in [`Service::start`].
    ///
    /// # Errors
    /// What the database says of the last day's calls, which the fraud guard has to know.
    pub async fn new(service: Service, tariffs: Tariffs, rules: Rules, node: &str) -> Result<Self, CdrError> {
        let payee = AccountId::named(&["revenue", "calls"]);
        service.ledger().open_account(payee, AccountKind::Revenue).await?;
        let mut guard = Guard::new(rules);
        recall(&service, &mut guard).await?;
        let tariffs = Arc::new(RwLock::new(Arc::new(tariffs)));
        Ok(Self { service, tariffs, guard: Arc::new(Mutex::new(guard)), payee, node: node.into(), rates: None })
    }

    /// Writes into calls' records what a bitcoin is worth in other money when they begin.
    #[must_use]
    pub fn with_rates(self, rates: Option<Rates>) -> Self {
        Self { rates, ..self }
    }

    /// The account of a room.
    #[must_use]
    pub fn account(room: &str) -> AccountId {
        AccountId::named(&["room", room])
    }

    /// Opens the account of a room; one that is there stays as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open(&self, room: &str) -> Result<AccountId, StoreError> {
        let account = Self::account(room);
        self.service.ledger().open_account(account, AccountKind::Customer).await?;
        Ok(account)
    }

    /// Takes other tariffs for the calls that begin from now on.
    pub fn set_tariffs(&self, tariffs: Tariffs) {
        *self.tariffs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tariffs);
    }

    /// What calls cost now.
    #[must_use]
    pub fn tariffs(&self) -> Arc<Tariffs> {
        Arc::clone(&self.tariffs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The service that runs the calls.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    async fn begin(&self, request: &ChargeRequest) -> Result<CallCredit, Declined> {
        let number: Number = request.dialled.parse()?;
        let (at, account) = (self.service.ledger().now(), Self::account(&request.room));
        let tariffs = self.tariffs();
        let rate = tariffs.decks.rate(DeckKind::CustomerPrice, &tariffs.price, number, at)?;
        let carrier = match request.direction {
            Direction::Outbound if !tariffs.trunks.is_empty() => {
                let choice = choose(&tariffs.decks, &tariffs.trunks, number, at, &rate.price, &tariffs.wanted);
                Some(first(choice)?)
            }
            _ => None,
        };
        let admitted = lock(&self.guard).admit(at, account, number)?;
        let about = About {
            tenant: String::new(),
            direction: request.direction,
            // What callers say of themselves may be anything.
            caller: request.caller.parse().ok(),
            callee: Some(number),
            carrier,
            setup: at,
            node: self.node.to_string(),
            sip_call_id: Some(request.sip_call_id.clone()).filter(|id| !id.is_empty()),
            source: request.source,
            // Without a rate that is believed the call is charged all the same.
            fx_rate: self.rates.as_ref().and_then(|rates| rates.quote().ok()).map(|quote| quote.reference()),
        };
        let terms = CallTerms { payer: account, payee: self.payee, rate, limit: admitted.limit, about };
        let (guard, ledger) = (Arc::clone(&self.guard), self.service.ledger().clone());
        let over = move |cost| lock(&guard).ended(ledger.now(), admitted, cost);
        self.service.begin(request.name(), terms, over).await
    }
}

impl CallCharging for Prepaid {
    fn reserve<'a>(&'a self, request: &'a ChargeRequest) -> Reserving<'a> {
        Box::pin(async { self.begin(request).await.map(Some) })
    }

    fn topped_up(&self) {
        self.service.topped_up();
    }
}

/// A broken promise of another thread is no reason to let everybody call.
fn lock(guard: &Mutex<Guard>) -> MutexGuard<'_, Guard> {
    guard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn first(choice: Choice) -> Result<Carrier, Declined> {
    let mut routes = choice.routes.into_iter();
    let route = routes.next().ok_or_else(|| {
        Declined::NoRoute(choice.unfit.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    Ok(Carrier { trunk: route.trunk.name.to_string(), rate: route.cost })
}

async fn recall(service: &Service, guard: &mut Guard) -> Result<(), CdrError> {
    let now = service.ledger().now();
    let period = Period { from: UnixMillis(now.0.saturating_sub(DAY_MS)), until: UnixMillis(u64::MAX) };
    let mut wanted = store::Wanted { period, account: None, after: 0, limit: store::PAGE };
    loop {
        let page = store::records(service.ledger().database(), &wanted).await?;
        let Some(last) = page.last() else { return Ok(()) };
        wanted.after = last.seq;
        for cdr in page.into_iter().map(|written| written.cdr) {
            if cdr.leg == Leg::Customer && cdr.revision == 0 {
                guard.recall(cdr.ended, cdr.account, cdr.charged);
            }
        }
    }
}
