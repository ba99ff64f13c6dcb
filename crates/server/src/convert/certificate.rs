//! Enrollment certificates and their applications.

use gavah_api::v1 as pb;
use gavah_domain::attachment::Attachment;
use gavah_domain::caller::CallerClass;
use gavah_domain::certificate::{ApplicationState, Purpose, RequestType};
use gavah_domain::document::DocumentState;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::StudentNumber;
use gavah_domain::record::{Subject, parse_external_ref};
use gavah_domain::{PersonId, Reason, Violations};
use gavah_store::{PageKey, Paper, StoredApplication, StoredCertificate, StoredStep};
use uuid::Uuid;

use super::application::remark_to_pb;
use super::attachment::{attachments, attachments_to_pb};
use super::enums::{from_pb, to_pb};
use super::head::{Head, open};
use super::identity::{subject, subject_claim, subject_to_pb};
use super::names::Collection;
use super::page::{ListRequest, Page, take_page};
use super::program::{
    Named, institution, institution_filter, program_to_pb, quote_to_pb, revocation_to_pb,
};
use super::time::{instant_to_pb, jalali, jalali_of, jalali_to_pb, term_to_pb};
use super::{Known, check_rules, optional_text, required, settle, silent_debug, text};
use crate::error::AppError;

/// Greatest length of an addressee, in characters.
const ADDRESSEE_MAX_CHARS: usize = 120;

/// An application for a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateApplicationInput {
    /// Retry key and digest.
    pub head: Head,
    /// What is asked for.
    pub request_type: RequestType,
    /// The window's own reference.
    pub window_reference: String,
    /// The student as the window knows them.
    pub subject: Subject,
    /// The institution's registered code.
    pub institution: InstitutionCode,
    /// The student number.
    pub student_number: StudentNumber,
    /// Purpose.
    pub purpose: Purpose,
    /// Addressee in Persian.
    pub addressee_fa: String,
    /// Addressee in English.
    pub addressee_en: Option<String>,
    /// Only a draft.
    pub draft: bool,
    /// The paper to confirm; set exactly for [`RequestType::ConfirmExisting`].
    pub paper: Option<Paper>,
    /// The files that come with it.
    pub attachments: Vec<Attachment>,
    /// The certificate to replace; set exactly where [`RequestType::replaces`].
    pub replaces: Option<Uuid>,
}

/// One certificate or application to read.
#[derive(Clone, PartialEq, Eq)]
pub struct GetInput {
    /// Resource id.
    pub id: Uuid,
    /// The person for whom the caller asks; always set for the single window.
    pub claim: Option<PersonId>,
}

/// Which page of certificates or applications in states `S`.
#[derive(Clone, PartialEq, Eq)]
pub struct ListInput<S> {
    /// The page.
    pub page: Page<PageKey>,
    /// Only this institution, by its registered code.
    pub institution: Option<InstitutionCode>,
    /// Only this state.
    pub state: Option<S>,
    /// Only this person; always set for the single window.
    pub claim: Option<PersonId>,
}

silent_debug!(CreateApplicationInput, GetInput);

/// Prints the page only: the rest may tell whom a call is about.
impl<S> std::fmt::Debug for ListInput<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListInput")
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

