//! What copies agreed on, as a log keeps it.

use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::{append, batch, shard};
use crate::agreement::Agreement;
use crate::base::{LogBase, LogStart};
use crate::shard_log::ShardLog;

pub(super) async fn suite(log: &dyn ShardLog) {
    of_an_unknown_shard_nothing_is_kept(log, shard(50));
    an_agreement_never_falls(log, shard(51)).await;
    nothing_beyond_the_end_is_agreed(log, shard(52)).await;
    a_log_that_begins_agrees_up_to_there(log, shard(53)).await;
}

fn agreement(point: u64, entry_version: u64) -> Agreement {
    Agreement {
        point: SeqNo(point),
        entry_version,
    }
}

fn read(log: &dyn ShardLog, shard: ShardKey) -> Agreement {
    log.agreement(shard).expect("it can be read")
}

fn of_an_unknown_shard_nothing_is_kept(log: &dyn ShardLog, shard: ShardKey) {
    log.note_agreement(shard, agreement(3, 4));
    assert_eq!(read(log, shard), Agreement::default());
}

async fn an_agreement_never_falls(log: &dyn ShardLog, shard: ShardKey) {
    append(log, batch(shard, &["a", "b", "c"])).await;
    let noted = [(1, 7, 1, 7), (2, 3, 2, 7), (0, 9, 2, 9), (3, 9, 3, 9)];
    for (point, version, expected_point, expected_version) in noted {
        log.note_agreement(shard, agreement(point, version));
        assert_eq!(
            read(log, shard),
            agreement(expected_point, expected_version)
        );
    }
}

async fn nothing_beyond_the_end_is_agreed(log: &dyn ShardLog, shard: ShardKey) {
    log.fence(shard, PrimaryTerm(1)).await.expect("fence");
    log.note_agreement(shard, agreement(5, 1));
    assert_eq!(read(log, shard), agreement(0, 1));
    for end in 1..9 {
        append(log, batch(shard, &["x"])).await;
        assert_eq!(read(log, shard), agreement(end.min(5), 1));
    }
}

async fn a_log_that_begins_agrees_up_to_there(log: &dyn ShardLog, shard: ShardKey) {
    append(log, batch(shard, &["a", "b", "c"])).await;
    log.note_agreement(shard, agreement(3, 8));
    let begin = LogStart {
        at: SeqNo(2),
        fence: PrimaryTerm(1),
        base: LogBase::UNKNOWN,
    };
    log.begin_at(shard, begin).await.expect("begins");
    assert_eq!(read(log, shard), agreement(2, 8));
}
