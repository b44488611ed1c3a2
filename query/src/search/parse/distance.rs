//! `_geo_distance` in `sort`.

use serde_json::Value;

use super::sort::{is_descending, mode};
use crate::encoded::{Corner, GeoPoint, PointValidation, unit_m};
use crate::error::QueryError;
use crate::json::ObjectReader;
use crate::search::{Missing, PointDistance, SortKey, SortMode, SortTarget};

/// Most points that distances are measured from: each is measured for every match.
const MAX_ORIGINS: usize = 1_024;

/// Reads the options of `_geo_distance`.
///
/// Documents without a point are infinitely far: last in ascending order, first in descending order.
pub(super) fn key(options: &Value) -> Result<SortKey, QueryError> {
    let mut reader = ObjectReader::part("_geo_distance", options)?;
    reader.unsupported(&["nested", "nested_path", "nested_filter"])?;
    let descending = match reader.text("order")? {
        None => false,
        Some(order) => is_descending(&order)?,
    };
    let mode = mode(&mut reader)?;
    if mode == Some(SortMode::Sum) {
        return Err(QueryError::illegal(
            "sort_mode [sum] isn't supported for sorting by geo distance",
        ));
    }
    let unit = reader.text("unit")?.unwrap_or_else(|| "m".to_owned());
    let unit_m = unit_m(&unit).ok_or_else(|| {
        QueryError::illegal(format!("No match found for value [{unit}] of [unit]"))
    })?;
    let is_plane = is_plane(&mut reader)?;
    let ignores_unmapped = reader.boolean("ignore_unmapped")?.unwrap_or(false);
    let validation = PointValidation::read(&mut reader)?;
    let (field, origins) = field_and_origins(reader, validation)?;
    Ok(SortKey {
        target: SortTarget::Distance(PointDistance {
            field,
            origins,
            unit_m,
            is_plane,
        }),
        descending,
        missing: if descending {
            Missing::First
        } else {
            Missing::Last
        },
        mode,
        unmapped_type: ignores_unmapped.then(|| "geo_point".to_owned()),
        format: None,
        numeric_type: None,
    })
}

fn is_plane(reader: &mut ObjectReader<'_>) -> Result<bool, QueryError> {
    match reader.text("distance_type")?.as_deref() {
        None => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("arc") => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("plane") => Ok(true),
        Some(other) => Err(QueryError::illegal(format!(
            "No geo distance for [{other}], expected [arc] or [plane]"
        ))),
    }
}

/// Reads the one key that is no option: a field with the points that distances are measured from.
fn field_and_origins(
    reader: ObjectReader<'_>,
    validation: PointValidation,
) -> Result<(String, Vec<GeoPoint>), QueryError> {
    let mut fields = reader.rest();
    let (Some((field, value)), second) = (fields.next(), fields.next()) else {
        return Err(QueryError::parsing(
            "[_geo_distance] sort requires a field with points",
        ));
    };
    if let Some((second, _)) = second {
        return Err(QueryError::parsing(format!(
            "Trying to reset fieldName to [{second}], already set to [{field}]."
        )));
    }
    let point = |value: &Value| validation.point(value, Corner::BottomLeft);
    let origins = match value {
        Value::Array(items) if !items.iter().all(Value::is_number) || items.is_empty() => {
            items.iter().map(point).collect::<Result<_, _>>()
        }
        one => point(one).map(|point| vec![point]),
    };
    let origins: Vec<GeoPoint> = origins.map_err(QueryError::parsing)?;
    match origins.len() {
        0 => Err(QueryError::illegal(
            "must provide at least one point for sorting",
        )),
        1..=MAX_ORIGINS => Ok((field.to_owned(), origins)),
        num_origins => Err(QueryError::illegal(format!(
            "[_geo_distance] sort has [{num_origins}] points, more than [{MAX_ORIGINS}]"
        ))),
    }
}
