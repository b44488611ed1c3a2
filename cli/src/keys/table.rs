//! Keys as a table for people.

use serde_json::Value;

/// Names of the columns.
const HEAD: [&str; 7] = ["ID", "NAME", "STATE", "RATE", "COST", "CONCURRENT", "MAY"];

/// Returns the keys of an answer as a table: id, name, state, limits that fronts hold them to, patterns.
pub(super) fn of(answer: &Value) -> String {
    let keys = answer["api_keys"].as_array();
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(keys.into_iter().flatten().map(row));
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max();
    // The last column ends with its text.
    let last = HEAD.len() - 1;
    let widths: Vec<usize> = (0..last).map(|at| width(at).unwrap_or_default()).collect();
    let lines = rows.iter().map(|row| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        line += &row[last];
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

fn row(key: &Value) -> [String; HEAD.len()] {
    let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
    let state = match (key["invalidated"].as_bool(), key.get("expiration")) {
        (Some(true), _) => "revoked",
        (_, Some(_)) => "expires",
        _ => "valid",
    };
    let limit = |name: &str, unit: &str| {
        let limit = key["limits"][name].as_u64();
        limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit}{unit}"))
    };
    [
        text("id"),
        text("name"),
        state.to_owned(),
        limit("requests_per_second", "/s"),
        limit("cost_ms_per_second", "ms/s"),
        limit("concurrent", ""),
        may(key),
    ]
}

/// Returns what a key may do, in short.
fn may(key: &Value) -> String {
    let texts = |value: &Value| -> String {
        let texts = value.as_array().into_iter().flatten();
        let texts: Vec<&str> = texts.filter_map(Value::as_str).collect();
        texts.join(",")
    };
    let mut parts = Vec::new();
    let roles = key["role_descriptors"].as_object();
    for role in roles.into_iter().flat_map(|roles| roles.values()) {
        let cluster = texts(&role["cluster"]);
        if !cluster.is_empty() {
            parts.push(format!("cluster: {cluster}"));
        }
        for grant in role["indices"].as_array().into_iter().flatten() {
            parts.push(format!(
                "{}: {}",
                texts(&grant["names"]),
                texts(&grant["privileges"])
            ));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_table_has_a_line_for_each_key() {
        let indices = json!([{"names": ["logs-*"], "privileges": ["read"]}]);
        let roles = json!({"key": {"cluster": ["monitor"], "indices": indices}});
        let keys = json!({"api_keys": [
            {"id": "abc", "name": "reader", "invalidated": false, "role_descriptors": roles},
            {"id": "d", "name": "x", "invalidated": true,
             "limits": {"requests_per_second": 50, "cost_ms_per_second": 2000, "concurrent": 8}},
        ]});
        let expected = "ID   NAME    STATE    RATE  COST      CONCURRENT  MAY\n\
                        abc  reader  valid    -     -         -           cluster: monitor; logs-*: read\n\
                        d    x       revoked  50/s  2000ms/s  8\n";
        assert_eq!(super::of(&keys), expected);
    }
}
