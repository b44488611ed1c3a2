//! Connections to backends: TCP, and TLS over it where the backend's address says so; and how far each has come.
//!
//! The backends of a cluster must show that they are roots; other services, which rules and the shadow name, that they
//! are the host.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gleaner_tls::{Connector, TlsStream};
use http::Uri;
use http::uri::Authority;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

use crate::options::{BackendUrl, FrontOptions};
use crate::traffic::Traffic;

/// Makes connections to backends.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    tls: Option<Connector>,
    /// What encrypts connections to the backends, where that is not [`Self::tls`].
    of_backends: Option<(Arc<[Authority]>, Connector)>,
    within: Duration,
}

impl Connect {
    /// Returns what makes them as `options` say.
    pub(crate) fn of(options: &FrontOptions) -> Self {
        let backends = options.backends.iter().map(BackendUrl::authority);
        let of_backends = options.backend_connector.clone();
        Self {
            tls: options.connector.clone(),
            of_backends: of_backends.map(|connector| (backends.collect(), connector)),
            within: options.connect_within,
        }
    }

    /// Returns what encrypts connections to `uri`.
    fn connector(&self, uri: &Uri) -> Option<&Connector> {
        match &self.of_backends {
            Some((backends, connector))
                if backends.iter().any(|own| uri.authority() == Some(own)) =>
            {
                Some(connector)
            }
            _ => self.tls.as_ref(),
        }
    }

    /// Connects to the host and port of `uri`.
    pub(crate) async fn connect(&self, uri: &Uri) -> io::Result<Stream> {
        let is_encrypted = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let port = uri
            .port_u16()
            .unwrap_or(if is_encrypted { 443 } else { 80 });
        let connecting = async {
            let name = host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((name, port)).await?;
            stream.set_nodelay(true)?;
            if !is_encrypted {
                return Ok(Stream::of(Transport::Plain(stream)));
            }
            let no_tls = || io::Error::other("no TLS is set up for backends");
            let connector = self.connector(uri).ok_or_else(no_tls)?;
            let stream = connector.connect(host, stream).await?;
            Ok(Stream::of(Transport::Encrypted(Box::new(stream))))
        };
        tokio::time::timeout(self.within, connecting).await?
    }
}

impl Service<Uri> for Connect {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone();
        Box::pin(async move { connect.connect(&uri).await.map(TokioIo::new) })
    }
}

/// A connection to a backend.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    traffic: Traffic,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn of(transport: Transport) -> Self {
        Self {
            transport,
            traffic: Traffic::default(),
        }
    }

    fn noted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.traffic.note_sent();
        }
        written
    }
}

impl Connection for Stream {
    /// Whoever hears of a failure hears how far the connection had come.
    fn connected(&self) -> Connected {
        Connected::new().extra(self.traffic.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if buffer.filled().len() > before {
            this.traffic.note_heard();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        this.noted(written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Transport::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        };
        this.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Encrypted(stream) => stream.is_write_vectored(),
        }
    }
}
