//! What is noted of a request on its way, for its line and its span.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Longest text that is kept of a request, in bytes: what strangers send is cut there.
const MAX_TEXT_BYTES: usize = 1_024;

/// What is known of a request once it is answered; every part is noted by who knows it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Name of the route.
    pub(crate) route: Option<&'static str>,
    /// The names of indices as the request gives them.
    pub(crate) index: Option<String>,
    /// Id of the API key, never its secret.
    pub key_id: Option<Arc<str>>,
    /// The key of the answer.
    pub query_key: Option<QueryKey>,
    /// The shards that searches of the request asked.
    pub shards: Option<NotedShards>,
    /// Who the client is, where a trusted proxy ahead says so.
    pub client: Option<IpAddr>,
    /// Name of the backend that a front forwarded to.
    pub backend: Option<Arc<str>>,
    /// Name of the rule by which a front sent it another way.
    pub variant: Option<String>,
}

/// The beginning of the key of an answer: the same for equal searches, and enough to find them in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueryKey([u8; 4]);

impl fmt::Display for QueryKey {
    /// Writes 8 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl Serialize for QueryKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Shards that were asked, over all searches of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct NotedShards {
    /// All of them.
    pub total: u32,
    /// Those that answered, skipped ones included.
    pub successful: u32,
    /// Those that were left out since nothing in them could match.
    pub skipped: u32,
    /// Those that did not answer.
    pub failed: u32,
}

impl Facts {
    /// Notes what is asked for: the name of the route, and of the indices as the request gives them, of which 1 KiB is
    /// kept.
    pub fn note_target(&mut self, route: &'static str, index: Option<&str>) {
        self.route = Some(route);
        self.index = index.map(|index| cut(index).to_owned());
    }

    /// Notes the key of the answer; one of less than four bytes is none.
    pub fn note_key(&mut self, key: &[u8]) {
        self.query_key = key.first_chunk().copied().map(QueryKey);
    }

    /// Adds the shards of one search to those of others.
    pub fn add_shards(&mut self, shards: NotedShards) {
        let all = self.shards.get_or_insert_default();
        all.total += shards.total;
        all.successful += shards.successful;
        all.skipped += shards.skipped;
        all.failed += shards.failed;
    }
}

/// Cuts a text that a stranger has sent.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}
