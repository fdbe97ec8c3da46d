//! What calls to a number or a prefix cost now, for people.

use super::deck::{DeckId, DeckKind, Decks, NoRate};
use super::number::Prefix;
use super::table::Line;
use crate::UnixMillis;

/// Prefixes and prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The version of the deck that they stand in.
    pub deck: DeckId,
    /// What holds for numbers that begin as asked for, but for those with one of the longer prefixes; `None`: nothing, they cannot be
    /// called.
    pub general: Option<Line>,
    /// Longer prefixes that begin as asked for, in the order of their digits.
    pub longer: Vec<Line>,
    /// How many more of them there are.
    pub more: usize,
}

/// What the deck of this name says of a prefix (or a whole number) at a time, at most `most` longer prefixes.
///
/// # Errors
/// [`NoRate::NoDeck`]. A prefix that stands nowhere is no error: [`Listing::general`] is `None` and [`Listing::longer`] empty.
pub fn listing(
    decks: &Decks,
    kind: DeckKind,
    name: &str,
    wanted: Prefix,
    at: UnixMillis,
    most: usize,
) -> Result<Listing, NoRate> {
    let deck = decks.in_force(kind, name, at)?;
    let mut under = deck.table().under(wanted, at);
    let longer: Vec<Line> = under.by_ref().take(most).cloned().collect();
    let general = deck.table().find(wanted.number(), at).cloned();
    Ok(Listing { deck: deck.id().clone(), general, longer, more: under.count() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tariff::{Deck, read_csv};

    const KIND: DeckKind = DeckKind::CustomerPrice;
    const CSV: &str = "prefix,destination,rate_sat,valid_from,valid_until\n\
        4,Europe,20,,\n44,United Kingdom,10,,\n44,United Kingdom,11,2026-12-01,\n447,mobile,30,,\n44770,pager,90,,2026-11-01\n\
        4479,mobile special,35,,\n1,North America,1,,\n";

    fn told(wanted: &str, at: &str, most: usize) -> (Option<String>, Vec<String>, usize) {
        let mut decks = Decks::default();
        let id = DeckId { kind: KIND, name: "retail".into(), version: 1 };
        decks.add(Arc::new(Deck::new(id, UnixMillis(0), read_csv(CSV.as_bytes()).unwrap()).unwrap()));
        let at: jiff::Timestamp = at.parse().unwrap();
        let at = UnixMillis(u64::try_from(at.as_millisecond()).unwrap());
        let listing = listing(&decks, KIND, "retail", wanted.parse().unwrap(), at, most).unwrap();
        let line = |line: &Line| format!("{} {}", line.prefix, line.price.terms().per_minute.whole_sat());
        (listing.general.as_ref().map(line), listing.longer.iter().map(line).collect(), listing.more)
    }

    const NOVEMBER: &str = "2026-11-21T00:00:00Z";

    fn is(general: &str, longer: &[&str], more: usize) -> (Option<String>, Vec<String>, usize) {
        let general = Some(general.to_owned()).filter(|general| !general.is_empty());
        (general, longer.iter().map(|line| (*line).to_owned()).collect(), more)
    }

    #[test]
    fn a_prefix_has_what_holds_for_it_and_what_is_longer() {
        assert_eq!(told("+44", NOVEMBER, 10), is("44 10", &["447 30", "4479 35"], 0));
        assert_eq!(told("44", "2026-12-01T00:00:00Z", 10), is("44 11", &["447 30", "4479 35"], 0));
        assert_eq!(told("44", "2026-10-01T00:00:00Z", 10), is("44 10", &["447 30", "44770 90", "4479 35"], 0));
        assert_eq!(told("4", NOVEMBER, 2), is("4 20", &["44 10", "447 30"], 1));
        assert_eq!(told("442071838750", NOVEMBER, 10), is("44 10", &[], 0));
        assert_eq!(told("447911123456", NOVEMBER, 10), is("4479 35", &[], 0));
        assert_eq!(told("49", NOVEMBER, 10), is("4 20", &[], 0));
        assert_eq!(told("39", NOVEMBER, 10), is("", &[], 0), "it cannot be called");
    }

    #[test]
    fn a_deck_that_is_not_there_is_named() {
        let none = listing(&Decks::default(), KIND, "retail", "44".parse().unwrap(), UnixMillis(0), 1).unwrap_err();
        assert!(none.to_string().contains("retail"), "{none}");
    }
}
