//! Rules for channels.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    Clear,
    app::MIN_SECRET,
    check::{Allowed, Problems},
};
use crate::{
    directory::{Channel, Price},
    template::is_variable_name,
};

/// A thousand units of the currency for one segment: surely a slip.
const MAX_MICROS: u64 = 1_000_000_000;
const MAX_TIMEOUT_MS: u32 = 60_000;
const MAX_WEIGHT: u32 = 10_000;

/// `+` and the first 1 to 15 digits of a number.
fn is_prefix(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Why `text` is no base URL to which secrets and numbers may go.
fn endpoint_fault(text: &str) -> Option<&'static str> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("secrets do not belong in a URL");
    }
    if rest.contains(['?', '#']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("a base URL has no query, fragment or spaces");
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return Some("has no host");
    }
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match scheme {
        "https" => None,
        "http" if loopback => None,
        "http" => Some("plain http goes only to this machine; write https://"),
        _ => Some("write https://host"),
    }
}

pub(super) fn check(
    channel: &Channel<Clear>,
    path: &str,
    allowed: &Allowed<'_>,
    problems: &mut Problems,
) {
    let at = |field: &str| format!("{path}.{field}");
    problems.require(
        allowed.vendors.contains(&channel.vendor.as_str()),
        &at("vendor"),
        format!(
            "`{}` is not known; there are {}",
            channel.vendor,
            allowed.vendors.join(", ")
        ),
    );
    problems.require(
        channel.rate_per_second > 0,
        &at("rate_per_second"),
        "must be at least 1",
    );
    problems.require(
        channel.max_in_flight > 0,
        &at("max_in_flight"),
        "must be at least 1",
    );
    problems.require(
        (100..=MAX_TIMEOUT_MS).contains(&channel.call_timeout_ms),
        &at("call_timeout_ms"),
        format!("100 to {MAX_TIMEOUT_MS}"),
    );
    problems.require(
        (1..=MAX_WEIGHT).contains(&channel.weight),
        &at("weight"),
        format!("1 to {MAX_WEIGHT}; to send nothing there, set mode = \"drained\""),
    );
    let lanes: BTreeSet<_> = channel.lanes.iter().collect();
    problems.require(
        lanes.len() == channel.lanes.len(),
        &at("lanes"),
        "a lane stands there twice",
    );
    for (i, prefix) in channel.prefixes.iter().enumerate() {
        problems.require(
            is_prefix(prefix),
            &at(&format!("prefixes[{i}]")),
            "write it like +86",
        );
    }
    check_prices(&channel.prices, &at("prices"), problems);
    if let Some(url) = &channel.endpoint {
        let fault = if url.contains("://") {
            endpoint_fault(url)
        } else {
            Some("write https://host")
        };
        if let Some(fault) = fault {
            problems.add(at("endpoint"), fault);
        }
    }
    problems.require(
        allowed.pools.contains(&channel.pool),
        &at("pool"),
        format!(
            "no sender pool `{}`; there are {}",
            channel.pool,
            allowed.pools.join(", ")
        ),
    );
    for (name, secret) in &channel.secrets {
        let path = at(&format!("secrets.{name}"));
        // The receipt token is sealed at that place.
        problems.require(
            is_variable_name(name) && name != "receipt_token",
            &path,
            "a name has 1 to 32 of a-z 0-9 _, and is not `receipt_token`",
        );
        problems.require(!secret.expose().is_empty(), &path, "is empty");
    }
    if let Some(token) = &channel.receipt_token {
        let token = token.expose();
        let plain = token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'));
        problems.require(
            (MIN_SECRET..=200).contains(&token.len()) && plain,
            &at("receipt_token"),
            format!("{MIN_SECRET} to 200 of A-Z a-z 0-9 - _ . ~, since it stands in a URL and protects it"),
        );
    }
}

fn check_prices(prices: &[Price], path: &str, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for (i, price) in prices.iter().enumerate() {
        let path = format!("{path}[{i}]");
        problems.require(
            price.prefix.is_empty() || is_prefix(&price.prefix),
            &format!("{path}.prefix"),
            "write it like +86, or leave it out for any",
        );
        problems.require(
            price.micros <= MAX_MICROS,
            &format!("{path}.micros"),
            format!("at most {MAX_MICROS}: millionths of the currency for one segment"),
        );
        problems.require(
            seen.insert((price.prefix.as_str(), price.lane)),
            &path,
            "another line has the same prefix and lane",
        );
    }
}
