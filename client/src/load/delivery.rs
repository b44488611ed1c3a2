//! Brings one batch to the server, whatever it takes: sends, splits, waits, sends again.
//!
//! | the server says | what happens |
//! | --- | --- |
//! | an item is in, or a delete finds nothing | counted as accepted |
//! | an item is rejected with 429, 500, 502, 503 or 504 | only it is sent again, after a wait |
//! | an item's index is blocked, closed, gone or not ours | the load stops: no document is at fault |
//! | another fault of an item | refused, with the server's reason |
//! | 429, 502, 503, 504, or nothing | the whole request is sent again under the same key |
//! | 413, for the request or for items of it | it, or they, are sent in halves |
//! | another status | the load stops: no document is at fault |
//!
//! `Idempotency-Key` names the load, where the request begins (input and position), its body and how
//! often the server has *answered* it: a server that knows the header applies a request once, though
//! its answer was lost; equal documents that stand elsewhere are another request, also after a load
//! has gone on with other borders; and one that rejected an item is asked anew, not told to repeat
//! its answer. That item may be in after all: where the server made its id, it is sent again as one to
//! create under that id.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode, header};
use tokio::sync::watch;

use super::{
    backoff::{Backoff, retry_after},
    batch::{Batch, Refusal, RefusedSource},
    identity,
    ledger::SettledBatch,
    outcome::{Outcome, Rejection, RequestOutcome, is_busy, told},
    record::{Place, Record},
};
use crate::remote::{Remote, fault, reason};

/// Where batches go, and how patiently.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) remote: Remote,
    pub(crate) index: String,
    /// Query parameter `pipeline`.
    pub(crate) pipeline: Option<String>,
    /// The load's random name, kept in its checkpoint.
    pub(crate) load: String,
    /// What each input is called in keys, in their order; the same in each run of a load.
    pub(crate) inputs: Vec<String>,
    /// How many batches, from the first, an earlier run of the load may have sent; 0 in its first run.
    pub(crate) num_resent: u64,
    /// How long a batch may get nowhere before the load stops.
    pub(crate) patience: Duration,
    /// Why it had to wait so far.
    pub(crate) told: Reasons,
}

/// Most reasons for waiting that are told: where each is another one, some will do.
const NUM_REASONS: usize = 10;

/// Reasons for waiting that were told. They count as one when only numbers in them differ.
#[derive(Debug, Default)]
pub(crate) struct Reasons(Mutex<BTreeSet<String>>);

impl Reasons {
    /// Takes a reason; returns whether it should be told.
    fn is_new(&self, reason: &str) -> bool {
        let known_as: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < NUM_REASONS && known.insert(known_as)
    }
}

/// What came back.
enum Answer {
    /// What became of each record; how long the server asks to be left alone.
    Items(RequestOutcome, Option<Duration>),
    /// The server did not take the request, or nobody knows whether it did.
    NotNow {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The body is too long for it.
    TooLarge { reason: String },
}

/// What a batch has come to so far.
#[derive(Default)]
struct DeliveryState {
    accepted: u64,
    written: BTreeSet<String>,
    refusals: Vec<Refusal>,
    /// May an earlier run of the load have sent it?
    is_resent: bool,
    backoff: Backoff,
    /// Since when nothing was accepted or refused.
    stuck_since: Option<Instant>,
    /// How often the server has answered with rejections.
    num_rejections: u32,
}

impl Delivery {
    /// Sends `batch` until each of its documents is accepted or refused; `None` when it would have to
    /// wait and `is_ending` is true. Part of the batch may then be in.
    ///
    /// # Errors
    /// When the server refuses the request itself or an index takes no documents, or the server stays
    /// busy beyond the load's patience. Part of the batch may then be in.
    pub(crate) async fn deliver(
        &self,
        batch: Batch,
        mut is_ending: watch::Receiver<bool>,
    ) -> Result<Option<SettledBatch>> {
        let mut delivered = DeliveryState {
            refusals: batch.unreadable,
            is_resent: batch.number < self.num_resent,
            ..DeliveryState::default()
        };
        let mut parts = VecDeque::new();
        parts.extend((!batch.records.is_empty()).then_some(batch.records));
        while let Some(part) = parts.pop_front() {
            let (again, reason, asked) = match self.send(&part, delivered.num_rejections).await? {
                Answer::Items(told, asked) => {
                    delivered.written.extend(told.written);
                    let (rejected, reason) = delivered.sort_out(part, told.outcomes, &mut parts)?;
                    if rejected.is_empty() {
                        continue;
                    }
                    delivered.num_rejections += 1;
                    (rejected, reason, asked)
                }
                Answer::NotNow {
                    reason,
                    retry_after,
                } => (part, reason, retry_after),
                Answer::TooLarge { reason } => {
                    delivered.split(part, reason, &mut parts);
                    continue;
                }
            };
            parts.push_front(again);
            let wait = self.next_wait(&mut delivered, &reason, asked)?;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = ended(&mut is_ending) => return Ok(None),
            }
        }
        let DeliveryState {
            accepted,
            written,
            mut refusals,
            ..
        } = delivered;
        refusals.sort_by_key(|refusal| (refusal.place.input, refusal.place.position));
        Ok(Some(SettledBatch {
            number: batch.number,
            accepted,
            written,
            refusals,
            reached: batch.reached,
        }))
    }

