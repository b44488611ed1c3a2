//! Clauses over analysed text: `match` and its kin, `fuzzy`.

use gleaner_analysis::{Analyzer, Token};
use gleaner_model::{Field, FieldKind, FieldPath};
use gleaner_query::QueryError;
use gleaner_query::dsl::{
    Fuzziness, FuzzyQuery, MatchPhraseQuery, MatchQuery, Operator, RangeQuery, TextOptions,
    ZeroTerms,
};
use gleaner_query::error::ErrorType;
use gleaner_query::resolved::{Clause, ExpansionRequest, Pattern};
use serde_json::Value;

use super::graph::TokenGraph;
use super::positions::{no_positions, placeless, positioned};
use super::{Resolver, all_of, boosted, keyed, required, too_much, unsaid, values};

/// Words of one text at most: each is read from a list of its own, and what evaluates them looks at the
/// clock between documents, not words.
const MAX_WORDS: usize = 16_384;

/// Words of all texts of a request at most, counted for each field that they are looked for in: a short
/// text over a thousand fields is as much work as a long one over one.
const MAX_WORDS_IN_ALL: usize = 4 * MAX_WORDS;

/// Characters of a fuzzy term at most; shards take no more. Longer ones, such as a long text over a
/// `keyword` field, are exact.
const MAX_FUZZY_CHARS: usize = 1_024;

/// The terms at one position of an analysed text.
pub(super) type Position = (u32, Vec<String>);

