//! `highlight`: global options first, each field's own over them.

use serde_json::Value;

use crate::dsl::parse_query;
use crate::error::QueryError;
use crate::json::{ObjectReader, token_name};
use crate::limits::Limits;
use crate::search::{Highlight, HighlightOptions};

/// Options that only other ways to look for matches or to cut fragments have a use for; [`Cut`] refuses
/// the ways themselves.
const WITHOUT_EFFECT: [&str; 6] = [
    "boundary_chars",
    "boundary_max_scan",
    "boundary_scanner_locale",
    "phrase_limit",
    "force_source",
    "highlight_filter",
];

/// How fragments are to be cut, as given; a field's own lies over the global one. They are cut at sentences, and longer
/// ones at words. `unified` is asked for nothing else. What `plain` and `fvh` cut at moves the ends of their fragments by
/// a few words, so any way that they know is taken.
#[derive(Debug, Clone, Default)]
struct Cut {
    /// `unified` where none is given.
    highlighter: Option<String>,
    boundary_scanner: Option<String>,
    fragmenter: Option<String>,
    fragment_offset: Option<i64>,
}

impl Cut {
    /// Reads what lies over this one.
    fn read(&self, reader: &mut ObjectReader<'_>) -> Result<Self, QueryError> {
        let over = |own: Option<String>, outer: &Option<String>| own.or_else(|| outer.clone());
        let cut = Self {
            highlighter: over(reader.text("type")?, &self.highlighter),
            boundary_scanner: over(reader.text("boundary_scanner")?, &self.boundary_scanner),
            fragmenter: over(reader.text("fragmenter")?, &self.fragmenter),
            fragment_offset: reader.integer("fragment_offset")?.or(self.fragment_offset),
        };
        let name = cut.highlighter();
        if !["unified", "plain", "fvh"].contains(&name) {
            return Err(QueryError::illegal(format!(
                "unknown highlighter type [{name}]"
            )));
        }
        Ok(cut)
    }

    fn highlighter(&self) -> &str {
        self.highlighter.as_deref().unwrap_or("unified")
    }

    /// Refuses a way to cut that is not there; what the field's highlighter has no use for changes nothing.
    fn check(&self) -> Result<(), QueryError> {
        let highlighter = self.highlighter();
        let (is_plain, is_fvh) = (highlighter == "plain", highlighter == "fvh");
        let scanner = self.boundary_scanner.as_deref().filter(|_| !is_plain);
        let fragmenter = self.fragmenter.as_deref().filter(|_| is_plain);
        let offset = self.fragment_offset.filter(|_| is_fvh);
        let refuse = |option: &str, given: &str| {
            Err(QueryError::illegal(format!(
                "[highlight] [{option}] of [{given}] is not supported: fragments are cut at sentences"
            )))
        };
        let is_scanned = |given: &&str| match given.to_ascii_lowercase().as_str() {
            "sentence" => true,
            "word" | "chars" => is_fvh,
            _ => false,
        };
        if let Some(given) = scanner.filter(|given| !is_scanned(given)) {
            return refuse("boundary_scanner", given);
        }
        if let Some(given) = fragmenter.filter(|given| !["span", "simple"].contains(given)) {
            return refuse("fragmenter", given);
        }
        match offset {
            Some(given) if given > 0 => refuse("fragment_offset", &given.to_string()),
            _ => Ok(()),
        }
    }
}

/// Reads `highlight`. The types `unified`, `plain` and `fvh` are all answered by one highlighter.
///
/// # Errors
/// `parsing_exception` naming what is unknown or of a wrong type.
pub fn parse_highlight(value: &Value, limits: &Limits) -> Result<Highlight, QueryError> {
    let mut reader = ObjectReader::part("highlight", value)?;
    let mut global = HighlightOptions::default();
    read_options(&mut global, &mut reader, limits)?;
    let cut = Cut::default().read(&mut reader)?;
    let query = global.query.take();
    let fields = match reader.take("fields") {
        None => Vec::new(),
        Some(fields) => highlighted_fields(fields, &global, &cut, limits)?,
    };
    reader.finish()?;
    Ok(Highlight {
        fields,
        require_field_match: global.require_field_match.unwrap_or(true),
        query,
    })
}

/// Reads `{"field": {…}}` or `[{"field": {…}}, …]`.
fn highlighted_fields(
    value: &Value,
    global: &HighlightOptions,
    cut: &Cut,
    limits: &Limits,
) -> Result<Vec<(String, HighlightOptions)>, QueryError> {
    let refuse = |found: &Value| {
        QueryError::parsing(format!(
            "[highlight] [fields] expected an object or an array of objects with one field each \
             but found [{}]",
            token_name(found)
        ))
    };
    let objects: Vec<&Value> = match value {
        Value::Object(_) => vec![value],
        Value::Array(items) => items.iter().collect(),
        other => return Err(refuse(other)),
    };
    let mut fields = Vec::new();
    for object in objects {
        for (field, options) in object.as_object().ok_or_else(|| refuse(object))? {
            fields.push((field.clone(), field_options(options, global, cut, limits)?));
        }
    }
    Ok(fields)
}

