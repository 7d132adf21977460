//! The codes of the Vonage SMS API: what follows each, and whose fault it is.
//!
//! Source: the enumerations of `@vonage/sms` 1.24.1 for `status` of an answer; `err-code` of a receipt is well known and not
//! confirmed by a document that was read. The classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// `status` of a part that is refused.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("1", D::RetrySame, B::Capacity, "too many calls"),
        row("5", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("10", D::RetrySame, B::Capacity, "too many connections of the account"),
        row("15", D::RetryOther, B::App, "the sender is not allowed"),
        row("22", D::RetryOther, B::None, "the network is not known"),
        row("7", D::PermanentRecipient, B::Recipient, "the number is barred"),
        row("29", D::PermanentRecipient, B::Account, "a trial account sends only to numbers that it lists"),
        row("33", D::PermanentRecipient, B::Recipient, "the number is no longer in use"),
        row("2", D::PermanentContent, B::App, "a parameter is missing"),
        row("3", D::PermanentContent, B::App, "a parameter has a wrong value"),
        row("6", D::PermanentContent, B::Content, "the text cannot be sent"),
        row("12", D::PermanentContent, B::Content, "the text is too long"),
        row("23", D::PermanentContent, B::App, "the callback URL is not valid"),
        row("4", D::Account, B::Account, "the key or the secret is wrong"),
        row("8", D::Account, B::Account, "the account is suspended"),
        row("9", D::Account, B::Account, "no credit"),
        row("11", D::Account, B::Account, "the account may not use this API"),
        row("14", D::Account, B::Account, "the signature of the call is wrong"),
        row("32", D::Account, B::Account, "a signed call must not carry the secret"),
    ]
};

/// `err-code` of a receipt that says `failed` or `rejected`.
#[rustfmt::skip]
static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("0", S::Delivered, B::None, "the handset has it"),
        end("1", S::Undelivered, B::Channel, "for a reason that the carrier does not give"),
        end("2", S::Undelivered, B::Recipient, "the handset cannot be reached for now"),
        end("3", S::Undelivered, B::Recipient, "the number is no longer in use"),
        end("4", S::Undelivered, B::Recipient, "the recipient's line is barred"),
        end("5", S::Undelivered, B::Channel, "the number has moved to another carrier"),
        end("6", S::Rejected, B::Content, "the carrier filtered it as spam"),
        end("7", S::Undelivered, B::Recipient, "the handset was busy"),
        end("8", S::Undelivered, B::Channel, "the carrier's network failed"),
        end("9", S::Undelivered, B::Recipient, "not a valid number"),
        end("10", S::Rejected, B::Content, "the text cannot be sent"),
        end("11", S::Undelivered, B::Channel, "no route to the number"),
        end("12", S::Undelivered, B::Recipient, "the number cannot be reached"),
        end("13", S::Rejected, B::Recipient, "the recipient is too young for it"),
        end("14", S::Rejected, B::Recipient, "the carrier blocks the number"),
        end("15", S::Undelivered, B::Recipient, "no credit on the recipient's card"),
        end("99", S::Undelivered, B::Channel, "for a reason that the vendor does not give"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_stands_twice() {
        let submit: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        let receipt: BTreeSet<&str> = RECEIPT.iter().map(|row| row.code).collect();
        assert_eq!((submit.len(), receipt.len()), (SUBMIT.len(), RECEIPT.len()));
    }
}
