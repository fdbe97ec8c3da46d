//! A Bitcoin chain and a second Lightning implementation for the tests of payments. Neither is needed for calls, so where one
//! cannot be had the set-up says why and goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use scenarios::toolbox;

use super::{free_bytes, go};
use crate::shell::{self, Work};

/// The suites that carry a bitcoind, in the order in which they are tried. The stable ones do not.
const SUITES: [&str; 2] = ["forky", "sid"];
const PACKAGE: &str = "bitcoin-knots";
/// Debian's keys, as its package `debian-archive-keyring` has them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What building LND writes besides the program: modules and Go's build cache.
const LND_ROOM: u64 = 4_000_000_000;

/// The programs of the tests' chain; `None` where this machine cannot have one.
pub(super) struct Lightning {
    pub(super) bitcoind: Option<PathBuf>,
    pub(super) lnd: Option<PathBuf>,
    pub(super) electrumx_python: Option<PathBuf>,
}

pub(super) fn lightning(cache: &Path, logs: &Path, python: &Path) -> Lightning {
    let bitcoind = bitcoind(cache, logs).unwrap_or_else(|error| {
        println!("  bitcoind: not to be had, so no Lightning node is tried in the tests ({error:#})");
        None
    });
    let lnd = bitcoind.as_ref().and_then(|_| {
        lnd(cache, logs, python).unwrap_or_else(|error| {
            println!("  LND: not to be had ({error:#})");
            None
        })
    });
    let electrumx_python = bitcoind.as_ref().and_then(|_| {
        let why = "an Electrum server on the tests' chain";
        super::peer(cache, logs, python, "electrumx", why).unwrap_or_else(|error| {
            println!("  ElectrumX: not to be had ({error:#})");
            None
        })
    });
    Lightning { bitcoind, lnd, electrumx_python }
}

/// Debian's bitcoind with the libraries that it needs, its own libc among them, unpacked into the cache: nothing is
/// installed, and no root is needed. apt itself, with folders of its own, checks signatures and hashes.
fn bitcoind(cache: &Path, logs: &Path) -> anyhow::Result<Option<PathBuf>> {
    let dir = cache.join("bitcoind");
    let program = dir.join("bitcoind");
    if program.exists() {
        return Ok(Some(program));
    }
    let here = cfg!(all(target_os = "linux", target_arch = "x86_64")) && Path::new(KEYRING).exists();
    let mirror = shell::output(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))
        .and_then(|text| text.lines().find(|line| line.trim_end_matches('/').ends_with("/debian")).map(str::to_owned));
    let Some(mirror) = mirror.filter(|_| here) else {
        println!(
            "  bitcoind: not here (it is taken from Debian, for x86-64), so no Lightning node is tried in the tests"
        );
        return Ok(None);
    };
    let work = Work::begin(logs, "bitcoind from Debian", "a Bitcoin chain for the tests; 27 MB to fetch")?;
    let half = cache.join(format!(".bitcoind-{}", std::process::id()));
    let _ = fs::remove_dir_all(&half);
    let mut done = Err(anyhow::anyhow!("no suite to try"));
    for suite in SUITES {
        done = unpack(&work, &half, &mirror, suite);
        if done.is_ok() {
            break;
        }
    }
    done.context("bitcoind could not be fetched from Debian")?;
    write_wrapper(&half, &dir)?;
    let _ = fs::remove_dir_all(&dir);
    fs::rename(&half, &dir)?;
    if !shell::succeeds(Command::new(&program).arg("-version")) {
        bail!("{} does not run; remove the folder and try again", program.display());
    }
    work.end();
    Ok(Some(program))
}

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

