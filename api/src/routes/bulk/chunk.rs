//! Lines → items, chunk by chunk.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::IndexPrivilege;
use gleaner_proto::write::{Condition, WriteAction};
use gleaner_query::Limits;
use gleaner_query::names::expand_date_math;
use gleaner_query::search::SourceFilter;
use gleaner_root::ingest::{IngestItem, check_item};

use super::action::{self, Action, ActionKind};
use crate::error::ApiError;
use crate::request::Lines;
use crate::routes::update::body::{self, UpdateBody};
use crate::security::{self, Sender};
use crate::service::App;

/// What holds for items that say nothing else.
pub(super) struct Defaults {
    pub(super) index: Option<String>,
    pub(super) routing: Option<String>,
    pub(super) require_alias: bool,
    pub(super) require_data_stream: bool,
    pub(super) source: Option<SourceFilter>,
    pub(super) sender: Sender,
}

/// An item of a chunk: to be written, or refused already.
pub(super) enum Item {
    Write(IngestItem),
    Refused {
        name: &'static str,
        index: String,
        id: Option<String>,
        error: ApiError,
    },
}

/// Cuts a body into chunks.
pub(super) struct Chunks {
    lines: Lines,
    defaults: Defaults,
    app: Arc<App>,
    limits: Limits,
    num_lines: usize,
    is_at_end: bool,
}

impl Chunks {
    pub(super) fn new(lines: Lines, defaults: Defaults, app: &Arc<App>) -> Self {
        Self {
            lines,
            defaults,
            app: Arc::clone(app),
            limits: app.root.cluster().limits(),
            num_lines: 0,
            is_at_end: false,
        }
    }

    /// Returns how many lines were read so far.
    pub(super) fn num_lines(&self) -> usize {
        self.num_lines
    }

    /// Returns the next chunk; `None` after the last.
    ///
    /// # Errors
    /// 400 for a line that cannot be understood; what reading the body fails with.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>, ApiError> {
        let options = &Arc::clone(&self.app).options;
        self.lines.forget_taken();
        let mut items = Vec::new();
        let mut num_bytes = 0;
        while !self.is_at_end
            && items.len() < options.bulk_chunk_items
            && num_bytes < options.bulk_chunk_bytes
        {
            let Some(line) = self.line().await? else {
                self.is_at_end = true;
                break;
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            num_bytes += line.len();
            let action = action::parse(&line, self.num_lines, &self.limits)?;
            let document = if action.kind.has_body() {
                let missing =
                    || ApiError::illegal("The bulk request must be terminated by a newline [\\n]");
                self.line().await?.ok_or_else(missing)?
            } else {
                Bytes::new()
            };
            num_bytes += document.len();
            items.push(self.item(action, document)?);
        }
        Ok((!items.is_empty()).then_some(items))
    }

    /// Asks for the rights of the sender again, and refuses those items of a chunk that he may not write any more: its
    /// lines may have come slowly, and wait for the chunk before it.
    ///
    /// # Errors
    /// 401 where the key has ended.
    pub(super) fn check_rights(&mut self, chunk: &mut [Item]) -> Result<(), ApiError> {
        let Some(sender) = self.app.renewed(&self.defaults.sender)? else {
            return Ok(());
        };
        self.defaults.sender = sender;
        for item in chunk {
            let Item::Write(write) = item else {
                continue;
            };
            let kind = ActionKind::of(&write.action);
            let sender = &self.defaults.sender;
            if let Err(error) = self.app.check_name(sender, &kind.action(), &write.index) {
                *item = Item::Refused {
                    name: kind.name(),
                    index: write.index.clone(),
                    id: write.id.clone(),
                    error,
                };
            }
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(line) = self.lines.next().await? else {
            return Ok(None);
        };
        self.num_lines += 1;
        if !line.is_terminated && !line.text.trim_ascii().is_empty() {
            return Err(ApiError::illegal(
                "The bulk request must be terminated by a newline [\\n]",
            ));
        }
        Ok(Some(line.text))
    }

    fn item(&self, action: Action, document: Bytes) -> Result<Item, ApiError> {
        let index = action.index.as_ref().or(self.defaults.index.as_ref());
        let Some(index) = index.filter(|index| !index.is_empty()) else {
            return Err(ApiError::validation(&["index is missing".to_owned()]));
        };
        let index = expand_date_math(index, self.app.root.cluster().now_ms())?;
        let kind = action.kind;
        if action.id.is_none() && matches!(kind, ActionKind::Update | ActionKind::Delete) {
            return Err(ApiError::validation(&["id is missing".to_owned()]));
        }
        let id = action.id.clone();
        let denied = self
            .app
            .check_name(&self.defaults.sender, &kind.action(), &index);
        let written = denied.and_then(|()| self.write(action, index.clone(), document));
        Ok(match written {
            Ok(item) => Item::Write(item),
            Err(error) => Item::Refused {
                name: kind.name(),
                index,
                id,
                error,
            },
        })
    }

    fn write(
        &self,
        action: Action,
        index: String,
        document: Bytes,
    ) -> Result<IngestItem, ApiError> {
        let mut condition = action.condition;
        if action.id.as_deref() == Some("") {
            return Err(ApiError::illegal(
                "if _id is specified it must not be empty",
            ));
        }
        let write = match action.kind {
            ActionKind::Index => WriteAction::Index {
                source: document,
                create: false,
            },
            ActionKind::Create => WriteAction::Index {
                source: document,
                create: true,
            },
            ActionKind::Delete => WriteAction::Delete,
            ActionKind::Update => {
                let UpdateBody {
                    mut update,
                    condition: in_body,
                } = body::parse(&document)?;
                update.retry_on_conflict = action.retry_on_conflict;
                let asked = update.returned_source.or(action.source);
                let asked = asked.or_else(|| self.defaults.source.clone());
                update.returned_source = asked.filter(|filter| filter.enabled);
                if condition == Condition::None {
                    condition = in_body;
                }
                WriteAction::Update(update)
            }
        };
        let item = IngestItem {
            index,
            id: action.id,
            routing: action.routing.or_else(|| self.defaults.routing.clone()),
            action: write,
            condition,
            require_alias: action.require_alias.unwrap_or(self.defaults.require_alias),
            require_data_stream: action
                .require_data_stream
                .unwrap_or(self.defaults.require_data_stream),
            templates: action.templates,
        };
        check_item(&item)?;
        Ok(item)
    }
}

impl ActionKind {
    fn of(action: &WriteAction) -> Self {
        match action {
            WriteAction::Index { create: false, .. } => Self::Index,
            WriteAction::Index { create: true, .. } => Self::Create,
            WriteAction::Delete => Self::Delete,
            WriteAction::Update(_) => Self::Update,
        }
    }

    /// Returns what it does, for rights.
    fn action(self) -> security::Action {
        let (name, privilege) = match self {
            Self::Index => ("indices:data/write/bulk[index]", IndexPrivilege::Index),
            Self::Create => ("indices:data/write/bulk[create]", IndexPrivilege::CreateDoc),
            Self::Update => ("indices:data/write/bulk[update]", IndexPrivilege::Index),
            Self::Delete => ("indices:data/write/bulk[delete]", IndexPrivilege::Delete),
        };
        security::Action {
            name,
            privilege,
            ignores_filters: true,
        }
    }

    /// Returns the key of the item's answer.
    fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}
