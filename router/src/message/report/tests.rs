use jixinda_schemas::vendor::Blame;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::message::tests::{T0, receipt};
use ReceiptStatus::{Delivered, Expired, Pending, Rejected, Undelivered, Unknown};

fn part(number: u16, of: Option<u16>, status: ReceiptStatus) -> RawReceipt {
    RawReceipt {
        part: Some(number),
        parts: of,
        ..receipt(1, status)
    }
}

/// Takes receipts a millisecond apart; returns what they come to.
fn come_to(receipts: &[RawReceipt], segments: u32) -> Option<(ReceiptStatus, i64)> {
    let mut reports = Reports::default();
    for (i, r) in receipts.iter().enumerate() {
        reports.take(r, T0.plus_millis(i as i64));
    }
    let verdict = reports.verdict(segments)?;
    Some((verdict.status, verdict.by.at.since(T0)))
}

#[test]
fn a_message_in_parts_is_delivered_with_its_last_part_only() {
    let two = [part(2, Some(2), Delivered), part(1, Some(2), Delivered)];
    assert_eq!(come_to(&two[..1], 2), Some((Pending, 0)));
    assert_eq!(come_to(&two, 2), Some((Delivered, 1)));
    let repeated = [two[0].clone(), two[0].clone()];
    assert_eq!(come_to(&repeated, 2), Some((Pending, 0)));
}

#[test]
fn without_a_count_there_are_as_many_parts_as_segments_were_counted() {
    let parts = [1, 2, 3].map(|n| part(n, None, Delivered));
    for (segments, want) in [(0, Pending), (2, Delivered), (3, Delivered), (4, Pending)] {
        assert_eq!(
            come_to(&parts, segments).unwrap().0,
            want,
            "{segments} segments"
        );
    }
    // The vendor's own count is better than ours.
    let told = [1, 2, 3].map(|n| part(n, Some(3), Delivered));
    assert_eq!(come_to(&told, 5).unwrap().0, Delivered);
    assert_eq!(come_to(&told[..2], 2).unwrap().0, Pending);
}

#[test]
fn one_failed_part_fails_the_message_until_that_part_is_delivered_after_all() {
    let news = [
        part(1, Some(2), Delivered),
        part(2, Some(2), Expired),
        part(2, Some(2), Delivered),
    ];
    assert_eq!(come_to(&news[..2], 2), Some((Expired, 1)));
    assert_eq!(come_to(&news, 2), Some((Delivered, 2)));
    // The other part's good news takes nothing back.
    let other = [part(2, Some(2), Expired), part(1, Some(2), Delivered)];
    assert_eq!(come_to(&other, 2), Some((Expired, 0)));
}

#[test]
fn a_receipt_without_a_part_speaks_for_the_whole_message() {
    let failed_part = part(1, Some(2), Rejected);
    let whole = receipt(1, Delivered);
    assert_eq!(
        come_to(&[failed_part.clone(), whole.clone()], 2),
        Some((Delivered, 1))
    );
    assert_eq!(come_to(&[whole, failed_part], 2), Some((Delivered, 0)));
}

#[test]
fn part_numbers_that_cannot_be_never_make_a_message_delivered_but_may_fail_it() {
    for (number, of, good, bad) in [
        // No part at all, in other words.
        (0, None, Delivered, Expired),
        (0, Some(0), Delivered, Expired),
        (0, Some(1), Delivered, Expired),
        // Numbered from 0, or garbage.
        (0, Some(2), Pending, Expired),
        (3, Some(2), Pending, Expired),
        (300, None, Pending, Expired),
        (300, Some(300), Pending, Expired),
        (1, Some(300), Pending, Expired),
        // As it should be.
        (1, Some(1), Delivered, Expired),
        (1, Some(0), Delivered, Expired),
        (255, Some(255), Pending, Expired),
    ] {
        assert_eq!(
            come_to(&[part(number, of, Delivered)], 1).unwrap().0,
            good,
            "part {number} of {of:?}"
        );
        assert_eq!(
            come_to(&[part(number, of, Expired)], 1).unwrap().0,
            bad,
            "part {number} of {of:?}"
        );
    }
}

