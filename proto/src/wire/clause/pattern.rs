//! Patterns over terms.

use gleaner_query::encoded::{GeoPoint, GeoShape, Relation};
use gleaner_query::resolved::{Pattern, TermEdge};

use super::super::field::{byte, known, member};
use super::super::v1::pattern::{Between, Fuzzy, Kind, Points, Spans, Text, spans};
use super::super::{DecodeError, Wire, v1};

impl Wire for Pattern {
    type Message = v1::Pattern;

    fn to_message(&self) -> v1::Pattern {
        let text = |text: &String, ignore_case: &bool| Text {
            text: text.clone(),
            ignore_case: *ignore_case,
        };
        let kind = match self {
            Self::Prefix {
                prefix,
                ignore_case,
            } => Kind::Prefix(text(prefix, ignore_case)),
            Self::Wildcard {
                pattern,
                ignore_case,
            } => Kind::Wildcard(text(pattern, ignore_case)),
            Self::Regexp {
                expression,
                ignore_case,
            } => Kind::Regexp(text(expression, ignore_case)),
            Self::Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            } => Kind::Fuzzy(Fuzzy {
                term: term.clone(),
                distance: u32::from(*distance),
                prefix_length: *prefix_length,
                transpositions: *transpositions,
            }),
            Self::Spans {
                relation,
                lower,
                upper,
            } => Kind::Spans(Spans {
                relation: match relation {
                    Relation::Intersects => spans::Relation::Intersects,
                    Relation::Contains => spans::Relation::Contains,
                    Relation::Within => spans::Relation::Within,
                } as i32,
                lower: lower.clone(),
                upper: upper.clone(),
            }),
            Self::Points(shape) => Kind::Points(points_message(shape)),
            Self::Between { lower, upper } => Kind::Between(Between {
                lower: lower.term.clone(),
                includes_lower: lower.is_included,
                upper: upper.term.clone(),
                includes_upper: upper.is_included,
            }),
        };
        v1::Pattern { kind: Some(kind) }
    }

    fn from_message(message: v1::Pattern) -> Result<Self, DecodeError> {
        Ok(match known(message.kind, "Pattern")? {
            Kind::Prefix(Text { text, ignore_case }) => Self::Prefix {
                prefix: text,
                ignore_case,
            },
            Kind::Wildcard(Text { text, ignore_case }) => Self::Wildcard {
                pattern: text,
                ignore_case,
            },
            Kind::Regexp(Text { text, ignore_case }) => Self::Regexp {
                expression: text,
                ignore_case,
            },
            Kind::Fuzzy(Fuzzy {
                term,
                distance,
                prefix_length,
                transpositions,
            }) => Self::Fuzzy {
                term,
                distance: byte(distance, "Fuzzy.distance")?,
                prefix_length,
                transpositions,
            },
            Kind::Spans(Spans {
                relation,
                lower,
                upper,
            }) => Self::Spans {
                relation: match member(relation, "Spans.relation")? {
                    spans::Relation::Intersects => Relation::Intersects,
                    spans::Relation::Contains => Relation::Contains,
                    spans::Relation::Within => Relation::Within,
                },
                lower,
                upper,
            },
            Kind::Points(points) => Self::Points(shape_of(&points)?),
            Kind::Between(Between {
                lower,
                includes_lower,
                upper,
                includes_upper,
            }) => Self::Between {
                lower: TermEdge {
                    term: lower,
                    is_included: includes_lower,
                },
                upper: TermEdge {
                    term: upper,
                    is_included: includes_upper,
                },
            },
        })
    }
}

fn points_message(shape: &GeoShape) -> Points {
    let (points, radius_mm) = match shape {
        GeoShape::Box {
            top_left,
            bottom_right,
        } => (vec![*top_left, *bottom_right], 0),
        GeoShape::Circle { center, radius_mm } => (vec![*center], *radius_mm),
        GeoShape::Polygon(points) => (points.clone(), 0),
    };
    let steps = points
        .iter()
        .flat_map(|point| [point.latitude, point.longitude]);
    Points {
        steps: steps.collect(),
        radius_mm,
    }
}

fn shape_of(message: &Points) -> Result<GeoShape, DecodeError> {
    let pairs = message.steps.chunks_exact(2);
    let points: Vec<GeoPoint> = pairs
        .map(|pair| GeoPoint {
            latitude: pair[0],
            longitude: pair[1],
        })
        .collect();
    Ok(match points.as_slice() {
        [center] => GeoShape::Circle {
            center: *center,
            radius_mm: message.radius_mm,
        },
        [top_left, bottom_right] => GeoShape::Box {
            top_left: *top_left,
            bottom_right: *bottom_right,
        },
        [] => return Err(DecodeError::Missing("Points.steps")),
        _ => GeoShape::Polygon(points),
    })
}
