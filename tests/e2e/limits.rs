//! What is too much or cannot be read at all.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use prost::Message;
use tonic::Code;

use crate::messages::{issue, question, record, request_id};
use crate::peer::refused;
use crate::wire::Wire;

cases_of_any_engine! {
    a_message_over_the_limit_is_refused_and_bulk_services_take_more,
    what_is_no_message_is_refused_as_the_callers_mistake,
    metadata_over_the_limit_is_refused,
    a_batch_of_too_many_rows_is_refused_whole,
    a_small_message_that_unfolds_to_very_many_rows_is_refused_before_it_does,
}

const ISSUE: &str = "/gavah.v1.ValidityCodeService/IssueValidityCode";
const BATCH: &str = "/gavah.v1.EnrollmentRecordService/BatchUpsertEnrollmentRecords";
const VALIDATE: &str = "/gavah.v1.ValidationService/BatchValidateCodes";

async fn a_message_over_the_limit_is_refused_and_bulk_services_take_more(world: &mut World) {
    let wire = Wire::of(world, CallerKind::University).await;
    let mut large = issue(world, UNIVERSITY);
    large.external_ref = "x".repeat(65 * 1024);
    let answer = wire.send(ISSUE, &large).await;
    let failure = refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(failure.retry_after, None);
    let mut batch = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: request_id(),
        validate_only: true,
        records: (0..1000).map(|_| record(world, UNIVERSITY)).collect(),
    };
    assert!(batch.encoded_len() > 64 * 1024);
    let answer = wire.send(BATCH, &batch).await.unwrap();
    let rows = pb::BatchUpsertEnrollmentRecordsResponse::decode(&answer[..])
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 1000);
    assert!(
        rows.iter()
            .all(|row| row.status.as_ref().unwrap().code == 0)
    );
    batch.records[0].external_ref = "x".repeat(4 * 1024 * 1024);
    let answer = wire.send(BATCH, &batch).await;
    refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    // The connection goes on.
    wire.send(ISSUE, &issue(world, UNIVERSITY)).await.unwrap();
}

async fn a_small_message_that_unfolds_to_very_many_rows_is_refused_before_it_does(
    world: &mut World,
) {
    let wire = Wire::of(world, CallerKind::University).await;
    // Two bytes an empty row: the third field, of length nothing.
    let rows = [0x1a, 0x00].repeat(1_000_000);
    let answer = wire.send_with(BATCH, rows, &[]).await;
    refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
}

async fn what_is_no_message_is_refused_as_the_callers_mistake(world: &mut World) {
    let wire = Wire::of(world, CallerKind::University).await;
    for body in [
        &b"\xff\xff\xff\xff"[..],
        b"{\"request_id\": 1}",
        b"\x0a\x05ab",
        b"\x0a\x02\xff\xfe",
    ] {
        let answer = wire.send_with(ISSUE, body.to_vec(), &[]).await;
        let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
        assert_eq!(failure.metadata["part"], "message");
    }
    wire.send(ISSUE, &issue(world, UNIVERSITY)).await.unwrap();
}

async fn metadata_over_the_limit_is_refused(world: &mut World) {
    let wire = Wire::of(world, CallerKind::University).await;
    let long = "x".repeat(17 * 1024);
    let path = "/gavah.v1.RegistryService/WhoAmI";
    let answer = wire
        .send_with(path, Vec::new(), &[("x-synthetic", &long)])
        .await;
    let failure = refused(answer, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(failure.metadata["part"], "metadata");
    wire.send_with(path, Vec::new(), &[("x-synthetic", "short")])
        .await
        .unwrap();
}

async fn a_batch_of_too_many_rows_is_refused_whole(world: &mut World) {
    let wire = Wire::of(world, CallerKind::University).await;
    let batch = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: request_id(),
        validate_only: false,
        records: (0..1001).map(|_| record(world, UNIVERSITY)).collect(),
    };
    refused(
        wire.send(BATCH, &batch).await,
        Code::InvalidArgument,
        "BATCH_TOO_LARGE",
    );
    let batch = pb::BatchValidateCodesRequest {
        requests: vec![question("1"); 1001],
    };
    refused(
        wire.send(VALIDATE, &batch).await,
        Code::InvalidArgument,
        "BATCH_TOO_LARGE",
    );
}
