//! What went wrong between a command and its server, in words: each fault once, its root cause first.

use std::error::Error;

use anyhow::{Error as AnyError, anyhow};
use reqwest::{StatusCode, Url};
use serde_json::Value;

/// Words a fault of the server: its status, and the reason it gives in its body.
pub fn reason(status: StatusCode, body: &[u8]) -> String {
    let code = status.as_u16();
    let body_json = serde_json::from_slice::<Value>(body).ok();
    match body_json.as_ref().and_then(|body| body.get("error")) {
        Some(error) => format!("the server refused with {code}: {}", cause(error)),
        None => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            format!("the server answered {status}: {}", text.trim())
        }
    }
}

/// Words the `error` member of an answer or an item: its root cause, then what that led to; or what else
/// is in its place.
pub fn cause(error: &Value) -> String {
    let Some(outer) = kind_and_reason(error) else {
        let text = error.as_str();
        return text.map_or_else(|| error.to_string(), str::to_owned);
    };
    let roots = error["root_cause"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let root = roots.first().and_then(kind_and_reason);
    let first = root.clone().unwrap_or_else(|| outer.clone());
    // What is deeper than the root cause, where the dialect gives the name to an outer one.
    let deeper = deepest(error).filter(|deeper| !first.contains(deeper));
    let mut words = first.clone();
    if let Some(deeper) = deeper {
        words = format!("{words}: {deeper}");
    }
    if roots.len() > 1 {
        words = format!("{words}; and {} more causes", roots.len() - 1);
    }
    match first == outer {
        true => words,
        false => format!("{words} ({outer})"),
    }
}

/// Returns the reason of the innermost cause.
fn deepest(error: &Value) -> Option<&str> {
    let mut inner = error.get("caused_by")?;
    while let Some(next) = inner.get("caused_by") {
        inner = next;
    }
    inner["reason"].as_str()
}

fn kind_and_reason(error: &Value) -> Option<String> {
    let (kind, reason) = (error["type"].as_str()?, error["reason"].as_str()?);
    Some(format!("{kind}: {reason}"))
}

/// Words why a request got no answer. The errors around the innermost only repeat that there was none.
pub(crate) fn fault(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return "no answer in time (--timeout)".to_owned();
    }
    let mut innermost: &dyn Error = error;
    while let Some(deeper) = innermost.source() {
        innermost = deeper;
    }
    innermost.to_string()
}

/// Words that nobody answers at `address`, and why.
pub fn unanswered(address: &Url, error: &reqwest::Error) -> AnyError {
    anyhow!("no server answers at {address}: {}", fault(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_root_cause_comes_first_and_nothing_twice() {
        let refused = json!({"error": {
            "root_cause": [{"type": "illegal_argument_exception", "reason": "Result window is too large"}],
            "type": "search_phase_execution_exception", "reason": "all shards failed",
            "caused_by": {"type": "illegal_argument_exception", "reason": "Result window is too large"},
        }});
        let told = reason(StatusCode::BAD_REQUEST, refused.to_string().as_bytes());
        assert_eq!(
            told,
            "the server refused with 400: illegal_argument_exception: Result window is too large \
             (search_phase_execution_exception: all shards failed)"
        );
        let own = json!({
            "root_cause": [{"type": "t", "reason": "r"}, {"type": "u", "reason": "s"}],
            "type": "t", "reason": "r", "caused_by": {"type": "x", "reason": "deep"},
        });
        assert_eq!(cause(&own), "t: r: deep; and 1 more causes");
        let item = json!({"type": "t", "reason": "r", "caused_by": {"reason": "why"}});
        assert_eq!(cause(&item), "t: r: why");
        assert_eq!(cause(&json!("plain")), "plain");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_once() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let url: Url = format!("http://{address}/").parse().expect("an address");
        let client = crate::http::http_client(false, None).expect("a client");
        let client = client.no_proxy().build().expect("a client");
        let error = client.get(url.clone()).send().await.expect_err("nobody");
        let told = unanswered(&url, &error).to_string();
        assert_eq!(told.matches(&address.to_string()).count(), 1, "{told}");
        let words: Vec<&str> = told.split(": ").collect();
        assert_eq!(words.len(), 2, "{told}");
        assert!(words[1].contains("refused"), "{told}");
    }
}
