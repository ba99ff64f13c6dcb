//! Jobs that issue validity codes from a file.

use futures_util::{StreamExt, stream};
use gavah_api::v1 as pb;
use gavah_api::v1::download_issuance_job_result_response::Outcome;
use gavah_api::v1::stream_issue_validity_codes_request::Message as Streamed;
use gavah_api::v1::submit_issuance_job_request::Message;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::{Code, Response};

use crate::code_guards::of_level;
use crate::harness::{run_on, soon};
use crate::messages::{issue, question, request_id, subject};
use crate::peer::{Answer, Peer, refused, told};
use crate::raw::Raw;
use crate::streams::{failure, row};
use crate::verdicts::verdict;
use pb::IssuanceJobState as S;

cases! {
    every_row_of_a_job_has_its_outcome,
    a_job_submitted_again_is_the_same_job_and_another_file_is_refused,
    a_job_of_which_too_many_rows_fail_stops,
    a_cancelled_job_ends_what_is_at_work_and_begins_nothing_more,
    a_caller_that_may_no_longer_issue_has_its_job_stopped,
    strangers_see_nothing_and_oversight_sees_no_rows,
    a_submission_that_is_not_whole_leaves_nothing,
    a_caller_has_few_jobs_at_a_time_and_old_ones_are_forgotten,
    a_job_waits_for_the_end_of_a_pause,
    a_row_that_was_issued_is_never_told_not_begun,
}

pub(crate) type Rows = Vec<pb::IssueValidityCodeRequest>;

fn class(world: &World, students: usize) -> Rows {
    (0..students).map(|_| issue(world, UNIVERSITY)).collect()
}

fn start(id: &str, max_error_percent: Option<i32>) -> pb::SubmitIssuanceJobRequest {
    pb::SubmitIssuanceJobRequest {
        message: Some(Message::Start(pb::IssuanceJobStart {
            request_id: id.to_owned(),
            label: "class.csv".to_owned(),
            max_error_percent,
        })),
    }
}

fn numbered(sequence: i64, request: &pb::IssueValidityCodeRequest) -> pb::SubmitIssuanceJobRequest {
    let Some(Streamed::Row(row)) = row(sequence, request).message else {
        panic!("a row")
    };
    pb::SubmitIssuanceJobRequest {
        message: Some(Message::Row(row)),
    }
}

async fn send(
    peer: &Peer,
    messages: Vec<pb::SubmitIssuanceJobRequest>,
) -> Answer<pb::SubmitIssuanceJobResponse> {
    told(
        peer.client()
            .jobs()
            .submit_issuance_job(stream::iter(messages))
            .await,
    )
}

pub(crate) async fn submit(
    peer: &Peer,
    id: &str,
    rows: &[pb::IssueValidityCodeRequest],
    max_error_percent: Option<i32>,
) -> Answer<pb::IssuanceJob> {
    let rows = (0..)
        .zip(rows)
        .map(|(sequence, row)| numbered(sequence, row));
    let messages = std::iter::once(start(id, max_error_percent))
        .chain(rows)
        .collect();
    Ok(send(peer, messages).await?.job.unwrap())
}

async fn read(peer: &Peer, job: &pb::IssuanceJob) -> Answer<pb::IssuanceJob> {
    let name = job.name.clone();
    Ok(peer
        .get_issuance_job(pb::GetIssuanceJobRequest { name })
        .await?
        .job
        .unwrap())
}

pub(crate) async fn ended(peer: &Peer, job: &pb::IssuanceJob) -> pb::IssuanceJob {
    soon("the end of the job", async || {
        let job = read(peer, job).await.unwrap();
        job.end_time.is_some().then_some(job)
    })
    .await
}

pub(crate) async fn result(
    peer: &Peer,
    job: &pb::IssuanceJob,
    after_sequence: Option<i64>,
) -> Answer<Vec<(i64, Outcome)>> {
    let request = pb::DownloadIssuanceJobResultRequest {
        name: job.name.clone(),
        after_sequence,
    };
    let mut rows = told(
        peer.client()
            .jobs()
            .download_issuance_job_result(request)
            .await,
    )?;
    let mut outcomes = Vec::new();
    while let Some(row) = rows.next().await {
        let row = told(row.map(Response::new))?;
        outcomes.push((row.sequence, row.outcome.unwrap()));
    }
    Ok(outcomes)
}

