//! Tokens of Lucene's query syntax, longest match first, as its `QueryParser.jj` defines them.

/// A token with what its text means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `AND`, `&&`.
    And,
    /// `OR`, `||`.
    Or,
    /// `NOT`, `!`.
    Not,
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// An operator with a space after it, which is text.
    BareOperator(char),
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `:`.
    Colon,
    /// `*` alone.
    Star,
    /// `^` and the factor after it.
    Boost(f32),
    /// `"…"` without the quotes, escapes kept.
    Quoted(String),
    /// A word, escapes kept.
    Term(String),
    /// `~` and the number after it.
    Fuzzy(Option<f32>),
    /// A word before `*`, escapes kept.
    Prefix(String),
    /// A word with `*` or `?`, escapes kept.
    Wildcard(String),
    /// `/…/` without the slashes.
    Regexp(String),
    /// `[a TO b}`.
    Range(RangeToken),
}

/// A range as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RangeToken {
    /// Lower bound; `None` is `*`.
    pub(super) lower: Option<String>,
    /// Upper bound; `None` is `*`.
    pub(super) upper: Option<String>,
    /// Whether the lower bound is in: `[`.
    pub(super) includes_lower: bool,
    /// Whether the upper bound is in: `]`.
    pub(super) includes_upper: bool,
}

/// Splits `text` into tokens in one pass; says why where it cannot.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{3000}')
}

