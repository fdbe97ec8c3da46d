//! Files made here, whole and broken, and what comes out of them.

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::decode::Decoder;
use super::source::Source;
use super::*;

/// An utterance whose words follow one another, each as long as told, in ms.
pub(super) fn line(speaker: &str, start_ms: i64, word_ms: i64, text: &str) -> Line {
    let word = |(number, text): (usize, &str)| {
        let start_ms = start_ms + number as i64 * word_ms;
        Word { text: Zeroizing::new(text.to_owned()), start_ms, end_ms: start_ms + word_ms, probability: 0.9 }
    };
    let words: Vec<Word> = text.split_whitespace().enumerate().map(word).collect();
    Line {
        id: 0,
        party: 0,
        voice: None,
        speaker: speaker.to_owned(),
        start_ms,
        end_ms: words.last().map_or(start_ms, |w| w.end_ms),
        text: text.to_owned(),
        words,
        language: Some("en".to_owned()),
        confidence: 0.9,
    }
}

pub(super) fn transcription(mut utterances: Vec<Line>) -> Transcription {
    for (number, line) in utterances.iter_mut().enumerate() {
        line.id = number as u64 + 1;
    }
    let mut transcription = Transcription::default();
    transcription.parties = vec!["party".to_owned()];
    transcription.utterances = utterances;
    transcription.recogniser = "test".to_owned();
    transcription
}

