//! LND's answers: JSON with 64-bit numbers as words, errors in two shapes, and streams of a line each.

use std::fmt::Display;

use serde_json::Value;

use crate::Msat;
use crate::lightning::{Cursor, InvoiceState, NodeError, Outgoing, PaymentHash, Settlement};

/// The longest answer that is read: a page of invoices has a few megabytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// gRPC's numbers of errors.
const INVALID_ARGUMENT: i64 = 3;
const NOT_FOUND: i64 = 5;

/// Why LND did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The connection was never made.
    NotReached(String),
    /// It may have done it.
    Unsure(String),
    /// It answered with an error.
    Said { code: i64, message: String },
}

impl Refusal {
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Said { message, .. } if message.contains(words))
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Said { code: NOT_FOUND, .. })
            || self.says("unable to locate invoice")
            || self.says("there are no existing invoices")
            || self.says("payment isn't initiated")
    }

    /// Why a payment was turned away before anything was done, if that is certain.
    pub(super) fn turned_away(&self) -> Option<String> {
        match self {
            Self::Said { code: INVALID_ARGUMENT, message } => Some(message.clone()),
            Self::Said { message, .. }
                if message.contains("self-payments not allowed") || message.contains("invoice expired") =>
            {
                Some(message.clone())
            }
            _ => None,
        }
    }
}

impl From<Refusal> for NodeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotReached(why) => Self::Refused(why),
            Refusal::Unsure(why) => Self::Unsure(why),
            // Told apart from other errors by its words alone: it comes as HTTP 500, too.
            Refusal::Said { message, .. } if is_about_rights(&message) => Self::Refused(message),
            Refusal::Said { code, message } => Self::Unsure(format!("{message} ({code})")),
        }
    }
}

fn is_about_rights(message: &str) -> bool {
    message.contains("permission denied") || message.contains("verification failed") || message.contains("macaroon")
}

pub(super) fn odd(what: impl Display) -> NodeError {
    NodeError::Unsure(format!("LND's answer is not understood: {what}"))
}

/// What went wrong on the way; never the address, nor what was sent.
fn lost(error: reqwest::Error) -> Refusal {
    let is_certain = error.is_connect() || error.is_builder();
    let mut words = error.without_url().to_string();
    words.truncate(words.floor_char_boundary(200));
    if is_certain { Refusal::NotReached(words) } else { Refusal::Unsure(words) }
}

/// An error in either of its shapes.
fn said(body: &Value) -> Option<Refusal> {
    let error = body.get("error").filter(|error| error.is_object()).unwrap_or(body);
    let code = error.get("code")?.as_i64()?;
    let message = error.get("message")?.as_str()?.chars().take(300).collect();
    Some(Refusal::Said { code, message })
}

/// A whole answer.
pub(super) async fn answer(sent: Result<reqwest::Response, reqwest::Error>) -> Result<Value, Refusal> {
    let mut response = sent.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Refusal::Unsure(format!("LND's answer is longer than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    understand(status.as_u16(), &body)
}

/// An answer's body: what was asked for, or an error.
pub(super) fn understand(status: u16, body: &[u8]) -> Result<Value, Refusal> {
    let json: Result<Value, _> = serde_json::from_slice(body);
    match json {
        Ok(json) if status == 200 => said(&json).map_or(Ok(json), Err),
        Ok(json) => Err(said(&json).unwrap_or_else(|| Refusal::Unsure(format!("HTTP status {status}")))),
        Err(_) => Err(Refusal::Unsure(format!("HTTP status {status}, and no JSON"))),
    }
}

/// A stream of answers, a line each.
pub(super) struct Stream {
    response: reqwest::Response,
    read: Vec<u8>,
}

impl Stream {
    pub(super) async fn open(request: reqwest::RequestBuilder) -> Result<Self, Refusal> {
        let response = request.send().await.map_err(lost)?;
        if response.status() == reqwest::StatusCode::OK {
            return Ok(Self { response, read: Vec::new() });
        }
        match answer(Ok(response)).await {
            Ok(_) => Err(Refusal::Unsure("neither a stream nor an error".to_owned())),
            Err(refusal) => Err(refusal),
        }
    }

    /// The next answer; `None`: it has ended. Can be dropped while it waits, and asked again.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Refusal> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return one(&line).map(Some);
            }
            if self.read.len() > MAX_ANSWER {
                return Err(Refusal::Unsure(format!("a line of LND's is longer than {MAX_ANSWER} bytes")));
            }
            match self.response.chunk().await.map_err(lost)? {
                Some(chunk) => self.read.extend_from_slice(&chunk),
                None if self.read.trim_ascii().is_empty() => return Ok(None),
                None => return one(&std::mem::take(&mut self.read)).map(Some),
            }
        }
    }
}

