//! Sums of money as people say them, with and without the currency.

use std::sync::LazyLock;

use regex::Regex;

use super::super::super::sentences::{is_english_small, words};
use super::super::super::{Name, NameKind, numbers};
use super::super::Call;
use super::super::patterns::AMOUNT;
use super::add;
use crate::number_words;

/// How many sentences before a sum without currency may say that money is spoken of.
const REACH: usize = 10;
/// The same where the words may say something else too.
const REACH_IF_UNSURE: usize = 4;

fn pattern(text: &str) -> Regex {
    // A number below a hundred: "seven", "sixty-one".
    let all = number_words::words().collect::<Vec<_>>().join("|");
    let number = format!(r"(?:(?:{all})(?:-(?:{all}))?)");
    Regex::new(&text.replace("NUMBER", &number)).expect("a test compiles this pattern, which is made of constants")
}

/// Money is spoken of.
static MONEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:[€$£]|\b(?:money|cash|prices?|priced|pricing|costs?|costing|pays?|paid|paying|payments?|quotes?|quoted|charges?|charged|fees?|deposits?|invoices?|bills?|billed|refunds?|salary|wages?|rents?|budgets?|discounts?|expensive|cheap|cheaper|loans?|bucks|quid|dollars?|euros?|worth|spend|spent|owes?|owed|earns?|afford|put down|tax|a pound|a kilo|a head|a pop|apiece)\b)",
    )
});
/// "Twenty-four hundred", "six, seven hundred", "a hundred and eighty".
static HUNDREDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:NUMBER,? (?:or |to )?)?(?:a|NUMBER)[ -]hundred(?:(?: and)? NUMBER(?: NUMBER)?)?\b")
});
/// "Four fifty", "sixty-one five": hundreds or thousands of which people leave the word out.
static PAIR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?P<first>NUMBER) (?P<second>NUMBER)\b"));
/// "It's eighty for the call-out": a small sum, with what it is for.
static FOR_WHAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:'s|\b(?:is|was|be|pay|paid|charges?|charged|costs?|asks?|asked|quoted))(?: (?:about|around|only|just|maybe|another|me|us|you))* (?P<sum>NUMBER|\d+)(?: (?:for (?:the|a|each|every|it)|all in|an hour|a (?:head|pop|month|week|go|piece|kilo|litre|night|day|session|ticket|stop)|each|apiece|extra|on top)\b)",
    )
});
/// "49 euros or 59".
static OR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^ (?:or|to) (?P<sum>NUMBER|\d[\d,]*)(?:[,.;?!]|$)"));

/// In front of the time of day.
const AT: &[&str] =
    &["at", "by", "till", "until", "from", "before", "after", "past", "to", "half", "since", "page", "room", "number"];
/// Small words that are counted all the same.
const COUNTED: &[&str] =
    &["people", "times", "time", "days", "day", "weeks", "week", "years", "year", "things", "thing", "percent"];
/// What stands behind a sum, apart from the small words.
const BEHIND: &[&str] = &["plus", "including", "per", "deposit", "extra", "cash", "upfront", "net", "gross", "tax"];

impl Call<'_, '_> {
    /// Adds the amounts of a sentence.
    pub(super) fn amounts(&self, out: &mut Vec<Name>, at: usize) {
        let sentence = &self.sentences[at];
        let text = sentence.text;
        let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
        for found in AMOUNT.find_iter(text) {
            let said = found.as_str().trim().trim_end_matches(['.', ',']);
            let said = said.strip_prefix("a ").filter(|_| !said.contains("hundred")).unwrap_or(said);
            taken.push(found.range());
            if is_year(said) || is_said_idly(text, found.range()) {
                continue;
            }
            add(out, NameKind::Amount, said, sentence.id);
            if let Some(other) = OR.captures(&text[found.end()..]) {
                add(out, NameKind::Amount, &other["sum"], sentence.id);
            }
        }
        for sum in self.without_currency(at) {
            if taken.iter().all(|range| range.end <= sum.start || sum.end <= range.start) {
                add(out, NameKind::Amount, &text[sum], sentence.id);
            }
        }
    }

    /// Sums of which only what is spoken of says that they are money.
    fn without_currency(&self, at: usize) -> Vec<std::ops::Range<usize>> {
        let text = self.sentences[at].text;
        let mut out = Vec::new();
        if self.speaks_of_money(at, REACH) {
            out.extend(
                HUNDREDS.find_iter(text).map(|found| found.range()).filter(|range| !counts_things(text, range.end)),
            );
        }
        for pair in PAIR.captures_iter(text) {
            let Some(all) = pair.get(0) else { continue };
            let reach = if is_time(&pair["first"], &pair["second"]) { 1 } else { REACH_IF_UNSURE };
            if may_be_sum(text, &all.range(), &pair["first"]) && self.speaks_of_money(at, reach) {
                out.push(all.range());
            }
        }
        if self.speaks_of_money(at, 2) {
            out.extend(FOR_WHAT.captures_iter(text).filter_map(|found| found.name("sum")).map(|sum| sum.range()));
        }
        out.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        out.dedup_by(|next, last| next.start < last.end);
        out
    }

    /// Whether a sentence or one shortly before it has a word of money.
    fn speaks_of_money(&self, at: usize, reach: usize) -> bool {
        self.sentences[at.saturating_sub(reach)..=at].iter().any(|s| MONEY.is_match(s.text))
    }
}

