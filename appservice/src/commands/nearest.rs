//! The command that a mistyped word may have meant.

/// The candidate with the fewest changes from `word`, where they are few: one for words of up to four letters, two for longer ones.
pub(super) fn nearest<'a, T>(word: &str, candidates: impl IntoIterator<Item = (&'a str, T)>) -> Option<T> {
    let word: Vec<char> = word.chars().take(32).flat_map(char::to_lowercase).collect();
    let allowed = if word.len() <= 4 { 1 } else { 2 };
    let scored =
        candidates.into_iter().map(|(text, value)| (distance(&word, &text.chars().collect::<Vec<_>>()), value));
    scored.filter(|(d, _)| *d <= allowed).min_by_key(|(d, _)| *d).map(|(_, value)| value)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_counted() {
        let d = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!((d("serach", "search"), d("lits", "list"), d("", "on"), d("agree", "agree")), (1, 1, 2, 0));
    }
}
