//! Settlement as an operator runs it: partners by their names, windows by the calendar, statements as files.
//!
//! ```text
//!  call records ── Office::propose (by the calendar) ──▶ our statement ── export ──▶ a file ──▶ the partner
//!  the partner ──▶ a file ── import ──▶ agreed, or disputed line by line
//!  agreed ── Clerk ──▶ the books, what is due ── Payer ──▶ Stellar        Stellar ── Watcher ──▶ what they have paid
//! ```
//!
//! [`Office::open`] asks nobody: commands open one beside the process that runs [`Office::start`], on the same database. Two of
//! them at once do nothing twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::calls::{OurCall, OurCalls, calls};
use super::config::{Agreed, AgreedPartner};
use super::{
    Books, CallsError, Clerk, ClerkError, Did, Dispute, Due, FileError, Kept, PairSecret, Payment, Proposal, Side,
    Standing, Window, Windows, files,
};
use crate::ledger::{Ledger, StoreError};
use crate::lightning::secret;
use crate::stellar::incoming::{Accepted, Inbox, Kept as Arrived, Landing, Reading, Watcher};
use crate::stellar::payer::{Payer, Signer};
use crate::stellar::rpc::{Found, From as Since, Rpc as _, RpcClient, RpcError, Transaction};
use crate::stellar::{Address, Asset, KeyError, Network, PayLink, SigningKey, TxHash};
use crate::tables::TableError;

/// A window is proposed so long after its end: by then the records of its last calls are written, those of a desk that died too.
pub const GRACE: Duration = Duration::from_secs(15 * 60);
/// How often is looked whether a window has ended.
const LOOK_AROUND: Duration = Duration::from_secs(60);
/// What a command does at most of what the clerk finds to do; the rest is the running process's.
const MOST_STEPS: u32 = 1_000;
/// Transactions in a page.
const PAGE: u32 = 200;
/// Pages in which a transaction is looked for, behind the beginning of its ledger.
const MOST_PAGES: u32 = 50;
/// The configuration's key, in errors.
const SECRET_FILE: &str = "payments.settlement.partners.secret_file";

