//! Looks at backends now and then: whether they are ready.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use crate::backend::Backend;
use crate::connect::Connect;

/// How long a backend may take to say that it is ready.
const WITHIN: Duration = Duration::from_secs(2);

/// How backends are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) connect: Connect,
    pub(crate) path: Option<String>,
    pub(crate) every: Duration,
}

impl Probe {
    /// Looks at a backend again and again, for as long as the task runs; at once when a connection of it broke.
    pub(crate) async fn watch(self, backend: Arc<Backend>) {
        let mut looks = tokio::time::interval(self.every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = backend.break_of_connection() => {}
            }
            let began = Instant::now();
            let found = timeout(WITHIN, self.look(&backend)).await;
            match found {
                Ok(Ok(())) => backend.note_probe(Ok(()), began),
                Ok(Err(reason)) => backend.note_probe(Err(&reason), began),
                Err(_elapsed) => backend.note_probe(Err("it does not answer"), began),
            }
        }
    }

    async fn look(&self, backend: &Backend) -> Result<(), String> {
        let path = self.path.as_deref().unwrap_or("/");
        let uri = Uri::builder()
            .scheme(backend.url.scheme())
            .authority(backend.url.authority())
            .path_and_query(path)
            .build()
            .map_err(|error| error.to_string())?;
        let stream = self.connect.connect(&uri).await;
        let stream = stream.map_err(|error| error.to_string())?;
        if self.path.is_none() {
            return Ok(());
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let request = Request::get(path)
            .header(header::HOST, backend.url.authority().as_str())
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answering = sender.send_request(request);
        let answer = tokio::select! {
            answer = answering => answer.map_err(|error| error.to_string())?,
            ended = connection => {
                let reason = ended.err().map(|error| error.to_string());
                return Err(reason.unwrap_or_else(|| "it closed the connection".to_owned()));
            }
        };
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::options::FrontOptions;

    /// Longer than a test may take.
    const NEVER: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_backend_whose_connection_broke_is_looked_at_before_its_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}").parse().expect("an address");
        let options = FrontOptions {
            backends: vec![url],
            ..FrontOptions::default()
        };
        let backend = Arc::new(Backend::new(options.backends[0].clone()));
        let probe = Probe {
            connect: Connect::of(&options),
            path: None,
            every: NEVER,
        };
        let watching = tokio::spawn(probe.watch(Arc::clone(&backend)));
        listener.accept().await.expect("the first look");
        backend.note_break();
        listener.accept().await.expect("another look, at once");
        let is_sure = async {
            while backend.is_in_doubt() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), is_sure)
            .await
            .expect("it answered");
        watching.abort();
    }
}