#[test]
fn of_contradictory_receipts_delivered_wins_and_else_the_first_final_one() {
    let of = |statuses: &[ReceiptStatus]| {
        let receipts: Vec<_> = statuses.iter().map(|s| receipt(1, *s)).collect();
        come_to(&receipts, 1).unwrap()
    };
    assert_eq!(of(&[Pending, Undelivered, Rejected]), (Undelivered, 1));
    assert_eq!(of(&[Rejected, Pending, Undelivered]), (Rejected, 0));
    assert_eq!(of(&[Unknown, Rejected, Delivered, Expired]), (Delivered, 2));
    assert_eq!(of(&[Unknown, Pending]), (Unknown, 0));
}

#[test]
fn memory_is_bounded_whatever_a_vendor_sends() {
    let mut reports = Reports::default();
    for n in 0..2_000 {
        reports.take(&part(n, None, Delivered), T0);
        reports.take(&part(n, Some(n), Undelivered), T0);
    }
    assert_eq!(reports.parts.len(), usize::from(MAX_PARTS));
}

fn any_receipt() -> impl Strategy<Value = (RawReceipt, Timestamp)> {
    let status = select(vec![
        Delivered,
        Delivered,
        Undelivered,
        Expired,
        Rejected,
        Pending,
        Unknown,
    ]);
    let number = prop_oneof![Just(None), (0_u16..4).prop_map(Some), Just(Some(300))];
    let of = prop_oneof![Just(None), (0_u16..4).prop_map(Some), Just(Some(300))];
    let code = select(vec!["A", "B"]);
    let blame = select(vec![None, Some(Blame::Channel), Some(Blame::Recipient)]);
    (status, number, of, code, blame, 0_i64..4).prop_map(
        |(status, part, parts, code, blame, at)| {
            let receipt = RawReceipt {
                part,
                parts,
                code: code.into(),
                blame,
                ..receipt(1, status)
            };
            (receipt, T0.plus_millis(at))
        },
    )
}

fn fold(receipts: &[(RawReceipt, Timestamp)]) -> Reports {
    let mut reports = Reports::default();
    for (receipt, at) in receipts {
        reports.take(receipt, *at);
    }
    reports
}

proptest! {
    #[test]
    fn the_same_receipts_in_any_order_any_number_of_times_come_to_the_same(
        (receipts, order, again) in prop::collection::vec(any_receipt(), 0..10).prop_flat_map(|r| {
            let n = r.len();
            (Just(r.clone()), Just(r).prop_shuffle(), subsequence((0..n).collect::<Vec<_>>(), 0..=n))
        }),
    ) {
        let straight = fold(&receipts);
        prop_assert_eq!(&fold(&order), &straight);
        let mut repeated = straight.clone();
        for i in again {
            let changed = repeated.take(&receipts[i].0, receipts[i].1);
            prop_assert!(!changed, "a receipt changed something the second time");
        }
        prop_assert_eq!(repeated, straight);
    }

    #[test]
    fn what_is_delivered_stays_delivered_and_a_change_is_told(
        receipts in prop::collection::vec(any_receipt(), 0..12),
        segments in 0_u32..4,
    ) {
        let mut reports = Reports::default();
        for (receipt, at) in receipts {
            let before = reports.clone();
            let told = reports.take(&receipt, at);
            prop_assert_eq!(told, reports != before);
            let status = |r: &Reports| r.verdict(segments).map(|v| v.status);
            if status(&before) == Some(Delivered) {
                prop_assert_eq!(status(&reports), Some(Delivered));
            }
        }
    }

    #[test]
    fn reports_are_the_same_after_they_were_stored(receipts in prop::collection::vec(any_receipt(), 0..8)) {
        let reports = fold(&receipts);
        let stored = serde_json::to_string(&reports).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reports>(&stored).unwrap(), reports);
    }
}
