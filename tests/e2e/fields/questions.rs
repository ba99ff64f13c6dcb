//! Questions: validations and lists.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, World};

use super::{Row, check};
use crate::messages::{person, question};
use crate::peer::Peer;

cases_of_any_engine! {
    every_field_of_a_question_is_checked,
}

async fn every_field_of_a_question_is_checked(world: &mut World) {
    let peer = Peer::of(world, CallerKind::Hub).await;
    let one: &[Row<pb::ValidateCodeRequest>] = &[
        (|r| r.code = "1".repeat(129), "code", "FIELD_TOO_LONG"),
        (
            |r| r.subject_claim = Some(pb::PersonId { id: None }),
            "subject_claim.id",
            "FIELD_REQUIRED",
        ),
        (
            |r| r.subject_claim = Some(person("1234567890")),
            "subject_claim.national_code",
            "NATIONAL_CODE_CHECKSUM",
        ),
    ];
    check(&question("1"), one, async |request| {
        peer.validate_code(request).await
    })
    .await;
    let many: &[Row<pb::BatchValidateCodesRequest>] = &[
        (|r| r.requests.clear(), "requests", "FIELD_REQUIRED"),
        (
            |r| r.requests = vec![question("1"); 1001],
            "requests",
            "BATCH_TOO_LARGE",
        ),
        (
            |r| r.requests[1].code = "1".repeat(129),
            "requests[1].code",
            "FIELD_TOO_LONG",
        ),
    ];
    let good = pb::BatchValidateCodesRequest {
        requests: vec![question("1"), question("2")],
    };
    check(&good, many, async |request| {
        peer.batch_validate_codes(request).await
    })
    .await;
    let university = Peer::of(world, CallerKind::University).await;
    let pages: &[Row<pb::ListValidityCodesRequest>] = &[
        (|r| r.page_size = -1, "page_size", "FIELD_FORMAT"),
        (|r| r.page_size = 1001, "page_size", "FIELD_FORMAT"),
        (
            |r| r.page_token = "x".repeat(513),
            "page_token",
            "FIELD_TOO_LONG",
        ),
        (
            |r| r.page_token = "x".to_owned(),
            "page_token",
            "PAGE_TOKEN_INVALID",
        ),
        (|r| r.state = 9, "state", "FIELD_FORMAT"),
    ];
    let good = pb::ListValidityCodesRequest::default();
    check(&good, pages, async |request| {
        university.list_validity_codes(request).await
    })
    .await;
}
