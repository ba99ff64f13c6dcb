//! PostgreSQL beside the service, through its own programs: `psql` prepares and fills databases, `pgbench` says what
//! the bare database can do.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gavah_bench::process::Stat;
use tokio::io::AsyncWriteExt;

use crate::problem::Problem;

/// Where Debian puts each version's programs.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";
/// In a database that the bench made, and in no other.
const MARK: &str = "gavah_bench_made_this";

/// A database, as its owner.
#[derive(Clone)]
pub(super) struct Postgres {
    /// Its URL.
    pub(super) url: String,
    /// The same as libpq's environment, so that no password stands in a command line.
    environment: Vec<(&'static str, String)>,
    /// The schema in which the site lives.
    schema: String,
}

/// What pgbench runs.
pub(super) struct Script<'a> {
    /// Its file.
    pub(super) path: &'a Path,
    /// Definitions of its variables, `name=value`.
    pub(super) variables: &'a [String],
    /// Whether its statements are prepared, or sent as they are.
    pub(super) prepared: bool,
    /// Clients that run it at the same time.
    pub(super) clients: usize,
}

impl Postgres {
    /// Reads a URL: `postgres://ROLE:PASSWORD@HOST:PORT/DATABASE`.
    pub(super) fn new(url: &str) -> Result<Self, Problem> {
        let environment = environment(url).ok_or_else(|| {
            Problem::usage("the database's URL must be postgres://ROLE:PASSWORD@HOST:PORT/DATABASE")
        })?;
        Ok(Self {
            url: url.to_owned(),
            environment,
            schema: "public".to_owned(),
        })
    }

    /// The same database with sites in another schema, which every session finds first.
    pub(super) fn in_schema(&self, schema: &str) -> Self {
        let mut other = self.clone();
        let separator = if self.url.contains('?') { '&' } else { '?' };
        other.url = format!("{}{separator}options=-csearch_path%3D{schema}", self.url);
        other
            .environment
            .push(("PGOPTIONS", format!("-csearch_path={schema}")));
        other.schema = schema.to_owned();
        other
    }

    /// Makes the schema empty.
    ///
    /// # Errors
    /// [`Problem::Refused`] when there are tables in it that the bench did not make.
    pub(super) async fn empty(&self) -> Result<(), Problem> {
        let schema = &self.schema;
        let tables = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'");
        let marked = format!("SELECT to_regclass('{schema}.{MARK}') IS NOT NULL");
        if self.query(&tables).await? != "0" && self.query(&marked).await? != "t" {
            return Err(Problem::Refused(
                "the database has tables that the bench did not make: load is for a database of its own".to_owned(),
            ));
        }
        self.query(&format!(
            "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; CREATE TABLE {schema}.{MARK} ()"
        ))
        .await
        .map(|_| ())
    }

    /// Runs statements and returns their rows: one a line, columns separated by `|`.
    pub(super) async fn query(&self, sql: &str) -> Result<String, Problem> {
        let mut command = self.program("psql")?;
        command.args([
            "--no-psqlrc",
            "--no-password",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ]);
        run(command, sql.to_owned()).await
    }

    /// The first process of the cluster, when it runs on this machine: parent of all that work for it.
    pub(super) async fn first_process(&self) -> Result<Option<u32>, Problem> {
        let script = "SELECT pg_backend_pid() AS pid \\gset\n\\setenv BACKEND :pid\n\\! cat /proc/$BACKEND/stat\n";
        let line = self.query(script).await.unwrap_or_default();
        let is_postgres = line.contains("(postgres)");
        Ok(Stat::parse(&line)
            .filter(|_| is_postgres)
            .map(|stat| stat.parent))
    }

    /// Runs a pgbench script for so long: transactions a second. Its time counts from before it has connected; where
    /// nothing was left of it, longer.
    pub(super) async fn pgbench(
        &self,
        script: &Script<'_>,
        time: Duration,
    ) -> Result<f64, Problem> {
        let mut told = String::new();
        let seconds = time.as_secs().max(1);
        for seconds in [seconds, 4 * seconds, 16 * seconds] {
            told = self.pgbench_once(script, seconds).await?;
            if let Some(rate) = transactions_per_second(&told) {
                return Ok(rate);
            }
        }
        Err(Problem::Internal(format!("pgbench told no rate: {told}")))
    }

