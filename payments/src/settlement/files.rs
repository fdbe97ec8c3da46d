//! Statements on their way: signed proposals as text, which any channel carries (a file, mail, a chat).
//!
//! ```text
//! Statement of GA… with GB…
//! from 2026-12-01T00:00:00Z until 2026-12-02T00:00:00Z, 3 calls, …
//! -----BEGIN ROOMTONE SETTLEMENT-----
//! cm9vbXRvbmUgc2V0dGxlbWVudCBwcm9wb3NhbCAx…
//! -----END ROOMTONE SETTLEMENT-----
//! ```
//!
//! What stands around the blocks is for people; only what is in a block is signed, and read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Proposal, Side, StatementError, Window};
use crate::UnixMillis;

const BEGIN: &str = "-----BEGIN ROOMTONE SETTLEMENT-----";
const END: &str = "-----END ROOMTONE SETTLEMENT-----";
/// Letters of a line.
const LINE: usize = 64;
/// Bytes of a file that is read: two statements of a million calls.
pub const MOST_BYTES: u64 = 160 * 1024 * 1024;

/// Why a file holds no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// No block in it.
    #[error("there is no block {BEGIN} in it")]
    None,
    /// A block does not end.
    #[error("block {0} does not end: the file was cut off")]
    CutOff(usize),
    /// Something else than base64.
    #[error("block {0} is not readable: the file was changed on the way")]
    Encoding(usize),
    /// Bytes that are no proposal.
    #[error("block {block}: {error}")]
    Statement {
        /// Counted from one.
        block: usize,
        /// What is wrong.
        error: StatementError,
    },
}

/// All proposals in one text.
#[must_use]
pub fn write(proposals: &[Proposal]) -> String {
    let mut out = String::new();
    for proposal in proposals {
        out.push_str(&summary(proposal));
        out.push_str(BEGIN);
        out.push('\n');
        let letters = BASE64.encode(proposal.bytes());
        let mut rest = letters.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            out.push_str(line);
            out.push('\n');
            rest = more;
        }
        out.push_str(END);
        out.push_str("\n\n");
    }
    out
}

/// Reads what [`write`] has written, whatever stands around the blocks. Whose it is, the clerk looks at.
///
/// # Errors
/// [`FileError`] with the block.
pub fn read(text: &str) -> Result<Vec<Proposal>, FileError> {
    let mut proposals = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(BEGIN) {
        let block = proposals.len() + 1;
        let (letters, behind) = behind.split_once(END).ok_or(FileError::CutOff(block))?;
        let letters: String = letters.chars().filter(|c| !c.is_whitespace()).collect();
        let bytes = BASE64.decode(letters).map_err(|_| FileError::Encoding(block))?;
        let proposal = Proposal::read(&bytes).map_err(|error| FileError::Statement { block, error })?;
        proposals.push(proposal);
        rest = behind;
    }
    if proposals.is_empty() { Err(FileError::None) } else { Ok(proposals) }
}

/// A time for people: RFC 3339, UTC.
#[must_use]
pub fn shown(at: UnixMillis) -> String {
    let ms = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    ms.map_or_else(|| format!("{} ms", at.0), |at| at.to_string())
}

fn summary(proposal: &Proposal) -> String {
    let statement = &proposal.statement;
    let Window { from, until } = statement.window;
    let (totals, terms) = (statement.totals(), &statement.terms);
    let owed = |side| match side {
        Side::A => totals.to_a,
        Side::B => totals.to_b,
    };
    let ours = terms.side(proposal.by).unwrap_or(Side::A);
    format!(
        "Statement of {}\nto {}\nfrom {} until {}: {} calls, {} carried by the first, {} by the second\n",
        proposal.by,
        terms.key(ours.other()),
        shown(from),
        shown(until),
        statement.lines().len(),
        owed(ours),
        owed(ours.other()),
    )
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::super::{CallLine, CallName, Settlement, Statement, StatementHash, Terms};
    use super::*;
    use crate::Msat;
    use crate::stellar::{Asset, Rate, SigningKey};

    fn proposals() -> Vec<Proposal> {
        let key = |n| SigningKey::from_seed(&Zeroizing::new([n; 32]));
        let rate = Rate::per_btc(1_000).unwrap();
        let terms = Terms::between(key(1).address(), key(2).address(), Asset::Native, rate).unwrap();
        let line = |call, amount| CallLine {
            call: CallName::from_bytes([call; 32]),
            carrier: Side::A,
            seconds: 60,
            amount: Msat::new(amount).unwrap(),
        };
        let window = Window { from: UnixMillis(1_800_000_000_000), until: UnixMillis(1_800_086_400_000) };
        let statement = |lines| Statement::new(terms, window, StatementHash::NONE, lines).unwrap();
        let mut ours = Settlement::new(statement(vec![line(1, 5_000), line(2, 7_000)]), &key(1)).unwrap();
        let theirs = Settlement::new(statement(vec![line(1, 5_000)]), &key(2)).unwrap();
        ours.receive(theirs.proposals().next().unwrap(), &key(1)).unwrap();
        ours.proposals().cloned().collect()
    }

    #[test]
    fn what_is_written_can_be_read_again_out_of_a_mail() {
        let all = proposals();
        assert_eq!(all.len(), 2);
        let text = write(&all);
        assert!(text.starts_with(&format!("Statement of {}\n", all[0].by)), "{text}");
        assert!(text.contains("from 2027-01-15T08:00:00Z until 2027-01-16T08:00:00Z: 2 calls"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 140), "{text}");
        assert_eq!(read(&text), Ok(all.clone()));
        let quoted = format!("Hello,\r\nours is below.\r\n\r\n{}\r\n-- \r\nAda", text.replace('\n', "\r\n"));
        assert_eq!(read(&quoted), Ok(all));
    }

    #[test]
    fn what_was_cut_or_changed_on_the_way_is_refused_by_its_block() {
        let text = write(&proposals());
        assert_eq!(read("Hello"), Err(FileError::None));
        let end = text.rfind(END).unwrap();
        assert_eq!(read(&text[..end]), Err(FileError::CutOff(2)));
        let begin = text.find(BEGIN).unwrap() + BEGIN.len() + 1;
        let changed = format!("{}*{}", &text[..begin], &text[begin + 1..]);
        assert_eq!(read(&changed), Err(FileError::Encoding(1)));
        let other = format!("{}AAAA{}", &text[..begin], &text[begin + 4..]);
        assert!(matches!(read(&other), Err(FileError::Statement { block: 1, .. })), "{:?}", read(&other));
    }
}
