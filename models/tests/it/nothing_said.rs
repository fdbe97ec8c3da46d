//! Sound without speech gives no words.

use models::{PartyKey, Recognised};

use crate::support::{config, load, noise, say, silence, tones, until_finished};

/// On and off, again and again.
fn cadence(sound: &[i16], pause_ms: usize, times: usize) -> Vec<i16> {
    (0..times).flat_map(|_| [sound.to_vec(), silence(pause_ms)].concat()).collect()
}

#[tokio::test]
async fn silence_tones_digits_ringing_and_noise_give_no_words() {
    let (transcriber, mut results) = load(config()).await;
    let rows = [697.0, 770.0, 852.0, 941.0];
    let columns = [1209.0, 1336.0, 1477.0];
    let dtmf: Vec<i16> = rows
        .iter()
        .flat_map(|row| columns.iter().flat_map(|column| [tones(&[*row, *column], 0.3, 120), silence(80)].concat()))
        .collect();
    let sounds: [(&str, Vec<i16>); 11] = [
        ("silence", silence(8000)),
        ("hum", tones(&[50.0, 100.0, 150.0], 0.02, 6000)),
        ("1 kHz", tones(&[1000.0], 0.5, 4000)),
        ("440 Hz", tones(&[440.0], 0.3, 4000)),
        ("DTMF", [dtmf.clone(), dtmf].concat()),
        ("ringback of Europe", cadence(&tones(&[425.0], 0.3, 1000), 2000, 3)),
        ("ringback of America", cadence(&tones(&[440.0, 480.0], 0.2, 2000), 2000, 2)),
        ("busy", cadence(&tones(&[480.0, 620.0], 0.3, 500), 500, 6)),
        ("white noise", noise(0.1, 6000, 7)),
        ("loud white noise", noise(0.6, 6000, 11)),
        ("clicks", cadence(&noise(0.9, 20, 3), 700, 8)),
    ];
    for (number, (_, pcm)) in sounds.iter().enumerate() {
        let ear = transcriber.open(PartyKey(number as u64));
        say(&ear, 0, pcm);
        ear.finish();
    }
    let mut words = Vec::new();
    for result in until_finished(&mut results, sounds.len()).await {
        if let Recognised::Utterance(utterance) = result {
            words.push((sounds[utterance.party.0 as usize].0, utterance.text.to_string()));
        }
    }
    assert!(words.is_empty(), "invented: {words:?}");
}
