//! The floor: a server that does nothing but answer, over the same mutual TLS and with the same message sizes.

mod shards;
mod tls;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gavah_api::v1 as pb;
use gavah_api::v1::validation_service_server::{ValidationService, ValidationServiceServer};
use prost::Message;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tonic::{Request, Response, Status, Streaming};

pub use self::tls::TlsFault;

/// How the echo's work is spread over the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As tonic comes: one runtime, its threads taking work from each other.
    Stock,
    /// One single-threaded runtime for each core, with accepted sockets dealt out.
    Tuned,
}

/// What an echo needs.
#[derive(Debug, Clone)]
pub struct Echo {
    /// How its work is spread.
    pub kind: Kind,
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities whose clients are let in.
    pub client_ca: PathBuf,
    /// File of an encoded `ValidateCodeResponse`: what every question is answered with.
    pub answer: PathBuf,
    /// File that is written when it can be called: a JSON object with its address.
    pub ready_file: PathBuf,
}

/// Why there is no echo.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The TLS files.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The file of the answer holds none.
    #[error("{path}: {source}", path = path.display())]
    Answer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: prost::DecodeError,
    },
    /// A file.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Threads, runtimes, sockets.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Echo {
    /// Serves until the process is ended. Has runtimes of its own, so it must not be called inside one.
    ///
    /// # Errors
    /// [`EchoError`] when it cannot start.
    pub fn serve(&self) -> Result<(), EchoError> {
        let unreadable = |source| EchoError::File {
            path: self.answer.clone(),
            source,
        };
        let bytes = fs::read(&self.answer).map_err(unreadable)?;
        let answer =
            pb::ValidateCodeResponse::decode(&bytes[..]).map_err(|source| EchoError::Answer {
                path: self.answer.clone(),
                source,
            })?;
        let acceptor = tls::acceptor(&self.certificate, &self.key, &self.client_ca)?;
        match self.kind {
            Kind::Stock => shards::stock(self, acceptor, &answer),
            Kind::Tuned => shards::tuned(self, acceptor, &answer),
        }
    }

    fn tell_ready(&self, address: SocketAddr) -> Result<(), EchoError> {
        write_whole(
            &self.ready_file,
            &json!({"address": address.to_string()}).to_string(),
        )
    }
}

/// Whole or not at all: whoever waits for the file must not read half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), EchoError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| EchoError::File {
            path: path.to_owned(),
            source,
        })
}

/// A free port of this machine.
async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The service behind both kinds.
struct Answering(pb::ValidateCodeResponse);

fn service(answer: &pb::ValidateCodeResponse) -> ValidationServiceServer<impl ValidationService> {
    ValidationServiceServer::new(Answering(answer.clone()))
}

#[tonic::async_trait]
impl ValidationService for Answering {
    async fn validate_code(
        &self,
        _: Request<pb::ValidateCodeRequest>,
    ) -> Result<Response<pb::ValidateCodeResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    type StreamValidateCodesStream =
        tokio_stream::Empty<Result<pb::StreamValidateCodesResponse, Status>>;

    async fn stream_validate_codes(
        &self,
        _: Request<Streaming<pb::StreamValidateCodesRequest>>,
    ) -> Result<Response<Self::StreamValidateCodesStream>, Status> {
        Err(Status::unimplemented("the echo answers ValidateCode alone"))
    }

    async fn match_code(
        &self,
        _: Request<pb::MatchCodeRequest>,
    ) -> Result<Response<pb::MatchCodeResponse>, Status> {
        Err(Status::unimplemented("the echo answers ValidateCode alone"))
    }

    async fn batch_validate_codes(
        &self,
        _: Request<pb::BatchValidateCodesRequest>,
    ) -> Result<Response<pb::BatchValidateCodesResponse>, Status> {
        Err(Status::unimplemented("the echo answers ValidateCode alone"))
    }
}

async fn next(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
