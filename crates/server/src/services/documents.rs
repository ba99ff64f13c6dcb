//! `gavah.v1.DocumentService`.

use futures_util::StreamExt;
use futures_util::stream::iter;
use gavah_api::v1 as pb;
use gavah_api::v1::document_service_server::DocumentService;
use gavah_api::v1::upload_service_document_request::Message;
use gavah_domain::{Reason, Violations};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Services, reply, split};
use crate::app::service_documents::{self, Incoming};
use crate::convert::attachment::{CHUNK_BYTES, part};
use crate::convert::document::{self, StartInput, document_to_pb};
use crate::error::AppError;
use crate::status::to_status;

#[tonic::async_trait]
impl DocumentService for Services {
    type DownloadServiceDocumentStream = BoxStream<pb::DownloadServiceDocumentResponse>;

    async fn upload_service_document(
        &self,
        request: Request<Streaming<pb::UploadServiceDocumentRequest>>,
    ) -> Result<Response<pb::UploadServiceDocumentResponse>, Status> {
        let (call, mut messages) = split(request)?;
        let _place = self.streams.file_place(&call)?;
        let (mut start, mut incoming) = (None, Incoming::default());
        while let Some(message) = messages.next().await {
            let taken = receive(&mut start, &mut incoming, message?);
            taken.map_err(|error| to_status(error, call.trace_id))?;
        }
        let act = async {
            let start = start.ok_or_else(|| missing("start"))?;
            let stored = service_documents::add(&self.app, &call, start, incoming).await?;
            let document = Some(document_to_pb(&stored));
            Ok(pb::UploadServiceDocumentResponse { document })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn publish_service_document(
        &self,
        request: Request<pb::PublishServiceDocumentRequest>,
    ) -> Result<Response<pb::PublishServiceDocumentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = document::publish(message)?;
            let stored = service_documents::publish(&self.app, &call, input).await?;
            let document = stored.as_ref().map(document_to_pb);
            Ok(pb::PublishServiceDocumentResponse { document })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_service_document(
        &self,
        request: Request<pb::GetServiceDocumentRequest>,
    ) -> Result<Response<pb::GetServiceDocumentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = document::get(&message)?;
            let stored = service_documents::get(&self.app, &call, id).await?;
            let document = Some(document_to_pb(&stored));
            Ok(pb::GetServiceDocumentResponse { document })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_service_documents(
        &self,
        request: Request<pb::ListServiceDocumentsRequest>,
    ) -> Result<Response<pb::ListServiceDocumentsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let which = document::list(&message)?;
            let listed = service_documents::list(&self.app, &call, which).await?;
            let documents = listed.iter().map(document_to_pb).collect();
            Ok(pb::ListServiceDocumentsResponse { documents })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn download_service_document(
        &self,
        request: Request<pb::DownloadServiceDocumentRequest>,
    ) -> Result<Response<Self::DownloadServiceDocumentStream>, Status> {
        let (call, message) = split(request)?;
        let place = self.streams.file_place(&call)?;
        let act = async {
            let id = document::download(&message)?;
            service_documents::read(&self.app, &call, id).await
        };
        let (stored, bytes) = act.await.map_err(|error| to_status(error, call.trace_id))?;
        let starts = (0..bytes.len()).step_by(CHUNK_BYTES);
        let parts = iter(starts).map(move |start| {
            // Held until the last part is on its way.
            let _place = &place;
            let end = bytes.len().min(start + CHUNK_BYTES);
            Ok(pb::DownloadServiceDocumentResponse {
                document: (start == 0).then(|| document_to_pb(&stored)),
                chunk: bytes.slice(start..end).to_vec(),
            })
        });
        Ok(Response::new(Box::pin(parts)))
    }

    async fn get_service_guide(
        &self,
        request: Request<pb::GetServiceGuideRequest>,
    ) -> Result<Response<pb::GetServiceGuideResponse>, Status> {
        let (call, message) = split(request)?;
        reply(&call, document::guide(&message))
    }
}

fn receive(
    start: &mut Option<StartInput>,
    incoming: &mut Incoming,
    message: pb::UploadServiceDocumentRequest,
) -> Result<(), AppError> {
    match (&start, message.message) {
        (None, Some(Message::Start(given))) => {
            *start = Some(document::start(given)?);
            Ok(())
        }
        (Some(_), Some(Message::Chunk(chunk))) => incoming.take(&part(chunk)?),
        (None, _) => Err(missing("start")),
        (Some(_), _) => Err(missing("chunk")),
    }
}

fn missing(field: &str) -> AppError {
    let mut violations = Violations::default();
    violations.push(field, Reason::FieldRequired);
    violations.into()
}
