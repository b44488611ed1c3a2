//! How etcd does, as one process sees it: whether it answers with a majority, and how full its database is.
//!
//! ```text
//! followed, and heard of within 7 s ──▶ connected, without a call
//! else ── a linearizable read ──▶ connected, or not and why
//! every 10 s, every second while it is not connected, and when a call fails ──▶ each member says how it is
//! ```
//!
//! A member that has lost its leader ends the watch within 4 s, and a watch that is silent ends after 10 s: that a watch lives
//! shows a majority, some seconds late. What a member says of itself costs it no disk and no other member.
//!
//! Does: find [`StoreProblem`]s and say what to do. Does not: change anything in etcd. Called by the coordinator.

use std::sync::Arc;
use std::time::Duration;

use gleaner_coordinator::StoreProblem;
use gleaner_model::metric;
use gleaner_proto::etcd::{Client, Fault, MemberAnswer, MemberStatus, Range};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};

use crate::keys::Keys;
use crate::mirror::Mirror;

/// How often it is looked whether the watch lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A watch that lives is heard of so often: it is asked for a word every 5 s, and that is noted every second.
const HEARD_WITHIN: Duration = Duration::from_secs(7);

/// How often members are asked how they are while all is well.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long a read may take that shows a majority; an election fits in.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// How long a member may take to say how it is.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that the database of a member may have that does not tell: the default of etcd's `--quota-backend-bytes`.
pub const DEFAULT_QUOTA: u64 = 2 << 30;

/// From this share of its quota on, in percent, a database is nearly full.
const NEARLY_FULL: u64 = 75;

/// The alarm of a database that has reached its quota. It stays set until a person takes it back.
const NO_SPACE: &str = "NOSPACE";

/// What to do about a database that is full.
const ADVICE: &str = "compact and defragment it, see docs/operating.md";

/// What is known of etcd.
pub(crate) struct Vitals {
    client: Client,
    keys: Keys,
    mirror: Arc<Mirror>,
    /// Of members that do not tell theirs.
    quota: u64,
    known: Mutex<Known>,
    /// Held by the one that asks.
    asking: tokio::sync::Mutex<()>,
}

/// Why etcd is asked how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It is time: a watch that lives shows a majority.
    Routine,
    /// A call has failed just now, whatever the watch shows.
    Failure,
}

/// What etcd said last.
struct Known {
    /// Why no read was answered; `None` where etcd is followed or one was.
    unread: Option<Fault>,
    members: Vec<MemberAnswer>,
    /// When and why it was asked; `None`: never.
    asked: Option<(Instant, Occasion)>,
}

