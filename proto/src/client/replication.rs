//! The leaf whose shard is copied, on another node.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use gleaner_model::{History, ShardKey};
use tonic::transport::Channel;

use super::{GrpcLeaf, LONG_CALL, Peer, SHORT_CALL, ask, of_shard};
use crate::replicate::{FileCall, LogPage, LogTailCall, Snapshot, SnapshotCall};
use crate::wire::{MAX_FILE_PAGE_BYTES, MAX_MESSAGE_BYTES, Wire, v1};
use crate::{LeafFault, ReplicationClient};

pub(super) type Stub = v1::replication_client::ReplicationClient<Channel>;

pub(super) fn stub(peer: &Peer) -> Stub {
    Stub::new(peer.channel())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[async_trait]
impl ReplicationClient for GrpcLeaf {
    async fn log_tail(&self, call: LogTailCall) -> Result<LogPage, LeafFault> {
        let limit = call.wait.saturating_add(SHORT_CALL);
        let request = self.peer.request(call.to_message());
        let sent = async { self.replication.clone().log_tail(request?).await };
        let answer = ask(limit, sent).await;
        of_shard(call.shard, answer)
    }

    async fn open_snapshot(&self, call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        let request = self.peer.request(call.to_message());
        let sent = async { self.replication.clone().open_snapshot(request?).await };
        let answer = ask(LONG_CALL, sent).await;
        of_shard(call.shard, answer)
    }

    /// Asks for at most 4 MiB at a time, as often as it takes.
    async fn read_file(&self, call: FileCall) -> Result<Bytes, LeafFault> {
        let first = self.read_page(&call, 0).await?;
        if first.len() < MAX_FILE_PAGE_BYTES {
            return Ok(first);
        }
        let mut bytes = BytesMut::from(first);
        while bytes.len() < call.max_bytes {
            let page = self.read_page(&call, bytes.len()).await?;
            bytes.extend_from_slice(&page);
            if page.len() < MAX_FILE_PAGE_BYTES {
                break;
            }
        }
        Ok(bytes.freeze())
    }

    async fn history(&self, shard: ShardKey) -> Result<History, LeafFault> {
        let request = self.peer.request(v1::HistoryCall {
            shard: Some(shard.to_message()),
        });
        let sent = async { self.replication.clone().history(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        of_shard(shard, answer)
    }

    async fn close_snapshot(&self, shard: ShardKey, snapshot: u64) -> Result<(), LeafFault> {
        let request = self.peer.request(v1::CloseSnapshotCall {
            shard: Some(shard.to_message()),
            snapshot,
        });
        let sent = async { self.replication.clone().close_snapshot(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        of_shard(shard, answer)
    }
}

impl GrpcLeaf {
    /// Reads one page of what `call` asks for, after the bytes that are there already.
    async fn read_page(&self, call: &FileCall, have: usize) -> Result<Bytes, LeafFault> {
        let page = FileCall {
            offset: call.offset.saturating_add(have as u64),
            max_bytes: (call.max_bytes - have).min(MAX_FILE_PAGE_BYTES),
            ..call.clone()
        };

        let request = self.peer.request(page.to_message());
        let sent = async { self.replication.clone().read_file(request?).await };
        let answer = ask(SHORT_CALL, sent).await;
        of_shard(call.shard, answer)
    }
}
