//! Enums of the contract and of the domain: twins by name. The contract's name
//! without the enum's prefix is the domain's name, so there is no table to keep
//! in step, only a test. Names are compared once: after that numbers stand beside
//! values.

use std::sync::LazyLock;

use gavah_api::v1 as pb;
use gavah_domain::enums::TextEnum;

/// An enum of the domain with a twin in the contract.
pub trait Twin: TextEnum + PartialEq {
    /// The contract's name of a number, with prefix; `None` for a number the
    /// contract does not know.
    fn contract_name(number: i32) -> Option<&'static str>;

    /// The contract's number of a name with prefix.
    fn contract_number(name: &str) -> Option<i32>;

    /// The values that the contract publishes, each with its number.
    fn numbers() -> &'static [(Self, i32)];
}

/// The domain's value of a number of the contract; `None` for "unspecified" and
/// for numbers the contract does not know.
#[must_use]
pub fn from_pb<D: Twin>(number: i32) -> Option<D> {
    let mut numbers = D::numbers().iter();
    numbers
        .find(|(_, known)| *known == number)
        .map(|(value, _)| *value)
}

/// The contract's number of a domain value; 0, "unspecified", for a value the
/// contract does not publish.
#[must_use]
pub fn to_pb<D: Twin>(value: D) -> i32 {
    let mut numbers = D::numbers().iter();
    numbers
        .find(|(known, _)| *known == value)
        .map_or(0, |(_, number)| *number)
}

/// As [`to_pb`]; what is not there is unspecified.
#[must_use]
pub fn option_to_pb<D: Twin>(value: Option<D>) -> i32 {
    value.map_or(0, to_pb)
}

/// What the names of the contract's twin begin with: `TERM_KIND_`.
fn prefix<D: Twin>() -> &'static str {
    D::contract_name(0)
        .and_then(|zero| zero.strip_suffix("UNSPECIFIED"))
        .unwrap_or_default()
}

fn numbered<D: Twin>() -> Vec<(D, i32)> {
    let number = |value: D| {
        let name = format!("{}{}", prefix::<D>(), value.as_str());
        Some((value, D::contract_number(&name)?))
    };
    D::ALL.iter().copied().filter_map(number).collect()
}

macro_rules! twins {
    ($($contract:ident = $domain:ty),+ $(,)?) => {
        $(
            impl Twin for $domain {
                fn contract_name(number: i32) -> Option<&'static str> {
                    pb::$contract::try_from(number).ok().map(|value| value.as_str_name())
                }

                fn contract_number(name: &str) -> Option<i32> {
                    pb::$contract::from_str_name(name).map(|value| value as i32)
                }

                fn numbers() -> &'static [(Self, i32)] {
                    static NUMBERS: LazyLock<Vec<($domain, i32)>> = LazyLock::new(numbered);
                    &NUMBERS
                }
            }
        )+

        /// Each twin for the test: the contract's name, the way there and back,
        /// and the domain's names.
        #[cfg(test)]
        fn twins() -> Vec<tests::Pair> {
            vec![$(tests::Pair::of::<$domain>(stringify!($contract))),+]
        }
    };
}

