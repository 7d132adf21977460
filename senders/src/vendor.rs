//! The seam between the sender service and the vendors: one call in, one result per item out.
//!
//! A vendor client never retries and never guesses. [`AttemptResult::Rejected`] means that nothing was sent: a parsed
//! answer with a code that the vendor documents as not accepted, or a failure before the first byte left. Whatever
//! else goes wrong is [`AttemptResult::Unknown`], and what follows is the router's policy, not the client's.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jixinda_schemas::{
    CallId, Phone, Timestamp,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition, ReceiptStatus},
};

/// Result for one item of a call.
pub type ItemResult = AttemptResult;

/// The time of day, for signatures and for events.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One account at one vendor, ready to be called.
#[async_trait]
pub trait SmsVendor: Send + Sync + fmt::Debug {
    /// Vendor kind, such as `aliyun`.
    fn kind(&self) -> &'static str;

    /// What one call may carry.
    fn limits(&self) -> Limits;

    /// Makes one vendor call and returns one result per item, in the order of the items.
    ///
    /// Dropping the future after its first poll leaves all items unknown.
    async fn send(&self, call: &Call) -> Vec<ItemResult>;

    /// Reads the body of a receipt push. Pure. An item that cannot be read does not lose the others.
    ///
    /// # Errors
    /// When the body as a whole is not what the vendor documents.
    fn parse_receipts(&self, raw: &RawBody<'_>) -> Result<Vec<ParsedItem>, ReceiptError>;

    /// The answer that the vendor wants after a receipt push: whether to be told that all is `stored`, or to be
    /// asked to push again.
    fn acknowledge(&self, stored: bool) -> Ack;
}

/// What one call may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items in one call. What is over is refused without a call.
    pub max_items: usize,
}

/// One vendor call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Travels in the vendor's echo field.
    pub call_id: CallId,
    /// Distinct recipients.
    pub items: Vec<Item>,
    /// From the first connect to the last byte of the answer.
    pub timeout: Duration,
}

/// One message of a call.
#[derive(Clone)]
pub struct Item {
    pub recipient: Phone,
    /// Signature as the vendor knows it, without brackets.
    pub sign_name: String,
    /// What the vendor is given.
    pub content: Content,
    /// Rendered text, signature included.
    pub text: String,
}

impl fmt::Debug for Item {
    /// Without text and variables: they may hold one-time codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match &self.content {
            Content::Named { code, .. }
            | Content::Positional { code, .. }
            | Content::Separated { code, .. } => code.as_str(),
            Content::FullText { .. } => "",
        };
        f.debug_struct("Item")
            .field("recipient", &self.recipient)
            .field("sign_name", &self.sign_name)
            .field("code", &code)
            .finish_non_exhaustive()
    }
}

/// A receipt push as it came.
#[derive(Clone, Copy)]
pub struct RawBody<'a> {
    /// Header `content-type`.
    pub content_type: Option<&'a str>,
    /// Query string, without `?`.
    pub query: Option<&'a str>,
    pub body: &'a [u8],
}

impl fmt::Debug for RawBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawBody({} bytes)", self.body.len())
    }
}

/// One item of a receipt push, or why it cannot be read.
pub type ParsedItem = Result<ReceiptItem, UnreadableItem>;

/// One item of a receipt push.
#[derive(Clone, PartialEq)]
pub struct ReceiptItem {
    pub recipient: Phone,
    /// What the vendor echoed of ours: the call id.
    pub echo: Option<String>,
    pub vendor_id: Option<String>,
    /// Number of the part, from 1, where the vendor reports parts.
    pub part: Option<u16>,
    /// How many parts there are, where the vendor says so.
    pub parts: Option<u16>,
    pub status: ReceiptStatus,
    /// The vendor's or carrier's code, unchanged.
    pub code: String,
    /// Whose fault a failure is.
    pub blame: Blame,
    /// Segments that the vendor billed.
    pub segments: Option<u32>,
    /// When it happened by the vendor's clock.
    pub vendor_at: Option<Timestamp>,
    /// The item as it came.
    pub raw: serde_json::Value,
}

impl fmt::Debug for ReceiptItem {
    /// Without the raw item: it holds the number in clear.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptItem")
            .field("recipient", &self.recipient)
            .field("echo", &self.echo)
            .field("vendor_id", &self.vendor_id)
            .field("status", &self.status)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// An item that cannot be read, kept for the dead letters.
#[derive(Clone, PartialEq)]
pub struct UnreadableItem {
    /// What is wrong; never holds the number.
    pub detail: String,
    /// The item as it came.
    pub raw: serde_json::Value,
}

impl fmt::Debug for UnreadableItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadableItem({})", self.detail)
    }
}

/// Why the body of a receipt push cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Not JSON.
    #[error("the body is not JSON")]
    Json(#[source] serde_json::Error),
    /// JSON of another shape.
    #[error("the body is not {0}")]
    Shape(&'static str),
}

/// The answer to a receipt push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// HTTP status.
    pub status: u16,
    pub content_type: &'static str,
    pub body: Cow<'static, str>,
}

/// Words of a vendor, fit for events and logs: one line, at most 200 characters, telephone numbers masked.
///
/// A run of seven or more digits counts as a number, unless an underscore stands before it: template codes such as
/// `SMS_123456789` stay readable.
#[must_use]
pub fn brief(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut out = String::new();
    let mut digits = String::new();
    let mut before = ' ';
    // Mask before cutting, so that the cut cannot make a number look like something else.
    for c in text.chars().take(4 * LONGEST).chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() >= 7 && before != '_' {
            out.push_str(&digits[..3]);
            out.push_str("****");
            out.push_str(&digits[digits.len() - 2..]);
        } else {
            out.push_str(&digits);
        }
        digits.clear();
        before = c;
        out.push(if c.is_control() { ' ' } else { c });
    }
    out.trim().chars().take(LONGEST).collect()
}

/// A refusal before any byte left: nothing was sent.
#[must_use]
pub fn not_sent(
    disposition: Disposition,
    blame: Blame,
    code: &'static str,
    message: &str,
) -> ItemResult {
    AttemptResult::Rejected {
        disposition,
        blame,
        vendor_code: code.to_owned(),
        message: brief(message),
        retry_after_ms: None,
    }
}

/// It cannot be known whether the vendor took the items.
#[must_use]
pub fn unknown(detail: impl Into<String>) -> ItemResult {
    AttemptResult::Unknown {
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_words_are_cut_and_lose_their_numbers() {
        assert_eq!(
            brief("号码13800138000无效\n(SMS_123456789, +6581234567)"),
            "号码138****00无效 (SMS_123456789, +658****67)"
        );
        assert_eq!(brief(&"字".repeat(900)).chars().count(), 200);
        assert_eq!(brief("13800138000"), "138****00");
    }

    #[test]
    fn an_item_shows_neither_number_nor_code() {
        let item = Item {
            recipient: "+8613800138000".parse().unwrap(),
            sign_name: "ACME".into(),
            content: Content::Named {
                code: "SMS_1".into(),
                params: [("code".to_owned(), "482913".to_owned())].into(),
            },
            text: "your code is 482913".into(),
        };
        let shown = format!("{item:?}");
        assert!(!shown.contains("482913") && !shown.contains("13800138000"));
        assert!(shown.contains("SMS_1"));
    }
}
