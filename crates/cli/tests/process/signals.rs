//! SIGTERM drains, SIGHUP reloads the server's certificate.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use gavah_api::v1 as pb;
use gavah_client::Client;
use gavah_testkit::postgres::Cluster;
use tokio::task::{JoinSet, spawn_blocking};

use crate::program::{PATIENCE, succeed, until};
use crate::site::{Engine, Site, callers};
use crate::students::{Student, issue_code, validate};

/// Nobody is cut off while a test holds a call back.
const PATIENT: &str =
    "[limits]\ndrain_grace_ms = 60000\ndefault_deadline_ms = 60000\nmax_deadline_ms = 60000\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigterm_refuses_new_calls_and_lets_the_call_in_flight_finish() {
    let site = Site::new(Engine::Postgres, PATIENT).await;
    let mut serving = site.serve().await;
    let (database, cluster) = (site.database().to_owned(), Cluster::shared().unwrap());

    // A call that cannot go on for as long as somebody else has the table.
    let lock = "LOCK TABLE validity_code IN ACCESS EXCLUSIVE MODE";
    let hold = format!(
        "BEGIN; {lock}; SELECT pg_sleep({}); COMMIT",
        PATIENCE.as_secs()
    );
    let holder = spawn_blocking({
        let database = database.clone();
        move || cluster.query(&database, &hold)
    });
    let waiting = |granted: bool| {
        let what = "relation = 'validity_code'::regclass AND mode = 'AccessExclusiveLock'";
        let sql = match granted {
            true => format!("SELECT pid FROM pg_locks WHERE granted AND {what}"),
            false => "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'validity_code'::regclass".to_owned(),
        };
        cluster
            .query(&database, &sql)
            .unwrap()
            .lines()
            .next()
            .map(str::to_owned)
    };
    let holding = until("the table is locked", async || waiting(true)).await;
    let university = serving.client(callers::UNIVERSITY).await;
    let call = tokio::spawn({
        let request = Student::new().code_request();
        async move { issue_code(&university, request).await }
    });
    until("the call waits for the table", async || waiting(false)).await;

    serving.process.signal("TERM");
    until("it says that it drains", async || {
        serving
            .probe("/readyz")
            .await
            .filter(|answer| answer.contains("503"))
    })
    .await;
    until("nobody is let in any more", async || {
        let newcomer = serving
            .connector
            .connect(callers::HUB, &site.path("pki/ca.pem"), 0)
            .await
            .ok();
        match newcomer {
            None => Some(()),
            Some(hub) => who_am_i(&hub).await.err().map(|_| ()),
        }
    })
    .await;
    assert!(!call.is_finished());
    assert_eq!(serving.process.ended(), None, "a call is still in flight");

    let release = format!("SELECT pg_terminate_backend({holding})");
    cluster.query("postgres", &release).unwrap();
    let issued = call.await.unwrap().unwrap();
    assert_eq!(serving.process.exit_code().await, Some(0));
    holder.await.unwrap().unwrap_err();
    assert!(!site.path("ready.json").exists());

    let mut again = site.serve().await;
    let hub = again.client(callers::HUB).await;
    assert_eq!(
        validate(&hub, &[issued.code]).await,
        [pb::VerdictReason::Ok]
    );
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sighup_changes_the_servers_certificate_without_a_failed_call() {
    let site = Site::new(Engine::Sqlite, "").await;
    let mut serving = site.serve().await;
    let (old, new) = (site.path("pki/ca.pem"), site.path("other-pki/ca.pem"));
    succeed(&["pki", "init", &site.text("other-pki")]);
    // Clients that trust both see no difference; one that trusts only the other authority does.
    let both = site.path("both.pem");
    fs::write(
        &both,
        [fs::read(&old).unwrap(), fs::read(&new).unwrap()].concat(),
    )
    .unwrap();
    serving
        .connector
        .connect(callers::HUB, &new, 0)
        .await
        .unwrap_err();

    let done = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU32::new(0));
    let mut load = JoinSet::new();
    for stays in [true, true, false] {
        let mut client = serving
            .connector
            .connect(callers::HUB, &both, 0)
            .await
            .unwrap();
        let (done, calls, both) = (Arc::clone(&done), Arc::clone(&calls), both.clone());
        let connector = serving.connector.clone();
        load.spawn(async move {
            while !done.load(Ordering::SeqCst) {
                if !stays {
                    client = connector.connect(callers::HUB, &both, 0).await.unwrap();
                }
                who_am_i(&client).await.unwrap();
                calls.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let under_load = async |calls: &AtomicU32| {
        let before = calls.load(Ordering::SeqCst);
        until("calls go on", async || {
            (calls.load(Ordering::SeqCst) >= before + 50).then_some(())
        })
        .await;
    };
    under_load(&calls).await;
    for (pki, trusted, distrusted) in [
        ("other-pki", &new, &old),
        ("pki", &old, &new),
        ("other-pki", &new, &old),
    ] {
        let (pki, out) = (site.text(pki), site.text("pki/server"));
        let names = ["--server", "localhost", "127.0.0.1"];
        succeed(&[&["pki", "issue", &pki, "--out", &out][..], &names].concat());
        serving.process.signal("HUP");
        until("the new certificate is shown", async || {
            let client = serving
                .connector
                .connect(callers::HUB, trusted, 0)
                .await
                .ok()?;
            who_am_i(&client).await.ok()
        })
        .await;
        serving
            .connector
            .connect(callers::HUB, distrusted, 0)
            .await
            .unwrap_err();
        under_load(&calls).await;
    }
    done.store(true, Ordering::SeqCst);
    load.join_all().await;
    assert_eq!(serving.process.ended(), None);
    let log = serving.process.stderr();
    let asked = log
        .lines()
        .filter(|line| line.contains("\"SIGHUP\"") && line.contains("reloaded"));
    assert!(asked.count() >= 3, "{log}");
    serving.stop().await;
}

async fn who_am_i(client: &Client) -> Result<(), Box<gavah_client::Failure>> {
    client
        .call(pb::WhoAmIRequest {}, |channel, request| async move {
            channel.registry().who_am_i(request).await
        })
        .await
        .map(|_| ())
}
