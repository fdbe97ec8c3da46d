//! The application service API (version 1). Roomtone syncs by itself, so that a transaction is taken and nothing else:
//! what it holds comes by `/sync`, complete and in order.
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use matrix_sdk::ruma::UserId;
use serde_json::{Value, json};

use super::{AppState, FromHomeserver, error};
use crate::registration;

/// How many transaction ids are remembered.
const REMEMBERED: usize = 128;

/// The transactions taken last.
#[derive(Default)]
pub(super) struct Transactions(Mutex<(VecDeque<String>, u64)>);

impl Transactions {
    /// Whether `txn` is new.
    fn take(&self, txn: String) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.contains(&txn) {
            return false;
        }
        if known.0.len() == REMEMBERED {
            known.0.pop_front();
        }
        known.0.push_back(txn);
        known.1 += 1;
        true
    }

    pub(super) fn taken(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

pub(super) async fn transaction(
    _: FromHomeserver,
    State(state): State<AppState>,
    Path(txn): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Response> {
    let Ok(content) = serde_json::from_slice::<Value>(&body) else {
        return Err(error(StatusCode::BAD_REQUEST, "M_NOT_JSON", "a transaction is a JSON object"));
    };
    if !content["events"].is_array() {
        return Err(error(StatusCode::BAD_REQUEST, "M_BAD_JSON", "a transaction has a list of events"));
    }
    let new = state.0.transactions.take(txn);
    tracing::trace!(events = content["events"].as_array().map_or(0, Vec::len), new, "transaction");
    Ok(Json(json!({})))
}

/// 200 for users that are Roomtone's own, so far as their names say; nobody is made.
pub(super) async fn user(
    _: FromHomeserver,
    State(state): State<AppState>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Response> {
    let server = &state.0.server_name;
    let known = UserId::parse(&user).is_ok_and(|user| {
        let ghost = user.localpart().strip_prefix(registration::GHOST_PREFIX);
        let named = user.localpart() == registration::BOT_LOCALPART
            || ghost.is_some_and(|d| {
                d == "withheld" || ((3..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
            });
        named && user.server_name() == server
    });
    if known {
        Ok(Json(json!({})))
    } else {
        Err(error(StatusCode::NOT_FOUND, "M_NOT_FOUND", "no such user of Roomtone's"))
    }
}

/// Roomtone has no aliases.
pub(super) async fn room(_: FromHomeserver, Path(_): Path<String>) -> Response {
    error(StatusCode::NOT_FOUND, "M_NOT_FOUND", "Roomtone has no room aliases")
}

pub(super) async fn ping(_: FromHomeserver) -> Json<Value> {
    Json(json!({}))
}
