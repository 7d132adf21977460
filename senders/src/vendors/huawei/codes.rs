//! The documented codes of Huawei Cloud SMS: what follows each, and whose fault it is.
//!
//! Source: support.huaweicloud.com, sms_05_0050 (answers), sms_05_0003 and sms_05_0051 (receipts), and the comments of the Go
//! SDK. A code of the answers comes in receipts as well, when the platform refuses a message after it took the call. The
//! classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// Every documented code that refuses a number or a call.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("E000000", D::RetrySame, B::Channel, "the vendor's system failed, or templateParas cannot be read"),
        row("E200015", D::RetrySame, B::Capacity, "too many messages wait to be sent"),
        row("E200034", D::Unknown, B::Channel, "the vendor's gateway did not answer in time: it may have been taken"),
        row("E200036", D::RetrySame, B::Capacity, "the rate of the channel number is set to 0"),

        row("E200018", D::RetryOther, B::App, "the channel number does not belong to the application"),
        row("E200019", D::RetryOther, B::Channel, "no channel fits the channel number"),
        row("E200020", D::RetryOther, B::App, "the signature does not belong to the channel number"),
        row("E200021", D::RetryOther, B::Channel, "no channel fits the signature"),
        row("E200022", D::RetryOther, B::None, "the channel does not reach the number"),
        row("E200023", D::RetryOther, B::None, "no channel reaches the number"),
        row("E200024", D::RetryOther, B::App, "the account may not send abroad"),
        row("E200025", D::RetryOther, B::None, "the channel does not reach the number abroad"),
        row("E200026", D::RetryOther, B::None, "no channel reaches the number abroad"),
        row("E200027", D::RetryOther, B::Channel, "no gateway is set up for the application"),
        row("E200030", D::RetryOther, B::App, "the template is not active on this account"),
        row("E200031", D::RetryOther, B::Channel, "the protocol check failed"),

        row("E200041", D::PermanentRecipient, B::Recipient, "the number stands twice in the call"),

        row("E000503", D::PermanentContent, B::App, "a parameter is malformed"),
        row("E200028", D::PermanentContent, B::Content, "a value breaks the rules of its variable"),
        row("E200029", D::PermanentContent, B::App, "the template is of another type"),
        row("E200032", D::PermanentContent, B::App, "a template is needed"),
        row("E200033", D::PermanentContent, B::App, "the template is of a wrong type"),
        row("E200035", D::PermanentContent, B::App, "a field of the protocol could not be filled in"),

        row("E000001", D::Account, B::Account, "the header Authorization is missing"),
        row("E000002", D::Account, B::Account, "realm is missing in Authorization"),
        row("E000003", D::Account, B::Account, "profile is missing in Authorization"),
        row("E000004", D::Account, B::Account, "realm is not SDP"),
        row("E000005", D::Account, B::Account, "profile is not UsernameToken"),
        row("E000006", D::Account, B::Account, "type is not Appkey"),
        row("E000007", D::Account, B::Account, "type is missing in Authorization"),
        row("E000008", D::Account, B::Account, "Authorization does not say WSSE"),
        row("E000020", D::Account, B::Account, "the header X-WSSE is missing"),
        row("E000021", D::Account, B::Account, "Username is missing in X-WSSE"),
        row("E000022", D::Account, B::Account, "Nonce is missing in X-WSSE"),
        row("E000023", D::Account, B::Account, "Created is missing in X-WSSE"),
        row("E000024", D::Account, B::Account, "PasswordDigest is missing in X-WSSE"),
        row("E000025", D::Account, B::Account, "Created is malformed"),
        row("E000026", D::Account, B::Account, "X-WSSE does not say UsernameToken"),
        row("E000027", D::Account, B::Account, "not a valid request"),
        row("E000040", D::Account, B::Account, "the content type is not the one that the call takes"),
        row("E000045", D::Account, B::Account, "the signature of the call is wrong"),
        row("E000101", D::Account, B::Account, "the key or the secret is wrong"),
        row("E000102", D::Account, B::Account, "the application's key is not valid"),
        row("E000103", D::Account, B::Account, "the application's key cannot be used"),
        row("E000104", D::Account, B::Account, "the application's secret is not valid"),
        row("E000105", D::Account, B::Account, "PasswordDigest is wrong"),
        row("E000106", D::Account, B::Account, "the application may not use this API"),
        row("E000109", D::Account, B::Account, "the account is not active"),
        row("E000110", D::Account, B::Account, "this machine's clock is wrong"),
        row("E000111", D::Account, B::Account, "user or password is wrong"),
        row("E000112", D::Account, B::Account, "the account is frozen: arrears or a violation"),
        row("E000620", D::Account, B::Account, "calls from this address are not allowed"),
        row("E000623", D::Account, B::Account, "the account's volume is used up"),

        row("E000510", D::Unknown, B::Channel, "some numbers were refused; each has a code of its own"),
        row("E200037", D::Unknown, B::Channel, "some numbers were refused; each has a code of its own"),
    ]
};

/// `status` of a receipt: the carriers' words that are the same for all, and the platform's own.
#[rustfmt::skip]
static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("DELIVRD", S::Delivered, B::None, "the handset has it"),
        end("ACCEPTD", S::Pending, B::None, "accepted by the carrier; wait"),
        end("EXPIRED", S::Expired, B::Recipient, "the handset was not reached in time"),
        end("UNDELIV", S::Undelivered, B::Recipient, "the handset could not be reached"),
        end("DELETED", S::Undelivered, B::Channel, "the carrier deleted it"),
        end("REJECTD", S::Rejected, B::Channel, "the carrier refused it"),
        end("UNKNOWN", S::Unknown, B::None, "the carrier does not know"),
        end("1", S::Undelivered, B::Recipient, "no such number, or the handset is off"),
        end("12", S::Undelivered, B::Recipient, "no such number, or the handset is off"),
        end("BLACK", S::Rejected, B::Recipient, "the number is on a blacklist"),
        end("MBBLACK", S::Rejected, B::Recipient, "the number is on a blacklist"),
        end("MILIMIT", S::Rejected, B::Recipient, "too many messages to this number in a minute"),
        end("LIMIT", S::Rejected, B::Recipient, "too many messages to this number"),
        end("BEYONDN", S::Rejected, B::Recipient, "too many messages to this number"),
        end("KEYWORD", S::Rejected, B::Content, "the text holds forbidden words"),
        end("E200038", S::Rejected, B::Channel, "parts of a long message did not come in time"),
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
