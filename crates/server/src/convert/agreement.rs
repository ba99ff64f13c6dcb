//! The catalogue, service calls and agreements.

use std::collections::BTreeMap;

use gavah_api::v1 as pb;
use gavah_domain::agreement::{
    Agreement, AgreementEnd, AgreementField, AgreementPurpose, AgreementState,
};
use gavah_domain::service::{ServiceCall, ServiceCallState, ServiceKind};
use gavah_domain::{DisplayText, LegalEntityId, Reason, Violations};
use gavah_store::{
    AgreementFilter, AgreementStep, AgreementText, StoredAgreement, StoredCall, agreement_name,
    call_name,
};

use super::enums::{Twin, from_pb, option_to_pb, to_pb};
use super::head::{Head, WriteRequest, open};
use super::time::{self, instant, instant_to_pb, jalali_to_pb};
use super::{check_rules, settle};
use crate::error::AppError;

/// Greatest length of a remark, in characters.
const REMARK_MAX_CHARS: usize = 200;
/// Greatest length of a call's id, in characters.
const CALL_ID_MAX_CHARS: usize = 64;

/// Host of the provider's single smart service window, the only channel of both services.
const WINDOW: &str = "my.saorg.ir";

/// A call to prepare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCallInput {
    /// Retry key and digest.
    pub head: Head,
    /// The call, a draft.
    pub call: ServiceCall,
}

/// A call to open or to close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveCallInput {
    /// Retry key and digest.
    pub head: Head,
    /// Its id.
    pub id: String,
    /// The state to enter.
    pub to: ServiceCallState,
    /// The version the officer saw.
    pub etag: Option<i64>,
}

/// An agreement to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAgreementInput {
    /// Retry key and digest.
    pub head: Head,
    /// Id of the call.
    pub call_id: String,
    /// The agency it is for; the caller itself when unset.
    pub agency: Option<LegalEntityId>,
    /// For what.
    pub purposes: Vec<AgreementPurpose>,
    /// What is to be told.
    pub fields: Vec<AgreementField>,
    /// Calls a day that are asked for.
    pub daily_calls: Option<u32>,
    /// Calls a second that are asked for.
    pub burst: Option<u32>,
    /// The text that is accepted: service and version.
    pub text: (ServiceKind, i32),
}

/// A change of an agreement's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInput {
    /// Retry key and digest.
    pub head: Head,
    /// What changes.
    pub step: AgreementStep,
}

/// Reads a call to prepare.
///
/// # Errors
///
/// Every violation at once.
pub fn create_call(mut request: pb::CreateServiceCallRequest) -> Result<CreateCallInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let given = request.service_call.unwrap_or_default();
    let id = found.take("service_call.name", call_id(&given.name));
    let service = found.take(
        "service_call.service",
        from_pb(given.service).ok_or(Reason::FieldRequired),
    );
    let open_time = given.open_time.as_ref().map(instant).transpose();
    let open_time = found.take("service_call.open_time", open_time).flatten();
    let close_time = given.close_time.as_ref().map(instant).transpose();
    let close_time = found.take("service_call.close_time", close_time).flatten();
    if close_time.is_some_and(|close| open_time.is_some_and(|open| close <= open)) {
        found.push("service_call.close_time", Reason::FieldFormat);
    }
    let kinds_fit = match service {
        Some(ServiceKind::ValidityCode) => !given.document_kinds.is_empty(),
        Some(ServiceKind::EnrollmentCertificate) => given.document_kinds.is_empty(),
        None => true,
    };
    if !kinds_fit {
        let reason = match service {
            Some(ServiceKind::ValidityCode) => Reason::FieldRequired,
            _ => Reason::FieldFormat,
        };
        found.push("service_call.document_kinds", reason);
    }
    if given.eligible_types.is_empty() {
        found.push("service_call.eligible_types", Reason::FieldRequired);
    }
    let mut sla_targets = BTreeMap::new();
    for (place, target) in given.sla_targets.iter().enumerate() {
        let hours = u32::try_from(target.hours).unwrap_or_default();
        let fits = service.is_none_or(|service| service.may_promise(&target.request_type, hours));
        let first = sla_targets.insert(target.request_type.clone(), hours);
        if !fits || first.is_some() {
            let field = format!("service_call.sla_targets[{place}].request_type");
            found.push(field, Reason::FieldFormat);
        }
    }
    let input = (|| {
        Some(CreateCallInput {
            head: head?,
            call: ServiceCall {
                id: id?,
                service: service?,
                state: ServiceCallState::Draft,
                open_time: open_time?,
                close_time,
                eligible_types: distinct(&given.eligible_types),
                document_kinds: distinct(&given.document_kinds),
                workflow_version: given.workflow_version.clone(),
                run_off_days: u16::try_from(given.run_off_days).ok()?,
                sla_targets,
            },
        })
    })();
    settle(annotated, found, input)
}

