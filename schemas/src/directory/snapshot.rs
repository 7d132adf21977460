//! A consistent view of the directory at one revision.

use std::{collections::HashMap, sync::Arc};

use super::{App, Channel, ChannelState, Entity, Signature, Template};
use crate::{AppId, ChannelId, SignatureId, TemplateId, Timestamp};

/// The directory as of its last revision marker, plus the channel states, which apply at once.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Last revision marker; 0 before the first.
    pub revision: u64,
    /// Offset of that marker in `directory`, or of a later channel state; -1 before the first.
    pub offset: i64,
    /// Identity of the log; absent before its record.
    pub log_id: Option<uuid::Uuid>,
    /// Apps, the disabled ones too.
    pub apps: HashMap<AppId, Arc<App>>,
    /// In id order, so that whoever walks them walks them alike.
    pub channels: std::collections::BTreeMap<ChannelId, Arc<Channel>>,
    /// Signatures, the disabled ones too.
    pub signatures: HashMap<SignatureId, Arc<Signature>>,
    /// Templates, the disabled ones too.
    pub templates: HashMap<TemplateId, Arc<Template>>,
    /// Channels that the platform took out, also those whose time is over, each with the offset of its record.
    channel_states: HashMap<ChannelId, (ChannelState, i64)>,
    /// Offset of each channel's last record: a state counts only when it is younger.
    channel_offsets: HashMap<ChannelId, i64>,
    /// Key, entity or removal, and offset of what was read since the last marker.
    staged: Vec<(String, Option<Entity>, i64)>,
}

/// A directory record that this release cannot read.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The value is not an entity.
    #[error("directory record `{key}` cannot be read")]
    Value {
        /// Record key.
        key: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The key does not fit the value.
    #[error("directory record `{0}` has another key than its entity")]
    Key(String),
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            revision: 0,
            offset: -1,
            log_id: None,
            apps: HashMap::new(),
            channels: std::collections::BTreeMap::new(),
            signatures: HashMap::new(),
            templates: HashMap::new(),
            channel_states: HashMap::new(),
            channel_offsets: HashMap::new(),
            staged: Vec::new(),
        }
    }
}

impl Snapshot {
    /// Takes one record; returns whether the visible view changed.
    ///
    /// # Errors
    /// When the record cannot be read; the view stays as it was.
    pub fn apply(
        &mut self,
        key: &str,
        value: Option<&[u8]>,
        offset: i64,
    ) -> Result<bool, ApplyError> {
        let entity = value
            .filter(|v| !v.is_empty())
            .map(|v| {
                serde_json::from_slice::<Entity>(v).map_err(|source| ApplyError::Value {
                    key: key.to_owned(),
                    source,
                })
            })
            .transpose()?;
        if entity.as_ref().is_some_and(|e| e.key() != key) {
            return Err(ApplyError::Key(key.to_owned()));
        }
        match entity {
            Some(Entity::Revision(marker)) => {
                for (key, entity, offset) in std::mem::take(&mut self.staged) {
                    self.settle(&key, entity, offset);
                }
                self.revision = marker.revision;
            }
            Some(Entity::Log(log)) => self.log_id = Some(log.log_id),
            Some(Entity::ChannelState(state)) => {
                self.channel_states
                    .insert(state.channel.clone(), (state, offset));
            }
            None if key.starts_with("channel-state/") => {
                self.channel_states.remove(&key["channel-state/".len()..]);
            }
            entity => {
                self.staged.push((key.to_owned(), entity, offset));
                return Ok(false);
            }
        }
        self.offset = offset;
        Ok(true)
    }

    fn settle(&mut self, key: &str, entity: Option<Entity>, offset: i64) {
        match entity {
            Some(Entity::App(e)) => {
                self.apps.insert(e.id.clone(), Arc::new(e));
            }
            Some(Entity::Channel(e)) => {
                self.channel_offsets.insert(e.id.clone(), offset);
                self.channels.insert(e.id.clone(), Arc::new(e));
            }
            Some(Entity::Signature(e)) => {
                self.signatures.insert(e.id.clone(), Arc::new(e));
            }
            Some(Entity::Template(e)) => {
                self.templates.insert(e.id.clone(), Arc::new(e));
            }
            Some(Entity::Revision(_) | Entity::ChannelState(_) | Entity::Log(_)) => {}
            None => match key.split_once('/') {
                Some(("app", id)) => drop(self.apps.remove(id)),
                Some(("channel", id)) => drop(self.channels.remove(id)),
                Some(("signature", id)) => drop(self.signatures.remove(id)),
                Some(("template", id)) => drop(self.templates.remove(id)),
                _ => {}
            },
        }
    }

