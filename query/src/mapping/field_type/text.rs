//! Analysed text and its kin: `text`, `match_only_text`, `search_as_you_type`, `completion`.

use gleaner_model::FieldKind;
use serde_json::json;

use super::similarity;
use crate::error::QueryError;
use crate::json::scalar_text;
use crate::mapping::parameters::Parameters;
use crate::mapping::{MappingRules, malformed};

/// What `term_vector` may say.
const TERM_VECTORS: [&str; 7] = [
    "no",
    "yes",
    "with_positions",
    "with_offsets",
    "with_positions_offsets",
    "with_positions_payloads",
    "with_positions_offsets_payloads",
];

/// One more than the most characters that `index_prefixes` may ask for (Elasticsearch, `TextFieldMapper.PrefixConfig`).
const PREFIX_CHARS_LIMIT: u32 = 20;

/// The names of a field's analyzers.
struct Analyzers {
    /// For documents, and for queries where `searched` is `None`.
    indexed: String,
    searched: Option<String>,
}

impl Analyzers {
    /// Returns those that a field names; those of the index where it names none.
    fn of(named: Option<String>, searched: Option<String>, rules: &MappingRules) -> Self {
        match named {
            Some(indexed) => Self { indexed, searched },
            None => Self {
                indexed: rules.default_analyzer.to_owned(),
                searched: rules.default_search_analyzer.map(str::to_owned),
            },
        }
    }
}

pub(super) fn text(from: &mut Parameters, rules: &MappingRules) -> Result<FieldKind, QueryError> {
    similarity(from)?;
    // Kept as declared: scores go by it.
    from.bool("norms", true)?;
    from.only("position_increment_gap", "100")?;
    index_options(from)?;
    from.flag_without_effect("eager_global_ordinals")?;
    from.without_effect("index_prefixes", index_prefixes)?;
    from.without_effect("term_vector", term_vector)?;
    from.accept(&["fielddata_frequency_filter"]);
    let analyzer = from.string("analyzer")?;
    let search_analyzer = from.string("search_analyzer")?;
    if analyzer.is_none() && search_analyzer.is_some() {
        return Err(malformed(format!(
            "analyzer on field [{}] must be set when search_analyzer is set",
            from.path()
        )));
    }
    if let Some(quote) = from.string("search_quote_analyzer")? {
        return Err(from.unsupported("search_quote_analyzer", &quote));
    }
    let analyzers = Analyzers::of(analyzer, search_analyzer, rules);
    let index = from.bool("index", true)?;
    Ok(FieldKind::Text {
        analyzer: analyzers.indexed,
        search_analyzer: analyzers.searched,
        index,
        fielddata: fielddata(from, index)?,
    })
}

/// Text that is matched and not scored. Its words have places, so that phrases need no look at `_source`.
pub(super) fn match_only_text(
    from: &mut Parameters,
    rules: &MappingRules,
) -> Result<FieldKind, QueryError> {
    let analyzers = Analyzers::of(from.string("analyzer")?, None, rules);
    Ok(FieldKind::Text {
        analyzer: analyzers.indexed,
        search_analyzer: analyzers.searched,
        index: true,
        fielddata: false,
    })
}

/// Reads `index_options`, kept as declared: what is indexed, and which queries are taken, go by it.
fn index_options(from: &mut Parameters) -> Result<(), QueryError> {
    from.flag_without_effect("index_phrases")?;
    match from.string("index_options")?.as_deref() {
        Some("docs" | "freqs") if from.bool("index_phrases", false)? => Err(malformed(format!(
            "Cannot set index_phrases on field [{}] if positions are not enabled",
            from.path()
        ))),
        None | Some("docs" | "freqs" | "positions" | "offsets") => Ok(()),
        Some(other) => Err(malformed(format!(
            "Unknown value [{other}] for field [index_options] - accepted values are [docs, freqs, positions, \
             offsets]"
        ))),
    }
}

