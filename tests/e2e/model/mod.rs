//! Random actors against a model of the state machines: whatever they do, and in whatever order, each answer is the
//! model's, and after every step the invariants hold.
//!
//! `GAVAH_MODEL_SEED` and `GAVAH_MODEL_STEPS` repeat a walk that failed, or walk on elsewhere.

mod acts;
mod code_acts;
mod people;

use std::collections::HashSet;

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, World};

use crate::code_stages::offered;
use crate::messages::question;
use crate::peer::{Answer, Peer};
use crate::raw::Raw;
use crate::stages::reviewed;
use crate::verdicts::verdict;
use people::{Application, Certificate, Code, CodeApplication, Student};

cases! {
    the_service_and_its_model_agree_on_the_first_walk,
    the_service_and_its_model_agree_on_the_second_walk,
    the_service_and_its_model_agree_on_the_third_walk,
    the_service_and_its_model_agree_on_the_fourth_walk,
}

/// Steps of one walk: four walks have 10,000.
const STEPS: usize = 2_500;

async fn the_service_and_its_model_agree_on_the_first_walk(world: &mut World) {
    walk(world, 1).await;
}

async fn the_service_and_its_model_agree_on_the_second_walk(world: &mut World) {
    walk(world, 2).await;
}

async fn the_service_and_its_model_agree_on_the_third_walk(world: &mut World) {
    walk(world, 3).await;
}

async fn the_service_and_its_model_agree_on_the_fourth_walk(world: &mut World) {
    walk(world, 4).await;
}

fn of_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

async fn walk(world: &mut World, number: u64) {
    let seed = of_environment("GAVAH_MODEL_SEED").unwrap_or(number);
    let steps = of_environment("GAVAH_MODEL_STEPS").unwrap_or(STEPS);
    reviewed(world).await;
    offered(world, None).await;
    let mut model = Model::new(world, seed).await;
    let mut place = Place { seed, step: 0 };
    for step in 0..steps {
        place.step = step;
        model.step().await;
        model.assert_invariants(step % 100 == 0).await;
    }
    if steps >= STEPS {
        model.assert_went_everywhere();
    }
}

/// Where a walk is; told when it fails.
struct Place {
    seed: u64,
    step: usize,
}

impl Drop for Place {
    #[expect(clippy::print_stderr, reason = "it is how the walk can be repeated")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "GAVAH_MODEL_SEED={} failed in step {}",
                self.seed, self.step
            );
        }
    }
}

/// What the service should hold, and the callers who act on it.
struct Model<'w> {
    world: &'w World,
    rng: fastrand::Rng,
    raw: Raw,
    window: Peer,
    university: Peer,
    stranger: Peer,
    organization: Peer,
    hub: Peer,
    students: Vec<Student>,
    codes: Vec<Code>,
    applications: Vec<Application>,
    code_applications: Vec<CodeApplication>,
    certificates: Vec<Certificate>,
    /// Writes that were granted, with what they were answered with, to be sent again.
    granted: Vec<Granted>,
    /// Audit entries there must be.
    entries: i64,
}

/// A write that was granted, and the resource it stands for.
enum Granted {
    Code(Box<pb::IssueValidityCodeRequest>, String),
    Application(
        Box<pb::CreateEnrollmentCertificateApplicationRequest>,
        String,
    ),
}

impl<'w> Model<'w> {
    async fn new(world: &'w World, seed: u64) -> Self {
        let mut raw = Raw::to(world).await;
        Self {
            world,
            rng: fastrand::Rng::with_seed(seed),
            window: Peer::of(world, CallerKind::Window).await,
            university: Peer::of(world, CallerKind::University).await,
            stranger: Peer::of(world, CallerKind::OtherUniversity).await,
            organization: Peer::of(world, CallerKind::Organization).await,
            hub: Peer::of(world, CallerKind::Hub).await,
            students: (0..8).map(|_| Student::new(world)).collect(),
            codes: Vec::new(),
            applications: Vec::new(),
            code_applications: Vec::new(),
            certificates: Vec::new(),
            granted: Vec::new(),
            entries: raw.number(ENTRIES).await,
            raw,
        }
    }

    fn one_of(&mut self, many: usize) -> Option<usize> {
        (many > 0).then(|| self.rng.usize(..many))
    }

    /// A walk that is long enough has come to every state that there is without a payment.
    fn assert_went_everywhere(&self) {
        use pb::ApplicationState as S;
        use pb::DocumentState as D;
        let applications = self.applications.iter().map(|it| it.stored.state());
        let seen: HashSet<_> = applications.collect();
        for state in [
            S::Issued,
            S::Cancelled,
            S::UniversityRejected,
            S::OrganizationRejected,
        ] {
            assert!(seen.contains(&state), "no application is {state:?}");
        }
        let histories = self.applications.iter().map(|it| &it.stored.history);
        let passed: HashSet<_> = histories.flatten().map(pb::StateChange::state).collect();
        assert!(passed.contains(&S::Returned) && passed.contains(&S::ReturnedToUniversity));
        use pb::CodeApplicationState as C;
        let applications = self.code_applications.iter().map(|it| it.stored.state());
        let seen: HashSet<_> = applications.collect();
        for state in [C::Issued, C::Cancelled, C::Rejected] {
            assert!(
                seen.contains(&state),
                "no application for a code is {state:?}"
            );
        }
        let codes: HashSet<_> = self.codes.iter().map(|it| it.stored.state()).collect();
        let certificates = self.certificates.iter().map(|it| it.stored.state());
        let certificates: HashSet<_> = certificates.collect();
        for state in [D::Superseded, D::Revoked] {
            assert!(codes.contains(&state), "no code is {state:?}");
            assert!(certificates.contains(&state), "no certificate is {state:?}");
        }
    }

