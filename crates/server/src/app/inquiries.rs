//! What is on record of a person: asked under an agreement, within budgets, each inquiry on record.

use std::sync::Arc;
use std::time::Duration;

use gavah_domain::agreement::{AgreementField, AgreementPurpose};
use gavah_domain::disclosure::{AskingPurpose, Told, disclosed};
use gavah_domain::institution::Institution;
use gavah_domain::verdict::{Verdict, verdict_at};
use gavah_domain::{PersonId, Reason};
use gavah_store::{Act, ActContext, Covered, StoreError, StoredCode, StoredRecord, agreement_name};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::mandate::{Mandate, mandate};
use super::quotas::Counted;
use super::validate::document_of_code;
use super::{App, actor};
use crate::call::Acting;
use crate::error::{AppError, Refusal};

/// How old a statement of coverage gets at least before another one is made.
const COVERAGE_AGE: Duration = Duration::from_secs(60);

/// A statement that took long to make, because there is much on record, is told for so many times as long.
const RESTS: u32 = 20;

/// How often it is seen whether a statement is old, and how long to wait at least after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What an answer can know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The institutions with anything on record.
    pub institutions: Vec<Covered>,
    /// Instant of the statement.
    pub as_of: Timestamp,
}

/// The statements of coverage that were made last. To make one everything on record is read, which no inquiry waits for but
/// the first: each is made in the background, from the first time that it is asked for, and told until the next one is there.
#[derive(Debug, Default)]
pub struct Coverages {
    records: Statement,
    codes: Statement,
}

impl Coverages {
    /// Makes the statements, for ever.
    pub(crate) async fn keep(&self, app: &App) {
        tokio::join!(
            self.records.keep(app, OnRecord::Records),
            self.codes.keep(app, OnRecord::Codes)
        );
    }
}

/// What a statement is about.
#[derive(Debug, Clone, Copy)]
enum OnRecord {
    Records,
    Codes,
}

impl OnRecord {
    async fn covered(self, app: &App) -> Result<Coverage, StoreError> {
        let as_of = app.clock.now();
        let institutions = match self {
            Self::Records => app.store.records_covered().await?,
            Self::Codes => app.store.codes_covered().await?,
        };
        Ok(Coverage {
            institutions,
            as_of,
        })
    }
}

#[derive(Debug, Default)]
struct Statement {
    wanted: Notify,
    made: watch::Sender<Made>,
}

/// What came of making a statement.
#[derive(Debug, Default)]
struct Made {
    last: Option<Arc<Coverage>>,
    failure: Option<StoreError>,
}

impl Statement {
    /// The last statement; where none was ever made, the one that is made next.
    async fn told(&self, deadline: Instant) -> Result<Arc<Coverage>, StoreError> {
        let mut made = self.made.subscribe();
        if let Some(last) = &made.borrow().last {
            return Ok(Arc::clone(last));
        }
        self.wanted.notify_one();
        match timeout_at(deadline, made.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(StoreError::Unavailable),
            Err(_) => return Err(StoreError::Timeout),
        }
        let Made { last, failure } = &*made.borrow();
        let failed = || failure.clone().unwrap_or(StoreError::Unavailable);
        last.clone().ok_or_else(failed)
    }

    async fn keep(&self, app: &App, what: OnRecord) {
        self.wanted.notified().await;
        loop {
            let begun = Instant::now();
            let made = what.covered(app).await;
            let took = begun.elapsed();
            match made {
                Ok(coverage) => {
                    let age = COVERAGE_AGE.max(took.saturating_mul(RESTS));
                    let as_of = coverage.as_of;
                    self.made.send_modify(|made| {
                        made.last = Some(Arc::new(coverage));
                        made.failure = None;
                    });
                    // By the service's clock: that of a sandbox may go ahead.
                    while app.clock.now().duration_since(as_of).unsigned_abs() < age {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, ?what, "the coverage of inquiries could not be stated");
                    self.made.send_modify(|made| made.failure = Some(error));
                    tokio::time::sleep(LOOK_EVERY.max(took)).await;
                }
            }
        }
    }
}

/// A validity code of the person, with what may be told of it.
#[derive(Debug)]
pub struct CodeFound {
    /// The code.
    pub stored: StoredCode,
    /// What a verdict on it would be.
    pub verdict: Verdict,
    /// What may be told.
    pub told: Told,
}

