//! How calls to Huawei Cloud SMS are signed: SDK-HMAC-SHA256 and X-WSSE. Pure.
//!
//! Source: `huaweicloudsdkcore` 3.1.219 (`Signer`) for the first; the reference of the API (support.huaweicloud.com,
//! sms_05_0001) for the second, whose printed digest shows that the hash goes into Base64 as 64 hexadecimal characters. The
//! vectors under `tests/fixtures/vectors` were made with the SDK. Both take the application's key and secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jixinda_schemas::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros};

/// Name of the algorithm, as it stands in the string to sign and in `Authorization`.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";
/// Value of `x-sdk-content-sha256` when the body is not signed, which is so for forms.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// Header that says what stands for the body in the canonical request.
pub const CONTENT_HASH: &str = "x-sdk-content-sha256";
/// `Authorization` beside X-WSSE.
pub const WSSE_AUTHORIZATION: &str = r#"WSSE realm="SDP",profile="UsernameToken",type="Appkey""#;

const BASIC: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year][month][day]T[hour][minute][second]Z");
const EXTENDED: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As it stands in the URL.
    pub path: &'a str,
    /// Decoded names and values.
    pub query: &'a [(String, String)],
    /// Headers to sign: lower-case names with their values, in order of name; `x-sdk-date` is one of them.
    pub headers: &'a [(&'a str, &'a str)],
    /// What stands for the body: see [`payload`].
    pub payload: &'a str,
}

/// A signature and the stages that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub canonical_request: String,
    pub string_to_sign: String,
    /// Value of the header `authorization`.
    pub authorization: String,
}

/// What stands for the body: the value of the header that says so, else the body's hash.
#[must_use]
pub fn payload(headers: &[(&str, &str)], body: &[u8]) -> String {
    let said = headers.iter().find(|(name, _)| *name == CONTENT_HASH);
    said.map_or_else(
        || hex::encode(Sha256::digest(body)),
        |(_, value)| (*value).to_owned(),
    )
}

/// Signs a request.
#[must_use]
pub fn sign(request: &Request<'_>, key: &str, secret: &str) -> Signed {
    let (canonical_request, string_to_sign) = stages(request);
    let signature = mac(secret, &string_to_sign)
        .map(|mac| hex::encode(mac.finalize().into_bytes()))
        .unwrap_or_default();
    let names = names(request);
    let authorization =
        format!("{ALGORITHM} Access={key}, SignedHeaders={names}, Signature={signature}");
    Signed {
        canonical_request,
        string_to_sign,
        authorization,
    }
}

/// Whether `signature` is that of the request; the comparison takes the same time wherever they differ.
#[must_use]
pub fn verify(request: &Request<'_>, secret: &str, signature: &str) -> bool {
    let Ok(given) = hex::decode(signature) else {
        return false;
    };
    mac(secret, &stages(request).1).is_some_and(|mac| mac.verify_slice(&given).is_ok())
}

fn names(request: &Request<'_>) -> String {
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    names.join(";")
}

/// The canonical request and the string to sign.
fn stages(request: &Request<'_>) -> (String, String) {
    // A segment may come encoded in more than one way; the path always ends in a slash.
    let mut path: Vec<String> = request.path.split('/').map(canonical_segment).collect();
    if path.last().is_some_and(|last| !last.is_empty()) {
        path.push(String::new());
    }
    let mut query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.sort();
    let headers: String = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let canonical_request = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        path.join("/"),
        query.join("&"),
        names(request),
        request.payload
    );
    let date = request
        .headers
        .iter()
        .find(|(name, _)| *name == "x-sdk-date");
    let string_to_sign = format!(
        "{ALGORITHM}\n{}\n{}",
        date.map_or("", |(_, date)| *date),
        hex::encode(Sha256::digest(&canonical_request))
    );
    (canonical_request, string_to_sign)
}

