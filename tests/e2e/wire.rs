//! Calls below the typed client: any path, any bytes, any headers, with nothing added.

use std::str::FromStr;
use std::sync::Arc;

use gavah_client::Failure;
use gavah_testkit::world::{CallerKind, Identity, World};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

/// What a call came to: the bytes of the answer, or the failure.
pub(crate) type Answer = Result<Vec<u8>, Box<Failure>>;

/// A connection over mutual TLS that adds no header of its own.
#[derive(Clone)]
pub(crate) struct Wire(Channel);

impl Wire {
    pub(crate) async fn of(world: &World, kind: CallerKind) -> Self {
        Self::connect(world, &world.identity(kind)).await
    }

    pub(crate) async fn connect(world: &World, identity: &Identity) -> Self {
        Self::open(world, identity, None).await
    }

    /// A connection on which so many bytes of an answer may be under way that nobody has read.
    pub(crate) async fn narrow(world: &World, kind: CallerKind, bytes: u32) -> Self {
        Self::open(world, &world.identity(kind), Some(bytes)).await
    }

    async fn open(world: &World, identity: &Identity, window: Option<u32>) -> Self {
        let address = world.address();
        let tls = TlsConnector::from(Arc::new(tls(world, identity)));
        let connector = tower::service_fn(move |_: Uri| {
            let tls = tls.clone();
            async move {
                let name = ServerName::try_from("localhost").unwrap();
                let socket = TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                tls.connect(name, socket).await.map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let endpoint = endpoint
            .origin(Uri::from_static("https://localhost"))
            .initial_stream_window_size(window);
        Self(endpoint.connect_with_connector(connector).await.unwrap())
    }

    /// The channel, for generated clients.
    pub(crate) fn channel(&self) -> Channel {
        self.0.clone()
    }

    /// Sends a message and takes the first one that comes back.
    pub(crate) async fn send(&self, path: &str, message: &impl Message) -> Answer {
        self.send_with(path, message.encode_to_vec(), &[]).await
    }

    /// As [`Wire::send`] with any bytes and these headers.
    pub(crate) async fn send_with(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        self.exchange(path, body, headers)
            .await
            .map_err(|status| Box::new(Failure::of(&status)))
    }

    /// As [`Wire::send_with`], with the whole status of a refusal.
    pub(crate) async fn exchange(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<u8>, Status> {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(tokio_stream::once(body));
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        let path = PathAndQuery::from_str(path).unwrap();
        let answer = grpc.streaming(request, path, Bytes).await?;
        let mut answers = answer.into_inner();
        let first = answers.message().await?;
        Ok(first.unwrap_or_default())
    }

    /// Sends a message and takes the trailers of its answer.
    pub(crate) async fn trailers(&self, path: &str, message: &impl Message) -> MetadataMap {
        let mut grpc = Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        let request = Request::new(tokio_stream::once(message.encode_to_vec()));
        let path = PathAndQuery::from_str(path).unwrap();
        let answer = grpc.streaming(request, path, Bytes).await.unwrap();
        let mut answers = answer.into_inner();
        while answers.message().await.unwrap().is_some() {}
        answers.trailers().await.unwrap().unwrap_or_default()
    }
}

fn tls(world: &World, identity: &Identity) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(world.authority().certificate_path());
    roots.add(authority.unwrap()).unwrap();
    let certificate = CertificateDer::from_pem_file(&identity.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    tls
}

/// Messages as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; from.remaining()];
        from.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}
