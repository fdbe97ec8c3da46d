//! Who is behind an OpenID token: `/_matrix/federation/v1/openid/userinfo` at the homeserver that made it.
//!
//! The own homeserver is asked at its own address (configuration). A foreign one is found as the server-server API
//! says: an address or a port in its name, else `/.well-known/matrix/server`, else port 8448 (SRV records are not
//! looked up). Strangers choose that name, so that no address inside a network is asked: names are resolved here, and
//! loopback, private, link-local and other special addresses are left out, also behind redirects.
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use matrix_sdk::ruma::{OwnedServerName, OwnedUserId, ServerName};
use reqwest::{
    Certificate, Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::HttpError;
use crate::{config::Homeserver, matrix::encode};

const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST: usize = 64 << 10;

/// Why it is not known who is behind a token.
#[derive(Debug, Error)]
pub(super) enum OpenIdError {
    /// The homeserver does not vouch for it, or vouches for somebody of another server.
    #[error("the homeserver does not know the token")]
    Refused,
    /// The homeserver's address is none that may be asked.
    #[error("{0} is not asked: its address is private")]
    Private(String),
    /// No answer, or one that cannot be read.
    #[error("{server} does not answer: {cause}")]
    Unreachable {
        /// Which.
        server: OwnedServerName,
        /// What the transport said.
        cause: String,
    },
}

#[derive(Deserialize)]
struct UserInfo {
    sub: OwnedUserId,
}

/// Asks homeservers about OpenID tokens.
pub(super) struct OpenId {
    own: OwnedServerName,
    own_base: String,
    own_client: Client,
    foreign_client: Client,
    allow_private: bool,
}

impl OpenId {
    pub(super) fn new(homeserver: &Homeserver) -> Result<Self, HttpError> {
        let client_error = |e: reqwest::Error| HttpError::Client(e.to_string());
        let mut own = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if let Some(path) = &homeserver.federation_ca_file {
            let pem = std::fs::read(path).map_err(|e| HttpError::Client(format!("{}: {e}", path.display())))?;
            for certificate in Certificate::from_pem_bundle(&pem).map_err(client_error)? {
                own = own.add_root_certificate(certificate);
            }
        }
        if homeserver.federation_accept_any_certificate {
            own = own.danger_accept_invalid_certs(true);
        }
        let allow_private = homeserver.federation_allow_private;
        let foreign = Client::builder()
            .timeout(TIMEOUT)
            // An HTTP proxy would resolve names itself, past the guard.
            .no_proxy()
            .dns_resolver(Arc::new(GuardedResolver { allow_private }))
            .redirect(Policy::custom(move |attempt| {
                let guarded = attempt.url().scheme() == "https" && literal_may_be_asked(attempt.url(), allow_private);
                if attempt.previous().len() > 3 || !guarded { attempt.stop() } else { attempt.follow() }
            }));
        Ok(Self {
            own: homeserver.server_name.clone(),
            own_base: homeserver.federation_url.clone().unwrap_or_else(|| homeserver.url.clone()),
            own_client: own.build().map_err(client_error)?,
            foreign_client: foreign.build().map_err(client_error)?,
            allow_private,
        })
    }

    /// The user that `server` says is behind `token`; always one of `server`'s own.
    pub(super) async fn user(&self, server: &ServerName, token: &str) -> Result<OwnedUserId, OpenIdError> {
        let (client, base) = if server == self.own {
            (&self.own_client, self.own_base.clone())
        } else {
            (&self.foreign_client, self.discover(server).await?)
        };
        let url = format!("{base}/_matrix/federation/v1/openid/userinfo?access_token={}", encode(token));
        let (status, body) = self.get(client, server, &url).await?;
        match status {
            200 => {}
            400..500 => return Err(OpenIdError::Refused),
            status => return Err(unreachable(server, format!("status {status}"))),
        }
        let info: UserInfo = serde_json::from_slice(&body).map_err(|e| unreachable(server, e))?;
        // A server can speak for its own users only.
        if info.sub.server_name() == server { Ok(info.sub) } else { Err(OpenIdError::Refused) }
    }

    async fn discover(&self, server: &ServerName) -> Result<String, OpenIdError> {
        if let Some(port) = server.port() {
            return Ok(format!("https://{}:{port}", server.host()));
        }
        if server.is_ip_literal() {
            return Ok(format!("https://{}:8448", server.host()));
        }
        let url = format!("https://{server}/.well-known/matrix/server");
        // No answer there is an answer: the server delegates nothing.
        if let Ok((200, body)) = self.get(&self.foreign_client, server, &url).await
            && let Ok(body) = serde_json::from_slice::<Value>(&body)
            && let Some(Ok(other)) = body["m.server"].as_str().map(ServerName::parse)
        {
            return Ok(format!("https://{}:{}", other.host(), other.port().unwrap_or(8448)));
        }
        Ok(format!("https://{}:8448", server.host()))
    }

    async fn get(&self, client: &Client, server: &ServerName, url: &str) -> Result<(u16, Vec<u8>), OpenIdError> {
        let url = Url::parse(url).map_err(|e| unreachable(server, e))?;
        // A resolver is not asked for an address that is written out.
        if server != self.own && !literal_may_be_asked(&url, self.allow_private) {
            return Err(OpenIdError::Private(server.to_string()));
        }
        // Never with its address: that holds the token.
        let failed = |e: reqwest::Error| unreachable(server, causes(&e.without_url()));
        let mut answer = client.get(url).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST {
                return Err(unreachable(server, "an answer that is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err, which gives the error away")]
fn unreachable(server: &ServerName, cause: impl ToString) -> OpenIdError {
    OpenIdError::Unreachable { server: server.to_owned(), cause: cause.to_string() }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn literal_may_be_asked(url: &Url, allow_private: bool) -> bool {
    let literal = url.host_str().and_then(|h| h.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    allow_private || literal.is_none_or(is_public)
}

/// Whether an address is somebody's in the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a, b, c) == (192, 0, 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        // 2000::/3 is what is given out, but for documentation, Teredo and 6to4, which can hide an IPv4 address.
        IpAddr::V6(ip) => match ip.segments() {
            [0x2001, 0 | 0xdb8, ..] | [0x2002, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

struct GuardedResolver {
    allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|a| allow_private || is_public(a.ip())).collect();
            if found.is_empty() {
                return Err(std::io::Error::other(format!("{} has no public address", name.as_str())).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::server_name;

    use super::*;

    #[test]
    fn addresses_inside_a_network_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "198.18.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "2a00:1450::1", "198.51.99.1", "100.63.0.1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn a_stranger_cannot_make_us_ask_our_own_network() {
        let own = Homeserver { server_name: server_name!("own.test").to_owned(), ..Homeserver::default() };
        let openid = OpenId::new(&own).unwrap();
        for name in ["127.0.0.1:8008", "127.0.0.1", "[::1]:443", "localhost:8008"] {
            let e = openid.user(&ServerName::parse(name).unwrap(), "token").await.unwrap_err().to_string();
            assert!(e.contains("private") || e.contains("no public address"), "{name}: {e}");
        }
    }
}