    /// Whether the platform itself has taken the channel out at `now`. A later word of the operator on the channel ends
    /// that; offsets decide, so that every reader finds the same, however much was compacted.
    #[must_use]
    pub fn is_taken_out(&self, channel: &ChannelId, now: Timestamp) -> bool {
        let spoken = self.channel_offsets.get(channel).copied().unwrap_or(-1);
        self.channel_states
            .get(channel)
            .is_some_and(|(state, offset)| *offset > spoken && now < state.until)
    }

    /// What the platform found out about channels, also what is over.
    pub fn channel_states(&self) -> impl Iterator<Item = &ChannelState> {
        self.channel_states.values().map(|(state, _)| state)
    }

    /// All entities of the view, for showing and comparing.
    #[must_use]
    pub fn entities(&self) -> std::collections::BTreeMap<String, Entity> {
        let apps = self.apps.values().map(|e| Entity::App((**e).clone()));
        let channels = self
            .channels
            .values()
            .map(|e| Entity::Channel((**e).clone()));
        let signatures = self
            .signatures
            .values()
            .map(|e| Entity::Signature((**e).clone()));
        let templates = self
            .templates
            .values()
            .map(|e| Entity::Template((**e).clone()));
        apps.chain(channels)
            .chain(signatures)
            .chain(templates)
            .map(|e| (e.key(), e))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = br#"{"type":"signature","id":"acme","text":"ACME"}"#;

    #[test]
    fn entities_show_only_at_the_next_revision_marker() {
        let mut s = Snapshot::default();
        assert!(!s.apply("signature/acme", Some(SIGNATURE), 0).unwrap());
        assert!(s.signatures.is_empty());
        assert_eq!((s.revision, s.offset), (0, -1));
        let marker = br#"{"type":"revision","revision":1,"changed":1}"#;
        assert!(s.apply("revision", Some(marker), 1).unwrap());
        assert_eq!(s.signatures["acme"].text, "ACME");
        assert_eq!((s.revision, s.offset), (1, 1));
        s.apply("signature/acme", None, 2).unwrap();
        assert_eq!(s.signatures.len(), 1);
        s.apply(
            "revision",
            Some(br#"{"type":"revision","revision":2,"changed":1}"#),
            3,
        )
        .unwrap();
        assert!(s.signatures.is_empty());
    }

    #[test]
    fn the_operators_later_word_ends_what_the_platform_had_found() {
        const CHANNEL: &[u8] =
            br#"{"type":"channel","id":"a","vendor":"v","rate_per_second":1,"max_in_flight":1}"#;
        const MARKER: &[u8] = br#"{"type":"revision","revision":1,"changed":1}"#;
        const OUT: &[u8] =
            br#"{"type":"channel_state","channel":"a","vendor_code":"isv.OUT_OF_SERVICE",
            "until":"2025-01-02T03:04:05Z"}"#;
        let (id, before) = ("a".parse().unwrap(), Timestamp(0));
        let mut s = Snapshot::default();
        s.apply("channel/a", Some(CHANNEL), 0).unwrap();
        s.apply("revision", Some(MARKER), 1).unwrap();
        s.apply("channel-state/a", Some(OUT), 2).unwrap();
        assert!(s.is_taken_out(&id, before));
        assert!(!s.is_taken_out(&id, Timestamp(i64::MAX)));
        s.apply("channel/a", Some(CHANNEL), 3).unwrap();
        s.apply("revision", Some(MARKER), 4).unwrap();
        assert!(!s.is_taken_out(&id, before));
        // A reader that starts after compaction sees only the newest records.
        let mut late = Snapshot::default();
        late.apply("channel-state/a", Some(OUT), 2).unwrap();
        late.apply("channel/a", Some(CHANNEL), 3).unwrap();
        late.apply("revision", Some(MARKER), 4).unwrap();
        assert!(!late.is_taken_out(&id, before));
    }

    #[test]
    fn a_record_under_another_key_is_refused() {
        let mut s = Snapshot::default();
        assert!(matches!(
            s.apply("signature/other", Some(SIGNATURE), 0),
            Err(ApplyError::Key(_))
        ));
        assert!(matches!(
            s.apply("signature/acme", Some(b"{"), 0),
            Err(ApplyError::Value { .. })
        ));
    }
}
