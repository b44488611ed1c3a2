//! Blocks of documentation comments in Rust sources, found line by line.
//!
//! Good enough to search in: a `///` inside a raw string is taken for a comment, `/** */` and
//! `#[doc = ""]` are not seen.

/// Shorter comments name their item again and say no more.
const MIN_BODY_BYTES: usize = 40;

/// The longest title made of code, in bytes.
const MAX_ITEM_BYTES: usize = 160;

/// Comment lines that stand together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// The first line, from 1.
    pub(super) line: usize,
    /// The text without its markers.
    pub(super) body: String,
    /// The code it documents, up to its body; `None` for `//!`, which documents what is around it.
    pub(super) item: Option<&'a str>,
}

/// Which comment a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Outer,
    Inner,
}

/// Returns the blocks of `text` that are long enough to say something, in order.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some((marker, _)) = comment(lines[at]) else {
            at += 1;
            continue;
        };
        let same = lines[at..]
            .iter()
            .map_while(|line| comment(line).filter(|next| next.0 == marker));
        let body: Vec<&str> = same.map(|(_, text)| text).collect();
        let end = at + body.len();
        let body = body.join("\n").trim().to_owned();
        if body.len() >= MIN_BODY_BYTES {
            let item = if marker == Marker::Outer {
                item(&lines[end..])
            } else {
                None
            };
            blocks.push(Block {
                line: at + 1,
                body,
                item,
            });
        }
        at = end;
    }
    blocks
}

fn comment(line: &str) -> Option<(Marker, &str)> {
    let line = line.trim_start();
    let (marker, text) = match line.strip_prefix("///") {
        // A row of slashes is a ruler, not documentation.
        Some(text) if text.starts_with('/') => return None,
        Some(text) => (Marker::Outer, text),
        None => (Marker::Inner, line.strip_prefix("//!")?),
    };
    Some((marker, text.strip_prefix(' ').unwrap_or(text)))
}

/// Returns the first line of code that is no attribute, up to its body.
fn item<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let is_code =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("//");
    let code = lines.iter().map(|line| line.trim()).take(8).find(is_code)?;
    let code = code.trim_end_matches([' ', '{', ';', ',', '(']);
    let end = code.floor_char_boundary(MAX_ITEM_BYTES);
    Some(&code[..end]).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_text_its_line_and_its_item() {
        let text = "use x;\n\n    /// Appends the batch, and returns where it\n    /// ended in the log.\n    #[inline]\n    pub fn append(&self) {\n";
        let body = "Appends the batch, and returns where it\nended in the log.".to_owned();
        assert_eq!(
            blocks(text),
            [Block {
                line: 3,
                body,
                item: Some("pub fn append(&self)")
            }]
        );
    }

    #[test]
    fn inner_and_outer_comments_are_blocks_of_their_own() {
        let text = format!(
            "//! {0}\n//!\n//! {0}\n/// {0}\nstruct S;\n//// {0}\n/// short\nfn f() {{}}",
            "word ".repeat(9)
        );
        let found = blocks(&text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].item), (1, None));
        assert_eq!((found[1].line, found[1].item), (4, Some("struct S")));
    }
}
