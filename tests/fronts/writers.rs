//! Writers: document after document, each acknowledged as visible before the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use gleaner_testkit::http::{Request, Response};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Run;

/// Pause after a document: readers are to find answers that are kept.
const PAUSE: Duration = Duration::from_millis(80);

/// Was it done on all copies, and is it visible on them?
fn is_done(response: &Response) -> bool {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    matches!(response.status, 200 | 201) && body["_shards"]["failed"] == 0
}

/// Writes documents `1`, `2`, … until the run is over.
pub(crate) async fn write(run: Arc<Run>, writer: usize, mut random: StdRng) -> Result<()> {
    let fronts = &run.processes.fronts;
    for n in 1_u64.. {
        let document = json!({"owner": format!("w{writer}"), "n": n});
        // Again until it is acknowledged: one that may have been written is the same document.
        loop {
            if run.is_over() {
                return Ok(());
            }
            let front = fronts[random.random_range(0..fronts.len())];
            let how = ["?refresh=true", "?refresh=wait_for", ""][random.random_range(0..3)];
            let path = format!("/things/_doc/{writer}-{n}{how}");
            let put = Request::json("PUT", &path, &document).send(front).await;
            if !put.is_ok_and(|response| is_done(&response)) {
                continue;
            }
            if how.is_empty() {
                let refresh = Request::new("POST", "/things/_refresh").send(front).await;
                if !refresh.is_ok_and(|response| is_done(&response)) {
                    continue;
                }
            }
            break;
        }
        run.acknowledged[writer].store(n, Ordering::SeqCst);
        run.num_shown.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
    Ok(())
}
