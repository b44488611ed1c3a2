//! Spans on their way to a collector: OTLP over HTTP, in batches, off the way of requests.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_model::metric;
use gleaner_proto::otlp::{self, Resource};
use gleaner_telemetry::FinishedSpan;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use gleaner_client::http::http_client;

/// Spans of one request to the collector, at most.
const BATCH: usize = 512;

/// How long spans wait for others to be sent with them.
const GATHERING: Duration = Duration::from_millis(500);

/// Time that the collector has for a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where spans are sent.
pub(super) struct Collector {
    client: reqwest::Client,
    url: reqwest::Url,
    resource: Resource,
}

/// What sends spans, until its end.
pub(super) struct Exporter {
    sending: JoinHandle<()>,
    /// Dropped at the end.
    end: watch::Sender<()>,
}

impl Collector {
    /// Returns the collector at `endpoint`: its URL without a path, as `http://127.0.0.1:4318`, or with the whole path
    /// at which it takes spans.
    ///
    /// # Errors
    /// A URL that is none.
    pub(super) fn at(endpoint: &str, resource: Resource) -> Result<Self> {
        let wrong = || "`otlp_endpoint` is no URL of HTTP, such as http://127.0.0.1:4318";
        let mut url: reqwest::Url = endpoint.parse().with_context(wrong)?;
        ensure!(matches!(url.scheme(), "http" | "https"), wrong());
        if url.path() == "/" {
            url.set_path(otlp::TRACES_PATH);
        }
        let client = http_client(url.scheme() == "https", None)?
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .context("cannot prepare the HTTP client")?;
        Ok(Self {
            client,
            url,
            resource,
        })
    }

    /// Sends spans; those that are not taken are counted and gone.
    ///
    /// # Errors
    /// Why none was taken.
    async fn send(&self, spans: &[FinishedSpan]) -> Result<()> {
        let body = otlp::encode(&self.resource, spans);
        let request = self
            .client
            .post(self.url.clone())
            .header(reqwest::header::CONTENT_TYPE, otlp::CONTENT_TYPE)
            .body(body);
        let answer = request.send().await?.error_for_status()?;
        let status = answer.status();
        ensure!(
            status.is_success(),
            "the collector answered {status}: give the address that answers"
        );
        let told = otlp::rejected(&answer.bytes().await?);
        let num_spans = spans.len() as u64;
        let num_rejected = told.as_ref().map_or(0, |told| told.0.min(num_spans));
        if let Some((_, reason)) = told {
            tracing::debug!(
                num_rejected,
                reason,
                "the collector has not taken all spans"
            );
        }
        count_dropped(num_rejected);
        metrics::counter!(metric::SPANS_EXPORTED.name).increment(num_spans - num_rejected);
        Ok(())
    }
}

fn count_dropped(num_spans: u64) {
    metrics::counter!(metric::SPANS_DROPPED.name, "reason" => "collector").increment(num_spans);
}

impl Exporter {
    /// Sends what comes from `spans` to `collector`.
    pub(super) fn start(collector: Collector, mut spans: mpsc::Receiver<FinishedSpan>) -> Self {
        let (end, mut ending) = watch::channel(());
        let sending = tokio::spawn(async move {
            let mut is_failing = false;
            loop {
                let mut batch = Vec::new();
                let is_over = tokio::select! {
                    biased;
                    num_spans = spans.recv_many(&mut batch, BATCH) => num_spans == 0,
                    _ = ending.changed() => return,
                };
                if is_over {
                    return;
                }
                gather(&mut spans, &mut batch, &mut ending).await;
                match collector.send(&batch).await {
                    Ok(()) => is_failing = false,
                    Err(error) => {
                        count_dropped(batch.len() as u64);
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(
                                error = format!("{error:#}"),
                                "the collector takes no spans"
                            );
                        }
                    }
                }
            }
        });
        Self { sending, end }
    }

    /// Sends what is there, for at most `patience`.
    pub(super) async fn end(self, patience: Duration) {
        drop(self.end);
        let sending = self.sending.abort_handle();
        if timeout(patience, self.sending).await.is_err() {
            sending.abort();
        }
    }
}

/// Adds what comes within a moment to a batch, as far as there is room; at the end only what is there.
async fn gather(
    spans: &mut mpsc::Receiver<FinishedSpan>,
    batch: &mut Vec<FinishedSpan>,
    ending: &mut watch::Receiver<()>,
) {
    if batch.len() < BATCH {
        tokio::select! {
            () = sleep(GATHERING) => {}
            // At once when the end has come.
            _ = ending.changed() => {}
        }
    }
    while batch.len() < BATCH {
        match spans.try_recv() {
            Ok(span) => batch.push(span),
            Err(_) => return,
        }
    }
}