fn field_options(
    value: &Value,
    global: &HighlightOptions,
    cut: &Cut,
    limits: &Limits,
) -> Result<HighlightOptions, QueryError> {
    let mut options = global.clone();
    let mut reader = ObjectReader::part("highlight_field", value)?;
    read_options(&mut options, &mut reader, limits)?;
    let cut = cut.read(&mut reader)?;
    // Without fragments nothing is cut.
    if options.number_of_fragments > 0 {
        cut.check()?;
    }
    options.matched_fields = reader.texts("matched_fields")?.unwrap_or_default();
    options.marks_words = cut.highlighter() == "plain";
    let is_any_field = options.require_field_match == Some(false);
    if is_any_field && cut.highlighter() == "unified" && !options.matched_fields.is_empty() {
        return Err(QueryError::illegal(
            "Matched fields are not supported when [require_field_match] is set to [false]",
        ));
    }
    reader.finish()?;
    Ok(options)
}

/// Reads what may stand both at the top and in a field.
fn read_options(
    options: &mut HighlightOptions,
    reader: &mut ObjectReader<'_>,
    limits: &Limits,
) -> Result<(), QueryError> {
    read_tags(options, reader)?;
    let size = |given: Option<u64>, default: usize| {
        given.map_or(default, |n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    options.fragment_size = size(reader.count("fragment_size")?, options.fragment_size);
    options.number_of_fragments = size(
        reader.count("number_of_fragments")?,
        options.number_of_fragments,
    );
    options.no_match_size = size(reader.count("no_match_size")?, options.no_match_size);
    read_max_analyzed_offset(options, reader)?;
    if let Some(order) = reader.text("order")? {
        options.order_by_score = order.eq_ignore_ascii_case("score");
    }
    if let Some(encoder) = reader.text("encoder")? {
        options.encode_html = match encoder.as_str() {
            "html" => true,
            "default" => false,
            _ => {
                return Err(QueryError::illegal(format!(
                    "[highlight] unknown encoder [{encoder}], expected [default] or [html]"
                )));
            }
        };
    }
    if let Some(flag) = reader.boolean("require_field_match")? {
        options.require_field_match = Some(flag);
    }
    if let Some(query) = reader.take("highlight_query") {
        options.query = Some(Box::new(parse_query(query, limits)?));
    }
    reader.ignore(&WITHOUT_EFFECT);
    reader.unsupported(&["options"])
}

/// Reads `max_analyzed_offset`; -1 is the limit of the index, which is that of a search that gives none.
fn read_max_analyzed_offset(
    options: &mut HighlightOptions,
    reader: &mut ObjectReader<'_>,
) -> Result<(), QueryError> {
    match reader.integer("max_analyzed_offset")? {
        None => {}
        Some(-1) => options.max_analyzed_offset = HighlightOptions::default().max_analyzed_offset,
        Some(given) if given > 0 => {
            options.max_analyzed_offset = usize::try_from(given).unwrap_or(usize::MAX);
        }
        Some(_) => {
            return Err(QueryError::illegal(
                "[max_analyzed_offset] must be a positive integer, or -1",
            ));
        }
    }
    Ok(())
}

fn read_tags(
    options: &mut HighlightOptions,
    reader: &mut ObjectReader<'_>,
) -> Result<(), QueryError> {
    if let Some(schema) = reader.text("tags_schema")? {
        match schema.as_str() {
            "default" => {
                options.pre_tags = vec!["<em>".to_owned()];
                options.post_tags = vec!["</em>".to_owned()];
            }
            "styled" => {
                options.pre_tags = (1..=10).map(|n| format!("<em class=\"hlt{n}\">")).collect();
                options.post_tags = vec!["</em>".to_owned()];
            }
            _ => {
                return Err(QueryError::illegal(format!(
                    "Unknown tag schema [{schema}]"
                )));
            }
        }
    }
    let pre_tags = reader.texts("pre_tags")?;
    let post_tags = reader.texts("post_tags")?;
    if pre_tags.is_some() && post_tags.is_none() {
        return Err(QueryError::parsing(
            "[highlight] pre_tags are set but post_tags are not set",
        ));
    }
    if pre_tags.iter().chain(&post_tags).any(Vec::is_empty) {
        return Err(QueryError::parsing(
            "pre_tags or post_tags must not be empty",
        ));
    }
    for tag in pre_tags.iter().chain(&post_tags).flatten() {
        Limits::check_label("a tag of [highlight]", tag)?;
    }
    if let Some(tags) = pre_tags {
        options.pre_tags = tags;
    }
    if let Some(tags) = post_tags {
        options.post_tags = tags;
    }
    Ok(())
}
