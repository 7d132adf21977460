//! From the fields of a body to a message that may be written, or to everything that is wrong with it.

use std::collections::BTreeMap;

use jixinda_schemas::{
    AppId, Lane, MessageId, Phone, Reason, Timestamp,
    event::Request,
    segments,
    validate::{self, Problem},
};

use crate::{
    auth::Caller,
    body::{self, Fields, MAX_PROBLEMS, Slot},
};

/// A message that the rules allow.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: MessageId,
    /// Whether the same request leads to the same id again.
    pub(crate) repeatable: bool,
    pub(crate) request: Request,
    pub(crate) lane: Lane,
    pub(crate) characters: usize,
    pub(crate) segments: u32,
    pub(crate) not_after: Timestamp,
}

/// What an instance remembers of a message that the log has acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) app: AppId,
    pub(crate) fingerprint: u64,
    pub(crate) at: Timestamp,
    pub(crate) lane: Lane,
    pub(crate) segments: u32,
}

/// Where a message stands in its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// In a batch; 0 for a single message.
    pub(crate) index: u32,
    /// Of a batch.
    pub(crate) defaults: Option<&'a Fields<'a>>,
    /// Of the whole request, from the body or the header.
    pub(crate) key: Option<&'a str>,
}

struct Reader<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn bad(&mut self, field: &str, reason: Reason, detail: impl Into<String>) {
        self.problems.push(Problem::new(field, reason, detail));
    }

    fn text<'s>(&mut self, field: &str, slot: &'s Slot<'_>) -> Option<&'s str> {
        match slot {
            Slot::Text(text) => Some(text),
            Slot::Absent => None,
            Slot::Seconds(_) => {
                self.bad(field, Reason::BadField, "must be a string, not a number");
                None
            }
            Slot::Wrong(kind) => {
                self.bad(
                    field,
                    Reason::BadField,
                    format!("must be a string, not {kind}"),
                );
                None
            }
        }
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        field: &str,
        slot: &Slot<'_>,
    ) -> Option<T> {
        let text = self.text(field, slot)?;
        text.parse()
            .map_err(|error: T::Err| self.bad(field, Reason::BadField, error.to_string()))
            .ok()
    }

    /// As [`Reader::parsed`], and the absence is a problem too.
    fn required<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        field: &str,
        slot: &Slot<'_>,
    ) -> Option<T> {
        if *slot == Slot::Absent {
            self.bad(field, Reason::MissingField, "needed");
        }
        self.parsed(field, slot)
    }

    fn recipient(&mut self, slot: &Slot<'_>) -> Option<Phone> {
        if *slot == Slot::Absent {
            self.bad("recipient", Reason::MissingField, "needed");
        }
        let text = self.text("recipient", slot)?;
        Phone::parse_lenient(text)
            .map_err(|error| self.bad("recipient", Reason::BadRecipient, error.to_string()))
            .ok()
    }

    fn params(&mut self, fields: &Fields<'_>) -> BTreeMap<String, String> {
        let mut params = BTreeMap::new();
        let Some(given) = &fields.params else {
            return params;
        };
        if let Some(kind) = given.wrong {
            self.bad(
                "params",
                Reason::BadField,
                format!("must be an object, not {kind}"),
            );
        }
        if given.too_many {
            self.bad("params", Reason::BadField, "too many parameters");
        }
        for (name, value) in &given.entries {
            let short = || name.chars().take(40).collect::<String>();
            let value = match value {
                Slot::Text(text) => text.clone().into_owned(),
                // An explicit null is no value: the template's rules say what that means.
                Slot::Absent => continue,
                Slot::Seconds(_) | Slot::Wrong(_) => {
                    self.bad(
                        &format!("params.{}", short()),
                        Reason::BadField,
                        "must be a string; write numbers in quotes",
                    );
                    String::new()
                }
            };
            if params.insert(name.clone().into_owned(), value).is_some() {
                self.bad(
                    &format!("params.{}", short()),
                    Reason::BadField,
                    "given twice",
                );
            }
        }
        params
    }

    fn valid_for(&mut self, slot: &Slot<'_>) -> Option<i64> {
        let millis = match slot {
            Slot::Absent => return None,
            Slot::Text(text) => body::validity(text),
            Slot::Seconds(n) => i64::try_from(*n).ok().and_then(|n| n.checked_mul(1000)),
            Slot::Wrong(_) => None,
        };
        if millis.is_none() {
            self.bad(
                "valid_for",
                Reason::BadField,
                "write seconds as a number, or a text such as \"90s\", \"5m\", \"2h\"",
            );
        }
        millis
    }
}

