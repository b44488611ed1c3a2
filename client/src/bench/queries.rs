//! Files of queries: one a line, as text, as the body of a search, or with tags.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use gleaner_datasets::query_set::TaggedQuery;
use serde_json::{Value, json};

/// How lines become searches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    /// Where text is looked for; empty: in the index's default fields.
    pub(super) fields: &'a [String],
    /// Documents to ask for where a body does not say.
    pub(super) size: u32,
}

/// Reads a file, or standard input for `-`, and returns the bodies of its searches; at least one.
pub(super) fn read(path: &Path, shape: &Shape<'_>) -> Result<Vec<Value>> {
    let failed = || format!("cannot read `{}`", path.display());
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.with_context(failed)?;
    // Some editors begin a file with a mark, which is no part of the first query.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = (1..).zip(text.lines().map(str::trim));
    let filled = lines.filter(|(_, line)| !line.is_empty());
    let bodies: Vec<Value> = filled
        .map(|(number, line)| {
            let at = || format!("{}:{number}", path.display());
            shape.body(line).with_context(at)
        })
        .collect::<Result<_>>()?;
    ensure!(!bodies.is_empty(), "`{}` has no query", path.display());
    Ok(bodies)
}

impl Shape<'_> {
    fn body(&self, line: &str) -> Result<Value> {
        if !line.starts_with('{') {
            return Ok(self.sized(self.matching(line)));
        }
        let body: Value = serde_json::from_str(line).context("not JSON")?;
        if !body["query"].is_string() {
            return Ok(self.sized(body));
        }
        let tagged: TaggedQuery = serde_json::from_value(body).context("not a tagged query")?;
        Ok(self.sized(self.parsed(&tagged.query)))
    }

    /// Looks for words as they are: no character of theirs is syntax.
    fn matching(&self, text: &str) -> Value {
        match self.fields {
            [field] => json!({"query": {"match": {field: {"query": text}}}}),
            [] => json!({"query": {"multi_match": {"query": text}}}),
            fields => json!({"query": {"multi_match": {"query": text, "fields": fields}}}),
        }
    }

    /// Looks for what query-string syntax says.
    fn parsed(&self, text: &str) -> Value {
        let mut query = json!({"query": text});
        if !self.fields.is_empty() {
            query["fields"] = json!(self.fields);
        }
        json!({"query": {"query_string": query}})
    }

    fn sized(&self, mut body: Value) -> Value {
        if body.get("size").is_none() {
            body["size"] = json!(self.size);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(line: &str, fields: &[&str]) -> Value {
        let fields: Vec<String> = fields.iter().copied().map(str::to_owned).collect();
        let shape = Shape {
            fields: &fields,
            size: 3,
        };
        shape.body(line).expect("a query")
    }

    #[test]
    fn text_is_matched_and_never_parsed() {
        let text = r#"a: "b AND"#;
        assert_eq!(
            body(text, &[]),
            json!({"query": {"multi_match": {"query": text}}, "size": 3})
        );
        assert_eq!(
            body(text, &["t"]),
            json!({"query": {"match": {"t": {"query": text}}}, "size": 3})
        );
        assert_eq!(
            body(text, &["t", "u"]),
            json!({"query": {"multi_match": {"query": text, "fields": ["t", "u"]}}, "size": 3})
        );
    }

    #[test]
    fn a_body_goes_as_it_is_and_keeps_its_size() {
        let line = r#"{"query": {"match_all": {}}, "size": 7, "aggs": {}}"#;
        let whole: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(body(line, &["t"]), whole);
        assert_eq!(body("{}", &[]), json!({"size": 3}));
    }

    #[test]
    fn a_tagged_query_is_parsed_by_the_server() {
        let line = r#"{"query": "+a -b", "tags": ["negated"]}"#;
        assert_eq!(
            body(line, &["t"]),
            json!({"query": {"query_string": {"query": "+a -b", "fields": ["t"]}}, "size": 3})
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_query() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queries");
        fs::write(&path, "\u{feff}{\"size\": 7}\r\n").expect("written");
        let shape = Shape {
            fields: &[],
            size: 3,
        };
        assert_eq!(read(&path, &shape).expect("a query"), [json!({"size": 7})]);
    }

    #[test]
    fn a_line_that_is_no_query_is_named_and_so_is_a_file_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("queries");
        let fields = Vec::new();
        let shape = Shape {
            fields: &fields,
            size: 10,
        };
        fs::write(&path, "a\n\n{\"query\": \"x\"}\n").expect("written");
        let error = format!("{:#}", read(&path, &shape).expect_err("no tags"));
        assert!(error.contains("queries:3: not a tagged query"), "{error}");
        fs::write(&path, "\n \n").expect("written");
        let error = read(&path, &shape).expect_err("nothing").to_string();
        assert!(error.ends_with("has no query"), "{error}");
    }
}
