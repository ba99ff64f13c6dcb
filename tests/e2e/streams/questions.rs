//! Questions about codes.

use gavah_api::v1 as pb;
use gavah_api::v1::VerdictReason::{CheckDigit, Malformed, NotFound, Ok as Good, SubjectMismatch};
use gavah_api::v1::stream_validate_codes_response::Answer as Told;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tonic::Code;

use super::{ask, asked, failure};
use crate::certificates::applied;
use crate::harness::{run_on, soon};
use crate::messages::{issue, national_code, person, question, record};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

cases! {
    questions_of_every_kind_are_answered_in_their_order,
    thousands_of_questions_are_answered_in_their_order,
}

cases_of_any_engine! {
    a_class_that_may_not_validate_is_refused,
    a_number_that_does_not_increase_ends_the_stream_after_the_answers_before_it,
    a_wrong_question_has_its_own_error_and_the_stream_goes_on,
    a_question_is_answered_before_the_next_one_is_asked,
}

const UNKNOWN: &str = "12345678901234567888";

fn told(answer: &pb::StreamValidateCodesResponse) -> &pb::Verdict {
    match answer.answer.as_ref().unwrap() {
        Told::Verdict(verdict) => verdict,
        Told::Error(status) => panic!("{}: {}", answer.sequence, failure(status)),
    }
}

async fn a_class_that_may_not_validate_is_refused(world: &mut World) {
    let monitor = Peer::of(world, CallerKind::Monitor).await;
    refused(
        ask(&monitor).await.map(drop),
        Code::PermissionDenied,
        "METHOD_NOT_ALLOWED_FOR_CLASS",
    );
}

async fn a_number_that_does_not_increase_ends_the_stream_after_the_answers_before_it(
    world: &mut World,
) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    for (numbers, good) in [
        (vec![7, 8, 8, 9], 2),
        (vec![-3, -2, 0, -1], 3),
        (vec![i64::MAX, i64::MIN], 1),
    ] {
        let mut talk = ask(&hub).await.unwrap();
        for number in &numbers {
            talk.say(asked(*number, UNKNOWN)).await;
        }
        let (answers, end) = talk.rest().await;
        let answered: Vec<_> = answers.iter().map(|answer| answer.sequence).collect();
        assert_eq!(answered, numbers[..good]);
        assert!(
            answers
                .iter()
                .all(|answer| told(answer).reason() == NotFound)
        );
        let failure = refused(end, Code::InvalidArgument, "FIELD_FORMAT");
        assert_eq!(failure.violations[0].field, "sequence");
    }
}

