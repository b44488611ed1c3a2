//! The leaf of this node, to roots.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{SeqNo, ShardKey};
use tonic::{Request, Response, Status};

use super::life::Life;
use super::{read, refused};
use crate::LeafClient;
use crate::wire::{DecodeError, Wire, all, messages, v1};

/// Answers for a leaf.
pub(super) struct Service {
    leaf: Arc<dyn LeafClient>,
    life: Life,
}

impl Service {
    pub(super) fn new(leaf: Arc<dyn LeafClient>, life: Life) -> Self {
        Self { leaf, life }
    }
}

type Answer<M> = Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::leaf_server::Leaf for Service {
    async fn statistics(
        &self,
        request: Request<v1::StatisticsCall>,
    ) -> Answer<v1::StatisticsAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.statistics(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::StatisticsAnswers { answers }))
    }

    async fn expand(&self, request: Request<v1::ExpandCall>) -> Answer<v1::ExpandAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.expand(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::ExpandAnswers { answers }))
    }

    async fn search(&self, request: Request<v1::SearchCall>) -> Answer<v1::SearchAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.search(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::SearchAnswers { answers }))
    }

    async fn postings(&self, request: Request<v1::PostingsCall>) -> Answer<v1::PostingsAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.postings(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::PostingsAnswers { answers }))
    }

    async fn locate(&self, request: Request<v1::LocateCall>) -> Answer<v1::LocateAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.locate(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::LocateAnswers { answers }))
    }

    async fn fetch(&self, request: Request<v1::FetchCall>) -> Answer<v1::FetchAnswer> {
        let call = read(request)?;
        let answer = self.life.run(self.leaf.fetch(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn explain(&self, request: Request<v1::ExplainCall>) -> Answer<v1::ExplainAnswer> {
        let call = read(request)?;
        let answer = self.life.run(self.leaf.explain(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn open_views(
        &self,
        request: Request<v1::OpenViewsCall>,
    ) -> Answer<v1::OpenViewsAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.open_views(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::OpenViewsAnswers { answers }))
    }

    async fn renew_views(&self, request: Request<v1::RenewViewsCall>) -> Answer<v1::DoneAnswers> {
        let v1::RenewViewsCall {
            views,
            keep_alive_ms,
        } = request.into_inner();
        let views = all(views).map_err(|error| refused(&error))?;
        let keep_alive = Duration::from_millis(keep_alive_ms);
        let answers = self.life.run(self.leaf.renew_views(views, keep_alive));
        let answers = messages(&answers.await?);
        Ok(Response::new(v1::DoneAnswers { answers }))
    }

    async fn release_views(
        &self,
        request: Request<v1::ReleaseViewsCall>,
    ) -> Answer<v1::ReleaseViewsAnswer> {
        let v1::ReleaseViewsCall { views } = request.into_inner();
        let views = all(views).map_err(|error| refused(&error))?;
        let num_released = self.life.run(self.leaf.release_views(views)).await? as u64;
        Ok(Response::new(v1::ReleaseViewsAnswer { num_released }))
    }

    async fn write(&self, request: Request<v1::WriteCall>) -> Answer<v1::WriteAnswer> {
        let call = read(request)?;
        let answer = self.life.run(self.leaf.write(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn get(&self, request: Request<v1::GetCall>) -> Answer<v1::GetAnswer> {
        let call = read(request)?;
        let answer = self.life.run(self.leaf.get(call)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn refresh(&self, request: Request<v1::ShardCall>) -> Answer<v1::RefreshAnswer> {
        let shard = key(request.into_inner().shard)?;
        let answer = self.life.run(self.leaf.refresh(shard)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn wait_for_refresh(
        &self,
        request: Request<v1::WaitForRefreshCall>,
    ) -> Answer<v1::RefreshAnswer> {
        let v1::WaitForRefreshCall {
            shard,
            seq_no,
            remaining_ms,
        } = request.into_inner();
        let remaining = Duration::from_millis(remaining_ms);
        let wait = self
            .leaf
            .wait_for_refresh(key(shard)?, SeqNo(seq_no), remaining);
        let answer = self.life.wait(wait).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn flush(&self, request: Request<v1::ShardCall>) -> Answer<v1::DoneAnswer> {
        let shard = key(request.into_inner().shard)?;
        let answer = self.life.run(self.leaf.flush(shard)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn force_merge(&self, request: Request<v1::ForceMergeCall>) -> Answer<v1::DoneAnswer> {
        let v1::ForceMergeCall {
            shard,
            max_segments,
        } = request.into_inner();
        // More than can be counted is no limit.
        let max_segments = usize::try_from(max_segments).unwrap_or(usize::MAX);
        let merge = self.leaf.force_merge(key(shard)?, max_segments);
        let answer = self.life.run(merge).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn shard_states(&self, _: Request<v1::ShardStatesCall>) -> Answer<v1::ShardStatesAnswer> {
        let states = self.life.run(self.leaf.shard_states()).await?;
        let states = messages(&states);
        Ok(Response::new(v1::ShardStatesAnswer { states }))
    }
}

fn key(shard: Option<v1::ShardKey>) -> Result<ShardKey, Status> {
    let shard = shard.ok_or(DecodeError::Missing("shard"));
    shard
        .and_then(ShardKey::from_message)
        .map_err(|error| refused(&error))
}