impl Vitals {
    pub(crate) fn new(client: Client, keys: Keys, mirror: Arc<Mirror>, quota: u64) -> Self {
        Self {
            client,
            keys,
            mirror,
            quota,
            known: Mutex::new(Known {
                unread: None,
                members: Vec::new(),
                asked: None,
            }),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// Looks for ever.
    pub(crate) async fn watch_over(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let is_due = {
                let known = self.known.lock();
                let asked = known.asked;
                let is_old = asked.is_none_or(|(asked, _)| asked.elapsed() >= ASK_EVERY);
                is_old || known.unread.is_some()
            };
            if is_due || !self.is_followed() {
                self.ask(Occasion::Routine).await;
            }
            let age = self.mirror.unheard_for().as_secs_f64();
            metrics::gauge!(metric::STATE_AGE_SECONDS.name).set(age);
        }
    }

    fn is_followed(&self) -> bool {
        self.mirror.is_followed() && self.mirror.unheard_for() < HEARD_WITHIN
    }

    /// Asks etcd how it is. Who comes while another one asks takes that answer, where it was asked for after the same
    /// failure.
    async fn ask(&self, occasion: Occasion) {
        let come = Instant::now();
        let _asking = self.asking.lock().await;
        let is_answered = self.known.lock().asked.is_some_and(|(asked, why)| {
            asked >= come && (why == Occasion::Failure || occasion == Occasion::Routine)
        });
        if is_answered {
            return;
        }
        let asked = Instant::now();
        let read = async {
            match occasion == Occasion::Routine && self.is_followed() {
                true => Ok(()),
                false => self.read().await,
            }
        };
        let (read, members) = tokio::join!(read, self.client.statuses(STATUS_PATIENCE));
        let known = Known {
            unread: read.err(),
            members,
            asked: Some((asked, occasion)),
        };
        record(&known, self.quota);
        let was = std::mem::replace(&mut *self.known.lock(), known);
        self.tell(&was);
    }

    /// Reads a small key, which a majority must confirm.
    async fn read(&self) -> Result<(), Fault> {
        let client = self.client.with_patience(READ_PATIENCE);
        client.range(Range::key(&self.keys.cluster())).await?;
        Ok(())
    }

    /// Says what has changed.
    fn tell(&self, was: &Known) {
        let (before, now) = (was.problems(self.quota), self.problems());
        for problem in now.iter().filter(|problem| !has_kind(&before, problem)) {
            tracing::warn!(reason = problem.reason(), "etcd is not well");
        }
        if now.is_empty() && !before.is_empty() {
            tracing::info!("etcd is well again");
        }
        for MemberAnswer { address, status } in &self.known.lock().members {
            if let Err(Fault::Refused { reason }) = status {
                tracing::debug!(
                    member = address,
                    reason,
                    "how full the database of etcd is is not known: a member does not tell this process"
                );
            }
        }
    }

    /// Returns what is wrong, worst first.
    pub(crate) fn problems(&self) -> Vec<StoreProblem> {
        self.known.lock().problems(self.quota)
    }

    /// Asks anew why a call failed; returns the problem of the kind that `is_cause` says.
    pub(crate) async fn cause(&self, is_cause: fn(&StoreProblem) -> bool) -> Option<String> {
        self.ask(Occasion::Failure).await;
        let found = self.problems().into_iter().find(is_cause);
        found.map(|problem| problem.reason().to_owned())
    }
}

fn has_kind(problems: &[StoreProblem], wanted: &StoreProblem) -> bool {
    let kind = std::mem::discriminant(wanted);
    problems
        .iter()
        .any(|problem| std::mem::discriminant(problem) == kind)
}

/// Sets the gauges.
fn record(known: &Known, quota: u64) {
    let is_connected = known.unread.is_none();
    metrics::gauge!(metric::ETCD_CONNECTED.name).set(f64::from(u8::from(is_connected)));
    for member in &known.members {
        let Ok(MemberStatus { database, .. }) = &member.status else {
            continue;
        };
        let label = [("member", member.address.clone())];
        let quota = database.quota.unwrap_or(quota);
        metrics::gauge!(metric::ETCD_DATABASE_BYTES.name, &label).set(database.num_bytes as f64);
        metrics::gauge!(metric::ETCD_QUOTA_BYTES.name, &label).set(quota as f64);
    }
    let alarms = known.statuses().map(|(_, status)| status.alarms.len());
    metrics::gauge!(metric::ETCD_ALARMS.name).set(alarms.max().unwrap_or(0) as f64);
}

impl Known {
    fn statuses(&self) -> impl Iterator<Item = (&str, &MemberStatus)> {
        let told = self.members.iter();
        told.filter_map(|member| Some((member.address.as_str(), member.status.as_ref().ok()?)))
    }

    fn problems(&self, quota: u64) -> Vec<StoreProblem> {
        let unavailable = self.unread.as_ref().map(|fault| self.unavailability(fault));
        let unavailable = unavailable.map(StoreProblem::Unavailable);
        unavailable
            .into_iter()
            .chain(self.fullness(quota))
            .collect()
    }

    /// Returns why no read is answered.
    fn unavailability(&self, fault: &Fault) -> String {
        let num = self.members.len();
        let answered = self.members.iter().filter(|member| member.is_answered());
        let num_answered = answered.count();
        let has_leader = self.statuses().any(|(_, status)| status.has_leader);
        let answer = if num_answered == 1 {
            "answers"
        } else {
            "answer"
        };
        match num_answered {
            0 => format!("no member of etcd answers (0 of {num})"),
            few if few * 2 <= num => {
                format!("etcd has no majority ({few} of {num} members {answer})")
            }
            most if !has_leader => {
                format!("etcd has no leader ({most} of {num} members {answer})")
            }
            _ => format!("etcd answers no reads: {fault}"),
        }
    }

    /// Returns that the database is full, or nearly so, by the member that is the fullest.
    fn fullness(&self, quota: u64) -> Option<StoreProblem> {
        let fills = self.statuses().map(|(address, status)| Fill {
            num_bytes: status.database.num_bytes,
            quota: status.database.quota.unwrap_or(quota).max(1),
            address,
        });
        let fullest = fills.max_by_key(Fill::percent)?;
        let (percent, address) = (fullest.percent(), fullest.address);
        let (size, limit) = (in_mib(fullest.num_bytes), in_mib(fullest.quota));
        let is_full = self
            .statuses()
            .any(|(_, status)| status.alarms.iter().any(|alarm| alarm == NO_SPACE));
        let is_nearly_full = percent >= NEARLY_FULL;
        match (is_full, is_nearly_full) {
            (true, true) => Some(StoreProblem::OutOfQuota(format!(
                "etcd is out of its quota ({size} of {limit} MiB at {address}): {ADVICE}"
            ))),
            (true, false) => Some(StoreProblem::OutOfQuota(format!(
                "etcd is out of its quota by its alarm, though its database seems to have room ({size} of {limit} MiB): end the \
                 alarm with `etcdctl alarm disarm`, see docs/operating.md"
            ))),
            (false, true) => Some(StoreProblem::NearQuota(format!(
                "the database of etcd takes {percent} % of its quota ({size} of {limit} MiB at {address}): {ADVICE}"
            ))),
            (false, false) => None,
        }
    }
}

/// How full the database of a member is.
struct Fill<'a> {
    address: &'a str,
    num_bytes: u64,
    quota: u64,
}

