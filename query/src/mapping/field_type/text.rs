//! Analysed text and its kin: `text`, `search_as_you_type`, `completion`.

use gleaner_model::FieldKind;

use super::similarity;
use crate::error::QueryError;
use crate::mapping::parameters::Parameters;
use crate::mapping::{MappingRules, malformed};

pub(super) fn text(from: &mut Parameters, rules: &MappingRules) -> Result<FieldKind, QueryError> {
    similarity(from)?;
    // Kept as declared: scores go by it.
    from.bool("norms", true)?;
    from.only("position_increment_gap", "100")?;
    // Kept as declared: what is indexed, and which queries are taken, go by it.
    match from.string("index_options")?.as_deref() {
        Some("docs" | "freqs") if from.bool("index_phrases", false)? => {
            return Err(malformed(format!(
                "Cannot set index_phrases on field [{}] if positions are not enabled",
                from.path()
            )));
        }
        None | Some("docs" | "freqs" | "positions" | "offsets") => {}
        Some(other) => {
            return Err(malformed(format!(
                "Unknown value [{other}] for field [index_options] - accepted values are [docs, freqs, positions, \
                 offsets]"
            )));
        }
    }
    from.accept(&[
        "fielddata_frequency_filter",
        "eager_global_ordinals",
        "index_phrases",
        "index_prefixes",
        "term_vector",
    ]);
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
    let (analyzer, search_analyzer) = match analyzer {
        Some(analyzer) => (analyzer, search_analyzer),
        None => {
            let search = rules.default_search_analyzer.map(str::to_owned);
            (rules.default_analyzer.to_owned(), search)
        }
    };
    let index = from.bool("index", true)?;
    Ok(FieldKind::Text {
        analyzer,
        search_analyzer,
        index,
        fielddata: fielddata(from, index)?,
    })
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
