//! The leases that this node grants, to those who follow it.

use std::sync::Arc;

use gleaner_leases::{FollowFault, Grantor};
use tonic::{Request, Response, Status};

use super::life::Life;
use super::read;
use crate::wire::{Wire, v1};

/// Answers for the grantor.
pub(super) struct Service {
    grantor: Arc<dyn Grantor>,
    life: Life,
}

impl Service {
    pub(super) fn new(grantor: Arc<dyn Grantor>, life: Life) -> Self {
        Self { grantor, life }
    }
}

#[tonic::async_trait]
impl v1::leases_server::Leases for Service {
    async fn follow(
        &self,
        request: Request<v1::FollowCall>,
    ) -> Result<Response<v1::FollowAnswer>, Status> {
        let followed = self.grantor.follow(read(request)?);
        let answer = self.life.run(followed).await?;
        let answer = answer.map_err(|fault| match fault {
            FollowFault::Unreachable(reason) => Status::unavailable(reason),
            FollowFault::Refused(reason) => Status::resource_exhausted(reason),
        })?;
        Ok(Response::new(answer.to_message()))
    }
}
