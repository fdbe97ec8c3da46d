//! CGRateS, the charging engine that `cargo xtask bench payments` measures beside ours, and the Redis that it keeps balances in.
//! Only that needs them: where one cannot be had, it is measured without.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use scenarios::toolbox;

use super::{go, is_root, python};
use crate::shell::{self, Work};

/// Both programs; `None` where one is missing, and why is said.
pub(crate) fn cgrates() -> anyhow::Result<Option<(PathBuf, PathBuf)>> {
    let cache = toolbox::cache_dir()?;
    let logs = cache.join("logs");
    let Some(redis) = redis(&logs)? else { return Ok(None) };
    Ok(engine(&cache, &logs)?.map(|engine| (engine, redis)))
}

fn redis(logs: &Path) -> anyhow::Result<Option<PathBuf>> {
    if let Some(redis) = shell::which("redis-server") {
        return Ok(Some(redis));
    }
    if !is_root() || shell::which("apt-get").is_none() {
        println!("  redis-server is missing: CGRateS is not measured (on Debian: apt-get install redis-server)");
        return Ok(None);
    }
    let work =
        Work::begin(logs, "redis-server from Debian", "CGRateS keeps its balances in one of the measurement's own")?;
    work.run(Command::new("apt-get").args(["update", "-q"]))?;
    // The package would start a server: none is wanted but our own.
    work.run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").args([
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
        "redis-server",
    ]))?;
    work.end();
    Ok(shell::which("redis-server"))
}

/// Built from Go modules, whose hashes stand in `tests/peers/cgrates/go.sum`; once for each content of the two files.
fn engine(cache: &Path, logs: &Path) -> anyhow::Result<Option<PathBuf>> {
    let from = toolbox::peers_dir().join("cgrates");
    let dir = cache.join("cgrates");
    let (program, names) = (dir.join("cgr-engine"), ["go.mod", "go.sum"]);
    let same = |name: &str| fs::read(from.join(name)).ok() == fs::read(dir.join(name)).ok();
    if program.exists() && names.into_iter().all(same) {
        return Ok(Some(program));
    }
    let go = match go(cache, logs, &python()?) {
        Ok(go) => go,
        Err(error) => {
            println!("  there is no Go, so CGRateS is not measured: {error:#}");
            return Ok(None);
        }
    };
    let work = Work::begin(logs, "CGRateS from Go modules", "a charging engine to compare with; minutes")?;
    let half = cache.join(format!(".cgrates-{}", std::process::id()));
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half)?;
    for name in names {
        fs::copy(from.join(name), half.join(name)).with_context(|| name.to_owned())?;
    }
    work.run(
        Command::new(go)
            .args(["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", "cgr-engine"])
            .arg("github.com/cgrates/cgrates/cmd/cgr-engine")
            .envs([("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-modcacherw")])
            .current_dir(&half),
    )?;
    let _ = fs::remove_dir_all(&dir);
    fs::rename(&half, &dir)?;
    work.end();
    Ok(Some(program))
}
