//! A virtual user's device: made once, kept with its keys in an encrypted store, made anew when the store is lost.
//!
//! `data_dir/store/<localpart>/` holds `device.json` (which device) and the SDK's SQLite files under a key of their
//! own. A device whose keys are gone is of no use: no one can write to it any more. So a store that is missing, does
//! not open, or whose device the homeserver no longer knows is set aside (renamed, not deleted), a fresh device
//! takes its place, the cross-signing identity is made anew and the old devices are deleted.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use matrix_sdk::{
    Client, SessionMeta, SessionTokens, SqliteStoreConfig,
    authentication::matrix::MatrixSession,
    config::RequestConfig,
    ruma::{OwnedDeviceId, OwnedUserId, UserId},
    store::RoomLoadSettings,
};
use serde::{Deserialize, Serialize};

use super::{Inner, error::MatrixError, sync};

const DEVICE_NAME: &str = "Roomtone";
const CRYPTO_FILE: &str = "matrix-sdk-crypto.sqlite3";
const DEVICE_FILE: &str = "device.json";

#[derive(Serialize, Deserialize)]
struct DeviceFile {
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
}

/// A client that is ready to be used.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) user_id: OwnedUserId,
    pub(crate) device_id: OwnedDeviceId,
}

/// Opens the store of `localpart`, or makes user, device and store.
pub(crate) async fn open(inner: &Inner, localpart: &str, connections: usize) -> Result<Opened, MatrixError> {
    let user_id =
        UserId::parse(format!("@{localpart}:{}", inner.server_name)).map_err(|e| MatrixError::local("user id", e))?;
    let dir = inner.store_dir.join(localpart);
    let key = inner.key.derive::<32>(&format!("matrix store {user_id}"));
    inner.api.register(localpart).await?;

    if let Some(device_id) = known_device(&dir, &user_id) {
        if inner.api.put_device(&user_id, &device_id, DEVICE_NAME).await? {
            tracing::warn!(user = %user_id, "the homeserver had lost the device, a fresh one is made");
        } else {
            match restore(inner, &dir, &user_id, &device_id, &key, connections).await {
                Ok(client) => {
                    cross_sign(&client).await?;
                    return Ok(Opened { client, user_id, device_id });
                }
                Err(error) => {
                    tracing::error!(user = %user_id, %error, "the store does not open, a fresh device is made");
                }
            }
        }
    }

    set_aside(&dir)?;
    let device_id = fresh_device_id()?;
    write_device(&dir, &DeviceFile { user_id: user_id.clone(), device_id: device_id.clone() })?;
    inner.api.put_device(&user_id, &device_id, DEVICE_NAME).await?;
    let client = restore(inner, &dir, &user_id, &device_id, &key, connections).await?;
    cross_sign(&client).await?;
    // The first sync brings the rooms' state and old messages, which are nobody's business any more.
    client.sync_once(sync::settings(false, Duration::ZERO)).await.map_err(|e| MatrixError::sdk("first sync", e))?;
    match inner.api.delete_other_devices(&user_id, &device_id).await {
        Ok(0) => {}
        Ok(gone) => tracing::info!(user = %user_id, gone, "devices without keys deleted"),
        Err(error) => tracing::warn!(user = %user_id, %error, "old devices stay"),
    }
    Ok(Opened { client, user_id, device_id })
}

fn known_device(dir: &Path, user: &UserId) -> Option<OwnedDeviceId> {
    let text = std::fs::read_to_string(dir.join(DEVICE_FILE)).ok()?;
    let file: DeviceFile = serde_json::from_str(&text).ok()?;
    (file.user_id == user && dir.join(CRYPTO_FILE).exists()).then_some(file.device_id)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err, which gives the error away")]
fn store_error(path: &Path, cause: impl ToString) -> MatrixError {
    MatrixError::Store { path: path.to_owned(), cause: cause.to_string() }
}

fn set_aside(dir: &Path) -> Result<(), MatrixError> {
    if !dir.exists() {
        return Ok(());
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1..10_000)
        .map(|n| dir.with_file_name(format!("{name}.lost-{n}")))
        .find(|p| !p.exists())
        .ok_or_else(|| store_error(dir, "too many lost stores beside it; look why, and delete them"))?;
    std::fs::rename(dir, free).map_err(|e| store_error(dir, e))
}

fn write_device(dir: &Path, file: &DeviceFile) -> Result<(), MatrixError> {
    let write = || -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let fresh: PathBuf = dir.join("device.json.new");
        std::fs::write(&fresh, serde_json::to_vec(file)?)?;
        std::fs::File::open(&fresh)?.sync_all()?;
        std::fs::rename(&fresh, dir.join(DEVICE_FILE))
    };
    write().map_err(|e| store_error(dir, e))
}

fn fresh_device_id() -> Result<OwnedDeviceId, MatrixError> {
    let mut bytes = [0_u8; 10];
    getrandom::fill(&mut bytes).map_err(|e| MatrixError::local("device id", e))?;
    let id: String = bytes.iter().map(|b| char::from(b'A' + b % 26)).collect();
    Ok(format!("RT{id}").into())
}

async fn restore(
    inner: &Inner,
    dir: &Path,
    user: &OwnedUserId,
    device: &OwnedDeviceId,
    key: &[u8; 32],
    connections: usize,
) -> Result<Client, MatrixError> {
    let http = matrix_sdk::reqwest::Client::builder()
        // The proxy is on this machine: an HTTP_PROXY of the environment must not get at the word in its address.
        .no_proxy()
        .build()
        .map_err(|e| MatrixError::local("http client", e))?;
    // A key, not a passphrase: that would cost four seconds a client.
    let store = SqliteStoreConfig::with_low_memory_config(dir).key(Some(key)).pool_max_size(connections);
    let client = Client::builder()
        .homeserver_url(inner.proxy.address_for(user, device)?)
        .http_client(http)
        .sqlite_store_with_config_and_cache_path(store, None::<&str>)
        .request_config(RequestConfig::short_retry().timeout(Duration::from_secs(30)))
        .build()
        .await
        .map_err(|e| store_error(dir, e))?;
    let session = MatrixSession {
        meta: SessionMeta { user_id: user.clone(), device_id: device.clone() },
        tokens: SessionTokens { access_token: "the-proxy-knows".into(), refresh_token: None },
    };
    client
        .matrix_auth()
        .restore_session(session, RoomLoadSettings::default())
        .await
        .map_err(|e| store_error(dir, e))?;
    client.encryption().wait_for_e2ee_initialization_tasks().await;
    Ok(client)
}

/// Makes sure that this device is signed by an identity whose private keys this store holds.
async fn cross_sign(client: &Client) -> Result<(), MatrixError> {
    if has_identity(client).await {
        return Ok(());
    }
    let failed = |e| MatrixError::sdk("cross-signing", e);
    client.encryption().bootstrap_cross_signing_if_needed(None).await.map_err(failed)?;
    if !has_identity(client).await {
        // There is an identity whose keys went with a lost store. Application services replace it without being asked.
        client.encryption().bootstrap_cross_signing(None).await.map_err(failed)?;
    }
    Ok(())
}

async fn has_identity(client: &Client) -> bool {
    client.encryption().cross_signing_status().await.is_some_and(|s| s.is_complete())
}
