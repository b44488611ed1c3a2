//! Text to terms inside the writer: our analyzers behind tantivy's tokenizer seam.
//!
//! An analyzer pushes tokens, tantivy pulls them, so one value's tokens pass through a buffer that
//! is reused: nothing is allocated per token.
//!
//! tantivy counts positions of a field in 32 bits and stops its thread where they overflow. So a value
//! takes no position beyond a bound, and values that would begin beyond `MAX_POSITION` are left out by
//! who builds documents, with a `Ruler`.
//!
//! Where a value begins is [`Places`]' count, not tantivy's, which puts each value one position behind the longest token
//! before it, and knows no gap. The difference is carried by the last token of a value as its length, which the index does
//! not keep. A value without tokens cannot carry any: what it moves the next value by is added to the tokens of that one,
//! which says that it is not the first ([`Texts`]).

use std::collections::BTreeSet;

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Meter, Places, TokenBuffer};
use gleaner_model::{FieldKind, Mapping};
use tantivy::TantivyDocument;
use tantivy::schema::Field as Column;
use tantivy::tokenizer::{PreTokenizedString, Token, TokenStream, Tokenizer, TokenizerManager};

/// Name of the tokenizer that keeps a value whole.
pub const WHOLE: &str = "raw";

/// Positions that tantivy itself leaves between two values of a field.
const TANTIVY_GAP: u32 = 1;

/// Last position at which a value of a field may begin, and most that a value and a gap may each take:
/// with all three, positions end below 2³².
pub(crate) const MAX_POSITION: u32 = 1 << 30;

/// Positions that a value can take for each of its bytes: four times what n-grams of every length up to
/// the longest token take. Tokens beyond stand at the last of them.
const POSITIONS_PER_BYTE: usize = 1_024;

/// What a text begins with that is not the first of its field. It stands for no character.
const NEXT: char = '\u{10ffff}';

/// What a first text begins with that would begin as the others do.
const FIRST: char = '\u{10fffe}';

/// Puts the texts of a document's fields into it, those of a field one after the other.
#[derive(Default)]
pub(crate) struct Texts {
    last: Option<Column>,
    ruler: Ruler,
}

impl Texts {
    /// Adds a value, as the tokenizer of its column takes it.
    pub(crate) fn add(
        &mut self,
        document: &mut TantivyDocument,
        column: Column,
        (analyzer, text): (&Analyzer, &str),
    ) {
        // tantivy puts the next value behind any before it; one that moves nothing is none.
        if gap(analyzer) == 0 && self.ruler.is_nothing(analyzer, text) {
            return;
        }
        let is_first = self.last != Some(column);
        self.last = Some(column);
        match is_first {
            false => document.add_text(column, format!("{NEXT}{text}")),
            true if text.starts_with([NEXT, FIRST]) => {
                document.add_text(column, format!("{FIRST}{text}"));
            }
            true => document.add_text(column, text),
        }
    }
}

/// Returns the name under which an analyzer is registered with tantivy.
pub fn tokenizer_name(analyzer: &str) -> String {
    format!("analyzer:{analyzer}")
}

/// Registers every analyzer that `mapping` uses. A field whose analyzer does not exist is analysed with
/// `standard`: its index was made when names were not checked, and must open all the same.
pub fn register_analyzers(
    manager: &TokenizerManager,
    mapping: &Mapping,
    analyzers: &AnalyzerRegistry,
) {
    for (path, field) in &mapping.fields {
        let FieldKind::Text {
            analyzer: name,
            index: true,
            ..
        } = &field.kind
        else {
            continue;
        };
        let analyzer = analyzers.analyzer(name);
        if analyzer.is_none() {
            tracing::error!(%path, analyzer = %name, "an analyzer is missing: standard is used");
        }
        let tokenizer = AnalysisTokenizer::new(analyzer.unwrap_or_else(standard));
        manager.register(&tokenizer_name(name), tokenizer);
    }
}

/// Returns the analyzer called `name`, and `standard` where there is none.
pub(crate) fn analyzer_or_standard(analyzers: &AnalyzerRegistry, name: &str) -> Analyzer {
    analyzers.analyzer(name).unwrap_or_else(standard)
}

fn standard() -> Analyzer {
    AnalyzerRegistry::builtin().default_analyzer()
}

