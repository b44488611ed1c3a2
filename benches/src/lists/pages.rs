//! Pages of everything, one behind the other: by a scroll, or of a point in time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::INDEX;
use super::timing::{Times, repeat};
use crate::client::Client;

/// How long the server keeps what is open between two pages.
const KEPT: &str = "10m";
/// Documents behind the border that late pages begin at.
const LEFT: usize = 1_000;

/// What keeps one moment of the index open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The server remembers where the last page ended.
    Scroll,
    /// The client says so, by the sort values of the last hit.
    Pit,
}

/// How everything is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    pub(super) way: Way,
    /// What it is sorted by, ascending.
    pub(super) order: &'static str,
    /// Documents of a page.
    pub(super) size: usize,
}

impl Paging {
    /// Returns its name in the table.
    pub(super) fn name(self) -> String {
        let Self { way, order, size } = self;
        let way = match way {
            Way::Scroll => "scroll",
            Way::Pit => "PIT",
        };
        format!("{way} by {order}, {size}")
    }
}

/// One page: how many documents it has and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) num_hits: usize,
    pub(super) took: Duration,
}

/// Something open, and how far it was read.
pub(super) struct Pager<'a> {
    client: &'a mut Client,
    paging: Paging,
    /// The id of the scroll or the point in time; of a scroll none before its first page.
    id: Option<String>,
    /// Sort values behind which the first page begins.
    start: Option<Value>,
    after: Option<Value>,
}

impl<'a> Pager<'a> {
    /// Opens what `paging` reads.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) fn open(client: &'a mut Client, paging: Paging) -> Result<Self> {
        let id = match paging.way {
            Way::Scroll => None,
            Way::Pit => {
                let path = format!("/{INDEX}/_pit?keep_alive={KEPT}");
                let answer: Value = serde_json::from_slice(client.expect("POST", &path, b"")?)?;
                let id = answer["id"].as_str().context("a point in time has an id")?;
                Some(id.to_owned())
            }
        };
        Ok(Self {
            client,
            paging,
            id,
            start: None,
            after: None,
        })
    }

    /// Begins so far behind in a point in time that [`LEFT`] documents come.
    fn begin_late(&mut self) -> Result<()> {
        let mut backwards = self.body(LEFT + 1);
        backwards["sort"] = json!([{self.paging.order: "desc"}]);
        let page = self.ask("/_search", &backwards)?.0;
        let last = page.hits.hits.into_iter().next_back();
        self.start = last.and_then(|hit| hit.sort);
        self.after = self.start.clone();
        Ok(())
    }

    fn body(&self, size: usize) -> Value {
        let mut body = json!({"size": size, "sort": [{self.paging.order: "asc"}]});
        if self.paging.way == Way::Pit {
            body["track_total_hits"] = json!(false);
            body["pit"] = json!({"id": self.id, "keep_alive": KEPT});
            if let Some(after) = &self.after {
                body["search_after"] = after.clone();
            }
        }
        body
    }

    /// Reads the next page; one without documents is the end.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) fn next_page(&mut self) -> Result<Page> {
        let (page, took) = match (self.paging.way, &self.id) {
            (Way::Pit, _) => self.ask("/_search", &self.body(self.paging.size))?,
            (Way::Scroll, None) => {
                let path = format!("/{INDEX}/_search?scroll={KEPT}");
                self.ask(&path, &self.body(self.paging.size))?
            }
            (Way::Scroll, Some(id)) => {
                let body = json!({"scroll": KEPT, "scroll_id": id});
                self.ask("/_search/scroll", &body)?
            }
        };
        self.id = page.scroll_id.or(page.pit_id).or(self.id.take());
        let num_hits = page.hits.hits.len();
        self.after = page
            .hits
            .hits
            .into_iter()
            .next_back()
            .and_then(|hit| hit.sort);
        Ok(Page { num_hits, took })
    }

    fn ask(&mut self, path: &str, body: &Value) -> Result<(Answer, Duration)> {
        let body = body.to_string();
        let begun = Instant::now();
        let answer = self.client.expect("POST", path, body.as_bytes())?;
        let took = begun.elapsed();
        Ok((serde_json::from_slice(answer)?, took))
    }

    /// Begins anew: a scroll is opened again, a point in time read from its start.
    fn rewind(&mut self) -> Result<()> {
        if self.paging.way == Way::Scroll {
            self.release()?;
        }
        self.after = self.start.clone();
        Ok(())
    }

    /// Gives back what the server keeps.
    fn release(&mut self) -> Result<()> {
        let Some(id) = self.id.take() else {
            return Ok(());
        };
        let (path, body) = match self.paging.way {
            Way::Scroll => ("/_search/scroll", json!({"scroll_id": id})),
            Way::Pit => ("/_pit", json!({"id": id})),
        };
        let body = body.to_string();
        self.client.expect("DELETE", path, body.as_bytes())?;
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// When the server has forgotten it already.
    pub(super) fn close(mut self) -> Result<()> {
        self.release()
    }
}

