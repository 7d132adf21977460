//! The words by which Lexin says why: what follows each, and whose fault it is.
//!
//! Source: none that the vendor has documented. A refusal is `replyCode` 0 with a text; the words to look for, in this order,
//! are ours. A text without any of them counts against the channel, and another is tried.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// Of a call whose only number, or every number, was not taken.
pub(super) const FAILED: &str = "failedNum";

/// Words of `replyMsg`, the first that fits.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("*余额*", D::Account, B::Account, "the balance is used up"),
        row("*账号*", D::Account, B::Account, "the account's name is wrong"),
        row("*帐号*", D::Account, B::Account, "the account's name is wrong"),
        row("*密码*", D::Account, B::Account, "the password is wrong"),
        row("*权限*", D::Account, B::Account, "the account may not send"),
        row("*IP*", D::Account, B::Account, "this machine's address is not allowed"),

        row("*敏感*", D::PermanentContent, B::Content, "the text holds forbidden words"),
        row("*黑名单*", D::PermanentRecipient, B::Recipient, "the number is on a blacklist"),
        // Of this account, not of the text: another channel may have them approved.
        row("*签名*", D::RetryOther, B::App, "the signature is missing or not approved on this account"),
        row("*模板*", D::RetryOther, B::App, "the template is not approved on this account"),
        row("*内容*", D::PermanentContent, B::Content, "the text is not allowed"),

        row("*号码*", D::PermanentRecipient, B::Recipient, "not a valid number, or too many messages to it"),

        row("*频*", D::RetrySame, B::Capacity, "too many calls"),
        row("*流*", D::RetrySame, B::Capacity, "too many messages a second"),

        // No other word says why.
        row(FAILED, D::RetryOther, B::Recipient, "the number was not taken"),
    ]
};

/// `state` of a report.
#[rustfmt::skip]
static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("1", S::Delivered, B::None, "the handset has it"),
        end("0", S::Undelivered, B::Channel, "not delivered, for a reason that is not said"),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_that_fits_decides() {
        let class = |said: &str| CATALOGUE.in_words(said).map(|row| row.disposition);
        for (said, want) in [
            ("余额不足", Disposition::Account),
            ("用户账号或密码错误", Disposition::Account),
            ("IP地址未授权", Disposition::Account),
            ("短信内容未包含签名", Disposition::RetryOther),
            ("内容含有敏感词", Disposition::PermanentContent),
            ("签名含有敏感词", Disposition::PermanentContent),
            ("黑名单号码，模板审核中", Disposition::PermanentRecipient),
            ("手机号码错误", Disposition::PermanentRecipient),
            ("号码发送过于频繁", Disposition::PermanentRecipient),
            ("提交过于频繁", Disposition::RetrySame),
        ] {
            assert_eq!(class(said), Some(want), "{said}");
        }
        assert_eq!(class("系统维护"), None);
        assert_eq!(class("failedNum"), None);
    }
}
