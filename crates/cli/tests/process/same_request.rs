//! Many at once under one request_id, and many at once for one student.

use std::collections::HashSet;

use tokio::task::JoinSet;

use crate::site::{Engine, Serving, Site, callers};
use crate::students::{Student, issue_code, list_codes, request_id};

const AT_ONCE: usize = 50;
const CONNECTIONS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_requests_at_once_for_one_student_are_refused_but_one() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let site = Site::new(engine, "").await;
        let mut serving = site.serve().await;
        let student = Student::new();
        let mut reasons = Vec::new();
        let mut codes = HashSet::new();
        for answer in at_once(&serving, &student, false).await {
            match answer {
                Ok(code) => assert!(codes.insert(code)),
                Err(reason) => reasons.push(reason),
            }
        }
        assert_eq!(codes.len(), 1, "{engine:?}");
        assert_eq!(
            reasons,
            vec!["CODE_ALREADY_ISSUED"; AT_ONCE - 1],
            "{engine:?}"
        );
        assert_eq!(
            list_codes(&serving.client(callers::UNIVERSITY).await)
                .await
                .len(),
            1
        );
        serving.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_calls_at_once_with_one_request_id_get_one_code() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let site = Site::new(engine, "").await;
        let mut serving = site.serve().await;
        let answers = at_once(&serving, &Student::new(), true).await;
        let codes: HashSet<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(codes.len(), 1, "{engine:?}");
        assert_eq!(
            list_codes(&serving.client(callers::UNIVERSITY).await)
                .await
                .len(),
            1
        );
        serving.stop().await;
    }
}

/// Codes or reasons of calls made at the same time over several connections.
async fn at_once(
    serving: &Serving,
    student: &Student,
    one_request_id: bool,
) -> Vec<Result<String, String>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(serving.client(callers::UNIVERSITY).await);
    }
    let request = student.code_request();
    let mut calls = JoinSet::new();
    for number in 0..AT_ONCE {
        let client = clients[number % CONNECTIONS].clone();
        let mut request = request.clone();
        if !one_request_id {
            request.request_id = request_id();
        }
        calls.spawn(async move {
            match issue_code(&client, request).await {
                Ok(issued) => Ok(issued.code),
                Err(failure) => Err(failure
                    .reason
                    .clone()
                    .unwrap_or_else(|| failure.to_string())),
            }
        });
    }
    calls.join_all().await
}