/// Reads `index_prefixes`, shown with what it leaves out. Prefixes are found in the dictionary.
fn index_prefixes(from: &mut Parameters) -> Result<(), QueryError> {
    let Some(given) = from.any("index_prefixes") else {
        return Ok(());
    };
    let Some(given) = given.as_object() else {
        return Err(from.wrong("index_prefixes", "an object"));
    };
    let (mut min_chars, mut max_chars) = (2, 5);
    for (key, value) in given {
        let chars = match key.as_str() {
            "min_chars" => &mut min_chars,
            "max_chars" => &mut max_chars,
            _ => {
                return Err(malformed(format!(
                    "Mapping definition for [index_prefixes] has unsupported parameters:  [{key} : {value}]"
                )));
            }
        };
        let number = scalar_text(value).and_then(|text| text.parse::<u32>().ok());
        *chars =
            number.ok_or_else(|| from.wrong("index_prefixes", "an object of whole numbers"))?;
    }
    let refused = if min_chars > max_chars {
        format!("min_chars [{min_chars}] must be less than max_chars [{max_chars}]")
    } else if min_chars == 0 {
        format!("min_chars [{min_chars}] must be greater than zero")
    } else if max_chars >= PREFIX_CHARS_LIMIT {
        format!("max_chars [{max_chars}] must be less than {PREFIX_CHARS_LIMIT}")
    } else {
        let shown = json!({"min_chars": min_chars, "max_chars": max_chars});
        from.keep("index_prefixes", shown);
        return Ok(());
    };
    Err(malformed(refused))
}

/// Reads `term_vector`. Term vectors are made when a request asks for them.
fn term_vector(from: &mut Parameters) -> Result<(), QueryError> {
    match from.string("term_vector")? {
        Some(other) if !TERM_VECTORS.contains(&other.as_str()) => Err(malformed(format!(
            "Unknown value [{other}] for field [term_vector] - accepted values are [{}]",
            TERM_VECTORS.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// Reads `fielddata`: whether a column of the tokens is kept.
fn fielddata(from: &mut Parameters, is_indexed: bool) -> Result<bool, QueryError> {
    let fielddata = from.bool("fielddata", false)?;
    if fielddata && !is_indexed {
        return Err(malformed(format!(
            "Cannot enable fielddata on a [text] field that is not indexed: [{}]",
            from.path()
        )));
    }
    if fielddata && from.has("fielddata_frequency_filter") {
        return Err(from.unsupported("fielddata_frequency_filter", "a filter"));
    }
    Ok(fielddata)
}

/// What is to be suggested. The analyzers are for suggesters, which are not there yet.
pub(super) fn completion(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let analyzer = from.string("analyzer")?;
    if analyzer.is_none() && from.string("search_analyzer")?.is_some() {
        return Err(malformed(format!(
            "analyzer on completion field [{}] must be set when search_analyzer is set",
            from.path()
        )));
    }
    from.string("search_analyzer")?;
    from.bool("preserve_separators", true)?;
    from.bool("preserve_position_increments", true)?;
    if from.count("max_input_length")? == Some(0) {
        return Err(from.wrong("max_input_length", "a positive number"));
    }
    Ok(FieldKind::Completion)
}

/// The root of `search_as_you_type`; the fields of its word pairs and prefixes stand below it.
pub(super) fn search_as_you_type(
    from: &mut Parameters,
    rules: &MappingRules,
) -> Result<FieldKind, QueryError> {
    let size = shingle_size(from)?;
    debug_assert!((2..=4).contains(&size), "checked");
    from.only("doc_values", "false")?;
    from.only("fielddata", "false")?;
    if let Some(less @ ("docs" | "freqs")) = from.string("index_options")?.as_deref() {
        // The fields of its word pairs are phrases.
        return Err(from.unsupported("index_options", less));
    }
    text(from, rules)
}

/// Reads `max_shingle_size`: 2 to 4, by default 3.
pub(super) fn shingle_size(from: &mut Parameters) -> Result<u32, QueryError> {
    match from.count("max_shingle_size")?.unwrap_or(3) {
        size @ 2..=4 => Ok(size),
        size => Err(malformed(format!(
            "[max_shingle_size] must be at least [2] and at most [4], got [{size}]"
        ))),
    }
}
