//! `range`, `date_range` and `geo_distance`: ranges may overlap; a document counts once in each.

use gleaner_model::mapping::round_to;
use gleaner_model::{FieldKind, NumberKind};
use gleaner_query::aggregation::{Aggregation, GeoDistanceAggregation, RangeAggregation};
use tantivy::DocId;

use super::bounds;
use super::node::{Block, Buckets, Children, Node, SegmentContext};
use super::points::Points;
use super::source::Numbers;
use crate::error::EngineError;
use crate::partial::key::{ValueFormat, ValueKind};
use crate::partial::{Bucket, Partial, RangeBucket, Ranges};

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
    let ranges = read_bounds(request, &format, context.now_ms)?;
    let field = context.view.mapping().field(&request.source.field);
    let kind = field.map(|field| &field.kind);
    Ok(Box::new(RangeNode {
        values: Values::Numbers(numbers),
        spans: ranges.iter().map(|range| Span::of(range, kind)).collect(),
        last_doc: vec![usize::MAX; ranges.len()],
        ranges,
        format,
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
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
        last_doc: vec![usize::MAX; ranges.len()],
        ranges,
        format,
        buckets: Buckets::new(Children::build_many(sub, context)?, context),
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

/// Reads the bounds; none where the field is unknown here and they need its format.
pub(super) fn read_bounds(
    request: &RangeAggregation,
    format: &ValueFormat,
    now_ms: i64,
) -> Result<Vec<RangeBucket>, EngineError> {
    match bounds::ranges(request, format, now_ms) {
        Err(_) if format.kind == ValueKind::Unmapped => Ok(Vec::new()),
        read => read,
    }
}

struct RangeNode<'a> {
    values: Values<'a>,
    format: ValueFormat,
    ranges: Vec<RangeBucket>,
    /// Per range, what it holds.
    spans: Vec<Span>,
    /// Per range, the place in the block of the document that was put there last.
    last_doc: Vec<usize>,
    /// Bucket `owner × ranges + range`.
    buckets: Buckets<'a>,
}

impl Node for RangeNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let num_ranges = self.ranges.len();
        let num_owners = block
            .owners
            .iter()
            .max()
            .map_or(0, |owner| *owner as usize + 1);
        self.buckets.open_up_to(num_owners * num_ranges)?;
        self.last_doc.fill(usize::MAX);
        let Self {
            spans,
            last_doc,
            buckets,
            ..
        } = self;
        self.values.visit(block.docs, |i, value| {
            for (number, span) in spans.iter().enumerate() {
                if span.holds(value) && last_doc[number] != i {
                    last_doc[number] = i;
                    let bucket = block.owners[i] as usize * num_ranges + number;
                    // It is open: its number fits.
                    buckets.put(block, i, bucket as u32);
                }
            }
        });
        self.buckets.hand_on()
    }

    fn finish(mut self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        self.buckets.open_up_to(num_owners * self.ranges.len())?;
        let mut buckets = self.buckets.finish()?.into_iter();
        let mut partials = Vec::with_capacity(num_owners);
        for _ in 0..num_owners {
            let with = |range: &RangeBucket, bucket: Bucket| RangeBucket {
                bucket,
                ..range.clone()
            };
            let pairs = self.ranges.iter().zip(buckets.by_ref());
            partials.push(Partial::Ranges(Ranges {
                format: self.format.clone(),
                ranges: pairs.map(|(range, bucket)| with(range, bucket)).collect(),
            }));
        }
        Ok(partials)
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
