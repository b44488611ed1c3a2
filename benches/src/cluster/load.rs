//! Load: at a constant rate that nothing slows down, or as fast as answers come.
//!
//! At a constant rate, latency counts from the moment a request was due, so that one that had to wait
//! for the generator or for a connection is not told as fast (Tene, "coordinated omission").

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::connections::Connections;
use super::latency::Latencies;

/// How long the last answers are waited for, after all requests were sent.
const PATIENCE: Duration = Duration::from_secs(90);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// All shards answered.
    Whole,
    /// Some did not, or were cut short; the numbers of those that are named as missing, in order.
    Partial(Vec<u32>),
    /// An error, in words.
    Failed(String),
}

/// A request and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// When it was due.
    pub(super) due: Instant,
    /// From then to the whole answer.
    pub(super) latency: Duration,
    /// What was answered.
    pub(super) answer: Answer,
}

/// Requests at a constant rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// Per second.
    pub(super) per_second: f64,
    /// How many in all.
    pub(super) number: usize,
}

impl Rate {
    /// Returns so many requests as are due within `duration`.
    pub(super) fn lasting(per_second: f64, duration: Duration) -> Self {
        let number = (per_second * duration.as_secs_f64()).ceil() as usize;
        Self { per_second, number }
    }
}

/// Sends `requests` in turns at a constant rate and returns what came of each, in the order of the
/// answers.
///
/// # Errors
/// When answers are still missing a long time after the last request.
pub(super) async fn open_loop(
    connections: &Arc<Connections>,
    requests: &Arc<Vec<Bytes>>,
    rate: Rate,
) -> Result<Vec<Outcome>> {
    let (connections, requests) = (Arc::clone(connections), Arc::clone(requests));
    let begin = move |number: usize, due: Instant| {
        let (connections, requests) = (Arc::clone(&connections), Arc::clone(&requests));
        async move {
            let answered = connections.ask(&requests[number % requests.len()]).await;
            let latency = due.elapsed();
            (latency, judge(answered))
        }
    };
    let outcomes = paced(rate, begin).await?.into_iter();
    let outcomes = outcomes.map(|(due, (latency, answer))| Outcome {
        due,
        latency,
        answer,
    });
    Ok(outcomes.collect())
}

/// Starts a timer of tokio at a constant rate and returns how long after the moment it was due each one
/// rang.
///
/// # Errors
/// When timers do not ring.
pub(super) async fn timers(length: Duration, rate: Rate) -> Result<Latencies> {
    let begin = move |_, due: Instant| async move {
        tokio::time::sleep(length).await;
        due.elapsed()
    };
    let rung = paced(rate, begin).await?.into_iter();
    Ok(rung.map(|(_, latency)| latency).collect())
}

/// Spawns what `begin` returns for each number when it is due; returns when each was due, and what
/// came of it, in the order in which they ended.
///
/// A thread of its own keeps the time: the timer of the runtime counts in whole milliseconds, and its
/// threads are busy with answers.
async fn paced<T, F>(
    rate: Rate,
    begin: impl Fn(usize, Instant) -> F + Send + 'static,
) -> Result<Vec<(Instant, T)>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (tell, mut told) = mpsc::unbounded_channel();
    let runtime = Handle::current();
    let keep_time = move || {
        let start = Instant::now() + Duration::from_millis(5);
        for number in 0..rate.number {
            // Each time is computed from the start, so rounding does not add up.
            let due = start + Duration::from_secs_f64(number as f64 / rate.per_second);
            wait_until(due);
            if tell.is_closed() {
                return;
            }
            let (work, tell) = (begin(number, due), tell.clone());
            runtime.spawn(async move {
                // Nobody listens any more when the run was given up.
                drop(tell.send((due, work.await)));
            });
        }
    };
    let pacer = std::thread::Builder::new().name("pacer".to_owned());
    drop(pacer.spawn(keep_time).context("cannot start a thread")?);
    let whole = Duration::from_secs_f64(rate.number as f64 / rate.per_second) + PATIENCE;
    let gather = async {
        let mut all = Vec::with_capacity(rate.number);
        while let Some(outcome) = told.recv().await {
            all.push(outcome);
        }
        all
    };
    let all = tokio::time::timeout(whole, gather).await;
    let all = all.with_context(|| format!("answers were missing {PATIENCE:?} after the last"))?;
    ensure!(all.len() == rate.number, "a request came to no end");
    Ok(all)
}

fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // May return early, for no reason.
        std::thread::park_timeout(left);
    }
}

/// What some clients got, each asking again once it was answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Throughput {
    /// Time on the clock, seconds.
    pub(super) wall: f64,
    /// Of each answer, from when it was sent.
    pub(super) latencies: Latencies,
}

