//! New files while connections are open.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Calls that have to be answered between one reload and the next in the load test.
const CALLS_BETWEEN: usize = 40;
/// A hangup reaches every watcher of the process: the tests that count reloads take turns.
static WATCHERS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The certificate the server shows to a new connection.
async fn server_certificate(running: &Running, config: &ClientConfig) -> Vec<u8> {
    let stream = running.tls(config).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_reload_takes_effect_for_new_connections_while_open_ones_work_on() {
    let pki = Pki::new();
    let tls = pki.load();
    let running = Running::start(&tls, ROOMY).await;
    let config = pki.client(Some(&pki.caller("steady")));
    let open = channel(running.address, &config);
    check(&open).await.unwrap();
    let before = server_certificate(&running, &config).await;
    let first = tls.status();

    write(&server_leaf(&pki.authority), pki.authority.dir(), "server").unwrap();
    tls.reload(now()).unwrap();
    assert_ne!(server_certificate(&running, &config).await, before);
    check(&open).await.unwrap();
    let second = tls.status();
    assert_eq!((first.generation, second.generation), (1, 2));
    assert!(
        second.loaded_at > first.loaded_at && second.server_not_after >= first.server_not_after
    );
}

#[tokio::test]
async fn a_new_revocation_list_reaches_open_connections_and_new_ones() {
    let pki = Pki::new();
    let tls = pki.load();
    let running = Running::start(&tls, ROOMY).await;
    let issued = pki.caller("caught");
    let config = pki.client(Some(&issued));
    let open = channel(running.address, &config);
    check(&open).await.unwrap();
    let peer = running.peers.lock().unwrap().pop().unwrap();
    assert!(!tls.is_revoked(&peer));

    pki.authority.revoke(&issued.serial, now()).unwrap();
    check(&open).await.unwrap();
    tls.reload(now()).unwrap();
    assert!(tls.is_revoked(&peer));
    assert_eq!(
        check(&open).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
    assert_eq!(
        running.alert(&config).await,
        AlertDescription::CertificateRevoked
    );
    running.still_serves(&pki).await;
}

#[tokio::test]
async fn a_broken_file_keeps_the_old_state() {
    let pki = Pki::new();
    let tls = pki.load();
    let running = Running::start(&tls, ROOMY).await;
    let before = tls.status();
    let elsewhere = Pki::new();
    for (path, content) in [
        (&pki.files.certificate, "nonsense".to_owned()),
        (
            &pki.files.certificate,
            std::fs::read_to_string(&elsewhere.files.certificate).unwrap(),
        ),
        (&pki.files.key, String::new()),
        (
            &pki.files.client_ca,
            std::fs::read_to_string(&elsewhere.files.client_ca).unwrap(),
        ),
        (&pki.files.crls[0], "-----BEGIN X509 CRL-----\n".to_owned()),
    ] {
        let good = std::fs::read(path).unwrap();
        std::fs::write(path, content).unwrap();
        let error = tls.reload(now()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(path.file_name().unwrap().to_str().unwrap()),
            "{error}"
        );
        assert_eq!(tls.status(), before);
        running.still_serves(&pki).await;
        std::fs::write(path, good).unwrap();
    }
    tls.reload(now()).unwrap();
    assert_eq!(tls.status().generation, 2);
}

#[tokio::test]
async fn a_revocation_list_that_runs_out_while_serving_refuses_new_connections_until_renewed() {
    let pki = Pki::new();
    let brief = Authority::open(pki.authority.dir())
        .unwrap()
        .with_crl_lifetime(SignedDuration::from_secs(2));
    brief.refresh_crl(now()).unwrap();
    let tls = pki.load();
    let running = Running::start(&tls, ROOMY).await;
    running.still_serves(&pki).await;
    let left = tls.status().crl_next_update.duration_since(now());
    tokio::time::sleep(Duration::try_from(left).unwrap() + Duration::from_millis(50)).await;
    let config = pki.client(Some(&pki.caller("late")));
    assert_eq!(running.alert(&config).await, AlertDescription::UnknownCA);
    pki.authority.refresh_crl(now()).unwrap();
    tls.reload(now()).unwrap();
    running.call(&config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_reloads_under_load_fail_no_call() {
    let pki = Pki::new();
    let tls = pki.load();
    let running = Running::start(&tls, ROOMY).await;
    let config = pki.client(Some(&pki.caller("busy")));
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for worker in 0..4 {
        let (stop, calls, config, address) = (
            Arc::clone(&stop),
            Arc::clone(&calls),
            config.clone(),
            running.address,
        );
        callers.push(tokio::spawn(async move {
            let kept = channel(address, &config);
            while !stop.load(Ordering::Relaxed) {
                // Half of the callers keep their connection, half make a new one for each call.
                let channel = if worker % 2 == 0 {
                    kept.clone()
                } else {
                    channel(address, &config)
                };
                check(&channel).await.unwrap();
                calls.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for n in 0..20 {
        if n % 2 == 0 {
            write(&server_leaf(&pki.authority), pki.authority.dir(), "server").unwrap();
        } else {
            pki.authority
                .revoke(&pki.caller("passer-by").serial, now())
                .unwrap();
        }
        tls.reload(now()).unwrap();
        let before = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < before + CALLS_BETWEEN {
            assert!(
                !callers.iter().any(JoinHandle::is_finished),
                "a call failed"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) >= 20 * CALLS_BETWEEN);
    assert_eq!(tls.status().generation, 21);
}

#[tokio::test]
async fn changed_files_are_noticed_and_a_pair_may_arrive_in_two_steps() {
    let _turn = WATCHERS.lock().await;
    let pki = Pki::new();
    let tls = pki.load();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let watching = tokio::spawn(watch(
        Arc::clone(&tls),
        Arc::new(SystemClock),
        Duration::from_millis(20),
        async {
            let _ = stopped.await;
        },
    ));
    let fresh = server_leaf(&pki.authority);
    let aside = write(&fresh, &pki.path("aside"), "server").unwrap();
    std::fs::rename(aside.key, &pki.files.key).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        tls.status().generation,
        1,
        "the new key does not fit the old certificate"
    );
    std::fs::rename(aside.certificate, &pki.files.certificate).unwrap();
    generation(&tls, 2).await;

    // A corrected mode changes neither content nor modification time.
    chmod(&pki.files.key, 0o640);
    tokio::time::sleep(Duration::from_millis(200)).await;
    chmod(&pki.files.key, 0o600);
    generation(&tls, 3).await;

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), watching)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_hangup_reloads_unchanged_files() {
    let _turn = WATCHERS.lock().await;
    let pki = Pki::new();
    let tls = pki.load();
    // Installed before the signal is sent: without a handler it would end the test.
    let mut installed =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
    let watching = tokio::spawn(watch(
        Arc::clone(&tls),
        Arc::new(SystemClock),
        Duration::from_secs(3600),
        std::future::pending(),
    ));
    // The first look has to have begun, which is after the watcher's own handler is there.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let me = std::process::id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-HUP", &me])
            .status()
            .unwrap()
            .success()
    );
    installed.recv().await.unwrap();
    generation(&tls, 2).await;
    watching.abort();
}

fn chmod(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn generation(tls: &Tls, expected: u64) {
    for _ in 0..500 {
        if tls.status().generation == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "generation {} instead of {expected}",
        tls.status().generation
    );
}
