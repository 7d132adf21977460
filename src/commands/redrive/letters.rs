//! Dead letters, folded from their topic. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jixinda_runtime::kafka::{OwnedRecord, Record};
use jixinda_schemas::{
    AppId, Phone, Position, Timestamp, Topic,
    codec::{self, Event},
    event::{DeadLetter, kind},
    headers::Headers,
};
use serde_json::Value;

use super::{
    deeds::Deeds,
    reasons::{self, Target},
    renew::Original,
};
use crate::cli::redrive::LetterFilter;

/// One that is in the log.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) position: Position,
    /// Broker time.
    pub(crate) at: Timestamp,
    app: Option<AppId>,
    pub(crate) payload: DeadLetter,
}

impl Letter {
    /// `None` for other events.
    ///
    /// # Errors
    /// When it is a dead letter that this release cannot read.
    pub(crate) fn read(record: &Record<'_>) -> Result<Option<Self>, Position> {
        if record.headers.kind.as_deref() != Some(kind::DEAD_LETTER) {
            return Ok(None);
        }
        match codec::decode(record.kind(), record.value.unwrap_or_default()) {
            Ok(Event::DeadLetter(event)) => Ok(Some(Self {
                position: record.position(),
                at: record.at,
                app: event.app_id,
                payload: event.payload,
            })),
            _ => Err(record.position()),
        }
    }

    /// What deeds about it are done about: its record, or itself when it holds none.
    pub(crate) fn of(&self) -> Position {
        self.payload.source.unwrap_or(self.position)
    }

    /// The record or body as far as it was kept.
    pub(crate) fn body(&self) -> Vec<u8> {
        STANDARD.decode(&self.payload.value).unwrap_or_default()
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body()).ok()
    }

    /// The app that it or its record names.
    pub(crate) fn app(&self) -> Option<AppId> {
        let named = || self.json()?.get("app_id")?.as_str()?.parse().ok();
        self.app.clone().or_else(named)
    }

    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.payload.key.as_ref()?).ok()
    }

    /// Of the record, by its body or else by its key.
    pub(crate) fn recipient(&self) -> Option<Phone> {
        let in_body = self.json().and_then(|json| {
            let text = json.get("payload")?.get("recipient")?.as_str()?.to_owned();
            Phone::parse_lenient(&text).ok()
        });
        let by_key = || String::from_utf8(self.key()?).ok()?.parse().ok();
        in_body.or_else(by_key)
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in &self.payload.headers {
            headers.set(name, value.as_bytes());
        }
        headers
    }

    /// # Errors
    /// Why it cannot be redriven, and what to do.
    pub(crate) fn target(&self) -> Result<Target, String> {
        let source = self.payload.source.map(|source| source.topic);
        reasons::target(self.payload.reason, source)
    }

    /// The request that it holds.
    pub(crate) fn original(&self) -> Original {
        let value = self.body();
        // Its broker time is not known any more. The earlier of the two clocks gives no validity away.
        let made_at = serde_json::from_slice::<Value>(&value)
            .ok()
            .and_then(|json| json.get("at")?.as_str()?.parse().ok());
        let buried_at = self.payload.at.min(self.at);
        Original {
            position: self.of(),
            accepted_at: made_at.map_or(buried_at, |made_at: Timestamp| made_at.min(buried_at)),
            value,
            headers: self.headers(),
        }
    }

    /// The receipt that it holds, to be written once more.
    ///
    /// # Errors
    /// When this release cannot read it as one.
    pub(crate) fn receipt(&self) -> Result<OwnedRecord, String> {
        let (value, headers) = (self.body(), self.headers());
        let header = headers.kind.as_deref().zip(headers.version);
        match codec::decode(header, &value) {
            Ok(Event::RawReceipt(event)) => {
                let recipient = event.payload.recipient;
                Ok(OwnedRecord::keyed(
                    Topic::ReceiptsRaw,
                    &recipient,
                    value,
                    headers,
                ))
            }
            Ok(_) => Err("the record is no receipt; discard it".to_owned()),
            Err(error) => {
                let error = super::mask::text(&error.to_string());
                Err(format!(
                    "this release cannot read the receipt: {error}; upgrade, or discard it"
                ))
            }
        }
    }
}

/// Which are looked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    One(Position),
    /// At most so many; `handled` includes those about which something was done.
    Filter {
        filter: LetterFilter,
        handled: bool,
    },
}

/// Folds the log.
#[derive(Debug)]
pub(crate) struct Letters {
    wanted: Wanted,
    deeds: Arc<Deeds>,
    found: BTreeMap<(Timestamp, Position), Letter>,
    /// A record has one entry, even when a crash has made two letters of it.
    index: HashMap<Position, (Timestamp, Position)>,
    pub(crate) unreadable: Vec<Position>,
    /// More were found than may be kept.
    pub(crate) more: bool,
}

impl Letters {
    pub(crate) fn new(wanted: Wanted, deeds: Arc<Deeds>) -> Self {
        Self {
            wanted,
            deeds,
            found: BTreeMap::new(),
            index: HashMap::new(),
            unreadable: Vec::new(),
            more: false,
        }
    }

    /// The newest ones, oldest first.
    pub(crate) fn into_found(self) -> Vec<Letter> {
        self.found.into_values().collect()
    }

    /// Takes a record of `dead-letters` into account.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        let letter = match Letter::read(record) {
            Ok(Some(letter)) => letter,
            Ok(None) => return,
            Err(position) => return self.unreadable.push(position),
        };
        if !self.is_wanted(&letter) {
            return;
        }
        let (of, key) = (letter.of(), (letter.at, letter.position));
        if let Some(former) = self.index.insert(of, key) {
            self.found.remove(&former);
        }
        self.found.insert(key, letter);
        if let Wanted::Filter { filter, .. } = &self.wanted
            && self.found.len() > filter.span.limit as usize
        {
            self.more = true;
            if let Some((_, dropped)) = self.found.pop_first() {
                self.index.remove(&dropped.of());
            }
        }
    }

    fn is_wanted(&self, letter: &Letter) -> bool {
        match &self.wanted {
            Wanted::One(position) => letter.position == *position,
            Wanted::Filter { filter, handled } => {
                let source = letter.payload.source.map(|source| source.topic);
                filter.reason.is_none_or(|reason| reason == letter.payload.reason)
                    && filter.topic.is_none_or(|topic| Some(topic) == source)
                    && filter.span.holds(letter.at)
                    && (*handled || self.deeds.standing(&letter.of()).is_open())
                    // Last, since it reads the body.
                    && filter.app.as_ref().is_none_or(|app| letter.app().as_ref() == Some(app))
            }
        }
    }
}

#[cfg(test)]
mod tests;
