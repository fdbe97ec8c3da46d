//! A PostgreSQL server of a test's own: made in a folder, listening on a socket in it and nowhere else.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; stopped and gone when dropped.
pub(crate) struct Postgres {
    server: Child,
    folder: tempfile::TempDir,
}

/// The folder of `initdb` and `postgres`: in the `PATH`, or where Debian puts it.
fn programs() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let found = std::env::split_paths(&paths).chain(debian).find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL's server is missing; `cargo xtask setup` installs the Debian package postgresql")
}

/// PostgreSQL does not run as root: there the user that its package makes runs it.
fn command(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if String::from_utf8_lossy(&id).trim() != "0" {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("ledger-pg").tempdir_in("/tmp").unwrap();
        // The server's user must be able to write here.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let data = folder.path().join("data");
        let made = command(&programs.join("initdb"))
            .args(["--auth=trust", "--username=ledger", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let server = command(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=60"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        // `pg_isready` tells by its exit code; there is no event to wait for.
        while !command(&programs.join("pg_isready")).arg("-q").arg("-h").arg(folder.path()).status().unwrap().success() {
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { server, folder }
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://ledger@{folder}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // By its own process id, from the file that it writes: the child may be `runuser`.
        let file = self.folder.path().join("data/postmaster.pid");
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.lines().next().map(str::to_owned));
        if let Some(pid) = pid {
            let _ = Command::new("kill").args(["-INT", &pid]).status();
        } else {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}
