//! Text to terms inside the writer: our analyzers behind tantivy's tokenizer seam.
//!
//! An analyzer pushes tokens, tantivy pulls them, so one value's tokens pass through a buffer that
//! is reused: nothing is allocated per token.
//!
//! tantivy counts positions of a field in 32 bits and stops its thread where they overflow. So a value
//! takes no position beyond a bound, and values that would begin beyond `MAX_POSITION` are left out by
//! who builds documents, with a `Ruler`.

use std::collections::BTreeSet;

use gleaner_analysis::{Analyzer, AnalyzerRegistry, Term, TokenBuffer};
use gleaner_model::{FieldKind, Mapping};
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
    u64::from(last_position(num_bytes)) + u64::from(gap(analyzer)) + u64::from(TANTIVY_GAP)
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
        let buffer = &mut self.buffer;
        buffer.fill(analyzer, text);
        let terms = (0..).map_while(|at| buffer.tokens.get(at));
        let ends = terms.map(|term| {
            let (position, length) = buffer.bounded(&term);
            position + length
        });
        u64::from(ends.max().unwrap_or(0)) + u64::from(TANTIVY_GAP)
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
    /// Where the last token may end, the gap behind the value included.
    end: u32,
}

impl Buffer {
    fn fill(&mut self, analyzer: &Analyzer, text: &str) {
        self.next = 0;
        analyzer.analyze_to(text, &mut self.tokens);
        self.last = last_position(text.len());
        self.end = self.last + gap(analyzer);
        // tantivy puts the next value at the end of the longest token plus its own gap; positions
        // are kept and position lengths are not, so the last token carries the analyzer's gap.
        let end = self.tokens.num_positions().min(self.last) + gap(analyzer);
        self.tokens.extend_last(end.saturating_sub(TANTIVY_GAP));
    }

    /// Returns a token's position and length, within the bounds of its value.
    fn bounded(&self, term: &Term<'_>) -> (u32, u32) {
        let position = term.position.min(self.last);
        (position, term.position_length.min(self.end - position))
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
        self.buffer.fill(&self.analyzer, text);
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
        let (position, length) = self.bounded(&term);
        self.token.position = position as usize;
        self.token.position_length = length as usize;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
