//! Diarisation error rate: how much of the speech was given to nobody, to the wrong person, or made up.
//!
//! As NIST's md-eval defines it: reference and hypothesis speakers are mapped one to one so that they agree for the longest
//! time, overlapping speech counts once for each who speaks, and around each boundary of the reference `collar` is left
//! unscored to either side (0 for the strict figure, 250 ms for the customary one).

use std::collections::BTreeSet;

use super::assign;

/// Someone speaks; the name means something only among the turns of one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Start in ms.
    pub start_ms: i64,
    /// End in ms; a turn that does not end after its start is passed over.
    pub end_ms: i64,
    /// Who.
    pub speaker: String,
}

impl From<super::rttm::Turn> for Speech {
    fn from(turn: super::rttm::Turn) -> Self {
        Self { start_ms: turn.start_ms, end_ms: turn.end_ms, speaker: turn.speaker }
    }
}

impl From<super::VoiceSpan> for Speech {
    fn from(span: super::VoiceSpan) -> Self {
        Self { start_ms: span.start_ms, end_ms: span.end_ms, speaker: span.voice.to_string() }
    }
}

/// Diarisation errors of one or more recordings, in ms of speakers' time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct DiarisationErrors {
    /// Speech in the reference, counted once for each speaker.
    pub speech_ms: i64,
    /// Speech that was given to nobody.
    pub missed_ms: i64,
    /// Speech that was given where (so many) nobody spoke.
    pub false_alarm_ms: i64,
    /// Speech that was given to another.
    pub confused_ms: i64,
}

impl DiarisationErrors {
    /// Errors over speech; 0 is perfect, can exceed 1.
    pub fn rate(&self) -> f64 {
        (self.missed_ms + self.false_alarm_ms + self.confused_ms) as f64 / self.speech_ms.max(1) as f64
    }

    /// Sums two counts.
    pub fn plus(self, other: Self) -> Self {
        Self {
            speech_ms: self.speech_ms + other.speech_ms,
            missed_ms: self.missed_ms + other.missed_ms,
            false_alarm_ms: self.false_alarm_ms + other.false_alarm_ms,
            confused_ms: self.confused_ms + other.confused_ms,
        }
    }
}

/// A stretch in which nothing begins or ends.
struct Slice {
    ms: i64,
    reference: Vec<usize>,
    hypothesis: Vec<usize>,
}

