//! Answers that fall out of the memory of a cache: where they lie then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use gleaner_ambassador::{RedisKeep, RedisUrl};
use gleaner_cache::{Beyond, BeyondError};

use crate::companion::secret;

/// Begins to reach the Redis server at `url`, with the password that `password_file` holds.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn beyond(url: RedisUrl, password_file: Option<&Path>) -> Result<Arc<dyn Beyond>> {
    let password = secret(password_file).context("no password for `cache_overflow`")?;
    Ok(Arc::new(InRedis(RedisKeep::start(url, password))))
}

/// A Redis server, or an ambassador ahead of several.
struct InRedis(RedisKeep);

#[async_trait]
impl Beyond for InRedis {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, BeyondError> {
        let got = self.0.get(name).await;
        got.map_err(|error| BeyondError(error.to_string()))
    }

    async fn put(&self, name: &str, value: Bytes, lies_for: Duration) -> Result<(), BeyondError> {
        let put = self.0.put(name, &value, lies_for).await;
        put.map_err(|error| BeyondError(error.to_string()))
    }

    fn is_local(&self) -> bool {
        self.0.is_local()
    }
}
