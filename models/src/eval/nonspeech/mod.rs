//! Sound in which nobody says anything, made in code from a seed: a recogniser that writes words here invents them.
//!
//! Two kinds: what a telephone line carries (tones, hum, noise, breath, coughs, hold music) and what voices leave behind
//! without words (babble of many voices, a line echo's residue), made of recorded voices played backwards.

mod music;

use std::f64::consts::TAU;

use super::sound::narrow_band;

/// Samples per second of all sound here.
pub const RATE: f64 = 16_000.0;

/// One sound without words.
#[derive(Debug, Clone)]
pub struct Sound {
    /// What it is ("ringback of Europe").
    pub name: String,
    /// 16 kHz.
    pub pcm: Vec<i16>,
}

impl Sound {
    /// As a telephone would carry it: 8 kHz, A-law, brought back to 16 kHz.
    #[must_use]
    pub fn by_telephone(&self) -> Self {
        Self { name: format!("{}, 8 kHz", self.name), pcm: narrow_band(&self.pcm) }
    }
}

/// Reproducible chance (xorshift64*).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed; any will do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.unit();
        dice
    }

    /// Evenly from 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly between two bounds.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// One of `count` things.
    pub fn pick(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    fn noise(&mut self) -> f64 {
        self.between(-1.0, 1.0)
    }
}

/// The sounds that code alone can make, each `seconds` long. The same seed gives the same samples.
#[must_use]
pub fn made(seconds: f64, seed: u64) -> Vec<Sound> {
    let mut dice = Dice::new(seed);
    let mut all: Vec<(&str, Vec<f64>)> = vec![
        ("silence", vec![0.0; length(seconds)]),
        ("comfort noise", level(white(seconds, &mut dice), 0.002)),
        ("white noise", level(white(seconds, &mut dice), 0.08)),
        ("loud white noise", level(white(seconds, &mut dice), 0.3)),
        ("pink noise", level(pink(seconds, &mut dice), 0.1)),
        ("brown noise", level(brown(seconds, &mut dice), 0.15)),
        ("mains hum, 50 Hz", hum(seconds, 50.0, &mut dice)),
        ("mains hum, 60 Hz", hum(seconds, 60.0, &mut dice)),
        ("DTMF", dtmf(seconds, &mut dice)),
        ("dial tone", tones(seconds, &[350.0, 440.0], 0.2)),
        ("ringback of Europe", cadence(seconds, &[425.0], &[(1.0, 4.0)])),
        ("ringback of America", cadence(seconds, &[440.0, 480.0], &[(2.0, 4.0)])),
        ("ringback of Britain", cadence(seconds, &[400.0, 450.0], &[(0.4, 0.2), (0.4, 2.0)])),
        ("busy tone", cadence(seconds, &[480.0, 620.0], &[(0.5, 0.5)])),
        ("reorder tone", cadence(seconds, &[480.0, 620.0], &[(0.25, 0.25)])),
        ("special information tone", information(seconds)),
        ("fax", cadence(seconds, &[1100.0], &[(0.5, 3.0)])),
        ("siren", siren(seconds)),
        ("breathing", breathing(seconds, &mut dice)),
        ("clicks", clicks(seconds, &mut dice)),
        ("typing", typing(seconds, &mut dice)),
        ("coughs", coughs(seconds, &mut dice)),
        ("wind", wind(seconds, &mut dice)),
        ("engine", engine(seconds, &mut dice)),
        ("broken noise", broken(seconds, &mut dice)),
    ];
    all.extend(music::styles(seconds, &mut dice));
    all.into_iter().map(|(name, track)| Sound { name: name.to_owned(), pcm: samples(&track) }).collect()
}

