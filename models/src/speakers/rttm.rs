//! RTTM, the format in which it is written down who spoke when: a line per turn,
//! `SPEAKER <file> <channel> <start s> <length s> <NA> <NA> <name> <NA> <NA>`.

/// One turn of one speaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which recording, as the file names it.
    pub recording: String,
    /// Start in the recording, in ms.
    pub start_ms: i64,
    /// End, in ms; never before the start.
    pub end_ms: i64,
    /// The speaker's name in this file.
    pub speaker: String,
}

/// Why a file is no RTTM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RttmError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Other kinds of line that the format knows. They say nothing about who spoke when.
const OTHER_KINDS: &[&str] = &[
    "SEGMENT",
    "NOSCORE",
    "NO_RT_METADATA",
    "LEXEME",
    "NON-LEX",
    "NON-SPEECH",
    "FILLER",
    "EDIT",
    "SU",
    "IP",
    "CB",
    "A/P",
    "SPKR-INFO",
];

/// Reads the turns of a file. Empty lines and comments (`;`, `#`) are passed over.
///
/// # Errors
/// The first line that cannot be read.
pub fn read(text: &str) -> Result<Vec<Turn>, RttmError> {
    let mut turns = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        let error = |what: String| RttmError { line: number + 1, what };
        let fields: Vec<&str> = line.split_whitespace().collect();
        if OTHER_KINDS.contains(&fields[0]) {
            continue;
        }
        if fields[0] != "SPEAKER" {
            return Err(error(format!("begins with {:?}, not with SPEAKER", fields[0])));
        }
        let [_, recording, _, start, length, _, _, speaker, ..] = fields.as_slice() else {
            return Err(error(format!("has {} fields; a SPEAKER line has at least 8", fields.len())));
        };
        let ms = |what: &str, text: &str| match text.parse::<f64>() {
            // A year: what is above is no recording.
            Ok(seconds) if (0.0..3.2e7).contains(&seconds) => Ok((seconds * 1000.0).round() as i64),
            _ => Err(error(format!("{what} {text:?} is not a number of seconds"))),
        };
        let start_ms = ms("start", start)?;
        let end_ms = start_ms + ms("length", length)?;
        turns.push(Turn { recording: (*recording).to_owned(), start_ms, end_ms, speaker: (*speaker).to_owned() });
    }
    Ok(turns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turns_are_read_and_other_lines_passed_over() {
        let text = "; made by hand\n\nSPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA>\nSPEAKER a 1 6.690 0.430 <NA> <NA> ann <NA> <NA>\r\n\
                    SPEAKER a 1 7 .8 <NA> <NA> bob\n";
        let turn =
            |start_ms, end_ms, speaker: &str| Turn { recording: "a".into(), start_ms, end_ms, speaker: speaker.into() };
        assert_eq!(read(text).unwrap(), [turn(6690, 7120, "ann"), turn(7000, 7800, "bob")]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, line, what) in [
            (
                "SPEAKER a 1 0 1 <NA> <NA> ann\nSPEAKER a 1 x 1 <NA> <NA> ann",
                2,
                "start \"x\" is not a number of seconds",
            ),
            ("SPEAKER a 1 0 -1 <NA> <NA> ann", 1, "length \"-1\" is not a number of seconds"),
            ("SPEAKER a 1 0 NaN <NA> <NA> ann", 1, "length \"NaN\" is not a number of seconds"),
            ("\nSPEAKER a 1 0 1", 2, "has 5 fields; a SPEAKER line has at least 8"),
            ("hello", 1, "begins with \"hello\", not with SPEAKER"),
        ] {
            assert_eq!(read(text), Err(RttmError { line, what: what.into() }));
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_turns_or_an_error(text in "(SPEAKER|[a-z;0-9.<>A \\n-]){0,60}") {
            if let Ok(turns) = read(&text) {
                prop_assert!(turns.iter().all(|t| t.start_ms <= t.end_ms));
            }
        }
    }
}
