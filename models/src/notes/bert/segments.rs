//! Cutting what was said into pieces that a checkpoint can read at once.

use std::ops::Range;

/// One line of a dialogue as models were trained on it: "Ada: We ship on Friday."
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub(super) struct Line {
    pub(super) speaker: String,
    pub(super) text: String,
}

impl Line {
    pub(super) fn shown(&self) -> String {
        format!("{}: {}", self.speaker, self.text)
    }
}

/// Lines of which each takes no more than `budget` tokens: a longer one becomes several of the same speaker, cut between
/// words.
pub(super) fn fitting(lines: Vec<Line>, budget: usize, count: &impl Fn(&str) -> usize) -> Vec<Line> {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        if count(&line.shown()) <= budget {
            out.push(line);
        } else {
            halve(&line, budget, count, &mut out);
        }
    }
    out
}

fn halve(line: &Line, budget: usize, count: &impl Fn(&str) -> usize, out: &mut Vec<Line>) {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    if words.len() < 2 || count(&line.shown()) <= budget {
        // A single word that long is noise; the tokenizer cuts it off.
        out.push(line.clone());
        return;
    }
    let (first, second) = words.split_at(words.len() / 2);
    for half in [first, second] {
        halve(&Line { speaker: line.speaker.clone(), text: half.join(" ") }, budget, count, out);
    }
}

/// As few runs of lines as `budget` allows, of about the same length: a short rest would be summarised into nonsense.
/// `costs`: the tokens of each line.
pub(super) fn split(costs: &[usize], budget: usize) -> Vec<Range<usize>> {
    let total: usize = costs.iter().sum();
    let pieces = total.div_ceil(budget.max(1)).max(1);
    let share = total.div_ceil(pieces);
    let mut out = Vec::new();
    let (mut from, mut cost) = (0, 0);
    for (at, line) in costs.iter().enumerate() {
        if at > from && (cost >= share || cost + line > budget) {
            out.push(from..at);
            (from, cost) = (at, 0);
        }
        cost += line;
    }
    if from < costs.len() {
        out.push(from..costs.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> usize {
        text.split_whitespace().count()
    }

    #[test]
    fn a_long_utterance_is_cut_between_words_and_keeps_its_speaker() {
        let text = (0..50).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let lines = fitting(vec![Line { speaker: "Ada".to_owned(), text: text.clone() }], 10, &words);
        assert!(lines.len() > 5 && lines.iter().all(|l| l.speaker == "Ada" && words(&l.shown()) <= 10));
        assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join(" "), text);
    }

    #[test]
    fn pieces_are_even() {
        assert_eq!(split(&[10; 11], 100), [0..6, 6..11]);
        assert_eq!(split(&[10; 10], 100), vec![0..10]);
        assert!(split(&[], 100).is_empty());
    }

    proptest! {
        #[test]
        fn every_line_is_in_one_piece_and_no_piece_is_too_long(costs in prop::collection::vec(0_usize..90, 0..60)) {
            let pieces = split(&costs, 100);
            prop_assert_eq!(pieces.iter().cloned().flatten().collect::<Vec<_>>(), (0..costs.len()).collect::<Vec<_>>());
            for piece in pieces {
                prop_assert!(costs[piece].iter().sum::<usize>() <= 100);
            }
        }
    }
}
