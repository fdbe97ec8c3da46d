//! Invoices (BOLT 11) and offers (BOLT 12) as people paste them: read by LDK's libraries, with limits of our own.

use std::fmt;
use std::str::FromStr;

use lightning::bitcoin;
use lightning::offers::offer::{Amount, Offer as LdkOffer};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef};
use serde::{Deserialize, Serialize};

use crate::{Msat, UnixMillis};

/// The longest text that is read as an invoice or an offer. Real ones have some hundred letters; each hop of a hint adds 82.
pub const MAX_TEXT: usize = 4_096;
/// The most letters in an invoice's description, in bytes: BOLT 11 has room for 639.
pub const MAX_DESCRIPTION: usize = 200;

/// Which Bitcoin chain: invoices name theirs, and another's are never paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// The one with the money.
    Bitcoin,
    /// The third test network.
    Testnet,
    /// The signed test network.
    Signet,
    /// One's own.
    Regtest,
}

impl Chain {
    pub(super) const fn network(self) -> bitcoin::Network {
        match self {
            Self::Bitcoin => bitcoin::Network::Bitcoin,
            Self::Testnet => bitcoin::Network::Testnet,
            Self::Signet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bitcoin => "bitcoin",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        })
    }
}

/// Why words are nothing that can be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceError {
    /// More than is read.
    #[error("an invoice has at most {MAX_TEXT} letters, not {0}")]
    TooLong(usize),
    /// Neither an invoice nor an offer.
    #[error("that is no Lightning invoice (lnbc…) and no offer (lno…): {0}")]
    Unreadable(String),
    /// Of another chain.
    #[error("the invoice is not for the chain {ours}")]
    OtherChain {
        /// The node's.
        ours: Chain,
    },
    /// Its time is over.
    #[error("the invoice has expired; ask for a new one")]
    Expired,
    /// It says no amount, and neither did who pays it.
    #[error("the invoice names no amount; say how much is to be paid")]
    NoAmount,
    /// It says another amount.
    #[error("the invoice is over {invoice}, not {asked}")]
    OtherAmount {
        /// The invoice's.
        invoice: Msat,
        /// The payer's.
        asked: Msat,
    },
    /// More than all money, or in dollars.
    #[error("the invoice's amount cannot be paid: {0}")]
    Amount(String),
}

/// The hash that a payment is known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentHash(pub [u8; 32]);

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentHash({self})")
    }
}

impl FromStr for PaymentHash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for PaymentHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        text.parse()
    }
}

impl From<PaymentHash> for String {
    fn from(hash: PaymentHash) -> Self {
        hash.to_string()
    }
}

/// A BOLT 11 invoice that was read: its signature is right and it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bolt11 {
    text: String,
    hash: PaymentHash,
    amount: Option<Msat>,
    expires: UnixMillis,
    description: Option<String>,
    network: bitcoin::Network,
}

impl Bolt11 {
    /// By which its payment is known.
    #[must_use]
    pub const fn hash(&self) -> PaymentHash {
        self.hash
    }

    /// What it asks for; `None`: the payer says how much.
    #[must_use]
    pub const fn amount(&self) -> Option<Msat> {
        self.amount
    }

    /// Until when it can be paid.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        self.expires
    }

    /// What the payee says that it is for; `None`: only a hash of it is told. Anybody's words: show them as such.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// As it was written, in small letters, without `lightning:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Bolt11 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Bolt11 {
    type Err = InvoiceError;

    fn from_str(text: &str) -> Result<Self, InvoiceError> {
        let text = bare(text)?;
        let read: Bolt11Invoice = text.parse().map_err(|e| InvoiceError::Unreadable(short(&e)))?;
        let amount = read.amount_milli_satoshis().map(whole).transpose()?;
        if amount.is_some_and(Msat::is_zero) {
            return Err(InvoiceError::Amount("it is nothing".to_owned()));
        }
        let description = match read.description() {
            Bolt11InvoiceDescriptionRef::Direct(words) => Some(words.as_inner().to_string()),
            Bolt11InvoiceDescriptionRef::Hash(_) => None,
        };
        let hash = PaymentHash(*AsRef::<[u8; 32]>::as_ref(read.payment_hash()));
        let expires = read.expires_at().map_or(UnixMillis(u64::MAX), |at| UnixMillis::default().after(at));
        Ok(Self { hash, amount, expires, description, network: read.network(), text })
    }
}

impl TryFrom<String> for Bolt11 {
    type Error = InvoiceError;

    fn try_from(text: String) -> Result<Self, InvoiceError> {
        text.parse()
    }
}

impl From<Bolt11> for String {
    fn from(invoice: Bolt11) -> Self {
        invoice.text
    }
}

/// A BOLT 12 offer that was read: whoever pays it asks the payee for an invoice first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Offer {
    text: String,
    amount: Option<Msat>,
    expires: UnixMillis,
    chains: Vec<bitcoin::constants::ChainHash>,
}

impl Offer {
    /// The least that it asks for; `None`: the payer says how much.
    #[must_use]
    pub const fn amount(&self) -> Option<Msat> {
        self.amount
    }

    /// As it was written, in small letters, without `lightning:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Offer {
    type Err = InvoiceError;

