use std::time::Duration;

use tonic_types::{ErrorDetail, StatusExt};

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn violations(all: &[(&str, Reason)]) -> AppError {
    let mut violations = Violations::default();
    for (field, reason) in all {
        violations.push(*field, *reason);
    }
    violations.into()
}

fn reason_of(status: &tonic::Status) -> String {
    status.get_details_error_info().unwrap().reason
}

fn retry_of(status: &tonic::Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

#[test]
fn every_reason_is_told_with_its_code_texts_and_trace() {
    for reason in Reason::ALL.iter().copied() {
        let status = to_status(reason.into(), TRACE);
        let name = format!("{:?}", status.code());
        assert_eq!(name, format!("{:?}", reason.category()), "{reason}");
        assert_eq!(status.message(), reason.message_en());
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            (reason.as_str(), "gavah")
        );
        assert_eq!(info.metadata["trace_id"], TRACE);
        let texts: Vec<_> = status
            .get_error_details_vec()
            .into_iter()
            .filter_map(|detail| match detail {
                ErrorDetail::LocalizedMessage(text) => Some((text.locale, text.message)),
                _ => None,
            })
            .collect();
        let expected = [
            ("fa-IR", reason.message_fa()),
            ("en-US", reason.message_en()),
        ]
        .map(|(locale, text)| (locale.to_owned(), text.to_owned()));
        assert_eq!(texts, expected);
        assert_eq!(retry_of(&status), reason.retry_after(), "{reason}");
        assert!(status.get_details_bad_request().is_none());
    }
}

#[test]
fn a_refusal_tells_its_metadata() {
    let refusal =
        Refusal::new(Reason::PriorQualificationMissing).with("missing_level", "ASSOCIATE");
    let info = to_status(refusal.into(), TRACE)
        .get_details_error_info()
        .unwrap();
    assert_eq!(info.metadata["missing_level"], "ASSOCIATE");
    assert_eq!(info.metadata["trace_id"], TRACE);
    assert_eq!(info.metadata.len(), 2);
}

#[test]
fn all_violations_are_told_at_once() {
    let error = violations(&[
        ("subject.national_code", Reason::NationalCodeChecksum),
        ("rows[3].program.entry_term", Reason::TermInFuture),
    ]);
    let status = to_status(error, TRACE);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason_of(&status), "FIELD_FORMAT");
    let told: Vec<_> = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|violation| (violation.field, violation.reason, violation.description))
        .collect();
    let expected = [
        ("subject.national_code", Reason::NationalCodeChecksum),
        ("rows[3].program.entry_term", Reason::TermInFuture),
    ]
    .map(|(field, reason)| {
        (
            field.to_owned(),
            reason.as_str().to_owned(),
            reason.message_en().to_owned(),
        )
    });
    assert_eq!(told, expected);
}

#[test]
fn a_reason_shared_by_all_violations_is_the_reason_of_the_call() {
    let error = violations(&[("a", Reason::FieldRequired), ("b", Reason::FieldRequired)]);
    let status = to_status(error, TRACE);
    assert_eq!(reason_of(&status), "FIELD_REQUIRED");
    assert_eq!(status.message(), Reason::FieldRequired.message_en());
    // Whatever the field breaks, it is the message that is wrong.
    let status = to_status(
        violations(&[("institution", Reason::InstitutionNotOwned)]),
        TRACE,
    );
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = to_status(violations(&[]), TRACE);
    assert_eq!(
        (status.code(), reason_of(&status).as_str()),
        (Code::InvalidArgument, "FIELD_FORMAT")
    );
}

#[test]
fn details_stay_small_and_say_how_many_violations_there_are() {
    let mut many = Violations::default();
    for row in 0..1000 {
        many.push(
            format!("rows[{row}].record.program.student_number"),
            Reason::FieldRequired,
        );
    }
    let status = to_status(many.into(), TRACE);
    assert!(
        status.details().len() < 5 * 1024,
        "{}",
        status.details().len()
    );
    let told = status.get_details_bad_request().unwrap().field_violations;
    assert!(
        told.len() > 20 && told[0].field.starts_with("rows[0]."),
        "{}",
        told.len()
    );
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["violations_total"], "1000");

    let few = violations(&[("a", Reason::FieldRequired)]);
    let info = to_status(few, TRACE).get_details_error_info().unwrap();
    assert!(!info.metadata.contains_key("violations_total"));
}

#[test]
fn a_store_error_tells_no_more_than_what_to_do() {
    let second = Some(Duration::from_secs(1));
    let text = || "secret".to_owned();
    for (error, reason, retry) in [
        (StoreError::Unavailable, "STORE_UNAVAILABLE", second),
        (StoreError::CommitUnknown, "STORE_UNAVAILABLE", second),
        (StoreError::Timeout, "DEADLINE_PASSED", None),
        (
            StoreError::Conflict,
            "CONCURRENT_UPDATE",
            Some(Duration::from_millis(100)),
        ),
        (StoreError::Constraint(text()), "INTERNAL", None),
        (
            StoreError::Database {
                code: text(),
                constraint: text(),
            },
            "INTERNAL",
            None,
        ),
        (StoreError::Corrupt("secret"), "INTERNAL", None),
        (StoreError::Schema(text()), "INTERNAL", None),
        (StoreError::Config(text()), "INTERNAL", None),
    ] {
        let status = to_status(error.into(), TRACE);
        assert_eq!(
            (reason_of(&status).as_str(), retry_of(&status)),
            (reason, retry)
        );
        assert!(!format!("{status:?}").contains("secret"));
    }
    let status = to_status(AppError::Internal("secret"), TRACE);
    assert_eq!(
        (status.code(), reason_of(&status).as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(!String::from_utf8_lossy(status.details()).contains("secret"));
}

#[test]
fn a_row_carries_the_same_status_as_a_call() {
    let error = violations(&[("rows[3].subject", Reason::FieldRequired)]);
    let row = row_status(error.clone(), TRACE);
    let call = to_status(error, TRACE);
    assert_eq!(row.encode_to_vec(), call.details());
    assert_eq!(
        (row.code, row.message.as_str()),
        (call.code() as i32, call.message())
    );
}
