//! A caller with a connection: every method of the contract as one call that gives the answer or the failure.

use gavah_api::v1 as pb;
use gavah_client::{Client, Failure};
use gavah_testkit::world::{CallerKind, World};
use tonic::{Code, Response, Status};

use crate::messages::request_id;

/// What a call came to.
pub(crate) type Answer<T> = Result<T, Box<Failure>>;

/// A caller with a connection.
#[derive(Clone)]
pub(crate) struct Peer(Client);

impl Peer {
    pub(crate) async fn of(world: &World, kind: CallerKind) -> Self {
        Self(world.client(kind).await)
    }

    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Pauses a caller, as the organization.
    pub(crate) async fn pause(&self, kind: CallerKind) {
        let name = format!("callers/{}", kind.id());
        let read = self.get_caller(pb::GetCallerRequest { name }).await;
        let paused = pb::Caller {
            state: pb::CallerState::Paused.into(),
            ..read.unwrap().caller.unwrap()
        };
        let update = pb::UpdateCallerRequest {
            request_id: request_id(),
            validate_only: false,
            caller: Some(paused),
        };
        self.update_caller(update).await.unwrap();
    }

    /// The client, for streams.
    pub(crate) fn client(&self) -> &Client {
        &self.0
    }
}

pub(crate) fn told<T>(answer: Result<Response<T>, Status>) -> Answer<T> {
    answer
        .map(Response::into_inner)
        .map_err(|status| Box::new(Failure::of(&status)))
}

/// The call was refused with this code and reason.
#[track_caller]
pub(crate) fn refused<T>(answer: Answer<T>, code: Code, reason: &str) -> Box<Failure> {
    match answer {
        Ok(_) => panic!("not refused with {reason}"),
        Err(failure) => {
            assert_eq!(
                (failure.code, failure.reason.as_deref()),
                (code, Some(reason)),
                "{failure}"
            );
            failure
        }
    }
}

macro_rules! methods {
    ($($service:ident { $($method:ident($request:ident) -> $answer:ident,)+ })+) => {
        impl Peer {
            $($(
                pub(crate) async fn $method(&self, request: pb::$request) -> Answer<pb::$answer> {
                    told(self.0.$service().$method(request).await)
                }
            )+)+
        }
    };
}

