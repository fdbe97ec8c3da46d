//! What can go wrong with Matrix, and how certain it is.
use std::path::PathBuf;

use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId, api::error::ErrorBody};
use thiserror::Error;

/// Why something could not be done in Matrix.
#[derive(Debug, Error)]
pub enum MatrixError {
    /// The homeserver did not answer, or answered with an error of its own. Whether the request was carried out is
    /// not known; the same transaction id may be used again.
    #[error("{what}: the homeserver does not answer: {cause}")]
    Unreachable {
        /// What was tried.
        what: &'static str,
        /// What the transport said.
        cause: String,
    },
    /// The homeserver refused. Certain: nothing was done.
    #[error("{what}: the homeserver refused: {errcode} ({status}): {message}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// As in `M_FORBIDDEN`.
        errcode: String,
        /// The homeserver's words.
        message: String,
        /// For `M_LIMIT_EXCEEDED`: when to ask again.
        retry_after: Option<std::time::Duration>,
    },
    /// The encryption or the local store failed. Certain: nothing was sent.
    #[error("{what}: {cause}")]
    Local {
        /// What was tried.
        what: &'static str,
        /// What the library said.
        cause: String,
    },
    /// It is not certain whether the room is encrypted, so that nothing was sent.
    #[error("nothing was sent to {room}: whether it is encrypted is not known for certain ({why})")]
    EncryptionUnknown {
        /// The room.
        room: OwnedRoomId,
        /// What contradicts.
        why: String,
    },
    /// The user is not in the room.
    #[error("{user} is not in {room}")]
    NotJoined {
        /// Which of our users.
        user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
    },
    /// The store's folder cannot be used.
    #[error("store {path}: {cause}")]
    Store {
        /// The folder or file.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// Roomtone is shutting down.
    #[error("shutting down")]
    Stopped,
}

impl MatrixError {
    /// Whether nothing was done. `false`: it may have been done, only a retry with the same transaction id tells.
    #[must_use]
    pub fn certain(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Stopped)
    }

    /// The homeserver's error code, where it gave one.
    #[must_use]
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    #[allow(clippy::needless_pass_by_value, reason = "for map_err, which gives the error away")]
    pub(crate) fn local(what: &'static str, cause: impl ToString) -> Self {
        Self::Local { what, cause: cause.to_string() }
    }

    /// From the SDK's error: who said it decides what it is.
    pub(crate) fn sdk(what: &'static str, error: impl Into<matrix_sdk::Error>) -> Self {
        let error = error.into();
        if let Some(api) = error.as_client_api_error() {
            let status = api.status_code.as_u16();
            let (errcode, message, retry_after) = match &api.body {
                ErrorBody::Standard(body) => (
                    body.kind.errcode().to_string(),
                    body.message.clone(),
                    api.error_kind().and_then(|kind| match kind {
                        matrix_sdk::ruma::api::error::ErrorKind::LimitExceeded(l) => match &l.retry_after {
                            Some(matrix_sdk::ruma::api::error::RetryAfter::Delay(d)) => Some(*d),
                            _ => None,
                        },
                        _ => None,
                    }),
                ),
                _ => ("M_UNKNOWN".to_owned(), "an answer that is no Matrix error".to_owned(), None),
            };
            return if status >= 500 {
                Self::Unreachable { what, cause: format!("status {status} {errcode}: {message}") }
            } else {
                Self::Refused { what, status, errcode, message, retry_after }
            };
        }
        match &error {
            // Its text names the identity proxy's address, which is a secret.
            matrix_sdk::Error::Http(e) => {
                Self::Unreachable { what, cause: crate::masked::mask(&e.to_string()).into_owned() }
            }
            _ => Self::Local { what, cause: error.to_string() },
        }
    }
}