/// Returns how many positions a value of so many bytes moves the next one at most.
pub(crate) fn most_positions(analyzer: &Analyzer, num_bytes: usize) -> u64 {
    u64::from(last_position(num_bytes)) + 1 + u64::from(gap(analyzer))
}

/// Returns the last position within a value of so many bytes.
fn last_position(num_bytes: usize) -> u32 {
    let most = (num_bytes + 1).saturating_mul(POSITIONS_PER_BYTE);
    most.min(MAX_POSITION as usize) as u32
}

fn gap(analyzer: &Analyzer) -> u32 {
    analyzer.position_increment_gap().min(MAX_POSITION)
}

/// Returns terms as the tokens of a value, one after the other.
pub(crate) fn of_terms(terms: &BTreeSet<String>) -> PreTokenizedString {
    let token = |(position, term): (usize, &String)| Token {
        position,
        text: term.clone(),
        position_length: 1,
        ..Token::default()
    };
    PreTokenizedString {
        text: String::new(),
        tokens: terms.iter().enumerate().map(token).collect(),
    }
}

/// Measures how many positions values take in their field.
#[derive(Default)]
pub(crate) struct Ruler {
    buffer: Buffer,
}

impl Ruler {
    /// Returns how many positions a value moves the next one of its field; analyses it.
    pub(crate) fn measure(&mut self, analyzer: &Analyzer, text: &str) -> u64 {
        self.buffer.fill(analyzer, text);
        u64::from(self.buffer.moves_by)
    }

    /// Returns whether a value has neither tokens nor the places of any; analyses it.
    pub(crate) fn is_nothing(&mut self, analyzer: &Analyzer, text: &str) -> bool {
        self.buffer.fill(analyzer, text);
        self.buffer.tokens.get(0).is_none() && self.buffer.tokens.num_positions() == 0
    }
}

/// An analyzer as tantivy's tokenizer.
#[derive(Clone)]
struct AnalysisTokenizer {
    analyzer: Analyzer,
    buffer: Buffer,
}

/// The tokens of one value, and which of them is next.
#[derive(Clone, Default)]
struct Buffer {
    tokens: TokenBuffer,
    next: usize,
    token: Token,
    /// The last position that a token may have.
    last: u32,
    /// How many positions the value moves the next one.
    moves_by: u32,
    /// By how many positions the value begins behind where tantivy puts it.
    behind: u32,
}

impl Buffer {
    fn fill(&mut self, analyzer: &Analyzer, text: &str) {
        self.next = 0;
        // A document whose analysis makes too much is refused before it is ordered. One that an earlier version took
        // has of such a value the first tokens, the same on each copy.
        if let Err(fault) = analyzer.analyze_to(text, &Meter::for_document(), &mut self.tokens) {
            tracing::warn!(%fault, "a value is indexed in part");
        }
        self.last = last_position(text.len());
        let num_positions = self.tokens.num_positions().min(self.last + 1);
        self.moves_by = Places::new(gap(analyzer)).moved_by(num_positions);
    }

    /// Reads a value as [`first_value`] and [`next_value`] write it.
    fn read(&mut self, analyzer: &Analyzer, text: &str) {
        // What the value before has left to carry: all of it where that had no tokens.
        let carried = match self.tokens.get(0) {
            Some(_) => 0,
            None => (self.behind + self.moves_by).saturating_sub(TANTIVY_GAP),
        };
        let (behind, text) = match text.strip_prefix(NEXT) {
            Some(text) => (carried, text),
            None => (0, text.strip_prefix(FIRST).unwrap_or(text)),
        };
        self.fill(analyzer, text);
        self.behind = behind;
    }
}

impl AnalysisTokenizer {
    fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            buffer: Buffer::default(),
        }
    }
}

impl Tokenizer for AnalysisTokenizer {
    type TokenStream<'a> = &'a mut Buffer;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> &'a mut Buffer {
        self.buffer.read(&self.analyzer, text);
        &mut self.buffer
    }
}

impl TokenStream for &mut Buffer {
    fn advance(&mut self) -> bool {
        let Some(term) = self.tokens.get(self.next) else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(term.text);
        let position = term.position.min(self.last);
        self.next += 1;
        let is_last = self.tokens.get(self.next).is_none();
        self.token.position = (self.behind + position) as usize;
        // tantivy puts the next value behind the end of the longest token: the others have no length, so that the last
        // one decides.
        self.token.position_length = match is_last {
            true => self.moves_by.saturating_sub(TANTIVY_GAP + position) as usize,
            false => 0,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
