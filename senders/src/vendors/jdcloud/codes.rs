//! The codes of JD Cloud SMS: what follows each, and whose fault it is.
//!
//! Source: the API reference (`INVALID_ARGUMENT`, `INTERNAL`) and one sample of a refusal (11572106). What 401, 403 and 429
//! mean is an assumption. Other codes of the form 1157xxxx exist and are not documented: the words of their message are
//! looked for, in this order. The classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// Codes that refuse a call, and words of messages.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("11572106", D::Account, B::Account, "the package is used up"),

        row("INTERNAL", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("429", D::RetrySame, B::Capacity, "too many calls"),
        row("INVALID_ARGUMENT", D::PermanentContent, B::App, "a parameter of the call is wrong"),
        row("401", D::Account, B::Account, "the key is wrong, or this machine's clock"),
        row("403", D::Account, B::Account, "the account may not send"),

        row("*余量*", D::Account, B::Account, "the package is used up"),
        row("*余额*", D::Account, B::Account, "the balance is used up"),
        // What no other vendor may be tried with goes before what another may have approved.
        row("*敏感*", D::PermanentContent, B::Content, "the text holds forbidden words"),
        row("*黑名单*", D::PermanentRecipient, B::Recipient, "the number is on a blacklist"),
        row("*签名*", D::RetryOther, B::App, "the signature is not approved on this account"),
        row("*模板*", D::RetryOther, B::App, "the template is not approved on this account, or its variables are wrong"),
        row("*号码*", D::PermanentRecipient, B::Recipient, "not a valid number, or too many messages to it"),
        row("*频*", D::RetrySame, B::Capacity, "too many calls"),
    ]
};

/// `code` of a report is the carrier's word; those that are the same for all carriers.
#[rustfmt::skip]
static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("DELIVRD", S::Delivered, B::None, "the handset has it"),
        end("DELIVERED", S::Delivered, B::None, "the handset has it"),
        end("SUCCESS", S::Delivered, B::None, "the handset has it"),
        end("0", S::Delivered, B::None, "the handset has it"),
        end("ACCEPTD", S::Pending, B::None, "accepted by the carrier; wait"),
        end("EXPIRED", S::Expired, B::Recipient, "the handset was not reached in time"),
        end("UNDELIV", S::Undelivered, B::Recipient, "the handset could not be reached"),
        end("MK:0001", S::Undelivered, B::Recipient, "no such number (not confirmed)"),
        end("MN:0001", S::Undelivered, B::Recipient, "no such number (not confirmed)"),
        end("DELETED", S::Undelivered, B::Channel, "the carrier deleted it"),
        end("REJECTD", S::Rejected, B::Channel, "the carrier refused it"),
        end("BLACK", S::Rejected, B::Recipient, "the number is on a blacklist"),
        end("KEYWORD", S::Rejected, B::Content, "the text holds forbidden words"),
        end("UNKNOWN", S::Unknown, B::None, "the carrier does not know"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_stands_twice_and_every_documented_one_is_there() {
        let submit: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        let receipt: BTreeSet<&str> = RECEIPT.iter().map(|row| row.code).collect();
        assert_eq!((submit.len(), receipt.len()), (SUBMIT.len(), RECEIPT.len()));
        let disposition = |code: &str| CATALOGUE.submit(code).map(|row| row.disposition);
        for (code, want) in [
            ("11572106", Disposition::Account),
            ("INVALID_ARGUMENT", Disposition::PermanentContent),
            ("INTERNAL", Disposition::RetrySame),
        ] {
            assert_eq!(disposition(code), Some(want), "{code}");
        }
    }

    #[test]
    fn words_tell_what_an_undocumented_code_means() {
        let class = |said: &str| CATALOGUE.in_words(said).map(|row| row.disposition);
        let said = "批量发送短信接口, 套餐包余量不足";
        assert_eq!(class(said), Some(Disposition::Account));
        assert_eq!(
            class("手机号码格式错误"),
            Some(Disposition::PermanentRecipient)
        );
        let said = "模板变量包含敏感词";
        assert_eq!(class(said), Some(Disposition::PermanentContent));
        assert_eq!(class("INTERNAL"), None);
    }
}