/// Reads which call to open.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn open_call(mut request: pb::OpenServiceCallRequest) -> Result<MoveCallInput, AppError> {
    let opened = open(&mut request);
    move_call(opened, &request.name, &request.etag, ServiceCallState::Open)
}

/// Reads which call to close.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn close_call(mut request: pb::CloseServiceCallRequest) -> Result<MoveCallInput, AppError> {
    let opened = open(&mut request);
    move_call(
        opened,
        &request.name,
        &request.etag,
        ServiceCallState::Closed,
    )
}

fn move_call(
    (annotated, head): (Violations, Option<Head>),
    name: &str,
    etag: &str,
    to: ServiceCallState,
) -> Result<MoveCallInput, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", call_id(name));
    let input = head.zip(id).map(|(head, id)| MoveCallInput {
        head,
        id,
        to,
        etag: None,
    });
    let input = settle(annotated, found, input)?;
    Ok(MoveCallInput {
        etag: time::etag(etag)?,
        ..input
    })
}

/// Reads which call is asked for.
///
/// # Errors
///
/// The violation of the name.
pub fn get_call(request: &pb::GetServiceCallRequest) -> Result<String, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", call_id(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads an agreement to ask for.
///
/// # Errors
///
/// Every violation at once.
pub fn request_agreement(
    mut request: pb::RequestAgreementRequest,
) -> Result<RequestAgreementInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let call_id = found.take("service_call", call_id(&request.service_call));
    let agency = match request.agency.trim() {
        "" => Some(None),
        agency => found.take("agency", LegalEntityId::parse(agency)).map(Some),
    };
    let text = found.take("agreement_text", text_name(&request.agreement_text));
    let input = (|| {
        Some(RequestAgreementInput {
            head: head?,
            call_id: call_id?,
            agency: agency?,
            purposes: distinct(&request.purposes),
            fields: distinct(&request.disclosed_fields),
            daily_calls: bound(request.daily_calls),
            burst: bound(request.burst),
            text: text?,
        })
    })();
    settle(annotated, found, input)
}

/// Reads which agreement to approve, and with what quotas.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn approve(mut request: pb::ApproveAgreementRequest) -> Result<StepInput, AppError> {
    let granted = Some((bound(request.daily_calls), bound(request.burst)));
    let step = |id| AgreementStep {
        id,
        to: AgreementState::Active,
        end: None,
        granted,
        remark: String::new(),
        etag: None,
    };
    let (name, etag) = (request.name.clone(), request.etag.clone());
    change(&mut request, &name, None, &etag, step)
}

/// Reads which agreement to suspend.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn suspend(mut request: pb::SuspendAgreementRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    let remark = request.remark.clone();
    let step = |id| moved(id, AgreementState::Suspended, None);
    change(&mut request, &name, Some(&remark), &etag, step)
}

/// Reads which agreement to reinstate.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn reinstate(mut request: pb::ReinstateAgreementRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    let remark = request.remark.clone();
    let step = |id| moved(id, AgreementState::Active, None);
    change(&mut request, &name, Some(&remark), &etag, step)
}

