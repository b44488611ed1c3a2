//! What the index holds of a source, and how it comes to hold what the source holds.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::documents::{document, id_of, index_body};
use super::tree::Tree;
use super::{Entry, Outcome};
use crate::load::{Backoff, Limits, is_busy, retry_after};
use crate::remote::{self, Remote};
use crate::text::{one_line, say};

/// Documents of a page when the index is read.
const PAGE: u64 = 5_000;

/// Files that are read at once.
const READ_AT_ONCE: usize = 200;

/// Bytes that are read at once; a larger file is read by itself.
const BYTES_AT_ONCE: u64 = 16 << 20;

/// Failures that are named in each round.
const NAMED: usize = 10;

/// How often a request is sent that the server is too busy for.
const TRIES: u32 = 7;

/// The documents of one source in an index.
pub(super) struct Mirror {
    remote: Remote,
    index: String,
    source: String,
    limits: Limits,
    /// The states of the files that the index holds, by their paths.
    held: HashMap<String, String>,
    /// Files that are no text or too large, and the states in which they are, by their paths.
    passed_over: HashMap<String, String>,
}

impl Mirror {
    /// Reads what the index holds; it is made where it is not there.
    pub(super) async fn open(
        remote: Remote,
        index: String,
        source: String,
        limits: Limits,
    ) -> Result<Self> {
        let answer = remote
            .request(Method::PUT, &[&index])
            .json(&index_body())
            .send()
            .await;
        let answer = answer.map_err(|error| remote.unanswered(&error))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = answer.text().await.unwrap_or_default();
            ensure!(
                body.contains("resource_already_exists_exception"),
                remote::reason(status, body.as_bytes())
            );
        }
        let mut mirror = Self {
            remote,
            index,
            source,
            limits,
            held: HashMap::new(),
            passed_over: HashMap::new(),
        };
        mirror.refresh().await?;
        mirror.read().await?;
        Ok(mirror)
    }

    /// Reads the paths and states of all documents of the source.
    async fn read(&mut self) -> Result<()> {
        let body = json!({
            "size": PAGE,
            "query": {"term": {"source": self.source}},
            "_source": ["path", "state"],
        });
        let path = [self.index.as_str(), "_search"];
        let first = self
            .remote
            .request(Method::POST, &path)
            // Files that are not named would be taken for new ones, and none of them for gone.
            .query(&[("scroll", "1m"), ("allow_partial_search_results", "false")])
            .json(&body);
        let mut page = self.ask(first).await?;
        loop {
            let hits = page["hits"]["hits"].as_array().cloned().unwrap_or_default();
            let scroll = page["_scroll_id"].as_str().unwrap_or_default().to_owned();
            if hits.is_empty() {
                let end = self.remote.request(Method::DELETE, &["_search", "scroll"]);
                drop(self.ask(end.json(&json!({"scroll_id": scroll}))).await);
                return Ok(());
            }
            for hit in hits {
                let text =
                    |name: &str| hit["_source"][name].as_str().unwrap_or_default().to_owned();
                self.held.insert(text("path"), text("state"));
            }
            let next = self.remote.request(Method::POST, &["_search", "scroll"]);
            page = self
                .ask(next.json(&json!({"scroll": "1m", "scroll_id": scroll})))
                .await?;
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.remote.unanswered(&error))?;
        remote::json(answer).await
    }

    async fn refresh(&self) -> Result<()> {
        self.remote.refresh_index(&self.index).await
    }

    /// Writes the files that changed, deletes those that are gone, and makes both visible.
    pub(super) async fn follow(
        &mut self,
        tree: &Tree,
        files: Vec<Entry>,
        max_file: u64,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let there: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        self.passed_over
            .retain(|path, _| there.contains(path.as_str()));
        let is_passed_over = |file: &&Entry| self.passed_over.get(&file.path) == Some(&file.state);
        let (passed, wanted): (Vec<&Entry>, Vec<&Entry>) = files.iter().partition(is_passed_over);
        let is_gone = |path: &&String| !there.contains(path.as_str());
        let mut gone: Vec<String> = self.held.keys().filter(is_gone).cloned().collect();
        // Their documents of before, where those could not be deleted.
        let passed = passed.into_iter().map(|file| &file.path);
        gone.extend(passed.filter(|path| self.held.contains_key(*path)).cloned());
        let changed: Vec<&Entry> = wanted
            .into_iter()
            .filter(|file| self.held.get(&file.path) != Some(&file.state))
            .collect();
        let mut bulk = Bulk::default();
        for files in groups(&changed, max_file) {
            let fitting: Vec<&Entry> = files
                .iter()
                .copied()
                .filter(|file| file.num_bytes <= max_file)
                .collect();
            let contents = tree.read(&fitting, max_file).await?;
            for file in files {
                let content = contents.get(&file.path);
                let is_gone = content.is_none() && file.num_bytes <= max_file;
                let document = content.and_then(|content| document(&self.source, file, content));
                match document {
                    Some(document) => bulk.write(&self.source, file, &document),
                    // It went since it was listed, and the next look sees that.
                    None if is_gone => {}
                    None => self.pass_over(file, content.is_some(), &mut gone),
                }
                if bulk.is_full(self.limits) {
                    self.send(&mut bulk, &mut outcome).await?;
                }
            }
        }
        for path in gone {
            bulk.delete(&self.source, path);
            if bulk.is_full(self.limits) {
                self.send(&mut bulk, &mut outcome).await?;
            }
        }
        self.send(&mut bulk, &mut outcome).await?;
        if outcome.written + outcome.deleted > 0 {
            self.refresh().await?;
        }
        Ok(outcome)
    }

    /// Notes that a file has no document, and that an earlier one must go.
    fn pass_over(&mut self, file: &Entry, was_read: bool, gone: &mut Vec<String>) {
        let why = if was_read {
            "it is no text"
        } else {
            "it is too large"
        };
        say(&format!("passed over: {}: {why}", one_line(&file.path)));
        self.passed_over
            .insert(file.path.clone(), file.state.clone());
        if self.held.contains_key(&file.path) {
            gone.push(file.path.clone());
        }
    }

    /// Sends what was gathered, and notes what of it the index holds now.
    async fn send(&mut self, bulk: &mut Bulk, outcome: &mut Outcome) -> Result<()> {
        let Bulk { body, operations } = std::mem::take(bulk);
        if operations.is_empty() {
            return Ok(());
        }
        let answer = self.send_body(body).await?;
        let items = answer["items"]
            .as_array()
            .context("the server answered no items")?;
        ensure!(
            items.len() == operations.len(),
            "the server answered for {} of {} documents",
            items.len(),
            operations.len()
        );
        for (item, operation) in items.iter().zip(operations) {
            let result = item
                .as_object()
                .and_then(|item| item.values().next())
                .unwrap_or(&Value::Null);
            let status = result["status"].as_u64().unwrap_or_default();
            let is_done =
                (200..300).contains(&status) || (operation.state.is_none() && status == 404);
            match (is_done, operation.state) {
                (true, Some(state)) => {
                    self.held.insert(operation.path, state);
                    outcome.written += 1;
                }
                (true, None) => {
                    self.held.remove(&operation.path);
                    outcome.deleted += 1;
                }
                (false, _) => {
                    outcome.failed += 1;
                    if outcome.failed <= NAMED as u64 {
                        let why = result["error"]["reason"]
                            .as_str()
                            .unwrap_or("no reason given");
                        say(&format!(
                            "failed: {}: {}",
                            one_line(&operation.path),
                            one_line(why)
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends a body, again after a wait where the server is too busy.
    async fn send_body(&self, body: String) -> Result<Value> {
        let mut backoff = Backoff::default();
        for last in (0..TRIES).map(|number| number + 1 == TRIES) {
            let path = [self.index.as_str(), "_bulk"];
            let request = self.remote.request(Method::POST, &path);
            let request = request
                .header("content-type", "application/x-ndjson")
                .body(body.clone());
            let answer = request
                .send()
                .await
                .map_err(|error| self.remote.unanswered(&error))?;
            if last || !is_busy(answer.status().as_u16()) {
                return remote::json(answer).await;
            }
            let asked = answer.headers().get(header::RETRY_AFTER);
            let asked = retry_after(asked.and_then(|value| value.to_str().ok()));
            tokio::time::sleep(backoff.next(asked, rand::random())).await;
        }
        bail!("the server is too busy")
    }
}

/// Cuts files into groups that are read at once, so that what is read has room in memory. Those that are larger than
/// `max_file` are not read.
fn groups<'a, 'f>(files: &'a [&'f Entry], max_file: u64) -> Vec<&'a [&'f Entry]> {
    let mut groups = Vec::new();
    let (mut start, mut num_bytes) = (0, 0);
    for (at, file) in files.iter().enumerate() {
        let more = match file.num_bytes <= max_file {
            true => file.num_bytes,
            false => 0,
        };
        let is_full = at - start >= READ_AT_ONCE || num_bytes + more > BYTES_AT_ONCE;
        if is_full && at > start {
            groups.push(&files[start..at]);
            (start, num_bytes) = (at, 0);
        }
        num_bytes += more;
    }
    if start < files.len() {
        groups.push(&files[start..]);
    }
    groups
}

/// A bulk request that is being gathered.
#[derive(Debug, Default)]
struct Bulk {
    body: String,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    path: String,
    /// The state that is written; `None` deletes.
    state: Option<String>,
}

impl Bulk {
    fn write(&mut self, source: &str, file: &Entry, document: &Value) {
        let action = json!({"index": {"_id": id_of(source, &file.path)}});
        self.body += &format!("{action}\n{document}\n");
        self.operations.push(Operation {
            path: file.path.clone(),
            state: Some(file.state.clone()),
        });
    }

    fn delete(&mut self, source: &str, path: String) {
        let action = json!({"delete": {"_id": id_of(source, &path)}});
        self.body += &format!("{action}\n");
        self.operations.push(Operation { path, state: None });
    }

    fn is_full(&self, limits: Limits) -> bool {
        self.operations.len() >= limits.num_records || self.body.len() >= limits.num_bytes
    }
}

#[cfg(test)]
mod tests;
