//! Suspending, reinstating and revoking: six requests of one shape.

use gavah_api::v1 as pb;
use gavah_domain::document::{DocumentAction, RevocationReason};
use gavah_domain::{Reason, Violations};
use uuid::Uuid;

use super::enums::from_pb;
use super::head::{Head, open};
use super::names::Collection;
use super::{optional_text, settle, silent_debug, time};
use crate::error::AppError;

/// Greatest length of a remark and of a legal basis, in characters.
const REMARK_MAX_CHARS: usize = 200;

/// How a document is to change.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id of the document.
    pub id: Uuid,
    /// What to do.
    pub action: DocumentAction,
    /// Why; set exactly when revoking.
    pub reason: Option<RevocationReason>,
    /// The legal basis of a revocation; may be empty.
    pub legal_basis: String,
    /// Why, when not revoking; may be empty.
    pub remark: String,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
}

silent_debug!(ChangeInput);

/// What differs between the requests.
#[derive(Default)]
struct Given<'a> {
    name: &'a str,
    reason: Option<i32>,
    legal_basis: &'a str,
    remark: &'a str,
    etag: &'a str,
}

fn read(
    (annotated, head): (Violations, Option<Head>),
    collection: Collection,
    action: DocumentAction,
    given: &Given<'_>,
) -> Result<ChangeInput, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", collection.parse(given.name));
    let reason = found.take("reason", given.reason.map(revocation_reason).transpose());
    let legal_basis = legal_basis(given.legal_basis, reason.flatten(), &mut found);
    let remark = found.take("remark", optional_text(given.remark, REMARK_MAX_CHARS));
    let input = (|| {
        Some(ChangeInput {
            head: head?,
            id: id?,
            action,
            reason: reason?,
            legal_basis: legal_basis?,
            remark: remark?.unwrap_or_default(),
            etag: None,
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(ChangeInput {
        etag: time::etag(given.etag)?,
        ..input
    })
}

/// The legal basis of a revocation, which a court's order must have; may be empty otherwise.
pub(super) fn legal_basis(
    given: &str,
    reason: Option<RevocationReason>,
    found: &mut Violations,
) -> Option<String> {
    let basis = found.take("legal_basis", optional_text(given, REMARK_MAX_CHARS));
    if reason == Some(RevocationReason::CourtOrder) && basis == Some(None) {
        found.push("legal_basis", Reason::FieldRequired);
    }
    basis.map(Option::unwrap_or_default)
}

pub(super) fn revocation_reason(given: i32) -> Result<RevocationReason, Reason> {
    let reason: RevocationReason = from_pb(given).ok_or(Reason::FieldRequired)?;
    if reason.may_be_given() {
        Ok(reason)
    } else {
        Err(Reason::FieldFormat)
    }
}

macro_rules! changes {
    ($(
        $(#[$doc:meta])*
        $function:ident: $request:ident, $collection:ident, $action:ident, [$($field:ident),+];
    )+) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// Every violation at once; then [`Reason::EtagMismatch`] for an
            /// etag no version has.
            pub fn $function(mut request: pb::$request) -> Result<ChangeInput, AppError> {
                let head = open(&mut request);
                let given = Given {
                    name: &request.name,
                    etag: &request.etag,
                    $($field: field!(request, $field),)+
                    ..Given::default()
                };
                read(head, Collection::$collection, DocumentAction::$action, &given)
            }
        )+
    };
}

macro_rules! field {
    ($request:ident, reason) => {
        Some($request.reason)
    };
    ($request:ident, $field:ident) => {
        &$request.$field
    };
}

changes! {
    /// Reads a request to suspend a validity code.
    suspend_code: SuspendValidityCodeRequest, ValidityCodes, Suspend, [remark];
    /// Reads a request to reinstate a validity code.
    reinstate_code: ReinstateValidityCodeRequest, ValidityCodes, Reinstate, [remark];
    /// Reads a request to revoke a validity code.
    revoke_code: RevokeValidityCodeRequest, ValidityCodes, Revoke, [reason, legal_basis];
    /// Reads a request to suspend a certificate.
    suspend_certificate:
        SuspendEnrollmentCertificateRequest, EnrollmentCertificates, Suspend, [remark];
    /// Reads a request to reinstate a certificate.
    reinstate_certificate:
        ReinstateEnrollmentCertificateRequest, EnrollmentCertificates, Reinstate, [remark];
    /// Reads a request to revoke a certificate.
    revoke_certificate:
        RevokeEnrollmentCertificateRequest, EnrollmentCertificates, Revoke, [reason, legal_basis];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::fixtures::{ID, violations};
    use crate::error::Refusal;

    fn revoke(reason: pb::RevocationReason) -> pb::RevokeValidityCodeRequest {
        pb::RevokeValidityCodeRequest {
            request_id: ID.to_owned(),
            name: format!("validityCodes/{ID}"),
            reason: reason as i32,
            ..Default::default()
        }
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let request = pb::RevokeEnrollmentCertificateRequest {
            request_id: String::new(),
            name: format!("validityCodes/{ID}"),
            reason: pb::RevocationReason::Superseded as i32,
            legal_basis: "x".repeat(201),
            etag: "1".repeat(65),
            ..Default::default()
        };
        assert_eq!(
            violations(revoke_certificate(request)),
            [
                ("request_id", Reason::FieldRequired),
                ("etag", Reason::FieldTooLong),
                ("name", Reason::FieldFormat),
                ("reason", Reason::FieldFormat),
                ("legal_basis", Reason::FieldTooLong),
            ]
        );
        let empty = [
            ("request_id", Reason::FieldRequired),
            ("name", Reason::FieldRequired),
            ("reason", Reason::FieldRequired),
        ];
        assert_eq!(violations(revoke_code(Default::default())), empty);
        assert_eq!(violations(revoke_certificate(Default::default())), empty);
        for refused in [
            violations(suspend_code(Default::default())),
            violations(reinstate_code(Default::default())),
            violations(suspend_certificate(Default::default())),
            violations(reinstate_certificate(Default::default())),
        ] {
            assert_eq!(refused, empty[..2]);
        }
        let request = pb::SuspendValidityCodeRequest {
            request_id: ID.to_owned(),
            name: format!("enrollmentCertificates/{ID}"),
            remark: "a\nb".to_owned(),
            ..Default::default()
        };
        assert_eq!(
            violations(suspend_code(request)),
            [
                ("name", Reason::FieldFormat),
                ("remark", Reason::FieldFormat)
            ]
        );
    }

    #[test]
    fn a_court_order_names_its_legal_basis() {
        let request = revoke(pb::RevocationReason::CourtOrder);
        for blank in ["", " \u{200c}"] {
            let request = pb::RevokeValidityCodeRequest {
                legal_basis: blank.to_owned(),
                ..request.clone()
            };
            let refused = violations(revoke_code(request));
            assert_eq!(refused, [("legal_basis", Reason::FieldRequired)]);
        }
        let legal_basis = " دادنامه  ۱۲ ".to_owned();
        let input = revoke_code(pb::RevokeValidityCodeRequest {
            legal_basis,
            ..request
        })
        .unwrap();
        assert_eq!(input.legal_basis, "دادنامه ۱۲");
        assert_eq!(input.reason, Some(RevocationReason::CourtOrder));
        assert_eq!(format!("{input:?}"), "ChangeInput(…)");
    }

    #[test]
    fn an_etag_no_version_has_is_a_mismatch_when_nothing_else_is_wrong() {
        let etag = "W/\"1\"".to_owned();
        let request = pb::RevokeValidityCodeRequest {
            etag: etag.clone(),
            ..revoke(pb::RevocationReason::Fraud)
        };
        assert_eq!(
            revoke_code(request),
            Err(AppError::Refused(Refusal::new(Reason::EtagMismatch)))
        );
        let request = pb::RevokeValidityCodeRequest {
            etag,
            ..Default::default()
        };
        assert_eq!(violations(revoke_code(request)).len(), 3);
    }

    #[test]
    fn the_six_requests_become_their_actions() {
        let request_id = ID.to_owned();
        let remark = "پرونده ناقص".to_owned();
        let etag = "3".to_owned();
        let code = format!("validityCodes/{ID}");
        let input = suspend_code(pb::SuspendValidityCodeRequest {
            request_id: request_id.clone(),
            validate_only: true,
            name: code.clone(),
            remark: remark.clone(),
            etag,
        })
        .unwrap();
        assert_eq!(input.action, DocumentAction::Suspend);
        assert_eq!(input.id.to_string(), ID);
        assert!(input.head.validate_only);
        assert_eq!(
            (input.remark, input.etag, input.reason),
            (remark, Some(3), None)
        );
        let input = reinstate_code(pb::ReinstateValidityCodeRequest {
            request_id: request_id.clone(),
            name: code,
            ..Default::default()
        });
        assert_eq!(input.unwrap().action, DocumentAction::Reinstate);
        let input = revoke_code(revoke(pb::RevocationReason::Fraud)).unwrap();
        assert_eq!((input.action, input.etag), (DocumentAction::Revoke, None));
        let name = format!("enrollmentCertificates/{ID}");
        let input = suspend_certificate(pb::SuspendEnrollmentCertificateRequest {
            request_id: request_id.clone(),
            name: name.clone(),
            ..Default::default()
        });
        assert_eq!(input.unwrap().action, DocumentAction::Suspend);
        let input = reinstate_certificate(pb::ReinstateEnrollmentCertificateRequest {
            request_id: request_id.clone(),
            name: name.clone(),
            ..Default::default()
        });
        assert_eq!(input.unwrap().action, DocumentAction::Reinstate);
        let input = revoke_certificate(pb::RevokeEnrollmentCertificateRequest {
            request_id,
            name,
            reason: pb::RevocationReason::EnrollmentEnded as i32,
            ..Default::default()
        });
        assert_eq!(
            input.unwrap().reason,
            Some(RevocationReason::EnrollmentEnded)
        );
    }
}
