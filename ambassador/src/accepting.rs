//! Connections accepted one after another, so many at once, until it is time to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A wait after a connection could not be accepted: files at their limit come back when others close theirs.
const REFUSED_FOR: Duration = Duration::from_millis(100);

/// A listener and what it allows.
#[derive(Debug)]
pub(crate) struct Accepting {
    pub(crate) listener: TcpListener,
    /// Connections at once; further ones wait to be accepted.
    pub(crate) max: usize,
    /// Time that open connections have once it stops.
    pub(crate) grace: Duration,
}

impl Accepting {
    /// Serves each connection by a task of its own until `stop` completes.
    pub(crate) async fn each<S>(
        self,
        stop: impl Future<Output = ()>,
        serve: impl Fn(TcpStream) -> S,
    ) where
        S: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(self.max));
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = &mut stop => break,
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let serving = serve(stream);
                        open.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(REFUSED_FOR).await;
                    }
                },
            }
            while open.try_join_next().is_some() {}
        }
        drop(self.listener);
        let ended = async { while open.join_next().await.is_some() {} };
        drop(tokio::time::timeout(self.grace, ended).await);
    }
}
