//! One good request for every method that writes, and what must hold for all of them: the retry key and the trial.

use std::collections::BTreeSet;

use gavah_api::DESCRIPTOR_SET;
use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::messages::{apply, date, instant, issue, record, request_id, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::wire::Wire;

cases! {
    a_write_without_a_request_id_is_refused,
    a_repeated_write_gets_the_same_answer_and_another_body_is_refused,
    a_trial_of_a_write_has_no_effect_and_leaves_its_request_id_free,
}

/// A request whose head can be set.
trait Head: Message + Clone {
    fn set(&mut self, request_id: &str, validate_only: bool);
}

macro_rules! heads {
    ($($name:ident),+ $(,)?) => {
        $(impl Head for pb::$name {
            fn set(&mut self, request_id: &str, validate_only: bool) {
                request_id.clone_into(&mut self.request_id);
                self.validate_only = validate_only;
            }
        })+
    };
}

heads! {
    AddClientCertificateRequest,
    BatchUpsertEnrollmentRecordsRequest,
    CreateCallerRequest,
    CreateEnrollmentCertificateApplicationRequest,
    CreateExpertRequest,
    CreateInstitutionRequest,
    IssueValidityCodeRequest,
    ReinstateEnrollmentCertificateRequest,
    ReinstateValidityCodeRequest,
    ReportEnrollmentEventRequest,
    RetireClientCertificateRequest,
    RevokeEnrollmentCertificateRequest,
    RevokeValidityCodeRequest,
    SuspendEnrollmentCertificateRequest,
    SuspendValidityCodeRequest,
    UpdateCallerRequest,
    UpdateExpertRequest,
    UpdateInstitutionRequest,
    UpsertEnrollmentRecordRequest,
}

type Encode = Box<dyn Fn(&str, bool) -> Vec<u8>>;

/// A method that writes, with a good request and one of another body.
struct Write {
    path: String,
    kind: CallerKind,
    body: Encode,
    other_body: Encode,
}

impl Write {
    fn new<R: Head + 'static>(
        path: &str,
        kind: CallerKind,
        request: R,
        change: impl FnOnce(&mut R),
    ) -> Self {
        let mut other = request.clone();
        change(&mut other);
        let encode = |request: R| -> Encode {
            Box::new(move |request_id, validate_only| {
                let mut request = request.clone();
                request.set(request_id, validate_only);
                request.encode_to_vec()
            })
        };
        Self {
            path: format!("/gavah.v1.{path}"),
            kind,
            body: encode(request),
            other_body: encode(other),
        }
    }
}

/// Every write, each on resources of its own.
async fn writes(world: &World) -> Vec<Write> {
    let mut writes = of_codes(world).await;
    writes.extend(of_certificates(world).await);
    writes.extend(of_records(world).await);
    writes.extend(of_registry(world).await);
    let written: BTreeSet<_> = writes.iter().map(|write| write.path.clone()).collect();
    assert_eq!(
        written,
        described(),
        "every method with a request_id is here"
    );
    writes
}

/// Paths of the methods whose requests have a request_id.
fn described() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "gavah.v1");
    let writes = |input: &str| {
        let name = input.rsplit('.').next().unwrap();
        let mut messages = set.file.iter().flat_map(|file| &file.message_type);
        messages.any(|message| {
            message.name() == name
                && message
                    .field
                    .iter()
                    .any(|field| field.name() == "request_id")
        })
    };
    let methods = ours.flat_map(|file| &file.service).flat_map(|service| {
        service
            .method
            .iter()
            .map(move |method| (service.name(), method))
    });
    methods
        .filter(|(_, method)| writes(method.input_type()))
        .map(|(service, method)| format!("/gavah.v1.{service}/{}", method.name()))
        .collect()
}

