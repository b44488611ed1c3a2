//! What the name that a write goes to must be: an alias (`require_alias`), a data stream (`require_data_stream`).

use gleaner_model::{ClusterState, IndexMeta};
use gleaner_query::templates::index_template_of;

use super::IngestItem;
use crate::RootError;

/// Refuses an item whose name is not what it must be.
pub(super) fn check(state: &ClusterState, item: &IngestItem) -> Result<(), RootError> {
    if item.require_alias {
        check_alias(state, &item.index)?;
    }
    if item.require_data_stream && !may_be_stream(state, &item.index) {
        return Err(unlike(&item.index, "require_data_stream", "a data stream"));
    }
    Ok(())
}

/// Refuses a name that no alias bears. A data stream is none, though it is kept as one.
pub(crate) fn check_alias(state: &ClusterState, name: &str) -> Result<(), RootError> {
    let mut aliased = state.aliased(name);
    let is_alias = aliased.any(|(_, alias)| !alias.is_data_stream);
    match is_alias && state.index_named(name).is_none() {
        true => Ok(()),
        false => Err(unlike(name, "require_alias", "an alias")),
    }
}

/// Returns whether `name` leads to a data stream, or a write to it makes one.
fn may_be_stream(state: &ClusterState, name: &str) -> bool {
    let is_of_stream = |index: &IndexMeta| index.aliases.values().any(|of| of.is_data_stream);
    if let Some(index) = state.index_named(name) {
        return is_of_stream(index);
    }
    let mut aliased = state.aliased(name).map(|(index, _)| index).peekable();
    if aliased.peek().is_some() {
        return aliased.any(|index| is_of_stream(index));
    }
    let template = index_template_of(&state.templates, name);
    template.is_some_and(|(_, template)| template.data_stream.is_some())
}

fn unlike(name: &str, flag: &str, wanted: &str) -> RootError {
    RootError::IndexNotFound(format!(
        "{name}] and [{flag}] request flag is [true] and [{name}] is not {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::template::{DataStreamTemplate, IndexTemplate};
    use gleaner_model::{Alias, IndexName};
    use serde_json::json;

    use super::super::tests::item;
    use super::*;
    use crate::testing::index;

    fn state() -> ClusterState {
        let mut state = ClusterState::default();
        for (number, alias, is_data_stream) in [(1, "read", false), (2, "stream", true)] {
            let mut meta = index(number, &json!({}));
            let alias_name = IndexName::parse(alias).expect("a name");
            let alias = Alias {
                is_data_stream,
                ..Alias::default()
            };
            meta.aliases.insert(alias_name, alias);
            state.indices.insert(meta.uuid, Arc::new(meta));
        }
        let of_streams = DataStreamTemplate::default();
        for (name, data_stream) in [("logs", Some(of_streams)), ("old", None)] {
            let template = IndexTemplate {
                index_patterns: vec![format!("{name}-*")],
                data_stream,
                ..IndexTemplate::default()
            };
            Arc::make_mut(&mut state.templates)
                .index
                .insert(name.to_owned(), template);
        }
        state
    }

    #[test]
    fn names_are_what_is_required_of_them_or_refused() {
        let state = state();
        for (name, is_alias, is_stream) in [
            ("index-1", false, false),
            ("index-2", false, true),
            ("read", true, false),
            ("stream", false, true),
            ("logs-1", false, true),
            ("old-1", false, false),
            ("none", false, false),
        ] {
            let mut wanted = item(name, None);
            check(&state, &wanted).expect("nothing is required");
            wanted.require_alias = true;
            assert_eq!(check(&state, &wanted).is_ok(), is_alias, "{name}");
            wanted.require_alias = false;
            wanted.require_data_stream = true;
            assert_eq!(check(&state, &wanted).is_ok(), is_stream, "{name}");
        }
    }
}
