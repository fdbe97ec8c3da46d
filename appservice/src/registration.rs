//! The registration: the file by which a homeserver knows an application service.
use std::{
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use bridge::ids::E164;
use matrix_sdk::ruma::{OwnedUserId, ServerName, UserId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::config::Config;

/// What all localparts of Roomtone begin with.
pub const PREFIX: &str = "_roomtone_";
/// The working bot. Not the sender: Synapse gives that user no `/sync`.
pub const BOT_LOCALPART: &str = "_roomtone_bot";
/// The registration's `sender_localpart`; nothing is ever done as this user.
pub const SENDER_LOCALPART: &str = "_roomtone_as";
/// What the localpart of a number's ghost begins with; the number's digits follow.
pub const GHOST_PREFIX: &str = "_roomtone_tel_";

/// Why a registration cannot be read or written.
#[derive(Debug, Error)]
pub enum RegistrationError {
    /// It exists already.
    #[error("{0} exists; its tokens are what the homeserver knows (--force writes new ones)")]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error("registration {path}: {source}; `roomtone registration` writes one")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else.
    #[error("registration {path}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
}

/// A registration file. Keys that Roomtone does not use are kept by the homeserver alone and not read here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// The application service's id.
    pub id: String,
    /// Where the homeserver sends transactions; none: it sends nothing, which works too (Roomtone syncs).
    pub url: Option<String>,
    /// What Roomtone shows to the homeserver.
    #[serde(serialize_with = "reveal")]
    pub as_token: SecretString,
    /// What the homeserver shows to Roomtone.
    #[serde(serialize_with = "reveal")]
    pub hs_token: SecretString,
    /// See [`SENDER_LOCALPART`].
    pub sender_localpart: String,
    /// Off: calls need more requests than people make.
    #[serde(default)]
    pub rate_limited: bool,
    /// The users that are Roomtone's own.
    pub namespaces: Namespaces,
    /// Devices are made by `PUT /devices` alone (MSC4190). Works with and without.
    #[serde(rename = "io.element.msc4190", default, skip_serializing_if = "std::ops::Not::not")]
    pub msc4190: bool,
}

/// The registration's namespaces.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespaces {
    /// Users.
    #[serde(default)]
    pub users: Vec<Namespace>,
    /// Aliases: none.
    #[serde(default)]
    pub aliases: Vec<Namespace>,
    /// Rooms: none.
    #[serde(default)]
    pub rooms: Vec<Namespace>,
}

/// One namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespace {
    /// Whether nobody else may use it.
    pub exclusive: bool,
    /// Which ids are in it.
    pub regex: String,
}

fn reveal<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn token() -> io::Result<SecretString> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(SecretString::from(hex::encode(bytes)))
}

impl Registration {
    /// A registration with fresh random tokens of 256 bits for the server and address that `config` names.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn fresh(config: &Config) -> io::Result<Self> {
        Self::fresh_for(&config.homeserver.server_name, &config.appservice.public_url)
    }

    /// As [`Registration::fresh`], for a given server and address.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn fresh_for(server: &ServerName, url: &str) -> io::Result<Self> {
        let server = server.as_str().replace('.', "\\.").replace('[', "\\[").replace(']', "\\]");
        Ok(Self {
            id: "roomtone".into(),
            url: Some(url.to_owned()),
            as_token: token()?,
            hs_token: token()?,
            sender_localpart: SENDER_LOCALPART.into(),
            rate_limited: false,
            namespaces: Namespaces {
                users: vec![Namespace { exclusive: true, regex: format!("^@{PREFIX}.*:{server}$") }],
                aliases: Vec::new(),
                rooms: Vec::new(),
            },
            msc4190: true,
        })
    }

    /// Writes the file with mode 0600. An existing one is kept unless `force`.
    ///
    /// # Errors
    /// [`RegistrationError::Exists`], or what the system said.
    pub fn write(&self, path: &Path, force: bool) -> Result<(), RegistrationError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => RegistrationError::Exists(path.to_owned()),
            _ => RegistrationError::Io { path: path.to_owned(), source },
        };
        let text = serde_yaml_ng::to_string(self)
            .map_err(|e| RegistrationError::Invalid { path: path.to_owned(), message: e.to_string() })?;
        if !force {
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
            return file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io);
        }
        // Under another name first: a half-written file must never lock the homeserver out.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let _ = std::fs::remove_file(&fresh);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&fresh, path).map_err(io)
    }

    /// Reads a registration.
    ///
    /// # Errors
    /// [`RegistrationError`] says what is wrong; above all when the bot is not in the namespace or is the sender.
    pub fn load(path: &Path) -> Result<Self, RegistrationError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| RegistrationError::Io { path: path.to_owned(), source })?;
        let invalid = |message: String| RegistrationError::Invalid { path: path.to_owned(), message };
        let registration: Self = serde_yaml_ng::from_str(&text).map_err(|e| invalid(e.to_string()))?;
        if registration.sender_localpart == BOT_LOCALPART {
            return Err(invalid(format!(
                "sender_localpart must not be {BOT_LOCALPART}: Synapse gives the sender no /sync"
            )));
        }
        if registration.as_token.expose_secret().len() < 8 || registration.hs_token.expose_secret().len() < 8 {
            return Err(invalid("as_token and hs_token must be long random words".into()));
        }
        if registration.as_token.expose_secret() == registration.hs_token.expose_secret() {
            return Err(invalid("as_token and hs_token must differ".into()));
        }
        if !registration.namespaces.users.iter().any(|n| n.regex.contains(PREFIX)) {
            return Err(invalid(format!(
                "no namespace for users covers @{PREFIX}…; write a new one with `roomtone registration`"
            )));
        }
        Ok(registration)
    }
}

