//! Institutions, experts, callers and their client certificates.

mod caller;
mod reply;

use gavah_api::v1 as pb;
use gavah_domain::caller::ExpertCode;
use gavah_domain::institution::{Institution, InstitutionCode, InstitutionType};
use gavah_domain::{Reason, Violations};
use gavah_store::StoredExpert;

pub use caller::{
    CallerInput, ClientCertificateInput, add_certificate, create_caller, get_caller, list_callers,
    retire_certificate, update_caller,
};
pub use reply::{
    PresentedCertificate, caller_to_pb, expert_to_pb, institution_to_pb, quota_to_pb, who_am_i,
};

use super::enums::from_pb;
use super::head::{Head, open};
use super::page::{Page, take_page};
use super::{Known, check_rules, names, required, settle, silent_debug, text, time};
use crate::error::AppError;

/// Greatest length of a name, in characters.
const NAME_MAX_CHARS: usize = 120;

/// An institution to register or change.
#[derive(Clone, PartialEq, Eq)]
pub struct InstitutionInput {
    /// Retry key and digest.
    pub head: Head,
    /// The institution; parent and successor by their registered codes where
    /// they are registered.
    pub institution: Institution,
    /// The version the caller read, when changing.
    pub etag: Option<i64>,
}

/// An expert to register or change.
#[derive(Clone, PartialEq, Eq)]
pub struct ExpertInput {
    /// Retry key and digest.
    pub head: Head,
    /// The expert, by the institution's registered code where it is registered;
    /// times and version are left to the store.
    pub expert: StoredExpert,
    /// The version the caller read, when changing.
    pub etag: Option<i64>,
}

/// Which page of institutions, by code.
#[derive(Clone, PartialEq, Eq)]
pub struct ListInstitutionsInput {
    /// The page, ordered by code.
    pub page: Page<String>,
    /// Only this kind.
    pub kind: Option<InstitutionType>,
}

/// Which page of an institution's experts, by code.
#[derive(Clone, PartialEq, Eq)]
pub struct ListExpertsInput {
    /// The page, ordered by the expert's code.
    pub page: Page<String>,
    /// Code or alias of the institution, not looked up.
    pub institution: InstitutionCode,
}

silent_debug!(
    InstitutionInput,
    ExpertInput,
    ListInstitutionsInput,
    ListExpertsInput
);

/// Reads a request to register an institution.
///
/// # Errors
///
/// Every violation at once.
pub fn create_institution(
    mut request: pb::CreateInstitutionRequest,
    known: &Known<'_>,
) -> Result<InstitutionInput, AppError> {
    let opened = open(&mut request);
    institution_input(opened, request.institution.as_ref(), known)
}

/// Reads a request to change an institution.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version
/// has.
pub fn update_institution(
    mut request: pb::UpdateInstitutionRequest,
    known: &Known<'_>,
) -> Result<InstitutionInput, AppError> {
    let opened = open(&mut request);
    let input = institution_input(opened, request.institution.as_ref(), known)?;
    let etag = request
        .institution
        .map(|given| given.etag)
        .unwrap_or_default();
    Ok(InstitutionInput {
        etag: time::etag(&etag)?,
        ..input
    })
}

fn institution_input(
    (annotated, head): (Violations, Option<Head>),
    given: Option<&pb::Institution>,
    known: &Known<'_>,
) -> Result<InstitutionInput, AppError> {
    let mut found = Violations::default();
    let institution = given.map(|given| institution(given, known));
    let institution = required(&mut found, "institution", institution);
    let (head, institution) = settle(annotated, found, head.zip(institution))?;
    Ok(InstitutionInput {
        head,
        institution,
        etag: None,
    })
}

