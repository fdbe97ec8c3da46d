//! Assets: the network's own, and what others issue. A code alone says nothing: anybody can issue another "USD".

use std::fmt;

use stellar_xdr as xdr;

use super::{Address, AddressError};

/// What is paid with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asset {
    /// The network's own: lumens, on the public network.
    Native,
    /// Issued by somebody. The same code of another issuer is another asset.
    Issued {
        /// Its name with that issuer.
        code: AssetCode,
        /// Who issues it.
        issuer: Address,
    },
}

/// One to twelve ASCII letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetCode {
    bytes: [u8; 12],
    length: u8,
}

/// Why words are no asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Neither `native` nor `CODE:ISSUER`.
    #[error("{0:?} is no asset; write native, or CODE:ISSUER with the issuer's G… address")]
    Form(String),
    /// Not one to twelve letters and digits.
    #[error("{0:?} is no asset code; it has one to twelve letters and digits")]
    Code(String),
    /// The issuer.
    #[error("the asset's issuer: {0}")]
    Issuer(#[from] AddressError),
}

impl AssetCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made of ASCII alone.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    /// From XDR: filled up with zeros at the end, and nowhere else.
    fn from_padded(bytes: &[u8]) -> Option<Self> {
        let length = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let (code, rest) = bytes.split_at(length);
        rest.iter().all(|b| *b == 0).then_some(())?;
        std::str::from_utf8(code).ok()?.parse().ok()
    }
}

impl std::str::FromStr for AssetCode {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, AssetError> {
        let fits = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits {
            return Err(AssetError::Code(text.chars().take(20).collect()));
        }
        let mut bytes = [0; 12];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        // At most twelve.
        Ok(Self { bytes, length: u8::try_from(text.len()).unwrap_or(12) })
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Asset {
    pub(super) fn to_xdr(self) -> xdr::Asset {
        let Self::Issued { code, issuer } = self else { return xdr::Asset::Native };
        let issuer = issuer.account_id();
        if code.length <= 4 {
            let [a, b, c, d, ..] = code.bytes;
            xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4([a, b, c, d]), issuer })
        } else {
            xdr::Asset::CreditAlphanum12(xdr::AlphaNum12 { asset_code: xdr::AssetCode12(code.bytes), issuer })
        }
    }

    /// `None` for a code that the network itself would refuse.
    pub(super) fn from_xdr(asset: &xdr::Asset) -> Option<Self> {
        let (code, issuer) = match asset {
            xdr::Asset::Native => return Some(Self::Native),
            xdr::Asset::CreditAlphanum4(a) => (AssetCode::from_padded(&a.asset_code.0)?, &a.issuer),
            xdr::Asset::CreditAlphanum12(a) => {
                // Four or fewer letters in the longer form would be a second spelling of the same asset.
                (AssetCode::from_padded(&a.asset_code.0).filter(|code| code.length > 4)?, &a.issuer)
            }
        };
        Some(Self::Issued { code, issuer: Address::from_account_id(issuer) })
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Issued { code, issuer } => write!(f, "{}:{issuer}", code.as_str()),
        }
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Asset {
    type Err = AssetError;

    /// `native`, or `CODE:ISSUER`. Not `XLM`: anybody can issue an asset of that code.
    fn from_str(text: &str) -> Result<Self, AssetError> {
        if text == "native" {
            return Ok(Self::Native);
        }
        let (code, issuer) = text.split_once(':').ok_or_else(|| AssetError::Form(text.chars().take(80).collect()))?;
        Ok(Self::Issued { code: code.parse()?, issuer: issuer.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";

    #[test]
    fn assets_are_the_same_after_xdr_and_back() {
        for code in ["A", "USD", "USDC", "USDCX", "ROOMTONE1234"] {
            let asset: Asset = format!("{code}:{ISSUER}").parse().unwrap();
            assert_eq!(Asset::from_xdr(&asset.to_xdr()), Some(asset), "{code}");
            assert_eq!(asset.to_string(), format!("{code}:{ISSUER}"));
        }
        assert_eq!(Asset::from_xdr(&Asset::Native.to_xdr()), Some(Asset::Native));
    }

    #[test]
    fn the_same_code_of_another_issuer_is_another_asset() {
        let ours: Asset = format!("USDC:{ISSUER}").parse().unwrap();
        let theirs = Asset::Issued { code: "USDC".parse().unwrap(), issuer: Address::from_bytes([7; 32]) };
        assert_ne!(ours, theirs);
        let lookalike: Asset = format!("XLM:{ISSUER}").parse().unwrap();
        assert_ne!(lookalike, Asset::Native);
        assert!(matches!("XLM".parse::<Asset>(), Err(AssetError::Form(_))));
    }

    #[test]
    fn codes_that_the_network_refuses_are_refused() {
        for code in ["", "THIRTEENCHARS", "US D", "usd€", "US\0"] {
            assert!(matches!(code.parse::<AssetCode>(), Err(AssetError::Code(_))), "{code:?}");
        }
        let issuer = Address::from_bytes([1; 32]).account_id();
        let second =
            xdr::AlphaNum12 { asset_code: xdr::AssetCode12(*b"USD\0\0\0\0\0\0\0\0\0"), issuer: issuer.clone() };
        assert_eq!(Asset::from_xdr(&xdr::Asset::CreditAlphanum12(second)), None, "a second spelling of USD");
        let holed = xdr::AlphaNum4 { asset_code: xdr::AssetCode4(*b"U\0SD"), issuer };
        assert_eq!(Asset::from_xdr(&xdr::Asset::CreditAlphanum4(holed)), None);
    }
}
