//! `ip_range` and `ip_prefix`: buckets of addresses.

use std::net::Ipv6Addr;

use gleaner_partial::key::Key;
use gleaner_partial::request::formats::check_addresses;
use gleaner_partial::request::keys::missing_address;
use gleaner_partial::{Histogram, Partial};
use gleaner_query::aggregation::{
    AddressRange, Aggregation, IpPrefixAggregation, IpRangeAggregation, ValueSource,
};
use tantivy::DocId;
use tantivy::columnar::Column;

use super::node::{Block, Buckets, Node, SegmentContext};
use super::slots::{KeyedSlots, ListedSlots};
use super::source::{Source, ip_number, visit_column};
use crate::doc_values::DocValues;
use crate::error::EngineError;

/// First bits of IPv4 addresses in their IPv6 form.
const MAPPED: u128 = 0xffff << 32;

/// The addresses of a field in a segment.
struct Addresses {
    column: Option<Column<Ipv6Addr>>,
    missing: Option<u128>,
}

impl Addresses {
    fn open(
        source: &ValueSource,
        what: &str,
        context: &SegmentContext<'_>,
    ) -> Result<Self, EngineError> {
        let opened = Source::open(source, context)?;
        check_addresses(&opened.format, &source.field, what)?;
        Ok(Self {
            column: match opened.values {
                Some(DocValues::Ip(column)) => Some(column),
                _ => None,
            },
            missing: missing_address(source)?,
        })
    }

    fn visit(&self, docs: &[DocId], mut f: impl FnMut(usize, u128)) {
        let missing = self.missing;
        let mut some = |i, value: Option<u128>| {
            value.or(missing).into_iter().for_each(|value| f(i, value));
        };
        match &self.column {
            Some(column) => visit_column(column, docs, |i, value| some(i, value.map(ip_number))),
            None => (0..docs.len()).for_each(|i| some(i, None)),
        }
    }
}

/// `ip_range`.
pub(super) fn build_ranges<'a>(
    request: &'a IpRangeAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    Ok(Box::new(RangesNode {
        addresses: Addresses::open(&request.source, "ip_range", context)?,
        ranges: &request.ranges,
        slots: ListedSlots::new(request.ranges.len(), Buckets::build(sub, context)?),
    }))
}

struct RangesNode<'a> {
    addresses: Addresses,
    ranges: &'a [AddressRange],
    slots: ListedSlots<'a>,
}

impl Node for RangesNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let Self {
            addresses,
            ranges,
            slots,
        } = self;
        slots.begin(block)?;
        let mut outcome = Ok(());
        addresses.visit(block.docs, |i, address| {
            for (entry, range) in ranges.iter().enumerate() {
                let is_in = range.from.is_none_or(|from| address >= from)
                    && range.to.is_none_or(|to| address < to);
                if is_in && outcome.is_ok() {
                    outcome = slots.put(block, i, entry);
                }
            }
        });
        outcome?;
        slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let owners = self.slots.finish(num_owners)?;
        Ok(owners.map(Partial::Filters).collect())
    }
}

/// `ip_prefix`.
pub(super) fn build_prefixes<'a>(
    request: &'a IpPrefixAggregation,
    sub: &'a [Aggregation],
    context: &mut SegmentContext<'a>,
) -> Result<Box<dyn Node + 'a>, EngineError> {
    let source = ValueSource {
        field: request.field.clone(),
        value_type: None,
        missing: None,
        format: None,
    };
    Ok(Box::new(PrefixesNode {
        addresses: Addresses::open(&source, "ip_prefix", context)?,
        request,
        slots: KeyedSlots::new(Buckets::build(sub, context)?),
    }))
}

struct PrefixesNode<'a> {
    addresses: Addresses,
    request: &'a IpPrefixAggregation,
    /// By network.
    slots: KeyedSlots<'a, u128>,
}

/// Returns the network of an address; `None` where it is of the other version.
fn network(request: &IpPrefixAggregation, address: u128) -> Option<u128> {
    let is_ipv4 = address >> 32 == MAPPED >> 32;
    if is_ipv4 == request.is_ipv6 {
        return None;
    }
    let length = u32::from(request.prefix_length) + if is_ipv4 { 96 } else { 0 };
    Some(address & !u128::MAX.checked_shr(length).unwrap_or(0))
}

impl Node for PrefixesNode<'_> {
    fn collect(&mut self, block: &Block<'_>) -> Result<(), EngineError> {
        let mut found: Vec<(usize, u128)> = Vec::with_capacity(block.docs.len());
        let request = self.request;
        // Values ascend per document: equal networks follow one another and count once.
        self.addresses.visit(block.docs, |i, address| {
            if let Some(network) = network(request, address)
                && found.last() != Some(&(i, network))
            {
                found.push((i, network));
            }
        });
        for (i, network) in found {
            self.slots.put(block, i, network)?;
        }
        self.slots.hand_on()
    }

    fn finish(self: Box<Self>, num_owners: usize) -> Result<Vec<Partial>, EngineError> {
        let mut owners = vec![Histogram::default(); num_owners];
        for (owner, network, bucket) in self.slots.finish()? {
            owners[owner].buckets.insert(Key::Ip(network), bucket);
        }
        Ok(owners.into_iter().map(Partial::Histogram).collect())
    }
}
