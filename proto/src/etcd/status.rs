//! What each member of an etcd says of itself: whether it knows a leader, and how full its database is.

use std::time::Duration;

use futures::future::join_all;
use tonic::Request;

use super::wire::etcdserverpb::maintenance_client::MaintenanceClient;
use super::wire::etcdserverpb::{StatusRequest, StatusResponse};
use super::{Client, Fault};

/// How a member's alarms are told among what is wrong with it.
const ALARM: &str = "alarm:";

/// What one member answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAnswer {
    /// `host:port` at which it was called.
    pub address: String,
    /// What it says. [`Fault::Refused`] is the answer of a member that does not tell this process.
    pub status: Result<MemberStatus, Fault>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Whether it knows a leader. One that was cut off a moment ago may still name the last one.
    pub has_leader: bool,
    /// Its database.
    pub database: Database,
    /// The alarms that are set, of any member, such as `NOSPACE`; each once.
    pub alarms: Vec<String>,
}

/// The database of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database {
    /// Bytes of its file: what etcd compares with the quota.
    pub num_bytes: u64,
    /// Bytes in it that hold something. The rest is used again before the file grows; a defragmentation gives it back.
    pub num_bytes_in_use: u64,
    /// The quota in bytes; `None` from a member before etcd 3.6, which does not tell.
    pub quota: Option<u64>,
}

impl MemberAnswer {
    /// Does the member run?
    pub fn is_answered(&self) -> bool {
        is_answered(&self.status)
    }
}

/// Returns whether a member has said something, if only that it does not tell.
pub(super) fn is_answered<T>(status: &Result<T, Fault>) -> bool {
    matches!(status, Ok(_) | Err(Fault::Refused { .. }))
}

impl Client {
    /// Asks all members at once what they say of themselves, in the order of their addresses, each for `patience` at
    /// most. A member answers from its memory, without the others and without a leader.
    pub async fn statuses(&self, patience: Duration) -> Vec<MemberAnswer> {
        let asked = (0..self.members.num()).map(|number| async move {
            let status = self.members.status(number, patience).await;
            MemberAnswer {
                address: self.members.address(number).to_owned(),
                status: status.map(read),
            }
        });
        join_all(asked).await
    }
}

impl super::members::Members {
    /// Asks one member.
    pub(super) async fn status(
        &self,
        number: usize,
        patience: Duration,
    ) -> Result<StatusResponse, Fault> {
        let mut stub = MaintenanceClient::new(self.channel(number));
        // Not one that asks for a leader: that there is none is what is to be known.
        let call = stub.status(Request::new(StatusRequest {}));
        match tokio::time::timeout(patience, call).await {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                self.note_term(answer.raft_term);
                Ok(answer)
            }
            Ok(Err(status)) => Err(Fault::of(&status)),
            Err(_elapsed) => Err(Fault::late()),
        }
    }
}

fn read(answer: StatusResponse) -> MemberStatus {
    let StatusResponse {
        header: _,
        version: _,
        db_size,
        leader,
        errors,
        raft_term: _,
        db_size_in_use,
        db_size_quota,
    } = answer;
    let bytes = |number: i64| u64::try_from(number).unwrap_or_default();
    let alarm = |error: &String| {
        let (_, alarm) = error.split_once(ALARM)?;
        Some(alarm.trim().to_owned())
    };
    let mut alarms: Vec<String> = errors.iter().filter_map(alarm).collect();
    alarms.sort();
    alarms.dedup();
    MemberStatus {
        has_leader: leader != 0,
        database: Database {
            num_bytes: bytes(db_size),
            num_bytes_in_use: bytes(db_size_in_use),
            quota: Some(bytes(db_size_quota)).filter(|quota| *quota > 0),
        },
        alarms,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// Bytes as etcd's own messages have them.
    #[test]
    fn a_status_is_read_by_the_numbers_of_etcd() {
        let told = b"\x12\x03\x33.4\x18\x80\x20\x20\x07\x38\x09\
            \x42\x1ememberID:7 alarm:NOSPACE      \x42\x18memberID:8 alarm:NOSPACE\
            \x42\x15etcdserver: no leader\x48\x80\x10\x60\x80\x40";
        let answer = StatusResponse::decode(&told[..]).expect("a status");
        let status = read(answer);
        let wanted = MemberStatus {
            has_leader: true,
            database: Database {
                num_bytes: 4_096,
                num_bytes_in_use: 2_048,
                quota: Some(8_192),
            },
            alarms: vec!["NOSPACE".to_owned()],
        };
        assert_eq!(status, wanted);
        let silent = read(StatusResponse::default());
        assert_eq!((silent.has_leader, silent.database.quota), (false, None));
    }
}
