//! Rate decks from CSV.
//!
//! The first line names the columns, in any order:
//!
//! | column | what |
//! |---|---|
//! | `prefix` | the first digits of the number with country code, `44` or `+44`; needed |
//! | `rate_sat` or `rate_msat` | for a minute: sat with at most three places (`4.125`), or whole millisatoshi (`4125`); one of them is needed |
//! | `destination` | what people call it; at most 120 characters |
//! | `connect_sat` or `connect_msat` | for the answer; nothing if empty |
//! | `increments` | first and next in seconds, `60/6`; `60/60` if empty |
//! | `grace` | calls shorter than so many seconds are free; 0 if empty |
//! | `minimum` | billed for at least so many seconds; 0 if empty |
//! | `valid_from`, `valid_until` | `2026-12-01T00:00:00Z`, or `2026-12-01` for midnight UTC; that of the deck if empty |
//!
//! Comma or semicolon between the cells, quotes where a cell has one; UTF-8. What is wrong is told by line and column, all of it
//! up to [`MOST_ERRORS`]; a file with one mistake is not taken at all.

use std::collections::HashMap;
use std::fmt;

use csv::{ByteRecord, ReaderBuilder};

use super::number::{NumberError, Prefix};
use super::price::{Increments, Price, Terms};
use super::table::Line;
use crate::{Msat, UnixMillis};

/// Mistakes that are listed; the rest is counted.
pub const MOST_ERRORS: usize = 100;
/// Lines of a deck. The largest A-Z decks of carriers have some 300 000.
pub const MOST_LINES: usize = 1_000_000;
/// Bytes of a file.
pub const MOST_BYTES: usize = 128 * 1024 * 1024;
/// Characters of a destination's name.
const MOST_NAME: usize = 120;
/// Characters of a wrong value that are shown.
const SHOWN: usize = 40;

/// A column that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Column {
    Prefix,
    Destination,
    RateSat,
    RateMsat,
    ConnectSat,
    ConnectMsat,
    Increments,
    Grace,
    Minimum,
    ValidFrom,
    ValidUntil,
}

impl Column {
    const ALL: [Self; 11] = [
        Self::Prefix,
        Self::Destination,
        Self::RateSat,
        Self::RateMsat,
        Self::ConnectSat,
        Self::ConnectMsat,
        Self::Increments,
        Self::Grace,
        Self::Minimum,
        Self::ValidFrom,
        Self::ValidUntil,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Destination => "destination",
            Self::RateSat => "rate_sat",
            Self::RateMsat => "rate_msat",
            Self::ConnectSat => "connect_sat",
            Self::ConnectMsat => "connect_msat",
            Self::Increments => "increments",
            Self::Grace => "grace",
            Self::Minimum => "minimum",
            Self::ValidFrom => "valid_from",
            Self::ValidUntil => "valid_until",
        }
    }
}

/// What is wrong with one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// In which line of the file, from 1, the head being the first.
    pub line: u64,
    /// The column's name.
    pub column: String,
    /// What stands there, its first 40 characters.
    pub value: String,
    /// What is wrong and what is expected.
    pub wrong: String,
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {:?} {}", self.line, self.column, self.value, self.wrong)
    }
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// More than [`MOST_BYTES`].
    #[error("the file has {0} bytes; a deck has at most {MOST_BYTES}")]
    TooLarge(usize),
    /// More than [`MOST_LINES`].
    #[error("the file has more than {MOST_LINES} lines")]
    TooMany,
    /// Nothing but a head, or not even that.
    #[error("the file has no lines; the first names the columns, each other one is a prefix with its rate")]
    Empty,
    /// Cells are wrong: those listed, and so many more.
    #[error("{}", told(.errors, *.more))]
    Cells {
        /// The first of them, at most [`MOST_ERRORS`].
        errors: Vec<CellError>,
        /// Those that are not listed.
        more: usize,
    },
}

fn told(errors: &[CellError], more: usize) -> String {
    let mut text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    text
}

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Errors {
    listed: Vec<CellError>,
    more: usize,
}

impl Errors {
    fn add(&mut self, line: u64, column: &str, value: &str, wrong: impl Into<String>) {
        if self.listed.len() >= MOST_ERRORS {
            self.more += 1;
            return;
        }
        let (column, value) = (shown(column), shown(value));
        self.listed.push(CellError { line, column, value, wrong: wrong.into() });
    }

