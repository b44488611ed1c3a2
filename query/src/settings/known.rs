//! The settings an index has: which we act on, which have no effect here, which are refused.

use gleaner_model::{ActiveShards, IndexSettings, SlowLevel};

use super::given::GivenSetting;
use super::{similarity, sort, wrong};
use crate::aggregation::MOST_TOP_METRICS;
use crate::error::QueryError;
use crate::limits::Limits;
use crate::units::parse_time;

/// When a setting may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// At any time.
    Dynamic,
    /// While the index is closed.
    Static,
    /// Never.
    Final,
}

/// What a setting does.
pub(super) enum Effect {
    /// It is read into its place.
    Set(fn(&mut IndexSettings, &GivenSetting) -> Result<(), QueryError>),
    /// It is kept and echoed; it tunes what we do not have.
    Accepted,
    /// It is taken with this one value, which is how things are.
    Only(&'static str),
    /// It would change what is found or how it ranks, and is not there.
    Refused(&'static str),
}

/// A setting, or a family of them when the key ends with `*`.
pub(super) struct KnownSetting {
    key: &'static str,
    pub(super) scope: Scope,
    pub(super) effect: Effect,
}

const LATER: &str = "is not supported";
const PRIVATE: &str = "is private and can not be set explicitly";

const fn dynamic(key: &'static str, effect: Effect) -> KnownSetting {
    KnownSetting {
        key,
        scope: Scope::Dynamic,
        effect,
    }
}

const fn fixed(key: &'static str, effect: Effect) -> KnownSetting {
    KnownSetting {
        key,
        scope: Scope::Static,
        effect,
    }
}

const fn last(key: &'static str, effect: Effect) -> KnownSetting {
    KnownSetting {
        key,
        scope: Scope::Final,
        effect,
    }
}

/// Exact keys come before families.
#[rustfmt::skip]
const KNOWN: &[KnownSetting] = &[
    last("index.number_of_shards", Effect::Set(|s, given| {
        s.number_of_shards = given.number(1, 1_024)? as u32;
        Ok(())
    })),
    last("index.number_of_routing_shards", Effect::Set(|_, given| given.number(1, 1 << 30).map(drop))),
    dynamic("index.number_of_replicas", Effect::Set(|s, given| {
        s.number_of_replicas = given.number(0, 1_024)? as u32;
        Ok(())
    })),
    dynamic("index.replication.min_in_sync", Effect::Set(|s, given| {
        s.min_in_sync = Some(given.number(1, 1_025)? as u32);
        Ok(())
    })),
    dynamic("index.refresh_interval", Effect::Set(refresh_interval)),
    dynamic("index.front.max_stale", Effect::Set(|s, given| {
        s.max_stale_ms = milliseconds(given)?
            .ok_or_else(|| wrong(format!("Failed to parse value [-1] for setting [{}] must be >= 0ms", given.key)))?;
        Ok(())
    })),
    dynamic("index.search.idle.after", Effect::Set(|s, given| {
        s.search_idle_after_ms = milliseconds(given)?
            .ok_or_else(|| wrong(format!("Failed to parse value [-1] for setting [{}] must be >= 0ms", given.key)))?;
        Ok(())
    })),
    dynamic("index.max_result_window", Effect::Set(|s, given| { s.max_result_window = given.count(1)?; Ok(()) })),
    dynamic("index.mapping.total_fields.limit", Effect::Set(|s, given| { s.total_fields_limit = given.count(0)?; Ok(()) })),
    dynamic("index.mapping.depth.limit", Effect::Set(|s, given| { s.depth_limit = given.number(1, 1_000)? as usize; Ok(()) })),
    dynamic("index.mapping.field_name_length.limit", Effect::Set(|s, given| {
        // The default is the largest number a long holds.
        s.field_name_length_limit = given.number(1, i64::MAX as u64)? as usize;
        Ok(())
    })),
    dynamic("index.max_ngram_diff", Effect::Set(|s, given| { s.max_ngram_diff = given.count(0)?; Ok(()) })),
    dynamic("index.max_terms_count", Effect::Set(|s, given| { s.max_terms_count = given.number(1, Limits::default().terms as u64)? as usize; Ok(()) })),
    dynamic("index.max_regex_length", Effect::Set(|s, given| { s.max_regex_length = given.number(1, Limits::default().regexp_chars as u64)? as usize; Ok(()) })),
    dynamic("index.max_docvalue_fields_search", Effect::Set(|s, given| { s.max_docvalue_fields = given.count(0)?; Ok(()) })),
    dynamic("index.blocks.read_only", Effect::Set(|s, given| { s.blocks.read_only = given.flag()?; Ok(()) })),
    dynamic("index.blocks.read_only_allow_delete", Effect::Set(|s, given| { s.blocks.read_only_allow_delete = given.flag()?; Ok(()) })),
    dynamic("index.blocks.write", Effect::Set(|s, given| { s.blocks.write = given.flag()?; Ok(()) })),
    dynamic("index.blocks.read", Effect::Set(|s, given| { s.blocks.read = given.flag()?; Ok(()) })),
    dynamic("index.blocks.metadata", Effect::Set(|s, given| { s.blocks.metadata = given.flag()?; Ok(()) })),
    dynamic("index.query.default_field", Effect::Set(|s, given| { s.default_fields = given.texts()?; Ok(()) })),
    dynamic("index.hidden", Effect::Set(|s, given| { s.hidden = given.flag()?; Ok(()) })),
    dynamic("index.search.slowlog.threshold.query.warn", Effect::Set(|s, given| { s.slow_log.query.set(SlowLevel::Warn, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.query.info", Effect::Set(|s, given| { s.slow_log.query.set(SlowLevel::Info, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.query.debug", Effect::Set(|s, given| { s.slow_log.query.set(SlowLevel::Debug, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.query.trace", Effect::Set(|s, given| { s.slow_log.query.set(SlowLevel::Trace, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.fetch.warn", Effect::Set(|s, given| { s.slow_log.fetch.set(SlowLevel::Warn, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.fetch.info", Effect::Set(|s, given| { s.slow_log.fetch.set(SlowLevel::Info, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.fetch.debug", Effect::Set(|s, given| { s.slow_log.fetch.set(SlowLevel::Debug, milliseconds(given)?); Ok(()) })),
    dynamic("index.search.slowlog.threshold.fetch.trace", Effect::Set(|s, given| { s.slow_log.fetch.set(SlowLevel::Trace, milliseconds(given)?); Ok(()) })),
    dynamic("index.indexing.slowlog.threshold.index.warn", Effect::Set(|s, given| { s.slow_log.index.set(SlowLevel::Warn, milliseconds(given)?); Ok(()) })),
    dynamic("index.indexing.slowlog.threshold.index.info", Effect::Set(|s, given| { s.slow_log.index.set(SlowLevel::Info, milliseconds(given)?); Ok(()) })),
    dynamic("index.indexing.slowlog.threshold.index.debug", Effect::Set(|s, given| { s.slow_log.index.set(SlowLevel::Debug, milliseconds(given)?); Ok(()) })),
    dynamic("index.indexing.slowlog.threshold.index.trace", Effect::Set(|s, given| { s.slow_log.index.set(SlowLevel::Trace, milliseconds(given)?); Ok(()) })),
    // Read as they were declared, where they count.
    dynamic("index.analyze.max_token_count", Effect::Set(|_, given| given.count(1).map(drop))),
    dynamic(ActiveShards::SETTING, Effect::Set(|_, given| given.parsed::<ActiveShards>().map(drop))),
    dynamic("index.max_shingle_diff", Effect::Set(|_, given| given.count(0).map(drop))),
    dynamic("index.mapping.nested_fields.limit", Effect::Set(|_, given| given.count(0).map(drop))),
    dynamic("index.mapping.nested_objects.limit", Effect::Set(|_, given| given.count(0).map(drop))),
    dynamic("index.max_slices_per_scroll", Effect::Set(|_, given| given.count(1).map(drop))),
    dynamic("index.top_metrics_max_size", Effect::Set(|_, given| given.number(1, MOST_TOP_METRICS as u64).map(drop))),
    dynamic("index.lifecycle.name", Effect::Set(|_, given| given.text().map(drop))),
    dynamic("index.lifecycle.rollover_alias", Effect::Set(|_, given| given.text().map(drop))),
    dynamic("index.lifecycle.indexing_complete", Effect::Set(|_, given| given.flag().map(drop))),
    dynamic("index.lifecycle.origination_date", Effect::Set(|_, given| given.number(0, i64::MAX as u64).map(drop))),
    dynamic("index.lifecycle.prefer_ilm", Effect::Set(|_, given| given.flag().map(drop))),
    dynamic("index.lifecycle.skip", Effect::Set(|_, given| given.flag().map(drop))),
    last("index.sort.field", Effect::Set(|_, given| sort::check(given))),
    last("index.sort.order", Effect::Set(|_, given| sort::check(given))),
    last("index.sort.mode", Effect::Set(|_, given| sort::check(given))),
    last("index.sort.missing", Effect::Set(|_, given| sort::check(given))),
    fixed("index.similarity.*", Effect::Set(|_, given| similarity::check(given))),

    // Kept for the user: they tune what works in another way here.
    dynamic("index.auto_expand_replicas", Effect::Accepted),
    dynamic("index.priority", Effect::Accepted),
    dynamic("index.gc_deletes", Effect::Accepted),
    dynamic("index.max_inner_result_window", Effect::Accepted),
    dynamic("index.max_rescore_window", Effect::Accepted),
    dynamic("index.max_script_fields", Effect::Accepted),
    dynamic("index.max_refresh_listeners", Effect::Accepted),
    dynamic("index.max_adjacency_matrix_filters", Effect::Accepted),
    dynamic("index.highlight.max_analyzed_offset", Effect::Accepted),
    dynamic("index.highlight.weight_matches_mode.enabled", Effect::Accepted),
    dynamic("index.requests.cache.enable", Effect::Accepted),
    dynamic("index.warmer.enabled", Effect::Accepted),
    dynamic("index.flush_after_merge", Effect::Accepted),
    dynamic("index.mapping.dimension_fields.limit", Effect::Accepted),
    dynamic("index.search.throttled", Effect::Accepted),
    dynamic("index.unassigned.node_left.delayed_timeout", Effect::Accepted),
    dynamic("index.lifecycle.step.wait_time_threshold", Effect::Accepted),
    fixed("index.codec", Effect::Accepted),
    fixed("index.queries.cache.enabled", Effect::Accepted),
    fixed("index.load_fixed_bitset_filters_eagerly", Effect::Accepted),
    fixed("index.shard.check_on_startup", Effect::Accepted),
    fixed("index.data_path", Effect::Accepted),
    fixed("index.query_string.lenient", Effect::Only("false")),
    last("index.soft_deletes.enabled", Effect::Accepted),
    dynamic("index.soft_deletes.retention_lease.period", Effect::Accepted),
    dynamic("index.query.parse.allow_unmapped_fields", Effect::Only("true")),
    dynamic("index.mapping.total_fields.ignore_dynamic_beyond_limit", Effect::Only("false")),
    dynamic("index.mapping.ignore_above", Effect::Refused(LATER)),
    dynamic("index.default_pipeline", Effect::Only("_none")),
    dynamic("index.final_pipeline", Effect::Only("_none")),
    fixed("index.mapping.coerce", Effect::Only("true")),
    fixed("index.mapping.ignore_malformed", Effect::Only("false")),
    fixed("index.mapping.source.mode", Effect::Only("stored")),
    last("index.routing_partition_size", Effect::Only("1")),
    last("index.mode", Effect::Only("standard")),
    dynamic("index.lifecycle.parse_origination_date", Effect::Only("false")),

    // Families.
    dynamic("index.search.slowlog.*", Effect::Accepted),
    dynamic("index.indexing.*", Effect::Accepted),
    dynamic("index.merge.*", Effect::Accepted),
    dynamic("index.translog.*", Effect::Accepted),
    dynamic("index.routing.*", Effect::Accepted),
    dynamic("index.allocation.*", Effect::Accepted),
    dynamic("index.lifecycle.*", Effect::Refused(LATER)),
    fixed("index.store.*", Effect::Accepted),
    last("index.knn*", Effect::Refused(LATER)),
    last("index.time_series.*", Effect::Refused(LATER)),
    last("index.routing_path", Effect::Refused(LATER)),
    last("index.uuid", Effect::Refused(PRIVATE)),
    last("index.creation_date", Effect::Refused(PRIVATE)),
    last("index.provided_name", Effect::Refused(PRIVATE)),
    last("index.version.*", Effect::Refused(PRIVATE)),
];

/// Returns the setting of that key, or the family it belongs to.
pub(super) fn find(key: &str) -> Option<&'static KnownSetting> {
    KNOWN
        .iter()
        .find(|known| match known.key.strip_suffix('*') {
            Some(family) => key.starts_with(family),
            None => known.key == key,
        })
}

fn refresh_interval(settings: &mut IndexSettings, given: &GivenSetting) -> Result<(), QueryError> {
    settings.refresh_interval_ms = milliseconds(given)?;
    Ok(())
}

/// Reads a time; `-1` is none.
fn milliseconds(given: &GivenSetting) -> Result<Option<u64>, QueryError> {
    let time = parse_time(&given.text()?, given.key)?;
    let whole = |time: std::time::Duration| {
        u64::try_from(time.as_millis())
            .map_err(|_| wrong(format!("setting [{}] is too long", given.key)))
    };
    time.map(whole).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Returns the rows of the tables of index settings in the operators' page, cell by cell.
    fn rows() -> Vec<Vec<String>> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        let mut sections = page.split("\n## ");
        let section = sections.find(|section| section.starts_with("Index settings\n"));
        let lines = section.expect("it has the section").lines();
        lines
            .filter(|line| line.starts_with('|'))
            .map(|line| {
                let cells = line.split('|').skip(1);
                cells.map(|cell| cell.trim().to_owned()).collect()
            })
            .collect()
    }

    /// Returns the rows of settings that are acted on.
    fn rows_of_settings() -> Vec<Vec<String>> {
        let mut rows = rows();
        rows.retain(|row| row[0].starts_with("`index."));
        rows
    }

    #[test]
    fn the_operators_page_has_every_setting_that_is_acted_on() {
        let told: Vec<(String, String)> = rows_of_settings()
            .into_iter()
            .map(|row| (row[0].clone(), row[2].clone()))
            .collect();
        let in_force: Vec<(String, String)> = KNOWN
            .iter()
            .filter(|known| matches!(known.effect, Effect::Set(_)))
            .map(|known| {
                let changes = match known.scope {
                    Scope::Dynamic => "open",
                    Scope::Static => "closed",
                    Scope::Final => "never",
                };
                (format!("`{}`", known.key), changes.to_owned())
            })
            .collect();
        assert_eq!(told, in_force);
    }

    #[test]
    fn the_defaults_on_the_operators_page_change_nothing() {
        for row in rows_of_settings() {
            let (key, default) = (row[0].trim_matches('`'), row[1].trim_matches('`'));
            if default == "none" {
                continue;
            }
            let Some(Effect::Set(set)) = find(key).map(|known| &known.effect) else {
                panic!("`{key}` is not acted on");
            };
            let value = Value::from(default);
            let given = GivenSetting { key, value: &value };
            let mut settings = IndexSettings::default();
            set(&mut settings, &given).expect("the default is a value");
            assert_eq!(settings, IndexSettings::default(), "{key}");
        }
    }

    #[test]
    fn the_operators_page_names_the_settings_that_are_not_acted_on() {
        let rows = rows();
        let shown = |known: &KnownSetting| match known.effect {
            Effect::Only(value) => format!("{}: {value}", known.key),
            _ => known.key.to_owned(),
        };
        type OfKind = fn(&Effect) -> bool;
        let cases: [(&str, OfKind); 3] = [
            ("without effect", |effect| {
                matches!(effect, Effect::Accepted)
            }),
            ("one value", |effect| matches!(effect, Effect::Only(_))),
            ("refused", |effect| matches!(effect, Effect::Refused(_))),
        ];
        for (name, is_so) in cases {
            let row = rows.iter().find(|row| row[0] == name).expect("a row");
            let told: Vec<&str> = row[1].split('`').skip(1).step_by(2).collect();
            let of_kind = KNOWN.iter().filter(|known| is_so(&known.effect));
            let in_force: Vec<String> = of_kind.map(shown).collect();
            assert_eq!(told, in_force, "{name}");
        }
    }
}
