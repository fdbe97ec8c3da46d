//! Top-ups: an invoice of ours per request, on disk before the node is asked for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Bolt11, Books, Chain, Description, InvoiceError, Node, NodeError, PaymentHash, Target, TopUpId, Wanted};
use crate::database::{Database, ask};
use crate::ledger::{AccountId, AccountKind, Ledger, StoreError};
use crate::tables::{TableError, array, changed, impossible, number, time, words};
use crate::{Msat, UnixMillis};

const TABLE: &str = "lightning_top_ups";

/// What may be topped up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopUpRules {
    /// The least at a time.
    pub least: Msat,
    /// The most at a time.
    pub most: Msat,
    /// How long an invoice can be paid.
    pub expiry: Duration,
    /// Invoices of an account that wait for their payer, at most.
    pub open: u32,
}

impl Default for TopUpRules {
    /// 100 sat to 0.05 bitcoin, 15 minutes, 20 at once.
    fn default() -> Self {
        let sat = |sat| Msat::from_sat(sat).unwrap_or(Msat::MAX);
        Self { least: sat(100), most: sat(5_000_000), expiry: Duration::from_secs(900), open: 20 }
    }
}

/// Why there is no invoice.
#[derive(Debug, thiserror::Error)]
pub enum TopUpError {
    /// Too little or too much.
    #[error("a top-up is between {least} and {most}")]
    Amount {
        /// The least.
        least: Msat,
        /// The most.
        most: Msat,
    },
    /// Too many invoices wait already.
    #[error("{open} invoices wait to be paid already; pay one, or wait until they expire")]
    TooManyOpen {
        /// So many.
        open: u32,
    },
    /// The node did not make it. The same request asks again.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It made another one than was asked for.
    #[error("the Lightning node made an invoice over {0}, or for another chain, than it was asked for")]
    OtherInvoice(String),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the customer is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The request's name.
    pub id: TopUpId,
    /// What a wallet pays. Its text in capitals makes the smaller QR code ([`crate::qr::png`]).
    pub bolt11: Bolt11,
    /// What it is over.
    pub amount: Msat,
    /// Until when it can be paid.
    pub expires: UnixMillis,
}

/// A top-up as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// Its name.
    pub id: TopUpId,
    /// Whose.
    pub account: AccountId,
    /// What was asked for.
    pub amount: Msat,
    /// What the invoice says.
    pub description: String,
    /// How long it can be paid.
    pub expiry: Duration,
    /// `None`: the node has not answered yet.
    pub invoice: Option<Bolt11>,
}

/// Makes invoices for customers. Cheap to clone. What is paid is credited by [`super::Crediting`].
#[derive(Clone)]
pub struct TopUps {
    pub(super) ledger: Ledger,
    pub(super) node: Arc<dyn Node>,
    pub(super) books: Books,
    chain: Chain,
    rules: TopUpRules,
}

impl std::fmt::Debug for TopUps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopUps")
    }
}

impl TopUps {
    /// Top-ups of this ledger by this node. Opens the accounts that the node's money is in.
    ///
    /// # Errors
    /// What the database says.
    pub async fn new(
        ledger: Ledger,
        node: Arc<dyn Node>,
        (books, chain): (Books, Chain),
        rules: TopUpRules,
    ) -> Result<Self, StoreError> {
        books.open(&ledger).await?;
        Ok(Self { ledger, node, books, chain, rules })
    }

    /// An invoice over this amount for this account. The same request (the same `id`, made of the event that asked, say) gets the
    /// same invoice, whatever was killed in between. `description`: what the payer's wallet shows; anybody's words, which
    /// [`Description`] makes harmless.
    ///
    /// # Errors
    /// [`TopUpError`]: there is no invoice, and nobody can pay one.
    pub async fn request(
        &self,
        id: TopUpId,
        account: AccountId,
        amount: Msat,
        description: &str,
    ) -> Result<Invoice, TopUpError> {
        let TopUpRules { least, most, expiry, open } = self.rules;
        if amount < least || amount > most {
            return Err(TopUpError::Amount { least, most });
        }
        let known = match self.get(id).await? {
            Some(known) => known,
            None => {
                if self.open(account).await? >= open {
                    return Err(TopUpError::TooManyOpen { open });
                }
                self.ledger.open_account(account, AccountKind::Customer).await?;
                let description = Description::new(description).as_str().to_owned();
                self.insert(&TopUp { id, account, amount, description, expiry, invoice: None }).await?
            }
        };
        if let Some(field) = different(&known, account, amount) {
            return Err(TableError::Other { what: format!("the top-up {id}"), field }.into());
        }
        let bolt11 = match known.invoice {
            Some(bolt11) => bolt11,
            None => self.make(&known).await?,
        };
        Ok(Invoice { id, amount, expires: bolt11.expires(), bolt11 })
    }

