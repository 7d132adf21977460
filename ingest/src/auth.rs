//! Who calls: signed requests and bearer keys.
//!
//! An unknown key and a wrong secret get the same answer after the same work. What is refused for another reason (an
//! address, a disabled app) is said only to a caller who has proved to hold the secret.

mod index;

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use ipnet::IpNet;
use jixinda_runtime::{
    clock::SharedClock,
    directory::{Directory, View},
};
use jixinda_schemas::{
    Reason, Timestamp,
    auth::{Authorization, MAX_SKEW_SECONDS, SCHEME, Signable},
    seal::PlatformKey,
};
use subtle::ConstantTimeEq;

use self::index::{Index, Key};
use crate::{http::problem::Refusal, peer, recent::Recent};

/// A signed request is fresh from `ts` − 300 s to `ts` + 300 s, so its nonce must be known that long.
const NONCE_WINDOW: Duration = Duration::from_secs(2 * MAX_SKEW_SECONDS as u64);
const MISMATCH: &str = "the key is unknown or the proof does not match";

/// What the caller says of itself, not checked yet.
#[derive(Debug)]
pub(crate) enum Claim {
    Signed(Authorization),
    Bearer(String),
}

/// Who calls, proved, and the directory by which the whole request is judged.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) key: Arc<Key>,
    /// Of a signed request.
    pub(crate) nonce: Option<String>,
    pub(crate) view: Arc<View>,
}

pub(crate) struct Auth {
    directory: Directory,
    platform: PlatformKey,
    clock: SharedClock,
    proxies: Vec<IpNet>,
    tls: bool,
    index: ArcSwap<Index>,
    building: Mutex<()>,
    nonces: Recent<()>,
    nonce_hash: [RandomState; 2],
}

impl Auth {
    pub(crate) fn new(
        directory: Directory,
        platform: PlatformKey,
        clock: SharedClock,
        config: &crate::Config,
    ) -> Self {
        Self {
            directory,
            platform,
            clock,
            proxies: config.trusted_proxies.clone(),
            tls: config.tls.is_some(),
            index: ArcSwap::default(),
            building: Mutex::default(),
            nonces: Recent::new(config.remembered_nonces, NONCE_WINDOW),
            nonce_hash: [RandomState::new(), RandomState::new()],
        }
    }