/// Babble: at least six voices at once, each played backwards, so that many speak and nobody says a word. `voices`: recordings
/// at 16 kHz; fewer than six give `None`.
#[must_use]
pub fn babble(voices: &[Vec<i16>], seconds: f64, seed: u64) -> Option<Sound> {
    if voices.len() < 6 {
        return None;
    }
    let mut dice = Dice::new(seed);
    let mut track = vec![0.0; length(seconds)];
    for voice in voices {
        let gain = dice.between(0.6, 1.0) / (rms(voice) * voices.len() as f64).max(1e-6);
        let shift = dice.pick(voice.len().max(1));
        for (i, sample) in track.iter_mut().enumerate() {
            let at = (i + shift) % voice.len().max(1);
            *sample += gain * f64::from(voice.get(voice.len() - 1 - at).copied().unwrap_or(0)) / 32_768.0;
        }
    }
    Some(Sound { name: format!("babble of {} voices", voices.len()), pcm: samples(&level(track, 0.08)) })
}

/// What an echo canceller leaves of the other side: a voice (backwards), delayed, dull, faint and torn.
#[must_use]
pub fn echo(voice: &[i16], seconds: f64, seed: u64) -> Sound {
    let mut dice = Dice::new(seed);
    let backwards: Vec<f64> = voice.iter().rev().map(|s| f64::from(*s) / 32_768.0).collect();
    let mut track = vec![0.0; length(seconds)];
    let (mut dull, mut open) = (0.0, true);
    for (i, sample) in track.iter_mut().enumerate() {
        if i % 320 == 0 {
            open = dice.unit() < 0.35;
        }
        let at = (i + backwards.len().max(480) - 480) % backwards.len().max(1);
        dull += 0.2 * (backwards.get(at).copied().unwrap_or(0.0) - dull);
        *sample = if open { dull * 0.03 } else { 0.0 } + dice.noise() * 0.0006;
    }
    Sound { name: "line echo".to_owned(), pcm: samples(&track) }
}

fn length(seconds: f64) -> usize {
    (seconds * RATE).max(0.0) as usize
}

fn samples(track: &[f64]) -> Vec<i16> {
    track.iter().map(|s| (s * 32_767.0).clamp(-32_768.0, 32_767.0) as i16).collect()
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum::<f64>() / pcm.len().max(1) as f64).sqrt()
}

/// Brings a track to this root mean square.
fn level(mut track: Vec<f64>, wanted: f64) -> Vec<f64> {
    let now = (track.iter().map(|s| s * s).sum::<f64>() / track.len().max(1) as f64).sqrt();
    let gain = wanted / now.max(1e-9);
    track.iter_mut().for_each(|s| *s *= gain);
    track
}

fn add(track: &mut [f64], at: f64, sound: &[f64], gain: f64) {
    let from = length(at).min(track.len());
    for (to, s) in track[from..].iter_mut().zip(sound) {
        *to += s * gain;
    }
}

fn white(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    (0..length(seconds)).map(|_| dice.noise()).collect()
}

/// Equal power per octave: white noise through a sum of one-pole filters (after Paul Kellet).
fn pink(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut b = [0.0; 3];
    (0..length(seconds))
        .map(|_| {
            let w = dice.noise();
            b[0] = 0.997_65 * b[0] + w * 0.099_046;
            b[1] = 0.963 * b[1] + w * 0.296_516_4;
            b[2] = 0.57 * b[2] + w * 1.052_691_3;
            b[0] + b[1] + b[2] + w * 0.1848
        })
        .collect()
}

fn brown(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut at = 0.0;
    (0..length(seconds))
        .map(|_| {
            at = 0.995 * at + dice.noise() * 0.05;
            at
        })
        .collect()
}

/// Noise between two frequencies.
fn band(noise: Vec<f64>, low: f64, high: f64) -> Vec<f64> {
    let step = |hz: f64| 1.0 - (-TAU * hz / RATE).exp();
    let (mut a, mut b, mut c) = (0.0, 0.0, 0.0);
    noise
        .into_iter()
        .map(|s| {
            a += step(high) * (s - a);
            b += step(high) * (a - b);
            c += step(low) * (b - c);
            b - c
        })
        .collect()
}

