//! What a node says about itself.

use gleaner_model::{NodeId, Role};

use super::field::{known, member};
use super::{DecodeError, Wire, v1};
use crate::node::{NodeInfo, Readiness};
use crate::version::Versions;

impl Wire for NodeInfo {
    type Message = v1::HelloAnswer;

    fn to_message(&self) -> v1::HelloAnswer {
        let Self {
            id,
            role,
            build_version,
            wire,
        } = self;
        let role = match role {
            Role::Leaf => v1::Role::Leaf,
            Role::Root => v1::Role::Root,
        };
        v1::HelloAnswer {
            id: id.to_string(),
            role: role as i32,
            build_version: build_version.clone(),
            wire_min: wire.min,
            wire_max: wire.max,
        }
    }

    fn from_message(message: v1::HelloAnswer) -> Result<Self, DecodeError> {
        let v1::HelloAnswer {
            id,
            role,
            build_version,
            wire_min,
            wire_max,
        } = message;
        let role = match member(role, "Role")? {
            v1::Role::Unspecified => return Err(DecodeError::Missing("Role")),
            v1::Role::Leaf => Role::Leaf,
            v1::Role::Root => Role::Root,
        };
        let wire = Versions {
            min: wire_min,
            max: wire_max,
        };
        Ok(Self {
            id: NodeId(id.into()),
            role,
            build_version,
            wire,
        })
    }
}

impl Wire for Readiness {
    type Message = v1::HealthAnswer;

    fn to_message(&self) -> v1::HealthAnswer {
        use v1::health_answer::Readiness as Kind;
        let readiness = match self {
            Self::Ready => Kind::Ready(v1::Unit {}),
            Self::NotReady { reason } => Kind::NotReady(reason.clone()),
        };
        v1::HealthAnswer {
            readiness: Some(readiness),
        }
    }

    fn from_message(message: v1::HealthAnswer) -> Result<Self, DecodeError> {
        use v1::health_answer::Readiness as Kind;
        Ok(match known(message.readiness, "HealthAnswer")? {
            Kind::Ready(v1::Unit {}) => Self::Ready,
            Kind::NotReady(reason) => Self::NotReady { reason },
        })
    }
}