async fn of_codes(world: &World) -> Vec<Write> {
    use CallerKind::University;
    let university = Peer::of(world, University).await;
    let fresh = async || {
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        issued.unwrap().validity_code.unwrap().name
    };
    let suspend = |name: String| pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name,
        ..Default::default()
    };
    let suspended = fresh().await;
    university
        .suspend_validity_code(suspend(suspended.clone()))
        .await
        .unwrap();
    let reinstate = pb::ReinstateValidityCodeRequest {
        name: suspended,
        ..Default::default()
    };
    let revoke = pb::RevokeValidityCodeRequest {
        name: fresh().await,
        reason: pb::RevocationReason::CourtOrder.into(),
        legal_basis: "رأی آزمایشی".to_owned(),
        ..Default::default()
    };
    let service = "ValidityCodeService";
    vec![
        Write::new(
            &format!("{service}/IssueValidityCode"),
            University,
            issue(world, UNIVERSITY),
            |request| request.external_ref.push('2'),
        ),
        Write::new(
            &format!("{service}/SuspendValidityCode"),
            University,
            suspend(fresh().await),
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/ReinstateValidityCode"),
            University,
            reinstate,
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/RevokeValidityCode"),
            University,
            revoke,
            |request| request.reason = pb::RevocationReason::Fraud.into(),
        ),
    ]
}

async fn of_certificates(world: &World) -> Vec<Write> {
    use CallerKind::{Organization, Window};
    let organization = Peer::of(world, Organization).await;
    let fresh = async || {
        let applied = crate::certificates::applied(world, &record(world, UNIVERSITY)).await;
        applied.enrollment_certificate.unwrap().name
    };
    let suspend = |name: String| pb::SuspendEnrollmentCertificateRequest {
        request_id: request_id(),
        name,
        ..Default::default()
    };
    let suspended = fresh().await;
    let answer = organization
        .suspend_enrollment_certificate(suspend(suspended.clone()))
        .await;
    answer.unwrap();
    let row = record(world, UNIVERSITY);
    let university = Peer::of(world, CallerKind::University).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let revoke = pb::RevokeEnrollmentCertificateRequest {
        name: fresh().await,
        reason: pb::RevocationReason::CourtOrder.into(),
        legal_basis: "رأی آزمایشی".to_owned(),
        ..Default::default()
    };
    let reinstate = pb::ReinstateEnrollmentCertificateRequest {
        name: suspended,
        ..Default::default()
    };
    let service = "EnrollmentCertificateService";
    vec![
        Write::new(
            &format!("{service}/CreateEnrollmentCertificateApplication"),
            Window,
            apply(&row),
            |request| request.purpose = pb::Purpose::Court.into(),
        ),
        Write::new(
            &format!("{service}/SuspendEnrollmentCertificate"),
            Organization,
            suspend(fresh().await),
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/ReinstateEnrollmentCertificate"),
            Organization,
            reinstate,
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/RevokeEnrollmentCertificate"),
            Organization,
            revoke,
            |request| request.legal_basis = "دیگر".to_owned(),
        ),
    ]
}

async fn of_records(world: &World) -> Vec<Write> {
    use CallerKind::University;
    let university = Peer::of(world, University).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let event = pb::ReportEnrollmentEventRequest {
        institution_code: UNIVERSITY.to_owned(),
        student_number: row.program.unwrap().student_number,
        kind: pb::EnrollmentEventKind::OnLeave.into(),
        effective_date: Some(date(JalaliDate::of(world.now()))),
        as_of_time: Some(instant(world.now())),
        ..Default::default()
    };
    let batch = pb::BatchUpsertEnrollmentRecordsRequest {
        records: (0..3).map(|_| record(world, UNIVERSITY)).collect(),
        ..Default::default()
    };
    let service = "EnrollmentRecordService";
    vec![
        Write::new(
            &format!("{service}/UpsertEnrollmentRecord"),
            University,
            upsert(record(world, UNIVERSITY)),
            |request| request.record.as_mut().unwrap().registered_units = 3,
        ),
        Write::new(
            &format!("{service}/BatchUpsertEnrollmentRecords"),
            University,
            batch,
            |request| {
                for record in &mut request.records {
                    record.registered_units = 3;
                }
            },
        ),
        Write::new(
            &format!("{service}/ReportEnrollmentEvent"),
            University,
            event,
            |request| request.kind = pb::EnrollmentEventKind::Suspended.into(),
        ),
    ]
}