/// Starts it with the libc that it was built for: this machine's may be older.
fn write_wrapper(half: &Path, dir: &Path) -> anyhow::Result<()> {
    let dir = dir.display();
    let text = format!(
        "#!/bin/sh\nexec \"{dir}/{LOADER}\" --library-path \"{dir}/{LIBRARIES}\" \"{dir}/usr/bin/bitcoind\" \"$@\"\n"
    );
    let wrapper = half.join("bitcoind");
    fs::write(&wrapper, text)?;
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// Fetches the package and all that it depends on, and unpacks them. The list of installed packages that apt is shown is
/// empty, so that it fetches every library.
fn unpack(work: &Work, to: &Path, mirror: &str, suite: &str) -> anyhow::Result<()> {
    let apt = to.join("apt");
    let _ = fs::remove_dir_all(to);
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(folder))?;
    }
    fs::write(apt.join("status"), "")?;
    fs::write(apt.join("sources.list"), format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n"))?;
    let command = || {
        let mut command = Command::new("apt-get");
        for (key, value) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::SourceList", "sources.list"),
        ] {
            command.arg("-o").arg(format!("{key}={}", apt.join(value).display()));
        }
        for fixed in [
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::Etc::Preferences=/dev/null",
            "Dir::Etc::PreferencesParts=/dev/null",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "Acquire::Languages=none",
            // Where we are root: the user that apt steps down to cannot read the cache's folder.
            "APT::Sandbox::User=root",
        ] {
            command.args(["-o", fixed]);
        }
        command
    };
    work.run(command().args(["update", "-q", "--error-on=any"]))?;
    work.run(command().args(["install", "-y", "-q", "--download-only", "--no-install-recommends", PACKAGE]))?;
    for entry in fs::read_dir(apt.join("cache/archives"))?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "deb") {
            work.run(Command::new("dpkg").arg("-x").arg(entry.path()).arg(to))?;
        }
    }
    fs::remove_dir_all(&apt)?;
    Ok(())
}

/// LND from Go modules. Its module file replaces some of its dependencies, which only the main module's may: so an empty
/// module that repeats them is the main one (`tests/peers/lnd`), and Go checks every module's hash.
fn lnd(cache: &Path, logs: &Path, python: &Path) -> anyhow::Result<Option<PathBuf>> {
    let from = toolbox::peers_dir().join("lnd/go.mod");
    let wanted = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
    if !wanted.contains(&format!("lnd v{}\n", toolbox::LND)) {
        bail!("{} does not name version {}, as toolbox.rs does", from.display(), toolbox::LND);
    }
    let dir = cache.join(format!("lnd-{}", toolbox::LND));
    let (program, stamp) = (dir.join("lnd"), dir.join("go.mod"));
    if program.exists() && fs::read_to_string(&stamp).ok().as_ref() == Some(&wanted) {
        return Ok(Some(program));
    }
    let go = match go(cache, logs, python) {
        Ok(go) => go,
        Err(error) => {
            println!("  LND: not built, there is no Go of {:?} or later here ({error:#})", toolbox::GO_AT_LEAST);
            return Ok(None);
        }
    };
    if free_bytes(cache).is_some_and(|free| free < LND_ROOM) {
        println!("  LND: not built, that takes {} GB of disk", LND_ROOM / 1_000_000_000);
        return Ok(None);
    }
    let work = Work::begin(
        logs,
        &format!("LND {}", toolbox::LND),
        "a second Lightning node for the tests, built from Go modules; five minutes",
    )?;
    let half = cache.join(format!(".lnd-{}", std::process::id()));
    fs::create_dir_all(&half)?;
    fs::write(half.join("go.mod"), &wanted)?;
    work.run(
        // Behind everything else that this machine does.
        Command::new("nice")
            .arg("-n15")
            .arg(go)
            .args(["build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-tags", LND_TAGS, "-o", "lnd"])
            .arg("github.com/lightningnetwork/lnd/cmd/lnd")
            .current_dir(&half)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-modcacherw")
            .env("GOTOOLCHAIN", "local"),
    )?;
    fs::create_dir_all(&dir)?;
    fs::rename(half.join("lnd"), &program)?;
    fs::write(&stamp, wanted)?;
    let _ = fs::remove_dir_all(&half);
    work.end();
    Ok(Some(program))
}

/// Those of LND's own releases, less the databases that need a server. Without `invoicesrpc` there are no hold invoices.
const LND_TAGS: &str =
    "autopilotrpc signrpc walletrpc chainrpc invoicesrpc watchtowerrpc neutrinorpc monitoring peersrpc kvdb_sqlite";
