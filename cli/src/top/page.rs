//! The page `/topz` of one process as text.

use serde_json::{Map, Number, Value};

use super::view::{View, in_bytes, in_time, line, text};
use crate::terminal::{Palette, grouped, one_line};

/// Columns of the names of values.
const NAMES: usize = 40;

/// The whole numbers below it are exact as floats: 2^53.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Lays out a page. A part of it that only some roles have is shown like the others: nothing is left out.
pub(crate) fn to_text(page: &Value, palette: Palette) -> String {
    let Palette { strong, reset, .. } = palette;
    let up = page["uptime_ms"].as_u64();
    let up = up.map_or_else(|| "-".to_owned(), in_time);
    let [node, role, version] = ["node", "role", "version"].map(|name| text(&page[name]));
    let mut shown = format!("{strong}{node}{reset}  {role}  version {version}, up {up}\n");
    let busy = &page["busy"];
    for (name, part) in page.as_object().into_iter().flatten() {
        if let Some(values) = part.as_object().filter(|_| name != "busy") {
            table(&mut shown, name, values, palette);
        }
    }
    let open = Map::from_iter([("open".to_owned(), busy["num_running"].clone())]);
    table(&mut shown, "requests", &open, palette);
    let mut view = View::default();
    view.add_page("", page);
    view.list_all(&mut shown, palette);
    shown
}

/// Writes names with their values below a title.
fn table(shown: &mut String, title: &str, values: &Map<String, Value>, palette: Palette) {
    if values.is_empty() {
        return;
    }
    let Palette { faint, reset, .. } = palette;
    let title = one_line(title).to_uppercase();
    line(shown, &format!("\n{faint}{title}{reset}"));
    for (name, value) in values {
        let value = value_of(name, value);
        line(shown, &format!("{:<NAMES$} {value}", one_line(name)));
    }
}

/// Writes a value with its unit, which the end of its name says; labels in `{…}` are no part of the name.
fn value_of(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(_) => text(value),
        Value::Array(values) => {
            let values = values.iter().map(|value| value_of(name, value));
            values.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => match whole(number) {
            Some(bytes) if is_of_bytes(name) => in_bytes(bytes),
            Some(number) if name == "pid" => number.to_string(),
            Some(number) => grouped(number),
            None => in_hundredths(number.as_f64().unwrap_or_default()),
        },
        other => one_line(&other.to_string()),
    }
}

fn is_of_bytes(name: &str) -> bool {
    let name = name.split('{').next().unwrap_or_default();
    name.ends_with("_bytes")
}

/// Returns a number without decimals, also one that is written with a `.0`, as gauges are.
fn whole(number: &Number) -> Option<u64> {
    let is_whole = |float: &f64| float.fract() == 0.0 && (0.0..MAX_WHOLE).contains(float);
    number
        .as_u64()
        .or_else(|| number.as_f64().filter(is_whole).map(|float| float as u64))
}

/// Writes a number with two decimals at most.
fn in_hundredths(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_parts_of_a_page_are_shown_with_their_units() {
        let page = json!({
            "node": "leaf-1\u{1b}[2J", "role": "leaf", "version": "1.2.3", "uptime_ms": 61_000,
            "process": {"pid": 12_345, "cpu_percent": 7, "cpu_seconds": 1.5, "resident_bytes": 5 << 20, "threads": 12},
            "machine": {"load": [0.5, 1.25, 100.0]},
            "queues": {"gleaner_connections{port=\"clients\"}": 3.0},
            "caches": {
                "gleaner_cache_bytes": 1_048_576.0,
                "gleaner_cache_limit_bytes{cache=\"filter\"}": 0.0,
                "gleaner_cache_entries": 12_345.0,
            },
            "busy": {
                "num_running": 1,
                "running": [{"method": "POST", "path": "/a/_search", "running_ms": 1_500}],
                "routes": [], "searches": [], "shards": [],
            },
        });
        let shown = to_text(&page, Palette::PLAIN);
        let mut lines = shown.lines();
        assert_eq!(
            lines.next(),
            Some("leaf-1 [2J  leaf  version 1.2.3, up 1m01s")
        );
        let has = |name: &str, value: &str| {
            let wanted = format!("{name:<NAMES$} {value}");
            assert!(shown.lines().any(|line| line == wanted), "{name}: {shown}");
        };
        has("pid", "12345");
        has("cpu_seconds", "1.5");
        has("resident_bytes", "5 MiB");
        has("threads", "12");
        has("load", "0.5, 1.25, 100");
        has("gleaner_connections{port=\"clients\"}", "3");
        has("gleaner_cache_bytes", "1 MiB");
        has("gleaner_cache_limit_bytes{cache=\"filter\"}", "0 KiB");
        has("gleaner_cache_entries", "12,345");
        has("open", "1");
        assert!(shown.contains("POST /a/_search"), "{shown}");
    }

    #[test]
    fn what_a_process_does_not_know_of_itself_is_no_fault() {
        let page =
            json!({"node": "n", "role": "front", "process": null, "machine": {"load": null}});
        let shown = to_text(&page, Palette::PLAIN);
        assert!(!shown.contains("PROCESS"), "{shown}");
        assert!(shown.starts_with("n  front  version , up -\n"), "{shown}");
    }
}