/// Reads which agreement to terminate; `end` is the side that does.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn terminate(
    mut request: pb::TerminateAgreementRequest,
    end: AgreementEnd,
) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    let remark = request.remark.clone();
    let step = |id| moved(id, AgreementState::Terminated, Some(end));
    change(&mut request, &name, Some(&remark), &etag, step)
}

const fn moved(id: String, to: AgreementState, end: Option<AgreementEnd>) -> AgreementStep {
    AgreementStep {
        id,
        to,
        end,
        granted: None,
        remark: String::new(),
        etag: None,
    }
}

fn change(
    request: &mut impl WriteRequest,
    name: &str,
    remark: Option<&str>,
    etag: &str,
    step: impl FnOnce(String) -> AgreementStep,
) -> Result<StepInput, AppError> {
    let (annotated, head) = open(request);
    let mut found = Violations::default();
    let id = found.take("name", agreement_id(name));
    let remark = match remark {
        None => Some(String::new()),
        Some(text) => found
            .take("remark", DisplayText::parse(text, REMARK_MAX_CHARS))
            .map(|text| text.as_str().to_owned()),
    };
    let input = (|| {
        let step = AgreementStep {
            remark: remark?,
            ..step(id?)
        };
        Some(StepInput { head: head?, step })
    })();
    let mut input = settle(annotated, found, input)?;
    input.step.etag = time::etag(etag)?;
    Ok(input)
}

/// Reads which agreement is asked for.
///
/// # Errors
///
/// The violation of the name.
pub fn get_agreement(request: &pb::GetAgreementRequest) -> Result<String, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", agreement_id(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads which agreements are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn list_agreements(request: &pb::ListAgreementsRequest) -> Result<AgreementFilter, AppError> {
    let mut found = Violations::default();
    let call_id = match request.service_call.as_str() {
        "" => Some(None),
        name => found.take("service_call", call_id(name)).map(Some),
    };
    let filter = call_id.map(|call_id| AgreementFilter {
        of: None,
        call_id,
        state: from_pb(request.state),
    });
    settle(check_rules(request), found, filter)
}

/// Reads which text is asked for.
///
/// # Errors
///
/// The violation of the name.
pub fn get_text(request: &pb::GetAgreementTextRequest) -> Result<(ServiceKind, i32), AppError> {
    let mut found = Violations::default();
    let name = found.take("name", text_name(&request.name));
    settle(check_rules(request), found, name)
}

fn call_id(name: &str) -> Result<String, Reason> {
    let id = name.strip_prefix("serviceCalls/").unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match id.len() {
        1..=CALL_ID_MAX_CHARS if id.chars().all(plain) => Ok(id.to_owned()),
        _ => Err(Reason::FieldFormat),
    }
}

pub(super) fn agreement_id(name: &str) -> Result<String, Reason> {
    let id = name.strip_prefix("agreements/").filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or(Reason::FieldFormat)
}

fn text_name(name: &str) -> Result<(ServiceKind, i32), Reason> {
    match name.split('/').collect::<Vec<_>>()[..] {
        ["agreementTexts", service, "versions", version] => {
            let number: i32 = version.parse().map_err(|_| Reason::FieldFormat)?;
            // What does not read back exactly is no name.
            if number < 1 || number.to_string() != version {
                return Err(Reason::FieldFormat);
            }
            Ok((service.parse()?, number))
        }
        _ => Err(Reason::FieldFormat),
    }
}

/// No bound is written as 0.
fn bound(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number > 0)
}

