//! Tokens as `_analyze` shows them.

use gleaner_analysis::{Explanation, StageTokens, Token};
use serde_json::{Map, Value, json};

/// Byte offsets → offsets in UTF-16 units, as the dialect counts, over values joined by one
/// character.
pub(in crate::routes) struct Offsets {
    /// Byte offset and UTF-16 offset of each character that is not ASCII, and after it.
    steps: Vec<(usize, usize)>,
}

impl Offsets {
    pub(in crate::routes) fn new(texts: &[&str]) -> Self {
        let mut steps = vec![(0, 0)];
        let (mut bytes, mut units) = (0, 0);
        for text in texts {
            for letter in text.chars() {
                bytes += letter.len_utf8();
                units += letter.len_utf16();
                if !letter.is_ascii() {
                    steps.push((bytes, units));
                }
            }
            bytes += 1;
            units += 1;
        }
        Self { steps }
    }

    /// Returns the offset in UTF-16 units of a byte on a character boundary.
    pub(in crate::routes) fn units(&self, byte: usize) -> usize {
        let at = self.steps.partition_point(|(bytes, _)| *bytes <= byte);
        let (bytes, units) = self.steps[at.saturating_sub(1)];
        units + (byte - bytes)
    }
}

/// Returns `{"tokens": […]}`.
pub(super) fn tokens(tokens: &[Token], offsets: &Offsets) -> Value {
    json!({"tokens": list(tokens, offsets, &[])})
}

/// Returns normalized texts, each one token.
pub(super) fn normalized(texts: &[String], terms: &[String]) -> Value {
    let mut start = 0;
    let mut shown = Vec::new();
    for (position, (text, term)) in texts.iter().zip(terms).enumerate() {
        let end = start + text.encode_utf16().count();
        shown.push(json!({
            "token": term, "start_offset": start, "end_offset": end, "type": "word",
            "position": position * 101,
        }));
        start = end + 1;
    }
    json!({"tokens": shown})
}

/// Returns `{"detail": …}`; `attributes` names what is shown beyond the usual, empty is all.
pub(super) fn explained(
    explanation: &Explanation,
    offsets: &Offsets,
    attributes: &[String],
) -> Value {
    let stage = |stage: &StageTokens| {
        let has = |name: &str| {
            attributes.is_empty()
                || attributes
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let extra = ["bytes", "keyword", "positionLength", "termFrequency"];
        let extra: Vec<&str> = extra.into_iter().filter(|name| has(name)).collect();
        json!({"name": stage.name, "tokens": list(&stage.tokens, offsets, &extra)})
    };
    let detail = match explanation {
        Explanation::Analyzer(tokens) => {
            json!({"custom_analyzer": false, "analyzer": stage(tokens)})
        }
        Explanation::Custom {
            char_filters,
            tokenizer,
            filters,
        } => {
            let mut detail = json!({"custom_analyzer": true});
            if !char_filters.is_empty() {
                let texts = char_filters.iter().map(
                    |filter| json!({"name": filter.name, "filtered_text": filter.filtered_text}),
                );
                detail["charfilters"] = texts.collect();
            }
            detail["tokenizer"] = stage(tokenizer);
            if !filters.is_empty() {
                detail["tokenfilters"] = filters.iter().map(stage).collect();
            }
            detail
        }
    };
    json!({"detail": detail})
}

fn list(tokens: &[Token], offsets: &Offsets, extra: &[&str]) -> Vec<Value> {
    tokens
        .iter()
        .map(|token| Value::Object(shown(token, offsets, extra)))
        .collect()
}

fn shown(token: &Token, offsets: &Offsets, extra: &[&str]) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    put("token", token.text.as_str().into());
    put("start_offset", offsets.units(token.start).into());
    put("end_offset", offsets.units(token.end).into());
    put("type", token.kind.as_str().into());
    put("position", token.position.into());
    if token.position_length > 1 && !extra.contains(&"positionLength") {
        put("positionLength", token.position_length.into());
    }
    for name in extra {
        match *name {
            "bytes" => {
                let digits: Vec<String> =
                    token.text.bytes().map(|byte| format!("{byte:x}")).collect();
                put("bytes", format!("[{}]", digits.join(" ")).into());
            }
            "keyword" => put("keyword", token.is_keyword.into()),
            // A token stands for one place in the text.
            "termFrequency" => put("termFrequency", 1.into()),
            _ => put("positionLength", token.position_length.into()),
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use gleaner_analysis::TokenKind;

    use super::*;

    #[test]
    fn a_token_is_explained_with_its_frequency_where_that_is_asked_for() {
        let token = Token {
            text: "tea".to_owned(),
            position: 0,
            position_length: 1,
            start: 0,
            end: 3,
            kind: TokenKind::Word,
            is_keyword: false,
        };
        let stage = StageTokens {
            name: "standard".to_owned(),
            tokens: vec![token],
        };
        let (explanation, offsets) = (Explanation::Analyzer(stage), Offsets::new(&["tea"]));
        let told = |attributes: &[String]| {
            let told = explained(&explanation, &offsets, attributes);
            told["detail"]["analyzer"]["tokens"][0].clone()
        };
        let all = told(&[]);
        assert_eq!(
            (&all["termFrequency"], &all["positionLength"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(told(&["bytes".to_owned()]).get("termFrequency"), None);
    }

    #[test]
    fn offsets_count_utf16_units_across_values() {
        // é is 2 bytes and 1 unit, 😀 is 4 bytes and 2 units.
        let offsets = Offsets::new(&["é a", "😀b"]);
        let seen: Vec<usize> = [0, 2, 3, 4, 5, 9, 10]
            .map(|byte| offsets.units(byte))
            .to_vec();
        assert_eq!(seen, [0, 1, 2, 3, 4, 6, 7]);
    }
}
