//! Numbers: single ones, statistics, percentiles.

use gleaner_query::answer::{Figure, Spread, Stats};
use gleaner_query::double::java_text;
use serde_json::{Map, Value, json};

/// Writes `value`; counts are whole numbers.
pub(super) fn number(
    type_name: &str,
    value: Option<f64>,
    as_string: Option<&str>,
    object: &mut Map<String, Value>,
) {
    let is_count = matches!(type_name, "value_count" | "cardinality");
    let shown = match value {
        Some(count) if is_count => Value::from(count as u64),
        other => other.map_or(Value::Null, double),
    };
    object.insert("value".to_owned(), shown);
    if let Some(text) = as_string {
        object.insert("value_as_string".to_owned(), text.into());
    }
}

/// Returns a number as the dialect has it: what JSON has no number for stands as text (`"NaN"`,
/// `"Infinity"`).
fn double(value: f64) -> Value {
    if value.is_finite() {
        Value::from(value)
    } else {
        java_text(value).into()
    }
}

/// Writes `stats` and, where there is one, the spread of `extended_stats`.
pub(super) fn stats(stats: &Stats, object: &mut Map<String, Value>) {
    let has_values = stats.count > 0;
    let some = |value: f64| has_values.then(|| double(value)).into();
    let mut put = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    put("count", stats.count.into());
    put("min", some(stats.min));
    put("max", some(stats.max));
    put("avg", some(stats.sum / stats.count as f64));
    put("sum", double(stats.sum));
    if let (Some([min, max, avg, sum]), true) = (&stats.as_strings, has_values) {
        put("min_as_string", min.as_str().into());
        put("max_as_string", max.as_str().into());
        put("avg_as_string", avg.as_str().into());
        put("sum_as_string", sum.as_str().into());
    }
    if let Some(all) = &stats.spread {
        spread(all, &|figure| some(figure.value), ("", object));
        if has_values && all.sum_of_squares.text.is_some() {
            let text = |figure: &Figure| figure.text.as_deref().into();
            spread(all, &text, ("_as_string", object));
        }
    }
}

/// Writes the figures of `extended_stats`, each under its name and `suffix`.
fn spread(
    all: &Spread,
    show: &dyn Fn(&Figure) -> Value,
    (suffix, object): (&str, &mut Map<String, Value>),
) {
    let mut put = |name: &str, value: Value| {
        object.insert(format!("{name}{suffix}"), value);
    };
    put("sum_of_squares", show(&all.sum_of_squares));
    for (name, [population, sampling]) in [
        ("variance", &all.variance),
        ("std_deviation", &all.deviation),
    ] {
        put(name, show(population));
        put(&format!("{name}_population"), show(population));
        put(&format!("{name}_sampling"), show(sampling));
    }
    let [population, sampling] = &all.bounds;
    let bounds = json!({
        "upper": show(&population[0]),
        "lower": show(&population[1]),
        "upper_population": show(&population[0]),
        "lower_population": show(&population[1]),
        "upper_sampling": show(&sampling[0]),
        "lower_sampling": show(&sampling[1]),
    });
    put("std_deviation_bounds", bounds);
}

/// Returns `values` of percentiles: an object by percent, or a list. There the text of a value has a name of its own in
/// `percentiles_bucket`, as in Elasticsearch.
pub(super) fn percentiles(
    type_name: &str,
    values: &[(f64, Option<f64>)],
    as_strings: Option<&[String]>,
    is_keyed: bool,
) -> Value {
    let text_at = |at: usize| as_strings.and_then(|texts| texts.get(at));
    if is_keyed {
        let mut object = Map::new();
        for (at, (percent, value)) in values.iter().enumerate() {
            let name = java_text(*percent);
            object.insert(name.clone(), value.map_or(Value::Null, double));
            if let Some(text) = text_at(at) {
                object.insert(format!("{name}_as_string"), text.as_str().into());
            }
        }
        return Value::Object(object);
    }
    let entry = |(at, (percent, value)): (usize, &(f64, Option<f64>))| {
        let mut entry = json!({"key": percent, "value": value.map_or(Value::Null, double)});
        if let Some(text) = text_at(at) {
            let name = match type_name {
                "percentiles_bucket" => format!("{}_as_string", java_text(*percent)),
                _ => "value_as_string".to_owned(),
            };
            entry[name] = text.as_str().into();
        }
        entry
    };
    values.iter().enumerate().map(entry).collect()
}
