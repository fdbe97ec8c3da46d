//! Sound without speech gives no words.

use models::eval::nonspeech::{self, Sound};
use models::eval::prompts::SPEAKERS;
use models::eval::upsample_8k_to_16k;
use models::{PartyKey, Recognised};

use crate::support::{config, load, say, until_finished};

/// Long enough for every sound to show all that it does.
const SECONDS: f64 = 30.0;

/// Ten seconds of each of Debian's voices that are there; of one voice several pieces, so that there are at least six.
fn voices() -> Vec<Vec<i16>> {
    let mut voices = Vec::new();
    for speaker in SPEAKERS {
        let Ok(prompts) = speaker.prompts() else { continue };
        let mut long = prompts.into_iter().filter(|p| std::fs::metadata(&p.wav).is_ok_and(|m| m.len() > 60_000));
        for _ in 0..if voices.len() < 6 { 6 } else { 1 } {
            let Some(prompt) = long.next() else { break };
            let mut reader = hound::WavReader::open(&prompt.wav).unwrap();
            voices.push(upsample_8k_to_16k(&reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>()));
        }
    }
    voices
}

async fn invented(sounds: &[Sound]) -> Vec<(String, String)> {
    let (transcriber, mut results) = load(config()).await;
    for (number, sound) in sounds.iter().enumerate() {
        let ear = transcriber.open(PartyKey(number as u64));
        say(&ear, 0, &sound.pcm);
        ear.finish();
    }
    until_finished(&mut results, sounds.len())
        .await
        .into_iter()
        .filter_map(|result| match result {
            Recognised::Utterance(u) => Some((sounds[u.party.0 as usize].name.clone(), u.text.to_string())),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn tones_noise_breath_coughs_and_hold_music_give_no_words() {
    // Every other one as a telephone carries it, so that both bands are there; `cargo xtask eval` plays all in both.
    let sounds: Vec<Sound> = nonspeech::made(SECONDS, 1)
        .into_iter()
        .enumerate()
        .map(|(i, sound)| if i % 2 == 0 { sound.by_telephone() } else { sound })
        .collect();
    let words = invented(&sounds).await;
    assert!(words.is_empty(), "invented: {words:?}");
}

#[tokio::test]
async fn babble_and_what_an_echo_leaves_give_no_words() {
    let voices = voices();
    let babble = nonspeech::babble(&voices, SECONDS, 5).expect("six recorded voices");
    let mut sounds = vec![babble.by_telephone(), babble];
    // Some chances make words that others do not.
    for (seconds, seed) in [(SECONDS, 6), (60.0, 1), (60.0, 2), (60.0, 3)] {
        let echo = nonspeech::echo(&voices[0], seconds, seed);
        sounds.extend([echo.by_telephone(), echo]);
    }
    let words = invented(&sounds).await;
    assert!(words.is_empty(), "invented: {words:?}");
}
