//! ClickHouse exceptions and the HTTP status that a ClickHouse server gives each.

use axum::http::StatusCode;

pub(crate) const BAD_ARGUMENTS: u32 = 36;
pub(crate) const SYNTAX_ERROR: u32 = 62;
pub(crate) const READONLY: u32 = 164;
pub(crate) const REQUIRED_PASSWORD: u32 = 194;
pub(crate) const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
pub(crate) const TOO_LARGE: u32 = 229;
pub(crate) const PROHIBITED: u32 = 392;
pub(crate) const SUPPORT_IS_DISABLED: u32 = 344;
pub(crate) const AUTHENTICATION_FAILED: u32 = 516;

/// A refused or failed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: u32,
    pub(crate) message: String,
    status: Option<StatusCode>,
}

impl Exception {
    /// One of ours, worded as ClickHouse words its own.
    pub(crate) fn new(code: u32, text: impl AsRef<str>) -> Self {
        Self {
            code,
            message: format!(
                "Code: {code}. DB::Exception: {} ({})",
                text.as_ref(),
                name(code)
            ),
            status: None,
        }
    }

    /// One of the engine's; its texts start with `Code: N.`, sometimes after a word.
    pub(crate) fn from_engine(message: String) -> Self {
        let code = message
            .split_once("Code: ")
            .and_then(|(_, rest)| rest.split_once('.'))
            .and_then(|(digits, _)| digits.parse().ok())
            .unwrap_or(0);
        Self {
            code,
            message,
            status: None,
        }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status(self.code))
    }
}

fn name(code: u32) -> &'static str {
    match code {
        BAD_ARGUMENTS => "BAD_ARGUMENTS",
        SYNTAX_ERROR => "SYNTAX_ERROR",
        READONLY => "READONLY",
        REQUIRED_PASSWORD => "REQUIRED_PASSWORD",
        TOO_MANY_SIMULTANEOUS_QUERIES => "TOO_MANY_SIMULTANEOUS_QUERIES",
        TOO_LARGE => "QUERY_IS_TOO_LARGE",
        PROHIBITED => "QUERY_IS_PROHIBITED",
        SUPPORT_IS_DISABLED => "SUPPORT_IS_DISABLED",
        AUTHENTICATION_FAILED => "AUTHENTICATION_FAILED",
        _ => "UNKNOWN_EXCEPTION",
    }
}

/// As in ClickHouse's HTTP handler, written from its source of some releases ago; 456 and 457 (parameters) are ours.
fn status(code: u32) -> StatusCode {
    match code {
        194 => StatusCode::UNAUTHORIZED,
        192 | 193 | 512 | 516 => StatusCode::FORBIDDEN,
        6 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168
        | 223 | 321 | 376 | 427 | 441 | 456 | 457 | 675 | 676 => StatusCode::BAD_REQUEST,
        46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => StatusCode::NOT_FOUND,
        159 => StatusCode::REQUEST_TIMEOUT,
        229 => StatusCode::PAYLOAD_TOO_LARGE,
        381 => StatusCode::LENGTH_REQUIRED,
        48 => StatusCode::NOT_IMPLEMENTED,
        76 | 202 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_text_of_the_engine() {
        for (text, code, status) in [
            ("Code: 62. DB::Exception: Syntax error", 62, 400),
            ("Error: Code: 60. DB::Exception: no table", 60, 404),
            ("Code: 241. DB::Exception: memory", 241, 500),
            ("odd", 0, 500),
        ] {
            let exception = Exception::from_engine(text.into());
            assert_eq!(
                (exception.code, exception.status().as_u16()),
                (code, status)
            );
        }
    }
}
