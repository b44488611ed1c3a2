//! Writes to one shard, and what came of them.

use std::time::Duration;

use gleaner_model::{ChosenTemplates, DocumentId, PrimaryTerm, SeqNo, Version};

use super::field::{all, known, maybe, maybe_message, member, messages, millis, one};
use super::ids::{sixteen, wide};
use super::{DecodeError, Wire, v1};
use crate::LeafFault;
use crate::write::{
    Condition, Idempotency, RefusedItem, Update, WriteAction, WriteAnswer, WriteCall, WriteFault,
    WriteItem, WriteOutcome, WriteResult,
};

impl Wire for WriteCall {
    type Message = v1::WriteCall;

    fn to_message(&self) -> v1::WriteCall {
        let Self {
            shard,
            term,
            items,
            idempotency,
            remaining,
            asks_fields,
            refused,
        } = self;
        v1::WriteCall {
            shard: Some(shard.to_message()),
            term: term.0,
            items: messages(items),
            idempotency: maybe_message(idempotency.as_ref()),
            remaining_ms: millis(*remaining),
            asks_fields: *asks_fields,
            refused: messages(refused),
        }
    }

    fn from_message(message: v1::WriteCall) -> Result<Self, DecodeError> {
        let v1::WriteCall {
            shard,
            term,
            items,
            idempotency,
            remaining_ms,
            asks_fields,
            refused,
        } = message;
        Ok(Self {
            shard: one(shard, "WriteCall.shard")?,
            term: PrimaryTerm(term),
            items: all(items)?,
            idempotency: maybe(idempotency)?,
            remaining: Duration::from_millis(remaining_ms),
            asks_fields,
            refused: all(refused)?,
        })
    }
}

impl Wire for RefusedItem {
    type Message = v1::RefusedItem;

    fn to_message(&self) -> v1::RefusedItem {
        let Self { at, fault } = self;
        v1::RefusedItem {
            at: *at,
            fault: Some(fault.to_message()),
        }
    }

    fn from_message(message: v1::RefusedItem) -> Result<Self, DecodeError> {
        let v1::RefusedItem { at, fault } = message;
        Ok(Self {
            at,
            fault: one(fault, "RefusedItem.fault")?,
        })
    }
}

impl Wire for Idempotency {
    type Message = v1::Idempotency;

    fn to_message(&self) -> v1::Idempotency {
        let Self { producer, sequence } = *self;
        v1::Idempotency {
            producer: wide(producer),
            sequence,
        }
    }

    fn from_message(message: v1::Idempotency) -> Result<Self, DecodeError> {
        let v1::Idempotency { producer, sequence } = message;
        Ok(Self {
            producer: u128::from_be_bytes(sixteen(&producer, "Idempotency.producer")?),
            sequence,
        })
    }
}

impl Wire for WriteItem {
    type Message = v1::WriteItem;

    fn to_message(&self) -> v1::WriteItem {
        use v1::write_item::Action;
        let Self {
            id,
            routing,
            action,
            condition,
            templates,
        } = self;
        let action = match action {
            WriteAction::Index { source, create } => Action::Index(v1::Index {
                source: source.clone(),
                create: *create,
            }),
            WriteAction::Update(update) => Action::Update(update.to_message()),
            WriteAction::Delete => Action::Delete(v1::Unit {}),
        };
        v1::WriteItem {
            id: id.as_str().to_owned(),
            routing: routing.clone(),
            action: Some(action),
            condition: condition_message(*condition),
            is_fresh_id: false,
            templates: template_messages(templates),
        }
    }

    fn from_message(message: v1::WriteItem) -> Result<Self, DecodeError> {
        use v1::write_item::Action;
        let v1::WriteItem {
            id,
            routing,
            action,
            condition: wanted,
            is_fresh_id,
            templates,
        } = message;
        let action = match known(action, "WriteItem.action")? {
            Action::Index(v1::Index { source, create }) => WriteAction::Index {
                source,
                create: create || is_fresh_id,
            },
            Action::Update(update) => WriteAction::Update(Wire::from_message(update)?),
            Action::Delete(v1::Unit {}) => WriteAction::Delete,
        };
        Ok(Self {
            id: DocumentId::parse(&id)?,
            routing,
            action,
            condition: condition(wanted)?,
            templates: chosen(templates),
        })
    }
}