/// A line of a stream: `{"result": …}` or `{"error": …}`.
pub(super) fn one(line: &[u8]) -> Result<Value, Refusal> {
    let mut json = understand(200, line)?;
    match json.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(Refusal::Unsure("neither a result nor an error".to_owned())),
    }
}

pub(super) fn text<'a>(body: &'a Value, field: &str) -> Result<&'a str, NodeError> {
    body.get(field).and_then(Value::as_str).ok_or_else(|| odd(format!("no {field}")))
}

/// A number, as words or as digits.
pub(super) fn number(body: &Value, field: &str) -> Result<u64, NodeError> {
    let value = body.get(field);
    let number = value.and_then(Value::as_u64).or_else(|| value.and_then(Value::as_str)?.parse().ok());
    number.ok_or_else(|| odd(format!("no {field}")))
}

/// An amount; nothing where LND leaves it out.
pub(super) fn msat(body: &Value, field: &str) -> Result<Msat, NodeError> {
    if body.get(field).is_none() {
        return Ok(Msat::ZERO);
    }
    Msat::new(number(body, field)?).ok_or_else(|| odd(format!("{field} is more than all money there is")))
}

/// An amount in satoshi; nothing where LND leaves it out.
pub(super) fn sat(body: &Value, field: &str) -> Result<Msat, NodeError> {
    if body.get(field).is_none() {
        return Ok(Msat::ZERO);
    }
    Msat::from_sat(number(body, field)?).ok_or_else(|| odd(format!("{field} is more than all money there is")))
}

pub(super) fn state(invoice: &Value) -> Result<InvoiceState, NodeError> {
    match text(invoice, "state")? {
        "OPEN" | "ACCEPTED" => Ok(InvoiceState::Open),
        "SETTLED" => Ok(InvoiceState::Settled(msat(invoice, "amt_paid_msat")?)),
        "CANCELED" => Ok(InvoiceState::Cancelled),
        other => Err(odd(format!("an invoice that is {other}"))),
    }
}

/// A settlement; `None`: the invoice is not settled.
pub(super) fn settlement(invoice: &Value) -> Result<Option<Settlement>, NodeError> {
    let InvoiceState::Settled(amount) = state(invoice)? else { return Ok(None) };
    let hash = base64::Engine::decode(&super::BASE64, text(invoice, "r_hash")?).map_err(odd)?;
    let hash = PaymentHash(hash.try_into().map_err(|_| odd("a hash of another length"))?);
    Ok(Some(Settlement { hash, amount, cursor: Cursor(number(invoice, "settle_index")?) }))
}

pub(super) fn outgoing(payment: &Value) -> Result<Outgoing, NodeError> {
    match text(payment, "status")? {
        "IN_FLIGHT" | "INITIATED" => Ok(Outgoing::InFlight),
        "SUCCEEDED" => {
            let mut preimage = [0; 32];
            hex::decode_to_slice(text(payment, "payment_preimage")?, &mut preimage).map_err(odd)?;
            Ok(Outgoing::Succeeded { fee: msat(payment, "fee_msat")?, preimage: Some(preimage) })
        }
        "FAILED" => {
            let why = payment.get("failure_reason").and_then(Value::as_str).unwrap_or("no reason");
            Ok(Outgoing::Failed(why.trim_start_matches("FAILURE_REASON_").to_lowercase().replace('_', " ")))
        }
        // What a newer LND says and we do not know is no failure.
        _ => Ok(Outgoing::InFlight),
    }
}

/// Reads bytes as every answer, for fuzzing: they are understood or refused.
pub(in crate::lightning) fn read_as_any(data: &[u8]) {
    let Ok(json) = understand(200, data).or_else(|_| one(data)) else { return };
    // Only that they come back matters.
    let _ = (state(&json), settlement(&json), outgoing(&json), text(&json, "payment_request").map(str::len));
    let _ = (msat(&json, "msat"), sat(&json, "total_balance"), number(&json, "last_index_offset"));
}

#[cfg(test)]
mod tests;
