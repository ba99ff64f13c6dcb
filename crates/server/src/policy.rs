//! Who may call what: one table, default deny.
//!
//! The table decides by class alone. Whether a caller may act for the institution or read the resource that a message
//! names is decided where the message is understood, in the use case.

use CallerClass::{
    Auditor, CentralBody, Monitor, NationalHub, Organization, SingleWindow, University,
};
use gavah_domain::caller::CallerClass;

const EVERY_CLASS: &[CallerClass] = CallerClass::ALL;
const OFFICERS: &[CallerClass] = &[Organization];
const OVERSIGHT: &[CallerClass] = &[Organization, Auditor];
const INSTITUTIONS: &[CallerClass] = &[University, CentralBody];
const INSTITUTIONS_AND_OFFICERS: &[CallerClass] = &[University, CentralBody, Organization];
const INSTITUTIONS_AND_OVERSIGHT: &[CallerClass] =
    &[University, CentralBody, Organization, Auditor];
const CONSUMERS: &[CallerClass] = &[SingleWindow, University, CentralBody, NationalHub];
const CONSUMERS_AND_OFFICERS: &[CallerClass] = &[
    SingleWindow,
    University,
    CentralBody,
    NationalHub,
    Organization,
];
const INQUIRERS: &[CallerClass] = &[NationalHub, Organization];
const REPORTED_TO: &[CallerClass] = &[Organization, Auditor, Monitor];
const WINDOW: &[CallerClass] = &[SingleWindow];
const PAYERS: &[CallerClass] = &[SingleWindow, University, CentralBody];
const SENDERS: &[CallerClass] = &[SingleWindow, University, CentralBody, Organization];
const CERTIFICATE_READERS: &[CallerClass] =
    &[SingleWindow, University, CentralBody, Organization, Auditor];
const ALL_BUT_MONITORS: &[CallerClass] = &[
    SingleWindow,
    University,
    CentralBody,
    NationalHub,
    Organization,
    Auditor,
];

