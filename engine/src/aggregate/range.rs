//! `range`, `date_range` and `geo_distance`: ranges may overlap; a document counts once in each.

use gleaner_model::mapping::round_to;
use gleaner_model::{FieldKind, NumberKind};
use gleaner_partial::key::{ValueFormat, ValueKind};
use gleaner_partial::request::bounds;
use gleaner_partial::{Bucket, Partial, RangeBucket, Ranges};
use gleaner_query::aggregation::{Aggregation, GeoDistanceAggregation, RangeAggregation};
use tantivy::DocId;

use super::node::{Block, Buckets, Node, SegmentContext};
use super::points::Points;
use super::slots::ListedSlots;
use super::source::Numbers;
use super::whole::WholeSegment;
use crate::error::EngineError;

pub(super) fn build<'a>(
    request: &'a RangeAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let what = if request.is_date {
        "date_range"
    } else {
        "range"
    };
    let zone = request.time_zone.as_deref();
    let (numbers, mut format) = Numbers::open_in(zone, &request.source, what, context)?;
    format.time_zone.clone_from(&request.time_zone);
    let ranges = bounds::known_ranges(request, &format, context.now_ms)?;
    let field = context.view.mapping().field(&request.source.field);
    let kind = field.map(|field| &field.kind);
    Ok(Box::new(RangeNode {
        values: Values::Numbers(numbers),
        spans: ranges.iter().map(|range| Span::of(range, kind)).collect(),
        slots: ListedSlots::new(ranges.len(), Buckets::build(sub, context)?),
        ranges,
        format,
    }))
}

/// `geo_distance`: ranges of distances from a point.
pub(super) fn build_distances<'a>(
    request: &'a GeoDistanceAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let format = ValueFormat {
        kind: ValueKind::Double,
        ..ValueFormat::default()
    };
    let ranges = bounds::ranges(&request.range, &format, context.now_ms)?;
    Ok(Box::new(RangeNode {
        values: Values::Distances(Points::open(&request.range.source.field, context)?, request),
        spans: ranges.iter().map(|range| Span::of(range, None)).collect(),
        slots: ListedSlots::new(ranges.len(), Buckets::build(sub, context)?),
        ranges,
        format,
    }))
}

/// What ranges are of.
enum Values<'a> {
    Numbers(Numbers),
    Distances(Points, &'a GeoDistanceAggregation),
}

impl Values<'_> {
    fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, f64)) {
        match self {
            Self::Numbers(numbers) => numbers.visit(docs, f),
            Self::Distances(points, request) => points.visit(docs, |i, point| {
                f(i, request.origin.distance_m(&point) / request.unit_m);
            }),
        }
    }
}

struct RangeNode<'a> {
    values: Values<'a>,
    format: ValueFormat,
    ranges: Vec<RangeBucket>,
    /// Per range, what it holds.
    spans: Vec<Span>,
    slots: ListedSlots<'a>,
}

impl Node for RangeNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            values,
            spans,
            slots,
            ..
        } = self;
        slots.begin(block)?;
        let mut outcome = Ok(());
        values.visit(block.docs, |i, value| {
            let holding = spans
                .iter()
                .enumerate()
                .filter(|(_, span)| span.holds(value));
            for (entry, _) in holding {
                if outcome.is_ok() {
                    outcome = slots.put(block, i, entry);
                }
            }
        });
        outcome?;
        slots.hand_on()
    }

    fn collect_all(&mut self, whole: &WholeSegment<'_>) -> Result<bool, EngineError> {
        let Values::Numbers(numbers) = &self.values else {
            return Ok(false);
        };
        if !self.slots.only_count() {
            return Ok(false);
        }
        let Some(ordered) = numbers.ordered(whole)? else {
            return Ok(false);
        };
        let below = |bound: f64| ordered.count_before(|doc| numbers.of(doc) < bound);
        let count = |span: &Span| {
            let to = span.to.map_or(ordered.len(), below);
            to.saturating_sub(span.from.map_or(0, below))
        };
        let counts: Vec<u64> = self.spans.iter().map(count).collect();
        self.slots.add(&counts)?;
        Ok(true)
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let with = |range: &RangeBucket, bucket: Bucket| RangeBucket {
            bucket,
            ..range.clone()
        };
        let owners = self.slots.finish(num_owners)?;
        let partials = owners.map(|buckets| {
            let pairs = self.ranges.iter().zip(buckets);
            Partial::Ranges(Ranges {
                format: self.format.clone(),
                ranges: pairs.map(|(range, bucket)| with(range, bucket)).collect(),
            })
        });
        Ok(partials.collect())
    }
}

/// The values of a range.
struct Span {
    from: Option<f64>,
    to: Option<f64>,
}

impl Span {
    /// Bounds are kept as a field of `kind` keeps its values, so that 0.7 is from 0.7 on in a `float` too.
    fn of(range: &RangeBucket, kind: Option<&FieldKind>) -> Self {
        let kept = |bound: f64| match kind {
            Some(FieldKind::Number {
                number: number @ (NumberKind::Float | NumberKind::HalfFloat),
                ..
            }) => round_to(*number, bound),
            _ => bound,
        };
        Self {
            from: range.from.map(kept),
            to: range.to.map(kept),
        }
    }

    fn holds(&self, value: f64) -> bool {
        self.from.is_none_or(|from| value >= from) && self.to.is_none_or(|to| value < to)
    }
}