/// Whether `c` can stand in a word without an escape, not as its first character's special case.
fn is_word(c: char) -> bool {
    !is_space(c)
        && !matches!(
            c,
            '!' | '('
                | ')'
                | ':'
                | '^'
                | '['
                | ']'
                | '"'
                | '{'
                | '}'
                | '~'
                | '*'
                | '?'
                | '\\'
                | '/'
        )
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        let skipped = self.rest().len() - self.rest().trim_start_matches(is_space).len();
        self.at += skipped;
    }

    fn next(&mut self) -> Result<Option<Token>, String> {
        self.skip_space();
        let Some(c) = self.peek() else {
            return Ok(None);
        };
        let token = match c {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            ':' => self.single(Token::Colon),
            '+' | '-' | '!' => self.operator(c),
            '"' => self.quoted()?,
            '/' => self.regexp()?,
            '^' => self.boost()?,
            '~' => self.fuzzy(),
            '[' | '{' => self.range(c == '[')?,
            ']' | '}' => return Err(format!("unexpected [{c}] at byte {}", self.at)),
            _ => self.word()?,
        };
        Ok(Some(token))
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn operator(&mut self, c: char) -> Token {
        self.at += 1;
        if self.peek().is_some_and(is_space) {
            return Token::BareOperator(c);
        }
        match c {
            '+' => Token::Plus,
            '-' => Token::Minus,
            _ => Token::Not,
        }
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let start = self.at + 1;
        let mut is_escaped = false;
        for (offset, c) in self.text[start..].char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    self.at = start + offset + 1;
                    return Ok(Token::Quoted(self.text[start..start + offset].to_owned()));
                }
                _ => {}
            }
        }
        Err(format!("a quote at byte {} is never closed", self.at))
    }

    /// Reads `/…/`; `\/` goes on where a later slash can end the expression, else it ends it.
    fn regexp(&mut self) -> Result<Token, String> {
        let start = self.at + 1;
        let mut end = None;
        let mut previous = '/';
        for (offset, c) in self.text[start..].char_indices() {
            if c == '/' {
                end = Some(start + offset);
                if previous != '\\' {
                    break;
                }
            }
            previous = c;
        }
        let end =
            end.ok_or_else(|| format!("a regular expression at byte {} is never closed", self.at))?;
        self.at = end + 1;
        Ok(Token::Regexp(self.text[start..end].to_owned()))
    }

    fn boost(&mut self) -> Result<Token, String> {
        self.at += 1;
        self.skip_space();
        let place = self.at;
        self.number()
            .filter(|factor| factor.is_finite())
            .map(Token::Boost)
            .ok_or_else(|| format!("expected a number after [^] at byte {place}"))
    }

    fn fuzzy(&mut self) -> Token {
        self.at += 1;
        Token::Fuzzy(self.number())
    }

    /// Reads digits with a fraction, when they are next.
    fn number(&mut self) -> Option<f32> {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(rest);
        if length == 0 {
            return None;
        }
        if let Some(fraction) = rest[length..].strip_prefix('.') {
            let fraction_length = digits(fraction);
            if fraction_length > 0 {
                length += 1 + fraction_length;
            }
        }
        let number = rest[..length].parse().ok();
        self.at += length;
        number
    }

    fn word(&mut self) -> Result<Token, String> {
        let start = self.at;
        let mut num_wildcards = 0_usize;
        let mut last = None;
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    let Some(escaped) = self.peek() else {
                        return Err("the text ends with an escape".to_owned());
                    };
                    self.at += escaped.len_utf8();
                    last = None;
                    continue;
                }
                '*' | '?' => num_wildcards += 1,
                _ if !is_word(c) => break,
                _ => {}
            }
            last = Some(c);
            self.at += c.len_utf8();
        }
        let image = &self.text[start..self.at];
        Ok(word_token(image, num_wildcards, last == Some('*')))
    }

    fn range(&mut self, includes_lower: bool) -> Result<Token, String> {
        let start = self.at;
        let refuse = || format!("a range at byte {start} is not [a TO b]");
        self.at += 1;
        let lower = self.bound().ok_or_else(refuse)?;
        self.skip_space();
        let after = self.rest().strip_prefix("TO").ok_or_else(refuse)?;
        if !after.starts_with(is_space) {
            return Err(refuse());
        }
        self.at += 2;
        let upper = self.bound().ok_or_else(refuse)?;
        self.skip_space();
        let includes_upper = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(refuse()),
        };
        self.at += 1;
        Ok(Token::Range(RangeToken {
            lower,
            upper,
            includes_lower,
            includes_upper,
        }))
    }

    /// Reads a bound, quoted or up to the next space or bracket; the inner `None` is `*`.
    fn bound(&mut self) -> Option<Option<String>> {
        self.skip_space();
        if self.peek() == Some('"')
            && let Ok(Token::Quoted(text)) = self.quoted()
        {
            return Some(Some(unescape(&text)));
        }
        let rest = self.rest();
        let length = rest
            .find(|c| is_space(c) || matches!(c, ']' | '}'))
            .unwrap_or(rest.len());
        let text = &rest[..length];
        let bound = match text {
            "" => return None,
            "*" => None,
            text => Some(unescape(text)),
        };
        self.at += length;
        Some(bound)
    }
}

/// Names a run of word characters and wildcards.
fn word_token(image: &str, num_wildcards: usize, ends_with_star: bool) -> Token {
    match (num_wildcards, image) {
        (0, "AND" | "&&") => Token::And,
        (0, "OR" | "||") => Token::Or,
        (0, "NOT") => Token::Not,
        (0, _) => Token::Term(image.to_owned()),
        (1, "*") => Token::Star,
        (1, _) if ends_with_star => Token::Prefix(image[..image.len() - 1].to_owned()),
        _ => Token::Wildcard(image.to_owned()),
    }
}

/// Removes escapes: `\:` is `:`, `\u0041` is `A`; an escape that is none stays.
pub(super) fn unescape(image: &str) -> String {
    let mut text = String::with_capacity(image.len());
    let mut rest = image;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let code = rest
            .strip_prefix('u')
            .and_then(|hex| hex.get(..4))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        if let Some(c) = code {
            text.push(c);
            rest = &rest[5..];
        } else if let Some(c) = rest.chars().next() {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    text.push_str(rest);
    text
}