fn institution(code: &str) -> pb::Institution {
    pb::Institution {
        institution_code: code.to_owned(),
        r#type: pb::InstitutionType::NonProfit.into(),
        name_fa: "مؤسسه آزمایشی".to_owned(),
        name_en: "Synthetic institute".to_owned(),
        state: pb::InstitutionState::Active.into(),
        ..Default::default()
    }
}

fn expert(code: &str) -> pb::Expert {
    pb::Expert {
        institution_code: UNIVERSITY.to_owned(),
        expert_code: code.to_owned(),
        display_name_fa: "کارشناس آزمایشی".to_owned(),
        state: pb::ExpertState::Active.into(),
        ..Default::default()
    }
}

fn caller(id: &str) -> pb::Caller {
    pb::Caller {
        caller_id: id.to_owned(),
        caller_class: pb::CallerClass::Monitor.into(),
        display_name: "Synthetic monitor".to_owned(),
        state: pb::CallerState::Active.into(),
        ..Default::default()
    }
}

async fn of_registry(world: &World) -> Vec<Write> {
    use CallerKind::Organization;
    let organization = Peer::of(world, Organization).await;
    let create_institution = |code: &str| pb::CreateInstitutionRequest {
        request_id: request_id(),
        institution: Some(institution(code)),
        ..Default::default()
    };
    let create_expert = |code: &str| pb::CreateExpertRequest {
        request_id: request_id(),
        expert: Some(expert(code)),
        ..Default::default()
    };
    let create_caller = |id: &str| pb::CreateCallerRequest {
        request_id: request_id(),
        caller: Some(caller(id)),
        certificate_fingerprint: fixtures::fingerprint(),
        ..Default::default()
    };
    organization
        .create_institution(create_institution("7001"))
        .await
        .unwrap();
    organization
        .create_expert(create_expert("OLD"))
        .await
        .unwrap();
    organization
        .create_caller(create_caller("changed-monitor"))
        .await
        .unwrap();
    organization
        .create_caller(create_caller("growing-monitor"))
        .await
        .unwrap();
    let shrinking = create_caller("shrinking-monitor");
    let retired = shrinking.certificate_fingerprint.clone();
    organization.create_caller(shrinking).await.unwrap();
    let changed_institution = pb::UpdateInstitutionRequest {
        institution: Some(pb::Institution {
            name_en: "Changed institute".to_owned(),
            ..institution("7001")
        }),
        ..Default::default()
    };
    let changed_expert = pb::UpdateExpertRequest {
        expert: Some(pb::Expert {
            state: pb::ExpertState::Inactive.into(),
            ..expert("OLD")
        }),
        ..Default::default()
    };
    let changed_caller = pb::UpdateCallerRequest {
        caller: Some(pb::Caller {
            display_name: "Changed monitor".to_owned(),
            ..caller("changed-monitor")
        }),
        ..Default::default()
    };
    let added = pb::AddClientCertificateRequest {
        caller: "callers/growing-monitor".to_owned(),
        fingerprint: fixtures::fingerprint(),
        ..Default::default()
    };
    let retired = pb::RetireClientCertificateRequest {
        caller: "callers/shrinking-monitor".to_owned(),
        fingerprint: retired,
        ..Default::default()
    };
    let of = |method: &str| format!("RegistryService/{method}");
    vec![
        Write::new(
            &of("CreateInstitution"),
            Organization,
            create_institution("7002"),
            |request| request.institution.as_mut().unwrap().name_en.push('2'),
        ),
        Write::new(
            &of("UpdateInstitution"),
            Organization,
            changed_institution,
            |request| request.institution.as_mut().unwrap().name_en.push('2'),
        ),
        Write::new(
            &of("CreateExpert"),
            Organization,
            create_expert("NEW"),
            |request| {
                request.expert.as_mut().unwrap().state = pb::ExpertState::Inactive.into();
            },
        ),
        Write::new(
            &of("UpdateExpert"),
            Organization,
            changed_expert,
            |request| {
                request.expert.as_mut().unwrap().state = pb::ExpertState::Active.into();
            },
        ),
        Write::new(
            &of("CreateCaller"),
            Organization,
            create_caller("new-monitor"),
            |request| {
                request.caller.as_mut().unwrap().display_name.push('2');
            },
        ),
        Write::new(
            &of("UpdateCaller"),
            Organization,
            changed_caller,
            |request| {
                request.caller.as_mut().unwrap().display_name.push('2');
            },
        ),
        Write::new(
            &of("AddClientCertificate"),
            Organization,
            added,
            |request| {
                request.fingerprint = fixtures::fingerprint();
            },
        ),
        Write::new(
            &of("RetireClientCertificate"),
            Organization,
            retired,
            |request| {
                request.fingerprint = fixtures::fingerprint();
            },
        ),
    ]
}

