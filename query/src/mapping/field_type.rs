//! Type names and their parameters → [`FieldKind`].

mod text;

use std::net::IpAddr;

use gleaner_model::mapping::{Codec, KeywordKind, Resolution};
use gleaner_model::{DateFormat, FieldKind, FieldPath, NumberKind};
use serde_json::Number;

use text::{completion, match_only_text, search_as_you_type, text};

use super::merge::MATCH_ONLY_TEXT;
use super::parameters::Parameters;
use super::{MappingRules, malformed};
use crate::date::{DateFormatter, TimeZone};
use crate::encoded::parse_point;
use crate::error::QueryError;

/// Types of the dialect that we know and do not have.
const NOT_SUPPORTED: &[&str] = &[
    "geo_shape",
    "point",
    "shape",
    "dense_vector",
    "sparse_vector",
    "semantic_text",
    "join",
    "percolator",
    "rank_vectors",
    "histogram",
    "aggregate_metric_double",
    "murmur3",
    "annotated_text",
    "version",
    "passthrough",
    "counted_keyword",
    "knn_vector",
    "flat_object",
];

/// Types of objects, which their parents read.
const OBJECTS: [&str; 2] = ["object", "nested"];

/// Reads the parameters of one type.
type Reader = fn(&mut Parameters, &MappingRules) -> Result<FieldKind, QueryError>;

/// The types of values that we have, and what reads each.
const READERS: &[(&str, Reader)] = &[
    ("text", text),
    (MATCH_ONLY_TEXT, match_only_text),
    ("keyword", |from, _| keyword(from)),
    ("wildcard", |from, _| wildcard(from)),
    ("constant_keyword", |from, _| constant_keyword(from)),
    ("flattened", |from, _| flattened(from)),
    ("token_count", |from, _| token_count(from)),
    ("alias", |from, _| alias(from)),
    ("boolean", |from, _| boolean(from)),
    ("date", |from, _| date(from, Resolution::Millis)),
    ("date_nanos", |from, _| date(from, Resolution::Nanos)),
    ("ip", |from, _| ip(from)),
    ("completion", |from, _| completion(from)),
    ("binary", |from, _| binary(from)),
    ("search_as_you_type", search_as_you_type),
    ("rank_feature", |from, _| rank_feature(from)),
    ("rank_features", |from, _| rank_features(from)),
    ("geo_point", |from, _| geo_point(from)),
    ("integer_range", |from, _| range(Codec::IntegerRange, from)),
    ("long_range", |from, _| range(Codec::LongRange, from)),
    ("float_range", |from, _| range(Codec::FloatRange, from)),
    ("double_range", |from, _| range(Codec::DoubleRange, from)),
    ("date_range", |from, _| date_range(from)),
    ("ip_range", |from, _| range(Codec::IpRange, from)),
    ("long", |from, _| number(NumberKind::Long, from)),
    ("integer", |from, _| number(NumberKind::Integer, from)),
    ("short", |from, _| number(NumberKind::Short, from)),
    ("byte", |from, _| number(NumberKind::Byte, from)),
    ("unsigned_long", |from, _| {
        number(NumberKind::UnsignedLong, from)
    }),
    ("double", |from, _| number(NumberKind::Double, from)),
    ("float", |from, _| number(NumberKind::Float, from)),
    ("half_float", |from, _| number(NumberKind::HalfFloat, from)),
    ("scaled_float", |from, _| scaled_float(from)),
];

fn reader_of(name: &str) -> Option<Reader> {
    let mut readers = READERS.iter();
    let found = readers.find(|(known, _)| *known == name);
    found.map(|(_, reader)| *reader)
}

/// Returns whether the dialect has a type of that name, supported here or not.
pub fn is_field_type(name: &str) -> bool {
    reader_of(name).is_some() || OBJECTS.contains(&name) || NOT_SUPPORTED.contains(&name)
}

/// Names that a key of a `flattened` field may be made of where nothing else is declared.
const DEPTH_LIMIT: u32 = 20;

/// Reads the type called `type_name`; objects are read by their parent.
pub(super) fn read(
    type_name: &str,
    from: &mut Parameters,
    rules: &MappingRules,
) -> Result<FieldKind, QueryError> {
    // Of no consequence for what is found or how it ranks.
    from.accept(&["meta"]);
    if type_name != MATCH_ONLY_TEXT {
        from.flag_without_effect("store")?;
    }
    let fault = match reader_of(type_name) {
        Some(read) => return read(from, rules),
        None if NOT_SUPPORTED.contains(&type_name) => {
            format!(
                "type [{type_name}] of field [{}] is not supported",
                from.path()
            )
        }
        None => format!(
            "No handler for type [{type_name}] declared on field [{}]",
            from.path()
        ),
    };
    Err(malformed(fault))
}

fn binary(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    Ok(FieldKind::Binary {
        doc_values: from.bool("doc_values", false)?,
    })
}