fn canonical_segment(segment: &str) -> String {
    encode(&percent_decode_str(segment).decode_utf8_lossy())
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn mac(secret: &str, text: &str) -> Option<Hmac<Sha256>> {
    // A key of any length is one.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// What `Authorization` of a push says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// Whose key.
    pub access: &'a str,
    /// Names of the signed headers, joined by `;`.
    pub signed_headers: &'a str,
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header; values may stand in quotes.
    #[must_use]
    pub fn parse(header: &'a str) -> Option<Self> {
        let parts = header.trim().strip_prefix(ALGORITHM)?;
        let value = |name: &str| {
            parts.split(',').find_map(|part| {
                let (n, value) = part.split_once('=')?;
                (n.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        };
        Some(Self {
            access: value("Access")?,
            signed_headers: value("SignedHeaders")?,
            signature: value("Signature")?,
        })
    }
}

/// `x-sdk-date` of a moment: `20250102T030405Z`, UTC.
#[must_use]
pub fn date(now: Timestamp) -> String {
    format(now, BASIC)
}

/// The moment of an `x-sdk-date`.
#[must_use]
pub fn instant(date: &str) -> Option<Timestamp> {
    let time = PrimitiveDateTime::parse(date, BASIC).ok()?;
    Some(Timestamp(time.assume_utc().unix_timestamp() * 1_000))
}

/// `Created` of X-WSSE: `2025-01-02T03:04:05Z`, UTC.
#[must_use]
pub fn created(now: Timestamp) -> String {
    format(now, EXTENDED)
}

fn format(now: Timestamp, form: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp(now.millis().div_euclid(1_000))
        .ok()
        .and_then(|t| t.format(form).ok())
        .unwrap_or_default()
}

/// `PasswordDigest` of X-WSSE.
#[must_use]
pub fn password_digest(nonce: &str, created: &str, secret: &str) -> String {
    let hash = Sha256::digest(format!("{nonce}{created}{secret}"));
    STANDARD.encode(hex::encode(hash))
}

/// Value of the header `x-wsse`; the nonce has 1 to 128 letters and digits.
#[must_use]
pub fn wsse(key: &str, secret: &str, nonce: &str, created: &str) -> String {
    let digest = password_digest(nonce, created, secret);
    format!(
        r#"UsernameToken Username="{key}",PasswordDigest="{digest}",Nonce="{nonce}",Created="{created}""#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_735_787_045_678);

    #[test]
    fn dates_are_utc_to_the_second() {
        assert_eq!(date(NOW), "20250102T030405Z");
        assert_eq!(created(NOW), "2025-01-02T03:04:05Z");
        assert_eq!(
            instant("20250102T030405Z"),
            Some(Timestamp(1_735_787_045_000))
        );
        assert_eq!(instant("2025-01-02T03:04:05Z"), None);
    }

    #[test]
    fn an_authorization_is_read_with_and_without_quotes() {
        let want = Authorization {
            access: "k",
            signed_headers: "host;x-sdk-date",
            signature: "ab",
        };
        for text in [
            "SDK-HMAC-SHA256 Access=k, SignedHeaders=host;x-sdk-date, Signature=ab",
            r#"SDK-HMAC-SHA256 Access="k",SignedHeaders="host;x-sdk-date",Signature="ab""#,
        ] {
            assert_eq!(Authorization::parse(text), Some(want), "{text}");
        }
        assert_eq!(Authorization::parse("Basic eDp5"), None);
        assert_eq!(Authorization::parse("SDK-HMAC-SHA256 Access=k"), None);
    }

    #[test]
    fn a_signature_holds_for_its_request_only() {
        let headers = [("host", "h"), ("x-sdk-date", "20250102T030405Z")];
        let request = Request {
            method: "POST",
            path: "/a%2Fb/c",
            query: &[
                ("y".to_owned(), "2 3".to_owned()),
                ("x".to_owned(), "1".to_owned()),
            ],
            headers: &headers,
            payload: UNSIGNED_PAYLOAD,
        };
        let signed = sign(&request, "k", "s");
        assert!(
            signed
                .canonical_request
                .starts_with("POST\n/a%2Fb/c/\nx=1&y=2%203\nhost:h\n")
        );
        let given = Authorization::parse(&signed.authorization).unwrap();
        assert!(verify(&request, "s", given.signature));
        assert!(!verify(&request, "t", given.signature));
        assert!(!verify(&request, "s", "zz"));
        let other = Request {
            method: "GET",
            ..request
        };
        assert!(!verify(&other, "s", given.signature));
    }
}