fn template_messages(templates: &ChosenTemplates) -> Vec<v1::ChosenTemplate> {
    let templates = templates.by_field();
    templates
        .map(|(field, template)| v1::ChosenTemplate {
            field: field.to_owned(),
            template: template.to_owned(),
        })
        .collect()
}

fn chosen(messages: Vec<v1::ChosenTemplate>) -> ChosenTemplates {
    let messages = messages.into_iter();
    messages
        .map(|v1::ChosenTemplate { field, template }| (field, template))
        .collect()
}

impl Wire for Update {
    type Message = v1::Update;

    fn to_message(&self) -> v1::Update {
        let Self {
            doc,
            upsert,
            doc_as_upsert,
            detect_noop,
            retry_on_conflict,
            returned_source,
        } = self;
        v1::Update {
            doc: doc.clone(),
            upsert: upsert.clone(),
            doc_as_upsert: *doc_as_upsert,
            detect_noop: *detect_noop,
            retry_on_conflict: *retry_on_conflict,
            returned_source: maybe_message(returned_source.as_ref()),
        }
    }

    fn from_message(message: v1::Update) -> Result<Self, DecodeError> {
        let v1::Update {
            doc,
            upsert,
            doc_as_upsert,
            detect_noop,
            retry_on_conflict,
            returned_source,
        } = message;
        Ok(Self {
            doc,
            upsert,
            doc_as_upsert,
            detect_noop,
            retry_on_conflict,
            returned_source: maybe(returned_source)?,
        })
    }
}

fn condition_message(condition: Condition) -> Option<v1::Condition> {
    use v1::condition::{Kind, Latest};
    let kind = match condition {
        Condition::None => return None,
        Condition::Is { seq_no, term } => Kind::Latest(Latest {
            seq_no: seq_no.0,
            term: term.0,
        }),
        Condition::ExternalGreater(version) => Kind::ExternalGreater(version.0),
        Condition::ExternalGreaterOrEqual(version) => Kind::ExternalGreaterOrEqual(version.0),
        Condition::InternalVersion(version) => Kind::InternalVersion(version.0),
    };
    Some(v1::Condition { kind: Some(kind) })
}

fn condition(message: Option<v1::Condition>) -> Result<Condition, DecodeError> {
    use v1::condition::{Kind, Latest};
    let Some(v1::Condition { kind }) = message else {
        return Ok(Condition::None);
    };
    Ok(match known(kind, "Condition")? {
        Kind::Latest(Latest { seq_no, term }) => Condition::Is {
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
        },
        Kind::ExternalGreater(version) => Condition::ExternalGreater(Version(version)),
        Kind::ExternalGreaterOrEqual(version) => {
            Condition::ExternalGreaterOrEqual(Version(version))
        }
        Kind::InternalVersion(version) => Condition::InternalVersion(Version(version)),
    })
}

impl Wire for WriteAnswer {
    type Message = v1::WrittenItems;

    fn to_message(&self) -> v1::WrittenItems {
        let Self { items, duplicate } = self;
        v1::WrittenItems {
            items: messages(items),
            duplicate: *duplicate,
        }
    }

    fn from_message(message: v1::WrittenItems) -> Result<Self, DecodeError> {
        let v1::WrittenItems { items, duplicate } = message;
        Ok(Self {
            items: all(items)?,
            duplicate,
        })
    }
}

impl Wire for WriteOutcome {
    type Message = v1::WriteOutcome;

