//! Payment links (SEP-7): `web+stellar:pay?…`, for who pays by hand out of a wallet. As text, and as a QR code.

use std::fmt;

use super::{Address, AddressError, Asset, AssetError, Destination, Network, Stroops, StroopsError};
use crate::qr;

/// Letters in `msg`, at most (SEP-7).
const MAX_MESSAGE: usize = 300;
/// Letters of a link that is read.
const MAX_LINK: usize = 4_000;

/// A request to pay. Roomtone's are not signed by a domain: the wallet shows destination, amount and memo, and its user
/// compares them with what the statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayLink {
    /// To whom.
    pub destination: Destination,
    /// How much; `None`: the payer chooses.
    pub amount: Option<Stroops>,
    /// In what.
    pub asset: Asset,
    /// The number by which the payment is recognised.
    pub memo_id: Option<u64>,
    /// Shown by the wallet, at most 300 letters.
    pub message: Option<String>,
    /// The network, where it is not the public one.
    pub network: Option<Network>,
}

/// Why words are no payment link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayLinkError {
    /// Not `web+stellar:pay?…`.
    #[error("this is no payment link; it begins with web+stellar:pay?")]
    Form,
    /// Broken percent signs, or bytes that are no text.
    #[error("the link's {0} is not readable")]
    Encoding(String),
    /// Twice the same word.
    #[error("the link says {0} twice")]
    Twice(String),
    /// No destination.
    #[error("the link names no destination")]
    NoDestination,
    /// A part that is wrong.
    #[error("the link's destination: {0}")]
    Destination(#[from] AddressError),
    /// A part that is wrong.
    #[error("the link's amount: {0}")]
    Amount(#[from] StroopsError),
    /// A part that is wrong.
    #[error("the link's asset: {0}")]
    Asset(#[from] AssetError),
    /// A memo that is no number, or a destination that has one already.
    #[error("the link's memo is none that a settlement can carry; it is a number, and not beside an M… address")]
    Memo,
    /// Too long.
    #[error("the link's message has {0} letters, more than 300")]
    Message(usize),
}

impl PayLink {
    /// The link as a QR code's PNG.
    ///
    /// # Errors
    /// [`qr::QrError`] where it does not fit, which no link without a long message does.
    pub fn qr_png(&self) -> Result<Vec<u8>, qr::QrError> {
        qr::png(&self.to_string())
    }
}

impl fmt::Display for PayLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "web+stellar:pay?destination={}", self.destination)?;
        if let Some(amount) = self.amount {
            write!(f, "&amount={amount}")?;
        }
        if let Asset::Issued { code, issuer } = &self.asset {
            write!(f, "&asset_code={}&asset_issuer={issuer}", code.as_str())?;
        }
        if let Some(memo) = self.memo_id {
            write!(f, "&memo={memo}&memo_type=MEMO_ID")?;
        }
        if let Some(message) = &self.message {
            write!(f, "&msg={}", encode(message))?;
        }
        if let Some(network) = self.network.as_ref().filter(|network| !network.is_public()) {
            write!(f, "&network_passphrase={}", encode(network.passphrase()))?;
        }
        Ok(())
    }
}

/// RFC 3986: all but the unreserved as percent signs; a space is `%20`, as SEP-7 wants it.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        bytes.push(digit()? << 4 | digit()?);
    }
    String::from_utf8(bytes).ok()
}

/// The parts of a link, as they come.
#[derive(Default)]
struct Parts {
    destination: Option<String>,
    amount: Option<String>,
    asset_code: Option<String>,
    asset_issuer: Option<String>,
    memo: Option<String>,
    memo_type: Option<String>,
    msg: Option<String>,
    network_passphrase: Option<String>,
}

impl Parts {
    fn read(query: &str) -> Result<Self, PayLinkError> {
        let mut parts = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "destination" => &mut parts.destination,
                "amount" => &mut parts.amount,
                "asset_code" => &mut parts.asset_code,
                "asset_issuer" => &mut parts.asset_issuer,
                "memo" => &mut parts.memo,
                "memo_type" => &mut parts.memo_type,
                "msg" => &mut parts.msg,
                "network_passphrase" => &mut parts.network_passphrase,
                // What a later SEP-7 adds, and what we do not use (callback, signature).
                _ => continue,
            };
            let value = decode(value).ok_or_else(|| PayLinkError::Encoding(name.to_owned()))?;
            if slot.replace(value).is_some() {
                return Err(PayLinkError::Twice(name.to_owned()));
            }
        }
        Ok(parts)
    }

    fn asset(&self) -> Result<Asset, PayLinkError> {
        match (&self.asset_code, &self.asset_issuer) {
            (None, None) => Ok(Asset::Native),
            (Some(code), None) if code == "XLM" => Ok(Asset::Native),
            (Some(code), Some(issuer)) => {
                let issuer: Address = issuer.parse()?;
                Ok(Asset::Issued { code: code.parse()?, issuer })
            }
            (code, issuer) => {
                let words = format!("{}:{}", code.as_deref().unwrap_or(""), issuer.as_deref().unwrap_or(""));
                Err(AssetError::Form(words.chars().take(80).collect()).into())
            }
        }
    }

    fn memo(&self) -> Result<Option<u64>, PayLinkError> {
        match (self.memo.as_deref(), self.memo_type.as_deref()) {
            (None, None) => Ok(None),
            (Some(memo), Some("MEMO_ID")) if memo.bytes().all(|b| b.is_ascii_digit()) => {
                memo.parse().map(Some).map_err(|_| PayLinkError::Memo)
            }
            _ => Err(PayLinkError::Memo),
        }
    }
}

