use jixinda_schemas::{
    Lane,
    event::{AttemptResult, NotStartedCause},
    vendor::{Disposition, ReceiptStatus},
};

use super::*;
use crate::message::tests::{
    T0, accepted, channel, entry, finish, give_back, receipt, rejected, route, start, unknown,
};

fn window(after_ms: i64) -> Option<Window> {
    Some(Window {
        at: T0.plus_millis(after_ms),
        receipt_ms: 60_000,
    })
}

/// A receipt on the channel of attempt 1.
fn names(echo: Option<&str>, vendor_id: Option<&str>) -> RawReceipt {
    RawReceipt {
        echo: echo.map(Into::into),
        vendor_id: vendor_id.map(Into::into),
        ..receipt(1, ReceiptStatus::Delivered)
    }
}

fn nameless() -> RawReceipt {
    names(None, None)
}

fn taken(vendor_id: &str) -> Entry {
    let mut e = entry(Lane::Notice);
    start(&mut e, 1);
    let vendor_id = vendor_id.into();
    finish(&mut e, 1, AttemptResult::Accepted { vendor_id });
    e
}

#[test]
fn vendor_ids_are_compared_without_case_padding_and_leading_zeros() {
    for (ours, theirs, same) in [
        ("Biz^0", "BIZ^0", true),
        ("Biz^0", " biz^0\t", true),
        ("Biz^0", "Biz^1", false),
        ("00123", "123", true),
        ("123", " 000123 ", true),
        ("1230", "123", false),
        ("0", "000", true),
        ("0", "", false),
        // Not numbers: their zeros count.
        ("0a1", "a1", false),
        ("00a1", "00A1", true),
        ("", "", false),
        ("  ", "", false),
    ] {
        assert_eq!(same_vendor_id(ours, theirs), same, "{ours:?} {theirs:?}");
        assert_eq!(same_vendor_id(theirs, ours), same, "{theirs:?} {ours:?}");
    }
}

#[test]
fn the_strongest_key_that_a_receipt_has_decides_alone() {
    let e = taken("Biz^7");
    for (echo, id, joined) in [
        // Our echo, whatever the id says.
        (Some("1"), None, true),
        (Some(" 01 "), None, true),
        (Some("1"), Some("other"), true),
        (Some("2"), None, false),
        (Some("2"), Some("Biz^7"), false),
        // An echo that is not ours leaves the id to decide.
        (Some("their words"), Some("biz^7"), true),
        (Some(""), Some("BIZ^7"), true),
        (None, Some(" biz^7 "), true),
        (None, Some("Biz^8"), false),
        // What names something else is never joined by time.
        (Some("their words"), None, false),
        (Some("their words"), Some("Biz^8"), false),
        (Some("their words"), Some(""), false),
        // Nothing named.
        (None, None, true),
        (Some(" "), Some(""), true),
    ] {
        let found = join([&e].into_iter(), &names(echo, id), window(5));
        assert_eq!(found, joined.then_some((e.id, 0)), "{echo:?} {id:?}");
    }
}

#[test]
fn an_id_or_echo_of_another_channel_is_not_ours() {
    let e = taken("Biz^7");
    for r in [
        names(Some("1"), None),
        names(None, Some("Biz^7")),
        nameless(),
    ] {
        let r = RawReceipt {
            channel: channel(2),
            ..r
        };
        assert_eq!(join([&e].into_iter(), &r, window(5)), None);
    }
}

#[test]
fn an_id_that_two_attempts_have_joins_neither() {
    let (a, b) = (taken("7"), taken("07"));
    let r = names(None, Some("7"));
    assert_eq!(join([&a].into_iter(), &r, None), Some((a.id, 0)));
    assert_eq!(join([&a, &b].into_iter(), &r, None), None);
}

#[test]
fn a_nameless_receipt_joins_the_one_attempt_that_can_be_meant() {
    let of = |prepare: fn(&mut Entry)| {
        let mut e = entry(Lane::Notice);
        prepare(&mut e);
        e
    };
    let cases: [(&str, Entry, bool); 8] = [
        (
            "claimed",
            of(|e| {
                start(e, 1);
            }),
            true,
        ),
        ("accepted", taken("x"), true),
        (
            "unknown",
            of(|e| {
                start(e, 1);
                finish(e, 1, unknown());
            }),
            true,
        ),
        ("not claimed", of(|e| route(e, 1)), false),
        (
            "given back",
            of(|e| give_back(e, 1, NotStartedCause::Capacity)),
            false,
        ),
        (
            "refused",
            of(|e| {
                start(e, 1);
                finish(e, 1, rejected(Disposition::RetryOther));
            }),
            false,
        ),
        (
            "not called",
            of(|e| {
                start(e, 1);
                finish(e, 1, AttemptResult::NotCalled);
            }),
            false,
        ),
        (
            "reported",
            of(|e| {
                start(e, 1);
                e.reported(0, &nameless(), T0);
            }),
            false,
        ),
    ];
    for (name, e, joined) in &cases {
        let found = join([e].into_iter(), &nameless(), window(5));
        assert_eq!(found.is_some(), *joined, "{name}");
        // Beside a taken one it stands in the way if it could be meant, and only then.
        let other = taken("y");
        let found = join([&other, e].into_iter(), &nameless(), window(5));
        let in_the_way = *joined || *name == "not claimed";
        assert_eq!(found, (!in_the_way).then_some((other.id, 0)), "{name}");
    }
}

#[test]
fn a_nameless_receipt_is_about_nothing_that_was_sent_after_it_or_too_long_before() {
    let e = taken("x");
    for (after_ms, joined) in [
        (0, true),
        (60_000, true),
        (60_001, false),
        // A sender's clock may be a little ahead of the broker's.
        (-2_000, true),
        (-2_001, false),
    ] {
        let found = join([&e].into_iter(), &nameless(), window(after_ms));
        assert_eq!(found.is_some(), joined, "{after_ms} ms");
    }
    assert_eq!(join([&e].into_iter(), &nameless(), None), None, "no window");
}

#[test]
fn two_open_attempts_of_one_message_on_one_channel_are_ambiguous_too() {
    let mut e = entry(Lane::Otp);
    for n in [1, 2] {
        start(&mut e, n);
        finish(&mut e, n, accepted());
    }
    e.attempts[1].channel = channel(1);
    assert_eq!(join([&e].into_iter(), &nameless(), window(5)), None);
    e.attempts[1].channel = channel(2);
    assert_eq!(
        join([&e].into_iter(), &nameless(), window(5)),
        Some((e.id, 0))
    );
}
