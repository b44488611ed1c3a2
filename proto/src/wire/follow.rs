//! Messages of copies that agree.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::{CopyId, Entry, PrimaryTerm, Revision, SeqNo};
use gleaner_replication::{Batch, Beat, FromFollower, FromPrimary, Join, TermEnd};

use super::field::{all, known, messages, one};
use super::ids::{history, history_bytes, sixteen};
use super::v1::follower_message::Content as FollowerContent;
use super::v1::primary_message::Content as PrimaryContent;
use super::{DecodeError, Wire, v1};
use crate::replicate::{FollowerMessage, PrimaryMessage};

impl Wire for FollowerMessage {
    type Message = v1::FollowerMessage;

    fn to_message(&self) -> v1::FollowerMessage {
        let Self {
            shard,
            from,
            to,
            message,
        } = self;
        let content = match message {
            FromFollower::Join(join) => FollowerContent::Join(join.to_message()),
            FromFollower::Have { term, end, visible } => FollowerContent::Have(v1::Have {
                term: term.0,
                end: end.0,
                visible: visible.0,
            }),
            FromFollower::Leave { term } => FollowerContent::LeaveTerm(term.0),
            FromFollower::Beat(beat) => FollowerContent::Beat(beat.to_message()),
        };
        v1::FollowerMessage {
            shard: Some(shard.to_message()),
            from: copy_bytes(*from),
            content: Some(content),
            to: copy_bytes(*to),
        }
    }

    fn from_message(message: v1::FollowerMessage) -> Result<Self, DecodeError> {
        let v1::FollowerMessage {
            shard,
            from,
            content,
            to,
        } = message;
        let message = match known(content, "FollowerMessage.content")? {
            FollowerContent::Join(join) => FromFollower::Join(Join::from_message(join)?),
            FollowerContent::Have(v1::Have { term, end, visible }) => FromFollower::Have {
                term: PrimaryTerm(term),
                end: SeqNo(end),
                visible: SeqNo(visible),
            },
            FollowerContent::LeaveTerm(term) => FromFollower::Leave {
                term: PrimaryTerm(term),
            },
            FollowerContent::Beat(beat) => FromFollower::Beat(Beat::from_message(beat)?),
        };
        Ok(Self {
            shard: one(shard, "FollowerMessage.shard")?,
            from: copy(&from, "FollowerMessage.from")?,
            to: copy(&to, "FollowerMessage.to")?,
            message,
        })
    }
}

impl Wire for Join {
    type Message = v1::Join;

    fn to_message(&self) -> v1::Join {
        let Self {
            history,
            term,
            version,
            end,
            last_term,
            agreed,
            agreed_term,
            visible,
        } = *self;
        v1::Join {
            term: term.0,
            version,
            end: end.0,
            last_term: last_term.0,
            agreed: agreed.0,
            agreed_term: agreed_term.map(|term| term.0),
            visible: visible.0,
            history: history_bytes(history),
        }
    }

    fn from_message(message: v1::Join) -> Result<Self, DecodeError> {
        let v1::Join {
            term,
            version,
            end,
            last_term,
            agreed,
            agreed_term,
            visible,
            history: named,
        } = message;
        Ok(Self {
            history: history(&named, "Join.history")?,
            term: PrimaryTerm(term),
            version,
            end: SeqNo(end),
            last_term: PrimaryTerm(last_term),
            agreed: SeqNo(agreed),
            agreed_term: agreed_term.map(PrimaryTerm),
            visible: SeqNo(visible),
        })
    }
}

impl Wire for Beat {
    type Message = v1::Beat;

    fn to_message(&self) -> v1::Beat {
        let Self {
            term,
            number,
            echo,
            gives_right,
        } = *self;
        v1::Beat {
            term: term.0,
            number,
            echo,
            gives_right,
        }
    }

    fn from_message(message: v1::Beat) -> Result<Self, DecodeError> {
        let v1::Beat {
            term,
            number,
            echo,
            gives_right,
        } = message;
        Ok(Self {
            term: PrimaryTerm(term),
            number,
            echo,
            gives_right,
        })
    }
}

impl Wire for PrimaryMessage {
    type Message = v1::PrimaryMessage;

    fn to_message(&self) -> v1::PrimaryMessage {
        let Self {
            shard,
            from,
            to,
            message,
        } = self;
        v1::PrimaryMessage {
            shard: Some(shard.to_message()),
            from: copy_bytes(*from),
            to: copy_bytes(*to),
            content: Some(content_of(message)),
        }
    }

