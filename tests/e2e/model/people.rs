//! What the model holds.

use gavah_api::v1 as pb;
use gavah_testkit::world::{UNIVERSITY, World};

use crate::messages::{instant, record};

/// A student, and what is on record.
pub(super) struct Student {
    pub(super) row: pb::EnrollmentRecord,
    pub(super) on_record: Option<OnRecord>,
}

/// What of a record decides.
#[derive(Clone)]
pub(super) struct OnRecord {
    pub(super) studying: bool,
    pub(super) blocked: bool,
    pub(super) other_name: bool,
    /// Hours before the walk's instant that it is true as of.
    pub(super) age: i64,
}

pub(super) struct Code {
    pub(super) student: usize,
    pub(super) kind: pb::DocumentKind,
    pub(super) request: pb::IssueValidityCodeRequest,
    pub(super) stored: pb::ValidityCode,
}

pub(super) struct Application {
    pub(super) student: usize,
    pub(super) addressee: usize,
    /// The certificate to duplicate.
    pub(super) replaces: Option<usize>,
    /// Who decided for the institution, if anybody did.
    pub(super) expert: Option<pb::PersonId>,
    pub(super) stored: pb::EnrollmentCertificateApplication,
}

pub(super) struct CodeApplication {
    pub(super) student: usize,
    pub(super) kind: pb::DocumentKind,
    /// What it asks for, as one call would.
    pub(super) request: pb::IssueValidityCodeRequest,
    pub(super) stored: pb::ValidityCodeApplication,
}

pub(super) struct Certificate {
    pub(super) student: usize,
    pub(super) stored: pb::EnrollmentCertificate,
}

/// Addressees, so that an application can be made twice.
pub(super) const ADDRESSEES: [&str; 2] = ["سفارت یکم", "سفارت دوم"];

pub(super) fn is_live(state: pb::DocumentState) -> bool {
    matches!(
        state,
        pb::DocumentState::Active | pb::DocumentState::Suspended
    )
}

pub(super) fn is_over(state: pb::ApplicationState) -> bool {
    use pb::ApplicationState as S;
    matches!(
        state,
        S::Issued | S::Cancelled | S::UniversityRejected | S::OrganizationRejected
    )
}

impl Student {
    pub(super) fn new(world: &World) -> Self {
        Self {
            row: record(world, UNIVERSITY),
            on_record: None,
        }
    }

    /// The record as the institution would send it.
    pub(super) fn record(&self, world: &World, told: &OnRecord) -> pb::EnrollmentRecord {
        let hours = jiff::SignedDuration::from_hours(told.age);
        let mut row = pb::EnrollmentRecord {
            as_of_time: Some(instant(world.now() - hours)),
            ..self.row.clone()
        };
        if !told.studying {
            row.status = pb::EnrollmentStatus::OnLeave.into();
        }
        if told.blocked {
            row.blocks = vec![pb::BlockKind::Financial.into()];
        }
        if told.other_name {
            let name = row.subject.as_mut().unwrap().name.as_mut().unwrap();
            name.given_name_fa = "دیگرنام".to_owned();
        }
        row
    }

    /// Why the record does not let a certificate be issued, however old it is.
    pub(super) fn obstacle(&self, asked_under_other_name: bool) -> Result<(), &'static str> {
        let record = self.on_record.as_ref();
        let record = record.ok_or("ENROLLMENT_RECORD_NOT_FOUND")?;
        if !record.studying {
            return Err("ENROLLMENT_NOT_ACTIVE");
        }
        if record.blocked {
            return Err("RELEASE_BLOCKED");
        }
        if record.other_name != asked_under_other_name {
            return Err("SUBJECT_MISMATCH");
        }
        Ok(())
    }

    /// Whether the record alone confirms an application.
    pub(super) fn confirms(&self, asked_under_other_name: bool) -> bool {
        let fresh = self.on_record.as_ref().is_some_and(|it| it.age < 24);
        fresh && self.obstacle(asked_under_other_name).is_ok()
    }
}

impl Application {
    /// Whether it bears the other name.
    pub(super) fn under_other_name(&self) -> bool {
        let subject = self.stored.subject.as_ref();
        let name = subject.and_then(|subject| subject.name.as_ref());
        name.is_some_and(|name| name.given_name_fa == "دیگرنام")
    }
}
