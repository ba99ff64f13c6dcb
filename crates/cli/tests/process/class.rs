//! A class is issued in one run while the server, and then the client, are killed: every student gets one code.

use std::collections::BTreeSet;
use std::fs;

use crate::program::{Process, command, until};
use crate::site::{Engine, Serving, Site, callers};
use crate::students::{EXPERT, Student, list_codes};

/// Students of the class; an environment variable makes it larger.
const STUDENTS: usize = 3_000;
const LARGER: &str = "GAVAH_TEST_CLASS";

fn size() -> usize {
    std::env::var(LARGER).map_or(STUDENTS, |size| size.parse().unwrap())
}

fn arguments(site: &Site, serving: &Serving) -> Vec<String> {
    let (certificate, key) = serving.connector.identity(callers::UNIVERSITY);
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    [
        "--output",
        "json",
        "code",
        "issue",
        "--file",
        &site.text("class.jsonl"),
        "--expert",
        EXPERT,
        "--statement-version",
        "1",
        "--endpoint",
        &serving.connector.endpoint,
        "--ca",
        &text(serving.connector.server_ca()),
        "--cert",
        &text(certificate),
        "--key",
        &text(key),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn start(site: &Site, serving: &Serving) -> Process {
    let arguments = arguments(site, serving);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Process::start(&site.path(""), "class", &arguments)
}

/// Waits until the result file tells of more rows than before.
async fn more_than(site: &Site, rows: usize) {
    let file = site.path("class.jsonl.result.csv");
    until("more rows are issued", async || {
        let text = fs::read_to_string(&file).ok()?;
        (text.lines().count() > rows + 1).then_some(())
    })
    .await;
}

fn rows(site: &Site) -> usize {
    let text = fs::read_to_string(site.path("class.jsonl.result.csv")).unwrap();
    text.lines().count() - 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_issued_once_although_the_server_and_the_client_are_killed_on_postgres() {
    issue(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_issued_once_although_the_server_and_the_client_are_killed_on_sqlite() {
    issue(Engine::Sqlite).await;
}

async fn issue(engine: Engine) {
    let site = Site::new(engine, "").await;
    let students: Vec<_> = (0..size()).map(|_| Student::new()).collect();
    let lines: Vec<_> = students.iter().map(Student::class_row).collect();
    fs::write(site.path("class.jsonl"), lines.concat()).unwrap();

    // The server is killed: the client gives up, and tells what it knows.
    let mut serving = site.serve().await;
    let mut client = start(&site, &serving);
    more_than(&site, 0).await;
    serving.process.kill();
    assert_eq!(client.exit_code().await, Some(3), "{}", client.stderr());
    assert!(client.stderr().contains("goes on from there"));
    let first = rows(&site);
    assert!(first < students.len(), "it was killed too late");

    // The client is killed: what it was told and had not kept is asked for again.
    let mut serving = site.serve().await;
    let mut client = start(&site, &serving);
    more_than(&site, first).await;
    client.kill();
    let arguments = arguments(&site, &serving);
    let arguments: Vec<_> = arguments[2..].iter().map(String::as_str).collect();
    let (code, printed) = command(&arguments);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(printed["outcomes"]["ISSUED"], students.len());

    let text = fs::read_to_string(site.path("class.jsonl.result.csv")).unwrap();
    let told: Vec<Vec<_>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let numbers: Vec<usize> = told.iter().map(|line| line[0].parse().unwrap()).collect();
    let expected: Vec<_> = (1..=students.len()).collect();
    assert_eq!(numbers, expected);
    let codes: BTreeSet<_> = told.iter().map(|line| line[2]).collect();
    assert_eq!(codes.len(), students.len());
    let university = serving.client(callers::UNIVERSITY).await;
    let stored = list_codes(&university).await;
    let stored: BTreeSet<_> = stored.iter().map(|code| code.code.as_str()).collect();
    assert_eq!(
        stored, codes,
        "a code that nobody was told of, or one that is lost"
    );
    serving.stop().await;
    let (code, report) = command(&["audit", "verify", "--config", &site.text("gavah.toml")]);
    assert_eq!(
        (code, &report["intact"]),
        (Some(0), &true.into()),
        "{report}"
    );
}