async fn a_write_without_a_request_id_is_refused(world: &mut World) {
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        for (id, reason) in [
            ("", "FIELD_REQUIRED"),
            ("1", "FIELD_FORMAT"),
            ("0198f5d2ac96774bbcceb302099a8057", "FIELD_FORMAT"),
        ] {
            let answer = wire
                .send_with(&write.path, (write.body)(id, false), &[])
                .await;
            let failure = refused(answer, Code::InvalidArgument, reason);
            assert_eq!(failure.violations.len(), 1, "{}: {failure}", write.path);
            assert_eq!(failure.violations[0].field, "request_id");
        }
    }
}

async fn a_repeated_write_gets_the_same_answer_and_another_body_is_refused(world: &mut World) {
    let mut raw = Raw::to(world).await;
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        let id = request_id();
        let send =
            async |body: &Encode, id: &str| wire.send_with(&write.path, body(id, false), &[]).await;
        let first = send(&write.body, &id).await;
        let first = first.unwrap_or_else(|failure| panic!("{}: {failure}", write.path));
        let done = raw.everything().await;
        // In whatever case the id is written.
        for same in [id.clone(), id.to_uppercase()] {
            let again = send(&write.body, &same).await.unwrap();
            assert_eq!(again, first, "{}", write.path);
        }
        if write.path.ends_with("BatchUpsertEnrollmentRecords") {
            let other = send(&write.other_body, &id).await.unwrap();
            let rows = pb::BatchUpsertEnrollmentRecordsResponse::decode(&other[..])
                .unwrap()
                .rows;
            for row in rows {
                assert_eq!(row.status.unwrap().code, Code::AlreadyExists as i32);
            }
        } else {
            let other = send(&write.other_body, &id).await;
            refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
        }
        assert_eq!(raw.everything().await, done, "{}", write.path);
    }
}

async fn a_trial_of_a_write_has_no_effect_and_leaves_its_request_id_free(world: &mut World) {
    let mut raw = Raw::to(world).await;
    for write in writes(world).await {
        let wire = Wire::of(world, write.kind).await;
        let before = raw.everything().await;
        let id = request_id();
        for _ in 0..2 {
            let trial = wire
                .send_with(&write.path, (write.body)(&id, true), &[])
                .await;
            let trial = trial.unwrap_or_else(|failure| panic!("{}: {failure}", write.path));
            if write.path.ends_with("BatchUpsertEnrollmentRecords") {
                let answer = pb::BatchUpsertEnrollmentRecordsResponse::decode(&trial[..]).unwrap();
                for row in &answer.rows {
                    assert_eq!(row.status.as_ref().unwrap().code, 0);
                    assert_eq!(row.name, "");
                }
            } else {
                assert_eq!(trial, Vec::<u8>::new(), "{}", write.path);
            }
        }
        assert_eq!(raw.everything().await, before, "{}", write.path);
        let done = wire
            .send_with(&write.path, (write.other_body)(&id, false), &[])
            .await;
        let retire = write.path.ends_with("RetireClientCertificate");
        // Its other body names a certificate that is not there.
        assert_eq!(done.is_err(), retire, "{}", write.path);
    }
}
