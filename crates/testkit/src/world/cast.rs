//! Who plays: the callers, institutions and experts of every world, and the reference data they live under.

use gavah_domain::JalaliDate;
use gavah_domain::caller::{CallerClass, ExpertState};
use gavah_domain::institution::{Institution, InstitutionType};
use gavah_domain::validity::DocumentKind;
use gavah_store::{
    AgreementSeed, CallSeed, CodeRulesSeed, Seed, StoredExpert, TariffSeed, TermSeed,
    WorkflowRules, WorkflowSeed,
};

use crate::fixtures;

/// A state university.
pub const UNIVERSITY: &str = "1001";
/// Another name of [`UNIVERSITY`].
pub const UNIVERSITY_ALIAS: &str = "SYN-UNI";
/// Another state university.
pub const OTHER_UNIVERSITY: &str = "1002";
/// The headquarters of Payame Noor.
pub const CENTRAL_BODY: &str = "3000";
/// A unit of Payame Noor.
pub const UNIT: &str = "3001";
/// A university whose type is known and not eligible.
pub const INELIGIBLE: &str = "6001";

/// The active expert of every institution.
pub const EXPERT: &str = "E1";
/// The inactive expert of [`UNIVERSITY`].
pub const INACTIVE_EXPERT: &str = "E2";

/// The agreement of the national hub.
pub const HUB_AGREEMENT: &str = "hub";
/// The agreement of [`AGENCY`], which calls through the national hub.
pub const AGENCY_AGREEMENT: &str = "agency";
/// A synthetic agency's national id.
pub const AGENCY: &str = "14099999990";

/// The service call for validity codes.
pub const CODE_CALL: &str = "codes";
/// The service call for enrollment certificates.
pub const CERTIFICATE_CALL: &str = "certificates";

/// Code, type and headquarters of each institution.
const INSTITUTIONS: [(&str, InstitutionType, Option<&str>); 5] = [
    (UNIVERSITY, InstitutionType::State, None),
    (OTHER_UNIVERSITY, InstitutionType::State, None),
    (CENTRAL_BODY, InstitutionType::PayameNoor, None),
    (UNIT, InstitutionType::PayameNoor, Some(CENTRAL_BODY)),
    (INELIGIBLE, InstitutionType::Azad, None),
];

/// A registered caller: at least one of every class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallerKind {
    /// The single service window.
    Window,
    /// The system of [`UNIVERSITY`].
    University,
    /// The system of [`OTHER_UNIVERSITY`].
    OtherUniversity,
    /// The system of [`INELIGIBLE`].
    IneligibleUniversity,
    /// The system of [`CENTRAL_BODY`].
    CentralBody,
    /// The national information exchange hub.
    Hub,
    /// The Organization's officers.
    Organization,
    /// An auditor.
    Auditor,
    /// A monitor.
    Monitor,
}

impl CallerKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Window,
        Self::University,
        Self::OtherUniversity,
        Self::IneligibleUniversity,
        Self::CentralBody,
        Self::Hub,
        Self::Organization,
        Self::Auditor,
        Self::Monitor,
    ];

    /// One of each class.
    pub const ONE_OF_EACH_CLASS: [Self; 7] = [
        Self::Window,
        Self::University,
        Self::CentralBody,
        Self::Hub,
        Self::Organization,
        Self::Auditor,
        Self::Monitor,
    ];

    /// The caller id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::University => "university",
            Self::OtherUniversity => "other-university",
            Self::IneligibleUniversity => "ineligible-university",
            Self::CentralBody => "central-body",
            Self::Hub => "hub",
            Self::Organization => "organization",
            Self::Auditor => "auditor",
            Self::Monitor => "monitor",
        }
    }

    /// The class.
    #[must_use]
    pub const fn class(self) -> CallerClass {
        match self {
            Self::Window => CallerClass::SingleWindow,
            Self::University | Self::OtherUniversity | Self::IneligibleUniversity => {
                CallerClass::University
            }
            Self::CentralBody => CallerClass::CentralBody,
            Self::Hub => CallerClass::NationalHub,
            Self::Organization => CallerClass::Organization,
            Self::Auditor => CallerClass::Auditor,
            Self::Monitor => CallerClass::Monitor,
        }
    }

    /// The institution whose system it is.
    #[must_use]
    pub const fn institution(self) -> Option<&'static str> {
        match self {
            Self::University => Some(UNIVERSITY),
            Self::OtherUniversity => Some(OTHER_UNIVERSITY),
            Self::IneligibleUniversity => Some(INELIGIBLE),
            Self::CentralBody => Some(CENTRAL_BODY),
            Self::Window | Self::Hub | Self::Organization | Self::Auditor | Self::Monitor => None,
        }
    }
}

/// All institutions, headquarters before their units.
pub(super) fn institutions() -> Vec<Institution> {
    let make = |(code, kind, parent): (&str, InstitutionType, Option<&str>)| Institution {
        kind,
        parent: parent.map(fixtures::institution_code),
        aliases: match code {
            UNIVERSITY => vec![UNIVERSITY_ALIAS.to_owned()],
            _ => Vec::new(),
        },
        ..fixtures::institution(code)
    };
    INSTITUTIONS.into_iter().map(make).collect()
}

