//! Exit codes: what scripts may trust.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Success,
    /// Usage, connection, a file, the server: something stopped the command.
    Failure,
    /// The load went through, and some documents were refused for what they are, or some searches
    /// failed.
    Refused,
    /// Everything serves, and something has fewer copies than it should.
    Yellow,
    /// Something does not serve.
    Red,
    /// The user ended it; a checkpoint says how far it came.
    Interrupted,
}

/// The codes of `gleaner index`, for its help.
pub(crate) const OF_INDEX: &str = "\
Exit codes:
  0    every document is in
  1    the load stopped: usage, a file, the connection or the server
  3    the load went through, some documents were refused (see --dead-letter)
  130  interrupted; with --checkpoint the same command goes on from there";

/// The codes of `gleaner bench`, for its help.
pub(crate) const OF_BENCH: &str = "\
Exit codes:
  0    every request was sent and answered
  1    usage, a file, no server, a first query that is refused; or no request was answered
  3    the run went through, some requests failed or were dropped
  130  interrupted; the report is of what had been answered";

/// The codes of `gleaner cluster status`, for its help.
pub(crate) const OF_STATUS: &str = "\
Exit codes:
  0    green: every copy serves
  1    usage, or no root answered
  3    yellow: every shard serves, some have fewer copies than they should, or etcd is not well
  4    red: some shards do not serve";

impl Exit {
    /// Returns the number that the shell is told.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Refused | Self::Yellow => 3,
            Self::Red => 4,
            // 128 + SIGINT, as shells count it.
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
