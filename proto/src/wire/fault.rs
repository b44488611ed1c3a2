//! Faults of leaves.

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::field::{known, one, size};
use super::v1::leaf_fault as fault;
use super::v1::leaf_fault::Kind;
use super::{DecodeError, Wire, v1};
use crate::LeafFault;

impl Wire for LeafFault {
    type Message = v1::LeafFault;

    fn to_message(&self) -> v1::LeafFault {
        v1::LeafFault {
            kind: Some(kind_message(self)),
        }
    }

    /// A fault of a kind that only a newer leaf knows is a fault all the same.
    fn from_message(message: v1::LeafFault) -> Result<Self, DecodeError> {
        match known(message.kind, "LeafFault") {
            Ok(kind) => kind_of(kind),
            Err(unknown) => Ok(Self::Unsupported {
                what: unknown.to_string(),
            }),
        }
    }
}

fn kind_message(fault: &LeafFault) -> Kind {
    match fault {
        LeafFault::NotHere { shard } => Kind::NotHere(shard.to_message()),
        LeafFault::Unreachable { shard, reason } => {
            Kind::Unreachable(reason_message(shard, reason))
        }
        LeafFault::Behind {
            shard,
            wanted,
            visible,
        } => Kind::Behind(fault::Behind {
            shard: Some(shard.to_message()),
            wanted: wanted.0,
            visible: visible.0,
        }),
        LeafFault::Recovering { shard, progress } => {
            Kind::Recovering(reason_message(shard, progress))
        }
        LeafFault::NotAgreed { shard, reason } => Kind::NotAgreed(reason_message(shard, reason)),
        LeafFault::Stopped { shard, reason } => Kind::Stopped(reason_message(shard, reason)),
        LeafFault::DeadlinePassed { shard } => Kind::DeadlinePassed(shard.to_message()),
        LeafFault::Rejected { queue, capacity } => Kind::Rejected(fault::Rejected {
            queue: queue.to_string(),
            capacity: *capacity as u64,
        }),
        LeafFault::Memory {
            account,
            wanted_bytes,
            limit_bytes,
        } => Kind::Memory(fault::Memory {
            account: account.to_string(),
            wanted_bytes: *wanted_bytes,
            limit_bytes: *limit_bytes,
        }),
        LeafFault::ViewMissing { shard, view } => Kind::ViewMissing(fault::ViewMissing {
            shard: Some(shard.to_message()),
            view: *view,
        }),
        LeafFault::Fenced {
            shard,
            current,
            asked,
        } => Kind::Fenced(fault::Fenced {
            shard: Some(shard.to_message()),
            current: current.0,
            asked: asked.0,
        }),
        LeafFault::BadQuery { kind, reason } => Kind::BadQuery(fault::BadQuery {
            kind: kind.to_string(),
            reason: reason.clone(),
        }),
        LeafFault::DiskFull { shard } => Kind::DiskFull(shard.to_message()),
        LeafFault::Indeterminate { shard, reason } => {
            Kind::Indeterminate(reason_message(shard, reason))
        }
        LeafFault::Internal { shard, reason } => Kind::Internal(reason_message(shard, reason)),
        LeafFault::Unsupported { what } => Kind::Unsupported(what.clone()),
        LeafFault::TooLarge { reason } => Kind::TooLarge(reason.clone()),
    }
}

fn kind_of(kind: Kind) -> Result<LeafFault, DecodeError> {
    Ok(match kind {
        Kind::NotHere(shard) => LeafFault::NotHere {
            shard: ShardKey::from_message(shard)?,
        },
        Kind::Unreachable(message) => {
            let (shard, reason) = shard_and_reason(message)?;
            LeafFault::Unreachable { shard, reason }
        }
        Kind::Behind(fault::Behind {
            shard,
            wanted,
            visible,
        }) => LeafFault::Behind {
            shard: one(shard, "Behind.shard")?,
            wanted: SeqNo(wanted),
            visible: SeqNo(visible),
        },
        Kind::Recovering(message) => {
            let (shard, progress) = shard_and_reason(message)?;
            LeafFault::Recovering { shard, progress }
        }
        Kind::NotAgreed(message) => {
            let (shard, reason) = shard_and_reason(message)?;
            LeafFault::NotAgreed { shard, reason }
        }
        Kind::Stopped(message) => {
            let (shard, reason) = shard_and_reason(message)?;
            LeafFault::Stopped { shard, reason }
        }
        Kind::DeadlinePassed(shard) => LeafFault::DeadlinePassed {
            shard: ShardKey::from_message(shard)?,
        },
        Kind::Rejected(fault::Rejected { queue, capacity }) => LeafFault::Rejected {
            queue: queue.into(),
            capacity: size(capacity, "Rejected.capacity")?,
        },
        Kind::Memory(fault::Memory {
            account,
            wanted_bytes,
            limit_bytes,
        }) => LeafFault::Memory {
            account: account.into(),
            wanted_bytes,
            limit_bytes,
        },
        Kind::ViewMissing(fault::ViewMissing { shard, view }) => LeafFault::ViewMissing {
            shard: one(shard, "ViewMissing.shard")?,
            view,
        },
        Kind::Fenced(fault::Fenced {
            shard,
            current,
            asked,
        }) => LeafFault::Fenced {
            shard: one(shard, "Fenced.shard")?,
            current: PrimaryTerm(current),
            asked: PrimaryTerm(asked),
        },
        Kind::BadQuery(fault::BadQuery { kind, reason }) => LeafFault::BadQuery {
            kind: kind.into(),
            reason,
        },
        Kind::DiskFull(shard) => LeafFault::DiskFull {
            shard: ShardKey::from_message(shard)?,
        },
        Kind::Indeterminate(message) => {
            let (shard, reason) = shard_and_reason(message)?;
            LeafFault::Indeterminate { shard, reason }
        }
        Kind::Internal(message) => {
            let (shard, reason) = shard_and_reason(message)?;
            LeafFault::Internal { shard, reason }
        }
        Kind::Unsupported(what) => LeafFault::Unsupported { what },
        Kind::TooLarge(reason) => LeafFault::TooLarge { reason },
    })
}

fn reason_message(shard: &ShardKey, reason: &str) -> fault::Reason {
    fault::Reason {
        shard: Some(shard.to_message()),
        reason: reason.to_owned(),
    }
}

fn shard_and_reason(message: fault::Reason) -> Result<(ShardKey, String), DecodeError> {
    let fault::Reason { shard, reason } = message;
    Ok((one(shard, "LeafFault.shard")?, reason))
}
