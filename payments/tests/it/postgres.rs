//! A PostgreSQL server of the tests' own: made in a folder, listening on a socket in it and nowhere else. All tests of the
//! process share it, each with a database of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection as _, PgConnection};

/// A running server. It lives as long as its standard input: it ends, and its folder goes, when this process does, however
/// that comes about.
struct Server {
    folder: PathBuf,
    _alive: ChildStdin,
    _keeper: Child,
}

/// Makes the cluster, runs the server, says when it can be reached, and tidies up when nobody is there any more. Its arguments:
/// the folder of PostgreSQL's programs, and a folder for the cluster.
const KEEPER: &str = r#"
trap '' INT TERM
"$1/initdb" --auth=trust --username=ledger --encoding=UTF8 --no-sync -D "$2/data" >"$2/log" 2>&1 || { cat "$2/log"; exit 1; }
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 >"$2/log" 2>&1 </dev/null &
server=$!
tries=0
until "$1/pg_isready" -q -h "$2"; do
    tries=$((tries + 1))
    if [ $tries -gt 1200 ] || ! kill -0 $server; then cat "$2/log"; kill -INT $server; exit 1; fi
    sleep 0.05
done
echo ready
read -r nothing
# At once, without writing down two hundred databases that are removed anyway, which takes minutes.
kill -QUIT $server; wait $server
# Run by root, the folder itself is root's: it stays, empty.
rm -rf "$2" 2>/dev/null
"#;

/// What the folder of PostgreSQL's programs must have.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_isready"];

/// The folder of PostgreSQL's programs: where Debian puts it, or in the `PATH`.
fn programs() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let found = debian
        .chain(std::env::split_paths(&paths))
        .find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()));
    found.expect("PostgreSQL's server is missing; `cargo xtask setup` installs the Debian package postgresql")
}

/// PostgreSQL does not run as root: there the user that its package makes runs it.
fn command(program: &str) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    if String::from_utf8_lossy(&id).trim() != "0" {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", program]);
    command
}

impl Server {
    fn start() -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("ledger-pg").tempdir().unwrap().keep();
        // The server's user must be able to write here, and to remove it.
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        };
        open(&folder);
        let mut keeper = command("sh")
            .args(["-c", KEEPER, "sh"])
            .args([&programs, &folder])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut alive, out) = (keeper.stdin.take().unwrap(), keeper.stdout.take().unwrap());
        alive.flush().unwrap();
        let said = std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok);
        let mut log = Vec::new();
        for line in said {
            if line == "ready" {
                return Self { folder, _alive: alive, _keeper: keeper };
            }
            log.push(line);
        }
        let _ = keeper.wait();
        panic!("PostgreSQL does not start:\n{}", log.join("\n"));
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://ledger@{folder}/{database}")
    }
}

/// The address of a new and empty database.
pub(crate) async fn new_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(Server::start)).await.unwrap();
    let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut postgres = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let made = sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut postgres).await;
    made.unwrap();
    postgres.close().await.unwrap();
    server.url(&name)
}
