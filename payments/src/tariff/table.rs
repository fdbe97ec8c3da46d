//! The lines of a deck, and the longest prefix among them.
//!
//! Prefixes are stretches of packed numbers, one within another or apart. Laid flat they cut all numbers into pieces, each of
//! which belongs to its longest prefix: a sorted array, in which a number is found by halving, after an index over the first
//! digits has left a small part of it. A lookup allocates nothing.

use serde::{Deserialize, Serialize};

use super::number::{Number, Prefix};
use super::price::Price;
use crate::UnixMillis;

/// A line of a rate deck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// For numbers that begin so.
    pub prefix: Prefix,
    /// What people call them: `United Kingdom, mobile`.
    pub destination: Box<str>,
    /// What a call there costs.
    pub price: Price,
    /// From when on; `None`: as soon as the deck is.
    pub valid_from: Option<UnixMillis>,
    /// Up to when, that moment not counted; `None`: as long as the deck is.
    pub valid_until: Option<UnixMillis>,
}

impl Line {
    fn is_valid(&self, at: UnixMillis) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }
}

/// Two lines for one prefix at one time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("prefix {prefix} has two lines that begin at the same moment; leave one, or give the later one its valid_from")]
pub struct TwoLines {
    /// The prefix.
    pub prefix: Prefix,
}

/// Numbers with the same first digits: what the index tells apart.
const INDEXED: u64 = 11u64.pow(11);
/// Index entries: eleven places for each of the first four digits.
const INDEX: usize = 11usize.pow(4);
/// No prefix.
const NONE: u32 = u32::MAX;

/// The lines with one prefix.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The next shorter prefix that this one begins with, or [`NONE`].
    parent: u32,
    /// Its lines in [`Table::lines`], the oldest first.
    lines: (u32, u32),
}

/// Lines made ready for lookups. See the module's text.
pub struct Table {
    /// Where a piece begins. The first is 0.
    starts: Box<[u64]>,
    /// Whose it is: an entry, or [`NONE`].
    owners: Box<[u32]>,
    /// How many pieces begin before the numbers with these first digits.
    index: Box<[u32]>,
    entries: Box<[Entry]>,
    lines: Box<[Line]>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} lines)", self.lines.len())
    }
}

impl Table {
    /// Makes lines ready.
    ///
    /// # Errors
    /// [`TwoLines`] where it would not be known which of two holds.
    pub fn new(mut lines: Vec<Line>) -> Result<Self, TwoLines> {
        lines.sort_by_key(|line| (line.prefix.first(), line.prefix.digits(), line.valid_from));
        if let Some(two) = lines.windows(2).find(|w| (w[0].prefix, w[0].valid_from) == (w[1].prefix, w[1].valid_from)) {
            return Err(TwoLines { prefix: two[0].prefix });
        }
        let mut pieces = Pieces { starts: vec![0], owners: vec![NONE] };
        let mut entries: Vec<Entry> = Vec::new();
        // The prefixes around the one at hand, from the shortest: the end of each, and its entry.
        let mut around: Vec<(u64, u32)> = Vec::new();
        let mut end = 0;
        for same in lines.chunk_by(|a, b| a.prefix == b.prefix) {
            let prefix = same[0].prefix;
            while let Some((end, _)) = around.pop_if(|(end, _)| *end <= prefix.first()) {
                pieces.begin(end, around.last().map_or(NONE, |(_, entry)| *entry));
            }
            let begin = end;
            end += same.len() as u32;
            let number = entries.len() as u32;
            entries.push(Entry { parent: around.last().map_or(NONE, |(_, entry)| *entry), lines: (begin, end) });
            pieces.begin(prefix.first(), number);
            around.push((prefix.end(), number));
        }
        while let Some((end, _)) = around.pop() {
            pieces.begin(end, around.last().map_or(NONE, |(_, entry)| *entry));
        }
        let index = (0..=INDEX as u64).map(|digits| pieces.before(digits * INDEXED)).collect();
        let (starts, owners) = (pieces.starts.into(), pieces.owners.into());
        Ok(Self { starts, owners, index, entries: entries.into(), lines: lines.into() })
    }

    /// The line for a number at a time: of those that are valid then the one with the longest prefix, and of these the one that
    /// began last.
    #[must_use]
    pub fn find(&self, number: Number, at: UnixMillis) -> Option<&Line> {
        let packed = number.packed();
        let first_digits = (packed / INDEXED) as usize;
        let (low, high) = (self.index[first_digits] as usize, self.index[first_digits + 1] as usize);
        // A piece begins at 0, so one begins at or before every number.
        let piece = low + self.starts[low..high].partition_point(|start| *start <= packed) - 1;
        let mut entry = self.owners[piece];
        while let Some(Entry { parent, lines: (begin, end) }) = self.entries.get(entry as usize).copied() {
            let lines = &self.lines[begin as usize..end as usize];
            if let Some(line) = lines.iter().rev().find(|line| line.is_valid(at)) {
                return Some(line);
            }
            entry = parent;
        }
        None
    }

