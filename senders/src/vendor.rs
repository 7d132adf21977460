//! The seam between the sender service and the vendors: one call in, one result per item out.
//!
//! A vendor client never retries and never guesses. [`AttemptResult::Rejected`] means that nothing was sent: a parsed
//! answer that the vendor documents as a refusal (by its code, or, for a code that is not in the catalogue, by the field or
//! status that says so), or a failure before the first byte left. Whatever else goes wrong is [`AttemptResult::Unknown`],
//! and so is a refusal that only says that the vendor's own request got no answer; what follows is the router's policy,
//! not the client's.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jixinda_schemas::{
    CallId, Phone, Timestamp,
    event::AttemptResult,
    template::Content,
    vendor::{Blame, Disposition, ReceiptStatus},
};
use reqwest::header::HeaderMap;

use crate::vendors::waiting::Waiting;

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

    /// Whether two items may go in one call, by what they hold; how many may is in [`SmsVendor::limits`].
    fn fits(&self, _a: &Item, _b: &Item) -> bool {
        false
    }

    /// Makes one vendor call and returns one result per item, in the order of the items.
    ///
    /// Dropping the future after its first poll leaves all items unknown.
    async fn send(&self, call: &Call) -> Vec<ItemResult>;

    /// Reads what the vendor pushed, once it is proved to come from there. Pure. An item that cannot be read does not
    /// lose the others.
    ///
    /// # Errors
    /// When the body as a whole is not what the vendor documents, or its signature is wrong.
    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError>;

    /// The answer that the vendor wants after a push: whether to be told that all is `stored`, or to be asked to push
    /// again.
    fn acknowledge(&self, push: &Push<'_>, stored: bool) -> Ack;

    /// The way to reports that the vendor does not push.
    fn pull(&self) -> Option<&dyn Pull> {
        None
    }

    /// The way to messages from handsets, where it is another than that to reports, at another pace or in another
    /// [`Place`].
    fn pull_messages(&self) -> Option<&dyn Pull> {
        None
    }
}

/// Reports and inbound messages that have to be fetched.
#[async_trait]
pub trait Pull: Send + Sync {
    /// Who fetches.
    fn place(&self) -> Place {
        match self.list() {
            Some(_) => Place::EveryProcess,
            None => Place::OneProcess,
        }
    }

    /// The calls to ask about, where the vendor tells reports by the call only. It is kept to the partitions that this
    /// process holds, and filled with the calls of who held them before.
    fn list(&self) -> Option<&Mutex<Waiting>> {
        None
    }

    /// From a fetch that brought the last there was to the next one.
    fn rest(&self) -> Duration;

    /// Fetches once. What comes may be gone at the vendor: it is stored before the next fetch.
    ///
    /// # Errors
    /// When nothing was fetched.
    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError>;
}

/// Where what is to be fetched waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the vendor, for the account.
    OneProcess,
    /// On this process's own connection, or for this process's own calls.
    EveryProcess,
}

/// What a fetch brought.
#[derive(Debug, Default)]
pub struct Fetched {
    pub batch: Batch,
    /// There may be more at once.
    pub more: bool,
}

/// Nothing was fetched; the vendor's words, fit for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

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

/// A push as it came.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Path and query as they were asked for, of the public URL.
    pub target: &'a str,
    /// Query string, without `?`.
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub now: Timestamp,
}

impl Push<'_> {
    /// The text of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Push<'_> {
    /// Without target and query, which hold the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Push({} {} bytes)", self.method, self.body.len())
    }
}

/// What a push or a fetch brought.
#[derive(Debug, Default, PartialEq)]
pub struct Batch {
    pub receipts: Vec<ReceiptItem>,
    pub inbound: Vec<InboundItem>,
    pub unreadable: Vec<UnreadableItem>,
}

impl Batch {
    /// Items in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.receipts.len() + self.inbound.len() + self.unreadable.len()
    }

    /// Whether it brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<ParsedItem> for Batch {
    fn from_iter<T: IntoIterator<Item = ParsedItem>>(items: T) -> Self {
        let mut batch = Self::default();
        for item in items {
            match item {
                Ok(Reported::Receipt(item)) => batch.receipts.push(item),
                Ok(Reported::Inbound(item)) => batch.inbound.push(item),
                Err(item) => batch.unreadable.push(item),
            }
        }
        batch
    }
}

/// One item of a push or a fetch.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    Receipt(ReceiptItem),
    Inbound(InboundItem),
}

/// One item of a push or a fetch, or why it cannot be read.
pub type ParsedItem = Result<Reported, UnreadableItem>;

/// A message from a handset (MO).
#[derive(Clone, PartialEq)]
pub struct InboundItem {
    /// Who sent it.
    pub sender: Phone,
    /// The number that it was sent to, or the extension, as the vendor has it.
    pub destination: String,
    pub text: String,
    /// The signature under which the number had been written to, where the vendor says so.
    pub sign_name: Option<String>,
    pub vendor_id: Option<String>,
    /// When it was sent by the vendor's clock.
    pub vendor_at: Option<Timestamp>,
    /// The item as it came.
    pub raw: serde_json::Value,
}

impl fmt::Debug for InboundItem {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundItem")
            .field("sender", &self.sender)
            .field("destination", &self.destination)
            .field("vendor_id", &self.vendor_id)
            .finish_non_exhaustive()
    }
}

/// One delivery report.
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

/// Why a push cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Not JSON.
    #[error("the body is not JSON")]
    Json(#[source] serde_json::Error),
    /// Of another shape.
    #[error("the body is not {0}")]
    Shape(&'static str),
    /// It does not prove that it comes from the vendor: it is refused and not stored.
    #[error("not authentic: {0}")]
    NotAuthentic(&'static str),
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// HTTP status.
    pub status: u16,
    pub content_type: &'static str,
    pub body: Cow<'static, str>,
}

impl Ack {
    /// 200 with these words once all is stored, else 503 and nothing: for vendors that look at the status alone.
    #[must_use]
    pub fn plain(stored: bool, words: &'static str) -> Self {
        Self {
            status: if stored { 200 } else { 503 },
            content_type: "text/plain",
            body: if stored { words } else { "" }.into(),
        }
    }
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

/// Results of a vendor that takes one item in a call: that of the first; the others did not go.
#[must_use]
pub fn first_only(first: Option<ItemResult>, call: &Call) -> Vec<ItemResult> {
    let mut results: Vec<ItemResult> = first.into_iter().collect();
    results.resize_with(call.items.len(), || {
        not_sent(
            Disposition::RetrySame,
            Blame::None,
            "batch_too_large",
            "one item in one call",
        )
    });
    results
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
