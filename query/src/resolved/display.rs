//! Clauses as Lucene writes queries, for people who ask what their query became.

mod function;

use std::fmt::{self, Display, Formatter};
use std::ops::Bound;

use gleaner_model::FieldPath;

use super::{Clause, IntervalOrder, IntervalSource, Pattern, Scalar};
use crate::address::ip_text;

/// Lucene's notation, as `_validate/query?explain` shows it: `+` before what must match, `#` before what
/// must match without a score, `-` before what must not, `^` before a boost, `~` before a slop, an edit
/// distance or how many of the optional clauses must match. Dates are milliseconds since the epoch. It is for
/// reading: the syntax of `query_string` is another, and nothing is escaped.
impl Display for Clause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchAll => f.write_str("*:*"),
            Self::MatchNone => f.write_str("MatchNoDocsQuery"),
            Self::Term { field, term } => write!(f, "{field}:{term}"),
            Self::Synonyms { field, terms } => {
                let terms = terms.iter().map(|term| format!("{field}:{term}"));
                write!(f, "Synonym({})", Separated(terms.collect(), " "))
            }
            Self::Blended { field, terms } => blended(f, field, terms),
            Self::Exact { field, value } => match value {
                Scalar::Bool(_) | Scalar::Text(_) => write!(f, "{field}:{value}"),
                number => write!(f, "{field}:[{number} TO {number}]"),
            },
            Self::AnyOf { field, values } => {
                write!(f, "{field}:({})", Separated(values.iter().collect(), " "))
            }
            Self::Phrase {
                field,
                positions,
                slop,
            } => phrase(f, field, positions, *slop),
            Self::Range {
                field,
                lower,
                upper,
            } => range(f, field, (lower, upper)),
            Self::Exists { fields } => {
                let fields = fields
                    .iter()
                    .map(|field| format!("FieldExistsQuery [field={field}]"));
                write!(f, "{}", Separated(fields.collect(), " "))
            }
            Self::Ids { ids } => write!(f, "_id:({})", Separated(ids.iter().collect(), " ")),
            Self::Slice { id, max } => write!(f, "SliceQuery [id={id}, max={max}]"),
            Self::Pattern { field, pattern } => write!(f, "{field}:{pattern}"),
            Self::Bool { .. } => self.combined(f),
            Self::DisMax {
                clauses,
                tie_breaker,
            } => {
                let clauses = clauses.iter().map(Operand).collect();
                write!(f, "({})", Separated(clauses, " | "))?;
                factor(f, '~', *tie_breaker, 0.0)
            }
            Self::Across { .. } | Self::AtLeast { .. } | Self::Intervals(_) => self.related(f),
            Self::Constant(clause) => write!(f, "ConstantScore({clause})"),
            Self::Demote {
                positive,
                negative,
                factor,
            } => write!(
                f,
                "FunctionScoreQuery({positive}, scored by boost(queryboost({negative})^{factor:?}))"
            ),
            Self::Functions(scored) => {
                write!(f, "function score ({}, functions: [", scored.query)?;
                for (at, (filter, function)) in
                    scored.filters.iter().zip(&scored.functions).enumerate()
                {
                    let separator = if at > 0 { ", " } else { "" };
                    let function = &function.function;
                    write!(f, "{separator}{{filter({filter}), function [{function}]}}")?;
                }
                f.write_str("])")
            }
            Self::Boost {
                clause,
                factor: boost,
            } => {
                write!(f, "({clause})")?;
                factor(f, '^', *boost, 1.0)
            }
        }
    }
}

impl Clause {
    /// Writes words over several fields, of a number, and that stand to each other.
    fn related(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Across {
                clauses, weights, ..
            } => {
                let weighted = clauses.iter().zip(weights);
                let weighted = weighted.map(|(clause, weight)| Weighted(clause, *weight));
                write!(f, "Blended({})", Separated(weighted.collect(), " "))
            }
            Self::AtLeast { clauses, field } => {
                let clauses = clauses.iter().map(Operand).collect();
                write!(
                    f,
                    "CoveringQuery({})~long({field})",
                    Separated(clauses, " ")
                )
            }
            Self::Intervals(intervals) => write!(f, "{}:{}", intervals.field, intervals.source),
            _ => Ok(()),
        }
    }

    /// Writes a `bool`.
    fn combined(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match,
        } = self
        else {
            return Ok(());
        };
        // Where nothing else is required, one of them must match anyway.
        let implied = u32::from(must.is_empty() && filter.is_empty());
        let is_counted = !should.is_empty() && *minimum_should_match > implied;
        let groups = [("+", must), ("", should), ("#", filter), ("-", must_not)];
        let clauses = groups.iter().flat_map(|(sign, clauses)| {
            clauses
                .iter()
                .map(move |clause| format!("{sign}{}", Operand(clause)))
        });
        let clauses = Separated(clauses.collect(), " ");
        if is_counted {
            write!(f, "({clauses})~{minimum_should_match}")
        } else {
            write!(f, "{clauses}")
        }
    }
}

/// A clause with its factor.
struct Weighted<'a>(&'a Clause, f32);

impl Display for Weighted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(clause, weight) = self;
        write!(f, "{clause}")?;
        factor(f, '^', *weight, 1.0)
    }
}