/// An enrollment of the person, with what may be told of it.
#[derive(Debug)]
pub struct EnrollmentFound {
    /// The record.
    pub stored: StoredRecord,
    /// What may be told of institution and programme.
    pub told: Told,
}

/// The validity codes on record of a person, and what the answer can know of.
///
/// # Errors
///
/// As [`mandate`]; FIELD_NOT_DISCLOSABLE when the agreements do not disclose what is asked for; NEGATIVE_LOOKUPS when the budget of persons is used up; [`AppError::Store`].
pub async fn codes(
    app: &App,
    call: &Acting,
    person: &PersonId,
) -> Result<(Vec<CodeFound>, Arc<Coverage>), AppError> {
    let now = app.clock.now();
    let mandate = begin(app, call, person, AgreementField::Document, now)?;
    let found = app.store_for(call).codes_of_person(&person.key()).await?;
    let coverage = app.coverages.codes.told(call.deadline).await?;
    note(app, call, &mandate, person, "INQUIRE_CODES", now).await?;
    let told = mandate.narrow(disclosed(
        call.caller.class,
        false,
        AskingPurpose::DocumentCheck,
    ));
    let found = found.into_iter().map(|stored| {
        let document = document_of_code(call, &stored);
        CodeFound {
            verdict: verdict_at(&stored.code, Some(&document), Some(person), now),
            stored,
            told,
        }
    });
    Ok((found.collect(), coverage))
}

/// The enrollments on record of a person, and what the answer can know of.
///
/// # Errors
///
/// As [`codes`].
pub async fn enrollments(
    app: &App,
    call: &Acting,
    person: &PersonId,
) -> Result<(Vec<EnrollmentFound>, Arc<Coverage>), AppError> {
    let now = app.clock.now();
    let mandate = begin(app, call, person, AgreementField::Enrollment, now)?;
    let found = app.store_for(call).records_of_person(&person.key()).await?;
    let coverage = app.coverages.records.told(call.deadline).await?;
    note(app, call, &mandate, person, "INQUIRE_ENROLLMENT", now).await?;
    let told = mandate.narrow(disclosed(
        call.caller.class,
        false,
        AskingPurpose::DocumentCheck,
    ));
    let found = found
        .into_iter()
        .map(|stored| EnrollmentFound { stored, told });
    Ok((found.collect(), coverage))
}

/// The institution of what was found, for its names.
#[must_use]
pub fn institution_of<'a>(call: &'a Acting, code: &str) -> Option<&'a Institution> {
    let stored = call.snapshot.institution(code);
    stored.map(|stored| &stored.institution)
}

fn begin<'a>(
    app: &App,
    call: &'a Acting,
    person: &PersonId,
    needed: AgreementField,
    now: Timestamp,
) -> Result<Mandate<'a>, AppError> {
    let counted = Counted::Call(1);
    let mandate = mandate(app, call, AgreementPurpose::Inquire, counted, now)?;
    // That there is something on record is told by its being listed.
    let mut agreements = mandate.agreements();
    if !agreements.all(|agreement| agreement.fields.contains(&needed)) {
        return Err(Refusal::new(Reason::FieldNotDisclosable)
            .with("field", needed.as_str())
            .into());
    }
    app.budgets.check(call, now)?;
    app.budgets.ask(app, call, person, now);
    Ok(mandate)
}

/// Puts the inquiry on record: who asked, on whose behalf, under which agreement, about whom as a keyed hash.
async fn note(
    app: &App,
    call: &Acting,
    mandate: &Mandate<'_>,
    person: &PersonId,
    action: &'static str,
    now: Timestamp,
) -> Result<(), AppError> {
    let context = ActContext {
        actor: actor(call),
        now,
        trace_id: call.trace_id.to_string(),
        claim: None,
    };
    let last = mandate.agreements().last();
    let act = Act {
        resource: last.map_or_else(|| actor(call), |agreement| agreement_name(&agreement.id)),
        action,
        subject_hash: app.subject_hash(person),
        on_behalf: call
            .on_behalf
            .as_ref()
            .map(|behalf| format!("agencies/{}", behalf.agency.as_str()))
            .unwrap_or_default(),
        ..Act::default()
    };
    Ok(app.store_for(call).note_inquiry(&context, &act).await?)
}
