//! `roomtone check`: all checks run, all findings are told, nothing is changed.

use std::{net::UdpSocket, path::Path, time::Duration};

use models::{
    notes::bert::{self, BertWriter},
    speakers::{SpeakerConfig, SpeakerModels},
    weights,
};
use payments::settlement::Office;
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;

use super::{
    Exit, block_on,
    run::{service, weights_folder, whisper},
    say,
};
use crate::{
    call::writers,
    config::{Authorisation, Backend, Config, Speakers, Writer},
    registration::{BOT_LOCALPART, Registration},
};

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at: a key of the configuration.
    check: &'static str,
    good: bool,
    /// What was seen.
    seen: String,
    /// What to do about it, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, check: &'static str, seen: impl Into<String>) {
        self.0.push(Finding { check, good: true, seen: seen.into(), mend: None });
    }

    fn bad(&mut self, check: &'static str, seen: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding { check, good: false, seen: seen.into(), mend: Some(mend.into()) });
    }
}

pub(super) fn run(path: &Path, json: bool) -> Exit {
    let mut found = Findings::default();
    match Config::load(path) {
        Ok(config) => {
            found.good("configuration", format!("{} is well-formed", path.display()));
            files(&config, &mut found);
            sip(&config, &mut found);
            let exit = block_on(async {
                network(&config, &mut found).await;
                settlement(&config, &mut found).await;
                Exit::Good
            });
            if exit != Exit::Good {
                return exit;
            }
        }
        Err(error) => found.bad("configuration", error.to_string(), "mend the key that is named"),
    }
    report(&found.0, json);
    if found.0.iter().all(|f| f.good) { Exit::Good } else { Exit::Mend }
}

fn report(found: &[Finding], json: bool) {
    if json {
        say(&serde_json::to_string_pretty(found).unwrap_or_default());
        return;
    }
    for f in found {
        say(&format!("{} {}: {}", if f.good { "good " } else { "WRONG" }, f.check, f.seen));
        if let Some(mend) = &f.mend {
            say(&format!("      → {mend}"));
        }
    }
}

fn files(config: &Config, found: &mut Findings) {
    let path = &config.appservice.registration;
    match Registration::load(path) {
        Ok(_) => found.good("appservice.registration", format!("{} is complete", path.display())),
        Err(error) => found.bad("appservice.registration", error.to_string(), "run `roomtone registration`"),
    }
    match std::fs::metadata(&config.data_dir) {
        Ok(m) if m.is_dir() && !m.permissions().readonly() => {
            found.good("data_dir", format!("{} can be written", config.data_dir.display()));
        }
        Ok(_) => found.bad(
            "data_dir",
            format!("{} is no folder that can be written", config.data_dir.display()),
            "name another",
        ),
        Err(_) => found.good("data_dir", format!("{} will be made at the first run", config.data_dir.display())),
    }
    speech(config, found);
    notes(config, found);
}

fn speech(config: &Config, found: &mut Findings) {
    let folder = weights_folder(config);
    let whole = |name: &str| weights::named(name).and_then(|w| weights::verify(&w, &folder));
    let mut look = |name: &str| match whole(name) {
        Ok(_) => found.good("transcription.model", format!("{name} is there and whole")),
        Err(error) => found.bad(
            "transcription.model",
            error.to_string(),
            format!("run `roomtone models fetch {name}`; until then calls go on without notes"),
        ),
    };
    look(weights::DEFAULT_VAD);
    if config.transcription.backend == Backend::Whisper {
        match whisper(config) {
            Ok((_, own)) if weights::named(config.transcription.model()).is_err() => {
                found.good("transcription.model", format!("{} is there", own.display()));
            }
            Ok((model, _)) => look(&model),
            Err(_) => look(config.transcription.model()),
        }
    }
    match service(config) {
        None => {}
        Some(Err(error)) => found.bad("transcription.http", format!("{error:#}"), "mend the key that is named"),
        Some(Ok(service)) => match service.check() {
            Ok(()) => found.good("transcription.http", format!("{} answers", service.host())),
            Err(error) => found.bad(
                "transcription.http",
                error.to_string(),
                "start the service, or correct transcription.http; until then nothing is written down",
            ),
        },
    }
    if config.transcription.speakers == Speakers::Auto {
        let about = "transcription.speakers";
        match SpeakerConfig::in_folder(&folder) {
            Ok(networks) => match SpeakerModels::load(&networks) {
                Ok(_) => found.good(about, "people who share a phone can be told apart, where a room asks for it"),
                Err(error) => found.bad(
                    about,
                    error.to_string(),
                    "fetch what is named again, or set transcription.speakers to off; until then nobody is told apart",
                ),
            },
            // Nobody has asked for it: no fault.
            Err(error) => {
                found.good(about, format!("people who share a line are not told apart ({error})"));
            }
        }
    }
}