fn distinct<D: Twin>(given: &[i32]) -> Vec<D> {
    let mut distinct = Vec::new();
    for value in given.iter().filter_map(|number| from_pb::<D>(*number)) {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

fn name_of_text(service: ServiceKind, version: i32) -> String {
    format!("agreementTexts/{service}/versions/{version}")
}

/// The contract's form of the catalogue.
#[must_use]
pub fn services_to_pb(texts: &[AgreementText]) -> Vec<pb::Service> {
    let service = |kind: &ServiceKind| {
        let own = texts.iter().filter(|text| text.service == *kind);
        pb::Service {
            kind: to_pb(*kind),
            name_fa: kind.name_fa().to_owned(),
            name_en: kind.name_en().to_owned(),
            provider_fa: kind.provider_fa().to_owned(),
            provider_en: kind.provider_en().to_owned(),
            channel: WINDOW.to_owned(),
            agreement_texts: own
                .map(|text| name_of_text(text.service, text.version))
                .collect(),
        }
    };
    ServiceKind::ALL.iter().map(service).collect()
}

/// The contract's form of a text.
#[must_use]
pub fn text_to_pb(text: &AgreementText) -> pb::AgreementText {
    let name = name_of_text(text.service, text.version);
    let clauses = text.clauses.iter().zip(1..);
    let clauses = clauses.map(|(clause, number)| pb::Clause {
        name: format!("{name}/clauses/{number}"),
        heading_fa: clause.heading_fa.clone(),
        text_fa: clause.text_fa.clone(),
    });
    pb::AgreementText {
        clauses: clauses.collect(),
        name,
        service: to_pb(text.service),
        version: text.version,
        edit_date: Some(jalali_to_pb(text.edit_date)),
        title_fa: text.title_fa.clone(),
        parent_title_fa: text.parent_fa.clone(),
    }
}

/// The contract's form of a call.
#[must_use]
pub fn call_to_pb(stored: &StoredCall) -> pb::ServiceCall {
    let call = &stored.call;
    pb::ServiceCall {
        name: call_name(&call.id),
        service: to_pb(call.service),
        state: to_pb(call.state),
        open_time: Some(instant_to_pb(call.open_time)),
        close_time: call.close_time.map(instant_to_pb),
        eligible_types: call.eligible_types.iter().copied().map(to_pb).collect(),
        document_kinds: call.document_kinds.iter().copied().map(to_pb).collect(),
        workflow_version: call.workflow_version.clone(),
        run_off_days: i32::from(call.run_off_days),
        etag: stored.version.to_string(),
        sla_targets: call
            .sla_targets
            .iter()
            .map(|(request_type, hours)| pb::SlaTarget {
                request_type: request_type.clone(),
                hours: i32::try_from(*hours).unwrap_or(i32::MAX),
            })
            .collect(),
    }
}

/// The contract's form of an agreement under a call of `service`.
#[must_use]
pub fn agreement_to_pb(stored: &StoredAgreement, service: ServiceKind) -> pb::Agreement {
    let Agreement {
        id,
        consumer,
        through,
        call_id,
        state,
        end,
        purposes,
        fields,
        daily_calls,
        burst,
    } = &stored.agreement;
    let bound = |bound: Option<u32>| {
        let bound = bound.map(|bound| i32::try_from(bound).unwrap_or(i32::MAX));
        bound.unwrap_or_default()
    };
    let accepted = (stored.text_version > 0).then(|| name_of_text(service, stored.text_version));
    pb::Agreement {
        name: agreement_name(id),
        consumer: consumer.clone(),
        through: through
            .as_ref()
            .map(|caller| format!("callers/{caller}"))
            .unwrap_or_default(),
        service_call: call_name(call_id),
        state: to_pb(*state),
        end: option_to_pb(*end),
        purposes: purposes.iter().copied().map(to_pb).collect(),
        disclosed_fields: fields.iter().copied().map(to_pb).collect(),
        daily_calls: bound(*daily_calls),
        burst: bound(*burst),
        agreement_text: accepted.unwrap_or_default(),
        accepted_by: stored.accepted_by.clone(),
        accept_time: stored.accept_time.map(instant_to_pb),
        create_time: stored.create_time.map(instant_to_pb),
        update_time: stored.update_time.map(instant_to_pb),
        etag: stored.version.to_string(),
    }
}
