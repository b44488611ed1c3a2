//! Patterns of `java.time.format`, compiled to items that both parser and printer walk.

use crate::error::QueryError;

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_024;
/// Deepest nesting of optional sections.
const MAX_OPTIONAL_DEPTH: usize = 16;
/// Most digits of a number whose pattern sets no width.
const MAX_DIGITS: usize = 18;

/// A number that a pattern reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    YearOfEra,
    Quarter,
    Month,
    Day,
    DayOfYear,
    WeekYear,
    Week,
    Weekday,
    Hour,
    ClockHour,
    HalfHour,
    ClockHalfHour,
    Minute,
    Second,
    Nano,
    MilliOfDay,
}

/// A word that a pattern reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Quarter { is_full: bool },
    Month { is_full: bool },
    Weekday { is_full: bool },
    HalfOfDay,
    Era,
}

/// How an offset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// `+01:00` instead of `+0100`.
    pub(super) has_colon: bool,
    /// Minutes are left out when they are 0.
    pub(super) is_short: bool,
    /// Zero is written `Z`.
    pub(super) zero_is_z: bool,
}

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Literal(String),
    Number {
        part: Part,
        /// Fewest digits read; padding when written.
        min: usize,
        /// Most digits read.
        max: usize,
    },
    /// Two digits that mean 2000 to 2099.
    ShortYear(Part),
    Fraction {
        min: usize,
        max: usize,
        /// Whether a point (or comma) comes first.
        has_point: bool,
    },
    Word(Word),
    Offset(OffsetStyle),
    /// A zone's name or an offset.
    Zone,
    Optional(Vec<Item>),
}

impl Item {
    /// Returns the digits of a number whose width is fixed.
    pub(super) fn fixed_width(&self) -> Option<usize> {
        match self {
            Self::Number { min, max, .. } if min == max => Some(*min),
            Self::ShortYear(_) => Some(2),
            Self::Fraction {
                min,
                max,
                has_point: false,
            } if min == max => Some(*min),
            _ => None,
        }
    }
}

/// Compiles a pattern. `is_named` adds letters of our own for named formats: `f`, a fraction
/// of 1 to 9 digits with its point, `g`, one of 3, and `z`, any zone or offset; their years have at most 5 digits,
/// those of `uuuu` 4.
pub(super) fn compile(pattern: &str, is_named: bool) -> Result<Vec<Item>, QueryError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(invalid(pattern, "it is longer than 1024 bytes"));
    }
    let mut compiler = Compiler {
        pattern,
        is_named,
        open: vec![Vec::new()],
    };
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = compiler.step(letter, rest)?;
    }
    match (compiler.open.pop(), compiler.open.is_empty()) {
        (Some(items), true) => Ok(items),
        _ => Err(invalid(pattern, "an optional section is not closed")),
    }
}

struct Compiler<'a> {
    pattern: &'a str,
    is_named: bool,
    /// Items of the sections that are open, outermost first.
    open: Vec<Vec<Item>>,
}

