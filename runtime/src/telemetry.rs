//! Logs: text for people or JSON for machines, filtered by `telemetry.filter`.

use std::io::IsTerminal as _;

use serde::Deserialize;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `text` or `json`.
    pub format: Form,
    /// Directives such as `info,rdkafka=warn`.
    pub filter: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Text,
    Json,
}

/// The filter does not parse, or a subscriber is already set.
#[derive(Debug, thiserror::Error)]
#[error("telemetry: {0}")]
pub struct Error(String);

/// Starts logging to standard error. Call once.
///
/// # Errors
/// When the filter does not parse or logging was already started.
pub fn init(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|e| Error(format!("filter: {e}")))?;
    let registry = tracing_subscriber::registry().with(filter);
    let done = match config.format {
        Form::Text => registry
            .with(
                fmt::layer()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        Form::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    done.map_err(|e| Error(e.to_string()))
}

/// A new W3C trace context, for a request that brought none.
#[must_use]
pub fn new_traceparent() -> String {
    let trace = uuid::Uuid::new_v4().simple();
    let span = uuid::Uuid::new_v4().as_u64_pair().0 | 1;
    format!("00-{trace}-{span:016x}-01")
}

/// Whether the text is a W3C trace context of version 00.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let hex = |part: Option<&str>, len| {
        part.is_some_and(|p| {
            p.len() == len
                && p.bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    hex(parts.next(), 2)
        && hex(parts.next(), 32)
        && hex(parts.next(), 16)
        && hex(parts.next(), 2)
        && parts.next().is_none()
}

/// An error with all its causes, for people.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_trace_context_is_well_formed() {
        assert!(is_traceparent(&new_traceparent()));
        assert!(!is_traceparent("00-xyz"));
    }
}
