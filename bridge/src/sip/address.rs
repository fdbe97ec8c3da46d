//! Who calls and who is called, out of SIP headers.

use crate::ids::E164;

/// The user part and the display name of `"Name" <sip:user@host>;tag=x`, `sip:user@host` or `tel:+1…`.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Party {
    /// Unescaped; empty where there is none.
    pub(super) user: String,
    pub(super) name: Option<String>,
}

/// Longest user part or name that is taken.
const LONG: usize = 128;

pub(super) fn parse(header: &str) -> Party {
    let header = header.trim();
    let (name, uri) = match quoted(header) {
        Some((name, rest)) => (Some(name), bracketed(rest).unwrap_or(rest)),
        None => match header.find('<') {
            Some(at) => (Some(header[..at].trim().to_owned()), bracketed(header).unwrap_or("")),
            None => (None, header),
        },
    };
    let name = name.map(|n| clean(&n)).filter(|n| !n.is_empty());
    Party { user: user_of(uri), name }
}

/// The user part of one URI.
pub(super) fn user_of(uri: &str) -> String {
    let uri = uri.trim();
    let Some((scheme, rest)) = uri.split_once(':') else { return String::new() };
    let user = if scheme.eq_ignore_ascii_case("tel") {
        rest.split([';', '?']).next().unwrap_or("")
    } else {
        let Some((user, _)) = rest.split_once('@') else { return String::new() };
        // A password, and parameters of a telephone number (RFC 3261 19.1.6).
        user.split([':', ';']).next().unwrap_or("")
    };
    clean(&unescape(user))
}

/// The number that `user` is. With `bare`, 8 to 15 digits that do not begin with 0 count as a number without its `+`.
pub(super) fn number(user: &str, bare: bool) -> Option<E164> {
    if let Ok(number) = E164::parse(user) {
        return Some(number);
    }
    let digits = user.bytes().all(|b| b.is_ascii_digit()) && (8..=15).contains(&user.len()) && !user.starts_with('0');
    if bare && digits { E164::parse(&format!("+{user}")).ok() } else { None }
}

fn quoted(header: &str) -> Option<(String, &str)> {
    let rest = header.strip_prefix('"')?;
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => {
                name.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((name, &rest[at + 1..])),
            c => name.push(c),
        }
    }
    None
}

fn bracketed(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('<')?;
    rest.split('>').next()
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |n: usize| bytes.get(at + n).and_then(|b| (*b as char).to_digit(16));
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (hex(1), hex(2))
        {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What people and logs may see: no control characters, not endless.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(LONG).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_names_are_found_in_all_their_forms() {
        for (header, user, name) in [
            ("<sip:+15550100@example.org>;tag=1", "+15550100", None),
            ("\"Ann \\\"A\\\" Lee\" <sip:ann@example.org:5060;transport=udp>", "ann", Some("Ann \"A\" Lee")),
            ("Bob <sip:bob:secret@h>", "bob", Some("Bob")),
            ("sip:+44%2020@h;x=y", "+44 20", None),
            ("<tel:+1-555-0100;phone-context=x>", "+1-555-0100", None),
            ("<sip:+15550100;npdi@h>", "+15550100", None),
            ("<sip:example.org>", "", None),
            ("\"\" <sip:a@b>", "a", None),
            ("", "", None),
            ("\"open <sip:a@b>", "a", Some("\"open")),
            ("<sip:%zz%4@h>", "%zz%4", None),
        ] {
            let got = parse(header);
            assert_eq!((got.user.as_str(), got.name.as_deref()), (user, name), "{header}");
        }
    }

    #[test]
    fn bare_digits_are_a_number_only_where_the_operator_says_so() {
        assert_eq!(number("15550100", false), None);
        assert_eq!(number("15550100", true), E164::parse("+15550100").ok());
        assert_eq!(number("+15550100", false), E164::parse("+15550100").ok());
        assert_eq!(number("anonymous", true), None);
        assert_eq!(number("05550100", true), None);
    }
}
