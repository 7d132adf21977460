//! The codes of Twilio Messaging: what follows each, and whose fault it is.
//!
//! Source: Twilio's error pages for 21610, 21635, 30003 and 30006; the others are well known and not confirmed by a document
//! that was read. The classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// Codes that refuse a call.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("20429", D::RetrySame, B::Capacity, "too many calls"),
        row("30001", D::RetrySame, B::Capacity, "the queue of the sender is full"),
        row("30008", D::RetrySame, B::Channel, "the carrier failed for a reason it does not give"),
        row("30009", D::RetrySame, B::Channel, "a part is missing"),
        row("30010", D::RetrySame, B::App, "dearer than the price that was allowed"),
        row("30017", D::RetryOther, B::Channel, "the carrier's network is congested"),
        row("30022", D::RetryOther, B::Channel, "over the carrier's rate"),
        row("21408", D::RetryOther, B::App, "the account may not send to this region"),
        row("21612", D::RetryOther, B::None, "no route from this sender to this number"),
        row("21211", D::PermanentRecipient, B::Recipient, "not a valid number"),
        row("21610", D::PermanentRecipient, B::Recipient, "the recipient has unsubscribed"),
        row("21614", D::PermanentRecipient, B::Recipient, "not a mobile number"),
        row("21635", D::PermanentRecipient, B::Recipient, "a landline number"),
        row("30003", D::PermanentRecipient, B::Recipient, "the handset cannot be reached"),
        row("30004", D::PermanentRecipient, B::Recipient, "the recipient blocks messages"),
        row("30005", D::PermanentRecipient, B::Recipient, "the handset is not known"),
        row("30006", D::PermanentRecipient, B::Recipient, "a landline, or a carrier that cannot be reached"),
        row("30007", D::PermanentContent, B::Content, "the carrier filtered it"),
        row("21602", D::PermanentContent, B::App, "the text is missing"),
        row("21617", D::PermanentContent, B::Content, "the text has more than 1,600 characters"),
        row("20003", D::Account, B::Account, "the account or its token is wrong"),
        row("20005", D::Account, B::Account, "the account is not active"),
        row("21606", D::Account, B::Account, "the sender does not belong to the account"),
        row("21660", D::Account, B::Account, "the sender does not belong to the account"),
        row("30002", D::Account, B::Account, "the account is suspended"),
        row("63038", D::Account, B::Account, "the account's daily cap is reached"),
    ]
};

/// `ErrorCode` of a status callback.
#[rustfmt::skip]
static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("30001", S::Undelivered, B::Channel, "the queue of the sender was full"),
        end("30002", S::Undelivered, B::Account, "the account was suspended"),
        end("30003", S::Undelivered, B::Recipient, "the handset cannot be reached"),
        end("30004", S::Rejected, B::Recipient, "the recipient blocks messages"),
        end("30005", S::Undelivered, B::Recipient, "the handset is not known"),
        end("30006", S::Undelivered, B::Recipient, "a landline, or a carrier that cannot be reached"),
        end("30007", S::Rejected, B::Content, "the carrier filtered it"),
        end("30008", S::Undelivered, B::Channel, "the carrier failed for a reason it does not give"),
        end("30009", S::Undelivered, B::Channel, "a part is missing"),
        end("30010", S::Rejected, B::App, "dearer than the price that was allowed"),
        end("30017", S::Undelivered, B::Channel, "the carrier's network is congested"),
        end("30022", S::Undelivered, B::Channel, "over the carrier's rate"),
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