/// The user id of the ghost that stands for `number`; callers who withhold theirs share one.
#[must_use]
pub fn ghost_id(number: Option<&E164>, server: &ServerName) -> OwnedUserId {
    UserId::parse(format!("@{}:{server}", ghost_localpart(number)))
        .expect("digits or a word after a constant prefix make a localpart")
}

/// The localpart of the ghost that stands for `number`.
#[must_use]
pub fn ghost_localpart(number: Option<&E164>) -> String {
    format!("{GHOST_PREFIX}{}", number.map_or("withheld", E164::digits))
}

/// Whether `user` is one of Roomtone's own on `server`.
#[must_use]
pub fn is_ours(user: &UserId, server: &ServerName) -> bool {
    user.server_name() == server && user.localpart().starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::server_name;

    use super::*;

    #[test]
    fn a_written_registration_is_read_back_and_not_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registration.yaml");
        let one = Registration::fresh_for(server_name!("a.test"), "http://127.0.0.1:9080").unwrap();
        one.write(&path, false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r"^@_roomtone_.*:a\.test$") && text.contains("io.element.msc4190: true"), "{text}");
        let two = Registration::fresh_for(server_name!("a.test"), "http://127.0.0.1:9080").unwrap();
        assert!(matches!(two.write(&path, false), Err(RegistrationError::Exists(_))));
        assert_eq!(Registration::load(&path).unwrap().as_token.expose_secret(), one.as_token.expose_secret());
        two.write(&path, true).unwrap();
        assert_eq!(Registration::load(&path).unwrap().as_token.expose_secret(), two.as_token.expose_secret());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{one:?}").contains(one.as_token.expose_secret()));
    }

    #[test]
    fn the_example_in_the_repository_is_complete() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../registration.yaml");
        let example = Registration::load(&path).unwrap();
        assert_eq!(example.sender_localpart, SENDER_LOCALPART);
        assert!(!example.rate_limited);
    }

    #[test]
    fn a_sender_that_is_the_bot_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registration.yaml");
        let mut one = Registration::fresh_for(server_name!("a.test"), "http://127.0.0.1:9080").unwrap();
        one.sender_localpart = BOT_LOCALPART.into();
        one.write(&path, false).unwrap();
        assert!(Registration::load(&path).unwrap_err().to_string().contains("sender_localpart"));
    }

    #[test]
    fn a_ghost_is_named_by_its_digits() {
        let number = E164::parse("+44 20 7946 0123").unwrap();
        let id = ghost_id(Some(&number), server_name!("a.test"));
        assert_eq!(id, "@_roomtone_tel_442079460123:a.test");
        assert!(is_ours(&id, server_name!("a.test")) && !is_ours(&id, server_name!("b.test")));
    }
}
