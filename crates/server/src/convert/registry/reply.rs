//! Institutions, experts and callers: replies.

use gavah_api::v1 as pb;
use gavah_domain::agreement::Agreement;
use gavah_domain::institution::InstitutionCode;
use gavah_store::{
    CertificateEntry, StoredCaller, StoredExpert, StoredInstitution, agreement_name,
};
use jiff::Timestamp;

use crate::convert::enums::to_pb;
use crate::convert::names;
use crate::convert::time::instant_to_pb;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The contract's form of an institution.
#[must_use]
pub fn institution_to_pb(stored: &StoredInstitution) -> pb::Institution {
    let institution = &stored.institution;
    pb::Institution {
        name: names::institution(&institution.code),
        institution_code: institution.code.as_str().to_owned(),
        aliases: institution.aliases.clone(),
        r#type: to_pb(institution.kind),
        parent_code: code(institution.parent.as_ref()),
        name_fa: institution.name_fa.clone(),
        name_en: institution.name_en.clone(),
        state: to_pb(institution.state),
        successor_code: code(institution.successor.as_ref()),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
    }
}

/// The contract's form of an expert.
#[must_use]
pub fn expert_to_pb(stored: &StoredExpert) -> pb::Expert {
    pb::Expert {
        name: names::expert(&stored.institution_code, &stored.expert_code),
        institution_code: stored.institution_code.clone(),
        expert_code: stored.expert_code.clone(),
        display_name_fa: stored.display_name_fa.clone(),
        state: to_pb(stored.state),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
    }
}

/// The contract's form of a caller.
#[must_use]
pub fn caller_to_pb(stored: &StoredCaller) -> pb::Caller {
    let caller = &stored.caller;
    pb::Caller {
        name: names::caller(&caller.id),
        caller_id: caller.id.as_str().to_owned(),
        caller_class: to_pb(caller.class),
        institution_code: code(caller.institution.as_ref()),
        display_name: stored.display_name.clone(),
        state: to_pb(stored.state),
        client_certificates: stored.certificates.iter().map(certificate_to_pb).collect(),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
    }
}

fn certificate_to_pb(entry: &CertificateEntry) -> pb::ClientCertificate {
    let state = match entry.retire_time {
        None => pb::ClientCertificateState::Active,
        Some(_) => pb::ClientCertificateState::Retired,
    };
    pb::ClientCertificate {
        fingerprint: entry.fingerprint.clone(),
        state: state.into(),
        create_time: Some(instant_to_pb(entry.create_time)),
        retire_time: entry.retire_time.map(instant_to_pb),
    }
}

fn code(code: Option<&InstitutionCode>) -> String {
    code.map(|code| code.as_str().to_owned())
        .unwrap_or_default()
}

/// The client certificate of a connection.
#[derive(Debug, Clone, Copy)]
pub struct PresentedCertificate<'a> {
    /// SHA-256 of it, 64 lower-case hex digits.
    pub fingerprint: &'a str,
    /// The instant until which it is valid.
    pub not_after: Timestamp,
}

/// What the service knows of the caller.
#[must_use]
pub fn who_am_i(
    caller: &StoredCaller,
    institution: Option<&StoredInstitution>,
    certificate: PresentedCertificate<'_>,
    callable_methods: Vec<String>,
    now: Timestamp,
) -> pb::WhoAmIResponse {
    let left = certificate.not_after.as_second() - now.as_second();
    pb::WhoAmIResponse {
        caller: Some(caller_to_pb(caller)),
        institution: institution.map(institution_to_pb),
        certificate_fingerprint: certificate.fingerprint.to_owned(),
        certificate_expire_time: Some(instant_to_pb(certificate.not_after)),
        certificate_days_to_expiry: i32::try_from(left.div_euclid(DAY)).unwrap_or(i32::MAX),
        callable_methods,
        agreement_quotas: Vec::new(),
    }
}

/// The contract's form of what is left of an agreement today; nothing without a bound.
#[must_use]
pub fn quota_to_pb((agreement, left): (&Agreement, Option<i64>)) -> pb::AgreementQuota {
    let bound = |bound: Option<u32>| {
        let bound = bound.map(|bound| i32::try_from(bound).unwrap_or(i32::MAX));
        bound.unwrap_or_default()
    };
    pb::AgreementQuota {
        agreement: agreement_name(&agreement.id),
        daily_calls: bound(agreement.daily_calls),
        remaining_calls: left.unwrap_or_default(),
        burst: bound(agreement.burst),
    }
}
