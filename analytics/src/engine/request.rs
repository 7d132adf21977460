//! Reads a request as a ClickHouse server does: parameters of the URL and of a form, credentials, body.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::Config;
use super::exception::{
    AUTHENTICATION_FAILED, BAD_ARGUMENTS, Exception, REQUIRED_PASSWORD, TOO_LARGE,
    TOO_MANY_SIMULTANEOUS_QUERIES,
};

/// Bytes of one permit of the budget for bodies.
pub(crate) const PERMIT_BYTES: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn of_uri(uri: &Uri) -> Result<Self, Exception> {
        let mut fields = Self::default();
        for pair in uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.0.push((decode(name)?, decode(value)?));
        }
        Ok(fields)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds the fields of a multipart form, the way the `clickhouse` crate sends parameters.
    pub(crate) fn add_form(&mut self, content_type: &str, body: &[u8]) -> Result<(), Exception> {
        let malformed = || Exception::new(BAD_ARGUMENTS, "the multipart form is malformed");
        let boundary = content_type
            .split(';')
            .find_map(|part| part.trim().strip_prefix("boundary="));
        let boundary = format!("--{}", boundary.ok_or_else(malformed)?.trim_matches('"'));
        let separator = format!("\r\n{boundary}");
        let mut rest = body
            .strip_prefix(boundary.as_bytes())
            .ok_or_else(malformed)?;
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let end = find(part, separator.as_bytes()).ok_or_else(malformed)?;
            let headers = find(&part[..end], b"\r\n\r\n").ok_or_else(malformed)?;
            let head = std::str::from_utf8(&part[..headers]).map_err(|_| malformed())?;
            if head.contains("filename=") {
                return Err(Exception::new(
                    BAD_ARGUMENTS,
                    "external tables are not supported",
                ));
            }
            let name = head
                .split_once(" name=\"")
                .and_then(|(_, name)| name.split_once('"'))
                .ok_or_else(malformed)?
                .0;
            let value = std::str::from_utf8(&part[headers + 4..end]).map_err(|_| malformed())?;
            self.0.push((name.to_owned(), value.to_owned()));
            rest = &part[end + separator.len()..];
        }
        rest.starts_with(b"--").then_some(()).ok_or_else(malformed)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn decode(text: &str) -> Result<String, Exception> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Exception::new(BAD_ARGUMENTS, "a URL parameter is not UTF-8"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Ingest,
    Reader,
}

/// Finds out who asks: Basic, the two headers of ClickHouse, or URL parameters, but only one of them.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    fields: &Fields,
    config: &Config,
) -> Result<User, Exception> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let pair = |user: Option<String>, key: Option<String>| {
        (user.is_some() || key.is_some())
            .then(|| (user.unwrap_or_default(), key.unwrap_or_default()))
    };
    let failed = |user: &str| {
        let text = format!(
            "{user}: Authentication failed: password is incorrect, or there is no user with such name."
        );
        Exception::new(AUTHENTICATION_FAILED, text)
    };
    let basic = match text(AUTHORIZATION.as_str()) {
        None => None,
        Some(value) => {
            let decoded = value
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
            let decoded = decoded.and_then(|(_, code)| BASE64_STANDARD.decode(code.trim()).ok());
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let (user, key) = decoded
                .as_deref()
                .and_then(|text| text.split_once(':'))
                .ok_or_else(|| failed("?"))?;
            Some((user.to_owned(), key.to_owned()))
        }
    };
    let named = pair(text("x-clickhouse-user"), text("x-clickhouse-key"));
    let in_url = pair(
        fields.get("user").map(str::to_owned),
        fields.get("password").map(str::to_owned),
    );
    let mut given = [basic, named, in_url].into_iter().flatten();
    let Some((user, key)) = given.next() else {
        return Err(Exception::new(
            REQUIRED_PASSWORD,
            "a user and a password are required",
        ));
    };
    if given.next().is_some() {
        return Err(failed(&user).with_status(StatusCode::FORBIDDEN));
    }
    let same = |name: &str, secret: &str| {
        digest(&user).ct_eq(&digest(name)) & digest(&key).ct_eq(&digest(secret))
    };
    let ingest = same(&config.ingest_user, config.ingest_password.expose());
    let reader = same(&config.read_user, config.read_password.expose());
    match (bool::from(ingest), bool::from(reader)) {
        (true, _) => Ok(User::Ingest),
        (_, true) => Ok(User::Reader),
        _ => Err(failed(&user)),
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Collects a body within its own limit and the budget of all bodies; the permits are held as long as the body.
pub(crate) async fn collect(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    budget: &std::sync::Arc<Semaphore>,
) -> Result<(Vec<u8>, Vec<OwnedSemaphorePermit>), Exception> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value != "identity")
    {
        return Err(compressed());
    }
    let too_large = || Exception::new(TOO_LARGE, format!("the body is larger than {limit} bytes"));
    let busy = || {
        Exception::new(
            TOO_MANY_SIMULTANEOUS_QUERIES,
            "too many bytes wait to be inserted",
        )
    };
    let mut bytes = Vec::new();
    let mut permits = Vec::new();
    while let Some(frame) = body.frame().await {
        let cut = |_| Exception::new(BAD_ARGUMENTS, "the body ended early");
        let Ok(data) = frame.map_err(cut)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(too_large());
        }
        let wanted = u32::try_from(data.len().div_ceil(PERMIT_BYTES)).map_err(|_| too_large())?;
        permits.push(
            std::sync::Arc::clone(budget)
                .try_acquire_many_owned(wanted)
                .map_err(|_| busy())?,
        );
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, permits))
}

pub(crate) fn compressed() -> Exception {
    Exception::new(
        BAD_ARGUMENTS,
        "compressed bodies are not supported here, use Compression::None",
    )
    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

pub(crate) fn multipart(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    content_type
        .starts_with("multipart/form-data")
        .then_some(content_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_form_gives_its_fields() {
        let body =
            b"--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nselect\r\n1\r\n--b\r\n\
            Content-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--b--\r\n";
        let mut fields = Fields::default();
        fields
            .add_form("multipart/form-data; boundary=b", body)
            .unwrap();
        assert_eq!(fields.get("query"), Some("select\r\n1"));
        assert_eq!(fields.get("param_a"), Some(""));
        assert!(
            Fields::default()
                .add_form("multipart/form-data; boundary=c", body)
                .is_err()
        );
        assert!(
            Fields::default()
                .add_form("multipart/form-data; boundary=b", &body[..40])
                .is_err()
        );
    }

    #[test]
    fn each_way_to_sign_in_is_read_and_two_at_once_are_refused() {
        let config = Config {
            read_password: crate::engine::Secret::new("pässword"),
            ..Config::default()
        };
        let mut headers = HeaderMap::new();
        let none = authenticate(&headers, &Fields::default(), &config).unwrap_err();
        assert_eq!((none.code, none.status().as_u16()), (194, 401));
        let uri: Uri = "/?user=reader&password=p%C3%A4ssword".parse().unwrap();
        let fields = Fields::of_uri(&uri).unwrap();
        assert_eq!(authenticate(&headers, &fields, &config), Ok(User::Reader));
        let basic = format!("Basic {}", BASE64_STANDARD.encode("ingest:"));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
        assert_eq!(
            authenticate(&headers, &Fields::default(), &config),
            Ok(User::Ingest)
        );
        assert!(authenticate(&headers, &fields, &config).is_err());
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic !"));
        let wrong = authenticate(&headers, &Fields::default(), &config).unwrap_err();
        assert_eq!((wrong.code, wrong.status().as_u16()), (516, 403));
    }
}