fn institution(given: &pb::Institution, known: &Known<'_>) -> Result<Institution, Violations> {
    let mut found = Violations::default();
    let code = found.take(
        "institution_code",
        InstitutionCode::parse(&given.institution_code),
    );
    let mut aliases: Vec<String> = Vec::new();
    for (index, alias) in given.aliases.iter().enumerate() {
        let alias = InstitutionCode::parse(alias).and_then(|alias| {
            let twice = code.as_ref() == Some(&alias)
                || aliases.iter().any(|other| other == alias.as_str());
            if twice {
                Err(Reason::FieldFormat)
            } else {
                Ok(alias)
            }
        });
        let alias = found.take(&format!("aliases[{index}]"), alias);
        aliases.extend(alias.map(|alias| alias.as_str().to_owned()));
    }
    let kind = found.take("type", from_pb(given.r#type).ok_or(Reason::FieldRequired));
    let mut other = |field: &str, text: &str| {
        let parsed = optional_code(text, known);
        // Nobody is above or after itself.
        let other = parsed.and_then(|other| match &other {
            Some(_) if other == code => Err(Reason::FieldFormat),
            _ => Ok(other),
        });
        found.take(field, other)
    };
    let parent = other("parent_code", &given.parent_code);
    let successor = other("successor_code", &given.successor_code);
    let name_fa = found.take("name_fa", text(&given.name_fa, NAME_MAX_CHARS));
    let name_en = found.take("name_en", text(&given.name_en, NAME_MAX_CHARS));
    let state = found.take("state", from_pb(given.state).ok_or(Reason::FieldRequired));
    let institution = (|| {
        Some(Institution {
            code: code?,
            aliases,
            kind: kind?,
            parent: parent?,
            name_fa: name_fa?,
            name_en: name_en?,
            state: state?,
            successor: successor?,
        })
    })();
    found.finish(institution)
}

/// The code of another institution; blank when there is none.
fn optional_code(given: &str, known: &Known<'_>) -> Result<Option<InstitutionCode>, Reason> {
    match InstitutionCode::parse(given) {
        Ok(code) => Ok(Some(known.registered_or_given(code))),
        Err(Reason::FieldRequired) => Ok(None),
        Err(reason) => Err(reason),
    }
}

/// Reads a request for one institution: its code or alias, not looked up.
///
/// # Errors
///
/// The violation of `name`.
pub fn get_institution(request: &pb::GetInstitutionRequest) -> Result<InstitutionCode, AppError> {
    let mut found = Violations::default();
    let code = found.take("name", names::parse_institution(&request.name));
    settle(check_rules(request), found, code)
}

/// Reads a request for a list of institutions.
///
/// # Errors
///
/// Every violation at once.
pub fn list_institutions(
    mut request: pb::ListInstitutionsRequest,
) -> Result<ListInstitutionsInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    let kind = from_pb(request.r#type);
    settle(
        annotated,
        found,
        page.map(|page| ListInstitutionsInput { page, kind }),
    )
}

/// Reads a request to register an expert.
///
/// # Errors
///
/// Every violation at once.
pub fn create_expert(
    mut request: pb::CreateExpertRequest,
    known: &Known<'_>,
) -> Result<ExpertInput, AppError> {
    let opened = open(&mut request);
    expert_input(opened, request.expert.as_ref(), known)
}

/// Reads a request to change an expert.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version
/// has.
pub fn update_expert(
    mut request: pb::UpdateExpertRequest,
    known: &Known<'_>,
) -> Result<ExpertInput, AppError> {
    let opened = open(&mut request);
    let input = expert_input(opened, request.expert.as_ref(), known)?;
    let etag = request.expert.map(|given| given.etag).unwrap_or_default();
    Ok(ExpertInput {
        etag: time::etag(&etag)?,
        ..input
    })
}

fn expert_input(
    (annotated, head): (Violations, Option<Head>),
    given: Option<&pb::Expert>,
    known: &Known<'_>,
) -> Result<ExpertInput, AppError> {
    let mut found = Violations::default();
    let expert = required(
        &mut found,
        "expert",
        given.map(|given| expert(given, known)),
    );
    let (head, expert) = settle(annotated, found, head.zip(expert))?;
    Ok(ExpertInput {
        head,
        expert,
        etag: None,
    })
}

fn expert(given: &pb::Expert, known: &Known<'_>) -> Result<StoredExpert, Violations> {
    let mut found = Violations::default();
    let institution = InstitutionCode::parse(&given.institution_code);
    let institution = found.take("institution_code", institution);
    let code = found.take("expert_code", ExpertCode::parse(&given.expert_code));
    let name = found.take(
        "display_name_fa",
        text(&given.display_name_fa, NAME_MAX_CHARS),
    );
    let state = found.take("state", from_pb(given.state).ok_or(Reason::FieldRequired));
    let expert = (|| {
        Some(StoredExpert {
            institution_code: known.registered_or_given(institution?).as_str().to_owned(),
            expert_code: code?.as_str().to_owned(),
            display_name_fa: name?,
            state: state?,
            create_time: known.now,
            update_time: known.now,
            version: 0,
        })
    })();
    found.finish(expert)
}

/// Reads a request for a list of experts.
///
/// # Errors
///
/// Every violation at once.
pub fn list_experts(mut request: pb::ListExpertsRequest) -> Result<ListExpertsInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    let institution = found.take("parent", names::parse_institution(&request.parent));
    let input = page
        .zip(institution)
        .map(|(page, institution)| ListExpertsInput { page, institution });
    settle(annotated, found, input)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