impl Compiler<'_> {
    /// Takes one letter run, literal or bracket off `rest` and returns what remains.
    fn step<'r>(&mut self, letter: char, rest: &'r str) -> Result<&'r str, QueryError> {
        let after = &rest[letter.len_utf8()..];
        match letter {
            '\'' => return self.quoted(after),
            '[' if self.open.len() > MAX_OPTIONAL_DEPTH => {
                return Err(invalid(self.pattern, "too many nested optional sections"));
            }
            '[' => self.open.push(Vec::new()),
            ']' => {
                let section = self.open.pop().unwrap_or_default();
                if self.open.is_empty() {
                    return Err(invalid(self.pattern, "] without [ before it"));
                }
                self.push(Item::Optional(section));
            }
            '{' | '}' | '#' => {
                let reason = format!("Pattern includes reserved character: '{letter}'");
                return Err(invalid(self.pattern, &reason));
            }
            _ if letter.is_ascii_alphabetic() => {
                let count = rest.chars().take_while(|c| *c == letter).count();
                let item = self.letter(letter, count)?;
                self.push(item);
                return Ok(&rest[count..]);
            }
            _ => self.push(Item::Literal(letter.to_string())),
        }
        Ok(after)
    }

    fn push(&mut self, item: Item) {
        if let Some(items) = self.open.last_mut() {
            items.push(item);
        }
    }

    /// Reads a quoted literal; two quotes are one.
    fn quoted<'r>(&mut self, after: &'r str) -> Result<&'r str, QueryError> {
        if let Some(rest) = after.strip_prefix('\'') {
            self.push(Item::Literal("'".to_owned()));
            return Ok(rest);
        }
        let mut text = String::new();
        let mut rest = after;
        loop {
            let Some((part, tail)) = rest.split_once('\'') else {
                let reason = "Pattern ends with an incomplete string literal";
                return Err(invalid(self.pattern, reason));
            };
            text.push_str(part);
            let Some(more) = tail.strip_prefix('\'') else {
                self.push(Item::Literal(text));
                return Ok(tail);
            };
            text.push('\'');
            rest = more;
        }
    }

    fn letter(&self, letter: char, count: usize) -> Result<Item, QueryError> {
        let item = match letter {
            'f' | 'g' if self.is_named => Some(Item::Fraction {
                min: 1,
                max: if letter == 'f' { 9 } else { 3 },
                has_point: true,
            }),
            'z' if self.is_named => Some(Item::Zone),
            'u' if self.is_named && count == 1 => Some(number(Part::Year, 1, 5)),
            'u' if self.is_named && count == 4 => Some(number(Part::Year, 4, 4)),
            'u' => year(Part::Year, count),
            'y' => year(Part::YearOfEra, count),
            'Y' | 'x' if letter == 'Y' || self.is_named => year(Part::WeekYear, count),
            'Q' | 'q' if count > 2 => word(count, |is_full| Word::Quarter { is_full }),
            'M' | 'L' if count > 2 => word(count, |is_full| Word::Month { is_full }),
            'E' => word(count.max(3), |is_full| Word::Weekday { is_full }),
            'e' | 'c' if count > 2 => word(count, |is_full| Word::Weekday { is_full }),
            'D' if count == 2 => Some(number(Part::DayOfYear, 2, 3)),
            'D' => value(Part::DayOfYear, count, 3),
            'S' => (count <= 9).then_some(Item::Fraction {
                min: count,
                max: count,
                has_point: false,
            }),
            'A' | 'n' => value(small_part(letter), count, MAX_DIGITS),
            'a' => (count == 1).then_some(Item::Word(Word::HalfOfDay)),
            'G' => (count <= 3).then_some(Item::Word(Word::Era)),
            'X' | 'x' | 'Z' => offset(letter, count),
            'V' => (count == 2).then_some(Item::Zone),
            'z' | 'v' => (count <= 3).then_some(Item::Zone),
            'Q' | 'q' | 'M' | 'L' | 'd' | 'w' | 'e' | 'c' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' => {
                value(small_part(letter), count, 2)
            }
            _ => {
                let reason = format!("Unknown pattern letter: {letter}");
                return Err(invalid(self.pattern, &reason));
            }
        };
        item.ok_or_else(|| {
            let reason = format!("Too many pattern letters: {letter}");
            invalid(self.pattern, &reason)
        })
    }
}

fn small_part(letter: char) -> Part {
    match letter {
        'Q' | 'q' => Part::Quarter,
        'M' | 'L' => Part::Month,
        'd' => Part::Day,
        'w' => Part::Week,
        'e' | 'c' => Part::Weekday,
        'H' => Part::Hour,
        'k' => Part::ClockHour,
        'K' => Part::HalfHour,
        'h' => Part::ClockHalfHour,
        'm' => Part::Minute,
        's' => Part::Second,
        'A' => Part::MilliOfDay,
        _ => Part::Nano,
    }
}

fn number(part: Part, min: usize, max: usize) -> Item {
    Item::Number { part, min, max }
}

fn year(part: Part, count: usize) -> Option<Item> {
    match count {
        2 => Some(Item::ShortYear(part)),
        _ => (count <= MAX_DIGITS).then(|| number(part, count, MAX_DIGITS)),
    }
}

/// One letter reads any width, several exactly theirs.
fn value(part: Part, count: usize, most: usize) -> Option<Item> {
    match count {
        1 => Some(number(part, 1, MAX_DIGITS)),
        _ => (count <= most).then(|| number(part, count, count)),
    }
}

fn word(count: usize, make: impl Fn(bool) -> Word) -> Option<Item> {
    (count <= 4).then(|| Item::Word(make(count == 4)))
}

fn offset(letter: char, count: usize) -> Option<Item> {
    let is_z = letter == 'Z';
    let style = OffsetStyle {
        has_colon: matches!(count, 3 | 5) && !(is_z && count == 3),
        is_short: count == 1 && !is_z,
        zero_is_z: letter == 'X' || (is_z && count == 5),
    };
    (count <= 5 && !(is_z && count == 4)).then_some(Item::Offset(style))
}

fn invalid(pattern: &str, reason: &str) -> QueryError {
    QueryError::illegal(format!("Invalid format: [{pattern}]: {reason}"))
}
