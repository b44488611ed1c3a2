//! The messages that nodes send each other, by name: for who tries our readers with any bytes.
//!
//! Does: read a message as the border does, and write it again. Does not: call anybody. Read first: [`MESSAGE_KINDS`].

use bytes::Bytes;
use gleaner_leases::{FollowAnswer, FollowCall};
use gleaner_model::node_stats::NodeStats;
use gleaner_query::answer::{FetchedHits, ShardHits};
use prost::Message;

use super::Wire;
use crate::LeafFault;
use crate::node::{NodeInfo, Readiness};
use crate::postings::{LocateAnswer, LocateCall, PostingsAnswer, PostingsCall};
use crate::read::{Documents, GenerationsCall, GetCall, ShardState, ShownGeneration};
use crate::replicate::{FileCall, FollowerMessage, PrimaryMessage, Snapshot, SnapshotCall};
use crate::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, StatisticsAnswer, StatisticsCall,
};
use crate::write::{WriteAnswer, WriteCall};

/// A kind of message.
#[derive(Debug, Clone, Copy)]
pub struct MessageKind {
    /// Its name in the protocol.
    pub name: &'static str,
    /// Reads one, and writes what it says again; `None` for bytes that are refused.
    pub again: fn(Bytes) -> Option<Bytes>,
}

/// Those that a value of the domain stands for; all others are made of them.
pub const MESSAGE_KINDS: &[MessageKind] = &[
    kind::<StatisticsCall>("StatisticsCall"),
    kind::<ExpandCall>("ExpandCall"),
    kind::<SearchCall>("SearchCall"),
    kind::<PostingsCall>("PostingsCall"),
    kind::<LocateCall>("LocateCall"),
    kind::<FetchCall>("FetchCall"),
    kind::<ExplainCall>("ExplainCall"),
    kind::<OpenViewsCall>("OpenViewsCall"),
    kind::<WriteCall>("WriteCall"),
    kind::<GetCall>("GetCall"),
    kind::<GenerationsCall>("GenerationsCall"),
    kind::<SnapshotCall>("OpenSnapshotCall"),
    kind::<FileCall>("ReadFileCall"),
    kind::<Result<StatisticsAnswer, LeafFault>>("StatisticsAnswer"),
    kind::<Result<ExpandAnswer, LeafFault>>("ExpandAnswer"),
    kind::<Result<ShardHits, LeafFault>>("SearchAnswer"),
    kind::<Result<PostingsAnswer, LeafFault>>("PostingsAnswer"),
    kind::<Result<LocateAnswer, LeafFault>>("LocateAnswer"),
    kind::<Result<FetchedHits, LeafFault>>("FetchAnswer"),
    kind::<Result<ExplainAnswer, LeafFault>>("ExplainAnswer"),
    kind::<Result<PinnedView, LeafFault>>("OpenViewsAnswer"),
    kind::<Result<Documents, LeafFault>>("GetAnswer"),
    kind::<Result<ShownGeneration, LeafFault>>("GenerationAnswer"),
    kind::<Result<WriteAnswer, LeafFault>>("WriteAnswer"),
    kind::<Result<Snapshot, LeafFault>>("OpenSnapshotAnswer"),
    kind::<ShardState>("ShardState"),
    kind::<FollowerMessage>("FromFollower"),
    kind::<PrimaryMessage>("FromPrimary"),
    kind::<FollowCall>("FollowCall"),
    kind::<FollowAnswer>("FollowAnswer"),
    kind::<NodeInfo>("HelloAnswer"),
    kind::<Readiness>("HealthAnswer"),
    kind::<NodeStats>("NodeStats"),
];

const fn kind<D: Wire<Message: Message + Default>>(name: &'static str) -> MessageKind {
    MessageKind {
        name,
        again: again::<D>,
    }
}

fn again<D: Wire<Message: Message + Default>>(bytes: Bytes) -> Option<Bytes> {
    let message = D::Message::decode(bytes).ok()?;
    let value = D::from_message(message).ok()?;
    Some(value.to_message().encode_to_vec().into())
}
