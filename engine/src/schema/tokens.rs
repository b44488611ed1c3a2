//! Text to terms inside the writer: our analyzers behind tantivy's tokenizer seam.
//!
//! An analyzer pushes tokens, tantivy pulls them, so one value's tokens pass through a buffer that
//! is reused: nothing is allocated per token.

use gleaner_analysis::{Analyzer, AnalyzerRegistry, TokenBuffer};
use gleaner_model::{FieldKind, Mapping};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};

use crate::EngineError;

/// Name of the tokenizer that keeps a value whole.
pub const WHOLE: &str = "raw";

/// Positions that tantivy itself leaves between two values of a field.
const TANTIVY_GAP: u32 = 1;

/// Returns the name under which an analyzer is registered with tantivy.
pub fn tokenizer_name(analyzer: &str) -> String {
    format!("analyzer:{analyzer}")
}

/// Registers every analyzer that `mapping` uses.
///
/// # Errors
/// [`EngineError::UnknownAnalyzer`] when the registry lacks one.
pub fn register_analyzers(
    manager: &TokenizerManager,
    mapping: &Mapping,
    analyzers: &AnalyzerRegistry,
) -> Result<(), EngineError> {
    for field in mapping.fields.values() {
        let FieldKind::Text {
            analyzer: name,
            index: true,
            ..
        } = &field.kind
        else {
            continue;
        };
        let analyzer = analyzers.analyzer(name);
        let analyzer = analyzer.ok_or_else(|| EngineError::UnknownAnalyzer(name.clone()))?;
        manager.register(
            &tokenizer_name(name),
            AnalysisTokenizer::new(analyzer.clone()),
        );
    }
    Ok(())
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
        let buffer = &mut self.buffer;
        buffer.next = 0;
        self.analyzer.analyze_to(text, &mut buffer.tokens);
        // tantivy puts the next value at the end of the longest token plus its own gap; positions
        // are kept and position lengths are not, so the last token carries the analyzer's gap.
        let gap = self.analyzer.position_increment_gap();
        let end = buffer.tokens.num_positions().saturating_add(gap);
        buffer.tokens.extend_last(end.saturating_sub(TANTIVY_GAP));
        buffer
    }
}

impl TokenStream for &mut Buffer {
    fn advance(&mut self) -> bool {
        let Some(term) = self.tokens.get(self.next) else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(term.text);
        self.token.position = term.position as usize;
        self.token.position_length = term.position_length as usize;
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
