//! The documented codes of Montnets (v2/std): what follows each, and whose fault it is.
//!
//! Source: the manual V5.7.2, table of errors, without those of its other services (templates, short links, number queries).
//! The manual prints them without a sign, answers carry them negative; the sign is dropped. The classification is ours.
//! Codes of receipts are the carriers'.

use jixinda_schemas::vendor::{Blame, Disposition};

use crate::vendors::codes::{CARRIERS, Catalogue, SubmitCode, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    // `errcode` of a receipt is the carrier's word.
    receipt: CARRIERS,
};

/// Every documented code that refuses a call.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("100056", D::RetrySame, B::Capacity, "too many connections of the account"),
        row("100807", D::RetrySame, B::Channel, "the vendor's server is busy"),
        row("100907", D::RetrySame, B::Channel, "the vendor's server is busy"),
        row("100999", D::RetrySame, B::Channel, "the vendor's database failed"),

        row("100058", D::RetryOther, B::App, "the template does not exist on this account"),
        row("100502", D::RetryOther, B::App, "the template is disabled"),
        row("100004", D::RetryOther, B::App, "custid or exdata has characters that are not allowed"),
        row("100014", D::RetryOther, B::App, "too many numbers in one call"),
        row("100091", D::RetryOther, B::App, "the body is no XML"),
        row("100092", D::RetryOther, B::App, "the body cannot be read"),
        row("100093", D::RetryOther, B::App, "the body is no JSON"),
        row("100094", D::RetryOther, B::App, "a node of the XML is missing"),
        row("100095", D::RetryOther, B::App, "the body is no JSON"),
        row("100096", D::RetryOther, B::App, "a list in the JSON cannot be read"),
        row("100097", D::RetryOther, B::App, "the body cannot be read"),
        row("100098", D::RetryOther, B::App, "the body is no JSON"),
        row("100100", D::RetryOther, B::App, "the content type is not supported"),

        row("100012", D::PermanentRecipient, B::Recipient, "not a valid number"),

        row("100011", D::PermanentContent, B::Content, "the text is too long"),
        row("100059", D::PermanentContent, B::App, "the variables do not fit the template"),
        row("100060", D::PermanentContent, B::App, "as many texts as numbers are needed"),
        row("100106", D::PermanentContent, B::App, "the text is missing"),
        row("100252", D::PermanentContent, B::App, "svrtype has characters that are not allowed"),
        row("100267", D::PermanentContent, B::App, "the text could not be decrypted"),

        row("100001", D::Account, B::Account, "user, password or this machine's clock is wrong"),
        row("100002", D::Account, B::Account, "user, password or clock was wrong too often"),
        row("100003", D::Account, B::Account, "arrears"),
        row("100029", D::Account, B::Account, "the port could not be bound"),
        row("100057", D::Account, B::Account, "calls from this address are not allowed"),
        row("100070", D::Account, B::Account, "the account may not use this interface"),
        row("100101", D::Account, B::Account, "the signature of the call is wrong"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_stands_twice() {
        let submit: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        let receipt: BTreeSet<&str> = CARRIERS.iter().map(|row| row.code).collect();
        assert_eq!(
            (submit.len(), receipt.len()),
            (SUBMIT.len(), CARRIERS.len())
        );
    }
}