impl Throughput {
    /// Returns answers per second.
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.number() as f64 / self.wall
    }
}

/// What came of the closed loops of all rounds, and what it has cost.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// Of all answers.
    pub(super) latencies: Latencies,
    /// Time on the clock, seconds.
    pub(super) wall: f64,
    /// CPU time of the processes asked, seconds.
    pub(super) cpu: f64,
    /// Answers per second of each round.
    pub(super) by_round: Vec<f64>,
}

impl Closed {
    /// Counts one round, which took so much CPU time.
    pub(super) fn add(&mut self, seen: &Throughput, cpu: Duration) {
        self.by_round.push(seen.per_second());
        self.latencies.merge(&seen.latencies);
        self.wall += seen.wall;
        self.cpu += cpu.as_secs_f64();
    }

    /// Returns answers per second.
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.number() as f64 / self.wall
    }

    /// Returns µs per search.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.latencies.number() as f64
    }
}

/// Lets `num_clients` ask `requests` in turns for `duration`, each as fast as it is answered.
///
/// # Errors
/// When an answer is an error or not whole.
pub(super) async fn closed_loop(
    connections: &Arc<Connections>,
    requests: &Arc<Vec<Bytes>>,
    num_clients: usize,
    duration: Duration,
) -> Result<Throughput> {
    let start = Instant::now();
    let client = |number: usize| {
        let (connections, requests) = (Arc::clone(connections), Arc::clone(requests));
        async move {
            let mut latencies = Latencies::default();
            // Clients begin at different queries.
            let mut next = number * requests.len() / num_clients;
            while start.elapsed() < duration {
                let sent = Instant::now();
                let answered = connections.ask(&requests[next % requests.len()]).await;
                latencies.add(sent.elapsed());
                let answer = judge(answered);
                ensure!(answer == Answer::Whole, "a search came to {answer:?}");
                next += 1;
            }
            Ok(latencies)
        }
    };
    let clients: Vec<_> = (0..num_clients)
        .map(|number| tokio::spawn(client(number)))
        .collect();
    let mut all = Throughput::default();
    for client in clients {
        all.latencies.merge(&client.await??);
    }
    all.wall = start.elapsed().as_secs_f64();
    Ok(all)
}

/// What of an answer tells whether it is whole.
#[derive(Deserialize)]
struct Told {
    timed_out: bool,
    _shards: Shards,
}

#[derive(Deserialize)]
struct Shards {
    failed: u32,
    #[serde(default)]
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    shard: u32,
}

fn judge(answered: Result<(u16, Vec<u8>)>) -> Answer {
    let (status, body) = match answered {
        Ok(answered) => answered,
        Err(error) => return Answer::Failed(format!("{error:#}")),
    };
    if status != 200 {
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        return Answer::Failed(format!("{status} {text}"));
    }
    match serde_json::from_slice::<Told>(&body) {
        Err(error) => Answer::Failed(error.to_string()),
        Ok(told) if !told.timed_out && told._shards.failed == 0 => Answer::Whole,
        Ok(told) => {
            let mut missing: Vec<u32> = told._shards.failures.iter().map(|f| f.shard).collect();
            missing.sort_unstable();
            Answer::Partial(missing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Answer {
        judge(Ok((status, body.as_bytes().to_vec())))
    }

    #[test]
    fn an_answer_is_whole_only_when_no_shard_is_missing_and_none_was_cut() {
        let whole =
            r#"{"took": 1, "timed_out": false, "_shards": {"total": 8, "failed": 0}, "hits": {}}"#;
        assert_eq!(judged(200, whole), Answer::Whole);
        let cut = whole.replace("false", "true");
        assert_eq!(judged(200, &cut), Answer::Partial(vec![]));
        let missing = whole.replace(
            "\"failed\": 0",
            r#""failed": 2, "failures": [{"shard": 7, "reason": {}}, {"shard": 3, "reason": {}}]"#,
        );
        assert_eq!(judged(200, &missing), Answer::Partial(vec![3, 7]));
        assert!(matches!(judged(503, whole), Answer::Failed(_)));
        assert!(matches!(judged(200, "{}"), Answer::Failed(_)));
    }

    #[tokio::test]
    async fn every_request_of_a_rate_comes_to_an_end_and_knows_when_it_was_due() {
        let rate = Rate {
            per_second: 2_000.0,
            number: 40,
        };
        let mut all = paced(rate, |number, _| async move { number })
            .await
            .expect("they end");
        all.sort_unstable();
        let first = all[0].0;
        for (at, (due, number)) in all.iter().enumerate() {
            assert_eq!(*number, at);
            assert_eq!((*due - first).as_micros(), at as u128 * 500);
        }
    }
}
