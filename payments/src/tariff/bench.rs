//! A deck as large as a carrier's, and numbers to look up in it: what `cargo xtask bench` measures. Made up from a seed, so
//! that every run has the same.

use super::number::{Number, Prefix};
use super::price::{Increments, Price, Terms};
use super::table::{Line, Table};
use crate::{Msat, UnixMillis};

/// Random enough for made-up digits (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }

    /// A prefix as carriers sell them: a country of one to three digits, then none to seven more, a third of them within North
    /// America's one country code, where the index helps least.
    fn prefix(&mut self) -> String {
        let country = if self.below(3) == 0 { 1 } else { 20 + self.below(980) };
        let more = 7.min(self.below(8) + self.below(3));
        (0..more).fold(country.to_string(), |text, _| text + &self.below(10).to_string())
    }
}

/// A deck of exactly so many prefixes, at most a million.
#[must_use]
pub fn deck(prefixes: usize) -> Table {
    let mut dice = Dice(0x0001_CEDE_C0DE);
    let mut all: std::collections::BTreeSet<Prefix> = std::collections::BTreeSet::new();
    while all.len() < prefixes.min(1_000_000) {
        all.extend(dice.prefix().parse::<Prefix>());
    }
    let lines = all.into_iter().map(|prefix| {
        let rate = Msat::new(1_000 + dice.below(100_000)).unwrap_or_default();
        let price = Price::new(Terms::per_minute(rate, Increments::MINUTES)).unwrap_or(Price::FREE);
        Line { prefix, destination: "".into(), price, valid_from: None, valid_until: None }
    });
    Table::new(lines.collect()).expect("a set holds each prefix once")
}

/// So many numbers of eleven to thirteen digits, most of which some prefix of the deck begins.
#[must_use]
pub fn numbers(table: &Table, count: usize) -> Vec<Number> {
    let mut dice = Dice(0xFEED);
    let lines = table.lines();
    let number = |_| {
        let mut text = match lines.get(dice.below(lines.len().max(1) as u64 + 1) as usize) {
            Some(line) => line.prefix.to_string(),
            None => "8".to_owned(),
        };
        let digits = 11 + dice.below(3) as usize;
        while text.len() < digits {
            text.push_str(&dice.below(10).to_string());
        }
        text.parse().ok()
    };
    (0..count).filter_map(number).collect()
}

/// Looks each number up once, and says how many have a line; who calls measures the time.
#[must_use]
pub fn look_up(table: &Table, numbers: &[Number], at: UnixMillis) -> usize {
    numbers.iter().filter(|number| std::hint::black_box(table.find(**number, at)).is_some()).count()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const AT: UnixMillis = UnixMillis(0);

    #[test]
    fn a_deck_of_two_hundred_thousand_prefixes_finds_the_longest() {
        let table = deck(200_000);
        assert_eq!(table.lines().len(), 200_000);
        let known: HashSet<String> = table.lines().iter().map(|line| line.prefix.to_string()).collect();
        let numbers = numbers(&table, 5_000);
        let mut with = 0;
        for number in &numbers {
            let digits = number.reveal();
            let longest = (1..digits.len()).rev().map(|end| &digits[1..=end]).find(|prefix| known.contains(*prefix));
            let found = table.find(*number, AT).map(|line| line.prefix.to_string());
            assert_eq!(found.as_deref(), longest, "{digits}");
            with += usize::from(longest.is_some());
        }
        assert_eq!(look_up(&table, &numbers, AT), with);
        assert!(with > 4_900, "{with} of 5000 numbers have a line");
    }
}
