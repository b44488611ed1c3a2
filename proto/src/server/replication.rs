//! The leaf of this node, to leaves that copy its shards.

use std::sync::Arc;

use gleaner_model::ShardKey;
use tonic::{Request, Response, Status};

use super::life::Life;
use super::{read, refused};
use crate::ReplicationClient;
use crate::replicate::FileCall;
use crate::wire::{DecodeError, MAX_FILE_PAGE_BYTES, Wire, v1};

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
    async fn log_tail(&self, request: Request<v1::LogTailCall>) -> Answer<v1::LogTailAnswer> {
        let call = read(request)?;
        let answer = self.life.wait(self.leaf.log_tail(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

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

    async fn history(&self, request: Request<v1::HistoryCall>) -> Answer<v1::HistoryAnswer> {
        let v1::HistoryCall { shard } = request.into_inner();
        let shard = shard_of(shard, "HistoryCall.shard")?;
        let answer = self.life.wait(self.leaf.history(shard)).await?;
        Ok(Response::new(answer.to_message()))
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

/// Reads the shard that a call is about.
fn shard_of(shard: Option<v1::ShardKey>, field: &'static str) -> Result<ShardKey, Status> {
    let shard = shard.ok_or(DecodeError::Missing(field));
    let shard = shard.and_then(ShardKey::from_message);
    shard.map_err(|error| refused(&error))
}
