//! `gavah.v1.InquiryService`.

use gavah_api::v1 as pb;
use gavah_api::v1::inquiry_service_server::InquiryService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::inquiries as app;
use crate::convert::inquiry;

#[tonic::async_trait]
impl InquiryService for Services {
    async fn inquire_validity_codes(
        &self,
        request: Request<pb::InquireValidityCodesRequest>,
    ) -> Result<Response<pb::InquireValidityCodesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let person = inquiry::codes(&message)?;
            let (found, coverage) = app::codes(&self.app, &call, &person).await?;
            let codes = found.iter().map(|found| {
                let code = found.stored.content.program.institution.as_str();
                inquiry::code_to_pb(found, app::institution_of(&call, code))
            });
            Ok(pb::InquireValidityCodesResponse {
                codes: codes.collect(),
                coverage: Some(inquiry::coverage_to_pb(&coverage)),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn inquire_enrollment(
        &self,
        request: Request<pb::InquireEnrollmentRequest>,
    ) -> Result<Response<pb::InquireEnrollmentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let person = inquiry::enrollment(&message)?;
            let (found, coverage) = app::enrollments(&self.app, &call, &person).await?;
            let enrollments = found.iter().map(|found| {
                let code = found.stored.record.program.institution.as_str();
                inquiry::enrollment_to_pb(found, app::institution_of(&call, code))
            });
            Ok(pb::InquireEnrollmentResponse {
                enrollments: enrollments.collect(),
                coverage: Some(inquiry::coverage_to_pb(&coverage)),
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