/// Why something was not done. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// Our key.
    #[error("payments.settlement.key_file: {0}")]
    Key(#[from] KeyError),
    /// The key of another account than is written down.
    #[error("payments.settlement.account: is {account}, but the key in key_file is that of {key}")]
    OtherKey {
        /// As written down.
        account: Address,
        /// Whose key it is.
        key: Address,
    },
    /// A partner has our own account.
    #[error("payments.settlement.partners: {0} has our own account; each operator has one of its own")]
    Ourselves(String),
    /// A partner's secret.
    #[error(transparent)]
    Secret(#[from] secret::SecretError),
    /// Nobody of this name.
    #[error("there is no partner {0:?}; payments.settlement.partners names them")]
    NoPartner(String),
    /// No such window.
    #[error("there is no window {number} with {partner}")]
    NoWindow {
        /// With whom.
        partner: String,
        /// As asked for.
        number: u32,
    },
    /// There is nothing to send yet.
    #[error("there is no statement for {partner} yet: the first window ends at {until}, and is made {} minutes later", GRACE.as_secs() / 60)]
    Nothing {
        /// For whom.
        partner: String,
        /// RFC 3339.
        until: String,
    },
    /// A file that was imported.
    #[error(transparent)]
    File(#[from] FileError),
    /// Our own calls.
    #[error(transparent)]
    Calls(#[from] CallsError),
    /// What the clerk says.
    #[error(transparent)]
    Clerk(#[from] ClerkError),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger's database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Stellar RPC server.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The server does not know a transaction.
    #[error("the Stellar RPC server knows no transaction {0} that was applied in the ledgers that it remembers")]
    NoTransaction(TxHash),
}

/// A partner, with what is read from files.
struct Known {
    agreed: AgreedPartner,
    secret: PairSecret,
}

/// See the module's text.
pub struct Office {
    network: Network,
    account: Address,
    partners: Vec<Known>,
    clerk: Clerk,
    ledger: Ledger,
    inbox: Inbox,
    rpc: RpcClient,
}

/// What pays and what watches: run by [`Office::start`] in one process, let go by commands.
#[derive(Debug)]
pub struct Engines {
    /// Pays.
    pub payer: Payer<RpcClient>,
    /// Watches what comes in.
    pub watcher: Watcher<RpcClient, Windows>,
}

/// How things stand with a partner.
#[derive(Debug)]
pub struct PartnerStanding {
    /// What we call them.
    pub name: String,
    /// Theirs.
    pub account: Address,
    /// In what is paid.
    pub asset: Asset,
    /// What they owe us by the books over agreed windows, below nothing what we owe them, in millisatoshi.
    pub balance: i64,
    /// The newest window; `None`: the first has not ended yet.
    pub newest: Option<Kept>,
    /// The window that is made next, once the newest is agreed.
    pub next: Window,
    /// What is owed over agreed windows that are not paid, and whether by us. Not what a payment under way pays.
    pub owed: Option<(Due, bool)>,
    /// Our last payment to them.
    pub payment: Option<Payment>,
}

/// What a file's statement has brought.
#[derive(Debug)]
pub struct Imported {
    /// Whose it is.
    pub partner: String,
    /// Of when.
    pub window: Window,
    /// How the window stands by it; `None`: it is older than our newest window, which can only follow on its agreement.
    pub standing: Option<Standing>,
}

/// A window for people.
#[derive(Debug)]
pub struct Shown {
    /// The window.
    pub kept: Kept,
    /// On which calls the two differ, each with our call, where we have it.
    pub disputes: Vec<(Dispute, Option<OurCall>)>,
    /// Our names of calls that no statement can name.
    pub left_out: Vec<String>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Office of {}", self.account)
    }
}

impl Office {
    /// Reads the key and the partners' secrets, and opens the accounts of the ledger. Asks nobody.
    ///
    /// # Errors
    /// [`OfficeError`] names the key of the configuration, and the file.
    pub async fn open(agreed: Agreed, ledger: &Ledger) -> Result<(Self, Engines), OfficeError> {
        let (key, signing) = (our_key(&agreed)?, our_key(&agreed)?);
        let ours = key.address();
        let Agreed { network, rpc, policy, partners, .. } = agreed;
        let known = partners.into_iter().map(|agreed| Ok(Known { secret: pair_secret(&agreed)?, agreed }));
        let partners: Vec<Known> = known.collect::<Result<_, OfficeError>>()?;
        let client = || RpcClient::new(rpc.expose_secret());
        let (database, books) = (ledger.database().clone(), Books::default());
        let signer = Signer { network: network.clone(), key: signing };
        let payer = Payer::new(database.clone(), client()?, signer, policy, ledger.clock());
        let terms = partners.iter().map(|known| known.agreed.partner).collect();
        let clerk = Clerk::new(key, terms, (ledger.clone(), books), payer.counter()).await?;
        let accepted: Vec<Accepted> = partners.iter().map(Known::accepted).collect();
        let (inbox, landing) =
            (Inbox::new(database.clone(), ours), Landing { stellar: books.stellar, suspense: books.suspense });
        let (server, books) = ((client()?, network.clone()), (ledger.clone(), landing));
        let watcher = Watcher::new(inbox.clone(), server, books, accepted, Windows::new(database)).await?;
        let office = Self { network, account: ours, partners, clerk, ledger: ledger.clone(), inbox, rpc: client()? };
        Ok((office, Engines { payer, watcher }))
    }

    /// Looks at the files that [`Office::open`] reads, and whether the server is on the network; our account. Changes nothing.
    ///
    /// # Errors
    /// [`OfficeError`] names the key of the configuration, and the file.
    pub async fn look(agreed: &Agreed) -> Result<Address, OfficeError> {
        let key = our_key(agreed)?;
        for partner in &agreed.partners {
            pair_secret(partner)?;
        }
        RpcClient::new(agreed.rpc.expose_secret())?.check(&agreed.network).await?;
        Ok(key.address())
    }

    /// Makes statements by the calendar, pays, and watches what comes in, until `stop`. Killed at any point, nothing is lost.
    pub fn start(self: &Arc<Self>, engines: Engines, tasks: &TaskTracker, stop: &CancellationToken) {
        let Engines { payer, watcher } = engines;
        tasks.spawn(payer.run(stop.clone()));
        tasks.spawn(watcher.run(stop.clone()));
        let (office, told) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { office.clerk.run(told).await });
        let (office, told) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { office.propose_all(told).await });
    }

    /// Our account.
    #[must_use]
    pub const fn account(&self) -> Address {
        self.account
    }

    /// On which network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// What does what there is to do.
    #[must_use]
    pub const fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    fn partner(&self, name: &str) -> Result<&Known, OfficeError> {
        let named = self.partners.iter().find(|known| known.agreed.name == name);
        named.ok_or_else(|| OfficeError::NoPartner(name.to_owned()))
    }

    async fn propose_all(&self, stop: CancellationToken) {
        // Each complaint once, not every minute.
        let mut said: HashMap<&str, String> = HashMap::new();
        loop {
            for known in &self.partners {
                let name = known.agreed.name.as_str();
                match self.propose_next(known).await {
                    Ok(None) => {
                        said.remove(name);
                    }
                    Ok(Some(window)) => {
                        tracing::info!(partner = name, from = %files::shown(window.from), "a statement is made; export it");
                    }
                    Err(error) => {
                        let words = error.to_string();
                        if said.get(name) != Some(&words) {
                            tracing::error!(partner = name, %error, "no statement can be made");
                            said.insert(name, words);
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_AROUND) => {}
            }
        }
    }

    /// Makes and signs our statement of the next window with a partner, if it has ended and the one before is agreed; the window
    /// of which one was made.
    ///
    /// # Errors
    /// Where our calls are not known: then there is none.
    pub async fn propose(&self, name: &str) -> Result<Option<Window>, OfficeError> {
        self.propose_next(self.partner(name)?).await
    }

    async fn propose_next(&self, known: &Known) -> Result<Option<Window>, OfficeError> {
        let newest = self.clerk.newest(known.key()).await?;
        let is_open = |kept: &Kept| !matches!(kept.settlement.standing(), Standing::Agreed(_));
        let window = known.next(newest.as_ref());
        if newest.as_ref().is_some_and(is_open) || self.ledger.now() < window.until.after(GRACE) {
            return Ok(None);
        }
        let ours = calls(&self.ledger, &known.agreed.between, window).await?;
        if !ours.left_out.is_empty() {
            let (partner, calls) = (&known.agreed.name, ours.left_out.len());
            tracing::warn!(partner, calls, "these calls have no SIP Call-ID of their own and are in no statement");
        }
        let carried = ours.calls.iter().map(OurCall::carried);
        self.clerk.propose(known.key(), window, &known.secret, carried).await?;
        Ok(Some(window))
    }

    /// All that a partner needs from us now, as the text of a file: our statement of the newest window, what both have of it where
    /// they differ, and the same of the window before, in case that our last word on it has not reached them.
    ///
    /// # Errors
    /// [`OfficeError::Nothing`] before the end of the first window.
    pub async fn export(&self, name: &str) -> Result<String, OfficeError> {
        let known = self.partner(name)?;
        self.propose_next(known).await?;
        let Some(newest) = self.clerk.newest(known.key()).await? else {
            let until = files::shown(known.next(None).until);
            return Err(OfficeError::Nothing { partner: name.to_owned(), until });
        };
        let before = match newest.number.checked_sub(1).filter(|number| *number > 0) {
            Some(number) => self.clerk.window(known.key(), number).await?,
            None => None,
        };
        let kept = before.iter().chain(std::iter::once(&newest));
        let proposals: Vec<Proposal> = kept.flat_map(|kept| kept.settlement.proposals().cloned()).collect();
        Ok(files::write(&proposals))
    }

    /// Takes in a file of a partner's, from wherever it came: only what they have signed counts. Each of its statements for itself.
    ///
    /// # Errors
    /// [`OfficeError::File`]: nothing was read.
    pub async fn import(&self, text: &str) -> Result<Vec<Result<Imported, OfficeError>>, OfficeError> {
        let mut all = Vec::new();
        for said in files::read(text)? {
            all.push(self.receive(&said).await);
        }
        self.settle_up().await?;
        Ok(all)
    }

    async fn receive(&self, said: &Proposal) -> Result<Imported, OfficeError> {
        let by = self.partners.iter().find(|known| known.key() == said.by).ok_or(ClerkError::Nobody(said.by))?;
        let (partner, window) = (by.agreed.name.clone(), said.statement.window);
        // Theirs may be here before ours is made: then it is, if the window has ended for us, too.
        self.propose_next(by).await?;
        if let Some(newest) = self.clerk.newest(by.key()).await?
            && said.is_genuine()
            && window.until <= newest.settlement.ours().window.from
        {
            return Ok(Imported { partner, window, standing: None });
        }
        let standing = self.clerk.receive(said).await?;
        Ok(Imported { partner, window, standing: Some(standing) })
    }

    /// Does what the clerk finds to do, as far as it can be done at once: agreed windows go into the books, payments are ordered.
    ///
    /// # Errors
    /// What the clerk says.
    pub async fn settle_up(&self) -> Result<(), OfficeError> {
        for _ in 0..MOST_STEPS {
            if self.clerk.step().await? == Did::Nothing {
                break;
            }
        }
        Ok(())
    }

    /// How things stand with all partners.
    ///
    /// # Errors
    /// What the database says.
    pub async fn standings(&self) -> Result<Vec<PartnerStanding>, OfficeError> {
        let mut all = Vec::with_capacity(self.partners.len());
        for known in &self.partners {
            let key = known.key();
            let newest = self.clerk.newest(key).await?;
            let owed = self.clerk.owed(key, &self.network).await?.map(|(due, _)| due);
            let ours = |due: &Due| known.side_of(self.account).is_some_and(|side| side == due.payer);
            let account = self.ledger.account(Clerk::account(key)).await?;
            let balance = account.map_or(0, |account| -account.sums.balance());
            all.push(PartnerStanding {
                name: known.agreed.name.clone(),
                account: key,
                asset: known.agreed.partner.asset,
                balance: i64::try_from(balance).unwrap_or(i64::MAX),
                next: known.next(newest.as_ref()),
                newest,
                owed: owed.map(|due| (due.clone(), ours(&due))),
                payment: self.clerk.payments(key, 1).await?.pop(),
            });
        }
        Ok(all)
    }

    /// A window with a partner, the newest where no number is given.
    ///
    /// # Errors
    /// [`OfficeError::NoWindow`].
    pub async fn show(&self, name: &str, number: Option<u32>) -> Result<Shown, OfficeError> {
        let known = self.partner(name)?;
        let kept = match number {
            Some(number) => self.clerk.window(known.key(), number).await?,
            None => self.clerk.newest(known.key()).await?,
        };
        let none = || OfficeError::NoWindow { partner: name.to_owned(), number: number.unwrap_or(1) };
        let kept = kept.ok_or_else(none)?;
        let disputes = match kept.settlement.standing() {
            Standing::Proposed => Vec::new(),
            Standing::Disputed(disputes) => disputes.clone(),
            Standing::Agreed(agreement) => agreement.disputes.clone(),
        };
        let ours: OurCalls = calls(&self.ledger, &known.agreed.between, kept.settlement.ours().window).await?;
        let named = |dispute: Dispute| (dispute, ours.named(dispute.call(), &known.secret).cloned());
        Ok(Shown { disputes: disputes.into_iter().map(named).collect(), left_out: ours.left_out.clone(), kept })
    }

    /// Begins to pay what we owe a partner now.
    ///
    /// # Errors
    /// [`ClerkError::NothingOwed`].
    pub async fn pay(&self, name: &str) -> Result<Payment, OfficeError> {
        let key = self.partner(name)?.key();
        self.settle_up().await?;
        let begun = self.clerk.pay_now(key).await?.ok_or(ClerkError::NothingOwed(key))?;
        self.settle_up().await?;
        Ok(begun)
    }

    /// Lets a payment that was not made be tried again: by itself where that is agreed, else with the next [`Office::pay`].
    /// `false`: there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn retry(&self, name: &str) -> Result<bool, OfficeError> {
        Ok(self.clerk.retry(self.partner(name)?.key()).await?)
    }

    /// The link by which what is owed is paid out of a wallet, and whether it is we who owe.
    ///
    /// # Errors
    /// [`ClerkError::NothingOwed`].
    pub async fn link(&self, name: &str) -> Result<(PayLink, bool), OfficeError> {
        let known = self.partner(name)?;
        self.settle_up().await?;
        let owed = self.clerk.owed(known.key(), &self.network).await?;
        let (due, link) = owed.ok_or(ClerkError::NothingOwed(known.key()))?;
        Ok((link, known.side_of(self.account) == Some(due.payer)))
    }

    /// Takes in that we have paid a partner by hand, by the transaction that did.
    ///
    /// # Errors
    /// [`OfficeError::NoTransaction`]; what [`Clerk::paid_by_hand`] says.
    pub async fn paid(&self, name: &str, tx: TxHash) -> Result<Payment, OfficeError> {
        let key = self.partner(name)?.key();
        self.settle_up().await?;
        let transaction = self.transaction(tx).await?;
        Ok(self.clerk.paid_by_hand(key, &transaction).await?)
    }

    /// A transaction that was applied.
    async fn transaction(&self, hash: TxHash) -> Result<Transaction, OfficeError> {
        self.rpc.check(&self.network).await?;
        let Found::Success { ledger } = self.rpc.transaction(hash).await? else {
            return Err(OfficeError::NoTransaction(hash));
        };
        let mut from = Since::Ledger(ledger);
        for _ in 0..MOST_PAGES {
            let page = self.rpc.transactions(&from, PAGE).await?;
            let is_last = page.transactions.last().is_none_or(|tx| tx.ledger > ledger);
            if let Some(tx) = page.transactions.into_iter().find(|tx| tx.hash == hash) {
                return Ok(tx);
            }
            if is_last {
                break;
            }
            from = Since::Cursor(page.cursor);
        }
        Err(OfficeError::NoTransaction(hash))
    }

    /// What lies in suspense and nobody has claimed, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn suspense(&self, limit: u32) -> Result<Vec<Arrived>, OfficeError> {
        Ok(self.clerk.in_suspense(limit).await?)
    }

    /// Says that something in suspense is a partner's; the number of the windows that it counts for, if they owe any.
    ///
    /// # Errors
    /// What [`Clerk::assign`] says.
    pub async fn assign(&self, tx: TxHash, operation: u32, name: &str) -> Result<Option<u64>, OfficeError> {
        let reference = self.clerk.assign(tx, operation, self.partner(name)?.key()).await?;
        self.settle_up().await?;
        Ok(reference)
    }

    /// How far the network's ledgers are read; `None`: not begun.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reading(&self) -> Result<Option<Reading>, OfficeError> {
        Ok(self.inbox.reading().await?)
    }

    /// Goes on reading behind this ledger, because people have looked up by hand what lies between.
    ///
    /// # Errors
    /// What the database says.
    pub async fn read_behind(&self, ledger: u32) -> Result<(), OfficeError> {
        Ok(self.inbox.begin_behind(ledger, self.ledger.now()).await?)
    }
}

