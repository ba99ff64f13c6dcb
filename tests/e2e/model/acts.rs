//! What the actors do, and what the model expects to come of it.

use gavah_api::v1 as pb;
use gavah_testkit::world::UNIVERSITY;

use super::people::{ADDRESSEES, Application, Certificate, Code, OnRecord, is_live, is_over};
use super::{Granted, Model, agrees, reason};
use crate::messages::{apply, correct, date, instant, issue, request_id, upsert};
use crate::stages::{
    cancel, decider, organization_decision, read, submit, university_decision, update,
};
use pb::ApplicationState as S;
use pb::DocumentState as D;

const NOT_ALLOWED: &str = "STATE_TRANSITION_NOT_ALLOWED";

/// What is done to an issued document.
#[derive(Clone, Copy, Debug)]
enum Change {
    Suspend,
    Reinstate,
    Revoke,
}

impl Change {
    fn of(self, state: D) -> Result<D, &'static str> {
        match (self, state) {
            (Self::Suspend, D::Active) => Ok(D::Suspended),
            (Self::Reinstate, D::Suspended) => Ok(D::Active),
            (Self::Revoke, D::Active | D::Suspended) => Ok(D::Revoked),
            _ => Err(NOT_ALLOWED),
        }
    }
}

impl Model<'_> {
    /// One act of one actor, whatever the dice say.
    pub(super) async fn step(&mut self) {
        match self.rng.u32(..100) {
            0..15 => self.push_record().await,
            15..18 => self.report_event().await,
            18..28 => self.issue_code().await,
            28..32 => self.create_code_application().await,
            32..37 => self.act_on_code_application().await,
            37..46 => self.change_code().await,
            46..50 => self.correct_code().await,
            50..64 => self.create_application().await,
            64..68 => self.update_application().await,
            68..72 => self.submit_application().await,
            72..74 => self.cancel_application().await,
            74..83 => self.decide_for_university().await,
            83..91 => self.decide_for_organization().await,
            91..95 => self.change_certificate().await,
            95..97 => self.correct_certificate().await,
            97..98 => self.stranger().await,
            _ => self.send_again().await,
        }
    }

    fn change(&mut self) -> Change {
        [Change::Suspend, Change::Reinstate, Change::Revoke][self.rng.usize(..3)]
    }

    async fn push_record(&mut self) {
        let student = self.rng.usize(..self.students.len());
        let told = OnRecord {
            studying: self.rng.u32(..10) > 0,
            blocked: self.rng.u32(..10) == 0,
            other_name: self.rng.u32(..10) == 0,
            age: [0, 0, 0, 30][self.rng.usize(..4)],
        };
        let row = self.students[student].record(self.world, &told);
        let answer = self.university.upsert_enrollment_record(upsert(row)).await;
        let outcome = answer.unwrap().outcome();
        let before = self.students[student].on_record.as_ref();
        let newer = before.is_none_or(|before| told.age <= before.age);
        let expected = match (before, newer) {
            (None, _) => pb::UpsertOutcome::Created,
            (Some(_), true) => pb::UpsertOutcome::Replaced,
            (Some(_), false) => pb::UpsertOutcome::KeptNewer,
        };
        assert_eq!(outcome, expected);
        if newer {
            self.students[student].on_record = Some(told);
            self.entries += 1;
        }
    }

    /// The student withdraws: live certificates end; and comes back.
    async fn report_event(&mut self) {
        let student = self.rng.usize(..self.students.len());
        let comes_back = self.rng.bool();
        let event = |kind: pb::EnrollmentEventKind, student: &super::Student, world| {
            pb::ReportEnrollmentEventRequest {
                request_id: request_id(),
                institution_code: UNIVERSITY.to_owned(),
                student_number: student.row.program.as_ref().unwrap().student_number.clone(),
                kind: kind.into(),
                effective_date: Some(date(gavah_domain::JalaliDate::of(world))),
                as_of_time: Some(instant(world)),
                ..Default::default()
            }
        };
        let now = self.world.now();
        let kind = pb::EnrollmentEventKind::Withdrawn;
        let request = event(kind, &self.students[student], now);
        let answer = self.university.report_enrollment_event(request).await;
        let expected = self.students[student].on_record.as_ref();
        let expected = expected.map(|_| ()).ok_or("ENROLLMENT_RECORD_NOT_FOUND");
        if agrees(answer, expected, "an event").is_none() {
            return;
        }
        self.entries += 1;
        let mut ended = 0;
        for certificate in &mut self.certificates {
            if certificate.student == student && is_live(certificate.stored.state()) {
                certificate.stored.set_state(D::Revoked);
                ended += 1;
            }
        }
        self.entries += ended;
        if comes_back {
            let kind = pb::EnrollmentEventKind::Resumed;
            let request = event(kind, &self.students[student], self.world.now());
            let answer = self.university.report_enrollment_event(request).await;
            assert_eq!(reason(&answer), None);
            self.entries += 1;
        }
        let record = self.students[student].on_record.as_mut().unwrap();
        // An event says nothing of how fresh the rest is.
        let age = record.age;
        record.studying = comes_back;
        record.age = 0;
        if age >= 24 {
            // Only a new record makes it fresh again; the next one does.
            let told = OnRecord {
                age: 0,
                ..record.clone()
            };
            let row = self.students[student].record(self.world, &told);
            let answer = self.university.upsert_enrollment_record(upsert(row)).await;
            assert_eq!(answer.unwrap().outcome(), pb::UpsertOutcome::Replaced);
            self.entries += 1;
        }
    }

    async fn issue_code(&mut self) {
        let student = self.rng.usize(..self.students.len());
        let kind = [pb::DocumentKind::Degree, pb::DocumentKind::Transcript][self.rng.usize(..2)];
        let row = &self.students[student].row;
        let request = pb::IssueValidityCodeRequest {
            subject: row.subject.clone(),
            program: row.program.clone(),
            document_kind: kind.into(),
            ..issue(self.world, UNIVERSITY)
        };
        let holder = self.holder(student, kind);
        let answer = self.university.issue_validity_code(request.clone()).await;
        if let (Err(failure), Some(holder)) = (&answer, holder) {
            assert_eq!(failure.metadata["resource"], self.codes[holder].stored.name);
        }
        let expected = holder.map_or(Ok(()), |_| Err("CODE_ALREADY_ISSUED"));
        if let Some(answer) = agrees(answer, expected, "issuing a code") {
            let stored = answer.validity_code.unwrap();
            let name = stored.name.clone();
            self.granted
                .push(Granted::Code(Box::new(request.clone()), name));
            self.codes.push(Code {
                student,
                kind,
                request,
                stored,
            });
            self.entries += 1;
        }
    }

    /// The live code of a key.
    pub(super) fn holder(&self, student: usize, kind: pb::DocumentKind) -> Option<usize> {
        self.codes.iter().position(|code| {
            code.student == student && code.kind == kind && is_live(code.stored.state())
        })
    }

    async fn change_code(&mut self) {
        let Some(index) = self.one_of(self.codes.len()) else {
            return;
        };
        let change = self.change();
        let name = self.codes[index].stored.name.clone();
        let peer = &self.university;
        let answer = match change {
            Change::Suspend => {
                let request = pb::SuspendValidityCodeRequest {
                    request_id: request_id(),
                    name,
                    ..Default::default()
                };
                let answer = peer.suspend_validity_code(request).await;
                answer.map(|answer| answer.validity_code)
            }
            Change::Reinstate => {
                let request = pb::ReinstateValidityCodeRequest {
                    request_id: request_id(),
                    name,
                    ..Default::default()
                };
                let answer = peer.reinstate_validity_code(request).await;
                answer.map(|answer| answer.validity_code)
            }
            Change::Revoke => {
                let request = pb::RevokeValidityCodeRequest {
                    request_id: request_id(),
                    name,
                    reason: pb::RevocationReason::DataError.into(),
                    ..Default::default()
                };
                let answer = peer.revoke_validity_code(request).await;
                answer.map(|answer| answer.validity_code)
            }
        };
        let expected = change.of(self.codes[index].stored.state());
        let what = format!("{change:?} of a code");
        if let Some(stored) = agrees(answer, expected.map(drop), &what) {
            self.codes[index].stored = stored.unwrap();
            assert_eq!(Ok(self.codes[index].stored.state()), expected);
            self.entries += 1;
        }
    }

    async fn correct_code(&mut self) {
        let Some(index) = self.one_of(self.codes.len()) else {
            return;
        };
        let wrong = &self.codes[index];
        let (student, kind) = (wrong.student, wrong.kind);
        let to = [pb::DocumentKind::Degree, pb::DocumentKind::Transcript][self.rng.usize(..2)];
        let right = pb::IssueValidityCodeRequest {
            document_kind: to.into(),
            ..wrong.request.clone()
        };
        let request = pb::CorrectValidityCodeRequest {
            etag: String::new(),
            ..correct(&wrong.stored, right.clone())
        };
        let expected = if wrong.stored.state() != D::Active {
            Err(NOT_ALLOWED)
        } else if to != kind && self.holder(student, to).is_some() {
            Err("CODE_ALREADY_ISSUED")
        } else {
            Ok(())
        };
        let answer = self.university.correct_validity_code(request).await;
        if let Some(answer) = agrees(answer, expected, "correcting a code") {
            self.codes[index].stored.set_state(D::Superseded);
            self.codes.push(Code {
                student,
                kind: to,
                request: right,
                stored: answer.validity_code.unwrap(),
            });
            self.entries += 2;
        }
    }

    async fn create_application(&mut self) {
        let student = self.rng.usize(..self.students.len());
        let addressee = self.rng.usize(..ADDRESSEES.len());
        let draft = self.rng.u32(..4) == 0;
        let own: Vec<_> = (0..self.certificates.len())
            .filter(|index| self.certificates[*index].student == student)
            .collect();
        let replaces = match self.rng.u32(..3) {
            0 => self.one_of(own.len()).map(|place| own[place]),
            _ => None,
        };
        let mut request = pb::CreateEnrollmentCertificateApplicationRequest {
            draft,
            addressee: Some(pb::Addressee {
                name_fa: ADDRESSEES[addressee].to_owned(),
                name_en: String::new(),
            }),
            ..apply(&self.students[student].row)
        };
        if let Some(index) = replaces {
            request.r#type = pb::ApplicationType::Duplicate.into();
            request.replaces = self.certificates[index].stored.name.clone();
        }
        let open = self.applications.iter().any(|it| {
            it.student == student
                && it.addressee == addressee
                && it.replaces.is_some() == replaces.is_some()
                && !is_over(it.stored.state())
        });
        let expected = if !self.is_replaceable(replaces) {
            Err(NOT_ALLOWED)
        } else if open {
            Err("OPEN_APPLICATION_EXISTS")
        } else {
            Ok(())
        };
        let answer = self
            .window
            .create_enrollment_certificate_application(request.clone())
            .await;
        let Some(answer) = agrees(answer, expected, "applying") else {
            return;
        };
        let stored = answer.application.unwrap();
        let confirmed = self.students[student].confirms(false);
        let (state, entries) = match (draft, confirmed) {
            (true, _) => (S::Draft, 1),
            (false, true) => (S::OrganizationReview, 3),
            (false, false) => (S::UniversityReview, 2),
        };
        assert_eq!(stored.state(), state);
        self.entries += entries;
        let name = stored.name.clone();
        self.granted
            .push(Granted::Application(Box::new(request), name));
        self.applications.push(Application {
            student,
            addressee,
            replaces,
            expert: None,
            stored,
        });
    }

    /// The certificate to be replaced, if there is one, is active.
    fn is_replaceable(&self, replaces: Option<usize>) -> bool {
        replaces.is_none_or(|index| self.certificates[index].stored.state() == D::Active)
    }

    async fn update_application(&mut self) {
        let Some(index) = self.one_of(self.applications.len()) else {
            return;
        };
        let application = &self.applications[index];
        let mut request = pb::UpdateEnrollmentCertificateApplicationRequest {
            etag: String::new(),
            ..update(&application.stored)
        };
        let name = request.subject.as_mut().unwrap().name.as_mut().unwrap();
        let own = self.students[application.student].row.subject.as_ref();
        let own = own.unwrap().name.as_ref().unwrap().given_name_fa.clone();
        name.given_name_fa = if self.rng.bool() {
            own
        } else {
            "دیگرنام".to_owned()
        };
        let state = application.stored.state();
        let expected = match state {
            S::Draft | S::Returned => Ok(()),
            _ => Err(NOT_ALLOWED),
        };
        let answer = self
            .window
            .update_enrollment_certificate_application(request)
            .await;
        if let Some(answer) = agrees(answer, expected, "updating") {
            self.applications[index].stored = answer.application.unwrap();
            assert_eq!(self.applications[index].stored.state(), state);
            self.entries += 1;
        }
    }

    async fn submit_application(&mut self) {
        let Some(index) = self.one_of(self.applications.len()) else {
            return;
        };
        let application = &self.applications[index];
        let expected = match application.stored.state() {
            S::Draft | S::Returned if self.is_replaceable(application.replaces) => Ok(()),
            _ => Err(NOT_ALLOWED),
        };
        let student = &self.students[application.student];
        let confirmed = student.confirms(application.under_other_name());
        let request = submit(&application.stored);
        let answer = self
            .window
            .submit_enrollment_certificate_application(request)
            .await;
        if let Some(answer) = agrees(answer, expected, "handing in") {
            self.applications[index].stored = answer.application.unwrap();
            let (state, entries) = if confirmed {
                (S::OrganizationReview, 3)
            } else {
                (S::UniversityReview, 2)
            };
            assert_eq!(self.applications[index].stored.state(), state);
            self.entries += entries;
        }
    }

    async fn cancel_application(&mut self) {
        let Some(index) = self.one_of(self.applications.len()) else {
            return;
        };
        let application = &self.applications[index];
        let expected = if is_over(application.stored.state()) {
            Err(NOT_ALLOWED)
        } else {
            Ok(())
        };
        let request = cancel(&application.stored);
        let answer = self
            .window
            .cancel_enrollment_certificate_application(request)
            .await;
        if let Some(answer) = agrees(answer, expected, "cancelling") {
            self.applications[index].stored = answer.application.unwrap();
            assert_eq!(self.applications[index].stored.state(), S::Cancelled);
            self.entries += 1;
        }
    }

    /// An application in `states` two times in three, any other one else.
    fn application_in(&mut self, states: &[S]) -> Option<usize> {
        let fitting: Vec<_> = (0..self.applications.len())
            .filter(|index| states.contains(&self.applications[*index].stored.state()))
            .collect();
        match self.rng.u32(..3) {
            0 => self.one_of(self.applications.len()),
            _ => self.one_of(fitting.len()).map(|place| fitting[place]),
        }
    }

    async fn decide_for_university(&mut self) {
        use pb::UniversityDecision::{Confirm, Reject, Return};
        let states = [S::UniversityReview, S::ReturnedToUniversity];
        let Some(index) = self.application_in(&states) else {
            return;
        };
        let decision = [Confirm, Confirm, Confirm, Return, Reject][self.rng.usize(..5)];
        let application = &self.applications[index];
        let (student, state) = (application.student, application.stored.state());
        let mut request = university_decision(&application.stored, decision);
        let stale = self.rng.u32(..20) == 0;
        let itself = self.rng.u32(..20) == 0;
        if stale {
            request.etag = "0".to_owned();
        }
        if itself {
            let own = application.stored.subject.clone().unwrap().person_id;
            request.decider.as_mut().unwrap().person_id = own;
        }
        let expected = if itself {
            Err("SAME_PERSON_CANNOT_DECIDE")
        } else if stale {
            Err("ETAG_MISMATCH")
        } else if !states.contains(&state) {
            Err(NOT_ALLOWED)
        } else if decision != Confirm {
            Ok(())
        } else if !self.is_replaceable(application.replaces) {
            Err(NOT_ALLOWED)
        } else {
            self.students[student].obstacle(application.under_other_name())
        };
        let person = request.decider.as_ref().unwrap().person_id.clone();
        let answer = self.university.record_university_decision(request).await;
        if let Some(answer) = agrees(answer, expected, "a university's decision") {
            let application = &mut self.applications[index];
            application.stored = answer.application.unwrap();
            application.expert = person;
            let (after, entries) = match decision {
                Confirm => (S::OrganizationReview, 2),
                Return => (S::Returned, 1),
                _ => (S::UniversityRejected, 1),
            };
            assert_eq!(application.stored.state(), after);
            self.entries += entries + i64::from(state == S::ReturnedToUniversity);
        }
    }

    async fn decide_for_organization(&mut self) {
        use pb::OrganizationDecision::{Approve, Reject, ReturnToUniversity};
        let Some(index) = self.application_in(&[S::OrganizationReview]) else {
            return;
        };
        let decision = [Approve, Approve, Approve, ReturnToUniversity, Reject];
        let decision = decision[self.rng.usize(..5)];
        let application = &self.applications[index];
        let (student, replaces) = (application.student, application.replaces);
        let mut request = organization_decision(&application.stored, decision);
        let expert = application
            .expert
            .clone()
            .filter(|_| self.rng.u32(..20) == 0);
        let same = expert.is_some();
        if same {
            request.decider.as_mut().unwrap().person_id = expert;
        }
        let expected = if same {
            Err("SAME_PERSON_CANNOT_DECIDE")
        } else if application.stored.state() != S::OrganizationReview {
            Err(NOT_ALLOWED)
        } else if decision != Approve {
            Ok(())
        } else if !self.is_replaceable(replaces) {
            Err(NOT_ALLOWED)
        } else {
            self.students[student].obstacle(application.under_other_name())
        };
        let answer = self
            .organization
            .record_organization_decision(request)
            .await;
        let Some(answer) = agrees(answer, expected, "the Organization's decision") else {
            return;
        };
        let stored = answer.application.unwrap();
        let after = match decision {
            Approve => S::Issued,
            ReturnToUniversity => S::ReturnedToUniversity,
            _ => S::OrganizationRejected,
        };
        assert_eq!(stored.state(), after);
        self.entries += 1;
        if decision == Approve {
            self.entries += 2;
            let name = stored.enrollment_certificate.clone();
            self.certificate_issued(student, replaces, &name).await;
        }
        self.applications[index].stored = stored;
    }

    /// A new certificate, perhaps in place of an old one.
    async fn certificate_issued(&mut self, student: usize, replaces: Option<usize>, name: &str) {
        if let Some(index) = replaces {
            self.certificates[index].stored.set_state(D::Superseded);
            self.entries += 1;
        }
        let request = pb::GetEnrollmentCertificateRequest {
            name: name.to_owned(),
            subject_claim: None,
        };
        let read = self.organization.get_enrollment_certificate(request).await;
        let stored = read.unwrap().enrollment_certificate.unwrap();
        self.certificates.push(Certificate { student, stored });
    }

    async fn change_certificate(&mut self) {
        let Some(index) = self.one_of(self.certificates.len()) else {
            return;
        };
        let change = self.change();
        let name = self.certificates[index].stored.name.clone();
        let peer = &self.organization;
        let answer = match change {
            Change::Suspend => {
                let request = pb::SuspendEnrollmentCertificateRequest {
                    request_id: request_id(),
                    name,
                    ..Default::default()
                };
                let answer = peer.suspend_enrollment_certificate(request).await;
                answer.map(|answer| answer.enrollment_certificate)
            }
            Change::Reinstate => {
                let request = pb::ReinstateEnrollmentCertificateRequest {
                    request_id: request_id(),
                    name,
                    ..Default::default()
                };
                let answer = peer.reinstate_enrollment_certificate(request).await;
                answer.map(|answer| answer.enrollment_certificate)
            }
            Change::Revoke => {
                let request = pb::RevokeEnrollmentCertificateRequest {
                    request_id: request_id(),
                    name,
                    reason: pb::RevocationReason::Fraud.into(),
                    ..Default::default()
                };
                let answer = peer.revoke_enrollment_certificate(request).await;
                answer.map(|answer| answer.enrollment_certificate)
            }
        };
        let expected = change.of(self.certificates[index].stored.state());
        let what = format!("{change:?} of a certificate");
        if let Some(stored) = agrees(answer, expected.map(drop), &what) {
            self.certificates[index].stored = stored.unwrap();
            assert_eq!(Ok(self.certificates[index].stored.state()), expected);
            self.entries += 1;
        }
    }

    async fn correct_certificate(&mut self) {
        let Some(index) = self.one_of(self.certificates.len()) else {
            return;
        };
        let student = self.certificates[index].student;
        // The name on record is the right one, whatever it is.
        let other_name = self.students[student].on_record.as_ref();
        let other_name = other_name.is_some_and(|record| record.other_name);
        let expected = if self.certificates[index].stored.state() == D::Active {
            self.students[student].obstacle(other_name)
        } else {
            Err(NOT_ALLOWED)
        };
        let request = pb::CorrectEnrollmentCertificateRequest {
            request_id: request_id(),
            name: self.certificates[index].stored.name.clone(),
            ..Default::default()
        };
        let answer = self
            .organization
            .correct_enrollment_certificate(request)
            .await;
        if let Some(answer) = agrees(answer, expected, "correcting a certificate") {
            let name = answer.enrollment_certificate.unwrap().name;
            self.entries += 2;
            self.certificate_issued(student, Some(index), &name).await;
        }
    }

    /// Another university finds nothing of this one's.
    async fn stranger(&mut self) {
        if let Some(index) = self.one_of(self.codes.len()) {
            let request = pb::GetValidityCodeRequest {
                name: self.codes[index].stored.name.clone(),
            };
            let answer = self.stranger.get_validity_code(request).await;
            agrees(answer, Err("RESOURCE_NOT_FOUND"), "a stranger's reading");
        }
        if let Some(index) = self.one_of(self.applications.len()) {
            let application = &self.applications[index];
            let mut request =
                university_decision(&application.stored, pb::UniversityDecision::Reject);
            let other = gavah_testkit::world::OTHER_UNIVERSITY;
            request.decider = decider(crate::stages::expert(other));
            let answer = self.stranger.record_university_decision(request).await;
            agrees(answer, Err("RESOURCE_NOT_FOUND"), "a stranger's decision");
            let stored = read(&self.organization, &application.stored).await;
            assert_eq!(stored.state(), application.stored.state());
        }
    }

    /// A granted write sent again gets the same answer; another body under its request_id is refused.
    async fn send_again(&mut self) {
        let Some(index) = self.one_of(self.granted.len()) else {
            return;
        };
        let other = self.rng.bool();
        let expected = if other {
            Err("REQUEST_ID_REUSED")
        } else {
            Ok(())
        };
        match &self.granted[index] {
            Granted::Code(request, name) => {
                let mut request = (**request).clone();
                if other {
                    request.external_ref.push('2');
                }
                let answer = self.university.issue_validity_code(request).await;
                if let Some(answer) = agrees(answer, expected, "a code again") {
                    assert_eq!(answer.validity_code.unwrap().name, *name);
                }
            }
            Granted::Application(request, name) => {
                let mut request = (**request).clone();
                if other {
                    request.window_reference.push('2');
                }
                let answer = self
                    .window
                    .create_enrollment_certificate_application(request)
                    .await;
                if let Some(answer) = agrees(answer, expected, "an application again") {
                    assert_eq!(answer.application.unwrap().name, *name);
                }
            }
        }
    }
}
