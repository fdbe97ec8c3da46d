//! The module in the process itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ask::{
    Answer, Ask, PartnerLine, PartnerWindow, RateLine, Refused, Report, Standing, StatementLine, Told, Transcription,
};
use super::config::{Settings, SettingsError};
use super::wallet::Wallet;
use super::{Asking, Attached, news};
use crate::cdr::store::CdrError;
use crate::charge::{CallCharging, Declined, Prepaid, QuotaError, Reserving, Service, StartError};
use crate::database;
use crate::ledger::{
    Account, AccountId, AccountKind, Ledger, LedgerError, Movement, Note, Purpose, Refusal, StoreError, Transfer,
    TransferId,
};
use crate::lightning;
use crate::plan::{self, Allowance, PlanError, Plans, VoucherError, Vouchers};
use crate::rates::{self, Rates};
use crate::settlement::{self, Engines, Office, OfficeError, PartnerStanding, PaymentEnd};
use crate::tariff::{DeckError, DeckStore, Import, Imported, Line, LoadError, NumberError, TariffsConfig};
use crate::{ChargeRequest, Msat, UnixMillis, cdr};

/// How often it is looked for new decks.
const RELOAD: Duration = Duration::from_secs(30);
/// How often months of plans are looked for that have ended.
const RENEW: Duration = Duration::from_secs(300);
/// A statement has at most so many lines.
const LONGEST_STATEMENT: u32 = 100;
/// So many transfers are looked through for them.
const LOOKED_THROUGH: u32 = 1_000;
/// At most so many prices are shown.
const MOST_RATES: usize = 20;
/// What the note begins with that says which room an account is of.
pub(super) const ROOMS: &str = "room/";

