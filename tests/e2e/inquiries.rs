//! Inquiries by person: what is on record, as much of it as was agreed on, and what the answer can know of.

use gavah_api::v1 as pb;
use gavah_testkit::world::{
    AGENCY, AGENCY_AGREEMENT, CallerKind, Engine, OTHER_UNIVERSITY, UNIVERSITY, World,
    agency_agreement,
};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::{run_on, soon, together};
use crate::messages::{FATHER_NAME, issue, national_code, person, record, upsert};
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;

cases! {
    the_codes_of_a_person_are_told_without_their_digits,
    the_enrollments_of_a_person_are_told_as_far_as_agreed,
    each_inquiry_is_on_record_and_names_nobody,
    the_last_coverage_is_told_while_there_is_no_newer_one,
}

cases_of_any_engine! {
    nothing_found_comes_with_what_the_answer_can_know_of,
    a_person_must_be_named,
    who_asks_at_once_is_told_one_coverage,
}

#[test]
fn inquiries_of_too_many_persons_are_refused() {
    let world = World::builder(Engine::Sqlite).set("budgets.subjects_per_day", 5_i64);
    run_on(world, too_many_persons);
}

fn codes(person: Option<pb::PersonId>) -> pb::InquireValidityCodesRequest {
    pb::InquireValidityCodesRequest { person_id: person }
}

fn enrollment(person: Option<pb::PersonId>) -> pb::InquireEnrollmentRequest {
    pb::InquireEnrollmentRequest { person_id: person }
}

async fn the_codes_of_a_person_are_told_without_their_digits(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let person = request.subject.clone().unwrap().person_id;
    let issued = university.issue_validity_code(request).await.unwrap();
    let code = issued.validity_code.unwrap();
    for kind in [CallerKind::Hub, CallerKind::Organization] {
        let peer = Peer::of(world, kind).await;
        let answer = peer.inquire_validity_codes(codes(person.clone())).await;
        let answer = answer.unwrap();
        let text = format!("{:?}", prost::Message::encode_to_vec(&answer));
        assert_eq!(answer.codes.len(), 1, "{kind:?}");
        let found = &answer.codes[0];
        assert_eq!(found.reason(), pb::VerdictReason::Ok);
        let document = found.document.as_ref().unwrap();
        assert_eq!(document.document_kind(), pb::DocumentKind::Degree);
        let told = kind == CallerKind::Organization;
        assert_eq!(document.name == code.name, told, "{kind:?}");
        assert_eq!(document.subject_name_masked, !told, "{kind:?}");
        for secret in [&code.code[..], FATHER_NAME] {
            let bytes = format!("{:?}", secret.as_bytes());
            assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{kind:?}");
        }
        let covered = &answer.coverage.unwrap().institutions;
        let own = covered.iter().find(|it| it.institution_code == UNIVERSITY);
        assert_eq!(own.unwrap().records, 1);
    }
    let suspend = pb::SuspendValidityCodeRequest {
        request_id: crate::messages::request_id(),
        name: code.name,
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    university.suspend_validity_code(suspend).await.unwrap();
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = hub.inquire_validity_codes(codes(person)).await.unwrap();
    assert_eq!(answer.codes[0].reason(), pb::VerdictReason::Suspended);
    assert_eq!(answer.codes[0].outcome(), pb::Outcome::NotValid);
}

async fn the_enrollments_of_a_person_are_told_as_far_as_agreed(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let own = record(world, UNIVERSITY);
    let person = own.subject.clone().unwrap().person_id;
    university
        .upsert_enrollment_record(upsert(own.clone()))
        .await
        .unwrap();
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = hub.inquire_enrollment(enrollment(person.clone())).await;
    let answer = answer.unwrap();
    assert_eq!(answer.enrollments.len(), 1);
    let found = &answer.enrollments[0];
    assert_eq!(found.status(), pb::EnrollmentStatus::Studying);
    assert_eq!(found.current_term, own.current_term);
    assert_eq!(found.registered_units, 17);
    assert_eq!(found.degree_level(), pb::DegreeLevel::BachelorContinuous);
    assert!(found.institution_name_en.contains(UNIVERSITY));
    let coverage = answer.coverage.unwrap();
    assert_eq!(coverage.institutions[0].first_term, own.current_term);
    assert_eq!(coverage.institutions[0].last_term, own.current_term);
    // The officers' own question needs no agreement, and enrollments are told to them.
    let organization = Peer::of(world, CallerKind::Organization).await;
    let answer = organization.inquire_enrollment(enrollment(person.clone()));
    let answer = answer.await.unwrap();
    assert_eq!(
        answer.enrollments[0].status(),
        pb::EnrollmentStatus::Studying
    );
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                if agreement.id == AGENCY_AGREEMENT {
                    agreement.fields = vec!["INSTITUTION".to_owned(), "ENROLLMENT".to_owned()];
                }
            }
        })
        .await;
    let found = soon("the narrower agreement", async || {
        let answer = hub.inquire_enrollment(enrollment(person.clone())).await;
        let found = answer.unwrap().enrollments.remove(0);
        found.field_title_fa.is_empty().then_some(found)
    })
    .await;
    assert!(found.institution_name_en.contains(UNIVERSITY));
    assert_eq!(found.status(), pb::EnrollmentStatus::Studying);
    assert_eq!(found.degree_level(), pb::DegreeLevel::Unspecified);
    // Without the field itself there is nothing to ask for, and of codes nothing at all.
    let answer = hub.inquire_validity_codes(codes(person)).await;
    let refusal = refused(answer, Code::PermissionDenied, "FIELD_NOT_DISCLOSABLE");
    assert_eq!(refusal.metadata["field"], "DOCUMENT");
}

