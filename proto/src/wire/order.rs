//! Order of hits, how they are counted, and what is returned of them.

use gleaner_model::{DocumentId, ShardNumber};
use gleaner_query::encoded::GeoPoint;
use gleaner_query::resolved::{After, TieBreak};
use gleaner_query::search::{
    FieldFormat, Missing, PointDistance, SortKey, SortMode, SortTarget, SourceFilter, TrackTotal,
};

use super::field::{all, known, maybe, member, messages, one};
use super::{DecodeError, Wire, v1};

impl Wire for SortKey {
    type Message = v1::SortKey;

    fn to_message(&self) -> v1::SortKey {
        use v1::sort_key::Target;
        let Self {
            target,
            descending,
            missing,
            mode,
            unmapped_type,
            format,
            numeric_type,
        } = self;
        let target = match target {
            SortTarget::Score => Target::Score(v1::Unit {}),
            SortTarget::Doc => Target::Doc(v1::Unit {}),
            SortTarget::ShardDoc => Target::ShardDoc(v1::Unit {}),
            SortTarget::Field(field) => Target::Field(field.clone()),
            SortTarget::Distance(distance) => Target::Distance(distance.to_message()),
        };
        v1::SortKey {
            target: Some(target),
            descending: *descending,
            missing: Some(missing.to_message()),
            mode: mode_message(*mode) as i32,
            unmapped_type: unmapped_type.clone(),
            format: format.clone(),
            numeric_type: numeric_type.clone(),
        }
    }

    fn from_message(message: v1::SortKey) -> Result<Self, DecodeError> {
        use v1::sort_key::Target;
        let v1::SortKey {
            target,
            descending,
            missing,
            mode,
            unmapped_type,
            format,
            numeric_type,
        } = message;
        Ok(Self {
            target: match known(target, "SortKey.target")? {
                Target::Score(v1::Unit {}) => SortTarget::Score,
                Target::Doc(v1::Unit {}) => SortTarget::Doc,
                Target::ShardDoc(v1::Unit {}) => SortTarget::ShardDoc,
                Target::Field(field) => SortTarget::Field(field),
                Target::Distance(distance) => SortTarget::Distance(Wire::from_message(distance)?),
            },
            descending,
            missing: one(missing, "SortKey.missing")?,
            mode: sort_mode(mode)?,
            unmapped_type,
            format,
            numeric_type,
        })
    }
}

impl Wire for PointDistance {
    type Message = v1::PointDistance;

    fn to_message(&self) -> v1::PointDistance {
        let Self {
            field,
            origins,
            unit_m,
            is_plane,
        } = self;
        let steps = |origin: &GeoPoint| [origin.latitude, origin.longitude];
        v1::PointDistance {
            field: field.clone(),
            origins: origins.iter().flat_map(steps).collect(),
            unit_m: *unit_m,
            is_plane: *is_plane,
        }
    }

    fn from_message(message: v1::PointDistance) -> Result<Self, DecodeError> {
        let v1::PointDistance {
            field,
            origins,
            unit_m,
            is_plane,
        } = message;
        // Quotients are compared: they have an order where the unit is a length.
        if !(unit_m.is_finite() && unit_m > 0.0) {
            return Err(DecodeError::field("PointDistance.unit_m", "not a length"));
        }
        let (pairs, rest) = origins.as_chunks();
        if pairs.is_empty() || !rest.is_empty() {
            return Err(DecodeError::field("PointDistance.origins", "not points"));
        }
        let point = |[latitude, longitude]: &[i32; 2]| GeoPoint {
            latitude: *latitude,
            longitude: *longitude,
        };
        Ok(Self {
            field,
            origins: pairs.iter().map(point).collect(),
            unit_m,
            is_plane,
        })
    }
}

pub(super) fn mode_message(mode: Option<SortMode>) -> v1::SortMode {
    match mode {
        None => v1::SortMode::Unspecified,
        Some(SortMode::Min) => v1::SortMode::Min,
        Some(SortMode::Max) => v1::SortMode::Max,
        Some(SortMode::Sum) => v1::SortMode::Sum,
        Some(SortMode::Avg) => v1::SortMode::Avg,
        Some(SortMode::Median) => v1::SortMode::Median,
    }
}

