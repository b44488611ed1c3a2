//! What a Redis server measures and logs, for those who read metrics and log lines.
//!
//! [`RedisReport::scrape`] answers in the exposition format of Prometheus under the names of redis_exporter, so that
//! dashboards made for it go on working; [`SlowLog`] turns the `SLOWLOG` into lines of JSON, each entry once.

mod info;
mod names;
mod slowlog;

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_protocol::resp2::types::{BytesFrame, Resp2Frame};
use tokio::sync::Mutex;

use crate::redis::{Answers, Budget, Connection, Reader, Request, ServerError};

pub use slowlog::{News, SlowEntry, SlowLog, SlowLogPosition};

/// A Redis server that is looked at.
#[derive(Debug)]
pub struct RedisReport {
    address: String,
    password: Option<String>,
    within: Duration,
    /// Kept from one look to the next; one look at a time.
    connection: Mutex<Option<Connection>>,
    budget: Arc<Budget>,
}

/// Which answers are looked at: `INFO` and a full `SLOWLOG` have less than a tenth of that.
const ANSWERS: Answers = Answers::Any {
    max_bytes: 16 << 20,
};

/// Memory for answers.
const MEMORY_BYTES: usize = 64 << 20;

impl RedisReport {
    /// Makes a report of the server at `address`, which has `within` to answer each look.
    #[must_use]
    pub fn new(address: String, password: Option<String>, within: Duration) -> Self {
        Self {
            address,
            password,
            within,
            connection: Mutex::new(None),
            budget: Budget::new(MEMORY_BYTES),
        }
    }

    /// Looks at the server and returns what it measures; of one that does not answer, that it does not (`redis_up 0`).
    pub async fn scrape(&self) -> String {
        let begun = Instant::now();
        let looked = self.look().await;
        let mut text = match &looked {
            Ok(looked) => info::render(looked),
            Err(error) => {
                tracing::warn!(server = %self.address, %error, "a Redis server cannot be looked at");
                String::new()
            }
        };
        let is_up = u8::from(looked.is_ok());
        let seconds = begun.elapsed().as_secs_f64();
        text += &format!(
            "# HELP redis_up Whether the server answered.\n# TYPE redis_up gauge\nredis_up {is_up}\n\
             # HELP redis_exporter_last_scrape_duration_seconds How long the last look took.\n\
             # TYPE redis_exporter_last_scrape_duration_seconds gauge\n\
             redis_exporter_last_scrape_duration_seconds {seconds}\n"
        );
        text
    }

    async fn look(&self) -> Result<info::Looked, ServerError> {
        let info = self.ask(&["INFO", "ALL"]).await?;
        let info = text_of(&info)?;
        // A server may forbid these two and be of use all the same.
        let config = self.ask(&["CONFIG", "GET", "databases"]).await.ok();
        let slow = self.ask(&["SLOWLOG", "GET", "1"]).await.ok();
        let slow_length = self.ask(&["SLOWLOG", "LEN"]).await.ok();
        Ok(info::Looked {
            info,
            databases: config.and_then(|config| databases(&config)),
            last_slow: slow.and_then(|slow| slowlog::entries(&slow).into_iter().next()),
            slow_length: match slow_length {
                Some(BytesFrame::Integer(length)) => Some(length),
                _ => None,
            },
        })
    }

    /// Asks the server, over the connection of before where it still lives.
    pub(crate) async fn ask(&self, words: &[&str]) -> Result<BytesFrame, ServerError> {
        let mut kept = self.connection.lock().await;
        let asked = async {
            let connection = match kept.take() {
                Some(connection) => connection,
                None => {
                    Connection::open(
                        &self.address,
                        self.password.as_deref(),
                        Reader::new(ANSWERS, &self.budget),
                        self.within,
                    )
                    .await?
                }
            };
            let answer = connection.ask(&Request::of(words)).await;
            let answer = answer.map_err(|_| ServerError::Lost)?;
            *kept = Some(connection);
            match answer.frame() {
                BytesFrame::Error(message) => Err(ServerError::Refused(message.to_string())),
                frame => Ok(frame),
            }
        };
        let asked = tokio::time::timeout(self.within, asked).await;
        asked.unwrap_or(Err(ServerError::Silent(self.within)))
    }
}

fn text_of(frame: &BytesFrame) -> Result<String, ServerError> {
    let text = frame.as_str().map(str::to_owned);
    text.ok_or_else(|| ServerError::Refused(format!("{:?}", frame.kind())))
}

/// Reads `["databases", "16"]`.
fn databases(config: &BytesFrame) -> Option<u32> {
    match config {
        BytesFrame::Array(pair) => pair.get(1)?.as_str()?.parse().ok(),
        _ => None,
    }
}
