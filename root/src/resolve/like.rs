//! `more_like_this`: the words of a document that tell it from others, chosen by numbers of all shards.
//!
//! Source: Lucene, `MoreLikeThis`: of the words of a field those with the largest tf · idf are taken, where
//! idf = ln((N + 1) / (n + 1)) + 1. N counts the live documents that have the field, n those that hold the word, over all
//! shards and indices that are searched, so no layout changes which words there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gleaner_model::{Field, FieldKind, FieldPath, Mapping};
use gleaner_query::QueryError;
use gleaner_query::dsl::{Like, LikeDocument, MoreLikeThisQuery};
use gleaner_query::resolved::Clause;

use super::fields::search_fields;
use super::text::term_of;
use super::{Resolver, boosted, not_looked_up, required};
use crate::field_texts::texts_of;

/// How often each word is there, by field.
type Words = BTreeMap<FieldPath, BTreeMap<String, u64>>;

/// A field whose words count.
struct LikeField {
    /// As the query names it, perhaps by an alias.
    name: FieldPath,
    /// Its own path.
    path: FieldPath,
    field: Field,
}

/// What is made of the words of some texts or documents.
struct Chooser<'q> {
    query: &'q MoreLikeThisQuery,
    stop_words: HashSet<&'q str>,
    skipped: BTreeSet<(FieldPath, String)>,
}

impl Resolver<'_> {
    pub(super) fn more_like_this(
        &mut self,
        query: &MoreLikeThisQuery,
    ) -> Result<Clause, QueryError> {
        let fields = self.like_fields(query)?;
        let unlike = self.words(query, &fields, &query.unlike, |_| true)?;
        let skipped = unlike.into_iter().flat_map(|(path, words)| {
            let words = words.into_keys();
            words.map(move |word| (path.clone(), word))
        });
        let chooser = Chooser {
            query,
            stop_words: query.stop_words.iter().map(String::as_str).collect(),
            skipped: skipped.collect(),
        };
        let is_text = |like: &Like| matches!(like, Like::Text(_));
        let mut of_texts = self.words(query, &fields, &query.like, is_text)?;
        let mut of_documents = self.words(query, &fields, &query.like, |like| !is_text(like))?;
        for words in [&mut of_texts, &mut of_documents] {
            chooser.drop_plain(words);
        }
        let wanted = of_texts.iter().chain(&of_documents);
        let is_known = self.expansions.want_counts(wanted);
        if !is_known {
            return Ok(Clause::MatchNone);
        }
        let mut should = Vec::new();
        let of_documents = of_documents.iter();
        let all = of_documents.flat_map(|(path, words)| self.chosen(&chooser, path, words));
        should.extend(chooser.joined(all.collect()));
        for (path, words) in &of_texts {
            should.extend(chooser.joined(self.chosen(&chooser, path, words)));
        }
        Ok(boosted(without(query, should), query.boost))
    }

    fn like_fields(&self, query: &MoreLikeThisQuery) -> Result<Vec<LikeField>, QueryError> {
        let named: Vec<(String, f32)> = query
            .fields
            .iter()
            .flatten()
            .map(|field| (field.clone(), 1.0))
            .collect();
        let mut fields: Vec<LikeField> = Vec::new();
        for searched in search_fields(self.index, &named) {
            let Some(field) = self.mapping().field(searched.path.as_str()) else {
                continue;
            };
            let path = self.mapping().own_path(searched.path.as_str());
            if fields.iter().any(|known| known.path == path) {
                continue;
            }
            let is_words = matches!(
                field.kind,
                FieldKind::Text { .. } | FieldKind::Keyword { .. }
            );
            if is_words && field.kind.is_indexed() && !field.kind.is_constant() {
                fields.push(LikeField {
                    name: searched.path,
                    path,
                    field: field.clone(),
                });
            } else if !searched.from_pattern && query.fail_on_unsupported_field {
                return Err(QueryError::illegal(format!(
                    "more_like_this only supports text and keyword fields: [{}]",
                    searched.path
                )));
            }
        }
        Ok(fields)
    }

    /// Returns the words of those of `likes` that are meant.
    fn words(
        &mut self,
        query: &MoreLikeThisQuery,
        fields: &[LikeField],
        likes: &[Like],
        is_meant: impl Fn(&Like) -> bool,
    ) -> Result<Words, QueryError> {
        let mut words = Words::new();
        for like in likes.iter().filter(|like| is_meant(like)) {
            for field in fields {
                let (texts, own) = match like {
                    Like::Text(text) => (vec![text.clone()], None),
                    Like::Document(document) => (
                        texts_like(self.mapping(), document, field)?,
                        document.analyzers.get(field.name.as_str()),
                    ),
                };
                let analyzer = own.or(query.analyzer.as_ref()).map(String::as_str);
                for text in texts {
                    let found = self.words_of_text(analyzer, field, &text)?;
                    let of_field = words.entry(field.path.clone()).or_default();
                    found
                        .into_iter()
                        .for_each(|word| *of_field.entry(word).or_default() += 1);
                }
            }
        }
        Ok(words)
    }

    /// Returns the words of a text as `analyzer` finds them, or without one that of the field.
    fn words_of_text(
        &mut self,
        analyzer: Option<&str>,
        field: &LikeField,
        text: &str,
    ) -> Result<Vec<String>, QueryError> {
        let FieldKind::Text {
            analyzer: of_field, ..
        } = &field.field.kind
        else {
            self.count_words(1)?;
            return Ok(vec![self.normalized(&field.field, text)]);
        };
        let analyzer = self.analyzer_named(analyzer.unwrap_or(of_field))?;
        let tokens = self.analyzed(&analyzer, &text.into())?;
        Ok(tokens.into_iter().map(|token| token.text).collect())
    }

    /// Returns the words of a field that tell the most, as clauses.
    fn chosen(
        &self,
        chooser: &Chooser<'_>,
        path: &FieldPath,
        words: &BTreeMap<String, u64>,
    ) -> Vec<Clause> {
        let query = chooser.query;
        let Some((documents, counts)) = self.expansions.counts(path) else {
            return Vec::new();
        };
        let mut scored: Vec<(f64, &String)> = Vec::with_capacity(words.len());
        for (word, frequency) in words {
            let matching = counts.get(word).copied().unwrap_or_default();
            let is_usual = (query.min_doc_freq..=query.max_doc_freq).contains(&matching);
            if matching > 0 && is_usual {
                let idf = ((documents + 1) as f64 / (matching + 1) as f64).ln() + 1.0;
                scored.push((*frequency as f64 * idf, word));
            }
        }
        scored.sort_by(|(one, word), (other, next)| other.total_cmp(one).then(word.cmp(next)));
        scored.truncate(query.max_query_terms);
        let least = scored.last().map_or(1.0, |(score, _)| *score);
        let clause = |(score, word): (f64, &String)| {
            let factor = match query.boost_terms {
                0.0 => 1.0,
                factor => (f64::from(factor) * score / least) as f32,
            };
            boosted(term_of(path, word.clone()), factor)
        };
        scored.into_iter().map(clause).collect()
    }
}

