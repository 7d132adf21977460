//! From the record of a message to the request that is written for it. Pure: the same message leads to the same id,
//! whoever redrives it and however often, and the router drops repeats.
//!
//! The router trusts the new request as it trusts ingest. So everything that the router or ingest would have checked of
//! the old one is checked here: the rules, and whether its producer may write for the app.

use std::collections::HashMap;

use jixinda_runtime::kafka::OwnedRecord;
use jixinda_schemas::{
    AppId, Envelope, MessageId, Phone, Position, Timestamp, Topic,
    codec::{self, About, Event},
    directory::{App, Direct, Snapshot, Suppressions, credential_place},
    event::{RedriveOf, Request, kind},
    headers::Headers,
    seal::{PlatformKey, record_signature_matches},
    validate::{self, MAX_REQUEST_BYTES},
};

use super::mask;
use crate::cli::redrive::Renewal;

/// What the new request is judged against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) directory: &'a Snapshot,
    pub(crate) suppressions: &'a HashMap<Phone, Suppressions>,
    pub(crate) key: &'a PlatformKey,
    /// Taken before the log was read: an end of validity that follows from it lies within the time for which the
    /// router remembers a request that this reading has missed.
    pub(crate) now: Timestamp,
}

/// A record of `requests.*`.
#[derive(Clone, Debug)]
pub(crate) struct Original {
    pub(crate) position: Position,
    /// Broker time, or the best that is known of it.
    pub(crate) accepted_at: Timestamp,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Headers,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Renewed {
    pub(crate) old: MessageId,
    pub(crate) new: MessageId,
    pub(crate) app: AppId,
    pub(crate) recipient: Phone,
    pub(crate) not_after: Timestamp,
    pub(crate) record: OwnedRecord,
}

impl Original {
    /// # Errors
    /// Why it cannot be read as a request.
    pub(crate) fn read(&self) -> Result<(Envelope<Request>, AppId), String> {
        if self.value.len() > MAX_REQUEST_BYTES {
            return Err(format!(
                "a request has at most {MAX_REQUEST_BYTES} bytes; discard it"
            ));
        }
        let header = self.headers.kind.as_deref().zip(self.headers.version);
        let event = codec::decode(header, &self.value).map_err(|error| {
            let error = mask::text(&error.to_string());
            format!("this release cannot read the request: {error}; upgrade, or discard it")
        })?;
        let Event::Request(envelope) = event else {
            return Err("the record is no request; discard it".to_owned());
        };
        let app = envelope.app_id.clone();
        let app = app.ok_or("app_id is absent: nobody can tell who sends; discard it")?;
        Ok((envelope, app))
    }

    /// The id of the message, as the router derives it.
    pub(crate) fn message(&self, envelope: &Envelope<Request>, app: &AppId) -> MessageId {
        let request = &envelope.payload;
        let by_key = || {
            let key = request.idempotency_key.as_ref()?;
            let (index, recipient) = (request.index, &request.recipient);
            Some(MessageId::from_idempotency_key(app, key, index, recipient))
        };
        let first = self.headers.rehomed_from.as_deref();
        let first = first.and_then(|text| text.parse().ok());
        envelope
            .message_id
            .or_else(by_key)
            .unwrap_or_else(|| MessageId::from_position(&first.unwrap_or(self.position)))
    }

    /// The new request for this one.
    ///
    /// # Errors
    /// Why it must not be written, with the field and the remedy.
    pub(crate) fn renew(&self, renewal: &Renewal, rules: &Rules<'_>) -> Result<Renewed, String> {
        let (envelope, app) = self.read()?;
        self.may_be_trusted(&app, rules)?;
        let old = self.message(&envelope, &app);
        let of = RedriveOf {
            message_id: old,
            request: self.position,
        };
        let new = MessageId::redrive(&of);
        let mut request = envelope.payload;
        let not_after = self.not_after(&request, renewal, rules.now)?;
        request.not_after = Some(not_after);
        request.valid_for_ms = None;
        request.not_before = request.not_before.filter(|at| *at > rules.now);
        // The key names the old message.
        request.idempotency_key = None;
        request.index = 0;
        request.redrive_of = Some(of);
        let context = validate::Context {
            directory: rules.directory,
            suppressions: rules.suppressions,
            app: &app,
            // The template decides: it may have been moved to another lane, which is what was wrong.
            lane: None,
            now: rules.now,
        };
        let accepted = validate::check(&request, &context).map_err(|problems| {
            let lines: Vec<String> = problems
                .iter()
                .map(|p| format!("{}: {} ({})", p.field, p.detail, p.reason))
                .collect();
            lines.join("; ")
        })?;
        let recipient = request.recipient.clone();
        let about = About {
            message_id: Some(new),
            app_id: Some(app.clone()),
            ..About::default()
        };
        let value = codec::encode(&codec::envelope(kind::REQUEST, about, rules.now, request));
        if value.len() > MAX_REQUEST_BYTES {
            return Err(
                "with the link to the old message the request is too large; discard it".to_owned(),
            );
        }
        let headers = Headers {
            lane: Some(accepted.lane),
            traceparent: self.headers.traceparent.clone(),
            ingest_seal: Some(rules.key.ingest_seal(&value)),
            ..Headers::of(kind::REQUEST)
        };
        let topic = Topic::requests(accepted.lane);
        Ok(Renewed {
            old,
            new,
            app,
            not_after,
            record: OwnedRecord::keyed(topic, &recipient, value, headers),
            recipient,
        })
    }

    fn not_after(
        &self,
        request: &Request,
        renewal: &Renewal,
        now: Timestamp,
    ) -> Result<Timestamp, String> {
        let given = renewal.valid_for.map(|millis| now.plus_millis(millis));
        if let Some(given) = given.or(renewal.not_after) {
            return Ok(given);
        }
        let end = self
            .position
            .topic
            .lane()
            .map(|lane| request.deadline(lane, self.accepted_at))
            .ok_or("the record stands on no requests topic; discard it")?;
        if end <= now {
            return Err(format!(
                "not_after: its validity ended at {end}; give a new one with --valid-for 10m or --not-after"
            ));
        }
        Ok(end)
    }

    /// What the router asks of a record that did not come through ingest.
    fn may_be_trusted(&self, app: &AppId, rules: &Rules<'_>) -> Result<(), String> {
        let seal = self.headers.ingest_seal.as_deref();
        if seal.is_some_and(|seal| rules.key.is_from_ingest(&self.value, seal)) {
            return Ok(());
        }
        let Some(app) = rules.directory.apps.get(app) else {
            // The rules name it.
            return Ok(());
        };
        match app.direct {
            Direct::Allowed => Ok(()),
            Direct::Denied => Err(format!(
                "app_id: `{}` may not produce directly (direct_not_allowed); allow it in the directory, or discard",
                app.id
            )),
            Direct::Signed => {
                let secrets = secrets(app, rules.key);
                let signature = self.headers.signature.as_deref();
                let good =
                    signature.is_some_and(|s| record_signature_matches(s, &self.value, &secrets));
                good.then_some(()).ok_or_else(|| {
                    format!(
                        "signature header: `{}` must sign its records, and it is absent or wrong (bad_record_signature); \
                         discard it",
                        app.id
                    )
                })
            }
        }
    }
}

fn secrets(app: &App, key: &PlatformKey) -> Vec<(String, String)> {
    let enabled = app.credentials.iter().filter(|c| c.enabled);
    enabled
        .filter_map(|c| {
            let place = credential_place(&app.id, &c.key_id);
            Some((c.key_id.clone(), key.open(&place, &c.secret).ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
