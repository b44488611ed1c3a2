//! `ip_range`, `ip_prefix`, `geohash_grid` and `geotile_grid`: addresses, networks and cells.

use gleaner_query::address::ip_text;
use gleaner_query::aggregation::{
    Aggregation, GeoGridAggregation, IpPrefixAggregation, IpRangeAggregation,
};
use gleaner_query::answer::{AggregationValue, Bucket as Answer, BucketKey};
use serde_json::Value;

use super::{Finalizer, mismatch};
use crate::cells::cell_text;
use crate::error::EvaluationError;
use crate::key::Key;
use crate::{Bucket, Histogram};

impl Finalizer<'_> {
    pub(super) fn ip_ranges(
        &mut self,
        request: &IpRangeAggregation,
        partials: &[Bucket],
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        if partials.len() != request.ranges.len() {
            return Err(mismatch());
        }
        self.count_buckets(partials.len())?;
        let mut ranges: Vec<_> = request.ranges.iter().zip(partials).collect();
        ranges.sort_by_key(|(range, _)| (range.from.unwrap_or(0), range.to.unwrap_or(u128::MAX)));
        let mut buckets = Vec::with_capacity(ranges.len());
        for (range, bucket) in ranges {
            let text = |bound: Option<u128>| bound.map_or_else(|| "*".to_owned(), ip_text);
            let made = || format!("{}-{}", text(range.from), text(range.to));
            let bounds = [("from", range.from), ("to", range.to)];
            let shown =
                |(name, bound): (_, Option<u128>)| Some((name, Value::from(ip_text(bound?))));
            buckets.push(Answer {
                key: BucketKey::Text(range.key.clone().unwrap_or_else(made)),
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: bounds.into_iter().filter_map(shown).collect(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: request.keyed,
            terms: None,
            beside: Vec::new(),
        })
    }

    pub(super) fn ip_prefixes(
        &mut self,
        request: &IpPrefixAggregation,
        networks: &Histogram,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let is_enough = |bucket: &Bucket| bucket.doc_count >= request.min_doc_count;
        let all = networks.buckets.iter();
        let enough: Vec<_> = all.filter(|(_, bucket)| is_enough(bucket)).collect();
        self.count_buckets(enough.len())?;
        let mut buckets = Vec::with_capacity(enough.len());
        for (key, bucket) in enough {
            let Key::Ip(network) = key else {
                return Err(mismatch());
            };
            buckets.push(Answer {
                key: BucketKey::Text(network_text(request, *network)),
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: about(request),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: request.keyed,
            terms: None,
            beside: Vec::new(),
        })
    }

    pub(super) fn grid(
        &mut self,
        request: &GeoGridAggregation,
        cells: &Histogram,
        sub: &[Aggregation],
    ) -> Result<AggregationValue, EvaluationError> {
        let mut largest: Vec<(&Key, &Bucket)> = cells.buckets.iter().collect();
        largest.sort_by_key(|(_, bucket)| std::cmp::Reverse(bucket.doc_count));
        largest.truncate(request.size);
        self.count_buckets(largest.len())?;
        let mut buckets = Vec::with_capacity(largest.len());
        for (key, bucket) in largest {
            let Key::I64(cell) = key else {
                return Err(mismatch());
            };
            buckets.push(Answer {
                key: BucketKey::Text(cell_text(request.grid, *cell)),
                key_as_string: None,
                doc_count: bucket.doc_count,
                beside: Vec::new(),
                sub: self.list(&bucket.sub, sub)?,
            });
        }
        Ok(AggregationValue::Buckets {
            buckets,
            keyed: false,
            terms: None,
            beside: Vec::new(),
        })
    }
}

fn network_text(request: &IpPrefixAggregation, network: u128) -> String {
    match request.append_prefix_length {
        true => format!("{}/{}", ip_text(network), request.prefix_length),
        false => ip_text(network),
    }
}

/// Returns what each network is shown with.
fn about(request: &IpPrefixAggregation) -> Vec<(&'static str, Value)> {
    let mut about = vec![
        ("is_ipv6", Value::from(request.is_ipv6)),
        ("prefix_length", Value::from(request.prefix_length)),
    ];
    if !request.is_ipv6 {
        let mask = u32::MAX.checked_shl(32 - u32::from(request.prefix_length.min(32)));
        let mask = std::net::Ipv4Addr::from(mask.unwrap_or(0));
        about.push(("netmask", Value::from(mask.to_string())));
    }
    about
}
