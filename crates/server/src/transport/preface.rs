//! The HTTP/2 preface, read before tonic sees the connection: tonic itself waits for it without end.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{Peer, permits::Permit};

/// What every HTTP/2 client says first (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface and not a byte more. False at the first byte that differs, or when the stream ends.
pub(super) async fn read_preface(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
    let mut bytes = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < bytes.len() {
        let read = stream.read(&mut bytes[filled..]).await?;
        filled += read;
        if read == 0 || !PREFACE.starts_with(&bytes[..filled]) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An authenticated connection for tonic. It replays the preface that was read already and holds its place
/// under the caps until it is dropped.
pub struct Connection {
    replayed: usize,
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    _permit: Permit,
}

impl Connection {
    pub(super) fn new(stream: TlsStream<TcpStream>, peer: Arc<Peer>, permit: Permit) -> Connection {
        Connection {
            replayed: 0,
            stream,
            peer,
            _permit: permit,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.replayed..];
        if !rest.is_empty() {
            let now = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..now]);
            self.replayed += now;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// Not vectored: then small answers that are ready at the same time are copied together and leave in one TLS record,
/// instead of in one each.
impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preface_is_recognised_in_pieces_and_nothing_after_it_is_read() {
        let mut stream = in_pieces(&[b"PRI * HTTP", b"/2.0\r\n\r\nSM\r\n\r\n", b"rest"]);
        assert!(read_preface(&mut stream).await.unwrap());
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn the_first_wrong_byte_or_an_early_end_is_enough() {
        assert!(!read_preface(&mut b"G".as_slice()).await.unwrap());
        assert!(!read_preface(&mut b"PRI * HTTP/1".as_slice()).await.unwrap());
        assert!(!read_preface(&mut b"PRI *".as_slice()).await.unwrap());
        assert!(!read_preface(&mut b"".as_slice()).await.unwrap());
    }

    fn in_pieces(chunks: &[&'static [u8]]) -> impl AsyncRead + Unpin {
        let [first, second, third] = chunks else {
            panic!("three chunks")
        };
        first.chain(*second).chain(*third)
    }
}