/// Reads an application.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn create_application(
    mut request: pb::CreateEnrollmentCertificateApplicationRequest,
    known: &Known<'_>,
) -> Result<CreateApplicationInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    // What is ordered is done when it is handed in.
    if request.draft && !request.dispute_action.is_empty() {
        found.push("dispute_action", Reason::FieldFormat);
    }
    let request_type = found.take("type", from_pb(request.r#type).ok_or(Reason::FieldRequired));
    let window_reference = parse_external_ref(&request.window_reference);
    let window_reference = found.take("window_reference", not_empty(window_reference));
    let subject = request
        .subject
        .as_ref()
        .map(|given| subject(given, known.today()));
    let subject = required(&mut found, "subject", subject);
    let institution = institution(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let student_number = StudentNumber::parse(&request.student_number);
    let student_number = found.take("student_number", student_number);
    let purpose = found.take(
        "purpose",
        from_pb(request.purpose).ok_or(Reason::FieldRequired),
    );
    let addressee = required(
        &mut found,
        "addressee",
        request.addressee.as_ref().map(addressee),
    );
    let paper = existing_document(request.existing_document.as_ref(), request_type, &mut found);
    let replaces = replaced(&request.replaces, request_type, &mut found);
    let attachments = attachments(&request.attachments, &annotated, &mut found);
    let input = (|| {
        let Named {
            value: institution,
            registered,
        } = institution?;
        let (addressee_fa, addressee_en) = addressee?;
        let value = CreateApplicationInput {
            head: head?,
            request_type: request_type?,
            window_reference: window_reference?,
            subject: subject?,
            institution,
            student_number: student_number?,
            purpose: purpose?,
            addressee_fa,
            addressee_en,
            draft: request.draft,
            paper: paper?,
            attachments: attachments?,
            replaces: replaces?,
        };
        Some(Named { value, registered })
    })();
    Ok(settle(annotated, found, input)?.registered()?)
}

fn not_empty(parsed: Result<String, Reason>) -> Result<String, Reason> {
    parsed.and_then(|text| {
        if text.is_empty() {
            Err(Reason::FieldRequired)
        } else {
            Ok(text)
        }
    })
}

/// The paper to confirm: asked for with exactly one kind of application.
pub(super) fn existing_document(
    given: Option<&pb::ExistingDocument>,
    request_type: Option<RequestType>,
    found: &mut Violations,
) -> Option<Option<Paper>> {
    let field = "existing_document";
    match (given, request_type? == RequestType::ConfirmExisting) {
        (Some(given), true) => found.take_nested(field, paper(given)).map(Some),
        (None, true) => found.take(field, Err(Reason::FieldRequired)),
        (Some(_), false) => found.take(field, Err(Reason::FieldFormat)),
        (None, false) => Some(None),
    }
}

/// A paper. When it was issued is not bounded: that is for whoever looks at it.
pub(super) fn paper(given: &pb::ExistingDocument) -> Result<Paper, Violations> {
    let mut found = Violations::default();
    let number = found.take("number", not_empty(parse_external_ref(&given.number)));
    let issue_date = given.issue_date.as_ref().map(jalali);
    let issue_date = issue_date.unwrap_or(Err(Reason::FieldRequired));
    let issue_date = found.take("issue_date", issue_date);
    found.finish(
        number
            .zip(issue_date)
            .map(|(number, issue_date)| Paper { number, issue_date }),
    )
}

fn replaced(
    given: &str,
    request_type: Option<RequestType>,
    found: &mut Violations,
) -> Option<Option<Uuid>> {
    let field = "replaces";
    match (given.is_empty(), request_type?.replaces()) {
        (true, false) => Some(None),
        (true, true) => found.take(field, Err(Reason::FieldRequired)),
        (false, false) => found.take(field, Err(Reason::FieldFormat)),
        (false, true) => found
            .take(field, Collection::EnrollmentCertificates.parse(given))
            .map(Some),
    }
}

pub(super) fn addressee(given: &pb::Addressee) -> Result<(String, Option<String>), Violations> {
    let mut found = Violations::default();
    let fa = found.take("name_fa", text(&given.name_fa, ADDRESSEE_MAX_CHARS));
    let en = found.take(
        "name_en",
        optional_text(&given.name_en, ADDRESSEE_MAX_CHARS),
    );
    found.finish(fa.zip(en))
}

/// Reads a request for one application. The single window must say for whom it
/// asks.
///
/// # Errors
///
/// Every violation at once.
pub fn get_application(
    request: &pb::GetEnrollmentCertificateApplicationRequest,
    class: CallerClass,
) -> Result<GetInput, AppError> {
    let collection = Collection::EnrollmentCertificateApplications;
    let claim = request.subject_claim.as_ref();
    get_named(
        check_rules(request),
        collection,
        &request.name,
        claim,
        class,
    )
}

/// Reads a request for one certificate. The single window must say for whom it
/// asks.
///
/// # Errors
///
/// Every violation at once.
pub fn get_certificate(
    request: &pb::GetEnrollmentCertificateRequest,
    class: CallerClass,
) -> Result<GetInput, AppError> {
    let claim = request.subject_claim.as_ref();
    get_named(
        check_rules(request),
        Collection::EnrollmentCertificates,
        &request.name,
        claim,
        class,
    )
}

/// Reads a request for one resource by its name and the person asked for.
pub(super) fn get_named(
    annotated: Violations,
    collection: Collection,
    name: &str,
    claim: Option<&pb::PersonId>,
    class: CallerClass,
) -> Result<GetInput, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", collection.parse(name));
    let claim = subject_claim(claim, class, &mut found);
    settle(annotated, found, id.map(|id| GetInput { id, claim }))
}

/// Reads a request for a list of applications. The single window must say for
/// whom it asks.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn list_applications(
    mut request: pb::ListEnrollmentCertificateApplicationsRequest,
    class: CallerClass,
    known: &Known<'_>,
) -> Result<ListInput<ApplicationState>, AppError> {
    let annotated = check_rules(&request);
    let filters = Filters {
        institution: request.institution_code.clone(),
        state: from_pb(request.state),
        claim: request.subject_claim.clone(),
    };
    list(annotated, &mut request, filters, class, known)
}

/// Reads a request for a list of certificates. The single window must say for
/// whom it asks.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn list_certificates(
    mut request: pb::ListEnrollmentCertificatesRequest,
    class: CallerClass,
    known: &Known<'_>,
) -> Result<ListInput<DocumentState>, AppError> {
    let annotated = check_rules(&request);
    let filters = Filters {
        institution: request.institution_code.clone(),
        state: from_pb(request.state),
        claim: request.subject_claim.clone(),
    };
    list(annotated, &mut request, filters, class, known)
}

struct Filters<S> {
    institution: String,
    state: Option<S>,
    claim: Option<pb::PersonId>,
}

