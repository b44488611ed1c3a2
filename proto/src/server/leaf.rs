//! The leaf of this node, to roots.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::{IndexUuid, SeqNo, ShardKey};
use tonic::{Request, Response, Status, Streaming};

use super::life::Life;
use super::{line, of_message, read, refused};
use crate::LeafClient;
use crate::read::WaitForRefreshCall;
use crate::wire::{DecodeError, Wire, all, messages, sixteen, v1};

/// Answers for a leaf.
#[derive(Clone)]
pub(super) struct Service {
    leaf: Arc<dyn LeafClient>,
    life: Life,
}

impl Service {
    pub(super) fn new(leaf: Arc<dyn LeafClient>, life: Life) -> Self {
        Self { leaf, life }
    }

    pub(super) async fn count(
        &self,
        call: v1::StatisticsCall,
    ) -> Result<v1::StatisticsAnswers, Status> {
        let answers = self.life.run(self.leaf.statistics(of_message(call)?)).await;
        let answers = messages(&answers?);
        Ok(v1::StatisticsAnswers { answers })
    }

    pub(super) async fn expand_all(
        &self,
        call: v1::ExpandCall,
    ) -> Result<v1::ExpandAnswers, Status> {
        let answers = self.life.run(self.leaf.expand(of_message(call)?)).await;
        let answers = messages(&answers?);
        Ok(v1::ExpandAnswers { answers })
    }

    pub(super) async fn search_all(
        &self,
        call: v1::SearchCall,
    ) -> Result<v1::SearchAnswers, Status> {
        let answers = self.life.run(self.leaf.search(of_message(call)?)).await;
        let answers = messages(&answers?);
        Ok(v1::SearchAnswers { answers })
    }

    pub(super) async fn fetch_all(&self, call: v1::FetchCall) -> Result<v1::FetchAnswers, Status> {
        let answers = self.life.run(self.leaf.fetch(of_message(call)?)).await;
        let answers = messages(&answers?);
        Ok(v1::FetchAnswers { answers })
    }
}

type Answer<M> = Result<Response<M>, Status>;

#[tonic::async_trait]
impl v1::leaf_server::Leaf for Service {
    type ConverseStream = line::Answers;

    async fn converse(
        &self,
        request: Request<Streaming<v1::LineCall>>,
    ) -> Answer<Self::ConverseStream> {
        let (service, life) = (Arc::new(self.clone()), self.life.clone());
        let answers = line::Answers::new(service, life, request.into_inner());
        Ok(Response::new(answers))
    }

    async fn statistics(
        &self,
        request: Request<v1::StatisticsCall>,
    ) -> Answer<v1::StatisticsAnswers> {
        self.count(request.into_inner()).await.map(Response::new)
    }

    async fn expand(&self, request: Request<v1::ExpandCall>) -> Answer<v1::ExpandAnswers> {
        let answers = self.expand_all(request.into_inner()).await;
        answers.map(Response::new)
    }

    async fn search(&self, request: Request<v1::SearchCall>) -> Answer<v1::SearchAnswers> {
        let answers = self.search_all(request.into_inner()).await;
        answers.map(Response::new)
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

    async fn fetch(&self, request: Request<v1::FetchCall>) -> Answer<v1::FetchAnswers> {
        let answers = self.fetch_all(request.into_inner()).await;
        answers.map(Response::new)
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
            by_primary,
        } = request.into_inner();
        let call = WaitForRefreshCall {
            shard: key(shard)?,
            seq_no: SeqNo(seq_no),
            by_primary,
            remaining: Duration::from_millis(remaining_ms),
        };
        let wait = self.leaf.wait_for_refresh(call);
        let answer = self.life.wait(wait).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn flush(&self, request: Request<v1::ShardCall>) -> Answer<v1::DoneAnswer> {
        let shard = key(request.into_inner().shard)?;
        let answer = self.life.run(self.leaf.flush(shard)).await?;
        Ok(Response::new(answer.to_message()))
    }

    async fn retry_failed(&self, request: Request<v1::ShardCall>) -> Answer<v1::DoneAnswer> {
        let shard = key(request.into_inner().shard)?;
        let answer = self.life.run(self.leaf.retry_failed(shard)).await?;
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

    async fn generations(
        &self,
        request: Request<v1::GenerationsCall>,
    ) -> Answer<v1::GenerationsAnswers> {
        let call = read(request)?;
        let answers = self.life.run(self.leaf.generations(call)).await?;
        let answers = messages(&answers);
        Ok(Response::new(v1::GenerationsAnswers { answers }))
    }

    async fn shard_states(
        &self,
        request: Request<v1::ShardStatesCall>,
    ) -> Answer<v1::ShardStatesAnswer> {
        let call = request.into_inner();
        let indices = indices_of(&call).map_err(|error| refused(&error))?;
        let told = async {
            match &indices[..] {
                [] => self.leaf.shard_states().await,
                indices => self.leaf.shard_states_of(indices).await,
            }
        };
        let states = self.life.run(told).await?;
        let states = states.map_err(|fault| Status::internal(fault.to_string()))?;
        let states = messages(&states);
        Ok(Response::new(v1::ShardStatesAnswer { states }))
    }

    async fn copies_on_disk(
        &self,
        _: Request<v1::CopiesOnDiskCall>,
    ) -> Answer<v1::CopiesOnDiskAnswer> {
        let copies = self.life.run(self.leaf.copies_on_disk()).await?;
        let copies = copies.map_err(|fault| Status::internal(fault.to_string()))?;
        let copies = messages(&copies);
        Ok(Response::new(v1::CopiesOnDiskAnswer { copies }))
    }

    async fn node_stats(&self, _: Request<v1::NodeStatsCall>) -> Answer<v1::NodeStats> {
        let stats = self.life.run(self.leaf.node_stats()).await?;
        let stats = stats.map_err(|fault| Status::internal(fault.to_string()))?;
        Ok(Response::new(stats.to_message()))
    }
}

fn key(shard: Option<v1::ShardKey>) -> Result<ShardKey, Status> {
    let shard = shard.ok_or(DecodeError::Missing("shard"));
    shard
        .and_then(ShardKey::from_message)
        .map_err(|error| refused(&error))
}

fn indices_of(call: &v1::ShardStatesCall) -> Result<Vec<IndexUuid>, DecodeError> {
    let indices = call.indices.iter();
    let read = |index: &Bytes| sixteen(index, "ShardStatesCall.indices").map(IndexUuid);
    indices.map(read).collect()
}