impl Display for IntervalSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("NOMATCH"),
            Self::Terms { terms, .. } => match terms.as_slice() {
                [term] => f.write_str(term),
                terms => write!(f, "or({})", Separated(terms.iter().collect(), ",")),
            },
            Self::AnyOf(sources) => {
                write!(f, "or({})", Separated(sources.iter().collect(), ","))
            }
            Self::AllOf {
                sources,
                order,
                max_gaps,
            } => {
                if let Some(gaps) = max_gaps {
                    write!(f, "MAXGAPS/{gaps}(")?;
                }
                let name = match order {
                    IntervalOrder::Adjacent => "BLOCK",
                    IntervalOrder::Ordered => "ORDERED",
                    IntervalOrder::Unordered => "UNORDERED",
                    IntervalOrder::Separate => "UNORDERED_NO_OVERLAPS",
                };
                write!(f, "{name}({})", Separated(sources.iter().collect(), ","))?;
                f.write_str(if max_gaps.is_some() { ")" } else { "" })
            }
            Self::Repeat { source, times } => write!(f, "{source}x{times}"),
            Self::Extend {
                source,
                before,
                after,
            } => write!(f, "EXTEND({source},{before},{after})"),
            Self::First { source, end } => write!(f, "FIRST/{end}({source})"),
            Self::Filter {
                source,
                relation,
                by,
            } => write!(f, "{relation:?}({source},{by})"),
        }
    }
}

/// A clause inside another: in brackets where it would run together with what stands beside it.
struct Operand<'a>(&'a Clause);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(clause) = self;
        let is_open = match clause {
            Clause::Bool { .. } => true,
            Clause::Exists { fields } => fields.len() > 1,
            Clause::Blended { terms, .. } => terms.len() > 1,
            _ => false,
        };
        if is_open {
            write!(f, "({clause})")
        } else {
            write!(f, "{clause}")
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ignore_case = match self {
            Self::Prefix {
                prefix,
                ignore_case,
            } => {
                write!(f, "{prefix}*")?;
                *ignore_case
            }
            Self::Wildcard {
                pattern,
                ignore_case,
            } => {
                f.write_str(pattern)?;
                *ignore_case
            }
            Self::Regexp {
                expression,
                ignore_case,
            } => {
                write!(f, "/{expression}/")?;
                *ignore_case
            }
            Self::Fuzzy { term, distance, .. } => {
                write!(f, "{term}~{distance}")?;
                false
            }
            Self::Spans {
                relation,
                lower,
                upper,
            } => {
                write!(f, "{relation:?}[{lower} TO {upper}]")?;
                false
            }
            Self::Points(shape) => {
                write!(f, "{shape:?}")?;
                false
            }
            Self::Between { lower, upper } => {
                let start = if lower.is_included { '[' } else { '{' };
                let end = if upper.is_included { ']' } else { '}' };
                write!(f, "{start}{} TO {}{end}", lower.term, upper.term)?;
                false
            }
        };
        if ignore_case {
            f.write_str(" [case_insensitive]")?;
        }
        Ok(())
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::I64(value) | Self::Date(value) => write!(f, "{value}"),
            Self::U64(value) => write!(f, "{value}"),
            Self::F64(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Ip(value) => f.write_str(&ip_text(*value)),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// Items with a separator between them.
struct Separated<T>(Vec<T>, &'static str);

impl<T: Display> Display for Separated<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(items, separator) = self;
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                f.write_str(separator)?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

fn blended(f: &mut Formatter<'_>, field: &FieldPath, terms: &[(String, f32)]) -> fmt::Result {
    for (at, (term, boost)) in terms.iter().enumerate() {
        if at > 0 {
            f.write_str(" ")?;
        }
        if *boost == 1.0 {
            write!(f, "{field}:{term}")?;
        } else {
            write!(f, "({field}:{term})^{boost:?}")?;
        }
    }
    Ok(())
}

fn phrase(
    f: &mut Formatter<'_>,
    field: &FieldPath,
    positions: &[(u32, Vec<String>)],
    slop: u32,
) -> fmt::Result {
    let mut words = Vec::new();
    for (at, terms) in positions {
        // Positions without a term, as of a stop word.
        words.resize((*at as usize).max(words.len()), "?".to_owned());
        words.push(match terms.as_slice() {
            [term] => term.clone(),
            several => format!("({})", several.join(" ")),
        });
    }
    write!(f, "{field}:\"{}\"", words.join(" "))?;
    if slop > 0 {
        write!(f, "~{slop}")?;
    }
    Ok(())
}

fn range(
    f: &mut Formatter<'_>,
    field: &FieldPath,
    (lower, upper): (&Bound<Scalar>, &Bound<Scalar>),
) -> fmt::Result {
    match lower {
        Bound::Included(value) => write!(f, "{field}:[{value}")?,
        Bound::Excluded(value) => write!(f, "{field}:{{{value}")?,
        Bound::Unbounded => write!(f, "{field}:[*")?,
    }
    match upper {
        Bound::Included(value) => write!(f, " TO {value}]"),
        Bound::Excluded(value) => write!(f, " TO {value}}}"),
        Bound::Unbounded => f.write_str(" TO *]"),
    }
}

/// Writes a number behind its sign, unless it is what holds without it.
fn factor(f: &mut Formatter<'_>, sign: char, value: f32, usual: f32) -> fmt::Result {
    if value == usual {
        return Ok(());
    }
    write!(f, "{sign}{value:?}")
}

#[cfg(test)]
mod tests;
