//! Hold music without singing, synthesised in several styles: what keeps callers waiting sets recognisers dreaming.

use std::f64::consts::TAU;

use super::{Dice, RATE, add, band, decaying, length, level, white};

/// Chords of a common progression, as semitones above the key.
const CHORDS: [[i32; 3]; 4] = [[0, 4, 7], [9, 12, 16], [5, 9, 12], [7, 11, 14]];
/// A scale that is never wrong over them.
const SCALE: [i32; 8] = [0, 2, 4, 7, 9, 12, 14, 16];

pub(super) fn styles(seconds: f64, dice: &mut Dice) -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("hold music, piano", level(piano(seconds, dice), 0.1)),
        ("hold music, strings and flute", level(easy_listening(seconds, dice), 0.1)),
        ("hold music, electronic", level(electronic(seconds, dice), 0.12)),
        ("hold music, waltz on an organ", level(waltz(seconds, dice), 0.1)),
        ("hold music, guitar", level(guitar(seconds, dice), 0.1)),
        ("hold music, choir without words", level(choir(seconds, dice), 0.1)),
        ("hold music, drums", level(drums_alone(seconds, dice), 0.1)),
        ("hold music, saxophone", level(saxophone(seconds, dice), 0.1)),
    ]
}

/// Equal temperament from A = 440 Hz; `key` and `semitones` count from A4.
fn pitch(key: i32, semitones: i32) -> f64 {
    440.0 * 2f64.powf(f64::from(key + semitones) / 12.0)
}

/// Harmonics with these strengths, under an envelope that rises in `attack` and falls in the last `release` seconds.
fn note(hz: f64, seconds: f64, harmonics: &[f64], attack: f64, release: f64, vibrato: f64) -> Vec<f64> {
    let mut phase = 0.0;
    (0..length(seconds))
        .map(|i| {
            let t = i as f64 / RATE;
            phase += TAU * hz * (1.0 + vibrato * (t * 5.2 * TAU).sin()) / RATE;
            let envelope = (t / attack).min(1.0) * ((seconds - t) / release).clamp(0.0, 1.0);
            let tone = harmonics.iter().enumerate().map(|(n, a)| {
                let times = n as f64 + 1.0;
                if hz * times < 7500.0 { a * (times * phase).sin() } else { 0.0 }
            });
            envelope * tone.sum::<f64>()
        })
        .collect()
}

fn struck(hz: f64, seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let tail = dice.between(0.5, 0.9);
    decaying(note(hz, seconds, &[1.0, 0.55, 0.35, 0.2, 0.12, 0.07], 0.004, 0.05, 0.0), tail)
}

/// Karplus and Strong: noise in a loop that loses its highs.
fn plucked(hz: f64, seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut string: Vec<f64> = (0..((RATE / hz) as usize).max(2)).map(|_| dice.noise()).collect();
    (0..length(seconds))
        .map(|i| {
            let at = i % string.len();
            let next = (at + 1) % string.len();
            let out = string[at];
            string[at] = 0.996 * 0.5 * (string[at] + string[next]);
            out
        })
        .collect()
}

fn kick() -> Vec<f64> {
    let mut phase = 0.0;
    let body = (0..length(0.25))
        .map(|i| {
            phase += TAU * (50.0 + 110.0 * (-(i as f64) / RATE / 0.03).exp()) / RATE;
            phase.sin()
        })
        .collect();
    decaying(body, 0.08)
}

fn snare(dice: &mut Dice) -> Vec<f64> {
    decaying(band(white(0.2, dice), 500.0, 6000.0), 0.05)
}

fn hat(dice: &mut Dice) -> Vec<f64> {
    decaying(band(white(0.06, dice), 4500.0, 7900.0), 0.012)
}

fn drums(track: &mut [f64], seconds: f64, beat: f64, dice: &mut Dice) {
    let mut at = 0.0;
    for step in 0.. {
        if at >= seconds {
            return;
        }
        add(track, at, &hat(dice), 0.5);
        match step % 4 {
            0 => add(track, at, &kick(), 0.9),
            2 => add(track, at, &snare(dice), 0.8),
            _ if dice.unit() < 0.2 => add(track, at, &kick(), 0.5),
            _ => {}
        }
        at += beat / 2.0;
    }
}

/// Calls `play` with the start, the length and the chord of each bar.
fn bars(seconds: f64, bar: f64, mut play: impl FnMut(f64, f64, [i32; 3])) {
    let mut at = 0.0;
    for chord in CHORDS.iter().cycle() {
        if at >= seconds {
            return;
        }
        play(at, bar, *chord);
        at += bar;
    }
}

fn piano(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 12;
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 2.4, |at, bar, chord| {
        add(&mut track, at, &struck(pitch(key - 12, chord[0]), bar, dice), 0.8);
        for beat in 0..8 {
            let tone = chord[beat % 3] + if beat > 4 { 12 } else { 0 };
            let when = at + bar * beat as f64 / 8.0 + dice.between(0.0, 0.02);
            add(&mut track, when, &struck(pitch(key, tone), 1.2, dice), dice.between(0.3, 0.6));
        }
        if dice.unit() < 0.7 {
            let tone = SCALE[dice.pick(8)] + 12;
            add(&mut track, at + dice.between(0.0, bar), &struck(pitch(key, tone), 1.5, dice), 0.7);
        }
    });
    track
}

