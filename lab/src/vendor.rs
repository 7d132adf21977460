//! The seam between what every vendor's server does and what is one vendor's own: its protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::account::Account;
use crate::clock::Stamp;
use crate::codes::{Code, Condition, End, ReceiptCode};
use crate::hub::Hub;
use crate::live::Live;
use crate::number::Number;
use crate::receipts::Item;

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) at: Stamp,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a [u8],
}

impl<'a> Arrival<'a> {
    pub(crate) fn headers(&self) -> &'a HeaderMap {
        &self.parts.headers
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn path(&self) -> &'a str {
        self.parts.uri.path()
    }

    pub(crate) fn query(&self) -> &'a str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// How far a time of the caller's, in seconds since 1970, is from ours.
    pub(crate) fn seconds_off(&self, claimed: i64) -> u64 {
        i64::try_from(self.at.unix_seconds()).map_or(u64::MAX, |now| now.abs_diff(claimed))
    }
}

/// What a gate needs to know of the lab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) kind: &'static str,
}

impl Gate<'_> {
    pub(crate) fn account(&self, key: &str) -> Option<Arc<Live>> {
        self.hub.by_key(self.kind, key)
    }

    /// Most seconds that a caller's clock may be off.
    pub(crate) fn skew(&self) -> u64 {
        self.hub.config.clock_skew.as_secs()
    }
}

/// Why not, with a message of its own where one helps.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static Code,
    pub(crate) detail: Option<String>,
}

impl From<&'static Code> for Refusal {
    fn from(code: &'static Code) -> Self {
        Self { code, detail: None }
    }
}

impl Refusal {
    pub(crate) fn with(code: &'static Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    pub(crate) fn message(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.message)
    }
}

/// What a proved request wants.
#[derive(Debug)]
pub(crate) enum Action {
    Submit(Submit),
    /// Receipts that wait, at most so many; they are gone then.
    Fetch {
        most: usize,
    },
    /// Receipts of one call or number, which stay.
    Query(Query),
    /// Messages from handsets that wait, at most so many; they are gone then.
    FetchInbound {
        most: usize,
    },
    /// All messages from handsets; they stay.
    QueryInbound,
}

#[derive(Debug, Default)]
pub(crate) struct Query {
    /// The vendor's id.
    pub(crate) id: Option<String>,
    /// E.164.
    pub(crate) recipient: Option<String>,
}

/// Messages to be sent, as the rules let them through.
#[derive(Debug)]
pub(crate) struct Submit {
    /// What the caller wants back in receipts.
    pub(crate) echo: Option<Arc<str>>,
    /// Where this call's receipts go, for vendors that are told with each call.
    pub(crate) callback: Option<Arc<str>>,
    pub(crate) wanted: Vec<Wanted>,
}

impl Submit {
    /// The echoes of the messages, where each has its own.
    pub(crate) fn echoes(&self) -> Vec<String> {
        let each = self.wanted.iter().map(|wanted| wanted.echo.as_deref());
        let each: Option<Vec<&str>> = each.collect();
        each.into_iter().flatten().map(str::to_owned).collect()
    }
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) number: Number,
    pub(crate) template_code: Option<String>,
    pub(crate) sign_name: Option<String>,
    pub(crate) params: Option<BTreeMap<String, String>>,
    /// Its own, where each message of a call has one; else the call's.
    pub(crate) echo: Option<Arc<str>>,
    /// What the vendor needs of the request besides when it reports, by names of its own.
    pub(crate) notes: Notes,
    /// Billed parts.
    pub(crate) parts: usize,
    /// The vendor refuses this one and takes the others.
    pub(crate) refused: Option<&'static Code>,
    /// The vendor takes this one and reports it so, whatever was planned.
    pub(crate) ends: Option<&'static ReceiptCode>,
}

pub(crate) type Notes = Arc<[(&'static str, String)]>;

impl Wanted {
    pub(crate) fn to(number: Number) -> Self {
        Self {
            number,
            template_code: None,
            sign_name: None,
            params: None,
            echo: None,
            notes: Notes::default(),
            parts: 1,
            refused: None,
            ends: None,
        }
    }
}

/// What a request held, as far as it can be read without judging it: for the journal.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// E.164 where a number can be read, else as sent.
    pub(crate) recipients: Vec<String>,
    pub(crate) echo: Option<String>,
    pub(crate) template_code: Option<String>,
    pub(crate) sign_name: Option<String>,
    pub(crate) params: Option<BTreeMap<String, String>>,
}

impl Held {
    pub(crate) fn of(submit: &Submit) -> Self {
        let first = submit.wanted.first();
        Self {
            recipients: submit
                .wanted
                .iter()
                .map(|wanted| wanted.number.e164.clone())
                .collect(),
            echo: submit.echo.as_deref().map(str::to_owned),
            template_code: first.and_then(|wanted| wanted.template_code.clone()),
            sign_name: first.and_then(|wanted| wanted.sign_name.clone()),
            params: first.and_then(|wanted| wanted.params.clone()),
        }
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json;charset=utf-8".to_owned())],
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A request of the vendor's to its customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn post(url: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            url: url.to_owned(),
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }
}

/// A message from a handset.
#[derive(Clone, Debug)]
pub(crate) struct Mo {
    /// E.164.
    pub(crate) from: String,
    /// The number or extension that it was sent to.
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) at_ms: u64,
    pub(crate) id: u64,
}

