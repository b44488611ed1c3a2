//! What is known of a shadow as a page for people: without scripts, and with nothing from elsewhere.

use gleaner_server::escaped_html;
use serde_json::Value;

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"10\">\
<title>Shadow traffic</title><style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem;text-align:left;\
vertical-align:top}code{font-size:13px}.bar{background:#47a;height:.8rem}</style>";

/// Returns the page of a report as [`super::ShadowReport::to_json`] gives it.
pub(crate) fn page(report: &Value) -> String {
    let mut page = String::from(HEAD);
    let searches = &report["searches"];
    let mut add = |text: &str| page.push_str(text);
    add(&format!(
        "<h1>Shadow traffic</h1><p>A copy of {} of the requests goes to <code>{}</code>; nobody sees its answers.</p>",
        text(&report["share"]),
        text(&report["to"])
    ));
    add("<table>");
    for (name, value) in [
        ("answers compared", &report["compared"]),
        ("copies dropped, as too many waited", &report["dropped"]),
        ("copies without an answer", &report["failed"]),
        ("answers of another status", &report["other_status"]),
        ("searches compared", &searches["compared"]),
        (
            "with the same hits in the same order",
            &searches["same_order"],
        ),
        ("with another total", &searches["other_total"]),
        ("mean overlap of the first ten", &searches["mean_overlap"]),
        ("mean rank-biased overlap (p = 0.9)", &searches["mean_rbo"]),
        (
            "largest difference of a score",
            &searches["largest_score_difference"],
        ),
    ] {
        add(&format!("<tr><th>{name}<td>{}", text(value)));
    }
    add("</table><h2>Time</h2><table><tr><th><th>p50<th>p95<th>p99<th>max");
    for (name, times) in [
        ("main", &report["main_ms"]),
        ("shadow", &report["shadow_ms"]),
    ] {
        add(&format!("<tr><th>{name}"));
        for quantile in ["p50", "p95", "p99", "max"] {
            add(&format!("<td>{} ms", text(&times[quantile])));
        }
    }
    add("</table><h2>Overlap of the first ten</h2><table>");
    let counts = searches["by_overlap_in_tenths"].as_array();
    let counts: Vec<u64> = counts
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    for (tenth, count) in counts.iter().enumerate() {
        let width = count * 400 / most;
        add(&format!(
            "<tr><td>{tenth}0 %<td>{count}<td><div class=\"bar\" style=\"width:{width}px\"></div>"
        ));
    }
    add(
        "</table><h2>Where they differ most</h2><table><tr><th>request<th>overlap<th>RBO<th>main<th>shadow",
    );
    for worst in report["worst"].as_array().into_iter().flatten() {
        add(&row(worst));
    }
    add("</table>");
    page
}

fn row(worst: &Value) -> String {
    let mut row = format!(
        "<tr><td><code>{}</code><br><code>{}</code><td>{}<td>{}",
        text(&worst["request"]),
        text(&worst["body"]),
        text(&worst["likeness"]["overlap"]),
        text(&worst["likeness"]["rbo"])
    );
    for side in [&worst["main"], &worst["shadow"]] {
        row += &format!(
            "<td>{} in {} ms<br>",
            text(&side["status"]),
            text(&side["took_ms"])
        );
        let ids = side["ranking"]["ids"].as_array();
        let scores = side["ranking"]["scores"].as_array();
        let pairs = ids.into_iter().flatten().zip(scores.into_iter().flatten());
        for (id, score) in pairs {
            row += &format!("<code>{}</code> {}<br>", text(id), text(score));
        }
    }
    row
}

/// Returns a value as text that has no meaning to a browser; numbers to four places.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().unwrap_or_default();
            format!("{rounded:.4}")
        }
        other => other.to_string(),
    };
    escaped_html(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_users_send_is_text_on_the_page() {
        let worst =
            json!([{"request": "GET /<script>alert(1)</script>", "main": {}, "shadow": {}}]);
        let page = page(&json!({"worst": worst}));
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    }
}