fn tones(seconds: f64, hz: &[f64], level: f64) -> Vec<f64> {
    (0..length(seconds)).map(|i| hz.iter().map(|hz| (i as f64 / RATE * hz * TAU).sin() * level).sum()).collect()
}

/// Tones on and off: pairs of seconds, again and again.
fn cadence(seconds: f64, hz: &[f64], pattern: &[(f64, f64)]) -> Vec<f64> {
    let mut track = vec![0.0; length(seconds)];
    let mut at = 0.2;
    for (on, off) in pattern.iter().cycle() {
        if at >= seconds {
            return track;
        }
        add(&mut track, at, &tones(*on, hz, 0.15), 1.0);
        at += on + off;
    }
    track
}

fn hum(seconds: f64, hz: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = tones(seconds, &[hz, 3.0 * hz, 5.0 * hz], 0.03);
    add(&mut track, 0.0, &tones(seconds, &[2.0 * hz, 7.0 * hz], 0.01), 1.0);
    add(&mut track, 0.0, &white(seconds, dice), 0.003);
    track
}

fn dtmf(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let (rows, columns) = ([697.0, 770.0, 852.0, 941.0], [1209.0, 1336.0, 1477.0, 1633.0]);
    let mut track = vec![0.0; length(seconds)];
    let mut at = 0.3;
    while at < seconds {
        let on = dice.between(0.06, 0.3);
        add(&mut track, at, &tones(on, &[rows[dice.pick(4)], columns[dice.pick(4)]], 0.25), 1.0);
        at += on + dice.between(0.05, 1.2);
    }
    track
}

/// "The number you have dialled …" begins with these three tones (ITU-T E.180); here nobody speaks behind them.
fn information(seconds: f64) -> Vec<f64> {
    let mut track = vec![0.0; length(seconds)];
    let mut at = 0.5;
    while at < seconds {
        for (i, hz) in [950.0, 1400.0, 1800.0].into_iter().enumerate() {
            add(&mut track, at + 0.33 * i as f64, &tones(0.33, &[hz], 0.2), 1.0);
        }
        at += 3.0;
    }
    track
}

fn siren(seconds: f64) -> Vec<f64> {
    let mut phase = 0.0;
    (0..length(seconds))
        .map(|i| {
            let hz = 800.0 + 400.0 * (i as f64 / RATE * 0.4 * TAU).sin();
            phase += TAU * hz / RATE;
            0.15 * (phase.sin() + 0.3 * (2.0 * phase).sin())
        })
        .collect()
}

/// In and out every few seconds, close to the microphone.
fn breathing(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = level(white(seconds, dice), 0.001);
    let mut at = 0.3;
    while at < seconds {
        for (low, high, gain) in [(400.0, 2500.0, 0.5), (200.0, 1400.0, 0.8)] {
            let long = dice.between(0.8, 1.6);
            let puff = band(white(long, dice), low, high);
            let shaped: Vec<f64> =
                puff.iter().enumerate().map(|(i, s)| s * (i as f64 / RATE / long * TAU / 2.0).sin().powi(2)).collect();
            add(&mut track, at, &shaped, gain * dice.between(0.4, 1.0));
            at += long + dice.between(0.1, 0.4);
        }
        at += dice.between(0.2, 1.2);
    }
    track
}

fn clicks(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = vec![0.0; length(seconds)];
    let mut at = 0.2;
    while at < seconds {
        add(&mut track, at, &decaying(white(0.02, dice), 0.004), dice.between(0.2, 0.9));
        at += dice.between(0.1, 1.5);
    }
    track
}

