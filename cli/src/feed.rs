//! A value that is kept elsewhere and followed: a key of etcd, or what an address answers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use gleaner_client::http::http_client;
pub(crate) use gleaner_etcd::KeyState as FeedState;
use gleaner_etcd::{Client, follow_key};
use gleaner_proto::Connect;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Response, StatusCode, Url};
use tokio::sync::watch;

/// Largest value that is taken.
const MAX_BYTES: usize = 16 << 20;

/// Time that an address has to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feed {
    /// A key of an etcd whose members are at these addresses.
    Etcd { members: Vec<String>, key: String },
    /// What is answered to `GET`.
    Http { url: Url, ca: Option<PathBuf> },
}

impl Feed {
    /// Reads `etcd://HOST:PORT[,HOST:PORT]/KEY`; `None` for what does not begin so. The key is all behind the slash, so
    /// one that begins with a slash has two.
    ///
    /// # Errors
    /// No member, no key, a member without a port.
    pub(crate) fn etcd(text: &str) -> Result<Option<Self>> {
        let Some(rest) = text.strip_prefix("etcd://") else {
            return Ok(None);
        };
        let (members, key) = rest.split_once('/').unwrap_or((rest, ""));
        ensure!(
            !key.is_empty(),
            "`{text}` names no key: wanted etcd://HOST:PORT/KEY"
        );
        let members: Vec<String> = members.split(',').map(str::to_owned).collect();
        for member in &members {
            let port = member
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            ensure!(
                port.is_some(),
                "`{member}` is no member of an etcd: wanted HOST:PORT"
            );
        }
        Ok(Some(Self::Etcd {
            members,
            key: key.to_owned(),
        }))
    }

    /// Reads an address of etcd or of HTTP; `ca` is the authority whose certificate an `https` server must show.
    ///
    /// # Errors
    /// Any other text, in words.
    pub(crate) fn of(text: &str, ca: Option<PathBuf>) -> Result<Self> {
        if let Some(feed) = Self::etcd(text)? {
            return Ok(feed);
        }
        let url = Url::parse(text)
            .ok()
            .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        match url {
            Some(url) => Ok(Self::Http { url, ca }),
            None => bail!(
                "`{text}` is nothing that can be followed: wanted etcd://HOST:PORT/KEY, http://… or https://…"
            ),
        }
    }

    /// Follows the value until the receiver is dropped: a key of etcd by a watch, an address by a question every
    /// `period`.
    ///
    /// # Errors
    /// An address that is none, certificates that cannot be checked.
    pub(crate) fn follow(self, period: Duration) -> Result<watch::Receiver<FeedState>> {
        let (tell, states) = watch::channel(FeedState::Unknown);
        match self {
            Self::Etcd { members, key } => {
                let client = Client::new(&Connect::default(), &members);
                let client = client.context("the etcd cannot be called")?;
                tokio::spawn(follow_key(client, key, tell));
            }
            Self::Http { url, ca } => {
                let client = http_client(url.scheme() == "https", ca.as_deref())?;
                let client = client.timeout(ANSWERED_WITHIN).build()?;
                let page = Page {
                    client,
                    url,
                    tag: None,
                };
                tokio::spawn(page.follow(period, tell));
            }
        }
        Ok(states)
    }
}

/// An address that is asked again and again.
struct Page {
    client: reqwest::Client,
    url: Url,
    /// What the server calls the value that is known.
    tag: Option<HeaderValue>,
}

impl Page {
    async fn follow(mut self, period: Duration, tell: watch::Sender<FeedState>) {
        let mut failed = None;
        while !tell.is_closed() {
            match self.ask().await {
                Ok(state) => {
                    failed = None;
                    if let Some(state) = state {
                        tell.send_if_modified(|known| {
                            let has_changed = *known != state;
                            *known = state;
                            has_changed
                        });
                    }
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    // Once, and not every period.
                    if failed.as_ref() != Some(&why) {
                        tracing::warn!(why, "the value is not known; what was known stays");
                    }
                    failed = Some(why);
                }
            }
            tokio::time::sleep(period).await;
        }
    }

    /// Asks once; `None` where nothing has changed.
    async fn ask(&mut self) -> Result<Option<FeedState>> {
        let mut request = self.client.get(self.url.clone());
        if let Some(tag) = &self.tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        // The address may hold a secret, and does not appear.
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => return Ok(None),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                self.tag = None;
                return Ok(Some(FeedState::Absent));
            }
            status => ensure!(status == StatusCode::OK, refusal(&answer)),
        }
        let tag = answer.headers().get(ETAG).cloned();
        let mut value = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            ensure!(
                value.len() + chunk.len() <= MAX_BYTES,
                "the value has more than {} MiB",
                MAX_BYTES >> 20
            );
            value.extend_from_slice(&chunk);
        }
        self.tag = tag;
        Ok(Some(FeedState::Value(Bytes::from(value))))
    }
}

/// Says what was answered instead of a value, and where a redirect leads, without its parameters: they may be secret.
fn refusal(answer: &Response) -> String {
    let status = answer.status();
    let location = answer.headers().get(LOCATION);
    match location.filter(|_| status.is_redirection()) {
        None => format!("the server answered {status}"),
        Some(location) => {
            let location = String::from_utf8_lossy(location.as_bytes());
            let place = location.split(['?', '#']).next().unwrap_or_default();
            format!(
                "the server answered {status} and names `{place}`, which is not followed: give the address that answers"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_followed_is_read() {
        let feed = Feed::of("etcd://a:1,b:2//app/config", None).expect("a feed");
        let wanted = Feed::Etcd {
            members: vec!["a:1".to_owned(), "b:2".to_owned()],
            key: "/app/config".to_owned(),
        };
        assert_eq!(feed, wanted);
        assert!(matches!(
            Feed::of("http://h/x?y", None),
            Ok(Feed::Http { .. })
        ));
        for bad in [
            "etcd://a:1",
            "etcd://a/k",
            "etcd:///k",
            "ftp://h/x",
            "file",
            "",
        ] {
            let error = Feed::of(bad, None).expect_err(bad).to_string();
            assert!(error.contains("wanted"), "{error}");
        }
    }
}