    async fn send(&self, records: &[Record], num_rejections: u32) -> Result<Answer> {
        let mut body = Vec::with_capacity(records.iter().map(Record::num_bytes).sum());
        records.iter().for_each(|record| record.write_to(&mut body));
        let key = self.key(records, &body, num_rejections);
        let mut request = self
            .remote
            .request(Method::POST, &[&self.index, "_bulk"])
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header("Idempotency-Key", key)
            .body(body);
        if let Some(pipeline) = &self.pipeline {
            request = request.query(&[("pipeline", pipeline)]);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_builder() => {
                return Err(error).context("cannot build a request");
            }
            Err(error) => return Ok(lost(&error)),
        };
        let status = answer.status();
        let asked = answer.headers().get(header::RETRY_AFTER);
        let asked = retry_after(asked.and_then(|value| value.to_str().ok()));
        match answer.bytes().await {
            Err(error) => Ok(lost(&error)),
            Ok(body) if is_busy(status.as_u16()) => Ok(Answer::NotNow {
                reason: reason(status, &body),
                retry_after: asked,
            }),
            Ok(body) if status == StatusCode::PAYLOAD_TOO_LARGE => Ok(Answer::TooLarge {
                reason: reason(status, &body),
            }),
            Ok(body) if !status.is_success() => bail!(reason(status, &body)),
            Ok(body) => Ok(Answer::Items(told(records, &body)?, asked)),
        }
    }

    /// Names a request; see the module's head.
    fn key(&self, records: &[Record], body: &[u8], num_rejections: u32) -> String {
        let begin = records.first().map(|record| {
            let Place { input, position } = record.place;
            let name = self.inputs.get(input).map_or("", String::as_str);
            format!("{position}/{name}")
        });
        let begin = identity::hash(begin.unwrap_or_default().as_bytes());
        let body = identity::hash(body);
        format!("{}-{begin}-{body}-{num_rejections}", self.load)
    }

    /// Returns how long to wait before the next try, unless the batch has been getting nowhere for too
    /// long.
    fn next_wait(
        &self,
        delivered: &mut DeliveryState,
        reason: &str,
        asked: Option<Duration>,
    ) -> Result<Duration> {
        let since = *delivered.stuck_since.get_or_insert_with(Instant::now);
        ensure!(
            since.elapsed() < self.patience,
            "gave up after {} seconds without progress: {reason}",
            self.patience.as_secs()
        );
        // The last try is made when patience ends, whatever the server asks for.
        let left = self.patience.saturating_sub(since.elapsed());
        let wait = delivered.backoff.next(asked, rand::random()).min(left);
        let wait_ms = wait.as_millis();
        // Without a word, a load that waits for minutes looks as if it hung.
        if self.told.is_new(reason) {
            tracing::warn!(reason, wait_ms, "server is busy or away; will try again");
        } else {
            tracing::info!(reason, wait_ms, "server is busy or away; will try again");
        }
        Ok(wait)
    }
}