impl std::str::FromStr for PayLink {
    type Err = PayLinkError;

    fn from_str(text: &str) -> Result<Self, PayLinkError> {
        let query = text.strip_prefix("web+stellar:pay?").filter(|q| q.len() <= MAX_LINK).ok_or(PayLinkError::Form)?;
        let parts = Parts::read(query)?;
        let destination: Destination = parts.destination.as_deref().ok_or(PayLinkError::NoDestination)?.parse()?;
        let memo_id = parts.memo()?;
        if memo_id.is_some() && destination.part.is_some() {
            return Err(PayLinkError::Memo);
        }
        if let Some(letters) = parts.msg.as_ref().map(|m| m.chars().count()).filter(|n| *n > MAX_MESSAGE) {
            return Err(PayLinkError::Message(letters));
        }
        Ok(Self {
            destination,
            amount: parts.amount.as_deref().map(str::parse).transpose()?,
            asset: parts.asset()?,
            memo_id,
            network: parts.network_passphrase.as_deref().map(Network::new).filter(|network| !network.is_public()),
            message: parts.msg,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G: &str = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";

    fn link() -> PayLink {
        PayLink {
            destination: G.parse().unwrap(),
            amount: Some("120.1234567".parse().unwrap()),
            asset: format!("USDC:{G}").parse().unwrap(),
            memo_id: Some(u64::MAX),
            message: Some("November & more: 100%".to_owned()),
            network: Some(Network::new(Network::TESTNET)),
        }
    }

    #[test]
    fn a_link_says_all_that_a_wallet_needs() {
        assert_eq!(
            link().to_string(),
            format!(
                "web+stellar:pay?destination={G}&amount=120.1234567&asset_code=USDC&asset_issuer={G}&memo=18446744073709551615\
                 &memo_type=MEMO_ID&msg=November%20%26%20more%3A%20100%25\
                 &network_passphrase=Test%20SDF%20Network%20%3B%20September%202015"
            )
        );
        assert_eq!(link().to_string().parse(), Ok(link()));
        assert!(link().qr_png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn broken_links_are_refused_by_their_part() {
        let read = |rest: &str| format!("web+stellar:pay?destination={G}{rest}").parse::<PayLink>();
        assert!(read("").is_ok());
        assert_eq!("web+stellar:tx?xdr=AAAA".parse::<PayLink>(), Err(PayLinkError::Form));
        assert_eq!("web+stellar:pay?amount=1".parse::<PayLink>(), Err(PayLinkError::NoDestination));
        assert_eq!(read("&amount=-1"), Err(PayLinkError::Amount(StroopsError::Negative)));
        assert!(matches!(read("&amount=1e400"), Err(PayLinkError::Amount(StroopsError::NotANumber(_)))));
        assert_eq!(read("&amount=1&amount=2"), Err(PayLinkError::Twice("amount".into())));
        assert!(matches!(read("&asset_code=USD"), Err(PayLinkError::Asset(_))), "an asset without its issuer");
        for memo in
            ["&memo=1", "&memo=x&memo_type=MEMO_ID", "&memo=%2B1&memo_type=MEMO_ID", "&memo=1&memo_type=MEMO_TEXT"]
        {
            assert_eq!(read(memo), Err(PayLinkError::Memo), "{memo}");
        }
        for msg in ["&msg=%", "&msg=%4", "&msg=%zz", "&msg=%FF"] {
            assert_eq!(read(msg), Err(PayLinkError::Encoding("msg".into())), "{msg}");
        }
        assert_eq!(read(&format!("&msg={}", "x".repeat(301))), Err(PayLinkError::Message(301)));
    }

    proptest! {
        #[test]
        fn any_message_survives_the_link(message in "\\PC{0,60}") {
            let link = PayLink { message: Some(message), ..link() };
            prop_assert_eq!(link.to_string().parse(), Ok(link));
        }

        #[test]
        fn any_words_give_a_link_or_an_error(text in "(web\\+stellar:pay\\?)?(destination=|memo=|&|%|G|M|[0-9.]|\\PC){0,40}") {
            super::super::fuzz::fuzz_words(text.as_bytes());
        }
    }
}
