//! The accept loop, and the lanes in which accepted sockets become connections.

use std::{fmt, io, net::SocketAddr, num::NonZero, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, future::select_all};
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
    permits::{Gate, Permit, Seat},
    preface::read_preface,
    tls::H2,
};

/// Ready connections of a lane that may wait for tonic to take them.
const QUEUE: usize = 64;
/// First pause after an accept error that is not the peer's fault, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long, and for how many bytes, a refused peer is listened to so that it gets to read the alert.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 * 1024;

/// Accepts sockets under the caps and deals each to the lane with the fewest open connections.
///
/// The loop is a task of the runtime this is called in. It ends when `shutdown` resolves, and when a lane is gone;
/// then the lanes end too.
pub fn accept(
    listener: TcpListener,
    limits: Limits,
    lanes: NonZero<usize>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Vec<Lane> {
    let (dealer, lanes) = Dealer::new(lanes);
    tokio::spawn(run(listener, dealer, limits, shutdown));
    lanes
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

/// A socket under the caps, on its way to a lane. It belongs to no runtime: its lane's will take it.
struct Admitted {
    socket: std::net::TcpStream,
    address: SocketAddr,
    permit: Permit,
    deadline: Instant,
}

/// The sockets dealt to one lane, which may be moved to another runtime than the accept loop's.
pub struct Lane(mpsc::UnboundedReceiver<Admitted>);

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").finish_non_exhaustive()
    }
}

/// Deals sockets to lanes.
pub(super) struct Dealer(Vec<(Seat, mpsc::UnboundedSender<Admitted>)>);

impl Dealer {
    pub(super) fn new(lanes: NonZero<usize>) -> (Dealer, Vec<Lane>) {
        // Whatever waits here holds a permit, so the caps bound the queues.
        let (dealt, lanes) = (0..lanes.get())
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                ((Seat::default(), sender), Lane(receiver))
            })
            .unzip();
        (Dealer(dealt), lanes)
    }

    /// Resolves when a lane is gone.
    async fn broken(&self) {
        select_all(self.0.iter().map(|(_, lane)| Box::pin(lane.closed()))).await;
    }

    /// Deals a socket to the lane with the fewest; a socket that cannot be moved is closed.
    fn deal(&self, socket: TcpStream, address: SocketAddr, permit: Permit, deadline: Instant) {
        let Some((seat, lane)) = self.0.iter().min_by_key(|(seat, _)| seat.taken()) else {
            return;
        };
        if let Ok(socket) = socket.into_std() {
            // A lane that is gone ends the loop.
            let _ = lane.send(Admitted {
                socket,
                address,
                permit: permit.seated(seat),
                deadline,
            });
        }
    }
}

pub(super) async fn run(
    sockets: impl Sockets,
    dealer: Dealer,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let gate = Gate::new(&limits);
    let mut pause = FIRST_PAUSE;
    let mut broken = pin!(dealer.broken());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = &mut broken => break,
            accepted = sockets.next() => accepted,
        };
        match accepted {
            Ok((socket, address)) => {
                pause = FIRST_PAUSE;
                if let Some(permit) = gate.admit(address.ip()) {
                    let deadline = Instant::now() + limits.handshake_timeout;
                    dealer.deal(socket, address, permit, deadline);
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

impl Lane {
    /// Yields the connections that have proved who they are and speak HTTP/2.
    ///
    /// Each handshake is a task of the runtime this is called in. The stream never yields an error, and ends with the
    /// accept loop: handshakes under way are dropped then, connections already yielded are not touched. Dropping the
    /// stream ends the lane, and with it the loop.
    pub fn connections(self, tls: Arc<Tls>) -> impl Stream<Item = io::Result<Connection>> + Send {
        let (ready, stream) = mpsc::channel(QUEUE);
        tokio::spawn(self.shake_hands(tls, ready));
        ReceiverStream::new(stream)
    }

    async fn shake_hands(mut self, tls: Arc<Tls>, ready: mpsc::Sender<io::Result<Connection>>) {
        let mut handshakes = JoinSet::new();
        loop {
            let admitted = tokio::select! {
                biased;
                () = ready.closed() => return,
                Some(_) = handshakes.join_next() => continue,
                admitted = self.0.recv() => admitted,
            };
            let Some(admitted) = admitted else { return };
            handshakes.spawn(handshake(admitted, Arc::clone(&tls), ready.clone()));
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

async fn handshake(admitted: Admitted, tls: Arc<Tls>, ready: mpsc::Sender<io::Result<Connection>>) {
    let Admitted {
        socket,
        address,
        permit,
        deadline,
    } = admitted;
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
    socket: std::net::TcpStream,
    address: SocketAddr,
    tls: &Tls,
) -> Result<(TlsStream, Arc<Peer>), Refused> {
    let socket = TcpStream::from_std(socket).map_err(|_| Outcome::Closed)?;
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