impl Chooser<'_> {
    /// Drops the words that do not count, wherever they are.
    fn drop_plain(&self, words: &mut Words) {
        let query = self.query;
        words.retain(|path, words| {
            words.retain(|word, frequency| {
                let length = word.chars().count();
                let is_long = query.max_word_length > 0 && length > query.max_word_length;
                *frequency >= query.min_term_freq
                    && length >= query.min_word_length
                    && !is_long
                    && !self.stop_words.contains(word.as_str())
                    && !self.skipped.contains(&(path.clone(), word.clone()))
            });
            !words.is_empty()
        });
    }

    /// Returns what so many of the words match.
    fn joined(&self, should: Vec<Clause>) -> Option<Clause> {
        let minimum = required(&self.query.minimum_should_match, should.len() as u32);
        (!should.is_empty()).then_some(Clause::Bool {
            must: Vec::new(),
            should,
            filter: Vec::new(),
            must_not: Vec::new(),
            minimum_should_match: minimum.max(1),
        })
    }
}

/// Returns what any of `should` matches, without the documents that are named.
fn without(query: &MoreLikeThisQuery, mut should: Vec<Clause>) -> Clause {
    let clause = match should.len() {
        0 => return Clause::MatchNone,
        1 => should.remove(0),
        _ => super::any_of(should),
    };
    let likes = query.like.iter().filter_map(|like| match like {
        Like::Document(LikeDocument { place, .. }) => place.as_ref(),
        Like::Text(_) => None,
    });
    let ids: Vec<String> = likes.map(|place| place.id.clone()).collect();
    if query.include || ids.is_empty() {
        return clause;
    }
    Clause::Bool {
        must: vec![clause],
        should: Vec::new(),
        filter: Vec::new(),
        must_not: vec![super::ids(&ids)],
        minimum_should_match: 0,
    }
}

/// Returns the texts of a document that a field is indexed with, where the document counts for that field.
fn texts_like(
    mapping: &Mapping,
    document: &LikeDocument,
    field: &LikeField,
) -> Result<Vec<String>, QueryError> {
    if let Some(place) = document.place.as_ref().filter(|place| !place.is_read) {
        let index = place.index.as_deref().unwrap_or("_all");
        return Err(not_looked_up("more_like_this", index, &place.id));
    }
    let is_named = |fields: &Vec<String>| fields.iter().any(|name| name == field.name.as_str());
    if document
        .fields
        .as_ref()
        .is_some_and(|fields| !is_named(fields))
    {
        return Ok(Vec::new());
    }
    let source = document.source.as_ref();
    Ok(source.map_or_else(Vec::new, |source| texts_of(mapping, &field.path, source)))
}