/// A WAV file with a tone of another frequency on each channel.
fn wav(rate: u32, channels: u16, seconds: f32) -> Vec<u8> {
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..(rate as f32 * seconds) as u32 {
        for channel in 1..=channels {
            let phase = std::f32::consts::TAU * 300.0 * f32::from(channel) * n as f32 / rate as f32;
            writer.write_sample((phase.sin() * 8_000.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn source(bytes: Vec<u8>, apart: bool) -> Result<Source, FileError> {
    let path = Path::new("test.wav");
    Source::of(Decoder::read(Box::new(Cursor::new(bytes)), path)?, path, apart)
}

/// All of each lane, and the source for what it says about itself.
fn drained(mut source: Source) -> (Vec<Vec<i16>>, Source) {
    let mut lanes = vec![Vec::new(); source.lanes()];
    while !source.ended() {
        source.read(200);
        for (number, lane) in lanes.iter_mut().enumerate() {
            lane.extend_from_slice(&source.take(number));
        }
    }
    (lanes, source)
}

/// How often the sign changes in a second of 16 kHz sound: twice the frequency of a tone.
fn crossings(lane: &[i16]) -> usize {
    lane[4_000..20_000].windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count()
}

#[test]
fn every_rate_is_read_at_16_khz_with_its_length_kept() {
    for rate in [8_000, 16_000, 22_050, 44_100, 48_000] {
        let source = source(wav(rate, 1, 1.5), false).unwrap();
        assert_eq!(source.length_ms(), Some(1_500), "{rate}");
        let (lanes, source) = drained(source);
        assert_eq!(lanes[0].len(), 24_000, "{rate}");
        assert!(crossings(&lanes[0]).abs_diff(600) <= 2, "{rate}: {}", crossings(&lanes[0]));
        assert_eq!((source.position_ms(), source.broken()), (1_500, None));
    }
}

/// A sine of 300 Hz and 1.5 s in each format (tests/data/README.md).
const TONES: &[(&str, &[u8])] = &[
    ("tone.flac", include_bytes!("../../tests/data/tone.flac")),
    ("tone.mp3", include_bytes!("../../tests/data/tone.mp3")),
    ("tone.ogg", include_bytes!("../../tests/data/tone.ogg")),
    ("tone.opus", include_bytes!("../../tests/data/tone.opus")),
    ("tone.webm", include_bytes!("../../tests/data/tone.webm")),
    ("tone.m4a", include_bytes!("../../tests/data/tone.m4a")),
    ("tone-mulaw.wav", include_bytes!("../../tests/data/tone-mulaw.wav")),
];

fn tone(name: &str, bytes: Vec<u8>) -> Result<Source, FileError> {
    let path = Path::new(name);
    Source::of(Decoder::read(Box::new(Cursor::new(bytes)), path)?, path, false)
}

#[test]
fn every_format_is_read_with_its_length_and_its_tone() {
    for (name, bytes) in TONES {
        let (lanes, source) = drained(tone(name, bytes.to_vec()).unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!((source.broken(), source.lost_ms()), (None, 0), "{name}");
        // Codecs with a delay pad their ends by less than a packet or two.
        assert!(lanes[0].len().abs_diff(24_000) <= 2_000, "{name}: {}", lanes[0].len());
        assert!(crossings(&lanes[0]).abs_diff(600) <= 4, "{name}: {}", crossings(&lanes[0]));
    }
}

#[test]
fn a_compressed_file_that_was_cut_gives_what_is_there() {
    // The others keep so short a sound in one page or box.
    for (name, bytes) in TONES.iter().filter(|(name, _)| ["tone.flac", "tone.mp3"].contains(name)) {
        let half = bytes[..bytes.len() * 2 / 3].to_vec();
        let (lanes, _) = drained(tone(name, half).unwrap_or_else(|error| panic!("{name}: {error}")));
        assert!((8_000..24_000).contains(&lanes[0].len()), "{name}: {}", lanes[0].len());
    }
}

#[test]
fn channels_are_parties_when_asked_for_and_mixed_otherwise() {
    let (apart, _) = drained(source(wav(48_000, 2, 1.5), true).unwrap());
    assert_eq!(apart.len(), 2);
    assert!(crossings(&apart[0]).abs_diff(600) <= 2 && crossings(&apart[1]).abs_diff(1_200) <= 2);
    let (mixed, _) = drained(source(wav(48_000, 2, 1.5), false).unwrap());
    assert_eq!(mixed.len(), 1);
    let loudest = mixed[0].iter().map(|s| s.unsigned_abs()).max().unwrap();
    assert!((6_000..8_500).contains(&loudest), "{loudest}");
}

#[test]
fn a_file_that_was_cut_gives_what_is_there() {
    let whole = wav(16_000, 1, 2.0);
    let (lanes, _) = drained(source(whole[..whole.len() / 2].to_vec(), false).unwrap());
    assert!(lanes[0].len().abs_diff(16_000) < 1_600, "{}", lanes[0].len());
}

#[test]
fn what_is_no_sound_is_refused_with_its_name_and_what_to_do() {
    for bytes in [Vec::new(), b"dear diary".repeat(500), vec![0; 70_000]] {
        let error = source(bytes, false).err().unwrap().to_string();
        assert!(error.contains("test.wav") && error.contains("convert it to"), "{error}");
    }
    let error = Decoder::open(Path::new("/no/such/file.wav")).err().unwrap();
    assert!(matches!(error, FileError::Open { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_read_in_part_or_refused(
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..12),
        cut in any::<u16>(),
    ) {
        let mut bytes = wav(8_000, 2, 0.2);
        bytes.truncate(bytes.len() - usize::from(cut) % (bytes.len() / 2));
        for (at, value) in changes {
            // Mostly the head, where it hurts.
            let at = usize::from(at) % if at % 4 == 0 { bytes.len() } else { 60 };
            bytes[at] = value;
        }
        if let Ok(source) = source(bytes, true) {
            let (lanes, _) = drained(source);
            prop_assert!(lanes.iter().all(|lane| lane.len() < 10_000_000));
        }
    }
    #[test]
    fn a_damaged_compressed_file_is_read_in_part_or_refused(
        which in 0..TONES.len(),
        changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..12),
        cut in any::<u16>(),
    ) {
        let (name, whole) = TONES[which];
        let mut bytes = whole.to_vec();
        bytes.truncate(bytes.len() - usize::from(cut) % (bytes.len() / 2));
        for (at, value) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        if let Ok(source) = tone(name, bytes) {
            let (lanes, _) = drained(source);
            prop_assert!(lanes.iter().all(|lane| lane.len() < 10_000_000));
        }
    }
}
