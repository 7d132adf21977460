//! A request's fields, whichever way they came.
//!
//! Source: fact sheet, "Endpoints", "Auth", "Send fields".

use axum::http::Method;
use serde_json::Value;

use super::codes;
use super::text::unpercent;
use crate::vendor::{Arrival, Refusal};

const APIKEY: usize = 32;
const LONGEST_USER: usize = 6;

/// Values as bytes, since their charset is not known yet: of a form decoded once, of JSON as they stand.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) of_form: bool,
}

impl Given {
    pub(super) fn read(arrival: &Arrival<'_>) -> Result<Self, Refusal> {
        if arrival.parts.method == Method::GET {
            return Ok(Self::of_form(arrival.query().as_bytes()));
        }
        let kind = arrival.header("content-type").unwrap_or_default();
        let (kind, _) = kind.split_once(';').unwrap_or((kind, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Ok(Self::of_form(arrival.body)),
            "application/json" => Self::of_json(arrival.body),
            _ => Err(codes::CONTENT_TYPE.into()),
        }
    }

    fn of_form(text: &[u8]) -> Self {
        let parts = text.split(|byte| *byte == b'&');
        let fields = parts.filter(|part| !part.is_empty()).map(|part| {
            let at = part.iter().position(|byte| *byte == b'=');
            let (name, value) = part.split_at(at.unwrap_or(part.len()));
            let name = String::from_utf8_lossy(&unpercent(name)).into_owned();
            (name, unpercent(value.get(1..).unwrap_or_default()))
        });
        Self {
            fields: fields.collect(),
            of_form: true,
        }
    }

    fn of_json(body: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Err(codes::BODY.into());
        };
        Ok(Self::of_object(&object))
    }

    /// Also of one entry of `multimt`.
    pub(super) fn of_object(object: &serde_json::Map<String, Value>) -> Self {
        let fields = object.iter().map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (name.clone(), text.into_bytes())
        });
        Self {
            fields: fields.collect(),
            of_form: false,
        }
    }

    /// A value that is not empty.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        String::from_utf8(self.bytes(name)?.to_vec()).ok()
    }

    /// What names the account: the apikey, or the userid in upper case.
    pub(super) fn key(&self) -> Option<String> {
        if let Some(apikey) = self.text("apikey") {
            let is_hex = apikey.bytes().all(|byte| byte.is_ascii_hexdigit());
            return Some(apikey).filter(|apikey| apikey.len() == APIKEY && is_hex);
        }
        let userid = self.text("userid")?;
        (userid.len() <= LONGEST_USER).then(|| userid.to_uppercase())
    }
}
