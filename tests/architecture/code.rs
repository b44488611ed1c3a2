//! Just enough of Rust's lexis to look for paths in code: no comments, no literals, no tests.

/// Returns `text` with comments, string and character literals, and `#[cfg(test)]` items blanked,
/// white space around `::` removed, and grouped imports written out behind it.
///
/// Line breaks stay where they were. Raw strings, nested comments and lifetimes are understood;
/// macros are not expanded, so a name made by a macro stays hidden.
pub(crate) fn product(text: &str) -> String {
    let code = without_test_items(&without_comments_and_literals(text));
    let joined = join_paths(&code);
    let groups = written_out_groups(&joined);
    format!("{joined}\n{groups}")
}

/// Does `code` hold `path` as whole words?
///
/// `tokio` is found in `tokio::spawn` and in `use tokio;`, not in `my_tokio`.
pub(crate) fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(start, _)| {
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = code[..start].chars().next_back();
        let after = code[start + path.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn without_comments_and_literals(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let hidden = hidden_length(rest, kept.chars().next_back());
        if hidden == 0 {
            kept.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            let (blanked, after) = rest.split_at(hidden);
            kept.push(' ');
            kept.extend(blanked.chars().filter(|letter| *letter == '\n'));
            rest = after;
        }
    }
    kept
}

/// How many bytes at the start of `rest` are a comment or a literal; 0 when it is code.
fn hidden_length(rest: &str, before: Option<char>) -> usize {
    let follows_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if !follows_word && let Some(length) = prefixed_string_length(rest) {
        return length;
    }
    if rest.starts_with('"') {
        return quoted_length(rest, '"');
    }
    if rest.starts_with('\'') {
        return character_length(rest);
    }
    0
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in rest.char_indices() {
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

/// Raw, byte and C strings: `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`.
fn prefixed_string_length(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    if !prefix.ends_with('r') {
        return after
            .starts_with('"')
            .then(|| prefix.len() + quoted_length(after, '"'));
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if !escaped && letter == quote {
            return at + 1;
        }
        escaped = !escaped && letter == '\\';
    }
    rest.len()
}

/// A character literal; 0 for a lifetime.
fn character_length(rest: &str) -> usize {
    let mut letters = rest.chars().skip(1);
    let (first, second) = (letters.next(), letters.next());
    if first == Some('\\') || second == Some('\'') {
        quoted_length(rest, '\'')
    } else {
        0
    }
}

/// Blanks the item behind each `#[cfg(test)]`, up to its closing brace or semicolon.
fn without_test_items(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let length = item_length(item);
        kept.extend(item[..length].chars().filter(|letter| *letter == '\n'));
        rest = &item[length..];
    }
    kept.push_str(rest);
    kept
}

fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in item.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

fn join_paths(code: &str) -> String {
    let parts: Vec<&str> = code.split("::").collect();
    let last = parts.len() - 1;
    let trimmed = parts.iter().enumerate().map(|(index, part)| {
        let part = if index > 0 { part.trim_start() } else { part };
        if index < last { part.trim_end() } else { part }
    });
    trimmed.collect::<Vec<_>>().join("::")
}

/// Writes `std::{fs, io::{Read, Write}}` out as `std::fs std::io::Read std::io::Write`, a line each.
fn written_out_groups(code: &str) -> String {
    let mut lines = String::new();
    for (at, _) in code.match_indices("::{") {
        let prefix: String = code[..at]
            .chars()
            .rev()
            .take_while(|letter| letter.is_alphanumeric() || "_:".contains(*letter))
            .collect();
        let prefix: String = prefix.chars().rev().collect();
        write_out(&prefix, &code[at + 3..], &mut lines);
    }
    lines
}

fn write_out(prefix: &str, group: &str, lines: &mut String) {
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in group.char_indices() {
        let closes_group = letter == '}' && depth == 0;
        if closes_group || (letter == ',' && depth == 0) {
            let member = group[start..at].trim();
            if let Some((head, inner)) = member.split_once("::{") {
                write_out(&format!("{prefix}::{head}"), inner, lines);
            } else if !member.is_empty() {
                lines.push_str(&format!("{prefix}::{member}\n"));
            }
            start = at + 1;
        }
        match letter {
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            '{' => depth += 1,
            _ => {}
        }
    }
}

#[test]
fn comments_literals_and_tests_are_not_code() {
    let text = r##"
        //! tokio in a head
        /* tokio /* nested */ tokio */
        fn f<'a>(x: &'a str) -> char { let _ = "tokio \" tokio"; let _ = r#"tokio " "#; '"' }
        const AFTER: &str = "x";
        #[cfg(test)]
        mod tests { fn g() { tokio::spawn(async {}); } }
        fn kept() {}
    "##;
    let code = product(text);
    assert!(!names(&code, "tokio"), "{code}");
    assert!(names(&code, "kept") && names(&code, "AFTER"), "{code}");
}

#[test]
fn grouped_imports_are_seen_as_full_paths() {
    let code = product("use std::{\n fs,\n io::{self, Read},\n};\nuse std :: thread;");
    assert!(
        names(&code, "std::fs") && names(&code, "std::io::Read"),
        "{code}"
    );
    assert!(names(&code, "std::thread"), "{code}");
    assert!(!names(&code, "std::net"), "{code}");
}

#[test]
fn names_are_whole_words() {
    assert!(names("use tokio;", "tokio") && names("tokio::spawn()", "tokio"));
    assert!(!names("my_tokio()", "tokio") && !names("tokio2::x", "tokio"));
}
