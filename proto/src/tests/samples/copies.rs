//! A snapshot, and one of each message of copies that agree.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{CopyId, CopyMeta, Entry, HistoryId, NodeUuid, PrimaryTerm, Revision, SeqNo};
use gleaner_replication::{Batch, Beat, FromFollower, FromPrimary, Join, TermEnd};

use super::shard;
use crate::read::{CopyRecovery, RecoverySource, SegmentState};
use crate::replicate::{
    FollowerMessage, PrimaryMessage, Production, Snapshot, SnapshotBase, SnapshotFile,
};

pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        id: 77,
        next_seq_no: SeqNo(9),
        files: vec![SnapshotFile {
            name: "meta.json".to_owned(),
            num_bytes: 10,
            crc32c: 0xdead_beef,
        }],
        base: Some(SnapshotBase {
            term: PrimaryTerm(4),
            producers: vec![Production {
                id: u128::MAX - 3,
                sequence: 2,
                first: SeqNo(5),
                last: SeqNo(8),
            }],
        }),
    }
}

pub(crate) fn segment() -> SegmentState {
    SegmentState {
        num_documents: 1,
        num_deleted: 2,
        store_bytes: 4,
    }
}

pub(crate) fn recovery() -> CopyRecovery {
    CopyRecovery {
        source: RecoverySource::Peer,
        since: Duration::from_secs(8),
        took: Duration::from_millis(9),
        num_replayed: 10,
    }
}

/// One of each message of a follower.
pub(crate) fn follower_messages() -> Vec<FollowerMessage> {
    let term = PrimaryTerm(4);
    let join = Join {
        history: HistoryId([9; 16]),
        term,
        version: 9,
        end: SeqNo(7),
        last_term: PrimaryTerm(3),
        agreed: SeqNo(6),
        agreed_term: Some(PrimaryTerm(2)),
        visible: SeqNo(5),
    };
    let messages = [
        FromFollower::Join(join),
        FromFollower::Join(Join {
            history: HistoryId::FIRST,
            agreed_term: None,
            ..join
        }),
        FromFollower::Have {
            term,
            end: SeqNo(8),
            visible: SeqNo(6),
        },
        FromFollower::Leave { term },
        FromFollower::Beat(beat(None)),
    ];
    let said = messages.map(|message| FollowerMessage {
        shard: shard(1),
        from: CopyId([2; 16]),
        to: CopyId([1; 16]),
        message,
    });
    said.into()
}

fn beat(echo: Option<u64>) -> Beat {
    Beat {
        term: PrimaryTerm(4),
        number: 11,
        echo,
        gives_right: true,
    }
}

/// One of each message of a primary, with a batch of a payload of `num_bytes`.
pub(crate) fn primary_messages(num_bytes: usize) -> Vec<PrimaryMessage> {
    let (term, primary) = (PrimaryTerm(4), CopyId([1; 16]));
    let entry = Entry {
        version: 9,
        term,
        forced: Vec::new(),
        history: HistoryId::FIRST,
        primary,
        in_sync: [primary].into(),
        copies: [(primary, CopyMeta::on(NodeUuid([3; 16])))].into(),
        other: serde_json::Map::new(),
    };
    let at = TermEnd {
        term: PrimaryTerm(3),
        end: SeqNo(5),
    };
    let messages = [
        FromPrimary::Accept { term },
        FromPrimary::Diverged { term, at },
        FromPrimary::Trimmed {
            term,
            first: SeqNo(3),
        },
        FromPrimary::Refused {
            fence: PrimaryTerm(5),
            version: 10,
        },
        FromPrimary::Batches {
            history: HistoryId([9; 16]),
            term,
            agreed: SeqNo(7),
            batches: vec![Batch {
                term: PrimaryTerm(3),
                first: SeqNo(7),
                next: SeqNo(9),
                payload: vec![7; num_bytes].into(),
            }],
        },
        FromPrimary::Agreed {
            term,
            agreed: SeqNo(8),
            keep_from: SeqNo(2),
        },
        FromPrimary::Beat(beat(Some(3))),
        FromPrimary::TakeOver {
            entry: Arc::new(entry),
            revision: Revision(77),
        },
    ];
    let said = messages.map(|message| PrimaryMessage {
        shard: shard(1),
        from: primary,
        to: CopyId([2; 16]),
        message,
    });
    said.into()
}