twins! {
    AgreementEnd = gavah_domain::agreement::AgreementEnd,
    AgreementField = gavah_domain::agreement::AgreementField,
    AgreementPurpose = gavah_domain::agreement::AgreementPurpose,
    AgreementState = gavah_domain::agreement::AgreementState,
    ApplicationState = gavah_domain::certificate::ApplicationState,
    ApplicationType = gavah_domain::certificate::RequestType,
    AskingPurpose = gavah_domain::disclosure::AskingPurpose,
    AttachmentKind = gavah_domain::attachment::AttachmentKind,
    BlockKind = gavah_domain::record::BlockKind,
    CallerClass = gavah_domain::caller::CallerClass,
    CallerState = gavah_domain::caller::CallerState,
    CodeApplicationState = gavah_domain::code_application::CodeApplicationState,
    DegreeLevel = gavah_domain::program::DegreeLevel,
    DisputeParty = gavah_domain::dispute::Party,
    DisputeState = gavah_domain::dispute::DisputeState,
    DocumentKind = gavah_domain::validity::DocumentKind,
    DocumentState = gavah_domain::document::DocumentState,
    EnrollmentEventKind = gavah_domain::record::EnrollmentEventKind,
    EnrollmentStatus = gavah_domain::record::EnrollmentStatus,
    ExpertState = gavah_domain::caller::ExpertState,
    ForeignCodeKind = gavah_domain::ForeignCodeKind,
    Gender = gavah_domain::record::Gender,
    IncidentState = gavah_domain::incident::IncidentState,
    InstitutionState = gavah_domain::institution::InstitutionState,
    InstitutionType = gavah_domain::institution::InstitutionType,
    IssuanceJobState = gavah_domain::job::JobState,
    Judgement = gavah_domain::verdict::Judgement,
    MatchResult = gavah_domain::matching::MatchResult,
    MediaType = gavah_domain::attachment::MediaType,
    MoneyUnit = gavah_domain::MoneyUnit,
    OrderedAct = gavah_domain::dispute::OrderedAct,
    OrderedActionState = gavah_domain::dispute::ActionState,
    Outcome = gavah_domain::verdict::Outcome,
    PaymentDifferenceKind = gavah_domain::payment::DifferenceKind,
    PaymentLineState = gavah_domain::payment::LineState,
    PaymentState = gavah_domain::payment::PaymentState,
    Purpose = gavah_domain::certificate::Purpose,
    QuoteBasis = gavah_domain::tariff::QuoteBasis,
    RefundMethod = gavah_domain::payment::RefundMethod,
    RefundState = gavah_domain::payment::RefundState,
    RevocationReason = gavah_domain::document::RevocationReason,
    RulingOutcome = gavah_domain::dispute::RulingOutcome,
    ServiceCallState = gavah_domain::service::ServiceCallState,
    ServiceDocumentKind = gavah_domain::service_document::ServiceDocumentKind,
    ServiceDocumentState = gavah_domain::service_document::ServiceDocumentState,
    ServiceKind = gavah_domain::service::ServiceKind,
    StudyMode = gavah_domain::program::StudyMode,
    TermKind = gavah_domain::TermKind,
    VerdictReason = gavah_domain::verdict::VerdictReason,
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Enums of the contract that the domain does not know: what the registry
    /// and the store tell of themselves, and actions of which each body has some.
    const WITHOUT_TWIN: [&str; 9] = [
        "ClientCertificateState",
        "CodeReview",
        "DocumentType",
        "ExpertDecision",
        "GuideLanguage",
        "OrganizationDecision",
        "SlaDimension",
        "UniversityDecision",
        "UpsertOutcome",
    ];

    pub(super) struct Pair {
        contract: &'static str,
        to_domain: fn(i32) -> Option<&'static str>,
        to_contract: fn(&str) -> i32,
        domain: Vec<&'static str>,
    }

    impl Pair {
        pub(super) fn of<D: Twin>(contract: &'static str) -> Self {
            Self {
                contract,
                to_domain: |number| from_pb::<D>(number).map(TextEnum::as_str),
                to_contract: |name| {
                    let mut values = D::ALL.iter().copied();
                    values
                        .find(|value| value.as_str() == name)
                        .map_or(-1, to_pb)
                },
                domain: D::ALL.iter().map(|value| value.as_str()).collect(),
            }
        }
    }

    #[test]
    fn every_enum_of_the_contract_agrees_with_its_twin_value_by_value() {
        let contract = FileDescriptorSet::decode(gavah_api::DESCRIPTOR_SET).unwrap();
        let ours = contract
            .file
            .iter()
            .filter(|file| file.package() == "gavah.v1");
        let mut twins = twins();
        for published in ours.flat_map(|file| &file.enum_type) {
            let name = published.name();
            if WITHOUT_TWIN.contains(&name) {
                continue;
            }
            let place = twins.iter().position(|twin| twin.contract == name);
            let twin = twins.remove(place.unwrap_or_else(|| panic!("{name} has no twin")));
            let mut seen = Vec::new();
            for value in &published.value {
                let domain = (twin.to_domain)(value.number());
                if value.number() == 0 {
                    assert!(value.name().ends_with("_UNSPECIFIED"), "{}", value.name());
                    assert_eq!(domain, None, "{}", value.name());
                    continue;
                }
                let domain = domain.unwrap_or_else(|| panic!("{} has no twin", value.name()));
                assert!(
                    value.name().ends_with(domain),
                    "{} became {domain}",
                    value.name()
                );
                assert_eq!(
                    (twin.to_contract)(domain),
                    value.number(),
                    "{}",
                    value.name()
                );
                seen.push(domain);
            }
            for domain in &twin.domain {
                assert!(seen.contains(domain), "{name} does not publish {domain}");
            }
        }
        let left: Vec<_> = twins.iter().map(|twin| twin.contract).collect();
        assert!(left.is_empty(), "not in the contract: {left:?}");
    }

    #[test]
    fn unspecified_and_unknown_numbers_are_no_value() {
        for number in [0, -1, 4, i32::MAX] {
            assert_eq!(from_pb::<gavah_domain::TermKind>(number), None, "{number}");
        }
        assert_eq!(from_pb(2), Some(gavah_domain::TermKind::Second));
        assert_eq!(option_to_pb(Some(gavah_domain::TermKind::Second)), 2);
        assert_eq!(option_to_pb(None::<gavah_domain::TermKind>), 0);
    }
}
