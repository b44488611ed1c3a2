//! `ip_range` and `ip_prefix`.

use serde_json::Value;

use super::{Context, bucket, source};
use crate::address::parse_ip;
use crate::aggregation::{AddressRange, AggregationKind, IpPrefixAggregation, IpRangeAggregation};
use crate::error::QueryError;
use crate::json::ObjectReader;

/// Bits before an IPv4 address in its IPv6 form.
const MAPPED_BITS: u32 = 96;

/// Reads the body of `ip_range`.
pub(super) fn range(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("ip_range", body)?;
    let source = source::read(&mut reader)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    let ranges = match reader.take("ranges") {
        Some(Value::Array(items)) => items.as_slice(),
        Some(value) => return Err(reader.wrong("ranges", "an array", value)),
        None => &[],
    };
    bucket::check_number("ranges", ranges.len(), "ip_range", context)?;
    let ranges = ranges.iter().map(one_range).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(AggregationKind::IpRange(IpRangeAggregation {
        source,
        ranges,
        keyed,
    }))
}

fn one_range(value: &Value) -> Result<AddressRange, QueryError> {
    let mut reader = ObjectReader::part("ranges", value)?;
    let mut text = |key| match reader.take(key) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => reader.text(key),
    };
    let (key, from, to, mask) = (text("key")?, text("from")?, text("to")?, text("mask")?);
    reader.finish()?;
    match mask {
        Some(mask) if from.is_none() && to.is_none() => of_mask(key, &mask),
        Some(_) => Err(QueryError::illegal(
            "a range of [ip_range] has either a [mask] or bounds",
        )),
        None => Ok(AddressRange {
            key,
            from: from.as_deref().map(address).transpose()?,
            to: to.as_deref().map(address).transpose()?,
        }),
    }
}

fn address(text: &str) -> Result<u128, QueryError> {
    parse_ip(text)
        .ok_or_else(|| QueryError::illegal(format!("'{text}' is not an IP string literal.")))
}

/// Returns the addresses of a network such as `10.0.0.0/8`; ends of all addresses are no bounds.
fn of_mask(key: Option<String>, mask: &str) -> Result<AddressRange, QueryError> {
    let refuse = || {
        QueryError::illegal(format!(
            "Expected [ip/prefix] but was [{mask}]: an address, and how many of its bits count"
        ))
    };
    let (network, length) = mask.split_once('/').ok_or_else(refuse)?;
    let base = if network.contains(':') {
        0
    } else {
        MAPPED_BITS
    };
    let length: u32 = length.parse().map_err(|_| refuse())?;
    let length = length.checked_add(base).filter(|length| *length <= 128);
    let length = length.ok_or_else(refuse)?;
    let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
    let lower = parse_ip(network).ok_or_else(refuse)? & !hosts;
    Ok(AddressRange {
        key: key.or_else(|| Some(mask.to_owned())),
        from: Some(lower).filter(|lower| *lower > 0),
        to: (lower | hosts).checked_add(1),
    })
}

/// Reads the body of `ip_prefix`.
pub(super) fn prefix(body: &Value, context: Context<'_>) -> Result<AggregationKind, QueryError> {
    let mut reader = ObjectReader::part("ip_prefix", body)?;
    let field = source::field(&mut reader)?;
    let is_ipv6 = reader.boolean("is_ipv6")?.unwrap_or(false);
    let longest = if is_ipv6 { 128 } else { 32 };
    let length = reader.integer("prefix_length")?;
    let length =
        length.ok_or_else(|| QueryError::parsing("[ip_prefix] [prefix_length] is required"))?;
    let prefix_length = u8::try_from(length)
        .ok()
        .filter(|length| *length <= longest);
    let prefix_length = prefix_length.ok_or_else(|| {
        let version = if is_ipv6 { "IPv6" } else { "IPv4" };
        QueryError::illegal(format!(
            "[prefix_length] must be in range [0, {longest}] while value is [{length}] for {version} \
             addresses in [{}]",
            context.name
        ))
    })?;
    let append_prefix_length = reader.boolean("append_prefix_length")?.unwrap_or(false);
    let min_doc_count = source::at_least(&mut reader, "min_doc_count", 1, context)?;
    let keyed = reader.boolean("keyed")?.unwrap_or(false);
    reader.finish()?;
    Ok(AggregationKind::IpPrefix(IpPrefixAggregation {
        field,
        prefix_length,
        is_ipv6,
        append_prefix_length,
        min_doc_count: min_doc_count.unwrap_or(1),
        keyed,
    }))
}
