//! ROUGE: how much of a reference summary's words, word pairs and word order a summary has (Lin, 2004). F1, no stemming, no
//! words left out, over the words that [`super::normalise`] gives.

use std::collections::HashMap;

use super::normalise;

/// F1 of single words, of pairs, and of the longest common subsequence, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Rouge {
    /// Single words.
    pub one: f64,
    /// Pairs of neighbours.
    pub two: f64,
    /// Longest common subsequence.
    pub longest: f64,
}

/// Compares a summary with a reference.
pub fn rouge(reference: &str, summary: &str) -> Rouge {
    let (reference, summary) = (normalise(reference), normalise(summary));
    Rouge {
        one: f1(shared(&reference, &summary, 1), reference.len(), summary.len()),
        two: f1(shared(&reference, &summary, 2), reference.len().saturating_sub(1), summary.len().saturating_sub(1)),
        longest: f1(subsequence(&reference, &summary), reference.len(), summary.len()),
    }
}

/// Harmonic mean of precision and recall: `hits` of `wanted` and of `given`. 0 where either is empty.
pub fn f1(hits: usize, wanted: usize, given: usize) -> f64 {
    if wanted + given == 0 { 0.0 } else { 2.0 * hits as f64 / (wanted + given) as f64 }
}

/// Runs of `n` words that both have, each counted as often as both have it.
fn shared(a: &[String], b: &[String], n: usize) -> usize {
    let mut counts: HashMap<&[String], usize> = HashMap::new();
    for run in a.windows(n) {
        *counts.entry(run).or_default() += 1;
    }
    b.windows(n)
        .filter(|run| {
            counts.get_mut(*run).is_some_and(|left| {
                let had = *left > 0;
                *left = left.saturating_sub(1);
                had
            })
        })
        .count()
}

fn subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_pairs_and_order_are_counted_apart() {
        let same = rouge("the price stays at ten", "The price stays at ten.");
        assert_eq!((same.one, same.two, same.longest), (1.0, 1.0, 1.0));
        let turned = rouge("bob calls ann", "ann calls bob");
        assert_eq!((turned.one, turned.two), (1.0, 0.0));
        assert!((turned.longest - 1.0 / 3.0).abs() < 1e-9);
        // Two of four words, given twice: the second time they count nothing.
        assert!((rouge("we ship on friday", "friday ship friday ship").one - 0.5).abs() < 1e-9);
        assert_eq!(rouge("", ""), Rouge::default());
    }

    proptest! {
        #[test]
        fn scores_stay_between_none_and_all(a in "[a-d ]{0,40}", b in "[a-d ]{0,40}") {
            let r = rouge(&a, &b);
            for score in [r.one, r.two, r.longest] {
                prop_assert!((0.0..=1.0).contains(&score));
            }
            prop_assert!(r.longest <= r.one + 1e-9);
        }
    }
}