async fn each_inquiry_is_on_record_and_names_nobody(world: &mut World) {
    let asked = national_code();
    let hub = Peer::of(world, CallerKind::Hub).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let person = Some(person(&asked));
    hub.inquire_validity_codes(codes(person.clone()))
        .await
        .unwrap();
    organization
        .inquire_enrollment(enrollment(person))
        .await
        .unwrap();
    let mut raw = Raw::to(world).await;
    let of_the_hub = format!(
        "SELECT count(*) FROM audit_entry WHERE action = 'INQUIRE_CODES' AND actor = 'callers/hub' \
         AND on_behalf = 'agencies/{AGENCY}' AND resource = '{}' AND subject_hash <> ''",
        agency_agreement()
    );
    assert_eq!(raw.number(&of_the_hub).await, 1);
    let of_the_organization = "SELECT count(*) FROM audit_entry \
        WHERE action = 'INQUIRE_ENROLLMENT' AND actor = 'callers/organization' AND on_behalf = ''";
    assert_eq!(raw.number(of_the_organization).await, 1);
    let named = format!("SELECT count(*) FROM audit_entry WHERE subject_hash LIKE '%{asked}%'");
    assert_eq!(raw.number(&named).await, 0);
}

async fn nothing_found_comes_with_what_the_answer_can_know_of(world: &mut World) {
    for (kind, institution) in [
        (CallerKind::University, UNIVERSITY),
        (CallerKind::OtherUniversity, OTHER_UNIVERSITY),
    ] {
        let university = Peer::of(world, kind).await;
        let own = upsert(record(world, institution));
        university.upsert_enrollment_record(own).await.unwrap();
    }
    let hub = Peer::of(world, CallerKind::Hub).await;
    let nobody = Some(person(&national_code()));
    let answer = hub.inquire_enrollment(enrollment(nobody)).await.unwrap();
    assert_eq!(answer.enrollments, []);
    let coverage = answer.coverage.unwrap();
    let covered: Vec<_> = coverage
        .institutions
        .iter()
        .map(|it| (it.institution_code.as_str(), it.records))
        .collect();
    assert_eq!(covered, [(UNIVERSITY, 1), (OTHER_UNIVERSITY, 1)]);
    assert!(coverage.as_of_time.is_some());
    assert!(coverage.statement_fa.contains("دانشجو نبودن"));
    assert!(coverage.statement_en.contains("does not mean"));
}

async fn too_many_persons(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let ask = async || {
        let nobody = Some(person(&national_code()));
        hub.inquire_enrollment(enrollment(nobody)).await
    };
    for _ in 0..5 {
        ask().await.unwrap();
    }
    // Whether a person was asked about before, the store says within a second.
    let refusal = soon("the end of the budget", async || ask().await.err()).await;
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason.as_deref(), Some("NEGATIVE_LOOKUPS"));
    assert_eq!(refusal.metadata["limit"], "subjects_per_day");
}

async fn a_person_must_be_named(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = hub.inquire_validity_codes(codes(None)).await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
    assert_eq!(failure.violations[0].field, "person_id");
    let wrong = Some(person("7730942861"));
    let answer = hub.inquire_enrollment(enrollment(wrong)).await;
    let failure = refused(answer, Code::InvalidArgument, "NATIONAL_CODE_CHECKSUM");
    assert_eq!(failure.violations[0].field, "person_id.national_code");
}

/// What an inquiry about nobody is told of what it can know of.
async fn coverage(hub: &Peer) -> Answer<pb::Coverage> {
    let nobody = Some(person(&national_code()));
    let answer = hub.inquire_enrollment(enrollment(nobody)).await?;
    Ok(answer.coverage.unwrap())
}

fn as_of(coverage: &pb::Coverage) -> (i64, i32) {
    let time = coverage.as_of_time.unwrap();
    (time.seconds, time.nanos)
}

async fn the_last_coverage_is_told_while_there_is_no_newer_one(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let another = async || {
        let own = upsert(record(world, UNIVERSITY));
        university.upsert_enrollment_record(own).await.unwrap();
    };
    another().await;
    let mut raw = Raw::to(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    // Without any statement an inquiry is refused at once, and the next one may be answered.
    raw.run("UPDATE enrollment_record SET content = 'x' || content")
        .await;
    assert!(coverage(&hub).await.is_err());
    raw.run("UPDATE enrollment_record SET content = substr(content, 2)")
        .await;
    let first = soon("a statement", async || coverage(&hub).await.ok()).await;
    assert_eq!(first.institutions[0].records, 1);
    // It gets old by the service's own clock, and is told as long as no other can be made.
    another().await;
    raw.run("UPDATE enrollment_record SET content = 'x' || content")
        .await;
    world.clock().advance(SignedDuration::from_mins(2));
    // Longer than it takes until another one is tried.
    for _ in 0..30 {
        let told = coverage(&hub).await.unwrap();
        assert_eq!(as_of(&told), as_of(&first));
        assert_eq!(told.institutions, first.institutions);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    raw.run("UPDATE enrollment_record SET content = substr(content, 2)")
        .await;
    let next = soon("a newer statement", async || {
        let told = coverage(&hub).await.unwrap();
        (as_of(&told) > as_of(&first)).then_some(told)
    })
    .await;
    assert_eq!(next.institutions[0].records, 2);
}

async fn who_asks_at_once_is_told_one_coverage(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let told = together(20, move |_| {
        let hub = hub.clone();
        async move { as_of(&coverage(&hub).await.unwrap()) }
    });
    let told = told.await;
    assert!(told.iter().all(|as_of| *as_of == told[0]), "{told:?}");
}
