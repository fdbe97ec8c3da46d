//! The few client-server calls that the SDK has no room for: as an application service, for a user and a device.
use std::time::Duration;

use matrix_sdk::ruma::{DeviceId, UserId};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error::MatrixError;

/// Percent-encodes one path segment or query value: all but RFC 3986's unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whose request it is.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a>(pub(crate) &'a UserId, pub(crate) Option<&'a DeviceId>);

/// Requests with the `as_token`.
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: SecretString,
}

impl Api {
    pub(crate) fn new(base: &str, token: SecretString) -> Result<Self, MatrixError> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|e| MatrixError::local("http client", e))?;
        Ok(Self { http, base: base.to_owned(), token })
    }

    /// One request. `path` is encoded already and begins with `/_matrix`; answers with status and body of 2xx.
    pub(crate) async fn call(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        who: Option<Who<'_>>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), MatrixError> {
        let mut pairs: Vec<String> = query.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
        if let Some(Who(user, device)) = who {
            pairs.push(format!("user_id={}", encode(user.as_str())));
            pairs.extend(device.map(|d| format!("device_id={}", encode(d.as_str()))));
        }
        let mark = if pairs.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{mark}{}", self.base, pairs.join("&"));
        let mut request = self.http.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |e: reqwest::Error| MatrixError::Unreachable { what, cause: e.without_url().to_string() };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let retry_header = answer
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|v| v.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let bytes = answer.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok((status, body));
        }
        if status.is_server_error() || body.is_null() {
            return Err(MatrixError::Unreachable { what, cause: format!("status {status}") });
        }
        let word = |key: &str| body[key].as_str().map(str::to_owned);
        Err(MatrixError::Refused {
            what,
            status: status.as_u16(),
            errcode: word("errcode").unwrap_or_else(|| "M_UNKNOWN".into()),
            message: word("error").unwrap_or_default(),
            retry_after: body["retry_after_ms"].as_u64().map(Duration::from_millis).or(retry_header),
        })
    }

    /// Makes sure that the user exists. "In use" is as good as made: with MSC4190 the first try without
    /// `inhibit_login` makes the user and still fails.
    pub(crate) async fn register(&self, localpart: &str) -> Result<(), MatrixError> {
        let body = json!({ "type": "m.login.application_service", "username": localpart, "inhibit_login": true });
        let done =
            self.call("register a user", Method::POST, "/_matrix/client/v3/register", &[], None, Some(&body)).await;
        match done {
            Err(e) if e.errcode() == Some("M_USER_IN_USE") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Makes sure that the device exists (MSC4190); `true`: it was made just now.
    pub(crate) async fn put_device(&self, user: &UserId, device: &DeviceId, name: &str) -> Result<bool, MatrixError> {
        let path = format!("/_matrix/client/v3/devices/{}", encode(device.as_str()));
        let body = json!({ "display_name": name });
        let (status, _) =
            self.call("make a device", Method::PUT, &path, &[], Some(Who(user, None)), Some(&body)).await?;
        Ok(status == StatusCode::CREATED)
    }

    /// Deletes all devices of `user` but `keep`: those of stores that were lost.
    pub(crate) async fn delete_other_devices(&self, user: &UserId, keep: &DeviceId) -> Result<usize, MatrixError> {
        let who = Some(Who(user, Some(keep)));
        let (_, list) = self.call("list devices", Method::GET, "/_matrix/client/v3/devices", &[], who, None).await?;
        let mut gone = 0;
        for device in list["devices"].as_array().into_iter().flatten().filter_map(|d| d["device_id"].as_str()) {
            if device != keep.as_str() {
                let path = format!("/_matrix/client/v3/devices/{}", encode(device));
                self.call("delete a lost device", Method::DELETE, &path, &[], who, Some(&json!({}))).await?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_encoded_for_a_path() {
        assert_eq!(super::encode("!a/b:hs.test"), "%21a%2Fb%3Ahs.test");
        assert_eq!(super::encode("_@ä?#_m.call"), "_%40%C3%A4%3F%23_m.call");
    }
}
