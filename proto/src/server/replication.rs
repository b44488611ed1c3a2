//! The leaf of this node, to leaves that copy its shards.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use gleaner_model::ShardKey;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::life::Life;
use super::{read, refused};
use crate::ReplicationClient;
use crate::node::NodeFault;
use crate::replicate::{FileCall, PrimaryMessage};
use crate::wire::{DecodeError, MAX_FILE_PAGE_BYTES, Wire, all, v1};

/// Answers for a leaf.
pub(super) struct Service {
    leaf: Arc<dyn ReplicationClient>,
    life: Life,
}

impl Service {
    pub(super) fn new(leaf: Arc<dyn ReplicationClient>, life: Life) -> Self {
        Self { leaf, life }
    }
}

type Answer<M> = Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::replication_server::Replication for Service {
    async fn open_snapshot(
        &self,
        request: Request<v1::OpenSnapshotCall>,
    ) -> Answer<v1::OpenSnapshotAnswer> {
        let call = read(request)?;
        let answer = self.life.run(self.leaf.open_snapshot(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn read_file(&self, request: Request<v1::ReadFileCall>) -> Answer<v1::ReadFileAnswer> {
        let call: FileCall = read(request)?;
        if call.max_bytes > MAX_FILE_PAGE_BYTES {
            // Less than was asked for would read as the end of the file.
            return Err(Status::invalid_argument(format!(
                "`max_bytes` is {}, a page has at most {MAX_FILE_PAGE_BYTES}",
                call.max_bytes
            )));
        }
        let answer = self.life.run(self.leaf.read_file(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    type FollowStream = BoxStream<'static, Result<v1::FromPrimaries, Status>>;

    async fn follow(
        &self,
        request: Request<Streaming<v1::FromFollowers>>,
    ) -> Answer<Self::FollowStream> {
        let said = request.into_inner();
        // One that cannot be read ends the stream, as its sender's end does.
        let said = said.scan((), |(), said| {
            let messages = said.ok().and_then(|said| all(said.messages).ok());
            std::future::ready(messages)
        });
        let answers = self.life.run(self.leaf.follow(said.boxed())).await?;
        let answers = answers.map_err(|fault| of_fault(&fault))?;
        let life = self.life.clone();
        let draining = async move { life.draining().await };
        let answers = answers.flat_map(|answer| match answer {
            Ok(messages) => frames(&messages),
            Err(fault) => stream::iter([Err(of_fault(&fault))]).boxed(),
        });
        let answers = answers.take_until(draining.boxed());
        Ok(Response::new(answers.boxed()))
    }

    async fn close_snapshot(
        &self,
        request: Request<v1::CloseSnapshotCall>,
    ) -> Answer<v1::DoneAnswer> {
        let v1::CloseSnapshotCall { shard, snapshot } = request.into_inner();
        let shard = shard_of(shard, "CloseSnapshotCall.shard")?;
        let answer = self.life.run(self.leaf.close_snapshot(shard, snapshot));
        Ok(Response::new(answer.await?.to_message()))
    }
}

fn of_fault(fault: &NodeFault) -> Status {
    match fault {
        NodeFault::Unreachable { .. } => Status::unavailable(fault.to_string()),
        NodeFault::Unreadable { .. } => Status::failed_precondition(fault.to_string()),
    }
}

/// Bytes from which on a message goes by itself, and pieces of a larger one.
const PIECE_BYTES: usize = 4 << 20;

/// Returns messages as they travel: together where they are small, in pieces where one is large.
fn frames(said: &[PrimaryMessage]) -> BoxStream<'static, Result<v1::FromPrimaries, Status>> {
    let mut frames: Vec<BoxStream<'static, Result<v1::FromPrimaries, Status>>> = Vec::new();
    let (mut together, mut bytes) = (Vec::new(), 0);
    for message in said {
        let message = message.to_message();
        let len = message.encoded_len();
        if bytes + len > PIECE_BYTES && !together.is_empty() {
            frames.push(frame(std::mem::take(&mut together)));
            bytes = 0;
        }
        if len > PIECE_BYTES {
            frames.push(pieces(message.encode_to_vec().into()).boxed());
            continue;
        }
        bytes += len;
        together.push(message);
    }
    if !together.is_empty() || frames.is_empty() {
        frames.push(frame(together));
    }
    stream::iter(frames).flatten().boxed()
}

fn frame(
    messages: Vec<v1::PrimaryMessage>,
) -> BoxStream<'static, Result<v1::FromPrimaries, Status>> {
    let frame = v1::FromPrimaries {
        messages,
        ..v1::FromPrimaries::default()
    };
    stream::iter([Ok(frame)]).boxed()
}

fn pieces(message: Bytes) -> impl Stream<Item = Result<v1::FromPrimaries, Status>> + Send {
    let num = message.len().div_ceil(PIECE_BYTES);
    stream::iter((0..num).map(move |place| {
        let end = message.len().min((place + 1) * PIECE_BYTES);
        Ok(v1::FromPrimaries {
            messages: Vec::new(),
            piece: message.slice(place * PIECE_BYTES..end),
            is_last_piece: place + 1 == num,
        })
    }))
}

/// Reads the shard that a call is about.
fn shard_of(shard: Option<v1::ShardKey>, field: &'static str) -> Result<ShardKey, Status> {
    let shard = shard.ok_or(DecodeError::Missing(field));
    let shard = shard.and_then(ShardKey::from_message);
    shard.map_err(|error| refused(&error))
}
