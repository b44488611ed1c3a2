//! The way of a connection from the accepted socket to where its requests are answered.

use std::future::Future;
use std::io;
use std::sync::Arc;

use gleaner_listener::{Beginning, Place, Protocol};
use gleaner_tls::TlsStream;
use tokio::net::TcpStream;

use crate::encryption::{self, FirstRecord, Handshakes, HelloStream};
use crate::probing::{self, Scope};
use crate::proxy;
use crate::server::{Answers, Server};

/// A stream whose handshake was made.
type EncryptedStream = TlsStream<HelloStream<TcpStream>>;

impl<S> Server<S>
where
    S: Answers,
{
    /// Waits for the first bytes of a connection, and has it answered where they say.
    pub(crate) async fn admit(self: Arc<Self>, stream: TcpStream, place: Place) -> io::Result<()> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let mut begun = Beginning::new(stream, place);
        if proxy::is_trusted(&self.proxies, begun.place.peer()) {
            proxy::take_header(&mut begun).await?;
        }
        match &self.handshakes {
            None => self.admit_plain(begun).await,
            Some(handshakes) => {
                let handshakes = Arc::clone(handshakes);
                self.admit_encrypted(begun, handshakes).await
            }
        }
    }

    async fn admit_plain(self: Arc<Self>, mut begun: Beginning<TcpStream>) -> io::Result<()> {
        let tell = |first: &[u8]| Ok(Protocol::of(first));
        let protocol = begun.read(self.limits.opening, tell).await?;
        let is_probe =
            self.answers_probes && protocol == Protocol::Http1 && probing::is_probe(&begun.first);
        if is_probe || self.scope == Scope::Probes {
            let drive = self.drive(protocol, &begun.place, None);
            self.answer_probes(drive, begun).await;
            return Ok(());
        }
        self.hand_over(begun, move |server, begun| async move {
            let drive = server.drive(protocol, &begun.place, None);
            server.answer_requests(drive, begun).await;
            Ok(())
        })
    }

    async fn admit_encrypted(
        self: Arc<Self>,
        mut begun: Beginning<TcpStream>,
        handshakes: Arc<Handshakes>,
    ) -> io::Result<()> {
        let tell = encryption::first_record;
        match begun.read(self.limits.opening, tell).await? {
            FirstRecord::Handshake => self.hand_over(begun, move |server, begun| {
                server.take_encrypted(begun, handshakes)
            }),
            FirstRecord::Plain => {
                begun.place.count("plain");
                encryption::refuse_plain(begun.stream).await
            }
        }
    }

    /// Has the runtime go on with a connection, by what `go_on` returns.
    fn hand_over<F>(
        self: Arc<Self>,
        begun: Beginning<TcpStream>,
        go_on: impl FnOnce(Arc<Self>, Beginning<TcpStream>) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>> + Send,
    {
        let Beginning {
            stream,
            first,
            place,
        } = begun;
        let stream = stream.into_std()?;
        let runtime = self.runtime.clone();
        drop(runtime.spawn(async move {
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => stream,
                Err(error) => return tracing::warn!(%error, "a connection could not be moved"),
            };
            let begun = Beginning {
                stream,
                first,
                place,
            };
            if let Err(error) = go_on(self, begun).await {
                tracing::debug!(%error, "a connection ended before a request");
            }
        }));
        Ok(())
    }

    /// Makes the handshake of a connection and answers its requests, on the runtime.
    async fn take_encrypted(
        self: Arc<Self>,
        begun: Beginning<TcpStream>,
        handshakes: Arc<Handshakes>,
    ) -> io::Result<()> {
        let mut stop = self.stop.subscribe();
        let begun = tokio::select! {
            begun = self.encrypt(&handshakes, begun) => begun?,
            _ = stop.wait_for(|is_asked| *is_asked) => return Ok(()),
        };
        let protocol = match begun.stream.is_http2() {
            true => Protocol::Http2,
            false => Protocol::Http1,
        };
        let told = encryption::told_by(&begun.stream);
        let drive = self.drive(protocol, &begun.place, Some(told));
        match self.scope {
            Scope::Clients => self.answer_requests(drive, begun).await,
            Scope::Probes => self.answer_probes(drive, begun).await,
        }
        Ok(())
    }

    /// Makes the handshake of a connection, and waits for the first bytes that it sends over it.
    async fn encrypt(
        &self,
        handshakes: &Handshakes,
        begun: Beginning<TcpStream>,
    ) -> io::Result<Beginning<EncryptedStream>> {
        let Beginning {
            stream,
            first,
            place,
        } = begun;
        let made = tokio::select! {
            made = handshakes.make(stream, first.freeze()) => made,
            () = place.activity().closed() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let stream = made.inspect_err(|_| place.count("handshake"))?;
        let mut begun = Beginning::new(stream, place);
        begun.read(self.limits.opening, |_| Ok(Some(()))).await?;
        Ok(begun)
    }
}
