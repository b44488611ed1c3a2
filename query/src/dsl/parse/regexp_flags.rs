//! Flags of `regexp`: optional operators, switched off by escaping their characters.
//!
//! Source: Lucene's `RegExp`, whose syntax flags have these bits.

use crate::error::QueryError;

/// `&`.
const INTERSECTION: u32 = 0x0001;
/// `~`.
const COMPLEMENT: u32 = 0x0002;
/// `#`.
const EMPTY: u32 = 0x0004;
/// `@`.
const ANYSTRING: u32 = 0x0008;
/// `<1-10>`.
const INTERVAL: u32 = 0x0020;
/// Every operator.
pub(super) const ALL: u32 = 0xffff;

/// Reads names joined by `|`, for example `INTERVAL|EMPTY`; none at all is all of them.
pub(super) fn parse(names: &str) -> Result<u32, QueryError> {
    if names.is_empty() {
        return Ok(ALL);
    }
    let mut flags = 0;
    for name in names.split('|').filter(|name| !name.is_empty()) {
        flags |= match name.trim().to_ascii_uppercase().as_str() {
            "INTERSECTION" => INTERSECTION,
            "COMPLEMENT" => COMPLEMENT,
            "EMPTY" => EMPTY,
            "ANYSTRING" => ANYSTRING,
            "INTERVAL" => INTERVAL,
            "ALL" => ALL,
            "NONE" => 0,
            _ => {
                return Err(QueryError::illegal(format!(
                    "[regexp] unknown flag [{name}] in [{names}]"
                )));
            }
        };
    }
    Ok(flags)
}

/// Escapes the characters of operators that `flags` leave out, outside quotes and escapes.
pub(super) fn escape_disabled(expression: &str, flags: u32) -> String {
    let mut escaped = String::with_capacity(expression.len());
    let mut is_escaped = false;
    let mut is_quoted = false;
    let mut is_class = false;
    for c in expression.chars() {
        if !is_escaped && !is_quoted && !is_class && !is_enabled(c, flags) {
            escaped.push('\\');
        }
        if is_escaped {
            is_escaped = false;
        } else {
            match c {
                '\\' => is_escaped = true,
                '"' if !is_class => is_quoted = !is_quoted,
                '[' if !is_quoted => is_class = true,
                ']' if !is_quoted => is_class = false,
                _ => {}
            }
        }
        escaped.push(c);
    }
    escaped
}

fn is_enabled(c: char, flags: u32) -> bool {
    let needed = match c {
        '&' => INTERSECTION,
        '~' => COMPLEMENT,
        '#' => EMPTY,
        '@' => ANYSTRING,
        '<' | '>' => INTERVAL,
        _ => return true,
    };
    flags & needed != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_left_out_become_plain_characters() {
        let none = parse("NONE").expect("flag");
        assert_eq!(escape_disabled(r"a~b\~[~]<1-2>", none), r"a\~b\~[~]\<1-2\>");
        let interval = parse("INTERVAL|EMPTY").expect("flags");
        assert_eq!(escape_disabled("<1-2>#&", interval), r"<1-2>#\&");
        assert_eq!(escape_disabled("a&~b", ALL), "a&~b");
        assert!(parse("SOME").is_err());
        assert_eq!(parse("").expect("flags"), ALL);
    }
}
