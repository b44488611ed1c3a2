//! What is known of a document after a write of it that the log did not take.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_remembered_when_the_write_after_it_is_lost() {
    let external = Condition::ExternalGreater;
    for is_visible in [false, true] {
        let fixture = Fixture::start();
        let deletion = when(delete("a"), external(Version(7)));
        let deleted = fixture.write(vec![put("a", "{}"), deletion]).await;
        assert!(deleted.is_ok());
        if is_visible {
            fixture.leaf.refresh(key(1)).await.expect("refreshes");
        }
        for lost in [vec![put("a", "{}")], vec![put("a", "{}"), delete("a")]] {
            fixture.log.refuse_next();
            let lost = soon(fixture.write(lost)).await;
            assert_eq!(lost, Err(LeafFault::DiskFull { shard: key(1) }));
        }
        let batch = vec![when(put("a", "{}"), external(Version(7))), put("a", "{}")];
        let answer = soon(fixture.write(batch)).await.expect("written");
        let expected = [Err("conflict"), Ok((WriteResult::Created, 8))];
        assert_eq!(answer.items.iter().map(told).collect::<Vec<_>>(), expected);
    }
}