/// Compares who spoke when with who was said to. `collar_ms` to either side of each boundary in the reference is not scored.
pub fn diarisation_errors(reference: &[Speech], hypothesis: &[Speech], collar_ms: i64) -> DiarisationErrors {
    let names = |turns: &[Speech]| -> Vec<String> {
        turns.iter().map(|t| t.speaker.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (theirs, ours) = (names(reference), names(hypothesis));
    let slices = slices(reference, hypothesis, &theirs, &ours, collar_ms.max(0));
    let mut together = vec![vec![0.0; ours.len()]; theirs.len()];
    for slice in &slices {
        for r in &slice.reference {
            for h in &slice.hypothesis {
                together[*r][*h] += slice.ms as f64;
            }
        }
    }
    let mapping = assign::best(&together);
    let mut errors = DiarisationErrors::default();
    for slice in &slices {
        let (spoke, said) = (slice.reference.len() as i64, slice.hypothesis.len() as i64);
        let right =
            slice.reference.iter().filter(|r| mapping[**r].is_some_and(|h| slice.hypothesis.contains(&h))).count();
        errors.speech_ms += slice.ms * spoke;
        errors.missed_ms += slice.ms * (spoke - said).max(0);
        errors.false_alarm_ms += slice.ms * (said - spoke).max(0);
        errors.confused_ms += slice.ms * (spoke.min(said) - right as i64);
    }
    errors
}

fn slices(
    reference: &[Speech],
    hypothesis: &[Speech],
    theirs: &[String],
    ours: &[String],
    collar_ms: i64,
) -> Vec<Slice> {
    let unscored: Vec<(i64, i64)> = reference
        .iter()
        .filter(|t| collar_ms > 0 && t.end_ms > t.start_ms)
        .flat_map(|t| [t.start_ms, t.end_ms])
        .map(|at| (at - collar_ms, at + collar_ms))
        .collect();
    let mut edges: BTreeSet<i64> = reference.iter().chain(hypothesis).flat_map(|t| [t.start_ms, t.end_ms]).collect();
    edges.extend(unscored.iter().flat_map(|(from, to)| [*from, *to]));
    let edges: Vec<i64> = edges.into_iter().collect();
    let speaking = |turns: &[Speech], names: &[String], at: i64| -> Vec<usize> {
        let now: BTreeSet<usize> = turns
            .iter()
            .filter(|t| t.start_ms <= at && at < t.end_ms)
            .filter_map(|t| names.binary_search(&t.speaker).ok())
            .collect();
        now.into_iter().collect()
    };
    edges
        .windows(2)
        .filter(|edge| !unscored.iter().any(|(from, to)| *from <= edge[0] && edge[0] < *to))
        .map(|edge| Slice {
            ms: edge[1] - edge[0],
            reference: speaking(reference, theirs, edge[0]),
            hypothesis: speaking(hypothesis, ours, edge[0]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn speech(turns: &[(&str, i64, i64)]) -> Vec<Speech> {
        turns
            .iter()
            .map(|(who, start, end)| Speech { start_ms: *start, end_ms: *end, speaker: (*who).into() })
            .collect()
    }

    fn errors(speech_ms: i64, missed_ms: i64, false_alarm_ms: i64, confused_ms: i64) -> DiarisationErrors {
        DiarisationErrors { speech_ms, missed_ms, false_alarm_ms, confused_ms }
    }

    #[test]
    fn errors_are_counted_by_kind_whatever_the_speakers_are_called() {
        let reference = speech(&[("ann", 0, 4000), ("bob", 4000, 10_000)]);
        let cases = [
            ("perfect", speech(&[("1", 0, 4000), ("2", 4000, 10_000)]), errors(10_000, 0, 0, 0)),
            ("names crossed", speech(&[("bob", 0, 4000), ("ann", 4000, 10_000)]), errors(10_000, 0, 0, 0)),
            ("one voice for all", speech(&[("1", 0, 10_000)]), errors(10_000, 0, 0, 4000)),
            ("a second too late", speech(&[("1", 0, 5000), ("2", 5000, 10_000)]), errors(10_000, 0, 0, 1000)),
            ("missed", speech(&[("2", 4000, 10_000)]), errors(10_000, 4000, 0, 0)),
            ("goes on", speech(&[("1", 0, 4000), ("2", 4000, 12_000)]), errors(10_000, 0, 2000, 0)),
            ("in two", speech(&[("1", 0, 4000), ("2", 4000, 9000), ("3", 9000, 10_000)]), errors(10_000, 0, 0, 1000)),
            ("nothing", Vec::new(), errors(10_000, 10_000, 0, 0)),
        ];
        for (name, hypothesis, expected) in cases {
            assert_eq!(diarisation_errors(&reference, &hypothesis, 0), expected, "{name}");
        }
    }

    #[test]
    fn overlapping_speech_counts_for_each_who_speaks() {
        let reference = speech(&[("ann", 0, 3000), ("bob", 2000, 5000)]);
        assert_eq!(
            diarisation_errors(&reference, &speech(&[("1", 0, 3000), ("2", 3000, 5000)]), 0),
            errors(6000, 1000, 0, 0)
        );
        assert_eq!(
            diarisation_errors(&reference, &speech(&[("1", 0, 3000), ("2", 2000, 5000)]), 0),
            errors(6000, 0, 0, 0)
        );
    }

    #[test]
    fn the_collar_is_left_out_around_boundaries_of_the_reference_only() {
        let reference = speech(&[("ann", 1000, 3000), ("bob", 3000, 6000)]);
        let late = speech(&[("1", 1200, 3200), ("2", 3200, 6200)]);
        assert_eq!(diarisation_errors(&reference, &late, 250), errors(4000, 0, 0, 0));
        assert_eq!(diarisation_errors(&reference, &late, 0), errors(5000, 200, 200, 200));
    }

    #[test]
    fn one_speaker_twice_at_once_counts_once() {
        let reference = speech(&[("ann", 0, 3000), ("ann", 1000, 2000)]);
        assert_eq!(diarisation_errors(&reference, &speech(&[("1", 0, 3000)]), 0), errors(3000, 0, 0, 0));
    }

    fn turns() -> impl Strategy<Value = Vec<Speech>> {
        let turn = (0..4u8, 0..5000i64, 1..3000i64).prop_map(|(who, start, length)| Speech {
            start_ms: start,
            end_ms: start + length,
            speaker: who.to_string(),
        });
        prop::collection::vec(turn, 0..8)
    }

    proptest! {
        #[test]
        fn a_list_has_no_errors_against_itself_and_no_count_is_negative(a in turns(), b in turns(), collar in 0..300i64) {
            prop_assert_eq!(diarisation_errors(&a, &a, collar).rate(), 0.0);
            let found = diarisation_errors(&a, &b, collar);
            prop_assert!(found.missed_ms >= 0 && found.false_alarm_ms >= 0 && found.confused_ms >= 0);
            prop_assert!(found.missed_ms + found.confused_ms <= found.speech_ms);
        }
    }
}
