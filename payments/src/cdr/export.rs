//! Records for other programs: CSV with a line of names, or JSON, one record a line.

use std::fmt::Write as _;
use std::io;

use jiff::Timestamp;

use super::{Carrier, Cdr};
use crate::UnixMillis;
use crate::tariff::Rate;

/// The columns, in order. New ones come at the end: readers count.
pub const COLUMNS: [&str; 48] = [
    "call_id",
    "leg",
    "revision",
    "partial_seq",
    "direction",
    "account",
    "tenant",
    "caller",
    "callee",
    "prefix",
    "rate_id",
    "deck_version",
    "carrier",
    "carrier_rate_id",
    "setup",
    "answer",
    "end",
    "duration_ms",
    "billed_s",
    "increments",
    "connect_fee_msat",
    "rate_per_minute_msat",
    "grace_s",
    "minimum_s",
    "currency",
    "cost_msat",
    "carrier_cost_msat",
    "margin_msat",
    "fx_rate_id",
    "hangup_cause",
    "sip_code",
    "hangup_side",
    "codec",
    "mos",
    "lost_per_10000",
    "reserved_msat",
    "charged_msat",
    "released_msat",
    "unpaid_msat",
    "transfers",
    "node",
    "payee",
    "reference",
    "digest",
    "carrier_prefix",
    "carrier_increments",
    "carrier_connect_fee_msat",
    "carrier_rate_per_minute_msat",
];

/// Writes records as CSV (RFC 4180), the names of the columns first. Times are UTC as in RFC 3339; what is not known is empty.
/// Words that a spreadsheet would take for a formula get an apostrophe in front.
///
/// # Errors
/// What the writer says.
pub fn csv(records: &[Cdr], to: impl io::Write) -> Result<(), csv::Error> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(to);
    csv.write_record(COLUMNS)?;
    for record in records {
        csv.write_record(cells(record))?;
    }
    csv.flush()?;
    Ok(())
}

/// Writes records as JSON, one a line, with all that they hold: what [`super::store`] keeps, to be read back.
///
/// # Errors
/// What the writer says.
pub fn json(records: &[Cdr], mut to: impl io::Write) -> io::Result<()> {
    records.iter().try_for_each(|record| writeln!(to, "{}", record.json()))
}

fn time(at: UnixMillis) -> String {
    let stamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    stamp.map(|stamp| format!("{stamp:.3}")).unwrap_or_default()
}

/// Words that somebody else chose.
fn words(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// Names the line of a deck that a rate is from.
fn rate_id(rate: &Rate) -> String {
    words(&format!("{}/{}/{}", rate.deck.name, rate.deck.version, rate.prefix))
}

/// An enum's word, as JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn known<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn cells(record: &Cdr) -> [String; COLUMNS.len()] {
    let (about, ending, rate) = (&record.about, &record.ending, &record.rate);
    let terms = rate.price.terms();
    let carrier = about.carrier.as_ref();
    let of_carrier = |of: fn(&Carrier) -> String| carrier.map(of).unwrap_or_default();
    let mut transfers = String::new();
    for id in &record.transfers {
        // Writing into a string does not fail.
        let _ = write!(transfers, "{}{id}", if transfers.is_empty() { "" } else { " " });
    }
    [
        words(&record.call),
        record.leg.to_string(),
        record.revision.to_string(),
        record.partial.to_string(),
        word(&about.direction),
        record.account.to_string(),
        words(&about.tenant),
        known(about.caller.map(crate::tariff::Number::reveal)),
        known(about.callee.map(crate::tariff::Number::reveal)),
        rate.prefix.to_string(),
        rate_id(rate),
        rate.deck.version.to_string(),
        of_carrier(|carrier| words(&carrier.trunk)),
        of_carrier(|carrier| rate_id(&carrier.rate)),
        time(about.setup),
        known(record.answered.map(time)),
        time(record.ended),
        record.length.as_millis().to_string(),
        record.billed_seconds.to_string(),
        terms.increments.to_string(),
        terms.connect_fee.msat().to_string(),
        terms.per_minute.msat().to_string(),
        terms.grace.to_string(),
        terms.minimum.to_string(),
        "msat".to_owned(),
        record.cost.msat().to_string(),
        known(record.carrier_cost.map(crate::Msat::msat)),
        known(record.margin()),
        known(record.fx_rate.as_deref().map(words)),
        known(ending.cause),
        known(ending.sip),
        known(ending.side.map(|side| word(&side))),
        known(ending.codec.as_deref().map(words)),
        known(ending.mos),
        known(ending.lost),
        record.reserved.msat().to_string(),
        record.charged.msat().to_string(),
        record.released().msat().to_string(),
        record.unpaid.msat().to_string(),
        transfers,
        words(&about.node),
        record.payee.to_string(),
        known(record.reference.as_deref().map(words)),
        hex::encode(record.digest()),
        of_carrier(|carrier| carrier.rate.prefix.to_string()),
        of_carrier(|carrier| carrier.rate.price.terms().increments.to_string()),
        of_carrier(|carrier| carrier.rate.price.terms().connect_fee.msat().to_string()),
        of_carrier(|carrier| carrier.rate.price.terms().per_minute.msat().to_string()),
    ]
}

#[cfg(test)]
mod tests;
