//! Documents that nobody sees yet and that the version map has left to the log.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_log::ShardLog;
use gleaner_model::{Operation, OperationKind, SeqNo, ShardKey};
use gleaner_proto::LeafFault;

use super::Primary;
use crate::fault::log_fault;
use crate::write::versions::Content;

impl Primary {
    /// Returns the documents that were written at `positions`, the first ones until they make more than
    /// `limit` bytes. Those that the log has no more are durable in the index: a refresh shows them, and they
    /// are left out.
    pub(crate) async fn contents_at(
        &self,
        positions: &[SeqNo],
        limit: usize,
    ) -> Result<HashMap<SeqNo, Content>, LeafFault> {
        let shard = &self.shard;
        let (contents, is_trimmed) =
            read_contents(shard.log(), shard.key, positions, limit).await?;
        if is_trimmed {
            self.refresh().await?;
        }
        Ok(contents)
    }
}

/// As [`Primary::contents_at`]; says whether the log lacks any.
pub(crate) async fn read_contents(
    log: &Arc<dyn ShardLog>,
    shard: ShardKey,
    positions: &[SeqNo],
    limit: usize,
) -> Result<(HashMap<SeqNo, Content>, bool), LeafFault> {
    let mut contents = HashMap::with_capacity(positions.len());
    let mut bytes = 0;
    let mut is_trimmed = false;
    for position in positions {
        let record = log.read_one(shard, *position).await;
        match record.map_err(|error| log_fault(shard, &error))? {
            Some(record) => {
                bytes += record.payload.len();
                contents.insert(*position, content(shard, *position, &record.payload)?);
            }
            None => is_trimmed = true,
        }
        if bytes > limit {
            break;
        }
    }
    Ok((contents, is_trimmed))
}

