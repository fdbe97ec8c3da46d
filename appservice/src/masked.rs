//! Log lines without telephone numbers and secrets, whoever wrote them.
//!
//! A ghost's user id holds a whole number, and user ids are everywhere: in our own lines, in the Matrix library's, in
//! a homeserver's error messages. So they are masked where all lines pass, on the way out: `@_roomtone_tel_44…23`. So
//! are words of 64 hexadecimal digits: tokens of the registration, and the identity proxy's addresses.
use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::registration::GHOST_PREFIX;

/// Length of a token in hexadecimal digits.
const TOKEN: usize = 64;

/// `text` with the middle of each ghost's number, and each token, taken out.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    // Up to where `text` has been copied.
    let mut done = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|b| is(b)).count();
    while at < bytes.len() {
        if bytes[at..].starts_with(GHOST_PREFIX.as_bytes()) {
            let digits = at + GHOST_PREFIX.len();
            let count = run(digits, u8::is_ascii_digit);
            at = digits + count;
            if count > 0 {
                let shown = if count < 6 { 0 } else { 2 };
                out.push_str(&text[done..digits + shown]);
                out.push('…');
                done = at - shown;
            }
        } else if bytes[at].is_ascii_hexdigit() {
            let count = run(at, u8::is_ascii_hexdigit);
            if count == TOKEN {
                out.push_str(&text[done..at]);
                out.push('…');
                done = at + count;
            }
            at += count;
        } else {
            at += 1;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Standard error for log lines; each line is masked. For `with_writer`.
#[must_use]
pub fn stderr() -> MaskedWriter<io::Stderr> {
    MaskedWriter(io::stderr())
}

/// Masks what is written: a whole line at a time, as `tracing_subscriber` writes.
pub struct MaskedWriter<W>(W);

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(mask(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tokens_do_not_get_out_and_the_rest_does() {
        let token = "0123456789abcdef".repeat(4);
        for (line, want) in [
            ("user=@_roomtone_tel_442079460123:hs.test joined", "user=@_roomtone_tel_44…23:hs.test joined"),
            (
                "/%40_roomtone_tel_15550100%3Ahs.test?a=_roomtone_tel_15550101",
                "/%40_roomtone_tel_15…00%3Ahs.test?a=_roomtone_tel_15…01",
            ),
            ("_roomtone_tel_112 ü _roomtone_tel_withheld", "_roomtone_tel_… ü _roomtone_tel_withheld"),
            (&format!("http://127.0.0.1:4/{token}/_matrix"), "http://127.0.0.1:4/…/_matrix"),
            (&token, "…"),
            ("nothing here: deadbeef, @alice:hs.test, $event", "nothing here: deadbeef, @alice:hs.test, $event"),
            ("", ""),
        ] {
            assert_eq!(mask(line), want);
        }
        let mut out = Vec::new();
        MaskedWriter(&mut out).write_all(b"@_roomtone_tel_442079460123:x\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "@_roomtone_tel_44…23:x\n");
    }

    proptest::proptest! {
        #[test]
        fn no_number_survives_between_any_words(before in "\\PC*", number in "[0-9]{6,15}", after in "\\PC*") {
            // A digit right after would belong to the number.
            let line = format!("{before}{GHOST_PREFIX}{number}|{after}");
            let masked = mask(&line);
            let whole = format!("{GHOST_PREFIX}{number}");
            proptest::prop_assert!(!masked.contains(&whole));
        }
    }
}