fn rank_feature(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let null_value = match from.number("null_value")? {
        None => None,
        Some(value) => {
            let is_held = (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&value);
            let held = Number::from_f64(value).filter(|_| is_held);
            Some(held.ok_or_else(|| from.wrong("null_value", "a positive number"))?)
        }
    };
    Ok(FieldKind::Number {
        number: NumberKind::RankFeature {
            positive_score_impact: from.bool("positive_score_impact", true)?,
        },
        null_value,
        coerce: true,
        ignore_malformed: false,
        index: false,
        doc_values: true,
    })
}

/// Features by name. Each has a column of its own; none has one for all of them.
fn rank_features(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    Ok(FieldKind::Number {
        number: NumberKind::RankFeatures {
            positive_score_impact: from.bool("positive_score_impact", true)?,
        },
        null_value: None,
        coerce: true,
        ignore_malformed: false,
        index: false,
        doc_values: false,
    })
}

fn geo_point(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let ignore_malformed = from.bool("ignore_malformed", false)?;
    from.only("ignore_z_value", "true")?;
    // Kept as declared: documents are read by it.
    if let Some(value) = from.any("null_value")
        && let Err(reason) = parse_point(value)
    {
        return Err(malformed(format!(
            "Error parsing [null_value] on field [{}]: {reason}",
            from.path()
        )));
    }
    accept_doc_values(from);
    Ok(FieldKind::Encoded {
        codec: Codec::GeoPoint,
        ignore_malformed,
        index: from.bool("index", true)?,
    })
}

fn date_range(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let format = from
        .string("format")?
        .map_or_else(DateFormat::default, DateFormat);
    DateFormatter::parse_pattern(&format.0)?;
    range(Codec::DateRange(format), from)
}

fn range(codec: Codec, from: &mut Parameters) -> Result<FieldKind, QueryError> {
    from.only("coerce", "true")?;
    accept_doc_values(from);
    Ok(FieldKind::Encoded {
        codec,
        ignore_malformed: false,
        index: from.bool("index", true)?,
    })
}

/// Takes `doc_values` of ranges and points, which are found by their terms: there is nothing to sort or to aggregate by.
fn accept_doc_values(from: &mut Parameters) {
    from.accept(&["doc_values"]);
}

/// Takes `BM25` and the names of an index's own: whether there are such is checked with its settings,
/// which have their numbers.
fn similarity(from: &mut Parameters) -> Result<(), QueryError> {
    match from.string("similarity")? {
        Some(other) if other == "boolean" => Err(from.unsupported("similarity", &other)),
        _ => Ok(()),
    }
}

fn keyword(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    similarity(from)?;
    from.only("norms", "false")?;
    from.only("split_queries_on_whitespace", "false")?;
    let is_counted = match from.string("index_options")?.as_deref() {
        None | Some("docs") => false,
        Some("freqs") => true,
        Some(other) => {
            return Err(malformed(format!(
                "Unknown value [{other}] for field [index_options] - accepted values are [docs, freqs]"
            )));
        }
    };
    from.flag_without_effect("eager_global_ordinals")?;
    let index = from.bool("index", true)?;
    Ok(FieldKind::Keyword {
        // What has no index is not scored.
        family: match is_counted && index {
            true => KeywordKind::Counted,
            false => KeywordKind::Plain,
        },
        ignore_above: from.count("ignore_above")?,
        normalizer: from.string("normalizer")?,
        null_value: from.string("null_value")?,
        index,
        doc_values: from.bool("doc_values", true)?,
    })
}

/// A `keyword` by another name: patterns walk the terms of its dictionary.
fn wildcard(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    Ok(FieldKind::Keyword {
        family: KeywordKind::Wildcard,
        ignore_above: from.count("ignore_above")?,
        normalizer: None,
        null_value: from.string("null_value")?,
        index: true,
        doc_values: true,
    })
}

fn constant_keyword(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let value = from.string("value")?;
    Ok(FieldKind::Keyword {
        family: value.map_or(KeywordKind::Unset, KeywordKind::Constant),
        ignore_above: None,
        normalizer: None,
        null_value: None,
        index: true,
        doc_values: true,
    })
}