async fn a_wrong_question_has_its_own_error_and_the_stream_goes_on(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let mut talk = ask(&hub).await.unwrap();
    let claim = |code: &str| Some(person(code));
    let wrong = pb::StreamValidateCodesRequest {
        purpose: 0,
        subject_claim: claim("1111111111"),
        ..asked(2, &"1".repeat(129))
    };
    for question in [asked(1, UNKNOWN), wrong, asked(3, "1")] {
        talk.say(question).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!(told(&answers[0]).reason(), NotFound);
    assert_eq!(told(&answers[2]).reason(), Malformed);
    let Some(Told::Error(status)) = &answers[1].answer else {
        panic!("no error");
    };
    assert_eq!(answers[1].sequence, 2);
    let failure = failure(status);
    assert_eq!(failure.code, Code::InvalidArgument);
    let violations: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    assert_eq!(
        violations,
        [
            ("code", "FIELD_TOO_LONG"),
            ("subject_claim.national_code", "NATIONAL_CODE_ALL_SAME"),
        ]
    );
    assert!(failure.trace_id.is_some());
}

async fn a_question_is_answered_before_the_next_one_is_asked(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let mut talk = ask(&hub).await.unwrap();
    for number in 0..20 {
        talk.say(asked(number, UNKNOWN)).await;
        let answer = talk.answer().await.unwrap().unwrap();
        assert_eq!(answer.sequence, number);
    }
    talk.finish();
    assert_eq!(talk.answer().await.unwrap(), None);
}

async fn questions_of_every_kind_are_answered_in_their_order(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let request = issue(world, UNIVERSITY);
    let code = university.issue_validity_code(request.clone()).await;
    let code = code.unwrap().validity_code.unwrap().code;
    let certificate = applied(world, &record(world, UNIVERSITY)).await;
    let certificate = certificate.enrollment_certificate.unwrap().code;
    let subject = request.subject.unwrap().person_id;
    let typo = if code.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{typo}", &UNKNOWN[..19]);
    let grouped = format!("{} {}-{}", &code[..5], &code[5..10], &code[10..]);
    let rows = [
        (code.as_str(), None, Good),
        (certificate.as_str(), None, Good),
        (UNKNOWN, None, NotFound),
        (typo.as_str(), None, CheckDigit),
        ("no code", None, Malformed),
        ("", None, Malformed),
        (grouped.as_str(), None, Good),
        (code.as_str(), subject.clone(), Good),
        (
            code.as_str(),
            Some(person(&national_code())),
            SubjectMismatch,
        ),
        (code.as_str(), None, Good),
    ];
    let mut talk = ask(&hub).await.unwrap();
    for (number, (code, claim, _)) in (0..).zip(&rows) {
        let question = asked(10 * number, code);
        talk.say(pb::StreamValidateCodesRequest {
            purpose: 0,
            subject_claim: claim.clone(),
            ..question
        })
        .await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    assert_eq!(answers.len(), rows.len());
    let mut receipts = std::collections::BTreeSet::new();
    for (number, (answer, (code, claim, reason))) in (0..).zip(answers.iter().zip(&rows)) {
        assert_eq!(answer.sequence, 10 * number);
        let verdict_told = told(answer);
        assert_eq!(verdict_told.reason(), *reason, "{number}");
        let mut alone = question(code);
        alone.subject_claim = claim.clone();
        let alone = verdict(&hub, alone).await;
        assert_eq!(
            pb::Verdict {
                receipt: String::new(),
                status_as_of: None,
                ..verdict_told.clone()
            },
            pb::Verdict {
                receipt: String::new(),
                status_as_of: None,
                ..alone
            }
        );
        let (trace, place) = verdict_told.receipt.split_once('/').unwrap();
        assert_eq!(
            (trace.len(), place),
            (32, (10 * number).to_string().as_str())
        );
        receipts.insert(trace.to_owned());
    }
    assert_eq!(receipts.len(), 1);
}

async fn thousands_of_questions_are_answered_in_their_order(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    let code = code.unwrap().validity_code.unwrap().code;
    let mut talk = ask(&hub).await.unwrap();
    for number in 0..3_000 {
        let code = if number % 3 == 0 { &code } else { UNKNOWN };
        talk.say(asked(number, code)).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    assert_eq!(answers.len(), 3_000);
    for (number, answer) in (0..).zip(&answers) {
        let reason = if number % 3 == 0 { Good } else { NotFound };
        assert_eq!((answer.sequence, told(answer).reason()), (number, reason));
    }
}

#[test]
fn questions_that_the_store_does_not_answer_are_undetermined_and_the_stream_goes_on() {
    let world = World::builder(Engine::Postgres).set("store.statement_timeout_ms", 300);
    run_on(world, async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let hub = Peer::of(world, CallerKind::Hub).await;
        let code = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        let code = code.unwrap().validity_code.unwrap().code;
        let mut talk = ask(&hub).await.unwrap();
        let mut lock = Raw::to(world).await;
        lock.run("BEGIN; LOCK TABLE validity_code IN ACCESS EXCLUSIVE MODE")
            .await;
        talk.say(asked(1, &code)).await;
        talk.say(asked(2, "no code")).await;
        let answers = [talk.answer().await, talk.answer().await];
        lock.release().await;
        let [lost, malformed] = answers.map(|answer| answer.unwrap().unwrap());
        let verdict_told = told(&lost);
        assert_eq!(verdict_told.outcome(), pb::Outcome::Undetermined);
        assert_eq!(verdict_told.reason(), pb::VerdictReason::StatusUnavailable);
        assert_eq!(told(&malformed).reason(), Malformed);
        let number = std::sync::atomic::AtomicI64::new(3);
        let talk = tokio::sync::Mutex::new(talk);
        soon("the verdict", async || {
            let mut talk = talk.lock().await;
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            talk.say(asked(number, &code)).await;
            let answer = talk.answer().await.unwrap().unwrap();
            (told(&answer).reason() == Good).then_some(())
        })
        .await;
    });
}
