//! `term`, `terms`, `range`, `exists`, `ids`.

use serde_json::Value;

use super::value::{scalar, time_zone};
use super::{check_field, lookup, one_field};
use crate::dsl::{Query, RangeQuery, TermQuery, TermsQuery};
use crate::encoded::Relation;
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text, token_name};
use crate::limits::Limits;

pub(super) fn term(body: &Value) -> Result<TermQuery, QueryError> {
    let (field, value) = one_field("term", body)?;
    match value {
        Value::Array(_) => Err(QueryError::parsing(
            "[term] query does not support array of values".to_owned(),
        )),
        Value::Null => Err(QueryError::illegal("value cannot be null".to_owned())),
        Value::Object(_) => term_with_options(field, value),
        scalar => Ok(TermQuery {
            field: field.to_owned(),
            value: scalar.clone(),
            case_insensitive: false,
            boost: 1.0,
        }),
    }
}

fn term_with_options(field: &str, value: &Value) -> Result<TermQuery, QueryError> {
    let mut reader = ObjectReader::query("term", value)?;
    let query = TermQuery {
        field: field.to_owned(),
        value: scalar(&mut reader, &["value", "term"])?.clone(),
        case_insensitive: reader.boolean("case_insensitive")?.unwrap_or(false),
        boost: reader.boost()?,
    };
    reader.finish()?;
    Ok(query)
}

pub(super) fn terms(body: &Value, limits: &Limits) -> Result<Query, QueryError> {
    let mut reader = ObjectReader::query("terms", body)?;
    let boost = reader.boost()?;
    let mut fields = reader.rest();
    let (Some((field, values)), second) = (fields.next(), fields.next()) else {
        return Err(QueryError::parsing(
            "[terms] query requires a field name, followed by array of terms or a document lookup \
             specification"
                .to_owned(),
        ));
    };
    if let Some((second, _)) = second {
        return Err(QueryError::parsing(format!(
            "[terms] query does not support multiple fields, found [{field}] and [{second}]"
        )));
    }
    check_field("terms", field)?;
    if values.is_object() {
        return lookup::terms_lookup(field, values, boost).map(Query::TermsLookup);
    }
    Ok(Query::Terms(TermsQuery {
        field: field.to_owned(),
        values: term_values(field, values, limits)?.into(),
        boost,
    }))
}

/// Reads the values of a query on `field`.
pub(super) fn term_values(
    field: &str,
    values: &Value,
    limits: &Limits,
) -> Result<Vec<Value>, QueryError> {
    let values = match values {
        Value::Array(values) => values,
        other => {
            return Err(QueryError::parsing(format!(
                "[terms] query requires an array of terms, but found [{}] after [{field}]",
                token_name(other)
            )));
        }
    };
    limits.check_terms(values.len())?;
    match values.iter().find(|value| scalar_text(value).is_none()) {
        None => Ok(values.clone()),
        Some(Value::Null) => Err(QueryError::parsing(
            "No value specified for terms query".to_owned(),
        )),
        Some(other) => Err(QueryError::parsing(format!(
            "[terms] values must be strings, numbers or booleans, but found [{}]",
            token_name(other)
        ))),
    }
}

pub(super) fn range(body: &Value) -> Result<RangeQuery, QueryError> {
    let (field, value) = one_field("range", body)?;
    let mut reader = ObjectReader::query("range", value)?;
    let includes_lower = reader.boolean("include_lower")?.unwrap_or(true);
    let includes_upper = reader.boolean("include_upper")?.unwrap_or(true);
    let lower = [("gt", false), ("gte", true), ("from", includes_lower)];
    let upper = [("lt", false), ("lte", true), ("to", includes_upper)];
    let query = RangeQuery {
        field: field.to_owned(),
        lower: bound(&mut reader, lower)?,
        upper: bound(&mut reader, upper)?,
        relation: relation(&mut reader)?,
        format: reader.text("format")?,
        time_zone: time_zone(&mut reader)?,
        normalize: false,
        boost: reader.boost()?,
    };
    reader.finish()?;
    Ok(query)
}

/// Reads the bound that is given under one of three names; `null` is no bound.
fn bound(
    reader: &mut ObjectReader<'_>,
    names: [(&'static str, bool); 3],
) -> Result<Option<(Value, bool)>, QueryError> {
    let mut found: Option<(&str, &Value, bool)> = None;
    for (name, is_included) in names {
        let Some(value) = reader.take(name) else {
            continue;
        };
        if let Some((other, ..)) = found {
            return Err(QueryError::parsing(format!(
                "[range] query does not support both [{other}] and [{name}]"
            )));
        }
        found = Some((name, value, is_included));
    }
    match found {
        None | Some((_, Value::Null, _)) => Ok(None),
        Some((name, value @ (Value::Array(_) | Value::Object(_)), _)) => {
            Err(reader.wrong(name, "a string or number", value))
        }
        Some((_, value, is_included)) => Ok(Some((value.clone(), is_included))),
    }
}

/// Reads `relation`.
fn relation(reader: &mut ObjectReader<'_>) -> Result<Relation, QueryError> {
    let Some(name) = reader.text("relation")? else {
        return Ok(Relation::Intersects);
    };
    match name.to_ascii_lowercase().as_str() {
        "intersects" => Ok(Relation::Intersects),
        "contains" => Ok(Relation::Contains),
        "within" => Ok(Relation::Within),
        _ => Err(QueryError::parsing(format!(
            "[range] query does not support relation [{name}]"
        ))),
    }
}

pub(super) fn exists(body: &Value) -> Result<Query, QueryError> {
    let mut reader = ObjectReader::query("exists", body)?;
    let field = reader.text("field")?;
    let boost = reader.boost()?;
    reader.finish()?;
    match field {
        Some(field) if !field.is_empty() => Ok(Query::Exists { field, boost }),
        _ => Err(QueryError::parsing(
            "[exists] must be provided with a [field]".to_owned(),
        )),
    }
}

pub(super) fn ids(body: &Value, limits: &Limits) -> Result<Query, QueryError> {
    let mut reader = ObjectReader::query("ids", body)?;
    let values = reader.texts("values")?;
    let boost = reader.boost()?;
    // Older Java clients always write a list of types, empty where none was named.
    reader.unsupported_unless_empty(&["type", "types"])?;
    reader.finish()?;
    let Some(values) = values else {
        return Err(QueryError::parsing(
            "[ids] requires providing [values]".to_owned(),
        ));
    };
    if values.len() > limits.terms {
        return Err(QueryError::illegal(format!(
            "The number of ids [{}] used in the Ids Query request has exceeded the allowed maximum \
             of [{}]",
            values.len(),
            limits.terms
        )));
    }
    Ok(Query::Ids { values, boost })
}