    fn to_message(&self) -> v1::WriteOutcome {
        let Self {
            result,
            version,
            seq_no,
            term,
            source,
        } = self;
        let result = match result {
            WriteResult::Created => v1::WriteResult::Created,
            WriteResult::Updated => v1::WriteResult::Updated,
            WriteResult::Deleted => v1::WriteResult::Deleted,
            WriteResult::NotFound => v1::WriteResult::NotFound,
            WriteResult::Noop => v1::WriteResult::Noop,
        };
        v1::WriteOutcome {
            result: result as i32,
            version: version.0,
            seq_no: seq_no.0,
            term: term.0,
            source: source.clone(),
        }
    }

    fn from_message(message: v1::WriteOutcome) -> Result<Self, DecodeError> {
        let v1::WriteOutcome {
            result,
            version,
            seq_no,
            term,
            source,
        } = message;
        let result = match member(result, "WriteResult")? {
            v1::WriteResult::Unspecified => return Err(DecodeError::Missing("WriteResult")),
            v1::WriteResult::Created => WriteResult::Created,
            v1::WriteResult::Updated => WriteResult::Updated,
            v1::WriteResult::Deleted => WriteResult::Deleted,
            v1::WriteResult::NotFound => WriteResult::NotFound,
            v1::WriteResult::Noop => WriteResult::Noop,
        };
        Ok(Self {
            result,
            version: Version(version),
            seq_no: SeqNo(seq_no),
            term: PrimaryTerm(term),
            source,
        })
    }
}

impl Wire for WriteFault {
    type Message = v1::WriteFault;

    fn to_message(&self) -> v1::WriteFault {
        use v1::write_fault as fault;
        use v1::write_fault::Kind;
        let kind = match self {
            Self::VersionConflict { id, reason } => Kind::VersionConflict(fault::VersionConflict {
                id: id.as_str().to_owned(),
                reason: reason.clone(),
            }),
            Self::DocumentMissing { id } => Kind::DocumentMissing(id.as_str().to_owned()),
            Self::Document {
                kind,
                reason,
                cause,
            } => Kind::Document(fault::Document {
                kind: kind.to_string(),
                reason: reason.clone(),
                cause: cause.as_ref().map(|(kind, reason)| fault::Cause {
                    kind: kind.to_string(),
                    reason: reason.clone(),
                }),
            }),
            Self::Rejected { code, reason } => Kind::Rejected(fault::Rejected {
                code: code.to_string(),
                reason: reason.clone(),
            }),
            Self::Blocked { reason } => Kind::Blocked(reason.clone()),
            Self::Unagreed { document } => Kind::Unagreed(fault::Unagreed {
                document: document.clone(),
            }),
            Self::Shard(fault) => Kind::Shard(fault.to_message()),
        };
        v1::WriteFault { kind: Some(kind) }
    }

    /// A fault of a kind that only a newer leaf knows is a fault of this item all the same.
    fn from_message(message: v1::WriteFault) -> Result<Self, DecodeError> {
        use v1::write_fault as fault;
        use v1::write_fault::Kind;
        let kind = match known(message.kind, "WriteFault") {
            Ok(kind) => kind,
            Err(unknown) => {
                let what = unknown.to_string();
                return Ok(Self::Shard(LeafFault::Unsupported { what }));
            }
        };
        Ok(match kind {
            Kind::VersionConflict(fault::VersionConflict { id, reason }) => Self::VersionConflict {
                id: DocumentId::parse(&id)?,
                reason,
            },
            Kind::DocumentMissing(id) => Self::DocumentMissing {
                id: DocumentId::parse(&id)?,
            },
            Kind::Document(fault::Document {
                kind,
                reason,
                cause,
            }) => Self::Document {
                kind: kind.into(),
                reason,
                cause: cause.map(|fault::Cause { kind, reason }| (kind.into(), reason)),
            },
            Kind::Unagreed(fault::Unagreed { document }) => Self::Unagreed { document },
            Kind::Rejected(fault::Rejected { code, reason }) => Self::Rejected {
                code: code.into(),
                reason,
            },
            Kind::Blocked(reason) => Self::Blocked { reason },
            Kind::Shard(fault) => Self::Shard(Wire::from_message(fault)?),
        })
    }
}
