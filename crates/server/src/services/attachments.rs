//! `gavah.v1.AttachmentService`.

use futures_util::StreamExt;
use futures_util::stream::iter;
use gavah_api::v1 as pb;
use gavah_api::v1::attachment_service_server::AttachmentService;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Services, reply, split};
use crate::app::attachments::{self, Incoming};
use crate::convert::attachment::{CHUNK_BYTES, attachment_to_pb, download, part};
use crate::status::to_status;

#[tonic::async_trait]
impl AttachmentService for Services {
    type DownloadAttachmentStream = BoxStream<pb::DownloadAttachmentResponse>;

    async fn upload_attachment(
        &self,
        request: Request<Streaming<pb::UploadAttachmentRequest>>,
    ) -> Result<Response<pb::UploadAttachmentResponse>, Status> {
        let (call, mut messages) = split(request)?;
        let _place = self.streams.file_place(&call)?;
        let mut incoming = Incoming::default();
        while let Some(message) = messages.next().await {
            let taken = part(message?.chunk).and_then(|part| incoming.take(&part));
            taken.map_err(|error| to_status(error, call.trace_id))?;
        }
        let kept = attachments::keep(&self.app, &call, incoming).await;
        let result = kept.map(|stored| pb::UploadAttachmentResponse {
            attachment: Some(attachment_to_pb(&stored)),
        });
        reply(&call, result)
    }

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<Self::DownloadAttachmentStream>, Status> {
        let (call, message) = split(request)?;
        let place = self.streams.file_place(&call)?;
        let act = async {
            let file = download(&message)?;
            attachments::read(&self.app, &call, file).await
        };
        let (stored, bytes) = act.await.map_err(|error| to_status(error, call.trace_id))?;
        let starts = (0..bytes.len()).step_by(CHUNK_BYTES);
        let parts = iter(starts).map(move |start| {
            // Held until the last part is on its way.
            let _place = &place;
            let end = bytes.len().min(start + CHUNK_BYTES);
            Ok(pb::DownloadAttachmentResponse {
                attachment: (start == 0).then(|| attachment_to_pb(&stored)),
                chunk: bytes.slice(start..end).to_vec(),
            })
        });
        Ok(Response::new(Box::pin(parts)))
    }
}
