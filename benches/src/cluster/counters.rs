//! What a root has counted of its own shard requests: `GET /metrics`.

use anyhow::Result;

use crate::client::Client;

/// Shard requests of a root to leaves of shards with several copies, all phases together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Requests {
    /// Sent to the first copy.
    pub(super) first: f64,
    /// Sent to a second one because the first was late.
    pub(super) hedges: f64,
    /// Sent to another one because one failed.
    pub(super) retries: f64,
}

impl Requests {
    /// Reads what the root behind `client` has counted since it started.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn read(client: &mut Client) -> Result<Self> {
        let text = client.expect("GET", "/metrics", b"")?;
        Ok(Self::parse(&String::from_utf8_lossy(text)))
    }

    /// Reads the counters out of Prometheus' text format; what is absent was never counted.
    pub(super) fn parse(text: &str) -> Self {
        let mut requests = Self::default();
        let samples = text
            .lines()
            .filter_map(|line| line.strip_prefix("gleaner_shard_requests_total{"));
        for sample in samples {
            let Some((labels, value)) = sample.rsplit_once("} ") else {
                continue;
            };
            let Ok(value) = value.trim().parse::<f64>() else {
                continue;
            };
            match label(labels, "kind") {
                Some("first") => requests.first += value,
                Some("hedge") => requests.hedges += value,
                Some("retry") => requests.retries += value,
                _ => {}
            }
        }
        requests
    }

    /// Returns what was counted after `before`.
    #[must_use]
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            first: self.first - before.first,
            hedges: self.hedges - before.hedges,
            retries: self.retries - before.retries,
        }
    }

    /// Returns both counts together.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            first: self.first + other.first,
            hedges: self.hedges + other.hedges,
            retries: self.retries + other.retries,
        }
    }

    /// Returns the second requests and repetitions as a share of the first ones; NaN of none.
    pub(super) fn extra_share(self) -> f64 {
        (self.hedges + self.retries) / self.first
    }
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .split(',')
        .filter_map(|label| label.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# TYPE gleaner_shard_requests_total counter
gleaner_shard_requests_total{phase="query",kind="first"} 800
gleaner_shard_requests_total{phase="fetch",kind="first"} 200
gleaner_shard_requests_total{phase="query",kind="hedge"} 31
gleaner_shard_requests_total{kind="retry",phase="query"} 9
gleaner_http_request_seconds_count{path="/_search",kind="first"} 100
"#;

    #[test]
    fn phases_are_added_up_and_other_metrics_are_not() {
        let requests = Requests::parse(TEXT);
        assert_eq!(
            requests,
            Requests {
                first: 1_000.0,
                hedges: 31.0,
                retries: 9.0
            }
        );
        assert_eq!(requests.extra_share(), 0.04);
        let later = requests.plus(requests).since(requests);
        assert_eq!(later, requests);
        assert!(Requests::parse("").extra_share().is_nan());
    }
}