impl DeliveryState {
    /// Counts what is settled, and puts what was too large in front of `parts`; returns what has to be sent
    /// again, and the first reason why.
    ///
    /// # Errors
    /// When an index takes no documents.
    fn sort_out(
        &mut self,
        records: Vec<Record>,
        outcomes: Vec<Outcome>,
        parts: &mut VecDeque<Vec<Record>>,
    ) -> Result<(Vec<Record>, String)> {
        let num_records = records.len();
        let (mut rejected, mut first_reason) = (Vec::new(), String::new());
        let (mut large, mut why_large) = (Vec::new(), String::new());
        for (record, outcome) in records.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Accepted => self.accepted += 1,
                Outcome::Refused(reason) => self.refuse(record, reason),
                // The server knows a request for a while only.
                Outcome::Taken(reason) if self.is_resent => {
                    let ours = "an earlier run of this load may have created it";
                    self.refuse(record, format!("{reason}; {ours}"));
                }
                Outcome::Taken(reason) => self.refuse(record, reason),
                // The batch is not settled: the next run of the load sends it.
                Outcome::Kept(reason) => {
                    bail!("an index takes no documents, mend that and run the load again: {reason}")
                }
                Outcome::TooLarge(reason) => {
                    why_large = reason;
                    large.push(record);
                }
                Outcome::Rejected(Rejection { reason, id }) => {
                    if rejected.is_empty() {
                        first_reason = reason;
                    }
                    rejected.push(match id {
                        Some(id) => record.with_made_id(&id),
                        None => record,
                    });
                }
            }
        }
        if large.len() == 1 && num_records > 1 {
            // It has not been sent alone yet.
            parts.push_front(large);
        } else {
            self.split(large, why_large, parts);
        }
        if rejected.len() < num_records {
            self.backoff.reset();
            self.stuck_since = None;
        }
        Ok((rejected, first_reason))
    }

    fn split(&mut self, mut part: Vec<Record>, reason: String, parts: &mut VecDeque<Vec<Record>>) {
        if part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            parts.push_front(second);
            parts.push_front(part);
        } else if let Some(record) = part.pop() {
            self.refuse(record, reason);
        }
    }

    fn refuse(&mut self, record: Record, reason: String) {
        self.refusals.push(Refusal {
            place: record.place,
            reason,
            what: RefusedSource::Record(record),
        });
    }
}

/// Completes once `is_ending` is true, or whoever would say so is gone.
async fn ended(is_ending: &mut watch::Receiver<bool>) {
    drop(is_ending.wait_for(|is_ending| *is_ending).await);
}

fn lost(error: &reqwest::Error) -> Answer {
    let reason = fault(error);
    Answer::NotNow {
        reason,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::RemoteOptions;

    fn record() -> Record {
        Record {
            place: Place {
                input: 0,
                position: 0,
            },
            action: "{\"create\":{}}".to_owned(),
            source: Some("{}".to_owned()),
            has_derived_id: false,
        }
    }

    fn delivery(url: &str, inputs: &[&str]) -> Delivery {
        Delivery {
            remote: Remote::new(&RemoteOptions::at(url.to_owned())).expect("a client"),
            index: "books".to_owned(),
            pipeline: None,
            load: "l".to_owned(),
            inputs: inputs.iter().map(ToString::to_string).collect(),
            num_resent: 0,
            patience: Duration::from_secs(3_600),
            told: Reasons::default(),
        }
    }

    fn key(inputs: &[&str], (input, position): (usize, u64), body: &[u8]) -> String {
        let place = Place { input, position };
        delivery("http://host", inputs).key(&[Record { place, ..record() }], body, 0)
    }

    #[tokio::test]
    async fn a_batch_that_would_wait_is_left_when_the_load_ends() {
        let batch = Batch {
            records: vec![record()],
            ..Batch::default()
        };
        let (_tell, is_ending) = watch::channel(true);
        // Nobody listens there, so the batch can only wait.
        let delivered = delivery("http://127.0.0.1:1", &["a"])
            .deliver(batch, is_ending)
            .await;
        assert!(delivered.expect("patience is left").is_none());
    }

    #[test]
    fn nobody_waits_longer_than_patience_lasts() {
        let delivery = Delivery {
            patience: Duration::from_secs(10),
            ..delivery("http://host", &[])
        };
        let asked = Some(Duration::from_secs(300));
        let wait = delivery.next_wait(&mut DeliveryState::default(), "busy", asked);
        let wait = wait.expect("patience is left");
        assert!(wait <= Duration::from_secs(10), "{wait:?}");
    }

    #[test]
    fn a_key_names_input_position_and_body() {
        let first = key(&["a", "b"], (0, 0), b"{}");
        assert_eq!(key(&["b", "a"], (1, 0), b"{}"), first, "another order");
        for other in [
            key(&["a", "b"], (0, 2_000), b"{}"),
            key(&["a", "b"], (1, 0), b"{}"),
            key(&["a", "b"], (0, 0), b"{ }"),
        ] {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn a_reason_to_wait_is_told_once() {
        let reasons = Reasons::default();
        assert!(reasons.is_new("503: 17 bytes wait"));
        assert!(!reasons.is_new("503: 1700 bytes wait"));
        assert!(reasons.is_new("connection refused"));
        let letters = ('a'..='z').filter(|letter| reasons.is_new(&letter.to_string()));
        assert_eq!(letters.count(), NUM_REASONS - 2);
    }

    #[test]
    fn too_large_a_request_is_halved_down_to_one_document() {
        let mut delivered = DeliveryState::default();
        let mut parts = VecDeque::new();
        delivered.split(vec![record(); 3], "413".to_owned(), &mut parts);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        delivered.split(vec![record()], "413".to_owned(), &mut parts);
        assert_eq!(delivered.refusals.len(), 1);
    }
}