fn typing(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = level(pink(seconds, dice), 0.002);
    let mut at = 0.2;
    while at < seconds {
        for _ in 0..=dice.pick(9) {
            let down = band(decaying(white(0.04, dice), 0.008), 900.0, 5000.0);
            add(&mut track, at, &down, dice.between(0.4, 1.0));
            add(&mut track, at + 0.07, &down, dice.between(0.1, 0.3));
            at += dice.between(0.09, 0.25);
        }
        at += dice.between(0.3, 2.0);
    }
    track
}

/// A burst, a rough tail with the throat's resonances.
fn coughs(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = level(white(seconds, dice), 0.001);
    let mut at = 0.5;
    while at < seconds {
        for _ in 0..=dice.pick(3) {
            let burst = decaying(white(0.35, dice), dice.between(0.04, 0.09));
            let (first, second) = (dice.between(500.0, 800.0), dice.between(1200.0, 1800.0));
            add(&mut track, at, &band(burst.clone(), first * 0.7, first * 1.4), 1.6);
            add(&mut track, at, &band(burst, second * 0.8, second * 1.3), 0.9);
            at += dice.between(0.3, 0.5);
        }
        at += dice.between(1.5, 5.0);
    }
    track
}

fn decaying(mut sound: Vec<f64>, tau: f64) -> Vec<f64> {
    sound.iter_mut().enumerate().for_each(|(i, s)| *s *= (-(i as f64) / RATE / tau).exp());
    sound
}

fn wind(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let (fast, slow) = (dice.between(0.2, 0.4), dice.between(0.05, 0.1));
    let gusts = |i: usize| {
        let t = i as f64 / RATE;
        0.5 + 0.3 * (t * fast * TAU).sin() + 0.2 * (t * slow * TAU).cos()
    };
    let noise = band(white(seconds, dice), 30.0, 400.0);
    level(noise.into_iter().enumerate().map(|(i, s)| s * gusts(i)).collect(), 0.2)
}

fn engine(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut phase = 0.0;
    let hum: Vec<f64> = (0..length(seconds))
        .map(|i| {
            phase += TAU * (70.0 + 12.0 * (i as f64 / RATE * 0.15 * TAU).sin()) / RATE;
            (1..9).map(|n| (f64::from(n) * phase).sin() / f64::from(n)).sum::<f64>()
        })
        .collect();
    let mut track = level(hum, 0.08);
    add(&mut track, 0.0, &level(brown(seconds, dice), 0.05), 1.0);
    track
}

/// Noise of which packets are missing, as on a bad link in a street.
fn broken(seconds: f64, dice: &mut Dice) -> Vec<f64> {
    let mut track = level(pink(seconds, dice), 0.06);
    for frame in track.chunks_mut(320) {
        if dice.unit() < 0.2 {
            frame.fill(0.0);
        }
    }
    track
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sound_and_another_gives_another() {
        let (a, b, c) = (made(2.0, 1), made(2.0, 1), made(2.0, 2));
        assert!(a.iter().zip(&b).all(|(a, b)| a.pcm == b.pcm && a.name == b.name));
        assert!(a.iter().zip(&c).any(|(a, c)| a.pcm != c.pcm));
    }

    #[test]
    fn every_sound_has_its_length_is_heard_and_does_not_clip() {
        for sound in made(31.0, 3) {
            assert_eq!(sound.pcm.len(), 31 * 16_000, "{}", sound.name);
            let loud = rms(&sound.pcm);
            assert!(sound.name == "silence" || (0.0005..0.35).contains(&loud), "{} has {loud}", sound.name);
            let clipped = sound.pcm.iter().filter(|s| s.unsigned_abs() >= 32_766).count();
            assert!(clipped < sound.pcm.len() / 1000, "{} clips {clipped} times", sound.name);
        }
    }

    #[test]
    fn babble_needs_six_voices() {
        let voice = vec![1000i16; 16_000];
        assert!(babble(&vec![voice.clone(); 5], 1.0, 1).is_none());
        assert_eq!(babble(&vec![voice; 6], 1.0, 1).unwrap().pcm.len(), 16_000);
    }
}