    /// What the service holds is what the model holds: entries and events one for each change of a state, nothing issued
    /// twice or half, and a document's verdict; `thoroughly` every document's.
    async fn assert_invariants(&mut self, thoroughly: bool) {
        assert_eq!(self.raw.number(ENTRIES).await, self.entries, "entries");
        assert_eq!(self.raw.number(BROKEN).await, 0, "an invariant is broken");
        let documents: Vec<_> = if thoroughly {
            (0..self.codes.len() + self.certificates.len()).collect()
        } else {
            self.one_of(self.codes.len() + self.certificates.len())
                .into_iter()
                .collect()
        };
        for index in documents {
            let (code, state) = match self.codes.get(index) {
                Some(code) => (&code.stored.code, code.stored.state()),
                None => {
                    let certificate = &self.certificates[index - self.codes.len()];
                    (&certificate.stored.code, certificate.stored.state())
                }
            };
            let told = verdict(&self.hub, question(code)).await;
            assert_eq!(told.reason(), reason_of(state), "document {index}");
        }
    }
}

fn reason_of(state: pb::DocumentState) -> pb::VerdictReason {
    match state {
        pb::DocumentState::Active => pb::VerdictReason::Ok,
        pb::DocumentState::Suspended => pb::VerdictReason::Suspended,
        pb::DocumentState::Superseded => pb::VerdictReason::Superseded,
        pb::DocumentState::Revoked => pb::VerdictReason::Revoked,
        pb::DocumentState::Unspecified => panic!("a document has a state"),
    }
}

const ENTRIES: &str = "SELECT count(*) FROM audit_entry";

/// Rows that must not be: entries without an event, keys of what is not live, a live document that is superseded or one
/// superseded by nothing, an application that is issued without a signed certificate or the other way round, one that is
/// over and still holds its key, histories that end in another state than the application's, and the same of applications
/// for codes.
const BROKEN: &str = "SELECT \
    (SELECT count(*) FROM audit_entry) - (SELECT count(*) FROM change_event) \
    + (SELECT count(*) FROM validity_code \
       WHERE (live_key IS NOT NULL) <> (state IN ('ACTIVE', 'SUSPENDED'))) \
    + (SELECT count(*) FROM validity_code \
       WHERE (superseded_by IS NOT NULL) <> (state = 'SUPERSEDED')) \
    + (SELECT count(*) FROM enrollment_certificate \
       WHERE (superseded_by IS NOT NULL) <> (state = 'SUPERSEDED')) \
    + (SELECT count(*) FROM enrollment_certificate old JOIN enrollment_certificate new \
       ON old.superseded_by = new.id WHERE new.supersedes <> old.id OR new.supersedes IS NULL) \
    + (SELECT count(*) FROM certificate_application application \
       LEFT JOIN enrollment_certificate certificate ON certificate.id = application.certificate_id \
       WHERE (application.state = 'ISSUED') \
       <> coalesce(certificate.signed_document IS NOT NULL, false)) \
    + (SELECT count(*) FROM certificate_application WHERE (open_key IS NULL) <> (state IN \
       ('ISSUED', 'CANCELLED', 'UNIVERSITY_REJECTED', 'ORGANIZATION_REJECTED'))) \
    + (SELECT count(*) FROM certificate_application application WHERE state <> \
       (SELECT step.state FROM application_step step WHERE step.application_id = application.id \
        ORDER BY step.step DESC LIMIT 1)) \
    + (SELECT count(*) FROM code_application WHERE (open_key IS NULL) <> (state IN \
       ('ISSUED', 'CANCELLED', 'REJECTED'))) \
    + (SELECT count(*) FROM code_application WHERE (code_id IS NOT NULL) <> (state = 'ISSUED'))";

/// The reason of a refusal; none when it was granted.
fn reason<T>(answer: &Answer<T>) -> Option<String> {
    let failure = answer.as_ref().err()?;
    Some(
        failure
            .reason
            .clone()
            .unwrap_or_else(|| failure.to_string()),
    )
}

/// The service grants and refuses what the model does, for the same reason.
#[track_caller]
fn agrees<T>(answer: Answer<T>, expected: Result<(), &'static str>, what: &str) -> Option<T> {
    let told = reason(&answer);
    assert_eq!(told.as_deref(), expected.err(), "{what}");
    answer.ok()
}
