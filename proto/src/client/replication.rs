//! The leaf whose shard is copied, on another node.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use gleaner_model::ShardKey;
use prost::Message;
use tonic::Streaming;
use tonic::transport::Channel;

use super::fault::CallFault;
use super::{GrpcLeaf, LONG_CALL, Peer, SHORT_CALL, ask, of_shard};
use crate::node::NodeFault;
use crate::replicate::{
    FileCall, FollowerMessages, PrimaryMessage, PrimaryMessages, Snapshot, SnapshotCall,
};
use crate::wire::{MAX_FILE_PAGE_BYTES, MAX_MESSAGE_BYTES, Wire, all, messages, v1};
use crate::{LeafFault, ReplicationClient};

pub(super) type Stub = v1::replication_client::ReplicationClient<Channel>;

pub(super) fn stub(peer: &Peer) -> Stub {
    Stub::new(peer.channel())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

#[async_trait]
impl ReplicationClient for GrpcLeaf {
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

    async fn follow(&self, said: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        let request = self.peer.speaking_of(Frames(said));
        let mut stub = self.replication.clone();
        match tokio::time::timeout(SHORT_CALL, stub.follow(request)).await {
            Ok(Ok(answers)) => Ok(heard(answers.into_inner())),
            Ok(Err(status)) => Err(CallFault::of(&status).of_node()),
            Err(_) => Err(CallFault::Late.of_node()),
        }
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

/// What followers say, as it travels.
struct Frames(FollowerMessages);

impl Stream for Frames {
    type Item = v1::FromFollowers;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let said = self.0.poll_next_unpin(cx);
        said.map(|said| {
            said.map(|said| v1::FromFollowers {
                messages: messages(&said),
            })
        })
    }
}

/// Returns what primaries say, put together of pieces where it came in some.
fn heard(answers: Streaming<v1::FromPrimaries>) -> PrimaryMessages {
    let mut pieces = BytesMut::new();
    let heard = answers.map(move |answer| match answer {
        Ok(answer) => whole(answer, &mut pieces),
        Err(status) => Err(CallFault::of(&status).of_node()),
    });
    heard.boxed()
}

/// Largest message that is put together of pieces: a batch of the largest size that there is, and more.
const MAX_PIECES_BYTES: usize = 4 * MAX_MESSAGE_BYTES;

/// Returns the messages that an answer completes.
fn whole(
    answer: v1::FromPrimaries,
    pieces: &mut BytesMut,
) -> Result<Vec<PrimaryMessage>, NodeFault> {
    let v1::FromPrimaries {
        messages,
        piece,
        is_last_piece,
    } = answer;
    let unreadable = |reason: String| NodeFault::Unreadable { reason };
    if piece.is_empty() {
        return all(messages).map_err(|error| unreadable(error.to_string()));
    }
    if pieces.len() + piece.len() > MAX_PIECES_BYTES {
        let reason = format!("a message has more than {MAX_PIECES_BYTES} bytes");
        return Err(unreadable(reason));
    }
    pieces.extend_from_slice(&piece);
    if !is_last_piece {
        return Ok(Vec::new());
    }
    let message = v1::PrimaryMessage::decode(pieces.split().freeze());
    let message = message.map_err(|error| unreadable(error.to_string()))?;
    let message = PrimaryMessage::from_message(message);
    message
        .map(|message| vec![message])
        .map_err(|error| unreadable(error.to_string()))
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
