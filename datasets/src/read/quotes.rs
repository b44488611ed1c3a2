//! Is a table inside quotes? Asked where it ends: the parser takes the end for a closing quote, and a
//! quote that is never closed would make one row of all that follows.

/// Where in a table of comma-separated values the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the start of a field: only here a quote opens.
    Start,
    /// In a field without quotes, or behind quotes that were closed.
    Plain,
    /// Between quotes, opened on this line.
    Quoted { since: u64 },
    /// Behind a quote between quotes: it closes, or is the first of two that stand for one.
    Quote { since: u64 },
}

/// Follows quotes, as the parser does, over the bytes of a table.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    at: At,
    /// The line of the next byte, from 1.
    line: u64,
}

impl Quotes {
    /// Starts at the beginning of a table.
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            at: At::Start,
            line: 1,
        }
    }

    /// Takes the next bytes.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.at = self.behind(*byte);
            self.line += u64::from(*byte == b'\n');
        }
    }

    /// Returns the line of a quote that is still open.
    pub(super) fn open_since(&self) -> Option<u64> {
        match self.at {
            At::Quoted { since } => Some(since),
            At::Start | At::Plain | At::Quote { .. } => None,
        }
    }

    fn behind(&self, byte: u8) -> At {
        match self.at {
            At::Quoted { since } if byte == b'"' => At::Quote { since },
            At::Quoted { since } => At::Quoted { since },
            At::Quote { since } if byte == b'"' => At::Quoted { since },
            At::Start if byte == b'"' => At::Quoted { since: self.line },
            At::Start | At::Plain | At::Quote { .. } => {
                if byte == self.delimiter || matches!(byte, b'\n' | b'\r') {
                    At::Start
                } else {
                    At::Plain
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open_since(text: &str) -> Option<u64> {
        let mut quotes = Quotes::new(b',');
        quotes.follow(text.as_bytes());
        quotes.open_since()
    }

    /// Asks the parser: what follows an open quote belongs to the field.
    fn swallows(text: &str) -> bool {
        let longer = format!("{text}\nZ");
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(longer.as_bytes());
        let last = reader.into_records().last().expect("a row").expect("text");
        last.len() != 1 || &last[0] != "Z"
    }

    #[test]
    fn the_line_of_the_open_quote_is_told() {
        assert_eq!(open_since("a,b\n1,\"x\n2,y\n"), Some(2));
        assert_eq!(open_since("a,b\n1,\"x \"\"y\"\"\n\"\n"), None);
        assert_eq!(open_since("a\n5\" disk\n"), None, "inside a field");
    }

    proptest! {
        #[test]
        fn a_quote_is_open_where_the_parser_says_so(text in "[\"a,\r\n]{0,16}") {
            prop_assert_eq!(open_since(&text).is_some(), swallows(&text), "{:?}", text);
        }
    }
}