/// Why the module does not begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error("payments.database: {0}")]
    Database(#[from] database::OpenError),
    /// The ledger.
    #[error("the ledger cannot be opened: {0}")]
    Ledger(#[from] StoreError),
    /// A file that the configuration names.
    #[error("{key}: {path}: {error}")]
    File {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A deck that cannot be.
    #[error("payments.decks: {path}: {error}")]
    Deck {
        /// The file.
        path: PathBuf,
        /// Line and column.
        error: DeckError,
    },
    /// The decks in the database.
    #[error(transparent)]
    Tariffs(#[from] LoadError),
    /// The Lightning node.
    #[error(transparent)]
    Lightning(#[from] lightning::StartError),
    /// Settling with other operators.
    #[error(transparent)]
    Settlement(#[from] OfficeError),
    /// Rates of bitcoin.
    #[error(transparent)]
    Rates(#[from] rates::ConfigError),
    /// How much is reserved at a time.
    #[error("payments.reserve_seconds: {0}")]
    Quota(#[from] QuotaError),
    /// Calls that were under way.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The fraud guard has to know what was spent.
    #[error("the calls of the last day cannot be read: {0}")]
    Calls(#[from] CdrError),
}

/// The module in the process itself. See [`super`].
pub struct Counter {
    prepaid: Prepaid,
    plans: Plans,
    vouchers: Vouchers,
    gifts: AccountId,
    welcome: Msat,
    rates: Option<Rates>,
    /// Gone when the counter is closed.
    wallet: RwLock<Option<Wallet>>,
    office: Option<Arc<Office>>,
    /// Rooms whose accounts are known to be there.
    opened: Mutex<HashSet<String>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

impl Counter {
    /// Opens the database, reads the decks, settles the calls that were under way when the process died.
    ///
    /// # Errors
    /// [`OpenError`] names the key or the file.
    pub async fn open(settings: &Settings, data_dir: &Path) -> Result<Arc<Self>, OpenError> {
        let ledger = Ledger::open(&settings.database_url(data_dir)?, Arc::new(wall)).await?;
        let gifts = AccountId::named(&["gifts"]);
        let fees = AccountId::named(&["revenue", "plans"]);
        ledger.open_account(gifts, AccountKind::Gifts).await?;
        ledger.open_account(fees, AccountKind::Revenue).await?;
        let service = Service::start(ledger.clone(), settings.quota()?, &settings.node).await?;
        let decks = DeckStore::new(ledger.database().clone());
        import(settings, &decks, ledger.now()).await?;
        let tariffs = settings.tariffs.load(&decks, ledger.now()).await?;
        for missing in tariffs.missing(ledger.now()) {
            tracing::warn!(%missing, "calls that need this deck are not put through");
        }
        let rates = settings.rates.open(&ledger).await?;
        let wallet = match &settings.lightning {
            Some(config) => Some(Wallet::start(config, &ledger, service.clone()).await?),
            None => None,
        };
        let (office, engines) = open_settlement(settings, &ledger).await?.unzip();
        let prepaid = Prepaid::new(service, tariffs, settings.guard.clone().into(), &settings.node).await?;
        let prepaid = prepaid.with_rates(rates.clone());
        let counter = Arc::new(Self {
            prepaid,
            plans: Plans::new(ledger.clone(), settings.plans.into(), fees),
            vouchers: Vouchers::new(ledger, gifts),
            gifts,
            welcome: settings.welcome,
            rates: rates.clone(),
            wallet: RwLock::new(wallet),
            office,
            opened: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let stop = &counter.stop;
        counter.tasks.spawn(renew(counter.plans.clone(), stop.clone()));
        counter.tasks.spawn(reload(counter.prepaid.clone(), decks, settings.tariffs.clone(), stop.clone()));
        if let Some((office, engines)) = counter.office.as_ref().zip(engines) {
            office.start(engines, &counter.tasks, stop);
        }
        if let Some(rates) = rates {
            let stop = stop.clone();
            counter.tasks.spawn(async move { rates.run(stop).await });
        }
        Ok(counter)
    }

    /// Waits until all calls are settled: they must have been told that they ended.
    pub async fn close(&self) {
        if let Some(wallet) = self.wallet.write().await.take() {
            wallet.stop().await;
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.prepaid.service().close().await;
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.prepaid.service().ledger()
    }

    pub(super) fn service(&self) -> &Service {
        self.prepaid.service()
    }

    /// The account of a room, there from now on, with what a new one is given.
    async fn account(&self, room: &str) -> Result<AccountId, Refused> {
        let account = Prepaid::account(room);
        let known =
            |opened: &Mutex<HashSet<String>>| opened.lock().unwrap_or_else(PoisonError::into_inner).contains(room);
        if known(&self.opened) {
            return Ok(account);
        }
        self.prepaid.open(room).await?;
        let note = Note { key: format!("{ROOMS}{account}"), body: Some(room.to_owned()) };
        let movement = Movement::Post { debit: self.gifts, credit: account, amount: self.welcome };
        let id = TransferId::named(&["welcome", room]);
        let welcome = (!self.welcome.is_zero()).then_some(Transfer { id, purpose: Purpose::Credit, movement });
        match self.ledger().apply_noted(welcome.into_iter().collect(), note).await {
            // Another sum than today's was given when it was opened; or it is frozen: nobody is welcomed then.
            Ok(_) | Err(LedgerError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(room.to_owned());
        Ok(account)
    }

    async fn wallet(&self) -> Result<RwLockReadGuard<'_, Wallet>, Refused> {
        let none = |_| Refused::NotSetUp("Lightning".into());
        RwLockReadGuard::try_map(self.wallet.read().await, Option::as_ref).map_err(none)
    }

    async fn sums(&self, account: AccountId) -> Result<Account, Refused> {
        let none = || Refused::Unavailable("the account is gone".into());
        self.ledger().account(account).await?.ok_or_else(none)
    }

    async fn available(&self, account: AccountId) -> Result<Msat, Refused> {
        Ok(self.sums(account).await?.sums.available())
    }

    async fn told(&self, ask: Ask) -> Result<Told, Refused> {
        Ok(match ask {
            Ask::Balance { room } => Told::Standing(self.standing(self.account(&room).await?).await?),
            Ask::Statement { room, lines } => Told::Statement(self.statement(self.account(&room).await?, lines).await?),
            Ask::Rates { digits } => Told::Rates(self.rates(&digits)?),
            Ask::Plan { room, plan } => {
                let account = self.account(&room).await?;
                self.plans.choose(account, plan).await?;
                Told::Standing(self.standing(account).await?)
            }
            Ask::Redeem { room, code } => {
                let account = self.account(&room).await?;
                let code = code.parse().map_err(mistake)?;
                let amount = self.vouchers.redeem(&code, account).await?;
                self.credited(account, amount).await?
            }
            Ask::Credit { room, amount, name } => {
                let account = self.account(&room).await?;
                let movement = Movement::Post { debit: self.gifts, credit: account, amount };
                let id = TransferId::named(&["credit", &name]);
                self.ledger().apply(vec![Transfer { id, purpose: Purpose::Credit, movement }]).await?;
                self.credited(account, amount).await?
            }
            Ask::Freeze { room, frozen } => {
                let account = self.account(&room).await?;
                self.ledger().freeze(account, frozen).await?;
                Told::Standing(self.standing(account).await?)
            }
            Ask::Voucher { amount, days } => Told::Voucher(self.voucher(amount, days).await?),
            Ask::Report => Told::Report(self.report().await?),
            Ask::Transcription { room } => Told::Transcription(self.transcription(self.account(&room).await?).await?),
            Ask::Transcribed { room, call, in_all } => {
                self.plans.transcribed(self.account(&room).await?, &call, in_all).await?;
                Told::Done
            }
            Ask::News { after } => news::since(self, after).await?,
            Ask::TopUp { room, amount, name } => {
                let account = self.account(&room).await?;
                Told::Invoice(self.wallet().await?.invoice(&name, account, amount).await?)
            }
            Ask::Refund { room, to, amount, name } => {
                let account = self.account(&room).await?;
                Told::Payout(self.wallet().await?.refund(&name, account, &to, amount).await?)
            }
            Ask::Node(ask) => self.wallet().await?.node(ask).await?,
            Ask::Approve { payout, by } => Told::Payout(self.wallet().await?.approve(&payout, &by).await?),
        })
    }

    async fn credited(&self, account: AccountId, amount: Msat) -> Result<Told, Refused> {
        self.service().topped_up();
        Ok(Told::Credited { amount, available: self.available(account).await? })
    }

    async fn standing(&self, account: AccountId) -> Result<Standing, Refused> {
        let has = self.sums(account).await?;
        Ok(Standing {
            available: has.sums.available(),
            reserved: has.sums.debits_pending,
            frozen: has.frozen,
            plan: self.plans.plan(account).await?,
            subscription: self.plans.subscription(account).await?,
            transcription: self.transcription(account).await?,
        })
    }

    async fn transcription(&self, account: AccountId) -> Result<Transcription, Refused> {
        let plan = self.plans.plan(account).await?;
        let left = match self.plans.transcription(account).await? {
            Allowance::Left(left) => Some(left),
            Allowance::Unlimited => None,
        };
        let history = match plan.history() {
            plan::History::Days(days) => Some(days),
            plan::History::Unlimited => None,
        };
        Ok(Transcription { left, history, users: plan.users() })
    }

    /// Calls by their records, one line each, when they end; all else by its transfers.
    async fn statement(&self, account: AccountId, lines: u32) -> Result<Vec<StatementLine>, Refused> {
        let most = lines.min(LONGEST_STATEMENT);
        let mut all = Vec::new();
        for record in self.ledger().latest(account, LOOKED_THROUGH).await? {
            let change = change(&record.transfer, record.sides, account).filter(|change| *change != 0);
            let Some(change) = change.filter(|_| record.transfer.purpose != Purpose::Call) else { continue };
            all.push(StatementLine { at: record.at, purpose: record.transfer.purpose, change, left: Msat::ZERO });
        }
        for call in cdr::store::latest(self.ledger().database(), account, most).await? {
            let change = -i64::from(call.charged);
            if change != 0 {
                all.push(StatementLine { at: call.ended, purpose: Purpose::Call, change, left: Msat::ZERO });
            }
        }
        all.sort_by_key(|line| std::cmp::Reverse(line.at));
        all.truncate(most as usize);
        // Backwards from what there is: what calls took on the way is told at their end.
        let mut left = self.sums(account).await?.sums.balance();
        for line in &mut all {
            line.left = u64::try_from(left).ok().and_then(Msat::new).unwrap_or(Msat::ZERO);
            left -= i128::from(line.change);
        }
        Ok(all)
    }

    /// The prefix that holds for the digits, and what is told apart within them.
    fn rates(&self, digits: &str) -> Result<Vec<RateLine>, Refused> {
        let digits: String = digits.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '/')).collect();
        let wanted = digits.parse().map_err(|error: NumberError| {
            Refused::Mistake(format!("a number or its beginning is needed, as in +44: {error}"))
        })?;
        let listing = self.prepaid.tariffs().rates(wanted, self.ledger().now(), MOST_RATES);
        let listing = listing.map_err(|error| Refused::Unavailable(error.to_string()))?;
        let line = |line: Line| RateLine {
            prefix: line.prefix,
            destination: line.destination.to_string(),
            terms: *line.price.terms(),
        };
        Ok(listing.general.into_iter().chain(listing.longer).map(line).collect())
    }

    async fn voucher(&self, amount: Msat, days: Option<u32>) -> Result<String, Refused> {
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| Refused::Unavailable(error.to_string()))?;
        let code = plan::Code::from_bytes(random);
        let expires = days.map(|days| self.ledger().now().after(Duration::from_secs(u64::from(days) * 24 * 3600)));
        self.vouchers.issue(&code, amount, expires).await?;
        Ok(code.reveal())
    }

    async fn report(&self) -> Result<Report, Refused> {
        let accounts = self.ledger().accounts().await?;
        let of = |kind| accounts.iter().filter(move |account| account.kind == kind);
        let sum = |kind| of(kind).map(|account| account.sums.balance()).sum::<i128>();
        let signed = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
        let money = |sum: i128| u64::try_from(sum).ok().and_then(Msat::new).unwrap_or(Msat::ZERO);
        let held = of(AccountKind::Customer).map(|account| i128::from(account.sums.debits_pending.msat())).sum();
        let balanced = self.ledger().total().await? == 0 && self.ledger().unbalanced().await?.is_empty();
        Ok(Report {
            rooms: of(AccountKind::Customer).count() as u64,
            frozen: of(AccountKind::Customer).filter(|account| account.frozen).count() as u64,
            owed: money(sum(AccountKind::Customer)),
            reserved: money(held),
            earned: signed(sum(AccountKind::Revenue)),
            given: signed(-sum(AccountKind::Gifts)),
            suspense: signed(sum(AccountKind::Suspense)),
            balanced,
            payouts_stopped: match &*self.wallet.read().await {
                Some(wallet) => wallet.stopped().await?,
                None => None,
            },
            partners: match &self.office {
                Some(office) => partner_lines(office).await?,
                None => Vec::new(),
            },
        })
    }
}

impl CallCharging for Counter {
    fn reserve<'a>(&'a self, request: &'a ChargeRequest) -> Reserving<'a> {
        Box::pin(async {
            self.account(&request.room).await.map_err(|_| Declined::Ledger)?;
            self.prepaid.reserve(request).await
        })
    }

    fn topped_up(&self) {
        self.prepaid.topped_up();
    }
}

impl Attached for Counter {
    fn ask(&self, ask: Ask) -> Asking<'_> {
        Box::pin(async {
            let told = self.told(ask).await?;
            // Without a price that is believed there is none: sat are shown alone.
            Ok(Answer { told, quote: self.rates.as_ref().and_then(|rates| rates.quote().ok()) })
        })
    }
}

/// Opens the settlement, where one is set up.
async fn open_settlement(settings: &Settings, ledger: &Ledger) -> Result<Option<(Arc<Office>, Engines)>, OpenError> {
    let Some(config) = &settings.settlement else { return Ok(None) };
    let agreed = config.check(&settings.tariffs);
    let agreed = agreed.map_err(|error| SettingsError { key: error.key.into(), message: error.wrong })?;
    let (office, engines) = Office::open(agreed, ledger).await?;
    tracing::info!(account = %office.account(), "statements are made by the calendar, and what comes in on Stellar is watched");
    Ok(Some((Arc::new(office), engines)))
}

async fn partner_lines(office: &Office) -> Result<Vec<PartnerLine>, Refused> {
    let standings = office.standings().await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    let line = |standing: PartnerStanding| {
        let newest = standing.newest.map(|kept| match kept.settlement.standing() {
            settlement::Standing::Proposed => PartnerWindow::Proposed,
            settlement::Standing::Disputed(calls) => PartnerWindow::Disputed(calls.len() as u64),
            settlement::Standing::Agreed(agreement) => PartnerWindow::Agreed(agreement.disputes.len() as u64),
        });
        let not_paid = standing.payment.and_then(|payment| match payment.end {
            Some(PaymentEnd::NotPaid { why }) => Some(why),
            _ => None,
        });
        PartnerLine { name: standing.name, balance: standing.balance, newest, not_paid }
    };
    Ok(standings.into_iter().map(line).collect())
}

/// What a transfer has given to the account, or taken from it; `None`: it had no part in it.
fn change(transfer: &Transfer, sides: Option<crate::ledger::Sides>, account: AccountId) -> Option<i64> {
    let amount = match transfer.movement {
        Movement::Post { amount, .. } | Movement::Settle { amount, .. } => i64::from(amount),
        _ => 0,
    };
    let sides = sides?;
    if sides.credit.account == account { Some(amount) } else { (sides.debit.account == account).then_some(-amount) }
}

fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Who imports what the configuration names.
const CONFIGURATION: &str = "the configuration";

/// Takes in the files that the configuration names: each change of one is another version. One that has not changed since it was
/// taken in is left alone, also where somebody has imported a later version: a restart must not bring old prices back.
async fn import(settings: &Settings, decks: &DeckStore, now: UnixMillis) -> Result<(), OpenError> {
    for file in &settings.decks {
        let path = file.file.clone();
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(|error| OpenError::File { key: "payments.decks", path: path.clone(), error })?;
        let known = decks.list().await.map_err(|error| LoadError::Deck(error.into()))?;
        let ours = known.iter().filter(|deck| deck.id.kind == file.kind && *deck.id.name == *file.name);
        let last = ours.filter(|deck| deck.imported_by == CONFIGURATION).max_by_key(|deck| deck.id.version);
        if last.is_some_and(|deck| deck.digest == <[u8; 32]>::from(Sha256::digest(&bytes))) {
            continue;
        }
        let (name, by) = (file.name.clone(), CONFIGURATION.to_owned());
        let wanted = Import { kind: file.kind, name, valid_from: None, by, file: bytes };
        if let Imported::New(deck) = decks.import(now, wanted).await.map_err(|error| OpenError::Deck { path, error })? {
            tracing::info!(deck = %deck.id, prefixes = deck.prefixes, "a deck was imported");
        }
    }
    Ok(())
}

/// Takes new calls by decks that were imported while the program runs.
async fn reload(prepaid: Prepaid, decks: DeckStore, tariffs: TariffsConfig, stop: CancellationToken) {
    let mut known = Vec::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(RELOAD) => {}
            () = stop.cancelled() => return,
        }
        let reloaded = async {
            let now = decks.list().await.map_err(DeckError::from)?;
            if now.len() != known.len() {
                prepaid.set_tariffs(tariffs.load(&decks, prepaid.service().ledger().now()).await?);
                known = now;
            }
            Ok::<_, LoadError>(())
        };
        if let Err(error) = reloaded.await {
            tracing::warn!(%error, "rate decks could not be looked at; calls go by those that are known");
        }
    }
}

async fn renew(plans: Plans, stop: CancellationToken) {
    loop {
        match plans.renew().await {
            Ok(done) if done.is_empty() => {}
            Ok(done) => tracing::info!(months = done.len(), "plans were renewed or have ended"),
            Err(error) => tracing::warn!(%error, "plans could not be looked through"),
        }
        tokio::select! {
            () = tokio::time::sleep(RENEW) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn mistake(error: impl std::fmt::Display) -> Refused {
    Refused::Mistake(error.to_string())
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused { refusal: Refusal::NotEnough { available, .. }, .. } => Self::NotEnough { available },
            LedgerError::Refused { refusal: Refusal::Frozen { .. }, .. } => Self::Frozen,
            LedgerError::Refused { refusal, .. } => Self::Mistake(refusal.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PlanError> for Refused {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Ledger(error) => error.into(),
            PlanError::Unknown(_) => mistake(error),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<VoucherError> for Refused {
    fn from(error: VoucherError) -> Self {
        match error {
            VoucherError::Ledger(error) => error.into(),
            VoucherError::Store(error) => error.into(),
            VoucherError::Note(error) => Self::Unavailable(error.to_string()),
            error => mistake(error),
        }
    }
}

impl From<CdrError> for Refused {
    fn from(error: CdrError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
