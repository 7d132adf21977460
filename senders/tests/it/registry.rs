//! Channels of the directory become vendor clients, or say why not.

use std::sync::Arc;

use jixinda_schemas::{directory::Channel, seal::PlatformKey};
use jixinda_senders::{Unusable, registry::Registry, vendors};

use crate::support::{channel, client, key, now, registry, snapshot};

const URL: &str = "https://dysmsapi.aliyuncs.com";

fn reason(change: impl FnOnce(&mut Channel)) -> Unusable {
    let mut channel = channel(URL);
    change(&mut channel);
    let registry = Registry::build(None, &snapshot([channel]), &key(), &client(), &now());
    assert!(registry.get("aliyun-a").is_none());
    let (_, reason) = registry.unusable().next().unwrap();
    let text = reason.to_string();
    match reason {
        Unusable::UnknownVendor(v) => Unusable::UnknownVendor(v.clone()),
        Unusable::MissingSecret(n) => Unusable::MissingSecret(n.clone()),
        Unusable::MalformedSecret(n) => Unusable::MalformedSecret(n.clone()),
        Unusable::Endpoint(e) => Unusable::Endpoint(e),
        Unusable::Setting { name, .. } => Unusable::Setting {
            name: name.clone(),
            cause: text,
        },
        Unusable::SealedSecret { name, .. } => Unusable::SealedSecret {
            name: name.clone(),
            cause: text,
        },
    }
}

/// Defect (a) of the system that this replaces: its channels looked for their vendor in the wrong place, and none loaded.
#[test]
fn a_channel_of_every_vendor_that_is_built_loads() {
    for kind in vendors::KINDS {
        let loaded = registry(Channel {
            vendor: kind.to_owned(),
            ..channel(URL)
        });
        assert!(loaded.get("aliyun-a").is_some(), "{kind}");
    }
}

#[test]
fn an_unusable_channel_says_why() {
    assert_eq!(
        reason(|c| c.vendor = "pigeon".to_owned()),
        Unusable::UnknownVendor("pigeon".to_owned())
    );
    assert_eq!(
        reason(|c| drop(c.secrets.remove("access_key_secret"))),
        Unusable::MissingSecret("access_key_secret".to_owned())
    );
    assert!(matches!(
        reason(|c| c.endpoint = Some("http://dysmsapi.aliyuncs.com".to_owned())),
        Unusable::Endpoint(_)
    ));
    assert!(matches!(
        reason(|c| drop(c.settings.insert("regoin".to_owned(), "x".to_owned()))),
        Unusable::Setting { name, .. } if name == "regoin"
    ));
    // A secret moved from another place does not open.
    assert!(matches!(
        reason(|c| {
            let other = c.secrets["access_key_id"].clone();
            c.secrets.insert("access_key_secret".to_owned(), other);
        }),
        Unusable::SealedSecret { name, .. } if name == "access_key_secret"
    ));
}

#[test]
fn secrets_of_another_platform_key_do_not_open() {
    let other = PlatformKey::from_base64("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=").unwrap();
    let registry = Registry::build(None, &snapshot([channel(URL)]), &other, &client(), &now());
    assert_eq!(registry.ready().count(), 0);
    assert!(matches!(
        registry.unusable().next().unwrap().1,
        Unusable::SealedSecret { .. }
    ));
}

#[test]
fn a_rebuild_keeps_what_did_not_change() {
    let first = channel(URL);
    let old = registry(first.clone());
    let rebuild =
        |c: Channel| Registry::build(Some(&old), &snapshot([c]), &key(), &client(), &now());
    let before = old.get("aliyun-a").unwrap();

    let same = rebuild(first.clone());
    assert!(Arc::ptr_eq(before, same.get("aliyun-a").unwrap()));

    let heavier = rebuild(Channel {
        weight: 7,
        ..first.clone()
    });
    let heavier = heavier.get("aliyun-a").unwrap();
    assert_eq!(heavier.channel.weight, 7);
    assert!(Arc::ptr_eq(&before.vendor, &heavier.vendor));

    let moved = rebuild(Channel {
        endpoint: Some("https://example.com".to_owned()),
        ..first
    });
    let moved = moved.get("aliyun-a").unwrap();
    assert!(!Arc::ptr_eq(&before.vendor, &moved.vendor));

    let empty = Registry::build(Some(&old), &snapshot([]), &key(), &client(), &now());
    assert!(empty.get("aliyun-a").is_none());
}
