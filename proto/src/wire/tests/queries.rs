//! Strategies for queries: order, aggregations, highlighting.

use std::sync::Arc;

use gleaner_model::ShardNumber;
use gleaner_query::aggregation::{
    Aggregation, AggregationKind, AggregationRange, BucketOrder, CalendarUnit,
    DateHistogramAggregation, DateInterval, HistogramAggregation, Metric, RangeAggregation,
    TermsAggregation, TermsFilter, TopHitsAggregation, ValueSource, ValueType,
};
use gleaner_query::answer::SortValue;
use gleaner_query::dsl::Query;
use gleaner_query::encoded::GeoPoint;
use gleaner_query::resolved::{
    After, Bm25, NamedClause, NamedQueries, ShardQuery, Similarities, TieBreak,
};
use gleaner_query::search::{
    FieldFormat, Highlight, HighlightOptions, Missing, PointDistance, SortKey, SortMode,
    SortTarget, SourceFilter, TrackTotal,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::aggregations;
use super::clauses::{clause, factor, field, fraction, id, statistics, text, texts, value};

pub(super) fn sort_value() -> impl Strategy<Value = SortValue> {
    prop_oneof![
        any::<i64>().prop_map(SortValue::I64),
        any::<u64>().prop_map(SortValue::U64),
        fraction().prop_map(SortValue::F64),
        text().prop_map(SortValue::Text),
        Just(SortValue::Missing),
        any::<u128>().prop_map(SortValue::Ip),
        any::<u32>().prop_map(|short| SortValue::Ip(0xffff_0000_0000 | u128::from(short))),
    ]
}

pub(super) fn tie_break() -> impl Strategy<Value = TieBreak> {
    (any::<u64>(), of(id())).prop_map(|(hash, id)| TieBreak { hash, id })
}

fn point_distance() -> impl Strategy<Value = PointDistance> {
    let origins = vec((any::<i32>(), any::<i32>()), 1..3);
    (text(), origins, 0.001..1e6, any::<bool>()).prop_map(|(field, origins, unit_m, is_plane)| {
        let point = |(latitude, longitude)| GeoPoint {
            latitude,
            longitude,
        };
        PointDistance {
            field,
            origins: origins.into_iter().map(point).collect(),
            unit_m,
            is_plane,
        }
    })
}

fn sort_key() -> impl Strategy<Value = SortKey> {
    let target = prop_oneof![
        Just(SortTarget::Score),
        Just(SortTarget::Doc),
        Just(SortTarget::ShardDoc),
        text().prop_map(SortTarget::Field),
        point_distance().prop_map(SortTarget::Distance),
    ];
    let missing = prop_oneof![
        Just(Missing::Last),
        Just(Missing::First),
        value().prop_map(Missing::Value),
    ];
    let modes = [
        SortMode::Min,
        SortMode::Max,
        SortMode::Sum,
        SortMode::Avg,
        SortMode::Median,
    ];
    let named = (of(text()), of(text()), of(text()));
    (
        target,
        any::<bool>(),
        missing,
        of(select(modes.to_vec())),
        named,
    )
        .prop_map(
            |(target, descending, missing, mode, (unmapped_type, format, numeric_type))| SortKey {
                target,
                descending,
                missing,
                mode,
                unmapped_type,
                format,
                numeric_type,
            },
        )
}

pub(super) fn field_format() -> impl Strategy<Value = FieldFormat> {
    (text(), of(text()), any::<bool>()).prop_map(|(field, format, include_unmapped)| FieldFormat {
        field,
        format,
        include_unmapped,
    })
}

pub(super) fn source_filter() -> impl Strategy<Value = SourceFilter> {
    (any::<bool>(), texts(), texts()).prop_map(|(enabled, includes, excludes)| SourceFilter {
        enabled,
        includes,
        excludes,
    })
}

pub(super) fn highlight() -> impl Strategy<Value = Highlight> {
    let sizes = (
        any::<usize>(),
        any::<usize>(),
        any::<usize>(),
        any::<usize>(),
    );
    let flags = (
        any::<bool>(),
        any::<bool>(),
        of(any::<bool>()),
        any::<bool>(),
    );
    let options = (texts(), texts(), texts(), sizes, flags).prop_map(
        |(pre_tags, post_tags, matched_fields, sizes, flags)| HighlightOptions {
            pre_tags,
            post_tags,
            fragment_size: sizes.0,
            number_of_fragments: sizes.1,
            no_match_size: sizes.2,
            order_by_score: flags.0,
            encode_html: flags.1,
            require_field_match: flags.2,
            max_analyzed_offset: sizes.3,
            matched_fields,
            marks_words: flags.3,
            query: None,
        },
    );
    (vec((text(), options), 0..3), any::<bool>()).prop_map(|(fields, require_field_match)| {
        Highlight {
            fields,
            require_field_match,
            query: None,
        }
    })
}

fn source() -> impl Strategy<Value = ValueSource> {
    let value_type = prop_oneof![
        Just(None),
        Just(Some(ValueType::Text)),
        Just(Some(ValueType::Long)),
        Just(Some(ValueType::Double)),
        Just(Some(ValueType::Boolean)),
        Just(Some(ValueType::Date)),
        Just(Some(ValueType::Ip)),
    ];
    (text(), value_type, of(value()), of(text())).prop_map(
        |(field, value_type, missing, format)| ValueSource {
            field,
            value_type,
            missing,
            format,
        },
    )
}

fn order() -> impl Strategy<Value = Vec<(BucketOrder, bool)>> {
    let order = prop_oneof![
        Just(BucketOrder::Count),
        Just(BucketOrder::Key),
        text().prop_map(BucketOrder::Metric),
    ];
    vec((order, any::<bool>()), 0..3)
}

fn terms() -> impl Strategy<Value = AggregationKind> {
    let filter = || {
        of(prop_oneof![
            text().prop_map(TermsFilter::Regex),
            vec(value(), 0..3).prop_map(TermsFilter::Values),
            (any::<u32>(), any::<u32>()).prop_map(|(partition, num_partitions)| {
                TermsFilter::Partition {
                    partition,
                    num_partitions,
                }
            }),
        ])
    };
    let sizes = (any::<usize>(), of(any::<usize>()), any::<u64>());
    (source(), sizes, order(), filter(), filter(), any::<bool>()).prop_map(
        |(source, sizes, order, include, exclude, show_term_doc_count_error)| {
            AggregationKind::Terms(TermsAggregation {
                source,
                size: sizes.0,
                shard_size: sizes.1,
                min_doc_count: sizes.2,
                order,
                include,
                exclude,
                show_term_doc_count_error,
            })
        },
    )
}

fn range() -> impl Strategy<Value = AggregationKind> {
    let range = (of(text()), of(value()), of(value()))
        .prop_map(|(key, from, to)| AggregationRange { key, from, to });
    let flags = (any::<bool>(), any::<bool>(), of(text()));
    (source(), vec(range, 0..3), flags).prop_map(|(source, ranges, flags)| {
        AggregationKind::Range(RangeAggregation {
            source,
            ranges,
            keyed: flags.0,
            is_date: flags.1,
            time_zone: flags.2,
        })
    })
}

fn histogram() -> impl Strategy<Value = AggregationKind> {
    // Of bounds one may be absent.
    let bounds = || {
        let lower = prop_oneof![fraction(), Just(f64::INFINITY)];
        of((lower, prop_oneof![fraction(), Just(f64::NEG_INFINITY)]))
    };
    let numbers = (1e-9_f64..1e9, fraction(), any::<u64>());
    (
        source(),
        numbers,
        bounds(),
        bounds(),
        order(),
        any::<bool>(),
    )
        .prop_map(
            |(source, numbers, extended_bounds, hard_bounds, order, keyed)| {
                AggregationKind::Histogram(HistogramAggregation {
                    source,
                    interval: numbers.0,
                    offset: numbers.1,
                    min_doc_count: numbers.2,
                    extended_bounds,
                    hard_bounds,
                    order,
                    keyed,
                })
            },
        )
}

fn date_histogram() -> impl Strategy<Value = AggregationKind> {
    let units = [
        CalendarUnit::Minute,
        CalendarUnit::Hour,
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
    ];
    let interval = prop_oneof![
        select(units.to_vec()).prop_map(DateInterval::Calendar),
        (1_i64..).prop_map(DateInterval::Fixed),
    ];
    let bounds = || of((value(), value()));
    let numbers = (any::<i64>(), any::<u64>(), of(text()), any::<bool>());
    (source(), interval, numbers, bounds(), bounds(), order()).prop_map(
        |(source, interval, numbers, extended_bounds, hard_bounds, order)| {
            AggregationKind::DateHistogram(DateHistogramAggregation {
                source,
                interval,
                time_zone: numbers.2,
                offset_ms: numbers.0,
                min_doc_count: numbers.1,
                extended_bounds,
                hard_bounds,
                order,
                keyed: numbers.3,
            })
        },
    )
}

fn top_hits() -> impl Strategy<Value = AggregationKind> {
    let flags = any::<[bool; 4]>();
    let window = (any::<usize>(), any::<usize>());
    let formats = || vec(field_format(), 0..3);
    let fields = (formats(), formats(), texts());
    let content = (source_filter(), fields, of(highlight()));
    (window, vec(sort_key(), 0..3), content, flags).prop_map(|(window, sort, content, flags)| {
        AggregationKind::TopHits(TopHitsAggregation {
            from: window.0,
            size: window.1,
            sort,
            source: content.0,
            docvalue_fields: content.1.0,
            fields: content.1.1,
            stored_fields: content.1.2,
            explain: flags[3],
            highlight: content.2,
            version: flags[0],
            seq_no_primary_term: flags[1],
            track_scores: flags[2],
        })
    })
}

fn aggregation_kind() -> impl Strategy<Value = AggregationKind> {
    let metrics = [
        Metric::Avg,
        Metric::Min,
        Metric::Max,
        Metric::Sum,
        Metric::ValueCount,
        Metric::Stats,
        Metric::ExtendedStats { sigma: 2.0 },
        Metric::ExtendedStats { sigma: 0.5 },
    ];
    let filters = (texts(), any::<(bool, bool)>(), of(text()));
    prop_oneof![
        terms(),
        range(),
        histogram(),
        date_histogram(),
        top_hits(),
        // What leaves do not read does not travel.
        Just(AggregationKind::Filter(Query::MatchNone)),
        filters.prop_map(|(keys, flags, other_bucket)| AggregationKind::Filters {
            filters: keys
                .into_iter()
                .map(|key| (key, Query::MatchNone))
                .collect(),
            is_keyed: flags.0,
            is_listed: flags.1,
            other_bucket,
        }),
        Just(AggregationKind::Global),
        (text(), of(value()))
            .prop_map(|(field, missing)| AggregationKind::MissingValue { field, missing }),
        aggregations::kind(),
        (select(metrics.to_vec()), source())
            .prop_map(|(metric, source)| AggregationKind::Metric(metric, source)),
        (source(), any::<u32>()).prop_map(|(source, precision_threshold)| {
            AggregationKind::Cardinality {
                source,
                precision_threshold,
            }
        }),
        (source(), vec(fraction(), 0..3), any::<bool>()).prop_map(|(source, percents, keyed)| {
            AggregationKind::Percentiles {
                source,
                percents,
                keyed,
                hdr_digits: None,
            }
        }),
    ]
}

fn aggregation() -> impl Strategy<Value = Aggregation> {
    let named = |sub: BoxedStrategy<Vec<Aggregation>>| {
        (text(), aggregation_kind(), sub, of(value())).prop_map(|(name, kind, sub, meta)| {
            Aggregation {
                name,
                kind,
                sub,
                pipelines: Vec::new(),
                meta,
            }
        })
    };
    named(Just(Vec::new()).boxed())
        .prop_recursive(3, 8, 3, move |inner| named(vec(inner, 0..3).boxed()))
}

fn after() -> impl Strategy<Value = After> {
    (vec(sort_value(), 0..3), of(tie_break()), of(any::<u32>())).prop_map(|(keys, tie, shard)| {
        let shard = shard.map(ShardNumber);
        After { keys, tie, shard }
    })
}

fn similarities() -> impl Strategy<Value = Similarities> {
    let similarity = (0.0..10.0_f64, 0.0..=1.0_f64);
    let similarity = similarity.prop_map(|(k1, b)| Bm25::new(k1, b).expect("in range"));
    vec((field(), similarity), 0..3).prop_map(|fields| fields.into_iter().collect())
}

pub(super) fn shard_query() -> impl Strategy<Value = ShardQuery> {
    let track_total = prop_oneof![
        Just(TrackTotal::No),
        any::<u64>().prop_map(TrackTotal::UpTo),
        Just(TrackTotal::Exact),
    ];
    let what = (clause(), of(clause()), statistics(), similarities());
    let after = (of(after()), of(vec(value(), 0..3)));
    let order = (vec(sort_key(), 0..3), after.0, after.1, of(field()));
    let counts = (any::<usize>(), any::<bool>(), track_total, of(factor()));
    let named = (text(), clause()).prop_map(|(name, clause)| NamedClause { name, clause });
    let named = (vec(named, 0..2), any::<bool>()).prop_map(|(clauses, are_scored)| NamedQueries {
        clauses,
        are_scored,
    });
    // Boxed: what strategies hold lies on the stack of the test.
    let aggregated = (vec(aggregation(), 0..3), vec(clause(), 0..3), named.boxed());
    let end = (of(any::<u64>()), any::<i64>());
    (what, order, counts, aggregated, end).prop_map(|(what, order, counts, aggregated, end)| {
        ShardQuery {
            query: what.0,
            post_filter: what.1,
            statistics: Arc::new(what.2),
            similarities: what.3,
            top: counts.0,
            collapse: order.3,
            sort: order.0,
            after: order.1,
            search_after: order.2,
            track_scores: counts.1,
            track_total: counts.2,
            min_score: counts.3,
            aggregations: Arc::new(aggregated.0),
            aggregation_filters: Arc::new(aggregated.1),
            named: Arc::new(aggregated.2),
            terminate_after: end.0,
            now_ms: end.1,
        }
    })
}