    fn from_message(message: v1::PrimaryMessage) -> Result<Self, DecodeError> {
        let v1::PrimaryMessage {
            shard,
            from,
            to,
            content,
        } = message;
        Ok(Self {
            shard: one(shard, "PrimaryMessage.shard")?,
            from: copy(&from, "PrimaryMessage.from")?,
            to: copy(&to, "PrimaryMessage.to")?,
            message: message_of(known(content, "PrimaryMessage.content")?)?,
        })
    }
}

fn content_of(message: &FromPrimary) -> PrimaryContent {
    match message {
        FromPrimary::Accept { term } => PrimaryContent::AcceptTerm(term.0),
        FromPrimary::Diverged { term, at } => PrimaryContent::Diverged(v1::Diverged {
            term: term.0,
            at_term: at.term.0,
            at_end: at.end.0,
        }),
        FromPrimary::Trimmed { term, first } => PrimaryContent::Trimmed(v1::Trimmed {
            term: term.0,
            first: first.0,
        }),
        FromPrimary::Refused { fence, version } => PrimaryContent::Refused(v1::Refused {
            fence: fence.0,
            version: *version,
        }),
        FromPrimary::Batches {
            history,
            term,
            agreed,
            batches,
        } => PrimaryContent::Batches(v1::Batches {
            term: term.0,
            agreed: agreed.0,
            batches: messages(batches),
            history: history_bytes(*history),
        }),
        FromPrimary::Agreed {
            term,
            agreed,
            keep_from,
        } => PrimaryContent::Agreed(v1::Agreed {
            term: term.0,
            agreed: agreed.0,
            keep_from: keep_from.0,
        }),
        FromPrimary::Beat(beat) => PrimaryContent::Beat(beat.to_message()),
        FromPrimary::TakeOver { entry, revision } => PrimaryContent::TakeOver(v1::TakeOver {
            entry: entry.to_json().into(),
            revision: revision.0,
        }),
    }
}

fn message_of(content: PrimaryContent) -> Result<FromPrimary, DecodeError> {
    Ok(match content {
        PrimaryContent::AcceptTerm(term) => FromPrimary::Accept {
            term: PrimaryTerm(term),
        },
        PrimaryContent::Diverged(v1::Diverged {
            term,
            at_term,
            at_end,
        }) => FromPrimary::Diverged {
            term: PrimaryTerm(term),
            at: TermEnd {
                term: PrimaryTerm(at_term),
                end: SeqNo(at_end),
            },
        },
        PrimaryContent::Trimmed(v1::Trimmed { term, first }) => FromPrimary::Trimmed {
            term: PrimaryTerm(term),
            first: SeqNo(first),
        },
        PrimaryContent::Refused(v1::Refused { fence, version }) => FromPrimary::Refused {
            fence: PrimaryTerm(fence),
            version,
        },
        PrimaryContent::Batches(v1::Batches {
            term,
            agreed,
            batches,
            history: named,
        }) => FromPrimary::Batches {
            history: history(&named, "Batches.history")?,
            term: PrimaryTerm(term),
            agreed: SeqNo(agreed),
            batches: all(batches)?,
        },
        PrimaryContent::Agreed(v1::Agreed {
            term,
            agreed,
            keep_from,
        }) => FromPrimary::Agreed {
            term: PrimaryTerm(term),
            agreed: SeqNo(agreed),
            keep_from: SeqNo(keep_from),
        },
        PrimaryContent::Beat(beat) => FromPrimary::Beat(Beat::from_message(beat)?),
        PrimaryContent::TakeOver(v1::TakeOver { entry, revision }) => {
            let entry = Entry::from_json(&entry)
                .map_err(|error| DecodeError::field("TakeOver.entry", error.to_string()))?;
            FromPrimary::TakeOver {
                entry: Arc::new(entry),
                revision: Revision(revision),
            }
        }
    })
}

impl Wire for Batch {
    type Message = v1::RecordBatch;

    fn to_message(&self) -> v1::RecordBatch {
        let Self {
            term,
            first,
            next,
            payload,
        } = self;
        v1::RecordBatch {
            term: term.0,
            first: first.0,
            next: next.0,
            payload: payload.clone(),
        }
    }

    fn from_message(message: v1::RecordBatch) -> Result<Self, DecodeError> {
        let v1::RecordBatch {
            term,
            first,
            next,
            payload,
        } = message;
        Ok(Self {
            term: PrimaryTerm(term),
            first: SeqNo(first),
            next: SeqNo(next),
            payload,
        })
    }
}

fn copy(bytes: &[u8], field: &'static str) -> Result<CopyId, DecodeError> {
    sixteen(bytes, field).map(CopyId)
}

fn copy_bytes(copy: CopyId) -> Bytes {
    Bytes::copy_from_slice(&copy.0)
}
