use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// Makes this test binary, started once more, hold a cluster until it is killed.
const HOLD: &str = "GAVAH_TESTKIT_HOLD_CLUSTER";
const POLL: Duration = Duration::from_millis(50);
const POLLS: usize = 600;

fn psql(cluster: &Cluster, url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(cluster.bin.join("psql"))
        .args([
            "-X",
            "-q",
            "-t",
            "-A",
            "-v",
            "ON_ERROR_STOP=1",
            url,
            "-c",
            sql,
        ])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// The folder in /proc of the cluster's server.
fn server_process(folder: &Path) -> PathBuf {
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    Path::new("/proc").join(file.lines().next().unwrap())
}

/// Waits until nothing of a cluster is left: no folder, no server, nobody on its port.
fn assert_gone(folder: &Path, server: &Path, port: u16) {
    let is_gone =
        || !folder.exists() && !server.exists() && TcpStream::connect(("127.0.0.1", port)).is_err();
    let gone = (0..POLLS).any(|_| {
        thread::sleep(POLL);
        is_gone()
    });
    assert!(
        gone,
        "{} or {} or port {port} is still there",
        folder.display(),
        server.display()
    );
}

#[test]
fn two_databases_know_nothing_of_each_other() {
    let cluster = Cluster::shared().unwrap();
    let (one, other) = (
        cluster.create_database().unwrap(),
        cluster.create_database().unwrap(),
    );
    assert_ne!(one.name, other.name);
    psql(cluster, &one.url, "CREATE TABLE note (text TEXT)").unwrap();
    psql(cluster, &one.url, "INSERT INTO note VALUES ('یادداشت')").unwrap();
    assert_eq!(
        psql(cluster, &one.url, "SELECT text FROM note").unwrap(),
        "یادداشت"
    );
    let error = psql(cluster, &other.url, "SELECT text FROM note").unwrap_err();
    assert!(error.contains("does not exist"), "{error}");
    let across = format!("{}/{}", one.url.rsplit_once('/').unwrap().0, other.name);
    let error = psql(cluster, &across, "SELECT 1").unwrap_err();
    assert!(error.contains("permission denied for database"), "{error}");
}

#[test]
fn the_runtime_role_may_do_what_the_owner_grants_and_nothing_else() {
    let cluster = Cluster::shared().unwrap();
    let database = cluster.create_database_with_runtime_role().unwrap();
    let runtime = |sql| psql(cluster, &database.runtime_url, sql);
    psql(
        cluster,
        &database.owner_url,
        "CREATE TABLE entry (text TEXT)",
    )
    .unwrap();
    let grant = format!("GRANT SELECT, INSERT ON entry TO {}", database.runtime_role);
    psql(cluster, &database.owner_url, &grant).unwrap();

    runtime("INSERT INTO entry VALUES ('once')").unwrap();
    assert_eq!(runtime("SELECT text FROM entry").unwrap(), "once");
    for forbidden in [
        "UPDATE entry SET text = ''",
        "DELETE FROM entry",
        "CREATE TABLE other ()",
        "DROP TABLE entry",
    ] {
        let error = runtime(forbidden).unwrap_err();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{forbidden}: {error}"
        );
    }
    let roles = cluster
        .query("postgres", "SELECT count(*) FROM pg_roles WHERE rolsuper")
        .unwrap();
    assert_eq!(roles, "1", "only the cluster's own superuser is one");
}

#[test]
fn the_cluster_is_durable_and_terse_and_asks_for_a_password() {
    let cluster = Cluster::shared().unwrap();
    let setting = |name: &str| cluster.query("postgres", &format!("SHOW {name}")).unwrap();
    assert_eq!(setting("fsync"), "on");
    assert_eq!(setting("synchronous_commit"), "on");
    assert_eq!(setting("full_page_writes"), "on");
    assert_eq!(setting("log_error_verbosity"), "terse");
    assert_eq!(setting("max_connections"), "200");
    assert_eq!(setting("server_encoding"), "UTF8");
    let url = cluster.superuser_url("postgres");
    assert_eq!(
        psql(cluster, &url, "SELECT current_user").unwrap(),
        "postgres"
    );
    let error = psql(
        cluster,
        &url.replace(&cluster.password, "guess"),
        "SELECT 1",
    )
    .unwrap_err();
    assert!(error.contains("password authentication failed"), "{error}");
}

#[test]
fn a_cluster_of_ones_own_is_gone_when_it_is_dropped() {
    let cluster = Cluster::start(Options { fsync: false }).unwrap();
    assert_eq!(cluster.query("postgres", "SHOW fsync").unwrap(), "off");
    let (folder, port) = (cluster.folder().to_owned(), cluster.port());
    let server = server_process(&folder);
    assert!(server.exists());
    drop(cluster);
    assert!(!folder.exists(), "dropping waits for the watchdog");
    assert_gone(&folder, &server, port);
}

#[test]
fn the_cluster_is_gone_after_its_process_was_killed() {
    if std::env::var_os(HOLD).is_some() {
        let cluster = Cluster::shared().unwrap();
        println!(
            "\nholding {} {}",
            cluster.port(),
            cluster.folder().display()
        );
        thread::sleep(Duration::from_secs(120));
        return;
    }
    let this_test = "postgres::tests::the_cluster_is_gone_after_its_process_was_killed";
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this_test, "--nocapture"])
        .env(HOLD, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("holding "))
        .unwrap();
    let mut words = line.splitn(3, ' ').skip(1);
    let port: u16 = words.next().unwrap().parse().unwrap();
    let folder = PathBuf::from(words.next().unwrap());
    let server = server_process(&folder);
    assert!(server.exists());

    // SIGKILL: no destructor and no exit handler of the holder runs.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_gone(&folder, &server, port);
}

#[test]
fn missing_programs_are_an_error_that_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let folders = [folder.path().to_owned(), PathBuf::from("/nowhere")];
    // As a test shows it that unwraps.
    let text = format!("{:?}", find_programs(&folders).unwrap_err());
    assert!(
        text.contains("apt-get install postgresql-15") && text.contains("GAVAH_PG_BIN"),
        "{text}"
    );
    assert!(text.contains("/nowhere"), "{text}");
    for program in PROGRAMS {
        assert!(find_programs(&folders).is_err());
        fs::write(folder.path().join(program), "").unwrap();
    }
    assert_eq!(find_programs(&folders).unwrap(), folder.path());
}

#[test]
fn a_port_that_is_taken_is_passed_over() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = holder.local_addr().unwrap().port();
    let free = free_ports().unwrap()[0];
    let bin = find_programs(&program_folders()).unwrap();
    let cluster = Cluster::start_on(bin, &[taken, free], Options { fsync: false }).unwrap();
    assert_eq!(cluster.port(), free);
}

#[test]
fn a_cluster_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let broken = folder.path().join("initdb");
    fs::write(
        &broken,
        "#!/bin/sh\necho this server is broken >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&broken, Permissions::from_mode(0o755)).unwrap();
    let error = Cluster::start_on(folder.path().to_owned(), &[1], Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("this server is broken"),
        "{error}"
    );
}
