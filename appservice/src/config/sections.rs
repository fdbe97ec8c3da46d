//! The sections of the configuration, each with its defaults and checks.
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use matrix_sdk::ruma::{OwnedServerName, ServerName, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{ConfigError, PortRange};

pub(super) fn wrong(key: &'static str, message: impl Into<String>) -> ConfigError {
    ConfigError::Value { key, message: message.into() }
}

pub(super) fn check_url(key: &'static str, url: &str, schemes: &[&str]) -> Result<(), ConfigError> {
    if url.is_empty() {
        return Err(wrong(key, format!("is not set; give an address that starts with {}://", schemes[0])));
    }
    let parsed = reqwest::Url::parse(url).map_err(|e| wrong(key, format!("{url:?} is no address: {e}")))?;
    if schemes.contains(&parsed.scheme()) && parsed.host().is_some() {
        Ok(())
    } else {
        Err(wrong(key, format!("{url:?} must start with {}://", schemes.join(":// or "))))
    }
}

/// `homeserver`: the homeserver that Roomtone is registered with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Homeserver {
    /// The client-server address, as in `http://127.0.0.1:8008`. Required.
    pub url: String,
    /// The name in its users' ids, as in `example.com`. Required.
    #[serde(deserialize_with = "server_name")]
    pub server_name: OwnedServerName,
    /// Where OpenID tokens of its own users are checked: a listener with the `federation` or `openid` resource.
    /// Default: `url`.
    pub federation_url: Option<String>,
    /// A PEM file with the authority that signed `federation_url`'s certificate. Default: the public ones.
    pub federation_ca_file: Option<PathBuf>,
    /// Takes whatever certificate `federation_url` shows. Only for tests on one machine.
    pub federation_accept_any_certificate: bool,
    /// Whether OpenID tokens of foreign homeservers may be checked at private and loopback addresses. Off: a stranger
    /// could otherwise make Roomtone ask addresses inside one's network.
    pub federation_allow_private: bool,
}

fn server_name<'de, D: Deserializer<'de>>(d: D) -> Result<OwnedServerName, D::Error> {
    let text = String::deserialize(d)?;
    ServerName::parse(&text).map_err(|e| serde::de::Error::custom(format!("{text:?} is no server name: {e}")))
}

/// What stands for "not set".
const UNSET: &str = "unset.invalid";

impl Default for Homeserver {
    fn default() -> Self {
        Self {
            url: String::new(),
            server_name: ServerName::parse(UNSET).expect("a constant name"),
            federation_url: None,
            federation_ca_file: None,
            federation_accept_any_certificate: false,
            federation_allow_private: false,
        }
    }
}

impl Homeserver {
    pub(super) fn check(&mut self) -> Result<(), ConfigError> {
        check_url("homeserver.url", &self.url, &["http", "https"])?;
        self.url.truncate(self.url.trim_end_matches('/').len());
        match self.server_name.as_str() {
            UNSET => {
                return Err(wrong("homeserver.server_name", "is not set; it is the part after the colon in user ids"));
            }
            "example.org" => {
                return Err(wrong(
                    "homeserver.server_name",
                    "is still that of the example; put your own server's name",
                ));
            }
            _ => {}
        }
        if let Some(url) = &mut self.federation_url {
            check_url("homeserver.federation_url", url, &["https", "http"])?;
            url.truncate(url.trim_end_matches('/').len());
        }
        Ok(())
    }
}

/// `appservice`: how the homeserver reaches Roomtone.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Appservice {
    /// Where Roomtone listens for the homeserver and for token requests. Default `127.0.0.1:9080`.
    pub listen: SocketAddr,
    /// The address under which the homeserver, and through a reverse proxy the clients, reach `listen`.
    /// Default `http://127.0.0.1:9080`.
    pub public_url: String,
    /// The registration file that `roomtone registration` wrote. Default `registration.yaml`.
    pub registration: PathBuf,
    /// Proxies whose `X-Forwarded-For` is believed. Default: loopback.
    pub trusted_proxies: Vec<IpAddr>,
    /// The bot's display name. Default `Roomtone`.
    pub bot_display_name: String,
}

impl Default for Appservice {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9080)),
            public_url: "http://127.0.0.1:9080".into(),
            registration: "registration.yaml".into(),
            trusted_proxies: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)],
            bot_display_name: "Roomtone".into(),
        }
    }
}

impl Appservice {
    pub(super) fn check(&mut self) -> Result<(), ConfigError> {
        check_url("appservice.public_url", &self.public_url, &["http", "https"])?;
        self.public_url.truncate(self.public_url.trim_end_matches('/').len());
        Ok(())
    }
}

/// `sip`: the telephone side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// The UDP address for signalling. Default `0.0.0.0:5060`.
    pub listen: SocketAddr,
    /// The address that goes into SDP and Contact. Default: the one that the packets leave from.
    pub advertised: Option<IpAddr>,
    /// The UDP ports for media, two per call. Default `20000-20199`.
    pub rtp_ports: PortRange,
    /// Calls at one time; more are answered 503. Default 50.
    pub max_calls: usize,
    /// A folder with prompts of one's own: `consent.wav`, `one-minute.wav`, `half-minute.wav`, `grant-changed.wav`, 8 kHz mono 16 bit. What is
    /// not there is Roomtone's own.
    pub prompts_dir: Option<PathBuf>,
    /// Numbers from the trunk come without their `+` (country code first). Default false.
    pub bare_numbers: bool,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060)),
            advertised: None,
            rtp_ports: PortRange { first: 20000, last: 20199 },
            max_calls: 50,
            prompts_dir: None,
            bare_numbers: false,
        }
    }
}

