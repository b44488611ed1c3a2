//! Numbers: single ones, statistics, percentiles.

use gleaner_query::answer::Stats;
use gleaner_query::double::java_text;
use serde_json::{Map, Value, json};

/// Standard deviations on each side of the mean in `std_deviation_bounds`.
const SIGMA: f64 = 2.0;

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
        other => Value::from(other),
    };
    object.insert("value".to_owned(), shown);
    if let Some(text) = as_string {
        object.insert("value_as_string".to_owned(), text.into());
    }
}

/// Writes `stats` and, where squares were summed, `extended_stats`.
pub(super) fn stats(stats: &Stats, object: &mut Map<String, Value>) {
    let count = stats.count as f64;
    let some = |value: f64| (stats.count > 0).then_some(value);
    let mean = some(stats.sum / count);
    let mut put = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    put("count", stats.count.into());
    put("min", some(stats.min).into());
    put("max", some(stats.max).into());
    put("avg", mean.into());
    put("sum", stats.sum.into());
    if let Some(squares) = stats.sum_of_squares {
        put("sum_of_squares", some(squares).into());
        let Spread {
            population,
            sampling,
        } = Spread::of(stats.count, stats.sum, squares);
        put("variance", population.into());
        put("variance_population", population.into());
        put("variance_sampling", sampling.into());
        let (population, sampling) = (population.map(f64::sqrt), sampling.map(f64::sqrt));
        put("std_deviation", population.into());
        put("std_deviation_population", population.into());
        put("std_deviation_sampling", sampling.into());
        put("std_deviation_bounds", bounds(mean, population, sampling));
    }
    if let (Some([min, max, avg, sum]), true) = (&stats.as_strings, stats.count > 0) {
        put("min_as_string", min.as_str().into());
        put("max_as_string", max.as_str().into());
        put("avg_as_string", avg.as_str().into());
        put("sum_as_string", sum.as_str().into());
    }
}

struct Spread {
    population: Option<f64>,
    sampling: Option<f64>,
}

impl Spread {
    fn of(count: u64, sum: f64, squares: f64) -> Self {
        let n = count as f64;
        // Rounding can leave a little less than nothing.
        let deviation = (squares - sum * sum / n).max(0.0);
        Self {
            population: (count > 0).then_some(deviation / n),
            sampling: (count > 1).then_some(deviation / (n - 1.0)),
        }
    }
}

fn bounds(mean: Option<f64>, population: Option<f64>, sampling: Option<f64>) -> Value {
    let at = |deviation: Option<f64>, sign: f64| Some(mean? + sign * SIGMA * deviation?);
    json!({
        "upper": at(population, 1.0),
        "lower": at(population, -1.0),
        "upper_population": at(population, 1.0),
        "lower_population": at(population, -1.0),
        "upper_sampling": at(sampling, 1.0),
        "lower_sampling": at(sampling, -1.0),
    })
}

/// Returns `values` of percentiles: an object by percent, or a list.
pub(super) fn percentiles(
    values: &[(f64, Option<f64>)],
    as_strings: Option<&[String]>,
    is_keyed: bool,
) -> Value {
    let text_at = |at: usize| as_strings.and_then(|texts| texts.get(at));
    if is_keyed {
        let mut object = Map::new();
        for (at, (percent, value)) in values.iter().enumerate() {
            let name = java_text(*percent);
            object.insert(name.clone(), (*value).into());
            if let Some(text) = text_at(at) {
                object.insert(format!("{name}_as_string"), text.as_str().into());
            }
        }
        return Value::Object(object);
    }
    let entry = |(at, (percent, value)): (usize, &(f64, Option<f64>))| {
        let mut entry = json!({"key": percent, "value": value});
        if let Some(text) = text_at(at) {
            entry["value_as_string"] = text.as_str().into();
        }
        entry
    };
    values.iter().enumerate().map(entry).collect()
}
