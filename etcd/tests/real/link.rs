//! A connection to etcd that can be cut, or held in one direction, as a test wants it.

use std::io;
use std::sync::Arc;

use gleaner_proto::Connect;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex, split,
};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    Open,
    /// Connections end, and none is made.
    Cut,
    /// Those of calls are kept back, and lost when the link is cut.
    HoldCalls,
    /// Those of answers are kept back, and lost when the link is cut.
    HoldAnswers,
}

/// All connections of one client.
#[derive(Clone)]
pub(crate) struct Link {
    mode: Arc<watch::Sender<Mode>>,
    /// Bytes of calls that are kept back.
    held: Arc<watch::Sender<Vec<u8>>>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            mode: Arc::new(watch::Sender::new(Mode::Open)),
            held: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends all connections; none is made until another mode is set.
    pub(crate) async fn cut(&self) {
        self.set(Mode::Cut);
        // Each connection holds a receiver.
        self.mode.closed().await;
    }

    /// Ends all connections, and lets new ones be made.
    pub(crate) async fn break_off(&self) {
        self.cut().await;
        self.set(Mode::Open);
    }

    /// Waits until a call that holds `words` is kept back.
    pub(crate) async fn holds(&self, words: &[u8]) {
        let mut held = self.held.subscribe();
        let holds = |held: &Vec<u8>| held.windows(words.len()).any(|part| part == words);
        held.wait_for(holds).await.expect("the link is there");
    }

    /// Returns how etcd is reached over the link.
    pub(crate) fn connect(&self) -> Connect {
        let link = self.clone();
        Connect::by(move |address| {
            let link = link.clone();
            async move { link.dial(&address).await }
        })
    }

    /// Makes a connection to `address`.
    pub(crate) async fn dial(&self, address: &str) -> io::Result<DuplexStream> {
        let mode = self.mode.subscribe();
        if *mode.borrow() == Mode::Cut {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        }
        let stream = TcpStream::connect(address).await?;
        let (near, far) = duplex(1 << 16);
        tokio::spawn(self.clone().carry(far, stream, mode));
        Ok(near)
    }

    async fn carry(self, near: DuplexStream, far: TcpStream, mode: watch::Receiver<Mode>) {
        let ((calls, answers_in), (answers, calls_in)) = (split(near), split(far));
        let mut ended = mode.clone();
        tokio::select! {
            // Either end may be gone.
            _ = pass(calls, calls_in, mode.clone(), Some(&self.held)) => {}
            _ = pass(answers, answers_in, mode, None) => {}
            () = until(&mut ended, |mode| mode == Mode::Cut) => {}
        }
    }
}

/// Waits for a mode; a link that is gone counts for any.
async fn until(mode: &mut watch::Receiver<Mode>, is_wanted: impl Fn(Mode) -> bool) {
    drop(mode.wait_for(|mode| is_wanted(*mode)).await);
}

/// Carries bytes from `from` to `to`; `held` takes note of calls that are kept back.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    held: Option<&watch::Sender<Vec<u8>>>,
) -> io::Result<()> {
    let holds = match held {
        Some(_) => Mode::HoldCalls,
        None => Mode::HoldAnswers,
    };
    let mut bytes = vec![0; 1 << 16];
    let mut kept: Vec<u8> = Vec::new();
    loop {
        tokio::select! {
            num_bytes = from.read(&mut bytes) => match num_bytes? {
                0 => return Ok(()),
                num_bytes => kept.extend(&bytes[..num_bytes]),
            },
            () = until(&mut mode, |mode| mode != holds), if !kept.is_empty() => {}
        }
        let now = *mode.borrow();
        if now == Mode::Cut {
            return Ok(());
        }
        if now != holds {
            to.write_all(&std::mem::take(&mut kept)).await?;
        } else if let Some(held) = held {
            held.send_replace(kept.clone());
        }
    }
}
