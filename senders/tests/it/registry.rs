//! Channels of the directory become vendor clients, or say why not.

use std::sync::Arc;

use jixinda_schemas::{directory::Channel, seal::PlatformKey};
use jixinda_senders::{
    Unusable,
    registry::{Means, Registry},
    vendors,
};

use crate::support::{SECRET, channel, channel_of, means, push, registry, snapshot, vendor_of};

const URL: &str = "https://dysmsapi.aliyuncs.com";

fn reason(change: impl FnOnce(&mut Channel)) -> Unusable {
    let mut channel = channel(URL);
    change(&mut channel);
    let registry = Registry::build(None, &snapshot([channel]), &means());
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
        let loaded = registry(channel_of(kind, URL));
        let why: Vec<_> = loaded.unusable().collect();
        assert!(loaded.ready().count() == 1, "{kind}: {why:?}");
        let vendor = &loaded.ready().next().unwrap().vendor;
        assert_eq!(vendor.kind(), kind);
        assert!(!format!("{vendor:?}").contains(SECRET), "{kind}");
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
fn a_setting_that_its_vendor_does_not_know_is_refused() {
    for (kind, name, value) in [
        ("aliyun", "signature", "acs4"),
        ("aliyun", "max_numbers", "1001"),
        ("aliyun", "query", "yes"),
        ("feige", "api", "newer"),
        ("feige", "max_numbers", "0"),
        ("feige", "report_path", "../x"),
        ("jdcloud", "signature", "1"),
        ("jdcloud", "region", "../x"),
        ("jdcloud", "max_numbers", "101"),
        ("lexin", "api", ""),
        ("lexin", "ext_no", "1234567"),
        ("lexin", "echo_field", "MsgId"),
        ("lexin", "max_numbers", "many"),
    ] {
        let mut channel = channel_of(kind, URL);
        channel.settings.insert(name.to_owned(), value.to_owned());
        let loaded = registry(channel);
        let (_, why) = loaded.unusable().next().unwrap();
        let named = matches!(why, Unusable::Setting { name: n, .. } if n == name);
        assert!(named, "{kind} {name} {value}: {why}");
    }
}

#[test]
fn secrets_of_another_platform_key_do_not_open() {
    let other = PlatformKey::from_base64("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=").unwrap();
    let registry = Registry::build(
        None,
        &snapshot([channel(URL)]),
        &Means {
            key: other,
            ..means()
        },
    );
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
    let rebuild = |c: Channel| Registry::build(Some(&old), &snapshot([c]), &means());
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

    let empty = Registry::build(Some(&old), &snapshot([]), &means());
    assert!(empty.get("aliyun-a").is_none());
}

/// What each vendor takes for "stored", and for "push again".
#[test]
fn a_push_is_answered_in_the_vendors_own_words() {
    for (kind, stored, body, again) in [
        ("tencent", 200, r#"{"result":0,"errmsg":"OK"}"#, 500),
        ("huawei", 200, "", 503),
        ("vonage", 200, "", 503),
        ("twilio", 200, "<Response/>", 503),
        ("lexin", 200, "ok", 503),
        ("jdcloud", 200, "ok", 503),
    ] {
        let vendor = vendor_of(kind, "https://vendor.example.com", &[]);
        let push = push(b"");
        let ack = vendor.acknowledge(&push, true);
        assert_eq!((ack.status, &*ack.body), (stored, body), "{kind}");
        assert_eq!(vendor.acknowledge(&push, false).status, again, "{kind}");
    }
}
