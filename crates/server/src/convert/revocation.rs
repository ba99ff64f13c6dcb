//! Revocations of many documents.

use gavah_api::v1 as pb;
use gavah_domain::caller::ExpertCode;
use gavah_domain::document::RevocationReason;
use gavah_domain::incident::{IncidentAction, Selection};
use gavah_domain::{PersonId, Reason, Violations};
use gavah_store::StoredIncident;
use uuid::Uuid;

use super::change::{legal_basis, revocation_reason};
use super::enums::{from_pb, to_pb};
use super::head::{Head, open};
use super::identity::person_id;
use super::names::{self, Collection};
use super::program::institution_filter;
use super::time::{self, instant, instant_to_pb};
use super::{Known, check_rules, required, settle};
use crate::error::AppError;

/// Greatest length of a key's id, in characters.
const KEY_ID_MAX_CHARS: usize = 128;

/// An officer as named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Officer {
    /// The name by which the audit knows them.
    pub name: String,
    /// Who that is.
    pub person: PersonId,
}

/// A revocation to propose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposeInput {
    /// Retry key and digest.
    pub head: Head,
    /// Which documents.
    pub selection: Selection,
    /// Why.
    pub reason: RevocationReason,
    /// The legal basis; may be empty.
    pub legal_basis: String,
    /// Who proposes.
    pub officer: Officer,
}

/// What is done to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecideInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version the officer saw.
    pub etag: i64,
    /// What is done.
    pub action: IncidentAction,
    /// Who does it.
    pub officer: Officer,
}

/// Reads a selection to try.
///
/// # Errors
///
/// Every violation at once.
pub fn preview(
    request: &pb::PreviewRevocationRequest,
    known: &Known<'_>,
) -> Result<Selection, AppError> {
    let mut found = Violations::default();
    let given = request.selection.as_ref();
    let selection = required(
        &mut found,
        "selection",
        given.map(|given| selection(given, known)),
    );
    settle(check_rules(request), found, selection)
}

/// Reads a proposal.
///
/// # Errors
///
/// Every violation at once.
pub fn propose(
    mut request: pb::ProposeRevocationRequest,
    known: &Known<'_>,
) -> Result<ProposeInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let given = request.selection.as_ref();
    let selection = required(
        &mut found,
        "selection",
        given.map(|given| selection(given, known)),
    );
    let reason = found.take("reason", revocation_reason(request.reason));
    let legal_basis = legal_basis(&request.legal_basis, reason, &mut found);
    let officer = officer(request.officer.as_ref(), &mut found);
    let input = (|| {
        Some(ProposeInput {
            head: head?,
            selection: selection?,
            reason: reason?,
            legal_basis: legal_basis?,
            officer: officer?,
        })
    })();
    settle(annotated, found, input)
}

/// Reads an approval.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn approve(mut request: pb::ApproveRevocationRequest) -> Result<DecideInput, AppError> {
    let head = open(&mut request);
    let officer = request.officer.as_ref();
    let (name, etag) = (&request.name, &request.etag);
    decide(head, IncidentAction::Approve, name, etag, officer)
}

/// Reads that a proposal is taken back.
///
/// # Errors
///
/// As [`approve`].
pub fn withdraw(mut request: pb::WithdrawRevocationRequest) -> Result<DecideInput, AppError> {
    let head = open(&mut request);
    let officer = request.officer.as_ref();
    let (name, etag) = (&request.name, &request.etag);
    decide(head, IncidentAction::Withdraw, name, etag, officer)
}

fn decide(
    (annotated, head): (Violations, Option<Head>),
    action: IncidentAction,
    name: &str,
    etag: &str,
    given: Option<&pb::Officer>,
) -> Result<DecideInput, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::Incidents.parse(name));
    if etag.is_empty() {
        found.push("etag", Reason::FieldRequired);
    }
    let officer = officer(given, &mut found);
    let input = (|| {
        Some(DecideInput {
            head: head?,
            id: id?,
            etag: 0,
            action,
            officer: officer?,
        })
    })();
    let input = settle(annotated, found, input)?;
    let etag = time::etag(etag)?.ok_or(Reason::EtagMismatch)?;
    Ok(DecideInput { etag, ..input })
}

/// Reads a request for one incident: its resource id.
///
/// # Errors
///
/// The violation of `name`.
pub fn get(request: &pb::GetIncidentRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::Incidents.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads the officer who decides.
pub(super) fn officer(given: Option<&pb::Officer>, found: &mut Violations) -> Option<Officer> {
    let officer = given.map(|given| {
        let mut found = Violations::default();
        let code = found.take("code", ExpertCode::parse(&given.code));
        let person = given.person_id.as_ref().map(person_id);
        let person = required(&mut found, "person_id", person);
        found.finish(code.zip(person))
    });
    let (code, person) = required(found, "officer", officer)?;
    Some(Officer {
        name: format!("officers/{}", code.as_str()),
        person,
    })
}

fn selection(given: &pb::RevocationSelection, known: &Known<'_>) -> Result<Selection, Violations> {
    let mut found = Violations::default();
    let service = found.take(
        "service",
        from_pb(given.service).ok_or(Reason::FieldRequired),
    );
    let institution = institution_filter(&given.institution_code, known);
    let institution = found.take("institution_code", institution);
    let expert = Some(&given.expert).filter(|name| !name.is_empty());
    let expert = expert.map(|name| {
        let (institution, code) = names::parse_expert(name)?;
        Ok((known.registered_or_given(institution), code))
    });
    let expert = found.take("expert", expert.transpose());
    let key_id = Some(&given.key_id).filter(|key| !key.is_empty()).cloned();
    if key_id
        .as_ref()
        .is_some_and(|key| key.chars().count() > KEY_ID_MAX_CHARS)
    {
        found.push("key_id", Reason::FieldTooLong);
    }
    let issued_from = given.issued_from.as_ref().map(instant).transpose();
    let issued_from = found.take("issued_from", issued_from);
    let issued_before = given.issued_before.as_ref().map(instant).transpose();
    let issued_before = found.take("issued_before", issued_before);
    let selection = (|| {
        Some(Selection {
            service: service?,
            institution: institution?.map(|named| named.value),
            expert: expert?,
            key_id,
            issued_from: issued_from?,
            issued_before: issued_before?,
        })
    })();
    if let Some(Err(wrong)) = selection.as_ref().map(Selection::check) {
        found.extend(wrong);
    }
    found.finish(selection)
}

/// The contract's form of an incident.
#[must_use]
pub fn incident_to_pb(stored: &StoredIncident) -> pb::Incident {
    let selection = &stored.selection;
    let expert = selection.expert.as_ref();
    pb::Incident {
        name: Collection::Incidents.name(stored.id),
        state: to_pb(stored.state),
        selection: Some(pb::RevocationSelection {
            service: to_pb(selection.service),
            institution_code: selection
                .institution
                .as_ref()
                .map_or_else(String::new, |code| code.as_str().to_owned()),
            expert: expert.map_or_else(String::new, |(institution, code)| {
                names::expert(institution, code.as_str())
            }),
            key_id: selection.key_id.clone().unwrap_or_default(),
            issued_from: selection.issued_from.map(instant_to_pb),
            issued_before: selection.issued_before.map(instant_to_pb),
        }),
        reason: to_pb(stored.reason),
        legal_basis: stored.legal_basis.clone(),
        selected_count: stored.selected,
        revoked_count: stored.revoked,
        proposer: stored.proposer.clone(),
        approver: stored.approver.clone(),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
    }
}