/// All experts.
pub(super) fn experts() -> Vec<StoredExpert> {
    let active = INSTITUTIONS
        .iter()
        .map(|(code, ..)| fixtures::expert(code, EXPERT));
    let inactive = StoredExpert {
        state: ExpertState::Inactive,
        ..fixtures::expert(UNIVERSITY, INACTIVE_EXPERT)
    };
    active.chain([inactive]).collect()
}

/// Reference data around `today`: terms without gaps, an open call for each service, an agreement for each university and
/// the window, and this budget year's tariff table without rows, so that everything is free. Every kind of document may
/// get a code but [`DocumentKind::EnrollmentCertificate`].
#[must_use]
pub fn seed(today: JalaliDate) -> Seed {
    let year = today.year();
    let workflow = |id: &str, service: &str, require_prior_qualification| WorkflowSeed {
        id: id.to_owned(),
        service: service.to_owned(),
        rules: WorkflowRules {
            auto_confirm: true,
            freshness_hours: 24,
            require_prior_qualification,
            certificate_extra_days: 30,
            certificate_max_months: 6,
            university_review: false,
            organization_review: false,
            organization_review_percent: 100,
            outlives_enrollment: Vec::new(),
            payment_position: "BEFORE_ISSUE".to_owned(),
            required_attachments: Vec::new(),
            codes: CodeRulesSeed::default(),
        },
    };
    let eligible = InstitutionType::ALL
        .iter()
        .filter(|kind| kind.is_eligible());
    let eligible: Vec<String> = eligible.map(|kind| kind.as_str().to_owned()).collect();
    let call = |id: &str, service: &str, workflow: &str, document_kinds| CallSeed {
        id: id.to_owned(),
        service: service.to_owned(),
        state: "OPEN".to_owned(),
        opens: format!("{}/01/01", year - 1),
        closes: None,
        eligible_types: eligible.clone(),
        document_kinds,
        workflow: workflow.to_owned(),
        run_off_days: 30,
        sla_targets: std::collections::BTreeMap::new(),
    };
    let kinds = DocumentKind::ALL
        .iter()
        .filter(|kind| **kind != DocumentKind::EnrollmentCertificate);
    let agreement = |id: &str, call: &str, consumers: Vec<String>| AgreementSeed {
        id: id.to_owned(),
        call: call.to_owned(),
        consumers,
        ..AgreementSeed::default()
    };
    let of_the_hub = |id: &str, consumer: String| AgreementSeed {
        purposes: vec![
            "VALIDATE".to_owned(),
            "MATCH".to_owned(),
            "INQUIRE".to_owned(),
        ],
        fields: ["DOCUMENT", "INSTITUTION", "PROGRAM", "NAME", "ENROLLMENT"]
            .map(str::to_owned)
            .to_vec(),
        ..agreement(id, CODE_CALL, vec![consumer])
    };
    let universities = CallerKind::ALL.iter().filter_map(|kind| kind.institution());
    Seed {
        term: (year - 1..=year + 1).flat_map(terms).collect(),
        workflow: vec![
            workflow("code-v1", "VALIDITY_CODE", true),
            workflow("certificate-v1", "ENROLLMENT_CERTIFICATE", false),
        ],
        call: vec![
            call(
                CODE_CALL,
                "VALIDITY_CODE",
                "code-v1",
                kinds.map(|kind| kind.as_str().to_owned()).collect(),
            ),
            call(
                CERTIFICATE_CALL,
                "ENROLLMENT_CERTIFICATE",
                "certificate-v1",
                Vec::new(),
            ),
        ],
        agreement: vec![
            agreement(
                "universities",
                CODE_CALL,
                universities
                    .map(|code| format!("institutions/{code}"))
                    .collect(),
            ),
            agreement(
                "window",
                CERTIFICATE_CALL,
                vec![format!("callers/{}", CallerKind::Window.id())],
            ),
            of_the_hub(HUB_AGREEMENT, format!("callers/{}", CallerKind::Hub.id())),
            AgreementSeed {
                through: Some(CallerKind::Hub.id().to_owned()),
                ..of_the_hub(AGENCY_AGREEMENT, format!("agencies/{AGENCY}"))
            },
        ],
        agreement_text: fixtures::source_texts(),
        tariff: vec![TariffSeed {
            year,
            legal_reference: "synthetic law".to_owned(),
            supersedes: None,
            row: Vec::new(),
        }],
    }
}

/// The three terms that end in `year`, back to back: every day lies in one.
fn terms(year: i32) -> Vec<TermSeed> {
    let term = |kind: &str, start: String, end: String| TermSeed {
        academic_year: year - 1,
        kind: kind.to_owned(),
        start,
        end,
    };
    vec![
        term(
            "FIRST",
            format!("{}/07/01", year - 1),
            format!("{}/11/15", year - 1),
        ),
        term(
            "SECOND",
            format!("{}/11/16", year - 1),
            format!("{year}/04/15"),
        ),
        term("SUMMER", format!("{year}/04/16"), format!("{year}/06/31")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_caller() {
        for class in CallerClass::ALL {
            let one = CallerKind::ONE_OF_EACH_CLASS
                .iter()
                .filter(|kind| kind.class() == *class);
            assert_eq!(one.count(), 1, "{class}");
        }
    }

    #[test]
    fn the_seed_passes_its_own_check() {
        assert!(seed(fixtures::today()).check().is_ok());
    }
}
