//! The codes of Feige: what follows each, and whose fault it is.
//!
//! Source: the error list of a public client of the new API; of the old one only one code is known, and the two counts in
//! its answer. Codes of the old API are written with `old.` before them: its 10008 means another thing. Reports pass the
//! carriers' words through. The classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition};

use crate::vendors::codes::{CARRIERS, Catalogue, SubmitCode, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    // `status` of a report is the carrier's word.
    receipt: CARRIERS,
};

/// Of a call whose only number, or every number, is not valid.
pub(super) const INVALID: &str = "InvalidCount";
/// Of a call whose only number, or every number, is on a blacklist.
pub(super) const BLACK: &str = "BlackCount";
/// There are no reports to fetch.
pub(super) const NO_REPORTS: &str = "10004";

/// Every documented code that refuses a call.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("100", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("10007", D::RetrySame, B::Capacity, "too many calls"),
        row("10008", D::RetrySame, B::Capacity, "too many messages a second"),

        // The second time each goes alone.
        row("10003", D::RetrySame, B::App, "too many numbers in one call: max_numbers is set too high"),
        row("10009", D::RetryOther, B::Channel, "a number could not be fetched (of another product)"),

        row(INVALID, D::PermanentRecipient, B::Recipient, "not a valid number"),
        row(BLACK, D::PermanentRecipient, B::Recipient, "the number is on a blacklist"),

        row("10001", D::PermanentContent, B::App, "a parameter of the call is empty"),
        row("10002", D::PermanentContent, B::App, "a parameter of the call is wrong"),
        row("old.10008", D::PermanentContent, B::App, "the template's number is empty"),

        row("1", D::Account, B::Account, "the key or its secret is wrong"),
        row("15", D::Account, B::Account, "the balance is used up"),
        row("10006", D::Account, B::Account, "no channel is set up for the account"),

        // Answers to a fetch. As answers to a call they make no sense, and prove nothing.
        row(NO_REPORTS, D::Unknown, B::Channel, "no reports to fetch"),
        row("10005", D::Unknown, B::Channel, "no messages from handsets to fetch"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The documented list by class, kept apart from the table on purpose.
    const SHEET: &str = "
retry_same: 100 10003 10007 10008
retry_other: 10009
permanent_recipient: InvalidCount BlackCount
permanent_content: 10001 10002 old.10008
account: 1 15 10006
unknown: 10004 10005
";

    #[test]
    fn every_documented_code_has_its_class_and_no_other_code_is_listed() {
        let mut listed = BTreeSet::new();
        for line in SHEET.trim().lines() {
            let (class, codes) = line.split_once(':').unwrap();
            for code in codes.split_whitespace() {
                let row = CATALOGUE.submit(code).unwrap();
                assert_eq!(serde_json::json!(row.disposition), class, "{code}");
                assert!(listed.insert(code), "{code} is listed twice");
            }
        }
        let table: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        assert_eq!((&table, table.len()), (&listed, SUBMIT.len()));
    }
}
