//! A statement: the calls of a window in one form of bytes that both sides make alike.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::stellar::{Address, Asset, Rate};
use crate::{Msat, UnixMillis};

/// Begins every statement. Another form gets another number.
const HEAD: &[u8] = b"roomtone settlement statement 1\n";
/// Lines in a statement, at most; more calls make more windows.
const MAX_LINES: usize = 1_000_000;
/// Bytes of a line: name, side, seconds, amount.
const LINE: usize = 32 + 1 + 4 + 8;

/// What two partners share so that they can name a call, and nobody else can find out which call a name stands for.
pub struct PairSecret(Zeroizing<[u8; 32]>);

impl PairSecret {
    /// From 32 random bytes that both have.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for PairSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairSecret")
    }
}

/// Names a call between two partners.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallName([u8; 32]);

impl CallName {
    /// The name of the call with this SIP Call-ID on the trunk between the two, which both have in their CDRs. All that goes
    /// in has one length, so that no name can be made out of another.
    #[must_use]
    pub fn of(secret: &PairSecret, sip_call_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"roomtone settlement call 1\n");
        hash.update(secret.0.as_slice());
        hash.update(Sha256::digest(sip_call_id));
        Self(hash.finalize().into())
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// One of the two: `A` is the one whose key is lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The lower key.
    A,
    /// The higher key.
    B,
}

impl Side {
    /// The partner's.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A call in a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallLine {
    /// Which.
    pub call: CallName,
    /// Who carried it, and is owed for it.
    pub carrier: Side,
    /// Seconds that are charged.
    pub seconds: u32,
    /// What is owed.
    pub amount: Msat,
}

/// One call out of our CDRs, on the trunk between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried<'a> {
    /// Its SIP Call-ID, the same in both sides' CDRs.
    pub sip_call_id: &'a str,
    /// When it ended.
    pub ended: UnixMillis,
    /// Whether we carried it for them, or they for us.
    pub by_us: bool,
    /// Seconds that are charged.
    pub seconds: u32,
    /// What is owed for it.
    pub amount: Msat,
}

/// The time of a statement: from, and up to but not with. A call belongs to the window in which it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment in it.
    pub from: UnixMillis,
    /// The first moment behind it.
    pub until: UnixMillis,
}

/// What the two have agreed on before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    a: Address,
    b: Address,
    /// In what is paid.
    pub asset: Asset,
    /// What that is worth.
    pub rate: Rate,
}

impl Terms {
    /// Between these two, in whatever order; `None` where they are one.
    #[must_use]
    pub fn between(one: Address, other: Address, asset: Asset, rate: Rate) -> Option<Self> {
        match one.cmp(&other) {
            std::cmp::Ordering::Less => Some(Self { a: one, b: other, asset, rate }),
            std::cmp::Ordering::Greater => Some(Self { a: other, b: one, asset, rate }),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// Which side this key is on.
    #[must_use]
    pub fn side(&self, key: Address) -> Option<Side> {
        if key == self.a { Some(Side::A) } else { (key == self.b).then_some(Side::B) }
    }

    /// The key of a side.
    #[must_use]
    pub const fn key(&self, side: Side) -> Address {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }
}

/// A statement's name: SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementHash(pub [u8; 32]);

impl StatementHash {
    /// What stands before the first statement of two partners.
    pub const NONE: Self = Self([0; 32]);
}

/// The calls of a window, in one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Between whom, in what.
    pub terms: Terms,
    /// Of when.
    pub window: Window,
    /// The statement of the window before: a chain, in which none can be left out or put in twice.
    pub previous: StatementHash,
    lines: Vec<CallLine>,
}

/// What each has carried for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Owed to `A`.
    pub to_a: Msat,
    /// Owed to `B`.
    pub to_b: Msat,
}

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Twice the same call.
    #[error("call {0:?} is in the statement twice")]
    Twice(CallName),
    /// More than a statement holds.
    #[error("{0} calls are more than a statement holds (1000000)")]
    TooMany(usize),
    /// More than all bitcoin.
    #[error("the statement's sum is more than all bitcoin there will ever be")]
    TooMuch,
    /// It ends before it begins.
    #[error("the window ends before it begins")]
    Window,
    /// Neither of the two.
    #[error("this key is neither side's of the statement")]
    Party,
    /// Bytes that are none of ours.
    #[error("these bytes are no statement: {0}")]
    Bytes(&'static str),
}