/// A job of the university's that some node works on for another hour: its name.
pub(crate) async fn at_work(world: &World) -> String {
    let mut raw = Raw::to(world).await;
    let (id, until) = (fixtures::id(), world.now().as_microsecond() + 3_600_000_000);
    let stored = match raw {
        Raw::Postgres(_) => format!("'{id}'"),
        Raw::Sqlite(_) => format!("X'{}'", id.simple()),
    };
    raw.run(&format!(
        "INSERT INTO issuance_job VALUES ({stored}, 'university', '{UNIVERSITY}', '', 'RUNNING', 9, 0, 0, NULL, '', \
         {until}, {until}, {until}, NULL, 1, 0)"
    ))
    .await;
    format!("issuanceJobs/{id}")
}

/// Of every three rows the second is wrong.
fn spoilt(mut rows: Rows) -> Rows {
    for row in rows.iter_mut().skip(1).step_by(3) {
        row.external_ref = "x".repeat(65);
    }
    rows
}

async fn every_row_of_a_job_has_its_outcome(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    // More than are read together.
    let rows = spoilt(class(world, 601));
    let job = submit(&university, &request_id(), &rows, None)
        .await
        .unwrap();
    assert_eq!((job.total_rows, job.label.as_str()), (601, "class.csv"));
    assert_eq!(job.submitted_by, "callers/university");
    let ended = ended(&university, &job).await;
    assert_eq!(ended.state(), S::Done);
    assert_eq!((ended.issued_rows, ended.failed_rows), (401, 200));
    let outcomes = result(&university, &job, None).await.unwrap();
    let numbers: Vec<_> = outcomes.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..601).collect::<Vec<_>>());
    for ((number, outcome), row) in outcomes.iter().zip(&rows) {
        match outcome {
            Outcome::ValidityCode(code) => {
                assert_ne!(number % 3, 1);
                let of = |subject: &Option<pb::Subject>| subject.clone().unwrap().person_id;
                assert_eq!(of(&code.subject), of(&row.subject));
            }
            Outcome::Error(status) => {
                let failure = failure(status);
                assert_eq!(failure.violations[0].field, "row.external_ref");
                assert_eq!(number % 3, 1);
            }
            Outcome::Application(_) | Outcome::NotBegun(_) => panic!("{number} got no code"),
        }
    }
    let tail = result(&university, &job, Some(598)).await.unwrap();
    assert!(tail == outcomes[599..]);
    let (_, Outcome::ValidityCode(last)) = &tail[1] else {
        panic!("the last row was issued")
    };
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = verdict(&hub, question(&last.code)).await;
    assert_eq!(answer.outcome(), pb::Outcome::Valid);
    // What the rows said is not kept beside what came of them.
    let kept = "SELECT count(*) FROM issuance_job_row WHERE length(request) > 0";
    assert_eq!(Raw::to(world).await.number(kept).await, 0);
}

async fn a_job_submitted_again_is_the_same_job_and_another_file_is_refused(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (id, rows) = (request_id(), class(world, 5));
    let job = submit(&university, &id, &rows, None).await.unwrap();
    let ended = ended(&university, &job).await;
    let before = Raw::to(world).await.everything().await;
    assert_eq!(submit(&university, &id, &rows, None).await.unwrap(), ended);
    for other in [
        submit(&university, &id, &rows[..4], None).await,
        submit(&university, &id, &rows, Some(10)).await,
    ] {
        refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
    }
    assert_eq!(Raw::to(world).await.everything().await, before);
    // The same students under another key have their codes already.
    let again = submit(&university, &request_id(), &rows, None)
        .await
        .unwrap();
    let again = self::ended(&university, &again).await;
    assert_eq!((again.state(), again.failed_rows), (S::Done, 5));
    for (_, outcome) in result(&university, &again, None).await.unwrap() {
        let Outcome::Error(status) = outcome else {
            panic!("issued twice")
        };
        assert_eq!(
            failure(&status).reason.as_deref(),
            Some("CODE_ALREADY_ISSUED")
        );
    }
}

async fn a_job_of_which_too_many_rows_fail_stops(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let rows = spoilt(class(world, 700));
    let job = submit(&university, &request_id(), &rows, Some(20))
        .await
        .unwrap();
    let ended = ended(&university, &job).await;
    assert_eq!(
        (ended.state(), ended.stop_reason.as_str()),
        (S::Stopped, "ERROR_RATE")
    );
    let done = ended.issued_rows + ended.failed_rows;
    assert!((100..700).contains(&done), "{done}");
    let outcomes = result(&university, &job, None).await.unwrap();
    assert_eq!(outcomes.len(), 700);
    let begun = outcomes
        .iter()
        .filter(|(_, outcome)| *outcome != Outcome::NotBegun(true));
    assert_eq!(begun.count(), usize::try_from(done).unwrap());
    let codes = Raw::to(world)
        .await
        .number("SELECT count(*) FROM validity_code")
        .await;
    assert_eq!(codes, i64::from(ended.issued_rows));
    let patient = submit(
        &university,
        &request_id(),
        &spoilt(class(world, 150)),
        Some(34),
    )
    .await;
    let patient = self::ended(&university, &patient.unwrap()).await;
    assert_eq!(patient.state(), S::Done);
}

