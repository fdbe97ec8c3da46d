//! Our calls with a partner, out of the call detail records: what a statement is made of.
//!
//! - What they carried for us: the carrier's legs over their trunk, at what its cost deck said.
//! - What we carried for them: calls that one of their machines handed us, at what the partner's price deck said.
//!
//! Each as it was rated last. Calls that nobody answered are in no statement.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use super::{CallName, Carried, PairSecret, Window};
use crate::cdr::store::{self, CdrError};
use crate::cdr::{Cdr, Direction, Leg};
use crate::ledger::{Ledger, Period};
use crate::tariff::{DeckError, DeckKind, DeckStore, Decks, NoRate};
use crate::{Msat, UnixMillis};

/// A call that ended in a window began at most so long before.
const LONGEST_CALL_MS: u64 = 24 * 3600 * 1000;

/// By what a partner's calls are found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Between {
    /// The trunk over which they carry calls for us.
    pub trunk: Option<String>,
    /// Their machines, which hand us calls.
    pub from: Vec<IpAddr>,
    /// The deck of what they pay for those (a customer price).
    pub price: Option<String>,
}

/// A call of ours with a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurCall {
    /// Its name in our records.
    pub call: String,
    /// On the trunk.
    pub sip_call_id: String,
    /// When it ended.
    pub ended: UnixMillis,
    /// Whether we carried it for them.
    pub by_us: bool,
    /// Seconds that are charged.
    pub seconds: u32,
    /// What is owed for it.
    pub amount: Msat,
}

/// All of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OurCalls {
    /// Those that a statement can name.
    pub calls: Vec<OurCall>,
    /// Our names of those that it cannot: their SIP Call-ID is not known, or another call had it before.
    pub left_out: Vec<String>,
}

/// Why our calls are not known. A statement that leaves out some would be signed for good, so there is none until they are.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// The records.
    #[error(transparent)]
    Records(#[from] CdrError),
    /// The decks.
    #[error("the rate decks cannot be read: {0}")]
    Decks(#[from] DeckError),
    /// Nobody knows what a call that they handed us costs them.
    #[error(
        "the partner's price deck has no price for call {call}: {error}; import one that has it, valid from before the call"
    )]
    NoPrice {
        /// Our name of the call.
        call: String,
        /// What is missing.
        error: NoRate,
    },
}

impl OurCall {
    /// As a statement takes it.
    #[must_use]
    pub fn carried(&self) -> Carried<'_> {
        let Self { sip_call_id, ended, by_us, seconds, amount, .. } = self;
        Carried { sip_call_id, ended: *ended, by_us: *by_us, seconds: *seconds, amount: *amount }
    }
}

impl OurCalls {
    /// The call that has this name between the two.
    #[must_use]
    pub fn named(&self, name: CallName, secret: &PairSecret) -> Option<&OurCall> {
        self.calls.iter().find(|call| CallName::of(secret, &call.sip_call_id) == name)
    }
}

/// The calls with a partner that ended in a window.
///
/// # Errors
/// [`CallsError`].
pub async fn calls(ledger: &Ledger, between: &Between, window: Window) -> Result<OurCalls, CallsError> {
    store::flush(ledger).await?;
    let decks = match between.price {
        // With the versions that were in force when the window's calls began.
        Some(_) => {
            let began = UnixMillis(window.from.0.saturating_sub(LONGEST_CALL_MS));
            DeckStore::new(ledger.database().clone()).load(began).await?
        }
        None => Decks::default(),
    };
    let mut found = Vec::new();
    for cdr in latest(ledger, window).await? {
        found.extend(between.call(&cdr, &decks)?.map(|call| (call, cdr.about.sip_call_id)));
    }
    Ok(nameable(found))
}

/// The last revision of each leg that ended in the window.
async fn latest(ledger: &Ledger, window: Window) -> Result<Vec<Cdr>, CdrError> {
    let period = Period { from: window.from, until: window.until };
    let mut wanted = store::Wanted { period, account: None, after: 0, limit: store::PAGE };
    let mut legs: BTreeMap<(String, Leg), Cdr> = BTreeMap::new();
    loop {
        let page = store::records(ledger.database(), &wanted).await?;
        let Some(last) = page.last() else { return Ok(legs.into_values().collect()) };
        wanted.after = last.seq;
        for cdr in page.into_iter().map(|written| written.cdr) {
            let newer = |before: &Cdr| before.revision < cdr.revision;
            if legs.get(&(cdr.call.clone(), cdr.leg)).is_none_or(newer) {
                legs.insert((cdr.call.clone(), cdr.leg), cdr);
            }
        }
    }
}

impl Between {
    /// The call as the two settle it; `None`: it is none of theirs, or nobody answered. Its Call-ID is still to be put in.
    fn call(&self, cdr: &Cdr, decks: &Decks) -> Result<Option<OurCall>, CallsError> {
        let carrier = cdr.about.carrier.as_ref();
        let over = carrier.is_some_and(|carrier| self.trunk.as_ref() == Some(&carrier.trunk));
        let handed = cdr.about.direction == Direction::Inbound
            && cdr.about.source.is_some_and(|source| self.from.contains(&source.to_canonical()));
        let (seconds, amount) = match (cdr.leg, cdr.answered) {
            (Leg::Carrier, Some(_)) if over => (cdr.billed_seconds, cdr.cost),
            (Leg::Customer, Some(_)) if handed => self.price(cdr, decks)?,
            _ => return Ok(None),
        };
        Ok(Some(OurCall {
            call: cdr.call.clone(),
            sip_call_id: String::new(),
            ended: cdr.ended,
            by_us: cdr.leg == Leg::Customer,
            seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            amount,
        }))
    }

    /// By the deck that was in force when the call began.
    fn price(&self, cdr: &Cdr, decks: &Decks) -> Result<(u64, Msat), CallsError> {
        let name = self.price.as_deref().unwrap_or_default();
        let no_price = |error| CallsError::NoPrice { call: cdr.call.clone(), error };
        // No call is put through without a number; a record without one has no price, either.
        let none = || no_price(NoRate::NoDeck { kind: DeckKind::CustomerPrice, name: name.to_owned() });
        let number = cdr.about.callee.ok_or_else(none)?;
        let rate = decks.rate(DeckKind::CustomerPrice, name, number, cdr.about.setup).map_err(no_price)?;
        Ok((rate.price.billed_seconds(cdr.length), rate.price.cost(cdr.length)))
    }
}

/// Puts in the Call-IDs. Of two calls with one, which no honest switch makes, the one that ended first has it.
fn nameable(mut found: Vec<(OurCall, Option<String>)>) -> OurCalls {
    found.sort_by(|(one, _), (other, _)| (one.ended, &one.call).cmp(&(other.ended, &other.call)));
    let (mut all, mut taken) = (OurCalls::default(), HashSet::new());
    for (mut call, id) in found {
        match id {
            Some(id) if taken.insert(id.clone()) => {
                call.sip_call_id = id;
                all.calls.push(call);
            }
            _ => all.left_out.push(call.call),
        }
    }
    all
}
