//! `roomtone run`: everything started in order, and ended in order.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use bridge::sip::{SipConfig, SipEndpoint};
use models::{Transcriber, TranscriberConfig, weights};
use payments::NoCharge;
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;

use super::{Exit, complain};
use crate::{
    archive::{Archive, ArchiveKey},
    call::{Hearing, House, Outbox, Prompts, Switchboard, recover},
    config::{Config, OperatorKey},
    http,
    matrix::Matrix,
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
    let state = http::AppState::new(&config, &registration)?;
    let served = serve(listener, state.clone(), stop.clone());

    let (matrix, from_matrix) = Matrix::start(&config, &registration, &key).await?;
    let (sip, from_sip) = SipEndpoint::bind(sip_config(&config)).await.context("sip.listen")?;
    tracing::info!(http = %address, sip = %sip.local_addr(), bot = %matrix.bot().user_id(), "roomtone is up");

    let house = Arc::new(House {
        hearing: hearing(&config),
        prompts: Prompts::load(config.sip.prompts_dir.as_deref())?,
        matrix: matrix.clone(),
        archive: archive.clone(),
        sip: sip.clone(),
        credit: Arc::new(NoCharge),
        http: reqwest::Client::new(),
        config,
    });
    let outbox = tokio::spawn(Outbox::new(archive.clone(), matrix.clone()).run(stop.clone()));
    let cut_off = recover(&house).await?;
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
        stop.cancel();
        let _ = outbox.await;
        let _ = tokio::time::timeout(HTTP_DRAIN, served).await;
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

fn serve(listener: TcpListener, state: http::AppState, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    let app = http::router(state).into_make_service_with_connect_info::<SocketAddr>();
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

/// The recogniser, or a warning: without weights calls go on, without notes.
fn hearing(config: &Config) -> Option<Hearing> {
    let folder = config.transcription.models_dir.clone().unwrap_or_else(weights::default_folder);
    let file = |name: &str| weights::named(name).and_then(|w| weights::locate(&w, &folder));
    // A name of the manifest, or any ggml file.
    let model = &config.transcription.model;
    let own = [PathBuf::from(model), folder.join(model)].into_iter().find(|path| path.is_file());
    let whisper = own.map_or_else(|| file(model), Ok);
    let found = whisper.and_then(|whisper| Ok((whisper, file(weights::DEFAULT_VAD)?)));
    let (whisper, vad) = match found {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "no speech recognition: calls go on without notes");
            return None;
        }
    };
    let mut settings = TranscriberConfig::new(whisper, vad);
    // Captions are to stand in the thread within 2 s: from 3 s on a shorter pause ends an utterance, and none is longer than
    // 12 s (in windows of 32 ms), so that little is left to decode when somebody stops.
    settings.endpoint.patient_until = 94;
    settings.endpoint.longest = 375;
    settings.language.clone_from(&config.transcription.language);
    if let Some(threads) = config.transcription.threads {
        settings.workers = threads.max(1);
    }
    match Transcriber::load(settings) {
        Ok((transcriber, results)) => Some(Hearing::start(transcriber, results)),
        Err(error) => {
            tracing::error!(%error, "speech recognition cannot start: calls go on without notes");
            None
        }
    }
}

async fn shutdown_asked() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        asked = tokio::signal::ctrl_c() => asked?,
    }
    Ok(())
}
