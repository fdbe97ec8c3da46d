//! Vouchers: words that are worth a sum, once.
//!
//! The database knows the hash of a code, not the code. A voucher is redeemed by a transfer whose id is made of that hash: the
//! ledger does it once, whoever asks, from however many processes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ledger::{
    AccountId, Applied, Ledger, LedgerError, Movement, Note, Purpose, Refusal, StoreError, Transfer, TransferId,
};
use crate::{Msat, UnixMillis};

/// Characters of a code: Crockford's base 32, without letters that look like digits.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Letters of a code. 80 bits: nobody guesses one, also not in a database that was stolen.
const LENGTH: usize = 16;

/// A voucher's code: `7Q2M-0XKD-9A4T-ZZ3R`. Worth money: never in a log, and only shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// Words that are no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a voucher has {LENGTH} letters and digits, as in 7Q2M-0XKD-9A4T-ZZ3R")]
pub struct NoCode;

impl Code {
    /// From ten random bytes.
    #[must_use]
    pub fn from_bytes(random: [u8; 10]) -> Self {
        let bits = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |place: usize| LETTERS[(bits >> (5 * (LENGTH - 1 - place)) & 31) as usize] as char;
        Self((0..LENGTH).map(letter).collect())
    }

    /// The code in groups of four: for whoever gets it, and nobody else.
    #[must_use]
    pub fn reveal(&self) -> String {
        let group = |from: usize| &self.0[from..from + 4];
        [group(0), group(4), group(8), group(12)].join("-")
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl std::str::FromStr for Code {
    type Err = NoCode;

    /// Reads what people type: small letters, blanks and hyphens between, `O` for `0`, `I` and `L` for `1`.
    fn from_str(text: &str) -> Result<Self, NoCode> {
        let mut code = String::with_capacity(LENGTH);
        for letter in text.chars().filter(|c| !matches!(c, ' ' | '-')) {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            };
            if code.len() == LENGTH || !u8::try_from(letter).is_ok_and(|letter| LETTERS.contains(&letter)) {
                return Err(NoCode);
            }
            code.push(letter);
        }
        if code.len() == LENGTH { Ok(Self(code)) } else { Err(NoCode) }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// What is known of a voucher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Voucher {
    amount: Msat,
    /// It is worth nothing from then on; `None`: it stays.
    expires: Option<UnixMillis>,
    redeemed: Option<AccountId>,
}

/// Why a voucher gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum VoucherError {
    /// Nobody issued it.
    #[error("there is no such voucher")]
    Unknown,
    /// It was redeemed before.
    #[error("the voucher was redeemed before")]
    Redeemed,
    /// Its time is over.
    #[error("the voucher has expired")]
    Expired,
    /// An account cannot take it: frozen, or not there.
    #[error("the voucher cannot be redeemed now: {0}")]
    Account(Refusal),
    /// It is worth nothing.
    #[error("a voucher of nothing cannot be issued")]
    Nothing,
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(LedgerError),
    /// What the database said.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was written by somebody else.
    #[error("a voucher's note cannot be read: {0}")]
    Note(#[from] serde_json::Error),
}

/// Issues and redeems. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vouchers {
    ledger: Ledger,
    giver: AccountId,
}

impl Vouchers {
    /// Vouchers that are paid from an account: one of the kind [`crate::ledger::AccountKind::Gifts`].
    #[must_use]
    pub fn new(ledger: Ledger, giver: AccountId) -> Self {
        Self { ledger, giver }
    }

    fn key(code: &Code) -> String {
        format!("voucher/{}", code.hash())
    }

    /// Makes a code worth so much. Nothing is moved before it is redeemed.
    ///
    /// # Errors
    /// [`VoucherError::Nothing`], or the ledger's: issue another then.
    pub async fn issue(&self, code: &Code, amount: Msat, expires: Option<UnixMillis>) -> Result<(), VoucherError> {
        if amount.is_zero() {
            return Err(VoucherError::Nothing);
        }
        self.write(code, &Voucher { amount, expires, redeemed: None }, Vec::new()).await.map(drop)
    }

    /// Credits an account with what the code is worth, and says how much.
    ///
    /// # Errors
    /// [`VoucherError`]; nothing was credited now. [`VoucherError::Ledger`]: ask again, it is credited once.
    pub async fn redeem(&self, code: &Code, account: AccountId) -> Result<Msat, VoucherError> {
        let note = self.ledger.note(&Self::key(code)).await?.ok_or(VoucherError::Unknown)?;
        let voucher: Voucher = serde_json::from_str(note.body.as_deref().unwrap_or_default())?;
        if voucher.redeemed.is_some() {
            return Err(VoucherError::Redeemed);
        }
        if voucher.expires.is_some_and(|expires| expires <= self.ledger.now()) {
            return Err(VoucherError::Expired);
        }
        for account in [account, self.giver] {
            // A refusal for this would spend the transfer's id, and the voucher with it.
            match self.ledger.account(account).await? {
                None => return Err(VoucherError::Account(Refusal::NoAccount { account })),
                Some(found) if found.frozen => return Err(VoucherError::Account(Refusal::Frozen { account })),
                Some(_) => {}
            }
        }
        let id = TransferId::named(&["voucher", &code.hash()]);
        let movement = Movement::Post { debit: self.giver, credit: account, amount: voucher.amount };
        let gift = Transfer { id, purpose: Purpose::Voucher, movement };
        let redeemed = Voucher { redeemed: Some(account), ..voucher };
        match self.write(code, &redeemed, vec![gift]).await? {
            Applied::New => Ok(voucher.amount),
            Applied::Exists => Err(VoucherError::Redeemed),
        }
    }

    async fn write(&self, code: &Code, voucher: &Voucher, gift: Vec<Transfer>) -> Result<Applied, VoucherError> {
        let note = Note { key: Self::key(code), body: Some(serde_json::to_string(voucher)?) };
        self.ledger.apply_noted(gift, note).await.map_err(|error| match error {
            // Somebody else was quicker.
            LedgerError::Refused { refusal: Refusal::OtherBody { .. }, .. } => VoucherError::Redeemed,
            LedgerError::Refused { refusal, .. } => VoucherError::Account(refusal),
            error => VoucherError::Ledger(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::from_bytes([0x3b, 0x84, 0xe0, 0x0b, 0x6d, 0x49, 0x09, 0xaf, 0xfc, 0x78]);
        let shown = code.reveal();
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', " "),
            shown.replace('-', ""),
            shown.replace('0', "o"),
        ] {
            assert_eq!(typed.parse(), Ok(code.clone()), "{typed}");
        }
        assert_eq!(format!("{code:?}"), "Code", "it is worth money");
        for wrong in
            ["", "7Q2M-0XKD-9A4T-ZZ3", "7Q2M-0XKD-9A4T-ZZ3RR", "7Q2M-0XKD-9A4T-ZZ3U", "7Q2M-0XKD-9A4T-ZZ3\u{fc}"]
        {
            assert_eq!(wrong.parse::<Code>(), Err(NoCode), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_and_no_two_codes_are_one(a in any::<[u8; 10]>(), b in any::<[u8; 10]>()) {
            let (first, second) = (Code::from_bytes(a), Code::from_bytes(b));
            prop_assert_eq!(first.reveal().parse(), Ok(first.clone()));
            prop_assert_eq!(first == second, a == b);
        }

        #[test]
        fn any_words_are_a_code_or_not(text in "\\PC{0,40}") {
            let _ = text.parse::<Code>();
        }
    }
}
