//! What is noted of a request on its way, for its line and its span.

use std::net::IpAddr;
use std::sync::Arc;

/// What is known of a request once it is answered; every part is noted by who knows it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Name of the route.
    pub route: Option<&'static str>,
    /// The names of indices as the request gives them.
    pub index: Option<String>,
    /// Id of the API key, never its secret.
    pub key_id: Option<Arc<str>>,
    /// First digits of the key of the answer: the same for equal searches.
    pub query_key: Option<String>,
    /// The shards that searches of the request asked.
    pub shards: Option<NotedShards>,
    /// Who the client is, where a trusted proxy ahead says so.
    pub client: Option<IpAddr>,
    /// Name of the backend that a front forwarded to.
    pub backend: Option<String>,
    /// Name of the rule by which a front sent it another way.
    pub variant: Option<String>,
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
    /// Notes the key of the answer: its first 8 hexadecimal digits are enough to find equal searches in a log.
    pub fn note_key(&mut self, key: &[u8]) {
        let digits = key.iter().take(4).map(|byte| format!("{byte:02x}"));
        self.query_key = Some(digits.collect());
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