impl Sip {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let ports = usize::from(self.rtp_ports.last - self.rtp_ports.first) + 1;
        if ports < 2 * self.max_calls {
            let message = format!("{ports} ports are too few for sip.max_calls {}; a call takes two", self.max_calls);
            return Err(wrong("sip.rtp_ports", message));
        }
        Ok(())
    }
}

/// Who gives out tokens for the media server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorisation {
    /// Roomtone itself (`own`).
    #[default]
    Own,
    /// The operator's lk-jwt-service, at this address.
    Service(String),
}

impl<'de> Deserialize<'de> for Authorisation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "own" => Self::Own,
            url => Self::Service(url.to_owned()),
        })
    }
}

/// `livekit`: the media server.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct LiveKit {
    /// The address that clients are told, as in `wss://sfu.example.com`. Required with `authorisation: own`.
    pub url: String,
    /// The address that Roomtone itself uses for the server's API. Default: `url`.
    pub api_url: Option<String>,
    /// The API key's name. Required with `authorisation: own`.
    pub api_key: String,
    /// The API key's secret, 32 characters or more. Better: `secret_file`.
    pub secret: Option<SecretString>,
    /// The file that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// `own` (default), or the address of an lk-jwt-service.
    pub authorisation: Authorisation,
}

impl LiveKit {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Authorisation::Service(url) = &self.authorisation {
            return check_url("livekit.authorisation", url, &["https", "http"]);
        }
        check_url("livekit.url", &self.url, &["wss", "ws"])?;
        if let Some(url) = &self.api_url {
            check_url("livekit.api_url", url, &["http", "https"])?;
        }
        if self.api_key.is_empty() {
            return Err(wrong(
                "livekit.api_key",
                "is not set; it is the name of the key in LiveKit's own configuration",
            ));
        }
        match (&self.secret, &self.secret_file) {
            (None, None) => Err(wrong("livekit.secret_file", "is not set; name a file that holds the key's secret")),
            (Some(_), Some(_)) => Err(wrong("livekit.secret_file", "is set beside livekit.secret; keep one of them")),
            _ => Ok(()),
        }
    }

    /// The API key's secret, from the configuration or its file.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when the file cannot be read, [`ConfigError::Value`] when there is none.
    pub fn read_secret(&self) -> Result<SecretString, ConfigError> {
        match (&self.secret, &self.secret_file) {
            (Some(secret), _) => Ok(secret.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| SecretString::from(text.trim().to_owned()))
                .map_err(|source| ConfigError::Unreadable { path: path.clone(), source }),
            (None, None) => Err(wrong("livekit.secret_file", "is not set")),
        }
    }

    /// The address of the server's API: `http` or `https`.
    #[must_use]
    pub fn api(&self) -> String {
        let url = self.api_url.as_deref().unwrap_or(&self.url).trim_end_matches('/');
        match url.split_once("://") {
            Some(("ws", rest)) => format!("http://{rest}"),
            Some(("wss", rest)) => format!("https://{rest}"),
            _ => url.to_owned(),
        }
    }
}

/// What a user may do with Roomtone as a whole. What they may do in a room, its power levels say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing at all: no invitation is taken, no token given.
    Block,
    /// May invite the bot and start calls on our media server.
    User,
    /// As `User`, and may run the commands that concern the whole server.
    Admin,
}

/// `permissions`: who may use Roomtone. Keys are `@user:server`, `server` or `*`; the most specific one counts.
/// Empty: all users of the own homeserver are `user`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, Level>);

impl Permissions {
    /// The level of `user`, `None` where no key fits: such a user may take part in what others started, no more.
    #[must_use]
    pub fn of(&self, user: &UserId) -> Option<Level> {
        let server = user.server_name().as_str();
        [user.as_str(), server, "*"].iter().find_map(|key| self.0.get(*key)).copied()
    }

    /// Whether `user` may invite the bot, use commands and start calls on our media server.
    #[must_use]
    pub fn may_use(&self, user: &UserId) -> bool {
        self.of(user) >= Some(Level::User)
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn allow_server(&mut self, server: &ServerName) {
        self.0.insert(server.to_string(), Level::User);
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for key in self.0.keys() {
            let fits = key == "*"
                || if key.starts_with('@') { UserId::parse(key).is_ok() } else { ServerName::parse(key).is_ok() };
            if !fits {
                return Err(wrong("permissions", format!("{key:?} is neither a user id, nor a server name, nor *")));
            }
        }
        Ok(())
    }
}

impl FromIterator<(String, Level)> for Permissions {
    fn from_iter<T: IntoIterator<Item = (String, Level)>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// `limits`: bounds on what strangers may ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Token requests a minute from one network address. Default 120.
    pub token_requests_per_minute_and_address: u32,
    /// Token requests a minute from one user. Default 60.
    pub token_requests_per_minute_and_user: u32,
    /// The longest body of a token request, bytes. Default 64 KiB.
    pub token_request_bytes: usize,
    /// The longest body of a homeserver's transaction, bytes. Default 32 MiB.
    pub transaction_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_requests_per_minute_and_address: 120,
            token_requests_per_minute_and_user: 60,
            token_request_bytes: 64 << 10,
            transaction_bytes: 32 << 20,
        }
    }
}