    /// What can be refused before the body is read.
    ///
    /// # Errors
    /// No or unreadable credentials, or a signature of another time.
    pub(crate) fn claim(&self, headers: &HeaderMap) -> Result<Claim, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::unauthorized(format!(
                "one Authorization header is needed: {SCHEME} or Bearer"
            )));
        };
        let value = value
            .to_str()
            .map_err(|_| Refusal::unauthorized("Authorization must be ASCII"))?;
        if let Some((scheme, token)) = value.split_once(' ')
            && scheme.eq_ignore_ascii_case("bearer")
        {
            return Ok(Claim::Bearer(token.trim().to_owned()));
        }
        let signed =
            Authorization::parse(value).map_err(|e| Refusal::unauthorized(e.to_string()))?;
        fresh(signed.ts, self.clock.now())?;
        Ok(Claim::Signed(signed))
    }

    /// Checks the claim against the whole request.
    ///
    /// # Errors
    /// Whatever keeps this caller from being served.
    pub(crate) fn prove(
        &self,
        claim: Claim,
        parts: &Parts,
        body: &[u8],
        peer: IpAddr,
    ) -> Result<Caller, Refusal> {
        let view = self.directory.view();
        let index = self.index(&view);
        let (key, nonce) = match claim {
            Claim::Signed(signed) => (signed_by(&index, &signed, parts, body)?, Some(signed.nonce)),
            Claim::Bearer(token) => {
                let key = held_by(&index, &token)?;
                if !peer::is_confidential(self.tls, peer, &parts.headers, &self.proxies) {
                    return Err(Refusal::unauthorized(
                        "bearer keys are taken only over TLS or from the same host; sign the request",
                    ));
                }
                (key, None)
            }
        };
        if !key.app.enabled {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                Reason::UnknownApp,
                "the app is disabled",
            ));
        }
        let allowed = &key.app.ip_allow;
        if !allowed.is_empty() {
            let client = peer::client_address(peer, &parts.headers, &self.proxies);
            if !client.is_some_and(|client| allowed.iter().any(|net| net.contains(&client))) {
                return Err(Refusal::new(
                    StatusCode::FORBIDDEN,
                    Reason::IpNotAllowed,
                    "this address may not call for the app",
                ));
            }
        }
        Ok(Caller { key, nonce, view })
    }

    /// Refuses a nonce whose request was accepted. Only requests that write are asked for: reading twice harms nobody.
    ///
    /// # Errors
    /// The nonce was used.
    pub(crate) fn refuse_replay(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(key) = self.nonce_key(caller) else {
            return Ok(());
        };
        if self.nonces.get(key, self.clock.uptime()).is_none() {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            Reason::NonceReplayed,
            "a request with this nonce was accepted before; to ask again, sign anew with the same idempotency_key",
        ))
    }

    /// To be called once everything that the request asked for is in the log, never earlier.
    pub(crate) fn remember_nonce(&self, caller: &Caller) {
        if let Some(key) = self.nonce_key(caller) {
            self.nonces.insert(key, (), self.clock.uptime());
        }
    }

    fn nonce_key(&self, caller: &Caller) -> Option<u128> {
        let nonce = caller.nonce.as_deref()?;
        let half = |state: &RandomState| u128::from(state.hash_one((&caller.key.id, nonce)));
        Some(half(&self.nonce_hash[0]) << 64 | half(&self.nonce_hash[1]))
    }

    fn index(&self, view: &View) -> arc_swap::Guard<Arc<Index>> {
        let stamp = (view.snapshot.revision, view.snapshot.offset);
        let index = self.index.load();
        if index.stamp == stamp {
            return index;
        }
        let _one = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.load();
        // A slower request may still hold an older view: it is served by the newer index.
        if index.stamp >= stamp {
            return index;
        }
        self.index.store(Arc::new(Index::build(
            &view.snapshot,
            &self.platform,
            &index,
        )));
        self.index.load()
    }
}

fn fresh(ts: i64, now: Timestamp) -> Result<(), Refusal> {
    let skew = now.millis().div_euclid(1000).saturating_sub(ts);
    if skew.unsigned_abs() <= MAX_SKEW_SECONDS as u64 {
        return Ok(());
    }
    let detail = format!(
        "ts is {} s away from this server's clock, more than {MAX_SKEW_SECONDS}",
        skew.unsigned_abs()
    );
    Err(Refusal::new(
        StatusCode::UNAUTHORIZED,
        Reason::StaleTimestamp,
        detail,
    ))
}

fn signed_by(
    index: &Index,
    signed: &Authorization,
    parts: &Parts,
    body: &[u8],
) -> Result<Arc<Key>, Refusal> {
    let signable = Signable {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        body,
        key: &signed.key,
        ts: signed.ts,
        nonce: &signed.nonce,
    };
    let key = index.get(&signed.key);
    let secret = key.map_or("no such key: the work is done all the same", |key| {
        &key.secret
    });
    let matches = signable.verify(secret, &signed.signature);
    key.filter(|_| matches)
        .cloned()
        .ok_or_else(|| Refusal::unauthorized(MISMATCH))
}

/// `<key id>.<secret>`; both may have dots, so each one may be the place to split at.
fn held_by(index: &Index, token: &str) -> Result<Arc<Key>, Refusal> {
    let mut found = None;
    for (at, _) in token.match_indices('.').take_while(|(at, _)| *at <= 64) {
        if let Some(key) = index.get(&token[..at]).filter(|key| key.bearer)
            && bool::from(key.secret.as_bytes().ct_eq(&token.as_bytes()[at + 1..]))
        {
            found = Some(Arc::clone(key));
        }
    }
    found.ok_or_else(|| Refusal::unauthorized(MISMATCH))
}

#[cfg(test)]
mod tests;