async fn a_cancelled_job_ends_what_is_at_work_and_begins_nothing_more(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let job = submit(&university, &request_id(), &class(world, 3_000), None)
        .await
        .unwrap();
    soon("the beginning of the job", async || {
        let job = read(&university, &job).await.unwrap();
        (job.issued_rows > 0).then_some(())
    })
    .await;
    let cancel = |validate_only, etag: &str| pb::CancelIssuanceJobRequest {
        request_id: request_id(),
        validate_only,
        name: job.name.clone(),
        etag: etag.to_owned(),
    };
    let stale = university.cancel_issuance_job(cancel(false, "99")).await;
    refused(stale, Code::Aborted, "ETAG_MISMATCH");
    let tried = university
        .cancel_issuance_job(cancel(true, ""))
        .await
        .unwrap();
    assert_eq!(tried.job, None);
    let request = cancel(false, "");
    let cancelled = university
        .cancel_issuance_job(request.clone())
        .await
        .unwrap()
        .job
        .unwrap();
    assert_eq!(cancelled.state(), S::Cancelled);
    let settled = soon("the end of what was at work", async || {
        let mut raw = Raw::to(world).await;
        let codes = raw.number("SELECT count(*) FROM validity_code").await;
        let outcomes = result(&university, &job, None).await.unwrap();
        assert_eq!(outcomes.len(), 3_000);
        let issued = outcomes.iter();
        let issued = issued.filter(|(_, outcome)| matches!(outcome, Outcome::ValidityCode(_)));
        let told = i64::try_from(issued.count()).unwrap();
        let job = read(&university, &job).await.unwrap();
        (codes == told && told == i64::from(job.issued_rows)).then_some(job)
    })
    .await;
    assert!(settled.issued_rows < 3_000);
    // Asked again, the same; under another key there is nothing to cancel.
    let again = university
        .cancel_issuance_job(request)
        .await
        .unwrap()
        .job
        .unwrap();
    assert_eq!(again.state(), S::Cancelled);
    let answer = university.cancel_issuance_job(cancel(false, "")).await;
    let refusal = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(refusal.metadata["state"], "CANCELLED");
}

async fn a_caller_that_may_no_longer_issue_has_its_job_stopped(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let job = submit(&university, &request_id(), &class(world, 4_000), None)
        .await
        .unwrap();
    organization.pause(CallerKind::University).await;
    let ended = ended(&organization, &job).await;
    assert_eq!(
        (ended.state(), ended.stop_reason.as_str()),
        (S::Stopped, "CALLER_NOT_ACTIVE")
    );
    assert!(ended.issued_rows < 4_000);
}

async fn strangers_see_nothing_and_oversight_sees_no_rows(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let job = submit(&university, &request_id(), &class(world, 3), None)
        .await
        .unwrap();
    let ended = ended(&university, &job).await;
    let cancel = pb::CancelIssuanceJobRequest {
        request_id: request_id(),
        validate_only: false,
        name: job.name.clone(),
        etag: String::new(),
    };
    for stranger in [CallerKind::OtherUniversity, CallerKind::CentralBody] {
        let stranger = Peer::of(world, stranger).await;
        refused(
            read(&stranger, &job).await,
            Code::NotFound,
            "RESOURCE_NOT_FOUND",
        );
        let answer = result(&stranger, &job, None).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let answer = stranger.cancel_issuance_job(cancel.clone()).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let listed = stranger
            .list_issuance_jobs(pb::ListIssuanceJobsRequest {})
            .await;
        assert!(listed.unwrap().jobs.is_empty());
    }
    for sees in [
        CallerKind::University,
        CallerKind::Organization,
        CallerKind::Auditor,
    ] {
        let sees = Peer::of(world, sees).await;
        let listed = sees
            .list_issuance_jobs(pb::ListIssuanceJobsRequest {})
            .await;
        assert_eq!(listed.unwrap().jobs, std::slice::from_ref(&ended));
    }
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let answer = result(&auditor, &job, None).await;
    refused(
        answer,
        Code::PermissionDenied,
        "METHOD_NOT_ALLOWED_FOR_CLASS",
    );
}

