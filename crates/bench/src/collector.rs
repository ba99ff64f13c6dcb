//! A trace collector that takes everything and keeps nothing, so that exporting can be measured without one.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::echo::{EchoError, write_whole};

/// Serves on a free port of this machine until the process is ended; the file then holds its address as JSON. Has a
/// runtime of its own, so it must not be called inside one.
///
/// # Errors
/// [`EchoError`] when it cannot start.
pub fn serve(ready_file: &Path) -> Result<(), EchoError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        write_whole(
            ready_file,
            &json!({"address": address.to_string()}).to_string(),
        )?;
        Server::builder()
            .add_service(BlackHole)
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .map_err(io::Error::other)?;
        Ok(())
    })
}

/// `opentelemetry.proto.collector.trace.v1.TraceService`, of which `Export` is all there is.
#[derive(Clone, Copy)]
struct BlackHole;

impl NamedService for BlackHole {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for BlackHole {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Opaque).apply_max_message_size_config(Some(LARGEST), None);
            Ok(grpc.unary(BlackHole, request).await)
        })
    }
}

/// Largest batch of spans.
const LARGEST: usize = 64 * 1024 * 1024;

impl UnaryService<usize> for BlackHole {
    type Response = ();
    type Future = std::future::Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<usize>) -> Self::Future {
        std::future::ready(Ok(Response::new(())))
    }
}

/// Messages of which only the length is read, answered with the message that has no field set.
#[derive(Clone, Copy, Default)]
struct Opaque;

impl Codec for Opaque {
    type Encode = ();
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Opaque {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Opaque {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        use prost::bytes::Buf;
        let length = buffer.remaining();
        buffer.advance(length);
        Ok(Some(length))
    }
}
