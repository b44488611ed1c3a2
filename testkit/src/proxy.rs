//! A network between two sockets that misbehaves as told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Chunks that may be on their way in one direction.
const IN_FLIGHT: usize = 1_024;

/// What the network does to what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Answers arrive that much later; nothing else changes.
    Delay(Duration),
    /// Nothing passes either way, connections stay open and bytes wait: a process that is stopped, a
    /// cable that is out.
    Stall,
    /// Answers arrive one byte after the other, with a pause after each.
    Drip(Duration),
    /// Open connections are reset, new ones at once.
    Reset,
    /// Bytes are taken and never arrive; connections stay open.
    Swallow,
}

/// A proxy in front of one address.
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

/// What came to a proxy so far.
#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    bytes_there: AtomicU64,
    bytes_back: AtomicU64,
}

impl Counts {
    fn add(&self, num_bytes: usize, direction: Direction) {
        let sum = match direction {
            Direction::There => &self.bytes_there,
            Direction::Back => &self.bytes_back,
        };
        sum.fetch_add(num_bytes as u64, Ordering::Relaxed);
    }
}

/// Bytes of all connections, as they stand on the wire above TCP: frames and headers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the upstream.
    pub there: u64,
    /// From it.
    pub back: u64,
}

impl Proxy {
    /// Listens on a free port and passes on to `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let fault = watch::Sender::new(Fault::None);
        let counts = Arc::new(Counts::default());
        let serving = tokio::spawn(serve(
            listener,
            upstream,
            fault.subscribe(),
            Arc::clone(&counts),
        ));
        Ok(Self {
            address,
            fault,
            counts,
            serving,
        })
    }

    /// Returns where to connect instead of the upstream.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does `fault` from now on, to open connections too.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Returns how many connections were accepted.
    pub fn num_accepted(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Returns the bytes that were taken so far, whether they arrived or not.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            there: self.counts.bytes_there.load(Ordering::Relaxed),
            back: self.counts.bytes_back.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    upstream: SocketAddr,
    fault: watch::Receiver<Fault>,
    counts: Arc<Counts>,
) {
    // Connections end with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        connections.spawn(connect(
            client,
            upstream,
            fault.clone(),
            Arc::clone(&counts),
        ));
        while connections.try_join_next().is_some() {}
    }
}

async fn connect(
    client: TcpStream,
    upstream: SocketAddr,
    mut fault: watch::Receiver<Fault>,
    counts: Arc<Counts>,
) {
    let is_reset = |fault: &Fault| *fault == Fault::Reset;
    reset_on_drop(&client);
    if is_reset(&fault.borrow()) {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    reset_on_drop(&server);
    for stream in [&client, &server] {
        // Without it only speed changes.
        drop(stream.set_nodelay(true));
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (there, back) = (fault.clone(), fault.clone());
    let (asked, answered) = (Direction::There, Direction::Back);
    tokio::select! {
        // Either half ending ends both: close enough for connections that are never half closed.
        () = pump((from_client, to_server), there, asked, &counts) => {}
        () = pump((from_server, to_client), back, answered, &counts) => {}
        _ = fault.wait_for(is_reset) => {}
    }
}

/// A closed socket sends a reset instead of an end.
fn reset_on_drop(stream: &TcpStream) {
    // Without it the peer sees an end where a reset was meant: an error of the connection too.
    drop(stream.set_zero_linger());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    There,
    Back,
}

/// A piece of a stream, and when it is due.
type Piece = (Instant, Vec<u8>);

async fn pump(
    (mut from, to): (OwnedReadHalf, OwnedWriteHalf),
    fault: watch::Receiver<Fault>,
    direction: Direction,
    counts: &Counts,
) {
    let (send, pieces) = mpsc::channel::<Piece>(IN_FLIGHT);
    let writing = write(to, pieces, fault.clone(), direction);
    let reading = async {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            counts.add(read, direction);
            let delay = match (*fault.borrow(), direction) {
                (Fault::Delay(delay), Direction::Back) => delay,
                _ => Duration::ZERO,
            };
            let piece = (Instant::now() + delay, chunk[..read].to_vec());
            if send.send(piece).await.is_err() {
                break;
            }
        }
        drop(send);
    };
    // What was read is still delivered after the stream has ended.
    tokio::join!(reading, writing);
}

async fn write(
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::Receiver<Piece>,
    mut fault: watch::Receiver<Fault>,
    direction: Direction,
) {
    while let Some((due, bytes)) = pieces.recv().await {
        sleep_until(due).await;
        // An error means that the proxy is gone.
        let Ok(now) = fault
            .wait_for(|fault| *fault != Fault::Stall)
            .await
            .map(|now| *now)
        else {
            return;
        };
        let written = match (now, direction) {
            (Fault::Swallow, _) => Ok(()),
            (Fault::Drip(pause), Direction::Back) => drip(&mut to, &bytes, pause, &fault).await,
            _ => to.write_all(&bytes).await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// Writes byte by byte while the fault lasts, and the rest at once.
async fn drip(
    to: &mut OwnedWriteHalf,
    bytes: &[u8],
    pause: Duration,
    fault: &watch::Receiver<Fault>,
) -> io::Result<()> {
    for (at, byte) in bytes.iter().enumerate() {
        if *fault.borrow() != Fault::Drip(pause) {
            return to.write_all(&bytes[at..]).await;
        }
        to.write_all(std::slice::from_ref(byte)).await?;
        sleep(pause).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte with the same.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"x").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn what_waits_in_a_stall_arrives_after_it() {
        let proxy = Proxy::before(echo().await).await.expect("a port");
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("it listens");
        assert_eq!(ask(&mut stream).await.expect("it passes"), b'x');
        proxy.set(Fault::Stall);
        let mut waiting = std::pin::pin!(ask(&mut stream));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        proxy.set(Fault::None);
        assert_eq!(waiting.await.expect("it passes again"), b'x');
        assert_eq!(proxy.num_accepted(), 1);
        assert_eq!(proxy.traffic(), Traffic { there: 2, back: 2 });
    }

    #[tokio::test]
    async fn a_reset_ends_open_and_new_connections() {
        let proxy = Proxy::before(echo().await).await.expect("a port");
        let mut open = TcpStream::connect(proxy.address())
            .await
            .expect("it listens");
        assert_eq!(ask(&mut open).await.expect("it passes"), b'x');
        proxy.set(Fault::Reset);
        assert!(open.read_u8().await.is_err());
        let mut new = TcpStream::connect(proxy.address())
            .await
            .expect("it listens");
        assert!(ask(&mut new).await.is_err());
        proxy.set(Fault::None);
        let mut new = TcpStream::connect(proxy.address())
            .await
            .expect("it listens");
        assert_eq!(ask(&mut new).await.expect("it passes again"), b'x');
    }

    #[tokio::test]
    async fn drips_arrive_whole() {
        let proxy = Proxy::before(echo().await).await.expect("a port");
        proxy.set(Fault::Drip(Duration::from_micros(10)));
        let mut stream = TcpStream::connect(proxy.address())
            .await
            .expect("it listens");
        stream.write_all(b"wheat").await.expect("it is taken");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("it passes");
        assert_eq!(&answer, b"wheat");
    }
}