    fn from_str(text: &str) -> Result<Self, InvoiceError> {
        let text = bare(text)?;
        let read: LdkOffer = text.parse().map_err(|e| InvoiceError::Unreadable(short(&Shown(e))))?;
        let amount = match read.amount() {
            None => None,
            Some(Amount::Bitcoin { amount_msats }) => Some(whole(amount_msats)?),
            Some(Amount::Currency { iso4217_code, .. }) => {
                return Err(InvoiceError::Amount(format!("it is in {}", iso4217_code.as_str())));
            }
        };
        if read.expects_quantity() {
            return Err(InvoiceError::Unreadable("it sells pieces, and asks how many".to_owned()));
        }
        let expires = read.absolute_expiry().map_or(UnixMillis(u64::MAX), |at| UnixMillis::default().after(at));
        Ok(Self { amount: amount.filter(|amount| !amount.is_zero()), expires, chains: read.chains(), text })
    }
}

impl TryFrom<String> for Offer {
    type Error = InvoiceError;

    fn try_from(text: String) -> Result<Self, InvoiceError> {
        text.parse()
    }
}

impl From<Offer> for String {
    fn from(offer: Offer) -> Self {
        offer.text
    }
}

/// Where a payment goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// To an invoice, which is paid once.
    Invoice(Bolt11),
    /// To an offer, which can be paid again and again.
    Offer(Offer),
}

impl Target {
    /// By which an invoice's payment is known; an offer's is not known before it is made.
    #[must_use]
    pub const fn hash(&self) -> Option<PaymentHash> {
        match self {
            Self::Invoice(invoice) => Some(invoice.hash()),
            Self::Offer(_) => None,
        }
    }

    /// From when on nothing is paid to it any more.
    #[must_use]
    pub const fn expires(&self) -> UnixMillis {
        match self {
            Self::Invoice(invoice) => invoice.expires,
            Self::Offer(offer) => offer.expires,
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invoice(invoice) => invoice.as_str(),
            Self::Offer(offer) => offer.as_str(),
        }
    }

    /// What is to be paid, if this can be paid now on this chain. `asked`: what the payer says, if anything. An invoice's amount
    /// must be just that, an offer's is the least.
    ///
    /// # Errors
    /// [`InvoiceError`] says why it cannot.
    pub fn payable(&self, chain: Chain, now: UnixMillis, asked: Option<Msat>) -> Result<Msat, InvoiceError> {
        let of_the_chain = match self {
            Self::Invoice(invoice) => invoice.network == chain.network(),
            Self::Offer(offer) => {
                offer.chains.contains(&bitcoin::constants::ChainHash::using_genesis_block(chain.network()))
            }
        };
        if !of_the_chain {
            return Err(InvoiceError::OtherChain { ours: chain });
        }
        if self.expires() <= now {
            return Err(InvoiceError::Expired);
        }
        let (said, is_least) = match self {
            Self::Invoice(invoice) => (invoice.amount, false),
            Self::Offer(offer) => (offer.amount, true),
        };
        match (said, asked.filter(|amount| !amount.is_zero())) {
            (None, None) => Err(InvoiceError::NoAmount),
            (None, Some(amount)) | (Some(amount), None) => Ok(amount),
            (Some(said), Some(asked)) if said == asked || (is_least && said < asked) => Ok(asked),
            (Some(invoice), Some(asked)) => Err(InvoiceError::OtherAmount { invoice, asked }),
        }
    }
}

impl FromStr for Target {
    type Err = InvoiceError;

    fn from_str(text: &str) -> Result<Self, InvoiceError> {
        if bare(text)?.starts_with("lno1") { text.parse().map(Self::Offer) } else { text.parse().map(Self::Invoice) }
    }
}

impl TryFrom<String> for Target {
    type Error = InvoiceError;

    fn try_from(text: String) -> Result<Self, InvoiceError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.as_str().to_owned()
    }
}

/// What an invoice of ours says that it is for: one line, no control characters, cut at [`MAX_DESCRIPTION`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// From anybody's words.
    #[must_use]
    pub fn new(words: &str) -> Self {
        let one_line: String = words
            .chars()
            // Marks that turn the direction of writing would let a wallet show another text than is there.
            .filter(|c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut kept = one_line.trim().to_owned();
        kept.truncate(kept.floor_char_boundary(MAX_DESCRIPTION));
        Self(kept)
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without what surrounds it in links and mails. Capitals are what QR codes hold.
fn bare(text: &str) -> Result<String, InvoiceError> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(InvoiceError::TooLong(text.len()));
    }
    let prefix = "lightning:";
    let rest = match text.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => &text[prefix.len()..],
        _ => text,
    };
    if rest.bytes().any(|b| b.is_ascii_lowercase()) && rest.bytes().any(|b| b.is_ascii_uppercase()) {
        // Bech32 forbids capitals and small letters in one word: there is a slip in it.
        return Err(InvoiceError::Unreadable("capitals and small letters are mixed".to_owned()));
    }
    Ok(rest.to_ascii_lowercase())
}

fn whole(msat: u64) -> Result<Msat, InvoiceError> {
    Msat::new(msat)
        .ok_or_else(|| InvoiceError::Amount(format!("{msat} msat are more than all bitcoin there will ever be")))
}

struct Shown<T>(T);

impl<T: fmt::Debug> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A library's words, which may repeat all of the text.
fn short(error: &impl fmt::Display) -> String {
    error.to_string().chars().take(120).collect()
}

#[cfg(test)]
mod tests;
