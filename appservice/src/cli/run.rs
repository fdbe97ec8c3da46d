//! `roomtone run`: everything started in order, and ended in order.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use bridge::sip::{SipConfig, SipEndpoint};
use models::{
    Transcriber, TranscriberConfig,
    speakers::{SpeakerConfig, SpeakerModels},
    speech::backend::{
        Backend as _,
        http::{HttpBackend, HttpConfig},
    },
    weights,
};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Exit, complain};
use crate::{
    archive::{Archive, ArchiveKey},
    call::{Hearing, House, NOTES_WITHIN, Notary, Outbox, Prompts, Switchboard, Writers, recover},
    config::{Config, OperatorKey, Speakers},
    http,
    matrix::Matrix,
    metrics::Metrics,
    pay,
    registration::Registration,
};

/// Phones may take this long to confirm that they were hung up.
const SIP_GOODBYE: Duration = Duration::from_secs(2);
/// Open connections may take this long to end.
const HTTP_DRAIN: Duration = Duration::from_secs(5);

pub(super) async fn run(config: Config) -> Exit {
    match start(config).await {
        Ok(()) => Exit::Good,
        Err(error) => {
            complain(&format!("{error:#}\n`roomtone check` looks at everything that the configuration names."));
            Exit::Mend
        }
    }
}

async fn start(config: Config) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.data_dir).with_context(|| format!("data_dir {}", config.data_dir.display()))?;
    let registration = Registration::load(&config.appservice.registration)?;
    let key = OperatorKey::load_or_create(&config.operator_key_path(), &config.data_dir)?;
    let archive_key = ArchiveKey::from_bytes(key.derive("archive"));
    let archive = Archive::open(&config.data_dir.join("archive.sqlite"), &archive_key).await?;
    let stop = CancellationToken::new();

    // The homeserver pushes and Element Call asks for tokens while we start: answer first.
    let listener = TcpListener::bind(config.appservice.listen).await.context("appservice.listen")?;
    let address = listener.local_addr()?;
    let metrics = Metrics::default();
    let state = http::AppState::new(&config, &registration, &metrics)?;
    let served = serve(listener, http::router(state.clone()), stop.clone());
    let counted = match config.metrics.bind {
        Some(bind) => {
            let listener = TcpListener::bind(bind).await.context("metrics.bind")?;
            Some(serve(listener, http::metrics_router(metrics.clone()), stop.clone()))
        }
        None => None,
    };

    let money = pay::attach(&config).await?;
    let (matrix, from_matrix) = Matrix::start(&config, &registration, &key).await?;
    let (sip, from_sip) = SipEndpoint::bind(sip_config(&config)).await.context("sip.listen")?;
    tracing::info!(http = %address, sip = %sip.local_addr(), bot = %matrix.bot().user_id(), "roomtone is up");

    let (hearing, recogniser) = hearing(&config, &metrics);
    let house = Arc::new(House {
        tells_voices: hearing.as_ref().is_some_and(|hearing| hearing.tells_voices),
        hearing: hearing.map(|hearing| hearing.hearing),
        notary: Arc::new(Notary {
            archive: archive.clone(),
            writers: Writers::load(&config.notes, &weights_folder(&config)),
            patience: NOTES_WITHIN,
            metrics: metrics.clone(),
            bot: matrix.bot().user_id().to_owned(),
            time_zone: config.notes.time_zone.clone(),
            server_name: config.homeserver.server_name.to_string(),
            seen_by: config.seen_by(),
            recogniser,
            making: tokio::sync::Mutex::new(()),
            later: TaskTracker::new(),
        }),
        metrics,
        prompts: Prompts::load(config.sip.prompts_dir.as_deref())?,
        matrix: matrix.clone(),
        archive: archive.clone(),
        sip: sip.clone(),
        payments: money.attached,
        http: reqwest::Client::new(),
        config,
    });
    let outbox = tokio::spawn(Outbox::new(archive.clone(), matrix.clone()).run(stop.clone()));
    let cut_off = recover(&house).await?;
    let told = tokio::spawn(pay::tell_rooms(Arc::clone(&house), stop.clone()));
    let kept = tokio::spawn(pay::keep_house(Arc::clone(&house), stop.clone()));
    let calls_end = CancellationToken::new();
    let switchboard = tokio::spawn(Switchboard::new(house, cut_off).run(from_sip, from_matrix, calls_end.clone()));
    state.ready(true);

    shutdown_asked().await?;
    tracing::info!("ending: no new calls; a second signal ends at once");
    state.ready(false);
    // In order: calls (they still send), then what they recorded, then the doors.
    calls_end.cancel();
    let orderly = async {
        let _ = switchboard.await;
        if let Some(counter) = money.counter {
            counter.close().await;
        }
        stop.cancel();
        let _ = (told.await, kept.await, outbox.await);
        let _ = tokio::time::timeout(HTTP_DRAIN, served).await;
        if let Some(counted) = counted {
            let _ = tokio::time::timeout(HTTP_DRAIN, counted).await;
        }
        sip.shut_down(SIP_GOODBYE).await;
        matrix.stop().await;
        archive.close().await;
    };
    tokio::select! {
        () = orderly => tracing::info!("ended in order"),
        asked = shutdown_asked() => { asked?; tracing::warn!("ended at once: what is not done is done at the next start"); }
    }
    Ok(())
}

