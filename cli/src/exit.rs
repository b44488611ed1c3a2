//! Exit codes: what scripts may trust.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Success,
    /// Usage, connection, a file, the server: something stopped the command.
    Failure,
    /// The load went through, and some documents were refused for what they are.
    Refused,
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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Refused => 3,
            // 128 + SIGINT, as shells count it.
            Exit::Interrupted => 130,
        })
    }
}
