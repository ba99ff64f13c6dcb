//! `gavah.v1.TariffService`.

use gavah_api::v1 as pb;
use gavah_api::v1::tariff_service_server::TariffService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::tariffs as app;
use crate::convert::program::quote_to_pb;
use crate::convert::tariff;

#[tonic::async_trait]
impl TariffService for Services {
    async fn quote_fee(
        &self,
        request: Request<pb::QuoteFeeRequest>,
    ) -> Result<Response<pb::QuoteFeeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = || {
            let input = tariff::ask(&message, &self.app.known(&call))?;
            let quoted = app::quote_fee(&call, &input)?;
            Ok(pb::QuoteFeeResponse {
                quote: Some(quote_to_pb(&quoted.quote)),
                digest_text: quoted.text,
            })
        };
        let result = act();
        reply(&call, result)
    }

    async fn list_tariff_rows(
        &self,
        request: Request<pb::ListTariffRowsRequest>,
    ) -> Result<Response<pb::ListTariffRowsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = || {
            let input = tariff::list(&message)?;
            let (table, newest) = app::table(&call, input)?;
            Ok(tariff::table_to_pb(table, newest))
        };
        let result = act();
        reply(&call, result)
    }
}
