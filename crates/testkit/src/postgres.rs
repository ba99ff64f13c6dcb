//! Throw-away PostgreSQL clusters: a real server with real durability, gone when the test binary is gone.
//!
//! ```no_run
//! use gavah_testkit::postgres::Cluster;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Cluster::shared()?.create_database()?;
//! println!("connect to {}", database.url);
//! # Ok(())
//! # }
//! ```
//!
//! One cluster serves all tests of one test binary ([`Cluster::shared`]) and every test makes its own database in it. The
//! cluster is started under a small shell watchdog that reads from a pipe which only the test binary can write to: when
//! the test binary ends, by whatever signal, the operating system closes the pipe and the watchdog stops the cluster and
//! removes its folder. (A static value is never dropped, so no `Drop` could do it.)
//!
//! The server programs are those of Debian's `postgresql-15`. They are looked for in the folder that `GAVAH_PG_BIN`
//! names, else where `pg_config --bindir` says, else in the newest `/usr/lib/postgresql/*/bin`. When there are none every
//! call fails and says what to install: a test on PostgreSQL is never skipped.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longest wait for a cluster: making its folder, and up to 30 seconds until it takes connections.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How many ports are tried when others take them first.
const PORTS: usize = 5;
/// The programs that a cluster needs.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];
/// Where Debian puts each version's programs.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";
const WATCHDOG: &str = include_str!("postgres/watchdog.sh");
const SUPERUSER: &str = "postgres";

/// Why there is no cluster or no database. Cloned, since all tests of a binary share one attempt.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The server programs are not installed.
    #[error(
        "PostgreSQL's programs {PROGRAMS:?} are not in {}: run `apt-get install postgresql-15`, or name their folder in GAVAH_PG_BIN",
        .looked_in.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// The folders that were looked in.
        looked_in: Vec<PathBuf>,
    },
    /// The cluster did not come up.
    #[error("the PostgreSQL cluster did not start: {0}")]
    NotStarted(String),
    /// A statement failed.
    #[error("psql failed: {0}")]
    Statement(String),
}

impl fmt::Debug for PostgresError {
    /// The same sentence: a test that unwraps shows this, and it should say what to install.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a cluster differs from the shared one.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether commits are flushed to the disk. On unless a test's speed matters more to it than durability.
    pub fsync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: true }
    }
}

/// A running PostgreSQL cluster on 127.0.0.1. It is stopped and removed when this is dropped or the process ends.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
    /// Its standard input is the pipe that keeps the cluster alive.
    watchdog: Child,
}

/// A fresh database whose owner is an unprivileged role of its own.
#[derive(Debug, Clone)]
pub struct Database {
    /// The database's name, unique in the cluster.
    pub name: String,
    /// Connects as the owner: `postgres://NAME_owner:PASSWORD@127.0.0.1:PORT/NAME`.
    pub url: String,
}

/// A fresh database with a second role, as a service uses it in production.
#[derive(Debug, Clone)]
pub struct DatabaseWithRuntimeRole {
    /// The database's name, unique in the cluster.
    pub name: String,
    /// Connects as the owner, who may change the schema.
    pub owner_url: String,
    /// Connects as the runtime role, who may connect and has no right on any table until the owner grants it.
    pub runtime_url: String,
    /// The runtime role's name, for the owner's `GRANT`.
    pub runtime_role: String,
}