fn easy_listening(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 12;
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 3.2, |at, bar, chord| {
        for tone in chord {
            for detune in [0.997, 1.0, 1.003] {
                let strings = [1.0, 0.5, 0.33, 0.25, 0.2, 0.16, 0.14, 0.12];
                add(&mut track, at, &note(pitch(key, tone) * detune, bar, &strings, 0.4, 0.4, 0.002), 0.12);
            }
        }
        let mut when = at;
        while when < at + bar {
            let long = [0.4, 0.8, 1.2][dice.pick(3)];
            let flute = note(pitch(key + 12, SCALE[dice.pick(8)]), long, &[1.0, 0.25, 0.08], 0.06, 0.1, 0.006);
            add(&mut track, when, &flute, 0.4);
            add(&mut track, when, &band(white(long, dice), 1500.0, 5000.0), 0.02);
            when += long;
        }
    });
    drums(&mut track, seconds, 0.8, dice);
    track
}

fn electronic(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 12;
    let saw: Vec<f64> = (1..=10).map(|n| 1.0 / f64::from(n)).collect();
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 1.9, |at, bar, chord| {
        add(&mut track, at, &note(pitch(key - 24, chord[0]), bar, &saw[..4], 0.01, 0.1, 0.0), 0.5);
        for step in 0..16 {
            let tone = chord[step % 3] + 12 * (step as i32 % 2);
            let blip = decaying(note(pitch(key, tone), bar / 16.0, &saw, 0.003, 0.02, 0.0), 0.08);
            add(&mut track, at + bar * step as f64 / 16.0, &blip, 0.4);
        }
    });
    let mut at = 0.0;
    while at < seconds {
        add(&mut track, at, &kick(), 1.0);
        add(&mut track, at + 0.2375, &hat(dice), 0.5);
        at += 0.475;
    }
    track
}

fn waltz(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 12;
    let organ = [1.0, 0.7, 0.5, 0.35, 0.0, 0.2, 0.0, 0.25];
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 1.5, |at, bar, chord| {
        add(&mut track, at, &note(pitch(key - 12, chord[0]), 0.5, &organ, 0.02, 0.05, 0.0), 0.5);
        for beat in [0.5, 1.0] {
            for tone in chord {
                add(&mut track, at + beat, &note(pitch(key, tone), 0.35, &organ, 0.02, 0.05, 0.003), 0.18);
            }
        }
        let melody = note(pitch(key + 12, SCALE[dice.pick(8)]), bar, &organ, 0.03, 0.1, 0.006);
        add(&mut track, at, &melody, 0.3);
    });
    track
}

fn guitar(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 12;
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 2.0, |at, bar, chord| {
        add(&mut track, at, &plucked(pitch(key - 12, chord[0]), bar, dice), 0.5);
        for (step, string) in [0, 1, 2, 1, 0, 2, 1, 2].into_iter().enumerate() {
            let when = at + bar * step as f64 / 8.0;
            add(&mut track, when, &plucked(pitch(key, chord[string]), 1.0, dice), dice.between(0.25, 0.5));
        }
    });
    track
}

/// Many throats that sing "aah" and "ooh": a source rich in harmonics through two resonances. Voice, but no words.
fn choir(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 14;
    let glottis: Vec<f64> = (1..=20).map(|n| 1.0 / f64::from(n)).collect();
    let mut track = vec![0.0; length(seconds)];
    bars(seconds, 3.6, |at, bar, chord| {
        let (first, second) = if dice.unit() < 0.5 { (700.0, 1150.0) } else { (320.0, 800.0) };
        for tone in chord {
            for detune in [0.994, 1.0, 1.005] {
                let source = note(pitch(key, tone) * detune, bar, &glottis, 0.3, 0.4, 0.008);
                add(&mut track, at, &band(source.clone(), first * 0.8, first * 1.2), 0.3);
                add(&mut track, at, &band(source, second * 0.9, second * 1.1), 0.2);
            }
        }
    });
    track
}

fn drums_alone(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = vec![0.0; length(seconds)];
    let beat = dice.between(0.45, 0.65);
    drums(&mut track, seconds, beat, dice);
    track
}

/// A reed with slides and vibrato, in a voice's range and phrasing: the likeliest of all to be taken for speech.
fn saxophone(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let key = dice.pick(12) as i32 - 21;
    let reed = [1.0, 0.9, 0.8, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1];
    let mut track = vec![0.0; length(seconds)];
    let mut at = 0.3;
    while at < seconds {
        for _ in 0..3 + dice.pick(6) {
            let long = dice.between(0.12, 0.5);
            let mut tone = note(pitch(key, SCALE[dice.pick(8)]), long, &reed, 0.03, 0.06, 0.01);
            let breath = band(white(long, dice), 800.0, 4000.0);
            tone.iter_mut().zip(&breath).for_each(|(t, b)| *t += 0.05 * b);
            add(&mut track, at, &tone, dice.between(0.5, 0.9));
            at += long * 0.95;
        }
        at += dice.between(0.3, 1.0);
    }
    drums(&mut track, seconds, 0.7, dice);
    track
}
