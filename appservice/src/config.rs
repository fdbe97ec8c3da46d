//! The configuration: one YAML file, environment variables over it, secrets from files.
//!
//! Reading does nothing but check words: no file named in it is opened and no peer is asked. Every key has a
//! default but `homeserver.url`, `homeserver.server_name`, `livekit.url`, `livekit.api_key` and its secret. An
//! unknown or wrong key is an error that names the key and its line. `ROOMTONE_SECTION__KEY` overrides a key,
//! `ROOMTONE_SECTION__KEY_FILE` takes its value from a file. The commented example is docs/roomtone.example.yaml.
mod environment;
mod operator_key;
mod sections;
mod speech;
mod values;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

pub use operator_key::{OperatorKey, OperatorKeyError};
pub use sections::{Appservice, Authorisation, Homeserver, Level, Limits, LiveKit, Permissions, Sip};
pub use speech::{Backend, Bert, Endpoint, Metrics, Notes, Speakers, Transcription, Writer, seen_by};
pub use values::{Did, PortRange};

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file, or a file that a `…_FILE` variable names, cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The YAML does not fit: says which key and which line.
    #[error("{path}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Key, cause, line and column.
        message: String,
    },
    /// An environment variable does not fit.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        message: String,
    },
    /// A key of `payments` cannot be right.
    #[error(transparent)]
    Payments(payments::attach::SettingsError),
    /// A key's value cannot be right, or a key is missing.
    #[error("{key}: {message}")]
    Value {
        /// The key, as in `homeserver.url`.
        key: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// The whole configuration, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The homeserver that Roomtone is registered with.
    #[serde(default)]
    pub homeserver: Homeserver,
    /// How the homeserver reaches Roomtone, and where the registration lies.
    #[serde(default)]
    pub appservice: Appservice,
    /// Where databases and stores are kept. Default: `roomtone-data` beside the working directory.
    #[serde(default = "values::data_dir")]
    pub data_dir: PathBuf,
    /// The file with the operator's 32-byte key; made at the first run. Default: `operator.key` in `data_dir`.
    #[serde(default)]
    pub operator_key_file: Option<PathBuf>,
    /// The telephone side.
    #[serde(default)]
    pub sip: Sip,
    /// Which number rings which room (id or alias). More can be linked by `!call link`.
    #[serde(default)]
    pub numbers: std::collections::BTreeMap<Did, matrix_sdk::ruma::OwnedRoomOrAliasId>,
    /// The media server and its authorisation service.
    #[serde(default)]
    pub livekit: LiveKit,
    /// Who may use Roomtone: users, servers or `*`.
    #[serde(default)]
    pub permissions: Permissions,
    /// Speech recognition.
    #[serde(default)]
    pub transcription: Transcription,
    /// What is written after a call.
    #[serde(default)]
    pub notes: Notes,
    /// Charging for calls. Without it nobody is charged.
    #[serde(default)]
    pub payments: Option<payments::attach::Settings>,
    /// Bounds on what strangers may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// Counts for Prometheus.
    #[serde(default)]
    pub metrics: Metrics,
}

impl Config {
    /// Reads `path`, lays the environment over it and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or variable, the key and (for YAML) the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text, std::env::vars())
    }

    /// Like [`Config::load`] with the text and the environment given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let invalid = |message: String| ConfigError::Invalid { path: path.to_owned(), message };
        let text = if text.trim().is_empty() { "{}" } else { text };
        // The text is read typed first: only so does an error know its line.
        let from_file: Self = serde_yaml_ng::from_str(text).map_err(|e| invalid(e.to_string()))?;
        let mut tree: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(|e| invalid(e.to_string()))?;
        let before = tree.clone();
        environment::overlay(&mut tree, environment, |tree| {
            serde_yaml_ng::from_value::<Self>(tree.clone()).map(drop).map_err(|e| e.to_string())
        })?;
        let mut config = if tree == before {
            from_file
        } else {
            serde_yaml_ng::from_value(tree).map_err(|e| invalid(e.to_string()))?
        };
        config.complete()?;
        Ok(config)
    }

    /// Fills what follows from other keys, and refuses what cannot be.
    fn complete(&mut self) -> Result<(), ConfigError> {
        self.homeserver.check()?;
        self.appservice.check()?;
        self.sip.check()?;
        self.livekit.check()?;
        self.transcription.check()?;
        self.notes.check()?;
        if let Some(payments) = &self.payments {
            payments.check().map_err(ConfigError::Payments)?;
        }
        self.permissions.check()?;
        if self.permissions.is_empty() {
            self.permissions.allow_server(&self.homeserver.server_name);
        }
        Ok(())
    }

    /// Where the operator's key lies.
    #[must_use]
    pub fn operator_key_path(&self) -> PathBuf {
        self.operator_key_file.clone().unwrap_or_else(|| self.data_dir.join("operator.key"))
    }

    /// The machines beside this one that see what people say, by name.
    #[must_use]
    pub fn seen_by(&self) -> std::collections::BTreeSet<String> {
        seen_by(&self.transcription, &self.notes)
    }

    /// The address of the MatrixRTC authorisation service that members of our calls are pointed to when the homeserver
    /// names none: the operator's own service, or ours under `appservice.public_url`.
    #[must_use]
    pub fn livekit_service_url(&self) -> String {
        match &self.livekit.authorisation {
            Authorisation::Service(url) => url.trim_end_matches('/').to_owned(),
            Authorisation::Own => format!("{}/livekit/jwt", self.appservice.public_url.trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests;
