//! Who calls: HTTP Basic, key and secret, or a signature.
//!
//! Source: fact sheet, "Send", "Message signature". How old a timestamp may be is UNCONFIRMED.

use std::sync::Arc;

use super::sign::{self, Method};
use super::{codes, submit};
use crate::account::Account;
use crate::live::Live;
use crate::vendor::{Arrival, Gate, Refusal};
use crate::wire::{basic, same, value};

fn credentials(arrival: &Arrival<'_>) -> Option<(String, String)> {
    arrival.header("authorization").and_then(basic)
}

/// The API key that the request names.
pub(super) fn key(arrival: &Arrival<'_>) -> Option<String> {
    if let Some((user, _)) = credentials(arrival) {
        return Some(user);
    }
    let given = submit::parameters(arrival)?;
    value(&given, "api_key").map(str::to_owned)
}

/// What signs an account's calls and webhooks.
pub(super) fn signature_secret(account: &Account) -> &str {
    let first = account.secrets.first().map_or("", |secret| secret.expose());
    account.setting("signature_secret").unwrap_or(first)
}

pub(super) fn admit(arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
    let given = submit::parameters(arrival).unwrap_or_default();
    let key = key(arrival).ok_or(codes::CREDENTIALS)?;
    let live = gate.account(&key).ok_or(codes::CREDENTIALS)?;
    let account = live.account();
    let in_body = value(&given, "api_secret").map(str::to_owned);
    let in_head = credentials(arrival).map(|(_, password)| password);
    if let Some(claimed) = value(&given, "sig") {
        if in_body.is_some() || in_head.is_some() {
            return Err(codes::SIGNATURE_AND_SECRET.into());
        }
        proved(arrival, gate, &account, &given, claimed)?;
        return Ok(live);
    }
    let secret = in_head.or(in_body).ok_or(codes::CREDENTIALS)?;
    let mut good = false;
    for own in &account.secrets {
        good |= same(own.expose(), &secret);
    }
    if good {
        Ok(live)
    } else {
        Err(codes::CREDENTIALS.into())
    }
}

fn proved(
    arrival: &Arrival<'_>,
    gate: Gate<'_>,
    account: &Account,
    given: &[(String, String)],
    claimed: &str,
) -> Result<(), Refusal> {
    let wrong = |detail: &str| Refusal::with(codes::SIGNATURE, detail);
    let method = account.setting("signature_method").and_then(Method::find);
    let method = method.ok_or_else(|| wrong("The account has no signatures."))?;
    let timestamp = value(given, "timestamp").and_then(|text| text.parse().ok());
    let timestamp: i64 = timestamp.ok_or_else(|| wrong("There is no timestamp."))?;
    if arrival.seconds_off(timestamp) > gate.skew() {
        return Err(wrong("The timestamp is not of now."));
    }
    let to_sign = sign::string_to_sign(given);
    let wanted = sign::signature(method, signature_secret(account), &to_sign);
    if same(&wanted, &claimed.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(codes::SIGNATURE.into())
}