    /// Has the node make the invoice, and stores it before anybody sees it.
    async fn make(&self, known: &TopUp) -> Result<Bolt11, TopUpError> {
        let TopUp { id, amount, description, expiry, .. } = known.clone();
        let wanted = Wanted { label: id, amount, description, expiry };
        let bolt11 = self.node.new_invoice(&wanted).await?;
        match Target::Invoice(bolt11.clone()).payable(self.chain, UnixMillis(0), Some(amount)) {
            // By the node's clock it may have expired; here only what it is for counts.
            Ok(_) | Err(InvoiceError::Expired) if bolt11.amount() == Some(amount) => {}
            _ => {
                let over = bolt11.amount().map_or_else(|| "any amount".to_owned(), |over| over.to_string());
                return Err(TopUpError::OtherInvoice(over));
            }
        }
        changed!(
            self.ledger.database(),
            sqlx::query(
                // Asked for twice at once, the first stands: both are shown that one.
                "UPDATE lightning_top_ups SET hash = $2, invoice = $3 WHERE id = $1 AND hash IS NULL"
            )
            .bind(&id.bytes()[..])
            .bind(&bolt11.hash().0[..])
            .bind(bolt11.as_str())
        )
        .map_err(TableError::from)?;
        let stored = self.get(id).await?.and_then(|stored| stored.invoice);
        stored.ok_or_else(|| TableError::Changed("a top-up's invoice").into())
    }

    /// A top-up by its name; `None`: nobody asked for it.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn get(&self, id: TopUpId) -> Result<Option<TopUp>, TableError> {
        let row: Option<Row> = ask!(self.ledger.database(), pool => sqlx::query_as(
                "SELECT id, account, amount, description, expiry, invoice FROM lightning_top_ups WHERE id = $1",
            )
            .bind(&id.bytes()[..])
            .fetch_optional(pool))?;
        row.map(Row::read).transpose()
    }

    /// Invoices of an account that may still be paid.
    async fn open(&self, account: AccountId) -> Result<u32, TableError> {
        let open: i64 = ask!(self.ledger.database(), pool => sqlx::query_scalar(
                "SELECT count(*) FROM lightning_top_ups t WHERE account = $1 AND at + expiry * 1000 > $2
                 AND NOT EXISTS (SELECT 1 FROM lightning_arrivals a WHERE a.hash = t.hash)",
            )
            .bind(&account.bytes()[..])
            .bind(time(self.ledger.now()))
            .fetch_one(pool))?;
        number(TABLE, "count", open)
    }

    async fn insert(&self, wanted: &TopUp) -> Result<TopUp, TableError> {
        let expiry = i64::try_from(wanted.expiry.as_secs()).unwrap_or(i64::MAX);
        changed!(
            self.ledger.database(),
            sqlx::query(
                "INSERT INTO lightning_top_ups (id, account, amount, description, expiry, at)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&wanted.id.bytes()[..])
            .bind(&wanted.account.bytes()[..])
            .bind(i64::from(wanted.amount))
            .bind(&wanted.description)
            .bind(expiry)
            .bind(time(self.ledger.now()))
        )?;
        self.get(wanted.id).await?.ok_or(TableError::Changed("the top-ups"))
    }
}

/// Whose invoice this hash is; `None`: none of ours. For paying our own without the network.
pub(super) async fn ours(database: &Database, hash: PaymentHash) -> Result<Option<TopUp>, TableError> {
    let row: Option<Row> = ask!(database, pool => sqlx::query_as(
            "SELECT id, account, amount, description, expiry, invoice FROM lightning_top_ups WHERE hash = $1",
        )
        .bind(&hash.0[..])
        .fetch_optional(pool))?;
    row.map(Row::read).transpose()
}

fn different(known: &TopUp, account: AccountId, amount: Msat) -> Option<&'static str> {
    if known.account != account {
        return Some("account");
    }
    (known.amount != amount).then_some("amount")
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    account: Vec<u8>,
    amount: i64,
    description: String,
    expiry: i64,
    invoice: Option<String>,
}

impl Row {
    fn read(self) -> Result<TopUp, TableError> {
        Ok(TopUp {
            id: TopUpId::from_bytes(array(TABLE, "id", &self.id)?),
            account: AccountId::from_bytes(array(TABLE, "account", &self.account)?),
            amount: Msat::try_from(self.amount).map_err(|_| impossible(TABLE, "amount", self.amount))?,
            description: self.description,
            expiry: Duration::from_secs(number(TABLE, "expiry", self.expiry)?),
            invoice: self.invoice.as_deref().map(|text| words(TABLE, "invoice", text)).transpose()?,
        })
    }
}