fn list<S, R: ListRequest>(
    annotated: Violations,
    request: &mut R,
    filters: Filters<S>,
    class: CallerClass,
    known: &Known<'_>,
) -> Result<ListInput<S>, AppError> {
    let mut found = Violations::default();
    let page = take_page(request, &mut found);
    let institution = institution_filter(&filters.institution, known);
    let institution = found.take("institution_code", institution);
    let claim = subject_claim(filters.claim.as_ref(), class, &mut found);
    let (page, institution) = settle(annotated, found, page.zip(institution))?;
    let institution = institution.map(Named::registered).transpose()?;
    Ok(ListInput {
        page,
        institution,
        state: filters.state,
        claim,
    })
}

/// The contract's form of an application.
#[must_use]
pub fn application_to_pb(stored: &StoredApplication) -> pb::EnrollmentCertificateApplication {
    let content = &stored.content;
    let issued = stored.state == ApplicationState::Issued;
    let certificate = Collection::EnrollmentCertificates.name(stored.certificate_id);
    pb::EnrollmentCertificateApplication {
        name: Collection::EnrollmentCertificateApplications.name(stored.id),
        r#type: to_pb(content.request_type),
        state: to_pb(stored.state),
        window_reference: content.window_reference.clone(),
        subject: Some(subject_to_pb(&content.subject)),
        institution_code: content.institution.as_str().to_owned(),
        student_number: content.student_number.as_str().to_owned(),
        purpose: to_pb(content.purpose),
        addressee: Some(addressee_to_pb(
            &content.addressee_fa,
            content.addressee_en.as_ref(),
        )),
        enrollment_certificate: if issued { certificate } else { String::new() },
        quote: content.quote.as_ref().map(quote_to_pb),
        workflow_version: content.workflow_version.clone(),
        history: stored.history.iter().map(step_to_pb).collect(),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        existing_document: content.paper.as_ref().map(paper_to_pb),
        replaces: certificate_name(content.replaces),
        pay_until_time: stored.pay_until.map(instant_to_pb),
        due_time: content.due_time.map(instant_to_pb),
        etag: stored.version.to_string(),
        attachments: attachments_to_pb(&content.attachments),
        documents_publication: content.documents,
    }
}

fn certificate_name(id: Option<Uuid>) -> String {
    id.map(|id| Collection::EnrollmentCertificates.name(id))
        .unwrap_or_default()
}

fn paper_to_pb(paper: &Paper) -> pb::ExistingDocument {
    pb::ExistingDocument {
        number: paper.number.clone(),
        issue_date: Some(jalali_to_pb(paper.issue_date)),
    }
}

fn step_to_pb(step: &StoredStep) -> pb::StateChange {
    pb::StateChange {
        state: to_pb(step.state),
        change_time: Some(instant_to_pb(step.change_time)),
        actor: step.caller().to_owned(),
        decider: step.decider.clone(),
        reason: step.reason.clone(),
        remarks: step.remarks.iter().map(remark_to_pb).collect(),
    }
}

fn addressee_to_pb(fa: &str, en: Option<&String>) -> pb::Addressee {
    pb::Addressee {
        name_fa: fa.to_owned(),
        name_en: en.cloned().unwrap_or_default(),
    }
}

/// The contract's form of an issued certificate.
#[must_use]
pub fn certificate_to_pb(stored: &StoredCertificate) -> pb::EnrollmentCertificate {
    let content = &stored.content;
    pb::EnrollmentCertificate {
        name: Collection::EnrollmentCertificates.name(stored.id),
        code: stored.code.as_str().to_owned(),
        serial: stored.serial.to_string(),
        state: to_pb(stored.state),
        application: Collection::EnrollmentCertificateApplications.name(stored.application_id),
        subject: Some(subject_to_pb(&content.subject)),
        program: Some(program_to_pb(&content.program)),
        term: Some(term_to_pb(content.term)),
        purpose: to_pb(content.purpose),
        addressee: Some(addressee_to_pb(
            &content.addressee_fa,
            content.addressee_en.as_ref(),
        )),
        issue_time: Some(instant_to_pb(stored.issue_time)),
        issue_date: Some(jalali_of(stored.issue_time)),
        expire_time: Some(instant_to_pb(stored.expire_time)),
        valid_until_date: Some(jalali_to_pb(content.valid_until)),
        signed_document: stored.signed_document.clone().unwrap_or_default(),
        key_id: stored.key_id.clone(),
        revocation: stored.revocation.as_ref().map(revocation_to_pb),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
        supersedes: certificate_name(stored.supersedes),
        superseded_by: certificate_name(stored.superseded_by),
        existing_document: content.paper.as_ref().map(paper_to_pb),
    }
}

/// Where a page of applications that ends with this one goes on.
#[must_use]
pub fn application_place(stored: &StoredApplication) -> PageKey {
    PageKey {
        micros: stored.create_time.as_microsecond(),
        id: stored.id,
    }
}

/// Where a page of certificates that ends with this one goes on.
#[must_use]
pub fn certificate_place(stored: &StoredCertificate) -> PageKey {
    PageKey {
        micros: stored.issue_time.as_microsecond(),
        id: stored.id,
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
