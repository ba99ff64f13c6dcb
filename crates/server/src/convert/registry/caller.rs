//! Callers and their client certificates.

use gavah_api::v1 as pb;
use gavah_domain::caller::{Caller, CallerClass, CallerId};
use gavah_domain::text::ascii_digits;
use gavah_domain::{Reason, Violations};
use gavah_store::NewCaller;

use super::{NAME_MAX_CHARS, optional_code};
use crate::convert::enums::from_pb;
use crate::convert::head::{Head, open};
use crate::convert::page::{Page, take_page};
use crate::convert::{Known, check_rules, names, required, settle, silent_debug, text, time};
use crate::error::AppError;

/// A caller to register, or to change: then without fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerInput {
    /// Retry key and digest.
    pub head: Head,
    /// The caller, with its institution's registered code where it is
    /// registered. Its class and institution never change.
    pub caller: NewCaller,
    /// The version the caller read, when changing.
    pub etag: Option<i64>,
}

/// A client certificate to register or retire.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificateInput {
    /// Retry key and digest.
    pub head: Head,
    /// Whose.
    pub caller: CallerId,
    /// SHA-256 of the certificate, 64 lower-case hex digits.
    pub fingerprint: String,
}

silent_debug!(CallerInput, ClientCertificateInput);

/// Reads a request to register a caller.
///
/// # Errors
///
/// Every violation at once.
pub fn create_caller(
    mut request: pb::CreateCallerRequest,
    known: &Known<'_>,
) -> Result<CallerInput, AppError> {
    let opened = open(&mut request);
    let fingerprint = fingerprint(&request.certificate_fingerprint);
    caller_input(opened, request.caller.as_ref(), fingerprint, known)
}

/// Reads a request to change a caller. There is no fingerprint in it.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version
/// has.
pub fn update_caller(
    mut request: pb::UpdateCallerRequest,
    known: &Known<'_>,
) -> Result<CallerInput, AppError> {
    let opened = open(&mut request);
    let input = caller_input(opened, request.caller.as_ref(), Ok(String::new()), known)?;
    let etag = request.caller.map(|given| given.etag).unwrap_or_default();
    Ok(CallerInput {
        etag: time::etag(&etag)?,
        ..input
    })
}

fn caller_input(
    (annotated, head): (Violations, Option<Head>),
    given: Option<&pb::Caller>,
    fingerprint: Result<String, Reason>,
    known: &Known<'_>,
) -> Result<CallerInput, AppError> {
    let mut found = Violations::default();
    let caller = given.map(|given| caller(given, known));
    let caller = required(&mut found, "caller", caller);
    let fingerprint = found.take("certificate_fingerprint", fingerprint);
    let input = (|| {
        let caller = NewCaller {
            fingerprint: fingerprint?,
            ..caller?
        };
        Some(CallerInput {
            head: head?,
            caller,
            etag: None,
        })
    })();
    settle(annotated, found, input)
}

fn caller(given: &pb::Caller, known: &Known<'_>) -> Result<NewCaller, Violations> {
    let mut found = Violations::default();
    let id = found.take("caller_id", CallerId::parse(&given.caller_id));
    let class: Option<CallerClass> = from_pb(given.caller_class);
    let class = found.take("caller_class", class.ok_or(Reason::FieldRequired));
    let institution = optional_code(&given.institution_code, known);
    let institution = institution.and_then(|own| match (class, &own) {
        (Some(class), None) if class.needs_institution() => Err(Reason::FieldRequired),
        (Some(class), Some(_)) if !class.needs_institution() => Err(Reason::FieldFormat),
        _ => Ok(own),
    });
    let institution = found.take("institution_code", institution);
    let display_name = found.take("display_name", text(&given.display_name, NAME_MAX_CHARS));
    let state = found.take("state", from_pb(given.state).ok_or(Reason::FieldRequired));
    let caller = (|| {
        Some(NewCaller {
            caller: Caller {
                id: id?,
                class: class?,
                institution: institution?,
            },
            display_name: display_name?,
            state: state?,
            fingerprint: String::new(),
        })
    })();
    found.finish(caller)
}

/// A fingerprint: 64 hex digits, in either case, with or without colons and
/// spaces, as tools print them.
fn fingerprint(given: &str) -> Result<String, Reason> {
    let digits: String = ascii_digits(given)
        .chars()
        .filter(|c| *c != ':' && !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if digits.is_empty() {
        Err(Reason::FieldRequired)
    } else if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err(Reason::FieldFormat)
    }
}

/// Reads a request for one caller.
///
/// # Errors
///
/// The violation of `name`.
pub fn get_caller(request: &pb::GetCallerRequest) -> Result<CallerId, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", names::parse_caller(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads a request for a list of callers: the page, ordered by id.
///
/// # Errors
///
/// Every violation at once.
pub fn list_callers(mut request: pb::ListCallersRequest) -> Result<Page<String>, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    settle(annotated, found, page)
}

/// Reads a request to register a further client certificate.
///
/// # Errors
///
/// Every violation at once.
pub fn add_certificate(
    mut request: pb::AddClientCertificateRequest,
) -> Result<ClientCertificateInput, AppError> {
    let opened = open(&mut request);
    client_certificate(opened, &request.caller, &request.fingerprint)
}

/// Reads a request to retire a client certificate.
///
/// # Errors
///
/// Every violation at once.
pub fn retire_certificate(
    mut request: pb::RetireClientCertificateRequest,
) -> Result<ClientCertificateInput, AppError> {
    let opened = open(&mut request);
    client_certificate(opened, &request.caller, &request.fingerprint)
}

fn client_certificate(
    (annotated, head): (Violations, Option<Head>),
    caller: &str,
    given: &str,
) -> Result<ClientCertificateInput, AppError> {
    let mut found = Violations::default();
    let caller = found.take("caller", names::parse_caller(caller));
    let fingerprint = found.take("fingerprint", fingerprint(given));
    let input = (|| {
        Some(ClientCertificateInput {
            head: head?,
            caller: caller?,
            fingerprint: fingerprint?,
        })
    })();
    settle(annotated, found, input)
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