impl Statement {
    /// A statement of these calls, in whatever order.
    ///
    /// # Errors
    /// [`StatementError`] for a call that is in it twice, and for sums that cannot be.
    pub fn new(
        terms: Terms,
        window: Window,
        previous: StatementHash,
        mut lines: Vec<CallLine>,
    ) -> Result<Self, StatementError> {
        if window.from >= window.until {
            return Err(StatementError::Window);
        }
        if lines.len() > MAX_LINES {
            return Err(StatementError::TooMany(lines.len()));
        }
        lines.sort_unstable_by_key(|line| line.call);
        if let Some(pair) = lines.windows(2).find(|pair| pair[0].call == pair[1].call) {
            return Err(StatementError::Twice(pair[0].call));
        }
        totals(&lines).ok_or(StatementError::TooMuch)?;
        Ok(Self { terms, window, previous, lines })
    }

    /// The statement that our CDRs make: of the calls that ended in the window, whatever else is among them. Either side makes
    /// the same out of its own.
    ///
    /// # Errors
    /// [`StatementError`]; [`StatementError::Party`] where `us` is neither side.
    pub fn of_cdrs<'a>(
        terms: Terms,
        window: Window,
        previous: StatementHash,
        (us, secret): (Address, &PairSecret),
        cdrs: impl IntoIterator<Item = Carried<'a>>,
    ) -> Result<Self, StatementError> {
        let us = terms.side(us).ok_or(StatementError::Party)?;
        let lines =
            cdrs.into_iter().filter(|cdr| (window.from..window.until).contains(&cdr.ended)).map(|cdr| CallLine {
                call: CallName::of(secret, cdr.sip_call_id),
                carrier: if cdr.by_us { us } else { us.other() },
                seconds: cdr.seconds,
                amount: cdr.amount,
            });
        Self::new(terms, window, previous, lines.collect())
    }

    /// The calls, in the order of their names.
    #[must_use]
    pub fn lines(&self) -> &[CallLine] {
        &self.lines
    }

    /// What each has carried.
    #[must_use]
    pub fn totals(&self) -> Totals {
        totals(&self.lines).unwrap_or(Totals { to_a: Msat::ZERO, to_b: Msat::ZERO })
    }

    /// The one form of it in bytes; numbers big-endian.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.lines.len() * LINE);
        out.extend(HEAD);
        out.extend(self.terms.a.bytes());
        out.extend(self.terms.b.bytes());
        out.extend(self.window.from.0.to_be_bytes());
        out.extend(self.window.until.0.to_be_bytes());
        out.extend(self.previous.0);
        let asset = self.terms.asset.to_string();
        // `CODE:G…`, at most 69 bytes.
        out.push(u8::try_from(asset.len()).unwrap_or(u8::MAX));
        out.extend(asset.as_bytes());
        out.extend(self.terms.rate.stroops_per_btc().to_be_bytes());
        out.extend(u32::try_from(self.lines.len()).unwrap_or(u32::MAX).to_be_bytes());
        for line in &self.lines {
            out.extend(line.call.0);
            out.push(match line.carrier {
                Side::A => b'A',
                Side::B => b'B',
            });
            out.extend(line.seconds.to_be_bytes());
            out.extend(line.amount.msat().to_be_bytes());
        }
        out
    }

    /// Reads what [`Statement::bytes`] has written, and nothing else: one statement has one form.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn read(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut rest = Reader(bytes);
        if rest.take(HEAD.len())? != HEAD {
            return Err(StatementError::Bytes("another beginning"));
        }
        let (a, b) = (Address::from_bytes(rest.array()?), Address::from_bytes(rest.array()?));
        let window = Window { from: UnixMillis(rest.number()?), until: UnixMillis(rest.number()?) };
        let previous = StatementHash(rest.array()?);
        let [length] = rest.array()?;
        let asset = std::str::from_utf8(rest.take(usize::from(length))?).ok().and_then(|words| words.parse().ok());
        let asset = asset.ok_or(StatementError::Bytes("its asset"))?;
        let rate = Rate::per_btc(i64::from_be_bytes(rest.array()?)).ok_or(StatementError::Bytes("its rate"))?;
        let count = u32::from_be_bytes(rest.array()?) as usize;
        // Looked at before anything is made room for.
        if rest.0.len() != count.saturating_mul(LINE) {
            return Err(StatementError::Bytes("its length"));
        }
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push(rest.line()?);
        }
        if !lines.is_sorted_by(|one, next| one.call < next.call) {
            return Err(StatementError::Bytes("the order of its lines"));
        }
        let terms = Terms::between(a, b, asset, rate).filter(|terms| terms.a == a);
        let terms = terms.ok_or(StatementError::Bytes("its parties"))?;
        Self::new(terms, window, previous, lines)
    }

    /// Its name.
    #[must_use]
    pub fn hash(&self) -> StatementHash {
        StatementHash(Sha256::digest(self.bytes()).into())
    }

    /// The number that a payment for it carries as memo.
    #[must_use]
    pub fn reference(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash().0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

fn totals(lines: &[CallLine]) -> Option<Totals> {
    lines.iter().try_fold(Totals { to_a: Msat::ZERO, to_b: Msat::ZERO }, |sum, line| {
        Some(match line.carrier {
            Side::A => Totals { to_a: sum.to_a.checked_add(line.amount)?, ..sum },
            Side::B => Totals { to_b: sum.to_b.checked_add(line.amount)?, ..sum },
        })
    })
}

/// Bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], StatementError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(StatementError::Bytes("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StatementError> {
        self.take(N)?.try_into().map_err(|_| StatementError::Bytes("cut off"))
    }

    fn number(&mut self) -> Result<u64, StatementError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn line(&mut self) -> Result<CallLine, StatementError> {
        let call = CallName(self.array()?);
        let carrier = match self.array()? {
            [b'A'] => Side::A,
            [b'B'] => Side::B,
            _ => return Err(StatementError::Bytes("a line's side")),
        };
        let seconds = u32::from_be_bytes(self.array()?);
        let amount = Msat::new(self.number()?).ok_or(StatementError::TooMuch)?;
        Ok(CallLine { call, carrier, seconds, amount })
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

impl fmt::Debug for CallLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {:?}, {} s, {:?}", self.call, self.carrier, self.seconds, self.amount)
    }
}