async fn a_submission_that_is_not_whole_leaves_nothing(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let rows = class(world, 2);
    let id = request_id();
    let before = Raw::to(world).await.everything().await;
    for (messages, field, reason) in [
        (vec![], "start", "FIELD_REQUIRED"),
        (vec![numbered(0, &rows[0])], "start", "FIELD_REQUIRED"),
        (vec![start(&id, None)], "row", "FIELD_REQUIRED"),
        (
            vec![start(&id, None), start(&id, None)],
            "row",
            "FIELD_REQUIRED",
        ),
        (vec![start("1", None)], "start.request_id", "FIELD_FORMAT"),
        (
            vec![start(&id, Some(101))],
            "start.max_error_percent",
            "FIELD_FORMAT",
        ),
        (
            vec![
                start(&id, None),
                numbered(3, &rows[0]),
                numbered(3, &rows[1]),
            ],
            "row.sequence",
            "FIELD_FORMAT",
        ),
    ] {
        let answer = send(&university, messages).await;
        let refusal = refused(answer, Code::InvalidArgument, reason);
        assert_eq!(refusal.violations[0].field, field);
    }
    assert_eq!(Raw::to(world).await.everything().await, before);
    // What was begun and is not ended by its client goes with the next sweep.
    let mut rows: Vec<_> = (0..)
        .zip(class(world, 500))
        .map(|(number, row)| numbered(number, &row))
        .collect();
    rows.insert(0, start(&id, None));
    rows.push(start(&id, None));
    refused(
        send(&university, rows).await,
        Code::InvalidArgument,
        "FIELD_REQUIRED",
    );
    let jobs = "SELECT count(*) FROM issuance_job";
    let listed = university
        .list_issuance_jobs(pb::ListIssuanceJobsRequest {})
        .await;
    assert!(listed.unwrap().jobs.is_empty());
    soon("the end of the submission", async || {
        (Raw::to(world).await.number(jobs).await == 0).then_some(())
    })
    .await;
    // So does, after a while, what a node was receiving when it was killed.
    at_work(world).await;
    let mut raw = Raw::to(world).await;
    raw.run("UPDATE issuance_job SET state = 'RECEIVING'").await;
    world.clock().advance(SignedDuration::from_hours(3));
    soon("the end of what was received", async || {
        (Raw::to(world).await.number(jobs).await == 0).then_some(())
    })
    .await;
}

async fn a_caller_has_few_jobs_at_a_time_and_old_ones_are_forgotten(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut raw = Raw::to(world).await;
    let first = submit(&university, &request_id(), &class(world, 1), None)
        .await
        .unwrap();
    ended(&university, &first).await;
    for _ in 0..5 {
        at_work(world).await;
    }
    let before = raw.everything().await;
    let answer = submit(&university, &request_id(), &class(world, 1), None).await;
    refused(answer, Code::ResourceExhausted, "TOO_MANY_JOBS");
    assert_eq!(raw.everything().await, before);
    // Of others it is not asked.
    let other = Peer::of(world, CallerKind::CentralBody).await;
    let others = submit(&other, &request_id(), &class(world, 1), None).await;
    ended(&other, &others.unwrap()).await;

    world.clock().advance(SignedDuration::from_hours(31 * 24));
    soon("the end of the old jobs", async || {
        let old = "SELECT count(*) FROM issuance_job WHERE end_time IS NOT NULL";
        (Raw::to(world).await.number(old).await == 0).then_some(())
    })
    .await;
}

async fn a_job_waits_for_the_end_of_a_pause(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let pause = pb::PauseIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: String::new(),
        reason: "آزمایش".to_owned(),
    };
    organization.pause_issuance(pause).await.unwrap();
    soon("the pause", async || {
        let trial = pb::IssueValidityCodeRequest {
            validate_only: true,
            ..issue(world, UNIVERSITY)
        };
        university.issue_validity_code(trial).await.err()
    })
    .await;
    let job = submit(&university, &request_id(), &class(world, 3), Some(0))
        .await
        .unwrap();
    soon("the beginning of the job", async || {
        let job = read(&university, &job).await.unwrap();
        (job.state() == S::Running).then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let waiting = read(&university, &job).await.unwrap();
    assert_eq!((waiting.issued_rows, waiting.failed_rows), (0, 0));
    assert_eq!(waiting.state(), S::Running);
    let resume = pb::ResumeIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: String::new(),
    };
    organization.resume_issuance(resume).await.unwrap();
    let done = ended(&university, &job).await;
    assert_eq!((done.state(), done.issued_rows), (S::Done, 3));
}