impl Fill<'_> {
    fn percent(&self) -> u64 {
        self.num_bytes.saturating_mul(100) / self.quota
    }
}

/// Writes bytes in MiB, with one digit behind the point where that is not 0.
fn in_mib(num_bytes: u64) -> String {
    let tenths = num_bytes.saturating_mul(10) >> 20;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use gleaner_proto::etcd::Database;

    use super::*;

    const QUOTA: u64 = 4 << 20;

    fn answer(has_leader: bool, num_bytes: u64, alarms: &[&str]) -> MemberAnswer {
        MemberAnswer {
            address: "a:1".to_owned(),
            status: Ok(MemberStatus {
                has_leader,
                database: Database {
                    num_bytes,
                    num_bytes_in_use: 0,
                    quota: None,
                },
                alarms: alarms.iter().map(|alarm| (*alarm).to_owned()).collect(),
            }),
        }
    }

    fn silent() -> MemberAnswer {
        MemberAnswer {
            address: "b:1".to_owned(),
            status: Err(Fault::Unreachable {
                reason: "refused".to_owned(),
            }),
        }
    }

    fn known(unread: bool, members: Vec<MemberAnswer>) -> Known {
        let reason = "no answer in time".to_owned();
        Known {
            unread: unread.then_some(Fault::Unknown { reason }),
            members,
            asked: None,
        }
    }

    #[test]
    fn it_is_told_why_no_read_is_answered() {
        let well = || answer(true, 0, &[]);
        let leaderless = || answer(false, 0, &[]);
        let cases = [
            (
                vec![silent(), silent(), silent()],
                "no member of etcd answers (0 of 3)",
            ),
            // One that was cut off a moment ago names its last leader still.
            (
                vec![well(), silent(), silent()],
                "etcd has no majority (1 of 3 members answers)",
            ),
            (
                vec![leaderless(), silent(), silent()],
                "etcd has no majority (1 of 3 members answers)",
            ),
            (
                vec![leaderless(), leaderless(), silent()],
                "etcd has no leader (2 of 3 members answer)",
            ),
            (
                vec![well(), well(), silent()],
                "etcd answers no reads: etcd has not answered",
            ),
        ];
        for (members, expected) in cases {
            let problems = known(true, members).problems(QUOTA);
            let [StoreProblem::Unavailable(reason)] = &*problems else {
                panic!("{problems:?}");
            };
            assert!(reason.starts_with(expected), "{reason}");
        }
        let lost_one = known(false, vec![well(), well(), silent()]);
        assert_eq!(lost_one.problems(QUOTA), [], "the majority answers");
    }

    #[test]
    fn a_database_is_told_of_when_it_is_nearly_full_and_until_its_alarm_is_over() {
        let told = |num_bytes, alarms: &[&str]| {
            let members = vec![answer(true, 0, &[]), answer(true, num_bytes, alarms)];
            let problems = known(false, members).problems(QUOTA);
            let told = problems.into_iter().next();
            told.map(|problem| (problem.prevents_changes(), problem.to_string()))
        };
        assert_eq!(told((3 << 20) - 1_000_000, &[]), None);
        let (prevents, reason) = told(3 << 20, &[]).expect("it is nearly full");
        assert!(
            !prevents && reason.contains("75 % of its quota (3 of 4 MiB at a:1)"),
            "{reason}"
        );
        let (prevents, reason) = told((4 << 20) + 110_000, &[NO_SPACE]).expect("it is full");
        let wanted = "etcd is out of its quota (4.1 of 4 MiB at a:1): compact and defragment it, see docs/operating.md";
        assert!(prevents && reason == wanted, "{reason}");
        let (prevents, reason) = told(100, &[NO_SPACE]).expect("its alarm is set");
        assert!(
            prevents && reason.contains("`etcdctl alarm disarm`"),
            "{reason}"
        );
        let mut newer = answer(true, 3 << 20, &[]);
        let status = newer.status.as_mut().expect("it answers");
        status.database.quota = Some(8 << 20);
        assert_eq!(
            known(false, vec![newer]).problems(QUOTA),
            [],
            "it tells its quota itself"
        );
    }
}