    /// Goes on with none, or tells them.
    fn none_yet(self) -> Result<Self, ImportError> {
        if self.listed.is_empty() { Ok(self) } else { Err(ImportError::Cells { errors: self.listed, more: self.more }) }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Reads a deck.
///
/// # Errors
/// [`ImportError`]: by line and column what is wrong and what is expected.
pub fn read_csv(bytes: &[u8]) -> Result<Vec<Line>, ImportError> {
    if bytes.len() > MOST_BYTES {
        return Err(ImportError::TooLarge(bytes.len()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(bytes);
    let mut rows = reader.byte_records().map(|row| match row {
        Ok(row) => row,
        // Flexible, and bytes from memory: no row can fail.
        Err(_) => ByteRecord::new(),
    });
    let head = rows.next().ok_or(ImportError::Empty)?;
    let mut errors = Errors::default();
    let columns = columns(&head, &mut errors);
    errors = errors.none_yet()?;
    let mut lines = Vec::new();
    let mut seen = HashMap::new();
    for row in rows {
        if lines.len() >= MOST_LINES {
            return Err(ImportError::TooMany);
        }
        let number = row.position().map_or(0, csv::Position::line);
        let mut cells = Row { number, row: &row, columns: &columns, errors: &mut errors };
        let Some(line) = cells.line() else { continue };
        if let Some(before) = seen.insert((line.prefix, line.valid_from), number) {
            let what = format!("stands in line {before} too; leave one, or give the later one its valid_from");
            errors.add(number, Column::Prefix.name(), &line.prefix.to_string(), what);
        }
        lines.push(line);
    }
    errors.none_yet()?;
    if lines.is_empty() { Err(ImportError::Empty) } else { Ok(lines) }
}

/// Which column is where. What is missing or unknown goes to the errors.
fn columns(head: &ByteRecord, errors: &mut Errors) -> Vec<Column> {
    let mut columns = Vec::new();
    for cell in head {
        let name = String::from_utf8_lossy(cell).trim().to_ascii_lowercase();
        match Column::ALL.into_iter().find(|column| column.name() == name) {
            Some(column) if columns.contains(&column) => errors.add(1, &name, &name, "stands in the head twice"),
            Some(column) => columns.push(column),
            None => {
                let known = Column::ALL.map(Column::name).join(", ");
                errors.add(1, &name, &name, format!("is no column; those known are {known}"));
            }
        }
    }
    let has = |column| columns.contains(&column);
    if !has(Column::Prefix) {
        errors.add(1, "prefix", "", "is missing in the head");
    }
    for (sat, msat) in [(Column::RateSat, Column::RateMsat), (Column::ConnectSat, Column::ConnectMsat)] {
        let both = format!("{} and {}", sat.name(), msat.name());
        match (has(sat), has(msat)) {
            (true, true) => errors.add(1, &both, "", "are both in the head; keep one of them"),
            (false, false) if sat == Column::RateSat => {
                errors.add(1, sat.name(), "", "is missing in the head (or rate_msat)");
            }
            _ => {}
        }
    }
    columns
}

/// A row and its cells.
struct Row<'a> {
    number: u64,
    row: &'a ByteRecord,
    columns: &'a [Column],
    errors: &'a mut Errors,
}

impl Row<'_> {
    fn line(&mut self) -> Option<Line> {
        if self.row.len() != self.columns.len() {
            let wrong = format!("has {} cells where the head has {}", self.row.len(), self.columns.len());
            self.errors.add(self.number, "all", &self.text_of(0), wrong);
            return None;
        }
        // All cells are read, so that all that is wrong is told.
        let prefix = self.prefix();
        let destination = self.destination();
        let rate = self.amount(Column::RateSat, Column::RateMsat, true);
        let connect = self.amount(Column::ConnectSat, Column::ConnectMsat, false);
        let increments = self.increments();
        let (grace, minimum) = (self.seconds(Column::Grace), self.seconds(Column::Minimum));
        let (from, until) = (self.time(Column::ValidFrom), self.time(Column::ValidUntil));
        let (valid_from, valid_until) = (from?, until?);
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && until <= from
        {
            let value = self.cell(Column::ValidUntil).unwrap_or_default();
            self.wrong(Column::ValidUntil, &value, "is not behind valid_from");
            return None;
        }
        let terms = Terms {
            connect_fee: connect?,
            per_minute: rate?,
            increments: increments?,
            grace: grace?,
            minimum: minimum?,
        };
        match Price::new(terms) {
            Ok(price) => Some(Line { prefix: prefix?, destination: destination?, price, valid_from, valid_until }),
            Err(error) => {
                self.errors.add(self.number, "all", &self.text_of(0), format!("has a price that cannot be: {error}"));
                None
            }
        }
    }

    fn text_of(&self, place: usize) -> String {
        self.row.get(place).map(String::from_utf8_lossy).unwrap_or_default().trim().to_owned()
    }

    /// What stands in a column; `None`: nothing, or there is no such column.
    fn cell(&self, column: Column) -> Option<String> {
        let place = self.columns.iter().position(|c| *c == column)?;
        Some(self.text_of(place)).filter(|text| !text.is_empty())
    }

    fn wrong(&mut self, column: Column, value: &str, wrong: impl Into<String>) {
        self.errors.add(self.number, column.name(), value, wrong);
    }

    fn prefix(&mut self) -> Option<Prefix> {
        let cell = self.cell(Column::Prefix).unwrap_or_default();
        match cell.parse() {
            Ok(prefix) => Some(prefix),
            Err(error) => {
                let why = match error {
                    NumberError::Empty => "is empty".to_owned(),
                    other => format!("is no prefix ({other})"),
                };
                self.wrong(
                    Column::Prefix,
                    &cell,
                    format!("{why}; 1 to 15 digits from the country code on are expected"),
                );
                None
            }
        }
    }

    fn destination(&mut self) -> Option<Box<str>> {
        let cell = self.cell(Column::Destination).unwrap_or_default();
        if cell.chars().count() > MOST_NAME || cell.chars().any(char::is_control) || cell.contains('\u{fffd}') {
            let expected =
                format!("is no name; at most {MOST_NAME} characters of UTF-8 without line breaks are expected");
            self.wrong(Column::Destination, &cell, expected);
            return None;
        }
        Some(cell.into())
    }

    fn amount(&mut self, sat: Column, msat: Column, needed: bool) -> Option<Msat> {
        let (column, unit, expected) = if self.columns.contains(&msat) {
            (msat, "msat", "whole millisatoshi are expected, as in 4125")
        } else {
            (sat, "sat", "sat with at most three places are expected, as in 4.125")
        };
        let Some(cell) = self.cell(column) else {
            if needed {
                self.wrong(column, "", format!("is empty; {expected}"));
            }
            return (!needed).then_some(Msat::ZERO);
        };
        // No groups and no unit in the cell: the column's name says the unit, and a comma might be either.
        let plain = cell.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let amount = if plain {
            format!("{cell} {unit}").parse::<Msat>().map_err(|error| error.to_string())
        } else {
            Err("it has other characters than digits and a point".to_owned())
        };
        match amount {
            Ok(amount) if amount <= super::price::MOST => Some(amount),
            Ok(_) => {
                self.wrong(column, &cell, format!("is more than {}, surely a mistake; {expected}", super::price::MOST));
                None
            }
            Err(why) => {
                self.wrong(column, &cell, format!("is no amount ({why}); {expected}"));
                None
            }
        }
    }

    fn increments(&mut self) -> Option<Increments> {
        let Some(cell) = self.cell(Column::Increments) else { return Some(Increments::MINUTES) };
        match cell.parse() {
            Ok(increments) => Some(increments),
            Err(_) => {
                let expected =
                    "are no increments; the first and the next in seconds (1 to 86400) are expected, as in 60/6";
                self.wrong(Column::Increments, &cell, expected);
                None
            }
        }
    }

    fn seconds(&mut self, column: Column) -> Option<u32> {
        let Some(cell) = self.cell(column) else { return Some(0) };
        let plain = cell.bytes().all(|b| b.is_ascii_digit());
        match cell.parse() {
            Ok(seconds) if plain && seconds <= super::price::LONGEST_INCREMENT => Some(seconds),
            _ => {
                self.wrong(column, &cell, "is no time; whole seconds are expected, at most 86400");
                None
            }
        }
    }

    /// `Some(None)`: no time is given.
    fn time(&mut self, column: Column) -> Option<Option<UnixMillis>> {
        let Some(cell) = self.cell(column) else { return Some(None) };
        let timestamp = cell.parse::<jiff::Timestamp>().ok().or_else(|| {
            let date = Some(&cell).filter(|cell| cell.len() == 10)?.parse::<jiff::civil::Date>().ok()?;
            Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        });
        match timestamp.and_then(|t| u64::try_from(t.as_millisecond()).ok()) {
            Some(ms) => Some(Some(UnixMillis(ms))),
            None => {
                let expected = "is no time; 2026-12-01T00:00:00Z is expected, or 2026-12-01 for midnight UTC";
                self.wrong(column, &cell, expected);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
