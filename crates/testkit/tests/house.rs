//! The rules of the house that no compiler checks: who may depend on whom, what is banned, which lints hold.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each of our crates and those of ours that it may use, in its code or its build script. Tests may use any.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gavah-domain", &[]),
    ("gavah-rules", &[]),
    ("gavah-devpki", &[]),
    ("gavah-api", &["gavah-rules"]),
    ("gavah-store", &["gavah-domain"]),
    ("gavah-evidence", &["gavah-domain"]),
    ("gavah-gateway", &["gavah-domain"]),
    ("gavah-objects", &["gavah-domain"]),
    ("gavah-client", &["gavah-api"]),
    ("gavah-bench", &["gavah-api", "gavah-client"]),
    (
        "gavah-server",
        &[
            "gavah-api",
            "gavah-domain",
            "gavah-evidence",
            "gavah-gateway",
            "gavah-objects",
            "gavah-store",
        ],
    ),
    (
        "gavah-testkit",
        &[
            "gavah-api",
            "gavah-client",
            "gavah-devpki",
            "gavah-domain",
            "gavah-evidence",
            "gavah-gateway",
            "gavah-server",
            "gavah-store",
        ],
    ),
    (
        "gavah-cli",
        &[
            "gavah-api",
            "gavah-bench",
            "gavah-client",
            "gavah-devpki",
            "gavah-domain",
            "gavah-evidence",
            "gavah-gateway",
            "gavah-server",
            "gavah-store",
        ],
    ),
];

/// What the rules must not know, however far down: asynchronous code, transport, storage.
const NOT_IN_DOMAIN: &[&str] = &[
    "tokio", "tonic", "prost", "hyper", "rustls", "sea-orm", "sqlx",
];

/// What speaks SQL.
const SQL: &[&str] = &["sea-orm", "sea-orm-migration", "sqlx"];

/// Calls that take time or randomness from the surroundings. Only the clock module may make them.
const AMBIENT: &[&str] = &[
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "uuid::Uuid::now_v7",
    "uuid::Uuid::new_v4",
    "getrandom::fill",
];

/// One crate of the workspace uses a package, in its code or its build script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
}

fn edge(from: &str, to: &str) -> Edge {
    Edge {
        from: from.to_owned(),
        to: to.to_owned(),
    }
}

/// The edges between our crates that the table does not allow; all edges of a crate that the table does not name.
fn forbidden(edges: &[Edge]) -> Vec<Edge> {
    let is_allowed = |edge: &&Edge| {
        let row = ALLOWED.iter().find(|(name, _)| *name == edge.from);
        row.is_some_and(|(_, allowed)| allowed.contains(&edge.to.as_str()))
    };
    let ours = |edge: &&Edge| edge.to.starts_with("gavah-");
    edges
        .iter()
        .filter(ours)
        .filter(|edge| !is_allowed(edge))
        .cloned()
        .collect()
}

/// The packages of a `cargo tree --prefix none` that are one of `banned` or belong to its family (`tokio-util`).
fn of_family(tree: &str, banned: &[&str]) -> Vec<String> {
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let is_banned = |name: &str| {
        banned.iter().any(|family| {
            name.strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    names
        .filter(|name| is_banned(name))
        .map(str::to_owned)
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Standard output of a cargo command that only reads what is already on this machine.
fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    let stdout = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn edges(packages: &[Value]) -> Vec<Edge> {
    let of_package = |package: &Value| -> Vec<Edge> {
        let from = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| edge(from, dependency["name"].as_str().unwrap()))
            .collect()
    };
    packages.iter().flat_map(of_package).collect()
}

#[test]
fn our_crates_depend_on_each_other_in_the_allowed_direction_only() {
    let packages = packages();
    let edges = edges(&packages);
    assert!(
        edges.contains(&edge("gavah-server", "gavah-domain")),
        "the edges were read"
    );
    assert_eq!(forbidden(&edges), []);
    let unnamed: Vec<_> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .filter(|name| ALLOWED.iter().all(|(named, _)| named != name))
        .collect();
    assert!(
        unnamed.is_empty(),
        "add {unnamed:?} to the table of allowed directions"
    );
}

#[test]
fn an_edge_in_a_forbidden_direction_is_noticed() {
    let made_up = [
        edge("gavah-server", "gavah-domain"),
        edge("gavah-client", "gavah-domain"),
        edge("gavah-domain", "gavah-store"),
        edge("gavah-store", "gavah-api"),
        edge("gavah-server", "gavah-testkit"),
        edge("gavah-newcomer", "gavah-domain"),
        edge("gavah-domain", "jiff"),
    ];
    assert_eq!(forbidden(&made_up), made_up[1..6]);
}

#[test]
fn the_rules_know_no_runtime_no_transport_and_no_store() {
    let tree = cargo(&[
        "tree",
        "--package=gavah-domain",
        "--edges=normal,build",
        "--prefix=none",
    ]);
    assert!(tree.contains("jiff v"), "the tree was read: {tree}");
    assert_eq!(of_family(&tree, NOT_IN_DOMAIN), [""; 0]);
    let made_up =
        "gavah-domain v0.1.0 (/somewhere)\ntokio v1.0.0\ntokio-util v0.7.0\ntokioish v1.0.0";
    assert_eq!(of_family(made_up, NOT_IN_DOMAIN), ["tokio", "tokio-util"]);
}

#[test]
fn only_the_store_speaks_sql() {
    let speakers: Vec<_> = edges(&packages())
        .into_iter()
        .filter(|edge| SQL.contains(&edge.to.as_str()))
        .collect();
    assert!(
        speakers.iter().any(|edge| edge.from == "gavah-store"),
        "the edges were read"
    );
    assert!(
        speakers.iter().all(|edge| edge.from == "gavah-store"),
        "{speakers:?}"
    );
}

#[test]
fn aws_lc_is_the_only_cryptographic_library() {
    let tree = cargo(&["tree", "--workspace", "--edges=all", "--prefix=none"]);
    assert_eq!(
        of_family(&tree, &["aws-lc-rs"]).first().map(String::as_str),
        Some("aws-lc-rs")
    );
    let mut others = of_family(&tree, &["ring", "openssl", "native-tls"]);
    // It only knows where systems keep their certificates.
    others.retain(|package| package != "openssl-probe");
    assert_eq!(others, [""; 0]);
}

#[test]
fn calls_that_take_time_or_randomness_from_the_surroundings_are_banned() {
    let text = fs::read_to_string(root().join("clippy.toml")).unwrap();
    let config: toml::Table = toml::from_str(&text).unwrap();
    let banned: Vec<&str> = config["disallowed-methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect();
    let missing: Vec<_> = AMBIENT
        .iter()
        .filter(|path| !banned.contains(path))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            inherits.and_then(toml::Value::as_bool),
            Some(true),
            "{path}"
        );
    }
}

/// The text of all files of a folder and its folders.
fn texts(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.is_dir() {
        true => texts(&path),
        false => fs::read_to_string(path).unwrap(),
    });
    texts.collect()
}

#[test]
fn every_reason_is_provoked_by_a_test_from_outside() {
    let tests = texts(&root().join("tests/e2e"));
    let reasons = gavah_domain::Reason::ALL.iter();
    let never: Vec<_> = reasons
        .filter(|reason| !tests.contains(&format!("\"{reason}\"")))
        .collect();
    assert!(never.is_empty(), "{never:?}");
}