/// The word before a place, with what comes between.
fn before(text: &str, start: usize) -> String {
    let lead = &text[..start];
    if lead.trim_end().ends_with(|c: char| !c.is_alphanumeric()) {
        String::new()
    } else {
        words(lead).pop().unwrap_or_default()
    }
}

/// The word that follows directly, if nothing parts it.
fn behind(text: &str, end: usize) -> String {
    let rest = &text[end..];
    let part =
        rest.starts_with([' ', '-']).then(|| words(rest.split([',', '.', ';', '?', '!']).next().unwrap_or_default()));
    part.filter(|all| !all.is_empty()).map(|mut all| all.swap_remove(0)).unwrap_or_default()
}

/// "Four hundred writes".
fn counts_things(text: &str, end: usize) -> bool {
    let next = behind(text, end);
    let is_small = is_english_small(&next) || next.contains('\'') || BEHIND.contains(&next.as_str());
    !next.is_empty() && (!is_small || COUNTED.contains(&next.as_str()))
}

/// Two numbers that may be a sum: neither the time of day nor a year nor part of a longer row of digits.
fn may_be_sum(text: &str, range: &std::ops::Range<usize>, first: &str) -> bool {
    let last = before(text, range.start);
    let number = |word: &str| word.split('-').any(|part| number_words::cardinal(part).is_some());
    let is_year = ["nineteen", "twenty"].contains(&first.to_lowercase().as_str());
    !AT.contains(&last.as_str())
        && !is_year
        && !number(&last)
        && !number(&behind(text, range.end))
        && !counts_things(text, range.end)
}

/// "Four thirty": an hour with its minutes.
fn is_time(first: &str, second: &str) -> bool {
    let value = |said: &str| {
        said.split('-').filter_map(|part| number_words::cardinal(&part.to_lowercase())).map(u32::from).sum::<u32>()
    };
    (1..=12).contains(&value(first)) && value(second) % 5 == 0 && (10..60).contains(&value(second))
}

/// "Thanks a million", and "twenty million rows", which are no money.
fn is_said_idly(text: &str, range: std::ops::Range<usize>) -> bool {
    let said = text[range.clone()].to_lowercase();
    let is_bare = said.ends_with("thousand") || said.ends_with("million") || said.ends_with("billion");
    let next = behind(text, range.end);
    let many = next.len() > 3
        && next.ends_with('s')
        && !next.ends_with("ss")
        && !is_english_small(&next)
        && !BEHIND.contains(&next.as_str());
    let thanks =
        said.starts_with("a ") && ["thanks", "in", "you", "like", "feel"].contains(&before(text, range.start).as_str());
    is_bare && (many && !next.contains('\'') || thanks)
}

/// "Two thousand nineteen" counts nothing.
fn is_year(text: &str) -> bool {
    let bare = !text.contains(|c: char| "€$£¥%".contains(c))
        && words(text).last().is_some_and(|last| numbers::held(last) != numbers::Numbers::new());
    bare && numbers::claimed(text).iter().all(|n| (1_900_000..2_100_000).contains(n))
}

#[cfg(test)]
mod tests {
    use crate::eval::calls::call;
    use crate::notes::{ExtractiveWriter, NameKind};

    fn amounts(text: &str) -> Vec<String> {
        let names = ExtractiveWriter.write(&call(&[("Bob", text)])).names;
        names.into_iter().filter(|n| n.kind == NameKind::Amount).map(|n| n.text).collect()
    }

    #[test]
    fn money_is_found_as_people_say_it() {
        for (text, sums) in [
            ("There's a package, it's about nine grand.", vec!["nine grand"]),
            ("I'd have to sell a plate for sixty bucks.", vec!["sixty bucks"]),
            ("An invoice over four lakh eighty thousand rupees.", vec!["four lakh eighty thousand rupees"]),
            ("The quote was twenty-four hundred, and that's for three.", vec!["twenty-four hundred"]),
            ("For equipment you'd put down around seventy-three hundred.", vec!["seventy-three hundred"]),
            ("Now, the deposit. Twelve hundred and fifty, and it's with them.", vec!["Twelve hundred and fifty"]),
            ("I paid a hundred and eighty.", vec!["a hundred and eighty"]),
            ("They charge six, seven hundred, I'd say.", vec!["six, seven hundred"]),
            (
                "Four fifty a pound for the black ones. Last year it was three eighty.",
                vec!["Four fifty a pound", "three eighty"],
            ),
            ("Is there a charge on top? It's eighty for the call-out.", vec!["eighty"]),
            ("The price is 49 euros or 59?", vec!["49 euros", "59"]),
            ("It beats the old one by eleven percent.", vec!["eleven percent"]),
        ] {
            assert_eq!(amounts(text), sums, "{text}");
        }
    }

    #[test]
    fn counts_times_years_and_thanks_are_no_money() {
        for text in [
            "Thanks a million, Declan.",
            "We've got maybe twenty million rows, at no cost.",
            "What does it cost? We have four hundred writes a second.",
            "That's nine hundred people who pay.",
            "We meet at four thirty to talk about the price.",
            "It was paid in nineteen ninety.",
            "My number is five five five two, ask about the price.",
            "We drove six hundred, then we stopped.",
            "It's eighty for the third time.",
        ] {
            assert_eq!(amounts(text), Vec::<String>::new(), "{text}");
        }
    }
}
