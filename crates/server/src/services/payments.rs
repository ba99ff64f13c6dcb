//! `gavah.v1.PaymentService`.

use gavah_api::v1 as pb;
use gavah_api::v1::payment_service_server::PaymentService;
use gavah_store::StoredPayment;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::{disputes, payments as app};
use crate::convert::names::Collection;
use crate::convert::payment;
use crate::error::AppError;

impl Services {
    fn payment_to_pb(
        &self,
        stored: Option<&StoredPayment>,
    ) -> Result<Option<pb::Payment>, AppError> {
        let told = |stored| payment::payment_to_pb(stored, app::redirect_url(&self.app, stored));
        stored.map(told).transpose()
    }
}

#[tonic::async_trait]
impl PaymentService for Services {
    async fn start_payment(
        &self,
        request: Request<pb::StartPaymentRequest>,
    ) -> Result<Response<pb::StartPaymentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::start(message, call.caller.class)?;
            let stored = app::start(&self.app, &call, input).await?;
            let payment = self.payment_to_pb(stored.as_ref())?;
            Ok(pb::StartPaymentResponse { payment })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn confirm_payment(
        &self,
        request: Request<pb::ConfirmPaymentRequest>,
    ) -> Result<Response<pb::ConfirmPaymentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::confirm(message, call.caller.class)?;
            let stored = app::confirm(&self.app, &call, input).await?;
            let payment = self.payment_to_pb(stored.as_ref())?;
            Ok(pb::ConfirmPaymentResponse { payment })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::get(&message, call.caller.class)?;
            let stored = app::get(&self.app, &call, input.id, input.claim.as_ref()).await?;
            let name = Collection::Payments.name(stored.id);
            Ok(pb::GetPaymentResponse {
                dispute_actions: disputes::touching(&self.app, &call, &name).await?,
                payment: self.payment_to_pb(Some(&stored))?,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::list(message, call.caller.class, &self.app.known(&call))?;
            let found = app::list(&self.app, &call, &input).await?;
            let (found, next_page_token) = input.page.cut(found, |stored| gavah_store::PageKey {
                micros: stored.create_time.as_microsecond(),
                id: stored.id,
            });
            let payments = found
                .iter()
                .map(|stored| payment::listed_to_pb(stored, app::redirect_url(&self.app, stored)));
            Ok(pb::ListPaymentsResponse {
                payments: payments.collect::<Result<_, AppError>>()?,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn refund_payment(
        &self,
        request: Request<pb::RefundPaymentRequest>,
    ) -> Result<Response<pb::RefundPaymentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::refund(message)?;
            let stored = app::refund(&self.app, &call, input).await?;
            let payment = self.payment_to_pb(stored.as_ref())?;
            Ok(pb::RefundPaymentResponse { payment })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn reconcile_payments(
        &self,
        request: Request<pb::ReconcilePaymentsRequest>,
    ) -> Result<Response<pb::ReconcilePaymentsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = payment::reconcile(message, &self.app.known(&call))?;
            let (settled, differences) = app::reconcile(&self.app, &call, input).await?;
            Ok(pb::ReconcilePaymentsResponse {
                settled: i32::try_from(settled).unwrap_or(i32::MAX),
                differences: differences
                    .into_iter()
                    .map(payment::difference_to_pb)
                    .collect(),
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
