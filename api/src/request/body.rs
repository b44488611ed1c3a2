//! Bodies read piece by piece: unpacked, counted, never waited for without end.

use std::io::Write;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

use crate::error::ApiError;
use crate::options::ApiOptions;

/// Packed bytes given to the decoder at once: what comes out is at most 1,032 times as much.
const PACKED_SLICE: usize = 4 << 10;

/// Unpacked bytes from which the ratio is looked at: small bodies pack as well as they like.
const RATIO_FROM: usize = 1 << 20;

/// Reads a body up to a limit.
pub(crate) struct BodyReader {
    stream: BodyDataStream,
    unpacking: Option<GzipReader>,
    limit: usize,
    num_read: usize,
    patience: Patience,
}

/// How long a body is waited for: not longer than a pause, and not longer in all than its size allows. Time in
/// which it is not read does not count.
struct Patience {
    pause: Duration,
    /// What is left of the time in all.
    left: Duration,
}

impl Patience {
    /// Bytes that must come in a second, beside the grace at the start.
    const BYTES_PER_SECOND: u32 = 1 << 10;

    async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, ApiError> {
        let began = Instant::now();
        let waited = tokio::time::timeout(self.pause.min(self.left), next).await;
        self.left = self.left.saturating_sub(began.elapsed());
        waited.map_err(|_| paused())
    }

    fn earn(&mut self, num_bytes: usize) {
        let earned = Duration::from_secs(1) * u32::try_from(num_bytes).unwrap_or(u32::MAX);
        self.left += earned / Self::BYTES_PER_SECOND;
    }
}

impl BodyReader {
    /// Prepares to read `body`; a body that says it is larger than `limit` is refused at once.
    pub(crate) fn new(
        body: Body,
        headers: &HeaderMap,
        options: &ApiOptions,
        limit: usize,
    ) -> Result<Self, ApiError> {
        let told = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        if told
            .and_then(|text| text.parse::<usize>().ok())
            .is_some_and(|told| told > limit)
        {
            return Err(too_large(limit));
        }
        let unpacking = match headers
            .get(header::CONTENT_ENCODING)
            .map(http::HeaderValue::as_bytes)
        {
            None | Some(b"identity" | b"") => None,
            Some(b"gzip" | b"x-gzip") => Some(GzipReader::new(options.max_gzip_ratio, limit)),
            Some(other) => {
                let reason = format!(
                    "Content-Encoding [{}] is not supported, [gzip] is",
                    String::from_utf8_lossy(other)
                );
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return Err(ApiError::new(status, "media_type_header_exception", reason));
            }
        };
        let patience = Patience {
            pause: options.body_read_timeout,
            left: options.body_read_grace,
        };
        Ok(Self {
            stream: body.into_data_stream(),
            unpacking,
            limit,
            num_read: 0,
            patience,
        })
    }

    /// Returns the next piece; `None` at the end.
    ///
    /// # Errors
    /// 413 beyond the limit, 408 after too long a pause or when it comes too slowly, 400 for a body that breaks off or is not
    /// gzip.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            // What is there already needs no timer.
            let received = match self.stream.next().now_or_never() {
                Some(received) => received,
                None => self.patience.wait(self.stream.next()).await?,
            };
            let Some(received) = received else {
                return self.finish();
            };
            let received = received
                .map_err(|error| ApiError::parse(format!("the request body broke off: {error}")))?;
            self.patience.earn(received.len());
            let piece = match &mut self.unpacking {
                None => received,
                Some(unpacking) => unpacking.feed(&received)?,
            };
            self.num_read += piece.len();
            if self.num_read > self.limit {
                return Err(too_large(self.limit));
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    fn finish(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(unpacking) = self.unpacking.take() else {
            return Ok(None);
        };
        let piece = unpacking.finish()?;
        self.num_read += piece.len();
        if self.num_read > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// A gzip body on its way.
struct GzipReader {
    decoder: MultiGzDecoder<Vec<u8>>,
    num_packed: usize,
    num_unpacked: usize,
    max_ratio: usize,
    limit: usize,
}

impl GzipReader {
    fn new(max_ratio: usize, limit: usize) -> Self {
        let decoder = MultiGzDecoder::new(Vec::new());
        Self {
            decoder,
            num_packed: 0,
            num_unpacked: 0,
            max_ratio,
            limit,
        }
    }

    fn feed(&mut self, packed: &[u8]) -> Result<Bytes, ApiError> {
        let mut unpacked = Vec::new();
        for slice in packed.chunks(PACKED_SLICE) {
            self.decoder
                .write_all(slice)
                .map_err(|error| not_gzip(&error))?;
            self.num_packed += slice.len();
            self.take(&mut unpacked)?;
        }
        Ok(Bytes::from(unpacked))
    }

    fn take(&mut self, unpacked: &mut Vec<u8>) -> Result<(), ApiError> {
        let out = self.decoder.get_mut();
        self.num_unpacked += out.len();
        unpacked.append(out);
        if self.num_unpacked > self.limit {
            return Err(too_large(self.limit));
        }
        let allowed = self
            .num_packed
            .saturating_mul(self.max_ratio)
            .max(RATIO_FROM);
        if self.num_unpacked > allowed {
            return Err(ApiError::too_large(format!(
                "the gzip body unpacks to more than [{}] times its size",
                self.max_ratio
            )));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Bytes, ApiError> {
        if self.num_packed == 0 {
            return Ok(Bytes::new());
        }
        self.decoder
            .try_finish()
            .map_err(|error| not_gzip(&error))?;
        let mut unpacked = Vec::new();
        self.take(&mut unpacked)?;
        Ok(Bytes::from(unpacked))
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::too_large(format!(
        "the request body is larger than the limit of [{limit}] bytes"
    ))
}

fn paused() -> ApiError {
    let reason = "the request body did not arrive in time";
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout_exception", reason)
}

fn not_gzip(error: &std::io::Error) -> ApiError {
    ApiError::parse(format!(
        "the request body is not gzip as its Content-Encoding says: {error}"
    ))
}

#[cfg(test)]
mod tests;
