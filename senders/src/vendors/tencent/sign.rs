//! TC3-HMAC-SHA256, the signature of Tencent Cloud's API 3.0. Pure.
//!
//! Source: `tencentcloud-sdk-python-common` 3.1.195 (`abstract_client`), which signs `content-type` and `host`; the vectors
//! under `tests/fixtures/vectors` were made with it. More headers may be signed; their values are lower-cased, as those two
//! are.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros};

/// Name of the algorithm, as it stands in the string to sign and in `Authorization`.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

const DATE: &[BorrowedFormatItem<'_>] = macros::format_description!("[year]-[month]-[day]");

/// What is signed: a POST to `/`.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `sms`.
    pub service: &'a str,
    /// Headers to sign: lower-case names with their values, in order of name.
    pub headers: &'a [(&'a str, &'a str)],
    /// The exact bytes that are sent.
    pub body: &'a [u8],
    /// Unix seconds, as in `x-tc-timestamp`.
    pub timestamp: i64,
}

/// A signature and the stages that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub canonical_request: String,
    pub string_to_sign: String,
    /// Value of the header `authorization`.
    pub authorization: String,
}

/// Signs a request.
#[must_use]
pub fn sign(request: &Request<'_>, secret_id: &str, secret_key: &str) -> Signed {
    let mut headers = String::new();
    for (name, value) in request.headers {
        headers.push_str(name);
        headers.push(':');
        headers.push_str(&value.trim().to_lowercase());
        headers.push('\n');
    }
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let hash = hex::encode(Sha256::digest(request.body));
    let canonical_request = format!("POST\n/\n\n{headers}\n{names}\n{hash}");
    let date = date(request.timestamp);
    let scope = format!("{date}/{}/tc3_request", request.service);
    let string_to_sign = format!(
        "{ALGORITHM}\n{}\n{scope}\n{}",
        request.timestamp,
        hex::encode(Sha256::digest(&canonical_request))
    );
    let key = [date.as_str(), request.service, "tc3_request"]
        .into_iter()
        .fold(format!("TC3{secret_key}").into_bytes(), |key, part| {
            hmac(&key, part)
        });
    let signature = hex::encode(hmac(&key, &string_to_sign));
    let authorization = format!(
        "{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    Signed {
        canonical_request,
        string_to_sign,
        authorization,
    }
}

/// The day of a timestamp, UTC.
fn date(timestamp: i64) -> String {
    OffsetDateTime::from_unix_timestamp(timestamp)
        .ok()
        .and_then(|t| t.format(DATE).ok())
        .unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
