//! Clients that send at a rate of their own, whatever the answers take.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client::Client;

/// A search whose answer is not kept.
pub(super) const UNCACHED: &str = "/notes/_search?request_cache=false";

/// One client: an address, as the balancer ahead of a front names it, and what it asks how often.
#[derive(Debug, Clone)]
pub(super) struct PacedClient<'a> {
    /// Where it sends, `HOST:PORT`.
    pub(super) to: &'a str,
    /// The address that it is known by.
    pub(super) address: String,
    /// Requests a second.
    pub(super) rate: f64,
    pub(super) path: &'a str,
    pub(super) body: &'a str,
}

/// What a client was answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// How long answers of status 200 took.
    pub(super) times: Vec<Duration>,
    /// Answers of other statuses.
    num_failed: usize,
}

impl Answers {
    /// Adds those of other clients or rounds.
    pub(super) fn add(&mut self, others: impl IntoIterator<Item = Self>) {
        for other in others {
            self.times.extend(other.times);
            self.num_failed += other.num_failed;
        }
    }

    /// Returns how many there are, and how many of them are of another status than 200, as cells of a table.
    pub(super) fn counts(&self) -> [String; 2] {
        let num = self.times.len() + self.num_failed;
        [num, self.num_failed].map(|num| num.to_string())
    }
}

impl PacedClient<'_> {
    /// Sends for `span`. What waits for the answer before it has begun when its turn came.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client of a rate of its own waits for nothing but the clock"
    )]
    fn send(&self, span: Duration) -> Result<Answers> {
        let client = Client::connect(self.to)?;
        let mut client = client.with_header("x-forwarded-for", &self.address);
        let (begun, pause) = (Instant::now(), Duration::from_secs_f64(1.0 / self.rate));
        let mut answers = Answers::default();
        let mut turn = begun;
        while turn < begun + span {
            let late = Instant::now() > turn;
            if !late {
                thread::sleep(turn - Instant::now().min(turn));
            }
            let sent = if late { turn } else { Instant::now() };
            let (status, _) = client.ask("POST", self.path, self.body.as_bytes())?;
            match status {
                200 => answers.times.push(sent.elapsed()),
                _ => answers.num_failed += 1,
            }
            turn += pause;
        }
        Ok(answers)
    }
}

/// Has all clients send for `span` at the same time; returns the answers of each.
pub(super) fn send_all(clients: &[PacedClient<'_>], span: Duration) -> Result<Vec<Answers>> {
    thread::scope(|scope| {
        let sending: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(|| client.send(span)))
            .collect();
        let ended = sending.into_iter().map(|sending| sending.join().ok());
        ended
            .map(|answers| answers.context("a client panicked")?)
            .collect()
    })
}