fn serve(listener: TcpListener, app: axum::Router, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    })
}

fn sip_config(config: &Config) -> SipConfig {
    let mut sip = SipConfig::new(config.sip.listen);
    sip.advertised = config.sip.advertised;
    sip.rtp_ports = config.sip.rtp_ports.range();
    sip.max_calls = config.sip.max_calls;
    sip.bare_numbers = config.sip.bare_numbers;
    sip
}

/// Where the weights lie.
pub(super) fn weights_folder(config: &Config) -> PathBuf {
    config.transcription.models_dir.clone().unwrap_or_else(weights::default_folder)
}

/// The Whisper model: a name of the manifest, or any ggml file. Where none was chosen and the multilingual one is not
/// there, the English one that an earlier version fetched still serves.
pub(super) fn whisper(config: &Config) -> Result<(String, PathBuf), weights::WeightsError> {
    let folder = weights_folder(config);
    let model = config.transcription.model();
    if let Some(own) = [PathBuf::from(model), folder.join(model)].into_iter().find(|path| path.is_file()) {
        return Ok((model.to_owned(), own));
    }
    let file = |name: &str| weights::named(name).and_then(|w| weights::locate(&w, &folder));
    match (file(model), file(weights::DEFAULT_WHISPER)) {
        (Ok(path), _) => Ok((model.to_owned(), path)),
        (Err(error), Ok(path)) if config.transcription.model.is_none() && config.transcription.language.is_none() => {
            tracing::warn!(%error, instead = weights::DEFAULT_WHISPER, "only English is recognised");
            Ok((weights::DEFAULT_WHISPER.to_owned(), path))
        }
        (Err(error), _) => Err(error),
    }
}

/// The service that recognises speech, where one is configured.
pub(super) fn service(config: &Config) -> Option<anyhow::Result<HttpBackend>> {
    let endpoint = config.transcription.service()?;
    let made = || {
        let mut settings = HttpConfig::new(&endpoint.url, &endpoint.model);
        settings.api_key = endpoint.read_key().context("transcription.http.api_key_file")?;
        if let Some(seconds) = endpoint.timeout_seconds {
            settings.timeout = Duration::from_secs(seconds.max(1));
        }
        Ok(HttpBackend::new(settings)?)
    };
    Some(made())
}

/// The networks that tell voices apart, where they are wanted and there. What is wrong with them is a warning: calls go on,
/// and all that is said on a line stands under its name.
fn speakers(config: &Config) -> Option<Arc<SpeakerModels>> {
    if config.transcription.speakers == Speakers::Off {
        return None;
    }
    let networks = match SpeakerConfig::in_folder(&weights_folder(config)) {
        Ok(networks) => networks,
        Err(missing) => {
            // Nobody has asked for them: no fault.
            tracing::info!(%missing, "people who share a line are not told apart");
            return None;
        }
    };
    match SpeakerModels::load(&networks) {
        Ok(models) => Some(models),
        Err(error) => {
            tracing::warn!(%error, "people who share a line are not told apart");
            None
        }
    }
}

/// The ears of all calls.
struct Heard {
    hearing: Hearing,
    tells_voices: bool,
}

/// The recogniser and its name, or a warning: without weights calls go on, without notes.
fn hearing(config: &Config, metrics: &Metrics) -> (Option<Heard>, String) {
    let configured = config.transcription.recogniser();
    let none = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "no speech recognition: calls go on without notes");
        (None, configured.clone())
    };
    let folder = weights_folder(config);
    let vad = match weights::named(weights::DEFAULT_VAD).and_then(|w| weights::locate(&w, &folder)) {
        Ok(vad) => vad,
        Err(error) => return none(&error),
    };
    let (name, mut settings) = match service(config) {
        Some(Ok(service)) => {
            let mut settings = TranscriberConfig::new(PathBuf::new(), vad);
            let name = service.name().to_owned();
            settings.backend = Some(Arc::new(service));
            (name, settings)
        }
        Some(Err(error)) => return none(&error),
        None => match whisper(config) {
            Ok((model, path)) => (format!("whisper {model}"), TranscriberConfig::new(path, vad)),
            Err(error) => return none(&error),
        },
    };
    settings.endpoint = models::speech::endpoint::EndpointConfig::live();
    // Each ear is told its own: rooms and parties differ.
    settings.language = None;
    if let Some(threads) = config.transcription.threads {
        settings.workers = threads.max(1);
    }
    settings.speakers = speakers(config);
    let tells_voices = settings.speakers.is_some();
    match Transcriber::load(settings) {
        Ok((transcriber, results)) => {
            metrics.watch(&transcriber);
            (Some(Heard { hearing: Hearing::start(transcriber, results), tells_voices }), name)
        }
        Err(error) => none(&error),
    }
}

pub(super) async fn shutdown_asked() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        asked = tokio::signal::ctrl_c() => asked?,
    }
    Ok(())
}