methods! {
    audit {
        list_audit_entries(ListAuditEntriesRequest) -> ListAuditEntriesResponse,
    }
    agreements {
        list_services(ListServicesRequest) -> ListServicesResponse,
        get_agreement_text(GetAgreementTextRequest) -> GetAgreementTextResponse,
        create_service_call(CreateServiceCallRequest) -> CreateServiceCallResponse,
        open_service_call(OpenServiceCallRequest) -> OpenServiceCallResponse,
        close_service_call(CloseServiceCallRequest) -> CloseServiceCallResponse,
        get_service_call(GetServiceCallRequest) -> GetServiceCallResponse,
        list_service_calls(ListServiceCallsRequest) -> ListServiceCallsResponse,
        request_agreement(RequestAgreementRequest) -> RequestAgreementResponse,
        approve_agreement(ApproveAgreementRequest) -> ApproveAgreementResponse,
        suspend_agreement(SuspendAgreementRequest) -> SuspendAgreementResponse,
        reinstate_agreement(ReinstateAgreementRequest) -> ReinstateAgreementResponse,
        terminate_agreement(TerminateAgreementRequest) -> TerminateAgreementResponse,
        get_agreement(GetAgreementRequest) -> GetAgreementResponse,
        list_agreements(ListAgreementsRequest) -> ListAgreementsResponse,
    }
    disputes {
        open_dispute(OpenDisputeRequest) -> OpenDisputeResponse,
        post_dispute_message(PostDisputeMessageRequest) -> PostDisputeMessageResponse,
        list_dispute_messages(ListDisputeMessagesRequest) -> ListDisputeMessagesResponse,
        agree_dispute(AgreeDisputeRequest) -> AgreeDisputeResponse,
        consent_to_ruling(ConsentToRulingRequest) -> ConsentToRulingResponse,
        withdraw_dispute(WithdrawDisputeRequest) -> WithdrawDisputeResponse,
        rule_dispute(RuleDisputeRequest) -> RuleDisputeResponse,
        close_dispute_action(CloseDisputeActionRequest) -> CloseDisputeActionResponse,
        get_dispute(GetDisputeRequest) -> GetDisputeResponse,
        list_disputes(ListDisputesRequest) -> ListDisputesResponse,
    }
    inquiries {
        inquire_validity_codes(InquireValidityCodesRequest) -> InquireValidityCodesResponse,
        inquire_enrollment(InquireEnrollmentRequest) -> InquireEnrollmentResponse,
    }
    incidents {
        pause_issuance(PauseIssuanceRequest) -> PauseIssuanceResponse,
        resume_issuance(ResumeIssuanceRequest) -> ResumeIssuanceResponse,
        preview_revocation(PreviewRevocationRequest) -> PreviewRevocationResponse,
        propose_revocation(ProposeRevocationRequest) -> ProposeRevocationResponse,
        approve_revocation(ApproveRevocationRequest) -> ApproveRevocationResponse,
        withdraw_revocation(WithdrawRevocationRequest) -> WithdrawRevocationResponse,
        get_incident(GetIncidentRequest) -> GetIncidentResponse,
        list_incidents(ListIncidentsRequest) -> ListIncidentsResponse,
        list_issuance_pauses(ListIssuancePausesRequest) -> ListIssuancePausesResponse,
    }
    documents {
        publish_service_document(PublishServiceDocumentRequest) -> PublishServiceDocumentResponse,
        get_service_document(GetServiceDocumentRequest) -> GetServiceDocumentResponse,
        list_service_documents(ListServiceDocumentsRequest) -> ListServiceDocumentsResponse,
        get_service_guide(GetServiceGuideRequest) -> GetServiceGuideResponse,
    }
    jobs {
        get_issuance_job(GetIssuanceJobRequest) -> GetIssuanceJobResponse,
        list_issuance_jobs(ListIssuanceJobsRequest) -> ListIssuanceJobsResponse,
        cancel_issuance_job(CancelIssuanceJobRequest) -> CancelIssuanceJobResponse,
    }
    sandbox {
        get_clock(GetClockRequest) -> GetClockResponse,
        move_clock(MoveClockRequest) -> MoveClockResponse,
    }
    payments {
        start_payment(StartPaymentRequest) -> StartPaymentResponse,
        confirm_payment(ConfirmPaymentRequest) -> ConfirmPaymentResponse,
        get_payment(GetPaymentRequest) -> GetPaymentResponse,
        list_payments(ListPaymentsRequest) -> ListPaymentsResponse,
        refund_payment(RefundPaymentRequest) -> RefundPaymentResponse,
        reconcile_payments(ReconcilePaymentsRequest) -> ReconcilePaymentsResponse,
    }
    service_levels {
        get_sla_report(GetSlaReportRequest) -> GetSlaReportResponse,
    }
    tariffs {
        quote_fee(QuoteFeeRequest) -> QuoteFeeResponse,
        list_tariff_rows(ListTariffRowsRequest) -> ListTariffRowsResponse,
    }
    changes {
        list_changes(ListChangesRequest) -> ListChangesResponse,
    }
    registry {
        who_am_i(WhoAmIRequest) -> WhoAmIResponse,
        create_institution(CreateInstitutionRequest) -> CreateInstitutionResponse,
        update_institution(UpdateInstitutionRequest) -> UpdateInstitutionResponse,
        get_institution(GetInstitutionRequest) -> GetInstitutionResponse,
        list_institutions(ListInstitutionsRequest) -> ListInstitutionsResponse,
        create_expert(CreateExpertRequest) -> CreateExpertResponse,
        update_expert(UpdateExpertRequest) -> UpdateExpertResponse,
        list_experts(ListExpertsRequest) -> ListExpertsResponse,
        create_caller(CreateCallerRequest) -> CreateCallerResponse,
        update_caller(UpdateCallerRequest) -> UpdateCallerResponse,
        get_caller(GetCallerRequest) -> GetCallerResponse,
        list_callers(ListCallersRequest) -> ListCallersResponse,
        add_client_certificate(AddClientCertificateRequest) -> AddClientCertificateResponse,
        retire_client_certificate(RetireClientCertificateRequest) -> RetireClientCertificateResponse,
    }
    records {
        upsert_enrollment_record(UpsertEnrollmentRecordRequest) -> UpsertEnrollmentRecordResponse,
        batch_upsert_enrollment_records(BatchUpsertEnrollmentRecordsRequest) -> BatchUpsertEnrollmentRecordsResponse,
        get_enrollment_record(GetEnrollmentRecordRequest) -> GetEnrollmentRecordResponse,
        report_enrollment_event(ReportEnrollmentEventRequest) -> ReportEnrollmentEventResponse,
    }
    validity_codes {
        issue_validity_code(IssueValidityCodeRequest) -> IssueValidityCodeResponse,
        batch_import_legacy_codes(BatchImportLegacyCodesRequest) -> BatchImportLegacyCodesResponse,
        correct_validity_code(CorrectValidityCodeRequest) -> CorrectValidityCodeResponse,
        create_validity_code_application(CreateValidityCodeApplicationRequest) -> CreateValidityCodeApplicationResponse,
        resubmit_validity_code_application(ResubmitValidityCodeApplicationRequest) -> ResubmitValidityCodeApplicationResponse,
        cancel_validity_code_application(CancelValidityCodeApplicationRequest) -> CancelValidityCodeApplicationResponse,
        record_expert_decision(RecordExpertDecisionRequest) -> RecordExpertDecisionResponse,
        record_code_review(RecordCodeReviewRequest) -> RecordCodeReviewResponse,
        get_validity_code_application(GetValidityCodeApplicationRequest) -> GetValidityCodeApplicationResponse,
        list_validity_code_applications(ListValidityCodeApplicationsRequest) -> ListValidityCodeApplicationsResponse,
        get_validity_code(GetValidityCodeRequest) -> GetValidityCodeResponse,
        list_validity_codes(ListValidityCodesRequest) -> ListValidityCodesResponse,
        suspend_validity_code(SuspendValidityCodeRequest) -> SuspendValidityCodeResponse,
        reinstate_validity_code(ReinstateValidityCodeRequest) -> ReinstateValidityCodeResponse,
        revoke_validity_code(RevokeValidityCodeRequest) -> RevokeValidityCodeResponse,
    }
    certificates {
        create_enrollment_certificate_application(CreateEnrollmentCertificateApplicationRequest) -> CreateEnrollmentCertificateApplicationResponse,
        update_enrollment_certificate_application(UpdateEnrollmentCertificateApplicationRequest) -> UpdateEnrollmentCertificateApplicationResponse,
        submit_enrollment_certificate_application(SubmitEnrollmentCertificateApplicationRequest) -> SubmitEnrollmentCertificateApplicationResponse,
        cancel_enrollment_certificate_application(CancelEnrollmentCertificateApplicationRequest) -> CancelEnrollmentCertificateApplicationResponse,
        record_university_decision(RecordUniversityDecisionRequest) -> RecordUniversityDecisionResponse,
        record_organization_decision(RecordOrganizationDecisionRequest) -> RecordOrganizationDecisionResponse,
        correct_enrollment_certificate(CorrectEnrollmentCertificateRequest) -> CorrectEnrollmentCertificateResponse,
        get_enrollment_certificate_application(GetEnrollmentCertificateApplicationRequest) -> GetEnrollmentCertificateApplicationResponse,
        list_enrollment_certificate_applications(ListEnrollmentCertificateApplicationsRequest) -> ListEnrollmentCertificateApplicationsResponse,
        get_enrollment_certificate(GetEnrollmentCertificateRequest) -> GetEnrollmentCertificateResponse,
        list_enrollment_certificates(ListEnrollmentCertificatesRequest) -> ListEnrollmentCertificatesResponse,
        suspend_enrollment_certificate(SuspendEnrollmentCertificateRequest) -> SuspendEnrollmentCertificateResponse,
        reinstate_enrollment_certificate(ReinstateEnrollmentCertificateRequest) -> ReinstateEnrollmentCertificateResponse,
        revoke_enrollment_certificate(RevokeEnrollmentCertificateRequest) -> RevokeEnrollmentCertificateResponse,
    }
    validation {
        validate_code(ValidateCodeRequest) -> ValidateCodeResponse,
        batch_validate_codes(BatchValidateCodesRequest) -> BatchValidateCodesResponse,
        match_code(MatchCodeRequest) -> MatchCodeResponse,
    }
}