impl fmt::Debug for StatementHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fuzz;
    use super::*;

    fn terms() -> Terms {
        let rate = Rate::per_btc(3_000_000_000_000).unwrap();
        Terms::between(Address::from_bytes([2; 32]), Address::from_bytes([1; 32]), Asset::Native, rate).unwrap()
    }

    fn line(call: u8, carrier: Side, amount: u64) -> CallLine {
        CallLine { call: CallName([call; 32]), carrier, seconds: 60, amount: Msat::new(amount).unwrap() }
    }

    fn window() -> Window {
        Window { from: UnixMillis(1_000), until: UnixMillis(2_000) }
    }

    fn statement(lines: Vec<CallLine>) -> Statement {
        Statement::new(terms(), window(), StatementHash::NONE, lines).unwrap()
    }

    #[test]
    fn both_sides_make_the_same_bytes_whatever_order_their_cdrs_have() {
        let mut lines = vec![line(3, Side::A, 5), line(1, Side::B, 7), line(2, Side::A, 9)];
        let one = statement(lines.clone());
        lines.reverse();
        let other = statement(lines);
        assert_eq!((one.bytes(), one.hash()), (other.bytes(), other.hash()));
        assert_eq!(one.totals(), Totals { to_a: Msat::new(14).unwrap(), to_b: Msat::new(7).unwrap() });
        assert_eq!(Statement::read(&one.bytes()), Ok(one));
    }

    #[test]
    fn both_make_the_same_statement_out_of_their_own_cdrs() {
        let secret = PairSecret::new(Zeroizing::new([3; 32]));
        let (one, two) = (Address::from_bytes([1; 32]), Address::from_bytes([2; 32]));
        let amount = Msat::new(5).unwrap();
        let cdr = |id, ended, by_us| Carried { sip_call_id: id, ended: UnixMillis(ended), by_us, seconds: 60, amount };
        let make = |us, cdrs: Vec<Carried<'_>>| {
            Statement::of_cdrs(terms(), window(), StatementHash::NONE, (us, &secret), cdrs)
        };
        let ours = make(one, vec![cdr("a@x", 1_000, true), cdr("b@x", 1_999, false), cdr("next@x", 2_000, true)]);
        let theirs = make(two, vec![cdr("before@x", 999, true), cdr("b@x", 1_999, true), cdr("a@x", 1_000, false)]);
        assert_eq!(ours, theirs);
        assert_eq!(ours.unwrap().lines().len(), 2, "each call is in the window in which it ended");
        assert_eq!(make(Address::from_bytes([9; 32]), vec![]), Err(StatementError::Party));
    }

    #[test]
    fn the_form_of_the_bytes_does_not_change() {
        let statement = statement(vec![line(1, Side::B, 7), line(2, Side::A, 9)]);
        assert_eq!(statement.bytes().len(), HEAD.len() + 64 + 16 + 32 + 1 + 6 + 8 + 4 + 2 * LINE);
        // What two partners of different releases sign must be the same.
        assert_eq!(format!("{:?}", statement.hash()), SNAPSHOT);
    }

    const SNAPSHOT: &str = "41264b035e28a704bebbc91aaf7405040b9637e3defd24a7fd2eae66c984bfee";

    #[test]
    fn no_number_and_no_call_id_can_be_read_or_guessed_from_a_name() {
        let secret = |n| PairSecret::new(Zeroizing::new([n; 32]));
        let name = CallName::of(&secret(1), "+442079460000@example.org");
        assert_eq!(name, CallName::of(&secret(1), "+442079460000@example.org"));
        assert_ne!(name, CallName::of(&secret(2), "+442079460000@example.org"), "who has no secret cannot try numbers");
        assert_ne!(name, CallName::of(&secret(1), "+442079460001@example.org"));
        assert_eq!(format!("{:?}", secret(1)), "PairSecret");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let make = |lines| Statement::new(terms(), window(), StatementHash::NONE, lines);
        let twice = make(vec![line(1, Side::A, 1), line(1, Side::B, 2)]);
        assert_eq!(twice, Err(StatementError::Twice(CallName([1; 32]))));
        let most = Msat::MAX.msat();
        assert_eq!(make(vec![line(1, Side::A, most), line(2, Side::A, 1)]), Err(StatementError::TooMuch));
        let backwards = Window { from: UnixMillis(2), until: UnixMillis(2) };
        assert_eq!(Statement::new(terms(), backwards, StatementHash::NONE, vec![]), Err(StatementError::Window));
        let key = Address::from_bytes([1; 32]);
        assert_eq!(Terms::between(key, key, Asset::Native, terms().rate), None);
    }

    #[test]
    fn cut_swapped_and_broken_bytes_are_refused() {
        let good = statement(vec![line(1, Side::B, 7), line(2, Side::A, 9)]).bytes();
        for length in 0..good.len() {
            assert!(Statement::read(&good[..length]).is_err(), "{length}");
        }
        let mut more = good.clone();
        more.push(0);
        assert!(Statement::read(&more).is_err());
        let mut swapped = good.clone();
        let lines = swapped.len() - 2 * LINE;
        swapped[lines..].rotate_left(LINE);
        assert_eq!(Statement::read(&swapped), Err(StatementError::Bytes("the order of its lines")));
        let mut parties = good.clone();
        parties[HEAD.len()..HEAD.len() + 64].rotate_left(32);
        assert_eq!(Statement::read(&parties), Err(StatementError::Bytes("its parties")));
        let mut endless = good;
        let count = lines - 4;
        endless[count..lines].copy_from_slice(&[0xFF; 4]);
        assert_eq!(Statement::read(&endless), Err(StatementError::Bytes("its length")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz::fuzz_statement(&data);
        }

        #[test]
        fn one_broken_byte_is_another_statement_or_none(place in any::<usize>(), value in 1_u8..) {
            let good = statement(vec![line(1, Side::B, 7), line(2, Side::A, 9)]);
            let mut bytes = good.bytes();
            let length = bytes.len();
            bytes[place % length] ^= value;
            fuzz::fuzz_statement(&bytes);
            prop_assert!(Statement::read(&bytes).map_or(true, |read| read.hash() != good.hash()));
        }
    }
}