fn flattened(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    similarity(from)?;
    from.only("split_queries_on_whitespace", "false")?;
    from.only("index_options", "docs")?;
    from.flag_without_effect("eager_global_ordinals")?;
    let depth_limit = from.count("depth_limit")?.unwrap_or(DEPTH_LIMIT);
    if depth_limit == 0 {
        return Err(from.wrong("depth_limit", "a positive number"));
    }
    Ok(FieldKind::Keyword {
        family: KeywordKind::Flattened { depth_limit },
        ignore_above: from.count("ignore_above")?,
        normalizer: None,
        null_value: from.string("null_value")?,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

fn token_count(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    if from.string("analyzer")?.is_none() {
        return Err(malformed(format!(
            "Analyzer must be set for field [{}] but wasn't.",
            from.path()
        )));
    }
    let number = NumberKind::TokenCount {
        counts_gaps: from.bool("enable_position_increments", true)?,
    };
    let null_value = match from.string("null_value")? {
        None => None,
        Some(text) => {
            let value = whole(NumberKind::Integer, &text);
            let value = value.ok_or_else(|| from.wrong("null_value", "a whole number"))?;
            from.keep_read("null_value", value.clone());
            Some(value)
        }
    };
    Ok(FieldKind::Number {
        number,
        null_value,
        coerce: true,
        ignore_malformed: false,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

fn alias(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let path = from.string("path")?.ok_or_else(|| {
        malformed(format!(
            "The [path] property must be specified for field [{}].",
            from.path()
        ))
    })?;
    Ok(FieldKind::Alias {
        path: FieldPath::new(path),
    })
}

fn boolean(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    from.only("ignore_malformed", "false")?;
    let null_value = match from.string("null_value")?.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false" | "") => Some(false),
        Some(_) => return Err(from.wrong("null_value", "true or false")),
    };
    if let Some(value) = null_value {
        from.keep_read("null_value", value);
    }
    Ok(FieldKind::Boolean {
        null_value,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

fn date(from: &mut Parameters, resolution: Resolution) -> Result<FieldKind, QueryError> {
    if let Some(locale) = from.string("locale")? {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        if !matches!(language, "" | "en" | "ROOT") {
            return Err(from.unsupported("locale", &locale));
        }
    }
    let format = from.string("format")?;
    let format = DateFormat(format.unwrap_or_else(|| resolution.default_format().to_owned()));
    let formatter = DateFormatter::parse_pattern(&format.0).map_err(|fault| {
        malformed(format!(
            "Error parsing [format] on field [{}]: {}",
            from.path(),
            fault.reason
        ))
    })?;
    let null_value = from.string("null_value")?;
    if let Some(text) = &null_value {
        let read = formatter.read_in(text, &TimeZone::UTC, false);
        // One that was taken as milliseconds stands for no value.
        let counts_nanos = resolution.is_nanos() && !from.is_kept();
        let fault = match read {
            Err(fault) => Some(fault.reason),
            Ok(instant) if counts_nanos => instant.to_nanos().err(),
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            return Err(malformed(format!(
                "Error parsing [null_value] on field [{}]: {fault}",
                from.path()
            )));
        }
    }
    Ok(FieldKind::Date {
        resolution,
        format,
        null_value,
        ignore_malformed: from.bool("ignore_malformed", false)?,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

fn ip(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let null_value = from.string("null_value")?;
    if let Some(text) = &null_value
        && text.parse::<IpAddr>().is_err()
    {
        return Err(malformed(format!(
            "Error parsing [null_value] on field [{}]: '{text}' is not an IP string literal.",
            from.path()
        )));
    }
    Ok(FieldKind::Ip {
        null_value,
        ignore_malformed: from.bool("ignore_malformed", false)?,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

fn scaled_float(from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let factor = from.number("scaling_factor")?.ok_or_else(|| {
        malformed(format!(
            "Field [{}] misses required parameter [scaling_factor]",
            from.path()
        ))
    })?;
    if factor <= 0.0 {
        return Err(malformed(format!(
            "[scaling_factor] must be a positive number, got [{factor}]"
        )));
    }
    number(NumberKind::ScaledFloat { factor }, from)
}

fn number(number: NumberKind, from: &mut Parameters) -> Result<FieldKind, QueryError> {
    let wrong = |from: &Parameters| from.wrong("null_value", "a value of the field's type");
    let null_value = match from.number("null_value")? {
        None => None,
        Some(_) if number.is_integral() => {
            let text = from.string("null_value")?.unwrap_or_default();
            Some(whole(number, &text).ok_or_else(|| wrong(from))?)
        }
        Some(value) => {
            let held = Number::from_f64(value).filter(|_| holds(number, value));
            Some(held.ok_or_else(|| wrong(from))?)
        }
    };
    if let Some(value) = &null_value {
        from.keep_read("null_value", value.clone());
    }
    Ok(FieldKind::Number {
        number,
        null_value,
        coerce: from.bool("coerce", true)?,
        ignore_malformed: from.bool("ignore_malformed", false)?,
        index: from.bool("index", true)?,
        doc_values: from.bool("doc_values", true)?,
    })
}

/// Reads a whole number within the type's range, exactly; a fraction without a rest is one too.
fn whole(number: NumberKind, text: &str) -> Option<Number> {
    let fraction = || {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0).then_some(value as i128)
    };
    let value: i128 = text.parse().ok().or_else(fraction)?;
    let (low, high) = match number {
        NumberKind::Integer => (i32::MIN.into(), i32::MAX.into()),
        NumberKind::Short => (i16::MIN.into(), i16::MAX.into()),
        NumberKind::Byte => (i8::MIN.into(), i8::MAX.into()),
        NumberKind::UnsignedLong => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    Number::from_i128(value).filter(|_| (low..=high).contains(&value))
}

/// Returns whether a value is within the range of a type of fractions.
fn holds(number: NumberKind, value: f64) -> bool {
    let (low, high) = match number {
        NumberKind::Float => (f64::from(f32::MIN), f64::from(f32::MAX)),
        NumberKind::HalfFloat => (-65_504.0, 65_504.0),
        _ => (f64::MIN, f64::MAX),
    };
    (low..=high).contains(&value)
}