fn notes(config: &Config, found: &mut Findings) {
    match writers::llm(&config.notes) {
        None => {}
        Some(Err(error)) => found.bad("notes.llm", error.to_string(), "mend the key that is named"),
        Some(Ok(llm)) => match llm.check() {
            Ok(()) => found.good("notes.llm", format!("{} answers and has the model", llm.host())),
            Err(error) => found.bad(
                "notes.llm",
                error.to_string(),
                "start the service, or correct notes.llm; until then another writer writes",
            ),
        },
    }
    let checkpoints = writers::checkpoints(&config.notes, &weights_folder(config));
    let wanted = config.notes.writer == Writer::Bert;
    if config.notes.writer == Writer::Extractive || (!wanted && (!bert::BUILT_IN || checkpoints.is_empty())) {
        return;
    }
    match BertWriter::load(&checkpoints) {
        Ok(_) => found.good("notes.bert", "its checkpoints are there"),
        Err(error) => found.bad(
            "notes.bert",
            error.to_string(),
            "name folders with checkpoints under notes.bert, or set notes.writer; until then another writer writes",
        ),
    }
}

fn sip(config: &Config, found: &mut Findings) {
    match UdpSocket::bind(config.sip.listen) {
        Ok(_) => found.good("sip.listen", format!("{} is free", config.sip.listen)),
        Err(error) => found.bad(
            "sip.listen",
            format!("{}: {error}", config.sip.listen),
            "end what has it (a running roomtone?), or name another port",
        ),
    }
    if config.sip.listen.ip().is_unspecified() && config.sip.advertised.is_none() {
        found.bad(
            "sip.advertised",
            "no address is named that callers can send sound to",
            "name the public address of this machine",
        );
    }
}

async fn settlement(config: &Config, found: &mut Findings) {
    let about = "payments.settlement";
    let Some((payments, section)) = config.payments.as_ref().and_then(|p| Some((p, p.settlement.as_ref()?))) else {
        return;
    };
    // The configuration was looked through when it was read.
    let Ok(agreed) = section.check(&payments.tariffs) else { return };
    match Office::look(&agreed).await {
        Ok(account) => found.good(about, format!("{account} settles with {} operators", agreed.partners.len())),
        Err(error) => found.bad(about, error.to_string(), "mend what is named; until then nothing is settled"),
    }
}

async fn network(config: &Config, found: &mut Findings) {
    let Ok(http) = reqwest::Client::builder().timeout(Duration::from_secs(10)).build() else { return };
    let base = config.homeserver.url.trim_end_matches('/');
    let get = async |path: &str, token: Option<&str>| -> Result<(StatusCode, Value), reqwest::Error> {
        let mut request = http.get(format!("{base}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await.unwrap_or(Value::Null)))
    };
    let versions = match get("/_matrix/client/versions", None).await {
        Ok((StatusCode::OK, versions)) => versions,
        Ok((status, _)) => {
            return found.bad(
                "homeserver.url",
                format!("{base} answers {status}"),
                "name the address of the client API",
            );
        }
        Err(error) => {
            return found.bad(
                "homeserver.url",
                format!("{base} does not answer: {error}"),
                "start the homeserver, or correct the address",
            );
        }
    };
    found.good("homeserver.url", format!("{base} answers"));
    if versions["unstable_features"]["org.matrix.msc4140"] == Value::Bool(true) {
        found.good("homeserver: delayed events", "on (MSC4140)");
    } else {
        found.bad(
            "homeserver: delayed events",
            "off: after a crash our members would stay in calls until their memberships expire",
            "Synapse: set max_event_delay_duration: 24h",
        );
    }
    if let Ok(registration) = Registration::load(&config.appservice.registration) {
        let bot = format!("@{BOT_LOCALPART}:{}", config.homeserver.server_name);
        let path = format!("/_matrix/client/v3/account/whoami?user_id={}", crate::matrix::encode(&bot));
        match get(&path, Some(registration.as_token.expose_secret())).await {
            Ok((StatusCode::UNAUTHORIZED, _)) => found.bad(
                "appservice.registration",
                "the homeserver does not know its token",
                "give this registration file to the homeserver and restart it",
            ),
            Ok((status, _))
                if status.is_success() || status == StatusCode::FORBIDDEN || status == StatusCode::NOT_FOUND =>
            {
                found.good("appservice.registration", "the homeserver knows it");
            }
            Ok((status, body)) => found.bad(
                "appservice.registration",
                format!("the homeserver answers {status} {}", body["errcode"]),
                "compare homeserver.server_name and the registration's namespace",
            ),
            Err(error) => found.bad("appservice.registration", error.to_string(), "start the homeserver"),
        }
    }
    if let Authorisation::Service(url) = &config.livekit.authorisation {
        match http.get(format!("{}/healthz", url.trim_end_matches('/'))).send().await {
            Ok(answer) if answer.status().is_success() => found.good("livekit.authorisation", format!("{url} answers")),
            Ok(answer) => found.bad(
                "livekit.authorisation",
                format!("{url} answers {}", answer.status()),
                "start the service, or correct the address",
            ),
            Err(error) => found.bad(
                "livekit.authorisation",
                format!("{url} does not answer: {error}"),
                "start the service, or correct the address",
            ),
        }
    } else {
        let api = config.livekit.api();
        match http.get(&api).send().await {
            Ok(_) => found.good("livekit.url", format!("{api} answers")),
            Err(error) => found.bad(
                "livekit.url",
                format!("{api} does not answer: {error}"),
                "start the SFU, or correct the address",
            ),
        }
    }
}
