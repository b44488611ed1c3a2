//! `minimum_should_match`: how many optional clauses a document has to match.

use gleaner_query::dsl::MinimumShouldMatch;

/// Returns how many of `optional` clauses `minimum` asks for, 0 to `optional` + 1 (more than there
/// are can never match). Source: Elasticsearch, *minimum_should_match parameter*.
pub(super) fn required(minimum: &MinimumShouldMatch, optional: u32) -> u32 {
    let total = i64::from(optional);
    let wanted = match minimum {
        MinimumShouldMatch::Count(count) if *count < 0 => total + i64::from(*count),
        MinimumShouldMatch::Count(count) => i64::from(*count),
        MinimumShouldMatch::Percent(percent) if *percent < 0 => {
            total - total * -i64::from(*percent) / 100
        }
        MinimumShouldMatch::Percent(percent) => total * i64::from(*percent) / 100,
        MinimumShouldMatch::Conditional(rules) => {
            // The first that does not apply ends the search, whatever follows it.
            let applying = rules.iter().take_while(|(above, _)| optional > *above);
            return applying
                .last()
                .map_or(optional, |(_, rule)| required(rule, optional));
        }
    };
    wanted.clamp(0, total + 1) as u32
}
