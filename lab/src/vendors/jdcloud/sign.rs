//! JDCLOUD2-HMAC-SHA256 and JDCLOUD3-HMAC-SHA256, from the verifier's side: one algorithm with two sets of literals. Pure.
//!
//! Source: fact sheet, "Auth"; the shared vectors check each stage.

use percent_encoding::percent_decode_str;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::wire::{canonical_query, hmac_sha256, pairs, percent, sha256_hex};

const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Generation {
    Two,
    Three,
}

impl Generation {
    #[must_use]
    pub const fn digit(self) -> &'static str {
        match self {
            Self::Two => "2",
            Self::Three => "3",
        }
    }

    /// `JDCLOUD2-HMAC-SHA256`, also the name and the value of a header.
    #[must_use]
    pub fn algorithm(self) -> String {
        format!("JDCLOUD{}-HMAC-SHA256", self.digit())
    }

    /// The last part of a scope.
    fn end(self) -> String {
        format!("jdcloud{}_request", self.digit())
    }
}

/// The parts of `JDCLOUD2-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/jdcloud2_request, SignedHeaders=…,
/// Signature=…`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorization<'a> {
    pub generation: Generation,
    pub access_key: &'a str,
    /// `yyyyMMdd`.
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    /// In lower case, with `;` between.
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

/// `None` if the value is not of the documented form.
#[must_use]
pub fn parse_authorization(value: &str) -> Option<Authorization<'_>> {
    let (algorithm, rest) = value.split_once(' ')?;
    let generation = [Generation::Two, Generation::Three]
        .into_iter()
        .find(|generation| generation.algorithm() == algorithm)?;
    let mut parts = rest.split(", ");
    let mut next = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let credential = next("Credential")?;
    let (signed_headers, signature) = (next("SignedHeaders")?, next("Signature")?);
    let mut credential = credential.rsplitn(5, '/');
    let (end, service, region, date, access_key) = (
        credential.next()?,
        credential.next()?,
        credential.next()?,
        credential.next()?,
        credential.next()?,
    );
    (end == generation.end() && !access_key.is_empty()).then_some(Authorization {
        generation,
        access_key,
        date,
        region,
        service,
        signed_headers,
        signature,
    })
}

/// `x-jdcloud-date`, such as `20250102T030405Z`, in seconds since 1970.
#[must_use]
pub fn time(date: &str) -> Option<i64> {
    let at = PrimitiveDateTime::parse(date, DATE).ok()?;
    Some(at.assume_utc().unix_timestamp())
}

/// The path, percent-encoded but for `/`; nothing stands for `/`. Generation 3 decodes it first and takes `//` for `/`.
#[must_use]
pub fn canonical_uri(generation: Generation, path: &str) -> String {
    let mut path = path.to_owned();
    if generation == Generation::Three {
        path = percent_decode_str(&path).decode_utf8_lossy().into_owned();
        while path.contains("//") {
            path = path.replace("//", "/");
        }
    }
    if path.is_empty() {
        return "/".to_owned();
    }
    let parts: Vec<String> = path.split('/').map(percent).collect();
    parts.join("/")
}

/// What is signed besides headers.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As it came.
    pub path: &'a str,
    /// Without `?`, as it came.
    pub query: &'a str,
    pub body: &'a [u8],
}

/// `signed` has names in lower case, in their order, with their values.
#[must_use]
pub fn canonical_request(
    generation: Generation,
    request: &Request<'_>,
    signed: &[(&str, &str)],
) -> String {
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let query = pairs(request.query).unwrap_or_default();
    let query = canonical_query(query.iter().map(|(name, value)| (&**name, &**value)));
    format!(
        "{}\n{}\n{query}\n{lines}\n{}\n{}",
        request.method,
        canonical_uri(generation, request.path),
        names.join(";"),
        sha256_hex(request.body)
    )
}

/// `date` is that of `x-jdcloud-date`; the scope is the authorization's.
#[must_use]
pub fn string_to_sign(
    authorization: &Authorization<'_>,
    date: &str,
    canonical_request: &str,
) -> String {
    let Authorization {
        generation,
        date: day,
        region,
        service,
        ..
    } = authorization;
    let (algorithm, end) = (generation.algorithm(), generation.end());
    let hash = sha256_hex(canonical_request.as_bytes());
    format!("{algorithm}\n{date}\n{day}/{region}/{service}/{end}\n{hash}")
}

/// In hex. What `authorization` claims as its signature plays no part.
#[must_use]
pub fn signature(
    secret: &str,
    authorization: &Authorization<'_>,
    date: &str,
    canonical_request: &str,
) -> String {
    let generation = authorization.generation;
    let mut key = format!("JDCLOUD{}{secret}", generation.digit()).into_bytes();
    for part in [
        authorization.date,
        authorization.region,
        authorization.service,
        &generation.end(),
    ] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let to_sign = string_to_sign(authorization, date, canonical_request);
    hex::encode(hmac_sha256(&key, to_sign.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_by_generation() {
        for (path, two, three) in [
            ("", "/", "/"),
            ("/v1/a~b", "/v1/a~b", "/v1/a~b"),
            ("/v1//a%20b", "/v1//a%2520b", "/v1/a%20b"),
        ] {
            assert_eq!(canonical_uri(Generation::Two, path), two);
            assert_eq!(canonical_uri(Generation::Three, path), three);
        }
    }

    #[test]
    fn only_the_documented_form_is_an_authorization() {
        let right = "JDCLOUD2-HMAC-SHA256 Credential=a/b/20250102/cn-north-1/sms/jdcloud2_request, \
                     SignedHeaders=content-type;host, Signature=00";
        let parsed = parse_authorization(right).unwrap();
        assert_eq!((parsed.access_key, parsed.date), ("a/b", "20250102"));
        for wrong in [
            right.replace("JDCLOUD2", "JDCLOUD1"),
            right.replace("jdcloud2", "jdcloud3"),
            right.replace(", ", ","),
            right.replace("a/b/", ""),
        ] {
            assert_eq!(parse_authorization(&wrong), None, "{wrong}");
        }
        assert_eq!(time("20250102T030405Z"), Some(1_735_787_045));
        assert_eq!(time("2025-01-02T03:04:05Z"), None);
    }
}