/// How a vendor reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Receipts in one push.
    pub(crate) batch: usize,
    /// After a push that is not acknowledged.
    pub(crate) retries: &'static [Duration],
    /// Receipts wait to be fetched when there is no URL to push them to.
    pub(crate) fetched: bool,
    /// A number that is refused does not refuse the others of its call.
    pub(crate) per_number: bool,
    /// A receipt for each part of a long message.
    pub(crate) per_part: bool,
}

/// One kind of vendor: its protocol, as its server sees it. What a call suffers is decided elsewhere.
pub(crate) trait Vendor: Send + Sync + fmt::Debug {
    /// As in the platform's directory, such as `aliyun`.
    fn kind(&self) -> &'static str;

    fn habits(&self) -> Habits;

    /// Whether receipts can be pushed at all.
    fn pushes(&self) -> bool {
        true
    }

    /// Whether a request is one of this vendor's API.
    fn takes(&self, parts: &Parts) -> bool;

    /// The key that the request names, before anything is proved. It finds the account, for its faults.
    fn key(&self, arrival: &Arrival<'_>) -> Option<String>;

    /// What it seems to hold, before anything is proved.
    fn held(&self, arrival: &Arrival<'_>) -> Held;

    /// Proves who it is from, by the vendor's rules of keys, clocks, nonces and signatures.
    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal>;

    /// Reads and judges what it wants.
    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal>;

    /// The vendor's code for a condition.
    fn code(&self, condition: Condition) -> &'static Code;

    /// Every code that refuses a call.
    fn codes(&self) -> &'static [&'static Code];

    /// The vendor's code for an end.
    fn end(&self, end: End) -> &'static ReceiptCode;

    /// Every code of receipts.
    fn ends(&self) -> &'static [&'static ReceiptCode];

    /// The ids of the messages of a call, one for each; `first` and the numbers after it, one for each message and part,
    /// are the call's own.
    fn ids(&self, first: u64, submit: &Submit) -> Vec<String>;

    /// The answer to a call that was taken. Refused numbers have an empty id.
    fn taken(
        &self,
        arrival: &Arrival<'_>,
        account: &Account,
        submit: &Submit,
        ids: &[String],
    ) -> Answer;

    fn refused(
        &self,
        arrival: &Arrival<'_>,
        account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer;

    /// Bytes that are not an answer, with status 200.
    fn garbage(&self) -> &'static str;

    /// The push of these receipts, at most `habits().batch` of them.
    fn push(&self, account: &Account, url: &str, items: &[Item], now: Stamp) -> Outgoing;

    /// Whether an answer to a push acknowledges it.
    fn is_ack(&self, status: u16, body: &[u8]) -> bool;

    /// The same, where an answer has to name the push; `sent` is the push's body.
    fn acks(&self, _sent: &[u8], status: u16, body: &[u8]) -> bool {
        self.is_ack(status, body)
    }

    /// How a message ends whose number a vendor finds at fault only after it took a call to so many numbers. `None` where the
    /// answer says it. For vendors with `habits().per_number`.
    fn late(&self, _condition: Condition, _numbers: usize) -> Option<&'static ReceiptCode> {
        None
    }

    /// The answer to a fetch or a query.
    fn fetched(&self, arrival: &Arrival<'_>, items: &[Item], now: Stamp) -> Answer;

    /// The push of a message from a handset; `None` where it is fetched.
    fn inbound(&self, account: &Account, url: &str, mo: &Mo) -> Option<Outgoing>;

    /// The answer to a fetch of messages from handsets.
    fn fetched_inbound(&self, arrival: &Arrival<'_>, mos: &[Mo]) -> Answer;
}

/// A code by its own text, or by the name of a condition.
pub(crate) fn find_code(vendor: &dyn Vendor, text: &str) -> Option<&'static Code> {
    if let Some(condition) = Condition::find(text) {
        return Some(vendor.code(condition));
    }
    vendor
        .codes()
        .iter()
        .find(|code| code.code == text)
        .copied()
}

/// A receipt's code by its own text, or by the name of an end.
pub(crate) fn find_end(vendor: &dyn Vendor, text: &str) -> Option<&'static ReceiptCode> {
    if let Some(end) = End::find(text) {
        return Some(vendor.end(end));
    }
    vendor.ends().iter().find(|code| code.code == text).copied()
}

/// For what a vendor does not have.
pub(crate) fn nothing_there() -> Answer {
    Answer {
        status: 404,
        ..Answer::default()
    }
}