impl Resolver<'_> {
    pub(crate) fn match_text(&mut self, query: &MatchQuery) -> Result<Clause, QueryError> {
        if let Some(clause) = self.system_term(&query.field, std::slice::from_ref(&query.query)) {
            return Ok(boosted(clause, query.boost));
        }
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        let clause = self.match_field(&path, &field, &query.query, &query.options)?;
        Ok(boosted(clause, query.boost))
    }

    /// Returns `match` of a value on one field, without its factor.
    pub(crate) fn match_field(
        &mut self,
        path: &FieldPath,
        field: &Field,
        value: &Value,
        options: &TextOptions,
    ) -> Result<Clause, QueryError> {
        let Some(tokens) = self.tokens(field, value, options)? else {
            return self.match_exact(path, field, value, options);
        };
        let clauses = self.clauses_of_tokens(path, field, tokens, options)?;
        Ok(joined(clauses, options))
    }

    /// Returns the clauses that `match` would join; `None` for a field whose text is not analysed.
    pub(super) fn match_clauses(
        &mut self,
        name: &str,
        value: &Value,
        options: &TextOptions,
    ) -> Result<Option<Vec<Clause>>, QueryError> {
        // What cannot be asked of the field is said where the whole clause is resolved.
        let Ok(Some((path, field))) = self.indexed_field(name) else {
            return Ok(None);
        };
        match self.tokens(&field, value, options)? {
            Some(tokens) => {
                let clauses = self.clauses_of_tokens(&path, &field, tokens, options);
                clauses.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Returns the tokens of a text; `None` for a field that holds it as it is. A keyword field's is
    /// analysed where the query names an analyzer.
    pub(super) fn tokens(
        &mut self,
        field: &Field,
        value: &Value,
        options: &TextOptions,
    ) -> Result<Option<Vec<Token>>, QueryError> {
        let wanted = options.analyzer.as_deref();
        let is_keyword = matches!(field.kind, FieldKind::Keyword { .. });
        if !matches!(field.kind, FieldKind::Text { .. }) && (!is_keyword || wanted.is_none()) {
            return Ok(None);
        }
        let analyzer = self.search_analyzer(field, wanted)?;
        let mut tokens = self.analyzed(&analyzer, value)?;
        if options.fuzziness.is_some() && tokens.len() > self.limits.clauses {
            // Each is a question to the shards.
            return Err(too_many_words(tokens.len(), self.limits.clauses));
        }
        if is_keyword {
            for token in &mut tokens {
                token.text = self.normalized(field, &token.text);
            }
        }
        Ok(Some(tokens))
    }

    fn clauses_of_tokens(
        &mut self,
        path: &FieldPath,
        field: &Field,
        tokens: Vec<Token>,
        options: &TextOptions,
    ) -> Result<Vec<Clause>, QueryError> {
        match TokenGraph::of(&tokens) {
            Some(graph) => self.graph_terms(path, &graph, &placeless(field, options)),
            None => Ok(self.clauses_of(path, &positions(tokens), options)),
        }
    }

    fn match_exact(
        &mut self,
        path: &FieldPath,
        field: &Field,
        value: &Value,
        options: &TextOptions,
    ) -> Result<Clause, QueryError> {
        let text = Value::from(values::text_of(value));
        let clause = match (options.fuzziness, &field.kind, &options.time_zone) {
            (Some(fuzziness), ..) => check_fuzzy(path, field).map(|()| {
                let term = self.normalized(field, &values::text_of(value));
                self.fuzzy_term(path, &term, &fuzzy_options(fuzziness, options))
            }),
            (None, FieldKind::Date { .. }, Some(zone)) => self.range(&RangeQuery {
                field: path.as_str().to_owned(),
                lower: Some((text.clone(), true)),
                upper: Some((text, true)),
                time_zone: Some(zone.clone()),
                boost: 1.0,
                ..RangeQuery::default()
            }),
            _ => self.exact(path, field, &text),
        };
        match clause {
            Err(_) if options.lenient => Ok(Clause::MatchNone),
            other => other,
        }
    }

    pub(super) fn clauses_of(
        &mut self,
        path: &FieldPath,
        positions: &[Position],
        options: &TextOptions,
    ) -> Vec<Clause> {
        let positions = positions.iter();
        positions
            .map(|(_, terms)| self.terms_at(path, terms, options))
            .collect()
    }

    /// Returns the clause for the terms of one position.
    pub(super) fn terms_at(
        &mut self,
        path: &FieldPath,
        terms: &[String],
        options: &TextOptions,
    ) -> Clause {
        match (options.fuzziness, terms) {
            (Some(fuzziness), [term]) => {
                self.fuzzy_term(path, term, &fuzzy_options(fuzziness, options))
            }
            _ => plain(path, terms),
        }
    }

    pub(crate) fn match_phrase(&mut self, query: &MatchPhraseQuery) -> Result<Clause, QueryError> {
        if let Some(clause) = self.system_term(&query.field, std::slice::from_ref(&query.query)) {
            return Ok(boosted(clause, query.boost));
        }
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        if matches!(field.kind, FieldKind::Keyword { .. }) && query.analyzer.is_some() {
            let clause = self.phrase_of_keyword(&path, &field, query)?;
            return Ok(boosted(clause, query.boost));
        }
        if !matches!(field.kind, FieldKind::Text { .. }) {
            let text = Value::from(values::text_of(&query.query));
            return Ok(boosted(self.exact(&path, &field, &text)?, query.boost));
        }
        let tokens = self.phrase_tokens(&field, query)?;
        let clause = match TokenGraph::of(&tokens) {
            Some(graph) => Self::graph_phrase(&path, &graph, query.slop)?,
            None if tokens.is_empty() => zero_terms(query.zero_terms_query),
            None => phrase_or_term(&path, positions(tokens), query.slop),
        };
        Ok(boosted(positioned(&path, &field, clause)?, query.boost))
    }

    /// Returns the phrase over a keyword field for which the query names an analyzer: of one word, as
    /// its values have no positions.
    fn phrase_of_keyword(
        &mut self,
        path: &FieldPath,
        field: &Field,
        query: &MatchPhraseQuery,
    ) -> Result<Clause, QueryError> {
        let mut tokens = self.phrase_tokens(field, query)?;
        for token in &mut tokens {
            token.text = self.normalized(field, &token.text);
        }
        match positions(tokens).as_slice() {
            [] => Ok(zero_terms(query.zero_terms_query)),
            [(_, terms)] => Ok(plain(path, terms)),
            _ => Err(no_positions(path)),
        }
    }

    /// Returns the tokens of a phrase. Words that may move are tried out against each
    /// other within a document, so there may be no more of them than clauses of a query.
    pub(super) fn phrase_tokens(
        &mut self,
        field: &Field,
        query: &MatchPhraseQuery,
    ) -> Result<Vec<Token>, QueryError> {
        let analyzer = self.search_analyzer(field, query.analyzer.as_deref())?;
        let tokens = self.analyzed(&analyzer, &query.query)?;
        match query.slop > 0 && tokens.len() > self.limits.clauses {
            true => Err(too_many_words(tokens.len(), self.limits.clauses)),
            false => Ok(tokens),
        }
    }

    /// Returns the tokens of one text over one field, and counts them.
    pub(super) fn analyzed(
        &mut self,
        analyzer: &Analyzer,
        value: &Value,
    ) -> Result<Vec<Token>, QueryError> {
        let tokens = analyzer.analyze(&values::text_of(value), &self.meter);
        let tokens = tokens.map_err(too_much)?;
        if tokens.len() > MAX_WORDS {
            return Err(too_many_words(tokens.len(), MAX_WORDS));
        }
        self.count_words(tokens.len())?;
        Ok(tokens)
    }

    /// Counts words, or a value or pattern as one, that are looked for in a field.
    pub(super) fn count_words(&mut self, number: usize) -> Result<(), QueryError> {
        self.num_words += number;
        if self.num_words <= MAX_WORDS_IN_ALL {
            return Ok(());
        }
        let reason = format!(
            "the request has more than [{MAX_WORDS_IN_ALL}] words, each counted for every field that \
             it is looked for in"
        );
        Err(QueryError::new(ErrorType::TooManyClauses, reason))
    }

    pub(crate) fn fuzzy(&mut self, query: &FuzzyQuery) -> Result<Clause, QueryError> {
        let Some((path, field)) = self.indexed_field(&query.field)? else {
            return Ok(Clause::MatchNone);
        };
        check_fuzzy(&path, &field)?;
        let options = FuzzyTermOptions {
            fuzziness: query.fuzziness,
            prefix_length: query.prefix_length,
            max_expansions: query.max_expansions as usize,
            transpositions: query.transpositions,
        };
        let term = match query.normalize {
            true => self.normalized_pattern(&field, &query.value),
            false => self.normalized(&field, &query.value),
        };
        Ok(boosted(
            self.fuzzy_term(&path, &term, &options),
            query.boost,
        ))
    }

    /// Returns the terms within the edit distance, each with the factor 1 − distance / length of
    /// the shorter term (Lucene, `FuzzyTermsEnum`).
    fn fuzzy_term(&mut self, path: &FieldPath, term: &str, options: &FuzzyTermOptions) -> Clause {
        let length = term.chars().count();
        let distance = edits(options.fuzziness, length);
        if distance == 0 || length > MAX_FUZZY_CHARS {
            return Clause::Term {
                field: path.clone(),
                term: term.to_owned(),
            };
        }
        let pattern = Pattern::Fuzzy {
            term: term.to_owned(),
            distance,
            prefix_length: options.prefix_length,
            transpositions: options.transpositions,
        };
        if self.constants.has(path) {
            return Clause::Pattern {
                field: path.clone(),
                pattern,
            };
        }
        let request = ExpansionRequest {
            field: path.clone(),
            pattern,
            limit: options.max_expansions,
        };
        let Some(candidates) = self.expansions.look_up(request, self.limits.expansions) else {
            return Clause::MatchNone;
        };
        let terms: Vec<(String, f32)> = candidates
            .iter()
            .map(|candidate| {
                let shorter = candidate.term.chars().count().min(length).max(1) as f32;
                (
                    candidate.term.clone(),
                    1.0 - f32::from(candidate.distance) / shorter,
                )
            })
            .filter(|(_, factor)| *factor > 0.0)
            .collect();
        if terms.is_empty() {
            Clause::MatchNone
        } else {
            Clause::Blended {
                field: path.clone(),
                terms,
            }
        }
    }

    /// Returns a term or pattern of a query string after the parts of the field's analysis that work
    /// on single terms (case, accents).
    pub(crate) fn normalized_pattern(&self, field: &Field, text: &str) -> String {
        match self.search_analyzer(field, None) {
            Ok(analyzer) if matches!(field.kind, FieldKind::Text { .. }) => {
                // As of [`Self::normalized`].
                analyzer.normalize(text, &self.meter).unwrap_or_default()
            }
            _ => self.normalized(field, text),
        }
    }

    pub(super) fn search_analyzer(
        &self,
        field: &Field,
        wanted: Option<&str>,
    ) -> Result<Analyzer, QueryError> {
        let FieldKind::Text {
            analyzer,
            search_analyzer,
            ..
        } = &field.kind
        else {
            return self.analyzer_named(wanted.unwrap_or("keyword"));
        };
        let name = wanted.or(search_analyzer.as_deref()).unwrap_or(analyzer);
        self.analyzer_named(name)
    }
}

/// Refuses `fuzziness` for a field that is neither `text` nor `keyword`, keys of a `flattened` included.
fn check_fuzzy(path: &FieldPath, field: &Field) -> Result<(), QueryError> {
    match &field.kind {
        kind if keyed::key_of(kind).is_some() => Err(keyed::not_asked_of_keys("fuzzy")),
        FieldKind::Text { .. } | FieldKind::Keyword { .. } => Ok(()),
        other => Err(QueryError::illegal(format!(
            "Can only use fuzzy queries on keyword and text fields - not on [{path}] which is of \
             type [{}]",
            other.type_name()
        ))),
    }
}

struct FuzzyTermOptions {
    fuzziness: Fuzziness,
    prefix_length: u32,
    max_expansions: usize,
    transpositions: bool,
}

fn fuzzy_options(fuzziness: Fuzziness, options: &TextOptions) -> FuzzyTermOptions {
    FuzzyTermOptions {
        fuzziness,
        prefix_length: options.prefix_length,
        max_expansions: options.max_expansions as usize,
        transpositions: options.fuzzy_transpositions,
    }
}

pub(super) fn edits(fuzziness: Fuzziness, length: usize) -> u8 {
    match fuzziness {
        Fuzziness::Edits(edits) => edits,
        Fuzziness::Auto { low, .. } if length < low as usize => 0,
        Fuzziness::Auto { high, .. } if length < high as usize => 1,
        Fuzziness::Auto { .. } => 2,
    }
}

fn too_many_words(found: usize, limit: usize) -> QueryError {
    let reason = format!("the text has [{found}] words, but at most [{limit}] can be asked for");
    QueryError::new(ErrorType::TooManyClauses, reason)
}

/// Groups the tokens of a text by position, keeping each term once.
pub(super) fn positions(mut tokens: Vec<Token>) -> Vec<Position> {
    tokens.sort_by_key(|token| token.position);
    let mut positions: Vec<Position> = Vec::new();
    for token in tokens {
        match positions.last_mut() {
            Some((position, terms)) if *position == token.position => {
                if !terms.contains(&token.text) {
                    terms.push(token.text);
                }
            }
            _ => positions.push((token.position, vec![token.text])),
        }
    }
    positions
}

pub(super) fn term_of(path: &FieldPath, term: String) -> Clause {
    Clause::Term {
        field: path.clone(),
        term,
    }
}

pub(super) fn plain(path: &FieldPath, terms: &[String]) -> Clause {
    match terms {
        [term] => term_of(path, term.clone()),
        terms => Clause::Synonyms {
            field: path.clone(),
            terms: terms.to_vec(),
        },
    }
}

pub(super) fn phrase_or_term(path: &FieldPath, positions: Vec<Position>, slop: u32) -> Clause {
    match positions.as_slice() {
        [(_, terms)] => plain(path, terms),
        _ => phrase(path, positions, slop),
    }
}

pub(super) fn phrase(path: &FieldPath, mut positions: Vec<Position>, slop: u32) -> Clause {
    let first = positions.first().map_or(0, |(position, _)| *position);
    for (position, _) in &mut positions {
        *position -= first;
    }
    Clause::Phrase {
        field: path.clone(),
        positions,
        slop,
    }
}

pub(super) fn joined(mut clauses: Vec<Clause>, options: &TextOptions) -> Clause {
    let optional = clauses.len() as u32;
    match (clauses.len(), options.operator) {
        (0, _) => zero_terms(options.zero_terms_query),
        (1, _) => clauses.remove(0),
        (_, Operator::And) => all_of(clauses),
        (_, Operator::Or) => {
            let minimum = options.minimum_should_match.as_ref();
            let minimum_should_match = minimum.map_or(1, |m| required(m, optional).max(1));
            Clause::Bool {
                must: Vec::new(),
                should: clauses,
                filter: Vec::new(),
                must_not: Vec::new(),
                minimum_should_match,
            }
        }
    }
}

pub(super) fn zero_terms(zero_terms: ZeroTerms) -> Clause {
    match zero_terms {
        ZeroTerms::None => Clause::MatchNone,
        ZeroTerms::All => Clause::MatchAll,
        ZeroTerms::Ignore => unsaid(),
    }
}