/// What is read of an answer: no sources, which a client would only hand on.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "_scroll_id")]
    scroll_id: Option<String>,
    pit_id: Option<String>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    sort: Option<Value>,
}

/// Returns the ways that pages are timed in, each with whether they are late ones.
fn timed() -> Vec<(Paging, bool)> {
    let ways = [
        (Way::Scroll, "_doc"),
        (Way::Scroll, "num"),
        (Way::Pit, "_doc"),
        (Way::Pit, "_shard_doc"),
        (Way::Pit, "num"),
    ];
    let mut timed = Vec::new();
    for (way, order) in ways {
        for size in [10, 1_000, 5_000] {
            timed.push((Paging { way, order, size }, false));
        }
        if way == Way::Pit {
            timed.push((
                Paging {
                    way,
                    order,
                    size: 10,
                },
                true,
            ));
        }
    }
    timed
}

/// Times one page behind the other, in each way; with what Lucene's runner calls it, where it has it.
///
/// # Errors
/// When the server refuses.
pub(super) fn measure(client: &mut Client) -> Result<Vec<(String, Option<&'static str>, Times)>> {
    let mut measured = Vec::new();
    for (paging, is_late) in timed() {
        let mut name = paging.name();
        let mut pager = Pager::open(client, paging)?;
        if is_late {
            pager.begin_late().with_context(|| name.clone())?;
            name.push_str(", late");
        }
        let times = repeat(|| {
            let page = pager.next_page()?;
            if page.num_hits < paging.size {
                pager.rewind()?;
            }
            Ok(page.took)
        });
        measured.push((
            name.clone(),
            peer(paging, is_late),
            times.with_context(|| name)?,
        ));
        pager.close()?;
    }
    Ok(measured)
}

/// Returns the class of Lucene's runner that asks for the same.
fn peer(paging: Paging, is_late: bool) -> Option<&'static str> {
    match (paging.way, paging.order, paging.size, is_late) {
        (Way::Pit, "num", 10, _) => Some("search_after num page 20"),
        (Way::Pit, "_doc", 10, true) => Some("_doc page deep (searchAfter doc 6M, 10)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_without_its_sources() {
        let text = r#"{"pit_id": "p", "took": 1, "hits": {"hits": [
            {"_id": "1", "_source": {"a": [1, {"b": 2}]}, "sort": [7, 1]}, {"_id": "2", "sort": [8, 2]}
        ]}}"#;
        let answer: Answer = serde_json::from_str(text).expect("as the dialect has it");
        assert_eq!(
            (answer.pit_id.as_deref(), answer.scroll_id),
            (Some("p"), None)
        );
        let last = answer.hits.hits.into_iter().next_back();
        assert_eq!(last.and_then(|hit| hit.sort), Some(json!([8, 2])));
    }
}