/// Path of a method and the classes that may call it, sorted by path. What is not listed nobody may call.
#[rustfmt::skip] // one row a line
pub const POLICY: &[(&str, &[CallerClass])] = &[
    ("/gavah.v1.AgreementService/ApproveAgreement", OFFICERS),
    ("/gavah.v1.AgreementService/CloseServiceCall", OFFICERS),
    ("/gavah.v1.AgreementService/CreateServiceCall", OFFICERS),
    ("/gavah.v1.AgreementService/GetAgreement", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/GetAgreementText", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/GetServiceCall", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/ListAgreements", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/ListServiceCalls", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/ListServices", ALL_BUT_MONITORS),
    ("/gavah.v1.AgreementService/OpenServiceCall", OFFICERS),
    ("/gavah.v1.AgreementService/ReinstateAgreement", OFFICERS),
    ("/gavah.v1.AgreementService/RequestAgreement", CONSUMERS),
    ("/gavah.v1.AgreementService/SuspendAgreement", OFFICERS),
    ("/gavah.v1.AgreementService/TerminateAgreement", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.AttachmentService/DownloadAttachment", SENDERS),
    ("/gavah.v1.AttachmentService/UploadAttachment", SENDERS),
    ("/gavah.v1.AuditService/ListAuditEntries", OVERSIGHT),
    ("/gavah.v1.ChangeService/ListChanges", CERTIFICATE_READERS),
    ("/gavah.v1.ChangeService/WatchChanges", CERTIFICATE_READERS),
    ("/gavah.v1.DisputeService/AgreeDispute", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.DisputeService/CloseDisputeAction", OFFICERS),
    ("/gavah.v1.DisputeService/ConsentToRuling", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.DisputeService/GetDispute", ALL_BUT_MONITORS),
    ("/gavah.v1.DisputeService/ListDisputeMessages", ALL_BUT_MONITORS),
    ("/gavah.v1.DisputeService/ListDisputes", ALL_BUT_MONITORS),
    ("/gavah.v1.DisputeService/OpenDispute", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.DisputeService/PostDisputeMessage", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.DisputeService/RuleDispute", OFFICERS),
    ("/gavah.v1.DisputeService/WithdrawDispute", CONSUMERS_AND_OFFICERS),
    ("/gavah.v1.DocumentService/DownloadServiceDocument", ALL_BUT_MONITORS),
    ("/gavah.v1.DocumentService/GetServiceDocument", ALL_BUT_MONITORS),
    ("/gavah.v1.DocumentService/GetServiceGuide", ALL_BUT_MONITORS),
    ("/gavah.v1.DocumentService/ListServiceDocuments", ALL_BUT_MONITORS),
    ("/gavah.v1.DocumentService/PublishServiceDocument", OFFICERS),
    ("/gavah.v1.DocumentService/UploadServiceDocument", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/CancelEnrollmentCertificateApplication", WINDOW),
    ("/gavah.v1.EnrollmentCertificateService/CorrectEnrollmentCertificate", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/CreateEnrollmentCertificateApplication", WINDOW),
    ("/gavah.v1.EnrollmentCertificateService/GetEnrollmentCertificate", CERTIFICATE_READERS),
    ("/gavah.v1.EnrollmentCertificateService/GetEnrollmentCertificateApplication", CERTIFICATE_READERS),
    ("/gavah.v1.EnrollmentCertificateService/ListEnrollmentCertificateApplications", CERTIFICATE_READERS),
    ("/gavah.v1.EnrollmentCertificateService/ListEnrollmentCertificates", CERTIFICATE_READERS),
    ("/gavah.v1.EnrollmentCertificateService/RecordOrganizationDecision", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/RecordUniversityDecision", INSTITUTIONS),
    ("/gavah.v1.EnrollmentCertificateService/ReinstateEnrollmentCertificate", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/RevokeEnrollmentCertificate", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/SubmitEnrollmentCertificateApplication", WINDOW),
    ("/gavah.v1.EnrollmentCertificateService/SuspendEnrollmentCertificate", OFFICERS),
    ("/gavah.v1.EnrollmentCertificateService/UpdateEnrollmentCertificateApplication", WINDOW),
    ("/gavah.v1.EnrollmentRecordService/BatchUpsertEnrollmentRecords", INSTITUTIONS),
    ("/gavah.v1.EnrollmentRecordService/GetEnrollmentRecord", INSTITUTIONS_AND_OFFICERS),
    ("/gavah.v1.EnrollmentRecordService/ReportEnrollmentEvent", INSTITUTIONS),
    ("/gavah.v1.EnrollmentRecordService/UpsertEnrollmentRecord", INSTITUTIONS),
    ("/gavah.v1.IncidentService/ApproveRevocation", OFFICERS),
    ("/gavah.v1.IncidentService/GetIncident", OVERSIGHT),
    ("/gavah.v1.IncidentService/ListIncidents", OVERSIGHT),
    ("/gavah.v1.IncidentService/ListIssuancePauses", OVERSIGHT),
    ("/gavah.v1.IncidentService/PauseIssuance", OFFICERS),
    ("/gavah.v1.IncidentService/PreviewRevocation", OFFICERS),
    ("/gavah.v1.IncidentService/ProposeRevocation", OFFICERS),
    ("/gavah.v1.IncidentService/ResumeIssuance", OFFICERS),
    ("/gavah.v1.IncidentService/WithdrawRevocation", OFFICERS),
    ("/gavah.v1.InquiryService/InquireEnrollment", INQUIRERS),
    ("/gavah.v1.InquiryService/InquireValidityCodes", INQUIRERS),
    ("/gavah.v1.IssuanceJobService/CancelIssuanceJob", INSTITUTIONS),
    ("/gavah.v1.IssuanceJobService/DownloadIssuanceJobResult", INSTITUTIONS),
    ("/gavah.v1.IssuanceJobService/GetIssuanceJob", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.IssuanceJobService/ListIssuanceJobs", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.IssuanceJobService/SubmitIssuanceJob", INSTITUTIONS),
    ("/gavah.v1.PaymentService/ConfirmPayment", PAYERS),
    ("/gavah.v1.PaymentService/GetPayment", CERTIFICATE_READERS),
    ("/gavah.v1.PaymentService/ListPayments", CERTIFICATE_READERS),
    ("/gavah.v1.PaymentService/ReconcilePayments", OFFICERS),
    ("/gavah.v1.PaymentService/RefundPayment", OFFICERS),
    ("/gavah.v1.PaymentService/StartPayment", PAYERS),
    ("/gavah.v1.RegistryService/AddClientCertificate", OFFICERS),
    ("/gavah.v1.RegistryService/CreateCaller", OFFICERS),
    ("/gavah.v1.RegistryService/CreateExpert", OFFICERS),
    ("/gavah.v1.RegistryService/CreateInstitution", OFFICERS),
    ("/gavah.v1.RegistryService/GetCaller", EVERY_CLASS),
    ("/gavah.v1.RegistryService/GetInstitution", EVERY_CLASS),
    ("/gavah.v1.RegistryService/ListCallers", OVERSIGHT),
    ("/gavah.v1.RegistryService/ListExperts", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.RegistryService/ListInstitutions", OVERSIGHT),
    ("/gavah.v1.RegistryService/RetireClientCertificate", OFFICERS),
    ("/gavah.v1.RegistryService/UpdateCaller", OFFICERS),
    ("/gavah.v1.RegistryService/UpdateExpert", OFFICERS),
    ("/gavah.v1.RegistryService/UpdateInstitution", OFFICERS),
    ("/gavah.v1.RegistryService/WhoAmI", EVERY_CLASS),
    ("/gavah.v1.SandboxService/GetClock", OFFICERS),
    ("/gavah.v1.SandboxService/MoveClock", OFFICERS),
    ("/gavah.v1.SlaService/GetSlaReport", REPORTED_TO),
    ("/gavah.v1.TariffService/ListTariffRows", ALL_BUT_MONITORS),
    ("/gavah.v1.TariffService/QuoteFee", ALL_BUT_MONITORS),
    ("/gavah.v1.ValidationService/BatchValidateCodes", ALL_BUT_MONITORS),
    ("/gavah.v1.ValidationService/MatchCode", ALL_BUT_MONITORS),
    ("/gavah.v1.ValidationService/StreamValidateCodes", ALL_BUT_MONITORS),
    ("/gavah.v1.ValidationService/ValidateCode", ALL_BUT_MONITORS),
    ("/gavah.v1.ValidityCodeService/BatchImportLegacyCodes", OFFICERS),
    ("/gavah.v1.ValidityCodeService/CancelValidityCodeApplication", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/CorrectValidityCode", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/CreateValidityCodeApplication", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/GetValidityCode", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.ValidityCodeService/GetValidityCodeApplication", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.ValidityCodeService/IssueValidityCode", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/ListValidityCodeApplications", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.ValidityCodeService/ListValidityCodes", INSTITUTIONS_AND_OVERSIGHT),
    ("/gavah.v1.ValidityCodeService/RecordCodeReview", OFFICERS),
    ("/gavah.v1.ValidityCodeService/RecordExpertDecision", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/ReinstateValidityCode", INSTITUTIONS_AND_OFFICERS),
    ("/gavah.v1.ValidityCodeService/ResubmitValidityCodeApplication", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/RevokeValidityCode", INSTITUTIONS_AND_OFFICERS),
    ("/gavah.v1.ValidityCodeService/StreamIssueValidityCodes", INSTITUTIONS),
    ("/gavah.v1.ValidityCodeService/SuspendValidityCode", INSTITUTIONS_AND_OFFICERS),
    ("/grpc.health.v1.Health/Check", EVERY_CLASS),
    ("/grpc.health.v1.Health/Watch", EVERY_CLASS),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", EVERY_CLASS),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", EVERY_CLASS),
];

/// The row of a path, the path as a constant: none for a method nobody may call.
#[must_use]
pub fn allowed(path: &str) -> Option<(&'static str, &'static [CallerClass])> {
    row(path).and_then(|row| POLICY.get(row)).copied()
}

/// Which row of [`POLICY`] is the path's.
pub(crate) fn row(path: &str) -> Option<usize> {
    POLICY.binary_search_by(|(row, _)| (*row).cmp(path)).ok()
}

/// Paths of the contract's methods a class may call, sorted.
#[must_use]
pub fn callable(class: CallerClass) -> Vec<String> {
    let own = POLICY
        .iter()
        .filter(|(path, classes)| path.starts_with("/gavah.v1.") && classes.contains(&class));
    own.map(|(path, _)| (*path).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Paths of the methods of everything that is served.
    fn methods_served() -> BTreeSet<String> {
        let sets = [
            gavah_api::DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut methods = BTreeSet::new();
        for set in sets {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    for method in &service.method {
                        methods.insert(format!(
                            "/{}.{}/{}",
                            file.package(),
                            service.name(),
                            method.name()
                        ));
                    }
                }
            }
        }
        methods
    }

    fn name(path: &str) -> &str {
        path.rsplit('/').next().unwrap()
    }

    #[test]
    fn every_method_in_the_descriptor_has_a_policy_and_no_policy_is_without_a_method() {
        let listed: BTreeSet<String> = POLICY.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, methods_served());
        assert_eq!(listed.len(), 114 + 4);
    }

    #[test]
    fn the_table_is_sorted_and_names_each_method_and_class_once() {
        assert!(POLICY.is_sorted_by(|(one, _), (next, _)| one < next));
        for (path, classes) in POLICY {
            let unique: BTreeSet<_> = classes.iter().collect();
            assert_eq!(unique.len(), classes.len(), "{path}");
            assert!(!classes.is_empty(), "{path}");
        }
    }

    #[test]
    fn a_method_is_found_by_its_exact_path_only() {
        for (path, classes) in POLICY {
            assert_eq!(allowed(path), Some((*path, *classes)));
            assert_eq!(allowed(&path[1..]), None);
            assert_eq!(allowed(&path.to_lowercase()), None);
            assert_eq!(allowed(&format!("{path}/")), None);
        }
        for path in [
            "",
            "/",
            "/gavah.v1.RegistryService",
            "/gavah.v1.RegistryService/DropAll",
        ] {
            assert_eq!(allowed(path), None, "{path}");
        }
    }

    #[test]
    fn a_caller_is_told_the_methods_of_the_contract_it_may_call() {
        let open = ["GetCaller", "GetInstitution", "WhoAmI"];
        let expected = open.map(|method| format!("/gavah.v1.RegistryService/{method}"));
        let report = "/gavah.v1.SlaService/GetSlaReport".to_owned();
        let monitored: Vec<_> = expected.iter().cloned().chain([report]).collect();
        assert_eq!(callable(Monitor), monitored);
        for class in CallerClass::ALL.iter().copied() {
            let told = callable(class);
            assert!(told.is_sorted() && told.len() >= expected.len(), "{class}");
            for path in &told {
                assert!(allowed(path).unwrap().1.contains(&class), "{class} {path}");
            }
        }
    }

    #[test]
    fn auditors_and_monitors_change_nothing() {
        for (path, classes) in POLICY
            .iter()
            .filter(|(path, _)| path.starts_with("/gavah."))
        {
            let reads = [
                "Get",
                "List",
                "WhoAmI",
                "Validate",
                "BatchValidate",
                "StreamValidate",
                "Match",
                "Download",
                "Quote",
                "Watch",
            ]
            .iter()
            .any(|verb| name(path).starts_with(verb));
            if !reads {
                assert!(
                    !classes.contains(&Auditor) && !classes.contains(&Monitor),
                    "{path}"
                );
            }
        }
    }

    /// What each class may do, as the other side of the table: a slip in one row shows here.
    #[test]
    fn each_class_may_call_what_its_part_in_the_service_needs() {
        let open = [
            "Check",
            "GetCaller",
            "GetInstitution",
            "ServerReflectionInfo",
            "Watch",
            "WhoAmI",
        ];
        let validate = [
            "BatchValidateCodes",
            "DownloadServiceDocument",
            "GetAgreement",
            "GetAgreementText",
            "GetDispute",
            "GetServiceCall",
            "GetServiceDocument",
            "GetServiceGuide",
            "ListAgreements",
            "ListDisputeMessages",
            "ListDisputes",
            "ListServiceCalls",
            "ListServiceDocuments",
            "ListServices",
            "ListTariffRows",
            "MatchCode",
            "QuoteFee",
            "StreamValidateCodes",
            "ValidateCode",
        ];
        let read_certificates = [
            "GetEnrollmentCertificate",
            "GetEnrollmentCertificateApplication",
            "ListEnrollmentCertificateApplications",
            "ListEnrollmentCertificates",
        ];
        let read_payments = ["GetPayment", "ListPayments"];
        let pay = ["ConfirmPayment", "StartPayment"];
        let read_codes = [
            "GetIssuanceJob",
            "GetValidityCode",
            "GetValidityCodeApplication",
            "ListIssuanceJobs",
            "ListValidityCodeApplications",
            "ListValidityCodes",
        ];
        let consume = ["RequestAgreement", "TerminateAgreement"];
        let dispute = [
            "AgreeDispute",
            "ConsentToRuling",
            "OpenDispute",
            "PostDisputeMessage",
            "WithdrawDispute",
        ];
        let inquire = ["InquireEnrollment", "InquireValidityCodes"];
        let files = ["DownloadAttachment", "UploadAttachment"];
        let follow = ["ListChanges", "WatchChanges"];
        let change_codes = [
            "ReinstateValidityCode",
            "RevokeValidityCode",
            "SuspendValidityCode",
        ];
        let institution = [
            "BatchUpsertEnrollmentRecords",
            "CancelIssuanceJob",
            "CancelValidityCodeApplication",
            "CorrectValidityCode",
            "CreateValidityCodeApplication",
            "DownloadIssuanceJobResult",
            "GetEnrollmentRecord",
            "IssueValidityCode",
            "ListExperts",
            "RecordExpertDecision",
            "RecordUniversityDecision",
            "ReportEnrollmentEvent",
            "ResubmitValidityCodeApplication",
            "StreamIssueValidityCodes",
            "SubmitIssuanceJob",
            "UpsertEnrollmentRecord",
        ];
        let reports = ["GetSlaReport"];
        let oversee = [
            "GetIncident",
            "ListAuditEntries",
            "ListCallers",
            "ListExperts",
            "ListIncidents",
            "ListInstitutions",
            "ListIssuancePauses",
        ];
        let administer = [
            "AddClientCertificate",
            "ApproveAgreement",
            "ApproveRevocation",
            "BatchImportLegacyCodes",
            "CloseDisputeAction",
            "CloseServiceCall",
            "CorrectEnrollmentCertificate",
            "CreateCaller",
            "CreateExpert",
            "CreateInstitution",
            "CreateServiceCall",
            "GetClock",
            "GetEnrollmentRecord",
            "MoveClock",
            "OpenServiceCall",
            "PauseIssuance",
            "PreviewRevocation",
            "ProposeRevocation",
            "PublishServiceDocument",
            "ReconcilePayments",
            "RecordCodeReview",
            "RecordOrganizationDecision",
            "RefundPayment",
            "ReinstateAgreement",
            "ReinstateEnrollmentCertificate",
            "ResumeIssuance",
            "RetireClientCertificate",
            "RevokeEnrollmentCertificate",
            "RuleDispute",
            "SuspendAgreement",
            "SuspendEnrollmentCertificate",
            "TerminateAgreement",
            "UpdateCaller",
            "UpdateExpert",
            "UpdateInstitution",
            "UploadServiceDocument",
            "WithdrawRevocation",
        ];
        let create = [
            "CancelEnrollmentCertificateApplication",
            "CreateEnrollmentCertificateApplication",
            "SubmitEnrollmentCertificateApplication",
            "UpdateEnrollmentCertificateApplication",
        ];
        let institutions: &[&[&str]] = &[
            &open,
            &validate,
            &read_certificates,
            &read_payments,
            &pay,
            &read_codes,
            &change_codes,
            &institution,
            &consume,
            &dispute,
            &files,
            &follow,
        ];
        let expected: [(CallerClass, &[&[&str]]); 7] = [
            (
                SingleWindow,
                &[
                    &open,
                    &validate,
                    &read_certificates,
                    &read_payments,
                    &pay,
                    &create,
                    &consume,
                    &dispute,
                    &files,
                    &follow,
                ],
            ),
            (University, institutions),
            (CentralBody, institutions),
            (
                NationalHub,
                &[&open, &validate, &consume, &dispute, &inquire],
            ),
            (
                Organization,
                &[
                    &open,
                    &validate,
                    &read_certificates,
                    &read_payments,
                    &read_codes,
                    &change_codes,
                    &oversee,
                    &reports,
                    &administer,
                    &dispute,
                    &inquire,
                    &files,
                    &follow,
                ],
            ),
            (
                Auditor,
                &[
                    &open,
                    &validate,
                    &read_certificates,
                    &read_payments,
                    &read_codes,
                    &oversee,
                    &reports,
                    &follow,
                ],
            ),
            (Monitor, &[&open, &reports]),
        ];
        for (class, groups) in expected {
            let expected: BTreeSet<&str> = groups
                .iter()
                .flat_map(|group| group.iter().copied())
                .collect();
            let allowed: BTreeSet<&str> = POLICY
                .iter()
                .filter(|(_, classes)| classes.contains(&class))
                .map(|(path, _)| name(path))
                .collect();
            assert_eq!(allowed, expected, "{class}");
        }
    }
}