fn content(shard: ShardKey, position: SeqNo, payload: &Bytes) -> Result<Content, LeafFault> {
    let operation = Operation::decode(payload);
    match operation.map(|operation| operation.kind) {
        Ok(OperationKind::Index {
            routing, source, ..
        }) => Ok(Content { routing, source }),
        other => Err(LeafFault::Internal {
            shard,
            reason: format!("the log has no document at {position}: {other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use bytes::Bytes;
    use gleaner_proto::write::{Update, WriteAction, WriteFault, WriteResult};
    use gleaner_proto::{LeafClient as _, LeafFault};

    use crate::testing::{Fixture, item, key, large_source, put};
    use crate::write::versions::Written;

    /// A document of some 600 bytes; 256 are kept.
    fn long() -> &'static str {
        static LONG: OnceLock<String> = OnceLock::new();
        LONG.get_or_init(|| format!(r#"{{"n":1,"text":"{}"}}"#, "a".repeat(600)))
    }

    /// Returns a leaf whose documents `a` and `b` are in the log only, and searches see neither.
    async fn left_to_log() -> Fixture {
        let fixture = Fixture::with(|options| options.unseen_bytes = 4 << 10);
        fixture.shard().await;
        fixture
            .change(|state| {
                for index in state.indices.values_mut() {
                    std::sync::Arc::make_mut(index).settings.refresh_interval_ms = None;
                }
            })
            .await;
        for id in ["a", "b", "c"] {
            fixture.write(vec![put(id, long())]).await.expect("written");
        }
        fixture.write(vec![put("d", "{}")]).await.expect("written");
        let primary = fixture.primary().await;
        let order = primary.order.lock().await;
        for id in ["a", "b"] {
            let latest = order.versions.get(&crate::testing::id(id));
            let document = &latest.expect("remembered").document;
            assert!(matches!(document, Written::InLog), "{id}: {document:?}");
        }
        drop(order);
        fixture
    }

    async fn update(fixture: &Fixture, id: &str, doc: &'static str) -> (WriteResult, u64) {
        let update = Update {
            doc: Some(Bytes::from_static(doc.as_bytes())),
            detect_noop: true,
            ..Update::default()
        };
        let written = fixture.write(vec![item(id, WriteAction::Update(update))]);
        let mut answer = written.await.expect("written");
        let outcome = answer.items.remove(0).expect("taken");
        (outcome.result, outcome.version.0)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn documents_are_read_and_updated_from_the_log() {
        let fixture = left_to_log().await;
        let document = fixture.get("a").await.expect("written");
        assert_eq!(
            (&*document.source, document.seq_no.0),
            (long().as_bytes(), 0)
        );
        let (noop, updated) = (r#"{"n":1}"#, r#"{"n":2}"#);
        assert_eq!(update(&fixture, "a", noop).await, (WriteResult::Noop, 1));
        assert_eq!(
            update(&fixture, "b", updated).await,
            (WriteResult::Updated, 2)
        );
        let document = fixture.get("b").await.expect("written");
        assert!(document.source.starts_with(br#"{"n":2,"text":"aaa"#));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_the_log_has_no_more_is_in_the_index() {
        let fixture = left_to_log().await;
        let shard = fixture.shard().await;
        fixture.leaf.flush(key(1)).await.expect("commits");
        let position = crate::testing::id("a");
        let latest = fixture.primary().await;
        let latest = latest.order.lock().await.versions.get(&position).cloned();
        let seq_no = latest.expect("remembered").seq_no;
        let record = shard.log().read_one(shard.key, seq_no).await;
        assert!(record.expect("reads").is_none(), "the log was not trimmed");
        let updated = update(&fixture, "a", r#"{"n":2}"#).await;
        assert_eq!(updated, (WriteResult::Updated, 2));
        let document = fixture.get("b").await.expect("written");
        assert_eq!(&*document.source, long().as_bytes());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn updates_of_large_documents_are_written_in_several_batches() {
        for is_in_log in [false, true] {
            let fixture = Fixture::with(|options| {
                if is_in_log {
                    options.unseen_bytes = 256 << 10;
                }
            });
            let text = "a".repeat(9 << 20);
            let source: &'static str = format!(r#"{{"n":1,"text":"{text}"}}"#).leak();
            let ids = ["a", "b", "c", "d", "e"];
            for id in ids {
                fixture.write(vec![put(id, source)]).await.expect("written");
            }
            let change = |id: &&str| {
                let update = Update {
                    doc: Some(Bytes::from_static(br#"{"n":2}"#)),
                    detect_noop: true,
                    ..Update::default()
                };
                item(id, WriteAction::Update(update))
            };
            let mut items: Vec<_> = ids.iter().map(change).collect();
            items.push(change(&"a"));
            items.push(change(&"nobody"));
            let answer = fixture.write(items).await.expect("written");
            let results = answer.items.iter().map(|item| match item {
                Ok(outcome) => Some(outcome.result),
                Err(_) => None,
            });
            let results: Vec<_> = results.collect();
            let updated = Some(WriteResult::Updated);
            let expected = [updated, updated, updated, updated, updated];
            assert_eq!(results[..5], expected);
            assert_eq!(results[5..], [Some(WriteResult::Noop), None]);
            for id in ids {
                let found = fixture.get(id).await.expect("is there");
                assert!(found.source.starts_with(br#"{"n":2,"#), "{id}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_batch_did_is_told_when_the_next_one_fails() {
        // No refresh comes between.
        let fixture = Fixture::with(|options| options.unseen_bytes = 1 << 30);
        let text = "a".repeat(20 << 20);
        let source: &'static str = format!(r#"{{"n":1,"text":"{text}"}}"#).leak();
        for id in ["a", "b", "c"] {
            fixture.write(vec![put(id, source)]).await.expect("written");
        }
        fixture
            .leaf
            .refresh(crate::testing::key(1))
            .await
            .expect("refreshes");
        let change = |id: &str| {
            let update = Update {
                doc: Some(Bytes::from_static(br#"{"n":2}"#)),
                ..Update::default()
            };
            item(id, WriteAction::Update(update))
        };
        fixture.log.hold_next().send(true).expect("kept");
        fixture.log.refuse_next();
        let written = fixture.write(["a", "b", "c"].map(change).to_vec());
        let answer = written.await.expect("in part");
        assert!(answer.items[..2].iter().all(Result::is_ok));
        let expected = LeafFault::DiskFull {
            shard: crate::testing::key(1),
        };
        assert_eq!(answer.items[2], Err(WriteFault::Shard(expected)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_updates_return_is_bounded() {
        let fixture = Fixture::start();
        let large = put("a", large_source());
        fixture.write(vec![large]).await.expect("written");
        let change = |doc: &'static str, is_returned: bool| {
            let update = Update {
                doc: Some(Bytes::from_static(doc.as_bytes())),
                detect_noop: true,
                returned_source: is_returned.then(Default::default),
                ..Update::default()
            };
            item("a", WriteAction::Update(update))
        };
        let items = vec![
            change(r#"{"n":2}"#, true),
            change(r#"{"n":3}"#, false),
            change(r#"{"n":3}"#, true),
            change(r#"{"n":4}"#, true),
        ];
        let answer = fixture.write(items).await.expect("answered");
        let sources = answer.items.iter().map(|item| match item {
            Ok(outcome) => Ok(outcome.source.is_some()),
            Err(WriteFault::Rejected { code, .. }) => Err(&**code),
            Err(_) => Err("other"),
        });
        let sources: Vec<_> = sources.collect();
        let full = Err("answer_full");
        assert_eq!(sources, [Ok(true), Ok(false), full, full]);
        let document = fixture.get("a").await.expect("it is there");
        assert!(document.source.starts_with(br#"{"n":3,"#));
    }
}
