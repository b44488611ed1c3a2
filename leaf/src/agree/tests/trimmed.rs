//! Copies that come when a log has given up its beginning.

use super::*;

impl Cluster {
    /// Has a leaf commit what it holds until its log has given up its beginning.
    async fn until_trimmed(&self, name: &str) {
        let trimmed = async {
            loop {
                self.leaf(name).refresh(key(1)).await.expect("shown");
                self.leaf(name).flush(key(1)).await.expect("commits");
                let page = self.nodes[name].log.read(key(1), SeqNo(0), 1).await;
                if page.expect("reads").first_available > SeqNo(0) {
                    return;
                }
                // The other copy says how far it is.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        soon(trimmed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_when_the_log_has_lost_its_beginning_is_made_from_files() {
    let cluster = Cluster::start().await;
    cluster
        .write("a", vec![put("1", "{}"), put("2", "{}")])
        .await;
    // The process that leads has trimmed, and knew another beginning when it opened the log.
    cluster.until_trimmed("a").await;
    cluster.replace_on_b().await;
    cluster.write("a", vec![put("3", "{}")]).await;
    // A log that begins behind files has a hash of its own.
    let end = cluster.until_same_end().await;
    let last = SeqNo(end.0 - 1);
    let mut records = Vec::new();
    for name in ["a", "b"] {
        let log = &cluster.nodes[name].log;
        let page = log.read(key(1), SeqNo(0), 1).await.expect("reads");
        assert!(page.first_available > SeqNo(0), "{name}: from files");
        records.push(log.read_one(key(1), last).await.expect("reads"));
    }
    assert!(records[0].is_some());
    assert_eq!(format!("{:?}", records[0]), format!("{:?}", records[1]));
}
