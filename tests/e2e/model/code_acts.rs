//! What is done to applications for validity codes.

use gavah_api::v1 as pb;
use gavah_testkit::world::UNIVERSITY;

use super::people::{Code, CodeApplication};
use super::{Model, agrees};
use crate::code_stages::{by_expert, cancel, code_of, create, resubmit};
use crate::messages::{issue, request_id};
use pb::CodeApplicationState as S;

const NOT_ALLOWED: &str = "STATE_TRANSITION_NOT_ALLOWED";
const ISSUED: &str = "CODE_ALREADY_ISSUED";

/// What is done to an application.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Confirm,
    Return,
    Reject,
    Cancel,
    Resubmit,
}

impl Deed {
    /// The state that it leads to.
    fn of(self, state: S) -> Result<S, &'static str> {
        match (self, state) {
            (Self::Confirm, S::Validated) => Ok(S::Issued),
            (Self::Return, S::Validated) => Ok(S::Returned),
            (Self::Reject, S::Validated) => Ok(S::Rejected),
            (Self::Cancel, S::Validated | S::Returned) => Ok(S::Cancelled),
            (Self::Resubmit, S::Returned) => Ok(S::Validated),
            _ => Err(NOT_ALLOWED),
        }
    }

    /// Audit entries that it makes: one for each state, and one for a code.
    fn entries(self) -> i64 {
        match self {
            Self::Confirm => 4,
            Self::Resubmit => 2,
            Self::Return | Self::Reject | Self::Cancel => 1,
        }
    }
}

impl Model<'_> {
    pub(super) async fn create_code_application(&mut self) {
        let student = self.rng.usize(..self.students.len());
        let kind = [pb::DocumentKind::Degree, pb::DocumentKind::Transcript][self.rng.usize(..2)];
        let row = &self.students[student].row;
        let request = pb::IssueValidityCodeRequest {
            subject: row.subject.clone(),
            program: row.program.clone(),
            document_kind: kind.into(),
            ..issue(self.world, UNIVERSITY)
        };
        let open = self.code_applications.iter().any(|it| {
            let open = matches!(it.stored.state(), S::Validated | S::Returned);
            it.student == student && it.kind == kind && open
        });
        let expected = if self.holder(student, kind).is_some() {
            Err(ISSUED)
        } else if open {
            Err("OPEN_APPLICATION_EXISTS")
        } else {
            Ok(())
        };
        let asked = pb::CreateValidityCodeApplicationRequest {
            code: Some(code_of(request.clone())),
            ..create(self.world)
        };
        let answer = self
            .university
            .create_validity_code_application(asked)
            .await;
        if let Some(answer) = agrees(answer, expected, "applying for a code") {
            let stored = answer.application.unwrap();
            assert_eq!(stored.state(), S::Validated);
            self.entries += 2;
            self.code_applications.push(CodeApplication {
                student,
                kind,
                request,
                stored,
            });
        }
    }

    pub(super) async fn act_on_code_application(&mut self) {
        let Some(index) = self.one_of(self.code_applications.len()) else {
            return;
        };
        let deed = [
            Deed::Confirm,
            Deed::Confirm,
            Deed::Return,
            Deed::Reject,
            Deed::Cancel,
            Deed::Resubmit,
            Deed::Resubmit,
        ][self.rng.usize(..7)];
        let application = &self.code_applications[index];
        let (student, kind) = (application.student, application.kind);
        let to = deed.of(application.stored.state());
        let looks = matches!(deed, Deed::Confirm | Deed::Resubmit);
        let expected = match to {
            Ok(_) if looks && self.holder(student, kind).is_some() => Err(ISSUED),
            to => to.map(drop),
        };
        let stored = &application.stored;
        let (answer, code) = match deed {
            Deed::Confirm | Deed::Return | Deed::Reject => {
                let decision = match deed {
                    Deed::Confirm => pb::ExpertDecision::Confirm,
                    Deed::Return => pb::ExpertDecision::Return,
                    _ => pb::ExpertDecision::Reject,
                };
                let request = by_expert(stored, decision);
                match self.university.record_expert_decision(request).await {
                    Ok(answer) => (Ok(answer.application), answer.validity_code),
                    Err(failure) => (Err(failure), None),
                }
            }
            Deed::Cancel => {
                let request = cancel(stored);
                let answer = self.university.cancel_validity_code_application(request);
                (answer.await.map(|answer| answer.application), None)
            }
            Deed::Resubmit => {
                let request = resubmit(stored, code_of(application.request.clone()));
                let answer = self.university.resubmit_validity_code_application(request);
                (answer.await.map(|answer| answer.application), None)
            }
        };
        let what = format!("{deed:?} of an application for a code");
        let Some(answer) = agrees(answer, expected, &what) else {
            return;
        };
        let application = &mut self.code_applications[index];
        application.stored = answer.unwrap();
        assert_eq!(Ok(application.stored.state()), to, "{what}");
        self.entries += deed.entries();
        assert_eq!(code.is_some(), to == Ok(S::Issued));
        if let Some(stored) = code {
            assert_eq!(application.stored.validity_code, stored.name);
            let request = pb::IssueValidityCodeRequest {
                request_id: request_id(),
                ..application.request.clone()
            };
            self.codes.push(Code {
                student,
                kind,
                request,
                stored,
            });
        }
    }
}