#[test]
fn a_job_waits_for_the_next_day_with_what_its_caller_may_not_look_up() {
    let world = World::builder(Engine::Sqlite).set("budgets.negative_lookups_per_day", 2_i64);
    run_on(world, job_without_lookups_left);
}

async fn job_without_lookups_left(world: &mut World) {
    use pb::DegreeLevel::{MasterContinuous, Phd};
    let university = Peer::of(world, CallerKind::University).await;
    let student = subject();
    let master = of_level(world, &student, MasterContinuous, &[]);
    let master = university.issue_validity_code(master).await.unwrap();
    let master = master.validity_code.unwrap().code;
    let phd = |code: &str| of_level(world, &student, Phd, &[(MasterContinuous, code)]);
    // Of another student: they prove nothing.
    let guesses: Vec<_> = (0..3)
        .map(|_| of_level(world, &subject(), Phd, &[(MasterContinuous, &master)]))
        .collect();
    let job = submit(&university, &request_id(), &guesses, Some(100))
        .await
        .unwrap();
    let guessed = ended(&university, &job).await;
    assert_eq!((guessed.issued_rows, guessed.failed_rows), (0, 3));
    let trial = pb::IssueValidityCodeRequest {
        validate_only: true,
        ..phd(&master)
    };
    let answer = university.issue_validity_code(trial).await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    // What proves nothing by a code is issued meanwhile, the rest on the next day.
    let rows = [phd(&master), issue(world, UNIVERSITY)];
    let job = submit(&university, &request_id(), &rows, Some(0))
        .await
        .unwrap();
    soon("the row without a claim", async || {
        let job = read(&university, &job).await.unwrap();
        (job.issued_rows == 1).then_some(())
    })
    .await;
    let waiting = read(&university, &job).await.unwrap();
    assert_eq!(waiting.state(), S::Running);
    assert_eq!((waiting.issued_rows, waiting.failed_rows), (1, 0));
    world.clock().advance(SignedDuration::from_hours(24));
    let done = ended(&university, &job).await;
    assert_eq!((done.state(), done.issued_rows), (S::Done, 2));
}

async fn a_row_that_was_issued_is_never_told_not_begun(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let job = submit(&university, &request_id(), &class(world, 3), None)
        .await
        .unwrap();
    let done = ended(&university, &job).await;
    let outcomes = result(&university, &done, None).await.unwrap();
    // As a node leaves it that was killed between the codes and what it puts on record of them: first while the job
    // goes on, then after another node has ended it.
    let mut raw = Raw::to(world).await;
    let until = world.now().as_microsecond() + 3_600_000_000;
    raw.run("UPDATE issuance_job_row SET state = 'PENDING', code_id = NULL WHERE sequence > 0")
        .await;
    raw.run(&format!(
        "UPDATE issuance_job SET state = 'RUNNING', end_time = NULL, issued = 1, lease_until = {until}"
    ))
    .await;
    let known = result(&university, &done, None).await.unwrap();
    assert!(known == outcomes[..1]);
    let cancel = pb::CancelIssuanceJobRequest {
        request_id: request_id(),
        validate_only: false,
        name: job.name.clone(),
        etag: String::new(),
    };
    let cancelled = university.cancel_issuance_job(cancel).await.unwrap();
    assert_eq!(cancelled.job.unwrap().issued_rows, 3);
    assert!(result(&university, &done, None).await.unwrap() == outcomes);
    raw.run("UPDATE issuance_job_row SET state = 'NOT_BEGUN', code_id = NULL WHERE sequence > 0")
        .await;
    assert!(result(&university, &done, None).await.unwrap() == outcomes);
}

#[test]
fn a_job_goes_on_when_its_node_is_gone() {
    run_on(World::builder(Engine::Postgres).nodes(2), async |world| {
        let university = Peer::new(world.client_of(1, CallerKind::University).await);
        let rows = class(world, 2_000);
        let job = submit(&university, &request_id(), &rows, None)
            .await
            .unwrap();
        soon("the beginning of the job", async || {
            let job = read(&university, &job).await.unwrap();
            (job.issued_rows > 0).then_some(())
        })
        .await;
        world.node_mut(0).stop().await;
        let ended = ended(&university, &job).await;
        assert_eq!((ended.state(), ended.issued_rows), (S::Done, 2_000));
        let codes = "SELECT count(*) FROM validity_code";
        assert_eq!(Raw::to(world).await.number(codes).await, 2_000);
    });
}