    async fn pgbench_once(&self, script: &Script<'_>, seconds: u64) -> Result<String, Problem> {
        let mut command = self.program("pgbench")?;
        let protocol = if script.prepared {
            "prepared"
        } else {
            "simple"
        };
        let clients = script.clients.to_string();
        command
            .args(["--no-vacuum", "--jobs=2", "--protocol", protocol])
            .args(["--client", &clients, "--time", &seconds.to_string()])
            .args(
                script
                    .variables
                    .iter()
                    .flat_map(|variable| ["--define", variable]),
            )
            .arg("--file")
            .arg(script.path);
        run(command, String::new()).await
    }

    fn program(&self, name: &str) -> Result<Command, Problem> {
        let path = find(name).ok_or_else(|| {
            Problem::usage(format_args!(
                "{name} is neither in PATH nor in {DEBIAN_ROOT}/*/bin: install postgresql"
            ))
        })?;
        let mut command = Command::new(path);
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PGCONNECT_TIMEOUT", "10")
            .env("LC_ALL", "C.UTF-8");
        Ok(command)
    }
}

/// Looks for a program as the shell does, then in the newest version's folder.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir(DEBIAN_ROOT).into_iter().flatten().flatten();
    let number = |folder: &OsString| folder.to_str().and_then(|name| name.parse::<u32>().ok());
    let mut versions: Vec<OsString> = versions.map(|entry| entry.file_name()).collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    folders.extend(
        versions
            .iter()
            .map(|version| Path::new(DEBIAN_ROOT).join(version).join("bin")),
    );
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Runs a program to its end with a text as its input: what it printed. It ends when this is dropped.
async fn run(command: Command, input: String) -> Result<String, Problem> {
    let name = format!("{:?}", command.get_program());
    let failed = |text: &str| Problem::Internal(format!("{name}: {}", text.trim()));
    let ran = async {
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = ran
        .await
        .map_err(|error: std::io::Error| failed(&error.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(failed(&String::from_utf8_lossy(&output.stderr))),
    }
}

fn transactions_per_second(told: &str) -> Option<f64> {
    let line = told.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split_whitespace().next()?.parse().ok()
}

fn environment(url: &str) -> Option<Vec<(&'static str, String)>> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))?;
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/')?;
    let (account, place) = authority.rsplit_once('@')?;
    let (role, password) = account.split_once(':').unwrap_or((account, ""));
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
    let socket = options
        .split('&')
        .find_map(|option| option.strip_prefix("host="));
    let host = socket.unwrap_or(host).trim_matches(['[', ']']);
    if role.is_empty() || database.is_empty() || host.is_empty() {
        return None;
    }
    let named = [
        ("PGHOST", host),
        ("PGPORT", port),
        ("PGUSER", role),
        ("PGPASSWORD", password),
        ("PGDATABASE", database),
    ];
    named
        .into_iter()
        .map(|(name, value)| Some((name, plain(value)?)))
        .collect()
}

/// `%40` → `@`
fn plain(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_libpqs_environment() {
        let found =
            environment("postgres://me:p%40ss@127.0.0.1:5433/gavah?options=-cx%3Dy").unwrap();
        let expected = [
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "p@ss"),
            ("PGDATABASE", "gavah"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        assert_eq!(found, expected);
        let socket =
            environment("postgresql://me@localhost/gavah?host=%2Frun%2Fpostgresql").unwrap();
        assert_eq!(socket[0].1, "/run/postgresql");
        for bad in [
            "",
            "mysql://a:b@c/d",
            "postgres://host/db",
            "postgres://a:b@c",
            "postgres://a:%4@c/d",
        ] {
            assert_eq!(environment(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_rate_is_read_from_what_pgbench_tells() {
        let told =
            "latency average = 1.2 ms\ntps = 1234.500000 (without initial connection time)\n";
        assert_eq!(transactions_per_second(told), Some(1_234.5));
        assert_eq!(transactions_per_second("nothing"), None);
    }
}
