//! How a replica follows its primary: it reads the primary's log over the wire, makes each page
//! durable, and shows what the refresh records in it say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::SeqNo;
use gleaner_model::operation::{Operation, OperationKind};
use gleaner_proto::replicate::{LogPage, LogTailCall};
use gleaner_proto::{GrpcLeaf, ReplicationClient};
use tokio::time::sleep;

use super::copy::Copy;
use crate::documents::{apply, live};
use crate::schedule::node_id;

/// How long the primary may hold back an empty page.
const WAIT: Duration = Duration::from_millis(400);

/// Pause after a call that failed.
const PAUSE: Duration = Duration::from_millis(40);

/// Follows for as long as the process lives.
pub(super) async fn run(copy: Arc<Copy>, primary: GrpcLeaf, recovery: Duration) {
    sleep(recovery).await;
    // What the primary had and showed at its first answer: before that is here, nothing is answered.
    let mut first: Option<(SeqNo, SeqNo)> = None;
    loop {
        let from = SeqNo(copy.inner.lock().log.len() as u64);
        let call = LogTailCall {
            shard: copy.shard,
            follower: node_id(copy.leaf),
            from,
            max_bytes: 1 << 20,
            wait: if first.is_none() {
                Duration::ZERO
            } else {
                WAIT
            },
            held: None,
        };
        match primary.log_tail(call).await {
            Ok(page) => {
                let (end, visible) = *first.get_or_insert((page.end, page.visible));
                copy.take_page(&page).await;
                let inner = copy.inner.lock();
                let is_whole = inner.log.len() as u64 >= end.0 && inner.views.visible() >= visible;
                let is_new = is_whole && !inner.is_started;
                drop(inner);
                if is_new {
                    copy.start();
                }
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

impl Copy {
    /// Adds a page to the log; shows its last refresh.
    async fn take_page(&self, page: &LogPage) {
        let mut shown = None;
        {
            let mut inner = self.inner.lock();
            for record in &page.records {
                let payload: &Bytes = &record.payload;
                let operation = Operation::decode(payload).expect("the primary encoded it");
                debug_assert_eq!(record.seq_no.0, inner.log.len() as u64);
                if operation.kind == OperationKind::Refresh {
                    shown = Some((record.seq_no, live(&inner.ids)));
                }
                apply(&mut inner.ids, record.seq_no, &operation);
                inner.log.push(operation);
            }
        }
        self.sync().await;
        if let Some((at, documents)) = shown {
            self.show(at, documents).await;
        }
    }
}
