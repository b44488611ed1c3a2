//! Keys as a table for people.

use serde_json::Value;

/// Returns the keys of an answer as a table: id, name, state, patterns.
pub(super) fn of(answer: &Value) -> String {
    let keys = answer["api_keys"].as_array();
    let mut rows = vec![["ID", "NAME", "STATE", "MAY"].map(str::to_owned)];
    for key in keys.into_iter().flatten() {
        let text = |name: &str| key[name].as_str().unwrap_or_default().to_owned();
        let state = match (key["invalidated"].as_bool(), key.get("expiration")) {
            (Some(true), _) => "revoked",
            (_, Some(_)) => "expires",
            _ => "valid",
        };
        rows.push([text("id"), text("name"), state.to_owned(), may(key)]);
    }
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max();
    let widths: Vec<usize> = (0..3).map(|at| width(at).unwrap_or_default()).collect();
    let lines = rows.iter().map(|[id, name, state, may]| {
        let (first, second, third) = (widths[0], widths[1], widths[2]);
        let line = format!("{id:first$}  {name:second$}  {state:third$}  {may}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
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
            {"id": "d", "name": "x", "invalidated": true},
        ]});
        let expected = "ID   NAME    STATE    MAY\n\
                        abc  reader  valid    cluster: monitor; logs-*: read\n\
                        d    x       revoked\n";
        assert_eq!(super::of(&keys), expected);
    }
}