impl Known {
    const fn key(&self) -> Address {
        self.agreed.partner.key
    }

    fn accepted(&self) -> Accepted {
        Accepted { asset: self.agreed.partner.asset, rate: self.agreed.partner.rate }
    }

    /// On which side we are.
    fn side_of(&self, us: Address) -> Option<Side> {
        let partner = &self.agreed.partner;
        super::Terms::between(us, partner.key, partner.asset, partner.rate)?.side(us)
    }

    /// The window that follows.
    fn next(&self, newest: Option<&Kept>) -> Window {
        let from = newest.map_or(self.agreed.since, |kept| kept.settlement.ours().window.until);
        Window { from, until: from.after(self.agreed.window) }
    }
}

/// The key, whose account is the one that is written down, and no partner's.
fn our_key(agreed: &Agreed) -> Result<SigningKey, OfficeError> {
    let key = SigningKey::read(&agreed.key_file)?;
    let ours = key.address();
    if let Some(account) = agreed.account.filter(|account| *account != ours) {
        return Err(OfficeError::OtherKey { account, key: ours });
    }
    match agreed.partners.iter().find(|agreed| agreed.partner.key == ours) {
        Some(same) => Err(OfficeError::Ourselves(same.name.clone())),
        None => Ok(key),
    }
}

/// 64 hexadecimal digits out of a file of its owner's alone.
fn pair_secret(agreed: &AgreedPartner) -> Result<PairSecret, OfficeError> {
    let path = &agreed.secret_file;
    let line = secret::read(SECRET_FILE, path)?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(line.trim_ascii(), bytes.as_mut_slice()).map_err(|_| secret::SecretError::Other {
        key: SECRET_FILE,
        path: path.clone(),
        what: "secret; it is one line of 64 hexadecimal digits (openssl rand -hex 32)",
    })?;
    Ok(PairSecret::new(bytes))
}
