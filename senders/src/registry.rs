//! The channels of the directory as this process can use them. Rebuilt at every revision (hot plug); what did not
//! change is kept, so that a change to one channel disturbs no other, nor the state its vendor client holds.

use std::{collections::BTreeMap, sync::Arc};

use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    ChannelId,
    directory::{Channel, Snapshot, channel_place},
    seal::{PlatformKey, Sealed},
};

use crate::{
    Unusable,
    vendor::{Now, SmsVendor},
    vendors::{self, Account},
};

/// Name under which a receipt token is sealed.
const RECEIPT_TOKEN: &str = "receipt_token";

/// A channel that can be called.
#[derive(Clone, Debug)]
pub struct Ready {
    pub vendor: Arc<dyn SmsVendor>,
    pub channel: Arc<Channel>,
    /// Path element of the receipt URL; absent means that the channel takes no pushes.
    pub receipt_token: Option<Secret>,
}

/// All channels at one revision of the directory, disabled ones included: their receipts still come in.
#[derive(Debug, Default)]
pub struct Registry {
    channels: BTreeMap<ChannelId, Result<Arc<Ready>, Unusable>>,
}

/// What the channels of a process have in common.
#[derive(Clone)]
pub struct Means {
    pub key: PlatformKey,
    /// Made by [`vendors::client`].
    pub client: reqwest::Client,
    pub now: Now,
    /// Where vendors reach the receipt endpoint from outside, without a slash at the end.
    pub public_url: Option<String>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Means({:?})", self.public_url)
    }
}

impl Registry {
    /// Builds the registry of `snapshot`, keeping from `previous` what did not change.
    #[must_use]
    pub fn build(previous: Option<&Self>, snapshot: &Snapshot, means: &Means) -> Self {
        let channels = snapshot
            .channels
            .iter()
            .map(|(id, channel)| {
                let old = previous.and_then(|registry| registry.get(id.as_str()));
                let entry = match old {
                    Some(old) if old.channel == *channel => Ok(Arc::clone(old)),
                    old => ready(old, channel, means).map(Arc::new),
                };
                (id.clone(), entry)
            })
            .collect();
        Self { channels }
    }

    /// The channel, if it is in the directory and can be used.
    #[must_use]
    pub fn get(&self, channel: &str) -> Option<&Arc<Ready>> {
        self.channels.get(channel)?.as_ref().ok()
    }

    /// Every usable channel, in id order.
    pub fn ready(&self) -> impl Iterator<Item = &Arc<Ready>> {
        self.channels
            .values()
            .filter_map(|entry| entry.as_ref().ok())
    }

    /// Every other channel and why, in id order.
    pub fn unusable(&self) -> impl Iterator<Item = (&ChannelId, &Unusable)> {
        self.channels
            .iter()
            .filter_map(|(id, entry)| Some((id, entry.as_ref().err()?)))
    }
}

fn ready(
    old: Option<&Arc<Ready>>,
    channel: &Arc<Channel>,
    means: &Means,
) -> Result<Ready, Unusable> {
    let open = |name: &str, sealed: &Sealed| {
        let key = &means.key;
        key.open(&channel_place(&channel.id, name), sealed)
            .map(Secret::new)
            .map_err(|e| Unusable::SealedSecret {
                name: name.to_owned(),
                cause: e.to_string(),
            })
    };
    let receipt_token = channel
        .receipt_token
        .as_ref()
        .map(|sealed| open(RECEIPT_TOKEN, sealed))
        .transpose()?;
    let vendor = match old {
        // A new weight or price is no reason to lose what the client of the vendor has learnt.
        Some(old) if same_account(&old.channel, channel) => Arc::clone(&old.vendor),
        _ => {
            let secrets = channel
                .secrets
                .iter()
                .map(|(name, sealed)| Ok((name.clone(), open(name, sealed)?)))
                .collect::<Result<_, Unusable>>()?;
            let callback = receipt_token.as_ref().zip(means.public_url.as_ref());
            let callback = callback.map(|(token, base)| {
                let (id, token) = (&channel.id, token.expose());
                Secret::new(format!("{base}/receipts/{id}/{token}"))
            });
            vendors::build(&Account {
                channel,
                secrets,
                client: means.client.clone(),
                now: Arc::clone(&means.now),
                public_url: means.public_url.clone(),
                callback,
            })?
        }
    };
    Ok(Ready {
        vendor,
        channel: Arc::clone(channel),
        receipt_token,
    })
}

/// Whether a vendor client made for `old` is right for `new`: it sees no other field.
fn same_account(old: &Channel, new: &Channel) -> bool {
    old.vendor == new.vendor
        && old.endpoint == new.endpoint
        && old.settings == new.settings
        && old.secrets == new.secrets
        && old.receipt_token == new.receipt_token
}
