//! What an account's calls suffer; every field can be changed while the lab runs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aliyun::codes::{self, Code, ReceiptCode};

/// A duration drawn evenly from `mean ± jitter`, never below zero.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spread {
    #[serde(with = "humantime_serde")]
    pub mean: Duration,
    #[serde(with = "humantime_serde")]
    pub jitter: Duration,
}

impl Spread {
    /// `draw` is uniform in [0, 1).
    pub(crate) fn at(&self, draw: f64) -> Duration {
        let seconds = self.mean.as_secs_f64() + (2.0 * draw - 1.0) * self.jitter.as_secs_f64();
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::ZERO)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// From arrival to answer.
    pub latency: Spread,
    /// Shares of the valid calls; what is left is accepted and answered.
    pub submit_errors: Vec<Fault>,
    /// From answer to receipt push.
    pub receipt_delay: Spread,
    /// Share of recipients for whom no receipt is ever pushed.
    pub receipt_loss: f64,
    /// Share of receipts that are pushed a second time, up to half a second later.
    pub receipt_duplicates: f64,
    /// Shares of recipients with a failure receipt; the others are delivered.
    pub receipt_failures: Vec<ReceiptFailure>,
    pub down: Down,
    /// Whether recipient suffixes force a behaviour (`aliyun::magic`).
    pub magic_numbers: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency: Spread::default(),
            submit_errors: Vec::new(),
            receipt_delay: Spread::default(),
            receipt_loss: 0.0,
            receipt_duplicates: 0.0,
            receipt_failures: Vec::new(),
            down: Down::No,
            magic_numbers: true,
        }
    }
}

impl Behaviour {
    pub(crate) fn check(&self) -> Result<(), String> {
        let errors = self.submit_errors.iter().map(|fault| fault.share);
        let failures = self.receipt_failures.iter().map(|failure| failure.share);
        check_shares("submit_errors", errors)?;
        check_shares("receipt_failures", failures)?;
        check_shares("receipt_loss", [self.receipt_loss])?;
        check_shares("receipt_duplicates", [self.receipt_duplicates])
    }
}

fn check_shares(name: &str, shares: impl IntoIterator<Item = f64>) -> Result<(), String> {
    let mut sum = 0.0;
    for share in shares {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("`{name}`: share {share} is not between 0 and 1"));
        }
        sum += share;
    }
    if sum > 1.0 + 1e-9 {
        return Err(format!("`{name}`: the shares add up to {sum}, over 1"));
    }
    Ok(())
}

/// The account answers nothing useful.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    #[default]
    No,
    /// HTTP 503 with a body that holds no vendor code.
    Unavailable,
    /// The connection is reset as soon as the request head names the account; the body is not read.
    Drop,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub share: f64,
    pub kind: FaultKind,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFailure {
    pub share: f64,
    /// A documented receipt code other than `DELIVERED`.
    #[serde(with = "receipt_code")]
    pub code: &'static ReceiptCode,
}

/// How a valid call goes wrong. Written as a string: a documented code (`isv.AMOUNT_NOT_ENOUGH`,
/// `Throttling.User`), `http_<status>` (an answer without a code, message not taken), `garbage_200` (not
/// taken), or one of the `accept_then_…` kinds (taken, receipts follow).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum FaultKind {
    Code(&'static Code),
    Status(u16),
    Garbage200,
    AcceptThenTimeout,
    AcceptThen502,
    AcceptThenReset,
    AcceptThenGarbage,
}

impl TryFrom<String> for FaultKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "garbage_200" => return Ok(Self::Garbage200),
            "accept_then_timeout" => return Ok(Self::AcceptThenTimeout),
            "accept_then_502" => return Ok(Self::AcceptThen502),
            "accept_then_reset" => return Ok(Self::AcceptThenReset),
            "accept_then_garbage" => return Ok(Self::AcceptThenGarbage),
            _ => {}
        }
        if let Some(status) = text.strip_prefix("http_") {
            return match status.parse() {
                Ok(status @ 300..=599) => Ok(Self::Status(status)),
                _ => Err(format!("`{text}`: http_<status> takes 300 to 599")),
            };
        }
        codes::find(&text).map(Self::Code).ok_or_else(|| {
            format!(
                "`{text}` is neither a documented code nor one of http_<status>, garbage_200, \
                 accept_then_timeout, accept_then_502, accept_then_reset, accept_then_garbage"
            )
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Code(code) => code.code,
            Self::Status(status) => return write!(formatter, "http_{status}"),
            Self::Garbage200 => "garbage_200",
            Self::AcceptThenTimeout => "accept_then_timeout",
            Self::AcceptThen502 => "accept_then_502",
            Self::AcceptThenReset => "accept_then_reset",
            Self::AcceptThenGarbage => "accept_then_garbage",
        })
    }
}

impl From<FaultKind> for String {
    fn from(kind: FaultKind) -> Self {
        kind.to_string()
    }
}

mod receipt_code {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{ReceiptCode, codes};

    pub(super) fn serialize<S: Serializer>(
        code: &&'static ReceiptCode,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(code.code)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<&'static ReceiptCode, D::Error> {
        let text = String::deserialize(deserializer)?;
        codes::find_receipt(&text)
            .filter(|code| !code.success)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no documented failure receipt")))
    }
}