impl Cluster {
    /// The cluster that all tests of this test binary share, started by the first one that asks.
    ///
    /// # Errors
    /// [`PostgresError`], the same for every test.
    pub fn shared() -> Result<&'static Self, PostgresError> {
        static SHARED: OnceLock<Result<Cluster, PostgresError>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(Options::default()))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Starts a cluster of one's own, for a test that stops or kills it.
    ///
    /// # Errors
    /// [`PostgresError`].
    pub fn start(options: Options) -> Result<Self, PostgresError> {
        let bin = find_programs(&program_folders())?;
        let ports = free_ports().map_err(|error| PostgresError::NotStarted(error.to_string()))?;
        Self::start_on(bin, &ports, options)
    }

    /// Starts a cluster on the first of the ports that is still free.
    fn start_on(bin: PathBuf, ports: &[u16], options: Options) -> Result<Self, PostgresError> {
        let failed = |error: io::Error| PostgresError::NotStarted(error.to_string());
        let password = random_password().map_err(failed)?;
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "gavah-pg-watchdog"])
            .arg(&bin)
            .arg(configuration(options))
            .args(ports.iter().map(u16::to_string))
            .env("GAVAH_PG_PASSWORD", &password)
            // The watchdog reads messages of the programs, so they must not be translated.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C ends the tests, and the watchdog then ends the cluster.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        match wait_until_ready(&mut watchdog) {
            Ok((port, folder)) => Ok(Self {
                bin,
                folder,
                port,
                password,
                databases: AtomicU32::new(0),
                watchdog,
            }),
            Err(reason) => {
                end(&mut watchdog);
                Err(PostgresError::NotStarted(reason))
            }
        }
    }

    /// Makes a fresh database and a role that owns it.
    ///
    /// # Errors
    /// [`PostgresError::Statement`].
    pub fn create_database(&self) -> Result<Database, PostgresError> {
        let name = format!("gavah_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let owner = format!("{name}_owner");
        self.query("postgres", &self.create_role(&owner))?;
        self.query("postgres", &format!("CREATE DATABASE {name} OWNER {owner}"))?;
        // Only the roles of this database may connect to it, as in production.
        self.query(
            "postgres",
            &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
        )?;
        Ok(Database {
            url: self.url(&owner, &name),
            name,
        })
    }

    /// Makes a fresh database, a role that owns it and a role that may only connect.
    ///
    /// # Errors
    /// [`PostgresError::Statement`].
    pub fn create_database_with_runtime_role(
        &self,
    ) -> Result<DatabaseWithRuntimeRole, PostgresError> {
        let Database {
            name,
            url: owner_url,
        } = self.create_database()?;
        let runtime_role = format!("{name}_runtime");
        self.query("postgres", &self.create_role(&runtime_role))?;
        self.query(
            "postgres",
            &format!("GRANT CONNECT ON DATABASE {name} TO {runtime_role}"),
        )?;
        Ok(DatabaseWithRuntimeRole {
            runtime_url: self.url(&runtime_role, &name),
            name,
            owner_url,
            runtime_role,
        })
    }

    /// Removes a database, whoever is connected to it; its roles stay. Without this, all the databases of a test binary lie
    /// on the disk together.
    ///
    /// # Errors
    /// [`PostgresError::Statement`].
    pub fn drop_database(&self, name: &str) -> Result<(), PostgresError> {
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.query("postgres", &statement).map(|_| ())
    }

    /// Runs one SQL statement as the superuser and returns its rows: one a line, columns separated by `|`.
    ///
    /// # Errors
    /// [`PostgresError::Statement`] with the server's message.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, PostgresError> {
        let output = Command::new(self.bin.join("psql"))
            .args([
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--tuples-only",
                "--no-align",
            ])
            .args([
                "--set=ON_ERROR_STOP=1",
                "--host=127.0.0.1",
                "--username",
                SUPERUSER,
            ])
            .arg(format!("--port={}", self.port))
            .arg(format!("--dbname={database}"))
            .arg(format!("--command={sql}"))
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| PostgresError::Statement(error.to_string()))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned())
        } else {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(PostgresError::Statement(message))
        }
    }

    /// Connects to a database as the superuser, who may end others' connections.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The cluster's folder: `data` is the data folder, `log` the server's log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One password serves all roles: the cluster is as secret as its process.
    fn url(&self, role: &str, database: &str) -> String {
        format!(
            "postgres://{role}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    fn create_role(&self, role: &str) -> String {
        format!("CREATE ROLE {role} LOGIN PASSWORD '{}'", self.password)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        end(&mut self.watchdog);
    }
}

/// Closes the watchdog's pipe and waits until it has stopped the cluster and removed the folder.
fn end(watchdog: &mut Child) {
    drop(watchdog.stdin.take());
    // An error means that there is nobody to wait for.
    let _ = watchdog.wait();
}

/// What the watchdog says about its cluster: port and folder, or why there is none.
fn wait_until_ready(watchdog: &mut Child) -> Result<(u16, PathBuf), String> {
    let (Some(stdout), Some(mut stderr)) = (watchdog.stdout.take(), watchdog.stderr.take()) else {
        return Err("the watchdog has no output".to_owned());
    };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let said = BufReader::new(stdout).read_line(&mut line);
        let mut reason = String::new();
        if !matches!(said, Ok(length) if length > 0) {
            // Only after standard output has ended, so this ends as well.
            let _ = stderr.read_to_string(&mut reason);
        }
        // Nobody listens any more when the wait was given up.
        let _ = sender.send((line, reason));
        // From here on only the watchdog's own messages can come, and nobody needs them.
        let _ = io::copy(&mut stderr, &mut io::sink());
    });
    let (line, reason) = receiver
        .recv_timeout(READY_WITHIN)
        .map_err(|_| format!("not ready within {} seconds", READY_WITHIN.as_secs()))?;
    let mut words = line.trim_end().splitn(3, ' ');
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some("ready"), Some(Ok(port)), Some(folder)) => Ok((port, PathBuf::from(folder))),
        _ => Err(reason.trim().to_owned()),
    }
}

/// The cluster's settings: few, small, and those that a service in production would ask for.
fn configuration(options: Options) -> String {
    let fsync = if options.fsync { "on" } else { "off" };
    format!(
        "listen_addresses = '127.0.0.1'\n\
         unix_socket_directories = ''\n\
         max_connections = 200\n\
         shared_buffers = 32MB\n\
         fsync = {fsync}\n\
         synchronous_commit = on\n\
         log_error_verbosity = terse\n\
         timezone = 'UTC'"
    )
}

/// Folders to look in, best first. A folder that the environment names is the only one: a wrong name must be noticed.
fn program_folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("GAVAH_PG_BIN") {
        return vec![PathBuf::from(folder)];
    }
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    let mut versions: Vec<u32> = std::fs::read_dir(DEBIAN_ROOT)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let debian = versions
        .into_iter()
        .map(|version| Path::new(DEBIAN_ROOT).join(version.to_string()).join("bin"));
    folders.extend(debian);
    folders
}

fn find_programs(folders: &[PathBuf]) -> Result<PathBuf, PostgresError> {
    folders
        .iter()
        .find(|folder| {
            PROGRAMS
                .iter()
                .all(|program| folder.join(program).is_file())
        })
        .cloned()
        .ok_or_else(|| PostgresError::Missing {
            looked_in: if folders.is_empty() {
                vec![PathBuf::from(DEBIAN_ROOT)]
            } else {
                folders.to_vec()
            },
        })
}

/// Ports that were free when asked, all different since they were held at the same time.
fn free_ports() -> io::Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..PORTS)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<io::Result<_>>()?;
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}

fn random_password() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