pub(super) fn sort_mode(mode: i32) -> Result<Option<SortMode>, DecodeError> {
    Ok(match member(mode, "SortMode")? {
        v1::SortMode::Unspecified => None,
        v1::SortMode::Min => Some(SortMode::Min),
        v1::SortMode::Max => Some(SortMode::Max),
        v1::SortMode::Sum => Some(SortMode::Sum),
        v1::SortMode::Avg => Some(SortMode::Avg),
        v1::SortMode::Median => Some(SortMode::Median),
    })
}

impl Wire for Missing {
    type Message = v1::Missing;

    fn to_message(&self) -> v1::Missing {
        use v1::missing::Kind;
        let kind = match self {
            Self::Last => Kind::Last(v1::Unit {}),
            Self::First => Kind::First(v1::Unit {}),
            Self::Value(value) => Kind::Value(value.to_message()),
        };
        v1::Missing { kind: Some(kind) }
    }

    fn from_message(message: v1::Missing) -> Result<Self, DecodeError> {
        use v1::missing::Kind;
        Ok(match known(message.kind, "Missing")? {
            Kind::Last(v1::Unit {}) => Self::Last,
            Kind::First(v1::Unit {}) => Self::First,
            Kind::Value(value) => Self::Value(Wire::from_message(value)?),
        })
    }
}

impl Wire for TrackTotal {
    type Message = v1::TrackTotal;

    fn to_message(&self) -> v1::TrackTotal {
        use v1::track_total::Kind;
        let kind = match self {
            Self::No => Kind::No(v1::Unit {}),
            Self::UpTo(limit) => Kind::UpTo(*limit),
            Self::Exact => Kind::Exact(v1::Unit {}),
        };
        v1::TrackTotal { kind: Some(kind) }
    }

    fn from_message(message: v1::TrackTotal) -> Result<Self, DecodeError> {
        use v1::track_total::Kind;
        Ok(match known(message.kind, "TrackTotal")? {
            Kind::No(v1::Unit {}) => Self::No,
            Kind::UpTo(limit) => Self::UpTo(limit),
            Kind::Exact(v1::Unit {}) => Self::Exact,
        })
    }
}

impl Wire for TieBreak {
    type Message = v1::TieBreak;

    fn to_message(&self) -> v1::TieBreak {
        let Self { hash, id } = self;
        v1::TieBreak {
            hash: *hash,
            id: id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    fn from_message(message: v1::TieBreak) -> Result<Self, DecodeError> {
        let v1::TieBreak { hash, id } = message;
        let id = id.map(|id| DocumentId::parse(&id)).transpose()?;
        Ok(Self { hash, id })
    }
}

impl Wire for After {
    type Message = v1::After;

    fn to_message(&self) -> v1::After {
        let Self { keys, tie, shard } = self;
        v1::After {
            keys: messages(keys),
            tie: tie.as_ref().map(Wire::to_message),
            shard: shard.map(|shard| shard.0),
        }
    }

    fn from_message(message: v1::After) -> Result<Self, DecodeError> {
        let v1::After { keys, tie, shard } = message;
        Ok(Self {
            keys: all(keys)?,
            tie: maybe(tie)?,
            shard: shard.map(ShardNumber),
        })
    }
}

impl Wire for FieldFormat {
    type Message = v1::FieldFormat;

    fn to_message(&self) -> v1::FieldFormat {
        let Self {
            field,
            format,
            include_unmapped,
        } = self.clone();
        v1::FieldFormat {
            field,
            format,
            include_unmapped,
        }
    }

    fn from_message(message: v1::FieldFormat) -> Result<Self, DecodeError> {
        let v1::FieldFormat {
            field,
            format,
            include_unmapped,
        } = message;
        Ok(Self {
            field,
            format,
            include_unmapped,
        })
    }
}

impl Wire for SourceFilter {
    type Message = v1::SourceFilter;

    fn to_message(&self) -> v1::SourceFilter {
        let Self {
            enabled,
            includes,
            excludes,
        } = self.clone();
        v1::SourceFilter {
            enabled,
            includes,
            excludes,
        }
    }

    fn from_message(message: v1::SourceFilter) -> Result<Self, DecodeError> {
        let v1::SourceFilter {
            enabled,
            includes,
            excludes,
        } = message;
        Ok(Self {
            enabled,
            includes,
            excludes,
        })
    }
}
