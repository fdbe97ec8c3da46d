//! Sound that was lost on the way makes no words.

use models::{PartyKey, Recognised};

use crate::support::{config, load, prompt, say, silence, until_finished};

/// Line noise with a breath of level, from a seed.
fn line(ms: usize, mut seed: u64) -> Vec<i16> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % 61) as i16 - 30
    };
    (0..ms * 16).map(|_| next()).collect()
}

#[tokio::test]
async fn bursts_of_loss_make_no_words_in_silence_and_leave_those_of_speech() {
    let (transcriber, mut results) = load(config()).await;
    let ear = transcriber.open(PartyKey(1));
    let (_, speech) = prompt("vm-options");
    let before = line(12_000, 5);
    let spoken = before.len() as i64 / 16..(before.len() + speech.len()) as i64 / 16;
    let pcm = [before, speech, line(12_000, 9)].concat();
    // Bursts of two to four frames, one frame in twenty in all: what never came is not pushed.
    let mut seed = 77u64;
    let mut lost = 0;
    let mut burst = 0;
    for (i, frame) in pcm.chunks(320).enumerate() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if burst == 0 && (seed >> 33).is_multiple_of(60) {
            burst = 2 + (seed >> 40) % 3;
        }
        if burst > 0 {
            burst -= 1;
            lost += 1;
        } else {
            ear.push(i as i64 * 20, frame);
        }
    }
    let share = f64::from(lost) / (pcm.len() / 320) as f64;
    assert!((0.03..0.08).contains(&share), "{share}");
    ear.finish();
    let mut words = 0;
    for result in until_finished(&mut results, 1).await {
        if let Recognised::Utterance(utterance) = result {
            assert!(utterance.start_ms >= spoken.start - 300 && utterance.end_ms <= spoken.end + 300, "{utterance:?}");
            words += utterance.words.len();
        }
    }
    assert!(words >= 5, "{words} words are left");
}

#[tokio::test]
async fn terms_that_may_be_said_are_not_written_when_nothing_is_said() {
    let (transcriber, mut results) = load(config()).await;
    let terms = ["Roomtone", "Anna Meier", "Kubernetes", "Zürich"].map(str::to_owned).to_vec();
    let ear = transcriber.open_with(PartyKey(1), models::EarOptions { terms, ..models::EarOptions::default() });
    // Shreds of speech, too short to be words, in noise.
    let (_, speech) = prompt("vm-options");
    let mut at = 0;
    for piece in speech.chunks(3000).step_by(4).take(8) {
        at = say(&ear, at, &line(700, 3));
        at = say(&ear, at, piece);
        at = say(&ear, at, &silence(900));
    }
    ear.finish();
    for result in until_finished(&mut results, 1).await {
        if let Recognised::Utterance(utterance) = result {
            let text = utterance.text.to_lowercase();
            for term in ["roomtone", "meier", "kubernetes", "zürich", "glossary"] {
                assert!(!text.contains(term), "{text:?} was not said");
            }
        }
    }
}
