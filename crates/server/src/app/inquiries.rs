//! What is on record of a person: asked under an agreement, within budgets, each inquiry on record.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gavah_domain::agreement::{AgreementField, AgreementPurpose};
use gavah_domain::disclosure::{AskingPurpose, Told, disclosed};
use gavah_domain::institution::Institution;
use gavah_domain::verdict::{Verdict, verdict_at};
use gavah_domain::{PersonId, Reason};
use gavah_store::{Act, ActContext, Covered, StoredCode, StoredRecord, agreement_name};
use jiff::Timestamp;
use tokio::time::Instant;

use super::mandate::{Mandate, mandate};
use super::quotas::Counted;
use super::validate::document_of_code;
use super::{App, actor};
use crate::call::Acting;
use crate::error::{AppError, Refusal};

/// For how long a statement of coverage is told again: it reads every record.
const COVERAGE_AGE: Duration = Duration::from_secs(60);

/// What an answer can know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The institutions with anything on record.
    pub institutions: Vec<Covered>,
    /// Instant of the statement.
    pub as_of: Timestamp,
}

/// The statements of coverage that were made last.
#[derive(Debug, Default)]
pub struct Coverages {
    records: Statement,
    codes: Statement,
}

#[derive(Debug, Default)]
struct Statement(RwLock<Option<(Instant, Arc<Coverage>)>>);

impl Statement {
    fn fresh(&self) -> Option<Arc<Coverage>> {
        let made = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (at, coverage) = made.as_ref()?;
        (at.elapsed() < COVERAGE_AGE).then(|| Arc::clone(coverage))
    }

    fn keep(&self, institutions: Vec<Covered>, as_of: Timestamp) -> Arc<Coverage> {
        let coverage = Arc::new(Coverage {
            institutions,
            as_of,
        });
        let made = Some((Instant::now(), Arc::clone(&coverage)));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = made;
        coverage
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
    let store = app.store_for(call);
    let found = store.codes_of_person(&person.key()).await?;
    let coverage = match app.coverages.codes.fresh() {
        Some(coverage) => coverage,
        None => app.coverages.codes.keep(store.codes_covered().await?, now),
    };
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
    let store = app.store_for(call);
    let found = store.records_of_person(&person.key()).await?;
    let coverage = match app.coverages.records.fresh() {
        Some(coverage) => coverage,
        None => app
            .coverages
            .records
            .keep(store.records_covered().await?, now),
    };
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
