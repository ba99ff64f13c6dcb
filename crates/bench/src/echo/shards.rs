//! The two ways of spreading the work.

use std::io;
use std::num::NonZeroUsize;
use std::thread;

use gavah_api::v1 as pb;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::tls::Connection;
use super::{Echo, EchoError, listen, next, service};

/// Connections that may wait to be taken.
const QUEUE: usize = 64;

/// tonic on tokio's multi-thread runtime, as it comes.
pub(super) fn stock(
    echo: &Echo,
    acceptor: TlsAcceptor,
    answer: &pb::ValidateCodeResponse,
) -> Result<(), EchoError> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (listener, address) = listen().await?;
        let (ready, connections) = mpsc::channel(QUEUE);
        tokio::spawn(serve(connections, answer.clone()));
        echo.tell_ready(address)?;
        loop {
            // A connection that failed is its client's trouble.
            if let Ok(socket) = next(&listener).await {
                handshake(socket, acceptor.clone(), ready.clone());
            }
        }
    })
}

/// A single-threaded runtime for each core. A connection stays where it was dealt to, with its handshake, its
/// cipher and its calls.
pub(super) fn tuned(
    echo: &Echo,
    acceptor: TlsAcceptor,
    answer: &pb::ValidateCodeResponse,
) -> Result<(), EchoError> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut shards = Vec::with_capacity(cores);
    for _ in 0..cores {
        let (deal, mut dealt) = mpsc::channel::<std::net::TcpStream>(QUEUE);
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let (ready, connections) = mpsc::channel(QUEUE);
                tokio::spawn(serve(connections, answer));
                while let Some(socket) = dealt.recv().await {
                    if let Ok(socket) = TcpStream::from_std(socket) {
                        handshake(socket, acceptor.clone(), ready.clone());
                    }
                }
            });
        });
        shards.push(deal);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (listener, address) = listen().await?;
        echo.tell_ready(address)?;
        for shard in shards.iter().cycle() {
            // A connection that failed is its client's trouble; a shard that ended would refuse the next one too.
            if let Ok(socket) = next(&listener).await.and_then(TcpStream::into_std) {
                let dealt = shard.send(socket).await;
                dealt.map_err(|_| io::Error::other("a shard has ended"))?;
            }
        }
        Ok(())
    })
}

fn handshake(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    tokio::spawn(async move {
        if let Ok(stream) = acceptor.accept(socket).await {
            // Fails only when the server is gone, and then the connection may go too.
            let _ = ready.send(Ok(Connection(stream))).await;
        }
    });
}

async fn serve(
    connections: mpsc::Receiver<io::Result<Connection>>,
    answer: pb::ValidateCodeResponse,
) {
    let served = Server::builder()
        .add_service(service(&answer))
        .serve_with_incoming(ReceiverStream::new(connections));
    // Nobody listens: the process is ended from outside.
    let _ = served.await;
}