    /// The lines with longer prefixes that begin so, at a time: of each prefix the one that began last.
    pub fn under(&self, prefix: Prefix, at: UnixMillis) -> impl Iterator<Item = &Line> {
        let end = self.lines.partition_point(|line| line.prefix.first() < prefix.end());
        let begin = self.lines.partition_point(|line| line.prefix.first() < prefix.first()).min(end);
        let longer = self.lines[begin..end].chunk_by(|a, b| a.prefix == b.prefix);
        let longer = longer.filter(move |same| same[0].prefix.digits() > prefix.digits());
        longer.filter_map(move |same| same.iter().rev().find(|line| line.is_valid(at)))
    }

    /// All lines, by prefix and then by time.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// What [`Table`] is made of, while it is made.
struct Pieces {
    starts: Vec<u64>,
    owners: Vec<u32>,
}

impl Pieces {
    /// From here on numbers belong to this entry. What began at the same number has no number of its own.
    fn begin(&mut self, start: u64, owner: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.owners.pop();
        }
        self.starts.push(start);
        self.owners.push(owner);
    }

    fn before(&self, start: u64) -> u32 {
        self.starts.partition_point(|s| *s < start) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Msat;
    use crate::tariff::{Increments, Terms};

    const NOW: UnixMillis = UnixMillis(1_000);

    /// A line whose rate tells which it is.
    fn line(prefix: &str, rate: u64) -> Line {
        let price = Price::new(Terms::per_minute(Msat::new(rate).unwrap(), Increments::MINUTES)).unwrap();
        let prefix = prefix.parse().unwrap();
        Line { prefix, destination: "".into(), price, valid_from: None, valid_until: None }
    }

    fn found(table: &Table, number: &str, at: UnixMillis) -> Option<u64> {
        table.find(number.parse().unwrap(), at).map(|line| line.price.terms().per_minute.msat())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table =
            Table::new(vec![line("44", 1), line("447", 2), line("44770", 3), line("1", 4), line("4", 5)]).unwrap();
        for (number, rate) in [
            ("442071838750", Some(1)),
            ("447911123456", Some(2)),
            ("447700900000", Some(3)),
            ("44770", Some(3)),
            ("4477", Some(2)),
            ("15550100", Some(4)),
            ("49", Some(5)),
            ("4", Some(5)),
            ("39", None),
            ("5", None),
        ] {
            assert_eq!(found(&table, number, NOW), rate, "{number}");
        }
    }

    #[test]
    fn a_deck_without_lines_finds_nothing() {
        let table = Table::new(vec![]).unwrap();
        assert_eq!(found(&table, "442071838750", NOW), None);
        assert_eq!(found(&table, "999999999999999", NOW), None);
    }

    #[test]
    fn the_last_prefix_of_all_has_an_end() {
        let table = Table::new(vec![line("9", 1), line("999999999999999", 2)]).unwrap();
        assert_eq!(found(&table, "999999999999999", NOW), Some(2));
        assert_eq!(found(&table, "999999999999998", NOW), Some(1));
    }

    #[test]
    fn a_line_holds_in_its_time_and_a_shorter_prefix_around_it() {
        let at = |ms| Some(UnixMillis(ms));
        let table = Table::new(vec![
            line("44", 1),
            Line { valid_from: at(100), ..line("44", 2) },
            Line { valid_from: at(200), valid_until: at(300), ..line("447", 3) },
        ])
        .unwrap();
        let landline = [0, 99, 100, 250].map(|ms| found(&table, "4420", UnixMillis(ms)));
        assert_eq!(landline, [Some(1), Some(1), Some(2), Some(2)]);
        let mobile = [0, 199, 200, 299, 300].map(|ms| found(&table, "447911", UnixMillis(ms)));
        assert_eq!(mobile, [Some(1), Some(2), Some(3), Some(3), Some(2)]);
    }

    #[test]
    fn two_lines_for_one_prefix_at_one_moment_are_refused() {
        let refused = Table::new(vec![line("44", 1), line("1", 1), line("44", 2)]).unwrap_err();
        assert_eq!(refused.prefix.to_string(), "44");
    }

    proptest! {
        /// Against the plain way: try each prefix.
        #[test]
        fn the_table_finds_what_trying_each_prefix_finds(
            prefixes in prop::collection::btree_set("[0-2]{1,5}|[0-9]{1,3}|[0-9]{1,15}", 0..60),
            numbers in prop::collection::vec("[0-2]{1,7}|[0-9]{1,15}", 1..60),
        ) {
            let prefixes: Vec<String> = prefixes.into_iter().collect();
            let table = Table::new(prefixes.iter().enumerate().map(|(i, p)| line(p, i as u64)).collect()).unwrap();
            for number in &numbers {
                let longest = prefixes.iter().enumerate().filter(|(_, p)| number.starts_with(*p)).max_by_key(|(_, p)| p.len());
                prop_assert_eq!(found(&table, number, NOW), longest.map(|(i, _)| i as u64), "{}", number);
            }
            for (i, prefix) in prefixes.iter().enumerate() {
                prop_assert_eq!(found(&table, prefix, NOW), Some(i as u64));
            }
        }
    }
}
