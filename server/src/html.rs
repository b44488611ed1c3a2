//! Text in the HTML pages that servers answer with.
//!
//! Does: escape text. Does not: know of pages. Called by: the pages of `api` and of `front`. Read first:
//! [`escaped_html`].

/// Returns `text` with the characters that mean something in HTML escaped, for the inside of an element or of a quoted
/// attribute.
pub fn escaped_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped_html;

    #[test]
    fn characters_that_mean_something_in_html_are_escaped() {
        for (text, expected) in [
            ("", ""),
            ("größer", "größer"),
            ("<b>", "&lt;b&gt;"),
            ("R&D", "R&amp;D"),
            ("&lt;", "&amp;lt;"),
            ("\"a\" 'b'", "&quot;a&quot; &#39;b&#39;"),
        ] {
            assert_eq!(escaped_html(text), expected, "{text}");
        }
    }
}
