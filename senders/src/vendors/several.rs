//! Calls that carry several numbers and get one answer for all of them. Pure.
//!
//! A refusal of the whole call is definite for every item: nothing was sent. What it says of *a* number is not known to be
//! of *this* number, and a count of numbers that were not taken does not say which they are.

use jixinda_schemas::{
    event::AttemptResult,
    vendor::{Blame, Disposition},
};

use super::{Account, answer::Verdict};
use crate::{
    Unusable,
    vendor::{Item, ItemResult, not_sent},
};

/// The setting `max_numbers`: how many numbers a call may carry.
///
/// # Errors
/// [`Unusable::Setting`] when it is no number from 1 to `most`.
pub fn max_numbers(account: &Account<'_>, default: usize, most: usize) -> Result<usize, Unusable> {
    const NAME: &str = "max_numbers";
    let Some(text) = account.setting(NAME) else {
        return Ok(default);
    };
    let given = text.parse().ok().filter(|n| (1..=most).contains(n));
    given.ok_or_else(|| Unusable::Setting {
        name: NAME.to_owned(),
        cause: format!("it must be a number from 1 to {most}"),
    })
}

/// The results of a call that cannot go out as one: it has no item, more than `most`, or one that does not fit the first.
/// `what` says what one call takes. Nothing when it can go out.
#[must_use]
pub fn misfit(
    items: &[Item],
    most: usize,
    fits: impl Fn(&Item, &Item) -> bool,
    what: &str,
) -> Option<Vec<ItemResult>> {
    let fit = (1..=most).contains(&items.len()) && items.iter().all(|item| fits(&items[0], item));
    let refused = || not_sent(Disposition::RetrySame, Blame::None, "batch_mixed", what);
    (!fit).then(|| vec![refused(); items.len()])
}

/// The result of a content that the vendor does not take.
#[must_use]
pub fn wrong_form(takes: &str) -> ItemResult {
    not_sent(Disposition::RetryOther, Blame::App, "content_form", takes)
}

/// The 11 digits of each number.
///
/// # Errors
/// The result of every item when one is not of the mainland.
pub fn mainland(items: &[Item]) -> Result<Vec<&str>, ItemResult> {
    let numbers = items.iter().map(|item| item.recipient.china_national());
    numbers.collect::<Option<Vec<_>>>().ok_or_else(|| {
        not_sent(
            Disposition::RetryOther,
            Blame::None,
            "abroad",
            "this vendor sends to the mainland only",
        )
    })
}

/// Whether two items differ in the number only, and both are of the mainland or both of abroad.
#[must_use]
pub fn one_text(a: &Item, b: &Item) -> bool {
    let mainland = |item: &Item| item.recipient.china_national().is_some();
    a.content == b.content && a.sign_name == b.sign_name && mainland(a) == mainland(b)
}

/// Whether all items have one text, so that a call can carry it once.
#[must_use]
pub fn alike(items: &[Item]) -> bool {
    items
        .iter()
        .all(|item| item.content == items[0].content && item.sign_name == items[0].sign_name)
}

/// Results of a call with more items than went: those of the first ones; the others did not go.
#[must_use]
pub fn first_ones(mut results: Vec<ItemResult>, items: usize) -> Vec<ItemResult> {
    results.resize_with(items, || {
        not_sent(
            Disposition::RetrySame,
            Blame::None,
            "batch_too_large",
            "more than one call takes",
        )
    });
    results
}

/// One verdict on a call as verdicts on its items.
///
/// Of several items none can be told to be the one whose number the vendor refuses, nor, unless all have one text, whose
/// text: each may go again, in another company.
#[must_use]
pub fn each(verdict: Verdict, count: usize, one_text: bool) -> Vec<Verdict> {
    let mut verdict = verdict;
    if let AttemptResult::Rejected {
        disposition, blame, ..
    } = &mut verdict.result
    {
        let of_one = match disposition {
            Disposition::PermanentRecipient => true,
            Disposition::PermanentContent => !one_text,
            Disposition::RetrySame
            | Disposition::RetryOther
            | Disposition::Account
            | Disposition::Unknown => false,
        };
        if count > 1 && of_one {
            (*disposition, *blame) = (Disposition::RetrySame, Blame::None);
        }
    }
    vec![verdict; count]
}

/// How much of a call the vendor took, by its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    All,
    Nothing,
    /// Some of it, or the counts contradict each other.
    Part,
}

/// Of `count` items so many were taken, where the vendor says so, and so many not.
#[must_use]
pub fn share(count: usize, taken: Option<u64>, not_taken: u64) -> Share {
    let count = count as u64;
    match (taken, not_taken) {
        (None, 0) => Share::All,
        (Some(taken), 0) if taken >= count => Share::All,
        (None | Some(0), not_taken) if not_taken >= count => Share::Nothing,
        _ => Share::Part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(disposition: Disposition, blame: Blame) -> Verdict {
        not_sent(disposition, blame, "7", "x").into()
    }

    fn of(verdict: Verdict, count: usize, one_text: bool) -> (Disposition, Blame) {
        let verdicts = each(verdict, count, one_text);
        assert_eq!(verdicts.len(), count);
        match &verdicts[count - 1].result {
            AttemptResult::Rejected {
                disposition, blame, ..
            } => (*disposition, *blame),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_with_one_number_is_not_said_of_every_number() {
        use Disposition as D;
        let again = (D::RetrySame, Blame::None);
        let number = (D::PermanentRecipient, Blame::Recipient);
        let text = (D::PermanentContent, Blame::Content);
        let account = (D::Account, Blame::Account);
        for (said, count, one_text, want) in [
            (number, 1, true, number),
            (number, 2, true, again),
            (text, 1, false, text),
            (text, 2, true, text),
            (text, 2, false, again),
            (account, 2, false, account),
        ] {
            assert_eq!(of(refusal(said.0, said.1), count, one_text), want);
        }
    }

    #[test]
    fn counts_tell_all_and_nothing_only_when_they_agree() {
        for (count, taken, not_taken, want) in [
            (1, Some(1), 0, Share::All),
            (2, None, 0, Share::All),
            (2, Some(3), 0, Share::All),
            (1, Some(0), 1, Share::Nothing),
            (2, None, 2, Share::Nothing),
            (2, Some(1), 1, Share::Part),
            (2, Some(1), 0, Share::Part),
            (1, Some(0), 0, Share::Part),
            (1, Some(1), 1, Share::Part),
        ] {
            assert_eq!(
                share(count, taken, not_taken),
                want,
                "{count} {taken:?} {not_taken}"
            );
        }
    }
}
