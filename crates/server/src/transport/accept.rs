//! The accept loop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::Stream;
use metrics::counter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Connection, LABEL_OUTCOME, Limits, Peer, TLS_HANDSHAKES_TOTAL, Tls,
    outcome::Outcome,
    permits::{Gate, Permit},
    preface::read_preface,
    tls::H2,
};

/// Ready connections that may wait for tonic to take them.
const QUEUE: usize = 64;
/// First pause after an accept error that is not the peer's fault, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long, and for how many bytes, a refused peer is listened to so that it gets to read the alert.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 * 1024;

/// Accepts connections and yields those that have proved who they are and speak HTTP/2.
///
/// The loop and each handshake are tasks of the runtime this is called in. The stream never yields an error, and
/// ends when `shutdown` resolves: handshakes under way are dropped then, connections already yielded are not
/// touched. Dropping the stream ends the loop too.
pub fn accept(
    listener: TcpListener,
    tls: Arc<Tls>,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let (ready, stream) = mpsc::channel(QUEUE);
    tokio::spawn(run(listener, tls, limits, shutdown, ready));
    ReceiverStream::new(stream)
}

/// Where sockets come from; in production a [`TcpListener`].
pub(super) trait Sockets: Send + 'static {
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Sockets for TcpListener {
    fn next(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        self.accept()
    }
}

pub(super) async fn run(
    sockets: impl Sockets,
    tls: Arc<Tls>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let gate = Gate::new(&limits);
    let mut handshakes = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = ready.closed() => break,
            Some(_) = handshakes.join_next() => continue,
            accepted = sockets.next() => accepted,
        };
        match accepted {
            Ok((socket, address)) => {
                pause = FIRST_PAUSE;
                if let Some(permit) = gate.admit(address.ip()) {
                    let deadline = Instant::now() + limits.handshake_timeout;
                    handshakes.spawn(handshake(
                        socket,
                        address,
                        permit,
                        Arc::clone(&tls),
                        ready.clone(),
                        deadline,
                    ));
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors, most likely: the ones in use have to be given back first.
                tracing::warn!(%error, pause_ms = pause.as_millis(), "accepting connections failed, pausing");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Errors that say something about a connection that is gone, and nothing about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

async fn handshake(
    socket: TcpStream,
    address: SocketAddr,
    permit: Permit,
    tls: Arc<Tls>,
    ready: mpsc::Sender<io::Result<Connection>>,
    deadline: Instant,
) {
    let established = timeout_at(deadline, establish(socket, address, &tls)).await;
    let (outcome, connection, unread) = match established {
        Ok(Ok((stream, peer))) => (
            Outcome::Ok,
            Some(Connection::new(stream, peer, permit)),
            None,
        ),
        Ok(Err(Refused { outcome, socket })) => {
            (outcome, None, socket.map(|socket| (socket, permit)))
        }
        Err(_) => (Outcome::Timeout, None, None),
    };
    counter!(TLS_HANDSHAKES_TOTAL, LABEL_OUTCOME => outcome.label()).increment(1);
    let fingerprint = connection
        .as_ref()
        .map(|connection| connection.peer().fingerprint_hex());
    tracing::debug!(peer = %address, outcome = outcome.label(), fingerprint, "handshake finished");
    if let Some((socket, _permit)) = unread {
        linger(socket, deadline).await;
    }
    if let Some(connection) = connection {
        // Fails only when tonic is gone, and then the connection may go too.
        let _ = ready.send(Ok(connection)).await;
    }
}

/// A handshake that failed, with the socket when the peer was sent an alert it should get to read.
struct Refused {
    outcome: Outcome,
    socket: Option<TcpStream>,
}

impl From<Outcome> for Refused {
    fn from(outcome: Outcome) -> Refused {
        Refused {
            outcome,
            socket: None,
        }
    }
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

async fn establish(
    socket: TcpStream,
    address: SocketAddr,
    tls: &Tls,
) -> Result<(TlsStream, Arc<Peer>), Refused> {
    socket.set_nodelay(true).map_err(|_| Outcome::Closed)?;
    let accepting = TlsAcceptor::from(tls.config())
        .accept(socket)
        .into_fallible();
    let mut stream = accepting.await.map_err(|(error, socket)| Refused {
        outcome: Outcome::of(&error),
        socket: Some(socket),
    })?;
    let verified = verify(&mut stream, address, tls).await;
    match verified {
        Ok(peer) => Ok((stream, Arc::new(peer))),
        Err(outcome) => {
            // Says goodbye properly; the deadline is around this too.
            let _ = stream.shutdown().await;
            Err(outcome.into())
        }
    }
}

async fn verify(stream: &mut TlsStream, address: SocketAddr, tls: &Tls) -> Result<Peer, Outcome> {
    let (_, session) = stream.get_ref();
    // A client that offers no protocol at all gets through the handshake.
    if session.alpn_protocol() != Some(H2) {
        return Err(Outcome::NoHttp2);
    }
    let chain = session.peer_certificates().ok_or(Outcome::NoCertificate)?;
    let peer = Peer::new(chain, address, tls.trust_domain()).ok_or(Outcome::BadCertificate)?;
    match read_preface(stream).await {
        Ok(true) => Ok(peer),
        Ok(false) => Err(Outcome::WrongPreface),
        Err(_) => Err(Outcome::Closed),
    }
}

/// Closing a socket with unread bytes resets the connection, and the reset overtakes the alert: a TLS 1.3 client
/// has sent its preface by then. So its bytes are read, briefly, before the socket is dropped.
async fn linger(mut socket: TcpStream, deadline: Instant) {
    let until = deadline.min(Instant::now() + LINGER);
    let _ = timeout_at(until, async {
        socket.shutdown().await?;
        let mut bytes = [0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match socket.read(&mut bytes).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    })
    .await;
}
