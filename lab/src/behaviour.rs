//! What an account's calls suffer; every field can be changed while the lab runs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codes::Condition;
use crate::vendor::{self, Vendor};

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
    /// Share of receipts before which a forged one is pushed, by someone who knows the URL but no secret: it says
    /// the opposite, of a message that there never was.
    pub receipt_forgeries: f64,
    /// Shares of recipients with a failure receipt; the others are delivered.
    pub receipt_failures: Vec<ReceiptFailure>,
    pub down: Down,
    /// Messages that the account can pay for since the lab's start; then it is out of balance. Absent: no end.
    pub balance: Option<u64>,
    /// Whether recipient suffixes force a behaviour (`magic`).
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
            receipt_forgeries: 0.0,
            receipt_failures: Vec::new(),
            down: Down::No,
            balance: None,
            magic_numbers: true,
        }
    }
}

impl Behaviour {
    /// Codes have to be ones that `vendor` documents.
    pub(crate) fn check(&self, vendor: &dyn Vendor) -> Result<(), String> {
        for fault in &self.submit_errors {
            if let FaultKind::Code(code) = &fault.kind
                && vendor::find_code(vendor, code).is_none()
            {
                let kind = vendor.kind();
                return Err(format!(
                    "`{code}` is neither a documented code of {kind} nor one of http_<status>, garbage_200, slow_loris, \
                     accept_then_timeout, accept_then_502, accept_then_reset, accept_then_garbage"
                ));
            }
        }
        for failure in &self.receipt_failures {
            let code = vendor::find_end(vendor, &failure.code).filter(|code| !code.success);
            if code.is_none() {
                let (code, kind) = (&failure.code, vendor.kind());
                return Err(format!(
                    "`{code}` is no documented failure receipt of {kind}"
                ));
            }
        }
        let errors = self.submit_errors.iter().map(|fault| fault.share);
        let failures = self.receipt_failures.iter().map(|failure| failure.share);
        check_shares("submit_errors", errors)?;
        check_shares("receipt_failures", failures)?;
        check_shares("receipt_loss", [self.receipt_loss])?;
        check_shares("receipt_duplicates", [self.receipt_duplicates])?;
        check_shares("receipt_forgeries", [self.receipt_forgeries])
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
    /// A documented receipt code other than that of success, or the name of an [`End`](crate::codes::End).
    pub code: String,
    /// Only for numbers that begin so, in E.164: one carrier that is down. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
}

impl ReceiptFailure {
    pub(crate) fn is_for(&self, recipient: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| recipient.starts_with(p))
    }
}

/// How a valid call goes wrong. Written as a string: a documented code of the vendor (`isv.AMOUNT_NOT_ENOUGH`), the
/// name of a [`Condition`] (`out_of_balance`), `http_<status>` (an answer without a code, message not taken),
/// `garbage_200` (not taken), `slow_loris` (taken, the answer comes byte by byte), or one of the `accept_then_…` kinds
/// (taken, receipts follow).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum FaultKind {
    Code(String),
    When(Condition),
    Status(u16),
    Garbage200,
    SlowLoris,
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
            "slow_loris" => return Ok(Self::SlowLoris),
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
        Ok(Condition::find(&text).map_or(Self::Code(text), Self::When))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Code(code) => code,
            Self::When(condition) => condition.as_str(),
            Self::Status(status) => return write!(formatter, "http_{status}"),
            Self::Garbage200 => "garbage_200",
            Self::SlowLoris => "slow_loris",
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