fn or<'s, 'a>(own: &'s Slot<'a>, default: Option<&'s Slot<'a>>) -> &'s Slot<'a> {
    match default {
        Some(default) if *own == Slot::Absent => default,
        _ => own,
    }
}

/// Judges one message.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn judge(
    fields: Fields<'_>,
    place: &Place<'_>,
    caller: &Caller,
    now: Timestamp,
) -> Result<Candidate, Vec<Problem>> {
    let mut fields = fields;
    let mut problems = std::mem::take(&mut fields.problems);
    if problems.first().is_some_and(|p| p.field.is_empty()) {
        return Err(problems);
    }
    let mut read = Reader {
        problems: &mut problems,
    };
    let default = |get: for<'x, 'y> fn(&'x Fields<'y>) -> &'x Slot<'y>| place.defaults.map(get);
    let recipient = read.recipient(&fields.recipient);
    let template = read.required("template", or(&fields.template, default(|d| &d.template)));
    let signature = read.parsed(
        "signature",
        or(&fields.signature, default(|d| &d.signature)),
    );
    let params = read.params(&fields);
    // An item that names its own end of validity takes no other from the batch.
    let own_end = fields.not_after != Slot::Absent || fields.valid_for != Slot::Absent;
    let end_of = place.defaults.filter(|_| !own_end).unwrap_or(&fields);
    let not_after = read.parsed("not_after", &end_of.not_after);
    let valid_for_ms = read.valid_for(&end_of.valid_for);
    if end_of.not_after != Slot::Absent && end_of.valid_for != Slot::Absent {
        read.bad(
            "valid_for",
            Reason::BadValidity,
            "give not_after or valid_for, not both",
        );
    }
    let not_before = read.parsed(
        "not_before",
        or(&fields.not_before, default(|d| &d.not_before)),
    );
    let campaign = read
        .text("campaign", or(&fields.campaign, default(|d| &d.campaign)))
        .map(ToOwned::to_owned);
    // An item's own key identifies it wherever it stands; the key of the request needs the place beside it.
    let own_key = read.text("idempotency_key", &fields.idempotency_key);
    let (idempotency_key, index) = match own_key {
        Some(key) => (Some(key.to_owned()), 0),
        None => (place.key.map(ToOwned::to_owned), place.index),
    };
    let readable = recipient.is_some();
    let Some(template) = template else {
        return Err(capped(problems));
    };
    let request = Request {
        // A stand-in, so that everything else is judged at once; it is never written.
        recipient: recipient
            .or_else(|| "+10000000000".parse().ok())
            .ok_or_else(Vec::new)?,
        template,
        signature,
        params,
        not_before,
        not_after,
        valid_for_ms,
        idempotency_key,
        index,
        campaign,
        redrive_of: None,
    };
    let context = validate::Context {
        directory: &caller.view.snapshot,
        suppressions: &caller.view.suppressions,
        app: &caller.key.app.id,
        lane: None,
        now,
    };
    let accepted = match validate::check(&request, &context) {
        Ok(accepted) if problems.is_empty() && readable => accepted,
        Ok(_) => return Err(capped(problems)),
        Err(found) => {
            problems.extend(found.into_iter().map(|mut problem| {
                if problem.field == "valid_for_ms" {
                    "valid_for".clone_into(&mut problem.field);
                }
                problem
            }));
            return Err(capped(problems));
        }
    };
    let (id, repeatable) = identify(&request, caller);
    Ok(Candidate {
        id,
        repeatable,
        lane: accepted.lane,
        characters: accepted.text.chars().count(),
        segments: segments::count(&accepted.text, &request.recipient),
        not_after: accepted.not_after,
        request,
    })
}

fn capped(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.truncate(MAX_PROBLEMS);
    problems
}

fn identify(request: &Request, caller: &Caller) -> (MessageId, bool) {
    let recipient = &request.recipient;
    match (&request.idempotency_key, &caller.nonce) {
        (Some(key), _) => (
            MessageId::from_idempotency_key(&caller.key.app.id, key, request.index, recipient),
            true,
        ),
        (None, Some(nonce)) => (
            MessageId::from_nonce(&caller.key.id, nonce, request.index, recipient),
            true,
        ),
        (None, None) => (MessageId::random(), false),
    }
}

/// Whether `known` is the answer to `candidate` too.
///
/// # Errors
/// The conflict: the same id was accepted with another content.
pub(crate) fn repeats(candidate: &Candidate, known: &Taken) -> Result<(), Problem> {
    if candidate.request.fingerprint() == known.fingerprint {
        return Ok(());
    }
    Err(Problem::new(
        "idempotency_key",
        Reason::IdempotencyConflict,
        format!(
            "the same key was accepted with another content as message {}",
            candidate.id
        ),
    ))
}
