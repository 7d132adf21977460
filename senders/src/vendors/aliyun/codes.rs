//! The documented codes of Alibaba Cloud SMS (Dysmsapi 2017-05-25): what follows each, and whose fault it is.
//!
//! Source: help.aliyun.com, error codes of SendSms and of SmsReport, and the enums that public clients copied from
//! there. The classification is ours. Names of gateway codes (`Throttling.*`, `ServiceUnavailable`) are not
//! confirmed by that documentation.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};

use crate::vendors::codes::{Catalogue, ReceiptCode, SubmitCode, end, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    receipt: RECEIPT,
};

/// Every documented code that refuses a call.
#[rustfmt::skip]
pub static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("isp.SYSTEM_ERROR", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("isp.GATEWAY_ERROR", D::RetrySame, B::Channel, "the vendor's gateway failed"),
        row("IS_CLOSE", D::RetrySame, B::Channel, "the vendor's channel to the carrier is closed"),
        row("Throttling.*", D::RetrySame, B::Capacity, "too many calls"),
        row("ServiceUnavailable", D::RetrySame, B::Channel, "the API is unavailable for now"),
        // The second time each goes alone.
        row("isv.MOBILE_COUNT_OVER_LIMIT", D::RetrySame, B::App, "too many numbers in one call"),

        row("NO_ROUTE", D::RetryOther, B::None, "no route to the number"),
        row("isv.DOMESTIC_NUMBER_NOT_SUPPORTED", D::RetryOther, B::App, "an international template does not send to the mainland"),
        row("isv.DAY_LIMIT_CONTROL", D::RetryOther, B::Capacity, "the account's own daily cap is reached"),
        row("isv.MONTH_LIMIT_CONTROL", D::RetryOther, B::Capacity, "the account's own monthly cap is reached"),

        row("isv.SMS_TEMPLATE_ILLEGAL", D::RetryOther, B::App, "the template is not approved on this account"),
        row("isv.SMS_SIGNATURE_ILLEGAL", D::RetryOther, B::App, "the signature is not approved on this account"),
        row("isv.SMS_SIGN_ILLEGAL", D::RetryOther, B::App, "the signature may not be used on this account"),
        row("isv.SIGN_STATE_ILLEGAL", D::RetryOther, B::App, "the signature is not in a usable state"),
        row("isv.SMS_SIGNATURE_SCENE_ILLEGAL", D::RetryOther, B::App, "the signature is not approved for this kind of message"),

        row("isv.MOBILE_NUMBER_ILLEGAL", D::PermanentRecipient, B::Recipient, "not a valid number"),
        row("isv.BLACK_KEY_CONTROL_LIMIT", D::PermanentRecipient, B::Recipient, "the number is on a blacklist"),
        row("isv.CUSTOMER_REFUSED", D::PermanentRecipient, B::Recipient, "the recipient has unsubscribed"),
        // A cap per number over the account; another vendor would only go around it.
        row("isv.BUSINESS_LIMIT_CONTROL", D::PermanentRecipient, B::Recipient, "too many messages to this number"),
        row("isv.SMS_TEST_NUMBER_LIMIT", D::PermanentRecipient, B::App, "test templates send only to the account's test numbers"),

        row("isv.TEMPLATE_MISSING_PARAMETERS", D::PermanentContent, B::App, "a variable of the template has no value"),
        row("isv.TEMPLATE_PARAMS_ILLEGAL", D::PermanentContent, B::Content, "a value breaks the rules of its variable"),
        row("isv.INVALID_JSON_PARAM", D::PermanentContent, B::App, "the variables are not JSON of strings"),
        row("isv.INVALID_PARAMETERS", D::PermanentContent, B::App, "a parameter of the call is wrong"),
        row("isv.PARAM_LENGTH_LIMIT", D::PermanentContent, B::Content, "a value is too long"),
        row("isv.PARAM_NOT_SUPPORT_URL", D::PermanentContent, B::Content, "a value holds a link"),
        row("isv.SMS_CONTENT_ILLEGAL", D::PermanentContent, B::Content, "the text holds forbidden words"),
        row("isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE", D::PermanentContent, B::App, "the text does not fit the type of the template"),
        row("isv.UNSUPPORTED_CONTENT", D::PermanentContent, B::Content, "the text has characters that cannot be sent"),
        row("isv.EXTEND_CODE_ERROR", D::PermanentContent, B::App, "the extension code is in use"),

        row("isv.OUT_OF_SERVICE", D::Account, B::Account, "the account is suspended"),
        row("isv.AMOUNT_NOT_ENOUGH", D::Account, B::Account, "the balance is used up"),
        row("isv.ACCOUNT_NOT_EXISTS", D::Account, B::Account, "the account does not exist"),
        row("isv.ACCOUNT_ABNORMAL", D::Account, B::Account, "the account is not in order"),
        row("isv.SECURITY_FROZEN_ACCOUNT", D::Account, B::Account, "the account is frozen"),
        row("isv.PRODUCT_UN_SUBSCRIPT", D::Account, B::Account, "the SMS product is not activated"),
        row("isv.PRODUCT_UNSUBSCRIBE", D::Account, B::Account, "the SMS product is not activated"),
        row("isv.DENY_IP_RANGE", D::Account, B::Account, "this machine's address is not allowed"),
        row("isp.RAM_PERMISSION_DENY", D::Account, B::Account, "the access key may not send"),
        row("SignatureDoesNotMatch", D::Account, B::Account, "the access key secret is wrong"),
        row("InvalidAccessKeyId.NotFound", D::Account, B::Account, "the access key does not exist"),
        row("InvalidTimeStamp.Expired", D::Account, B::Account, "this machine's clock is wrong"),
        // Nonces are 128 random bits, used once. That the vendor saw one before means that something between
        // repeated our bytes, and then the first copy may have been accepted.
        row("SignatureNonceUsed", D::Unknown, B::Channel, "the same request came twice"),
        // After those that are listed.
        row("isp.*", D::Unknown, B::Channel, "the vendor's system failed; whether before it took the message is not known"),
    ]
};

/// Every documented code of receipts.
#[rustfmt::skip]
pub static RECEIPT: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("DELIVERED", S::Delivered, B::None, "the handset has it"),
        end("REQUEST_SUCCESS", S::Pending, B::None, "accepted by the carrier; wait"),
        end("MOBILE_NOT_ON_SERVICE", S::Undelivered, B::Recipient, "the number is out of service or off"),
        end("MOBILE_ACCOUNT_ABNORMAL", S::Undelivered, B::Recipient, "the subscriber's account is not in order"),
        end("MOBLLE_TERMINAL_ERROR", S::Undelivered, B::Recipient, "the handset failed (spelled so by the vendor)"),
        end("INVALID_NUMBER", S::Undelivered, B::Recipient, "not a valid number"),
        end("SP_UNKNOWN_ERROR", S::Undelivered, B::Channel, "the carrier failed for a reason it does not give"),
        end("MOBILE_SEND_LIMIT", S::Rejected, B::Recipient, "too many messages to this number"),
        end("MOBILE_IN_BLACK", S::Rejected, B::Recipient, "the number is on a blacklist"),
        end("USER_REJECT", S::Rejected, B::Recipient, "the recipient has unsubscribed"),
        end("CONTENT_KEYWORD", S::Rejected, B::Content, "the text holds forbidden words"),
        end("CONTENT_ERROR", S::Rejected, B::Content, "the text is not allowed, such as no opt-out in marketing"),
        end("PORT_NOT_REGISTERED", S::Rejected, B::App, "the signature is not filed under a real name"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn submit(code: &str) -> Option<&'static SubmitCode> {
        CATALOGUE.submit(code)
    }

    fn receipt_blame(code: &str) -> Blame {
        CATALOGUE.receipt_blame(code)
    }

    /// The documented lists by class, kept apart from the table on purpose.
    const SHEET: &str = "
retry_same: isp.SYSTEM_ERROR isp.GATEWAY_ERROR IS_CLOSE Throttling.* ServiceUnavailable
retry_other: NO_ROUTE isv.DOMESTIC_NUMBER_NOT_SUPPORTED isv.DAY_LIMIT_CONTROL isv.MONTH_LIMIT_CONTROL
permanent_recipient: isv.MOBILE_NUMBER_ILLEGAL isv.BLACK_KEY_CONTROL_LIMIT isv.CUSTOMER_REFUSED
permanent_recipient: isv.BUSINESS_LIMIT_CONTROL isv.SMS_TEST_NUMBER_LIMIT
not_approved: isv.SMS_TEMPLATE_ILLEGAL isv.SMS_SIGNATURE_ILLEGAL isv.SMS_SIGN_ILLEGAL isv.SIGN_STATE_ILLEGAL
not_approved: isv.SMS_SIGNATURE_SCENE_ILLEGAL
permanent_content: isv.TEMPLATE_MISSING_PARAMETERS isv.TEMPLATE_PARAMS_ILLEGAL isv.INVALID_JSON_PARAM
permanent_content: isv.INVALID_PARAMETERS isv.PARAM_LENGTH_LIMIT isv.PARAM_NOT_SUPPORT_URL isv.SMS_CONTENT_ILLEGAL
permanent_content: isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE isv.UNSUPPORTED_CONTENT isv.EXTEND_CODE_ERROR
too_many: isv.MOBILE_COUNT_OVER_LIMIT
account: isv.OUT_OF_SERVICE isv.AMOUNT_NOT_ENOUGH isv.ACCOUNT_NOT_EXISTS isv.ACCOUNT_ABNORMAL
account: isv.SECURITY_FROZEN_ACCOUNT isv.PRODUCT_UN_SUBSCRIPT isv.PRODUCT_UNSUBSCRIBE isv.DENY_IP_RANGE
account: isp.RAM_PERMISSION_DENY SignatureDoesNotMatch InvalidAccessKeyId.NotFound InvalidTimeStamp.Expired
unknown: SignatureNonceUsed isp.*
";
    const RECEIPT_SHEET: &str = "DELIVERED MOBILE_NOT_ON_SERVICE MOBILE_SEND_LIMIT MOBILE_ACCOUNT_ABNORMAL \
        MOBILE_IN_BLACK MOBLLE_TERMINAL_ERROR CONTENT_KEYWORD CONTENT_ERROR INVALID_NUMBER USER_REJECT \
        SP_UNKNOWN_ERROR PORT_NOT_REGISTERED REQUEST_SUCCESS";

    fn allowed(class: &str) -> (Disposition, &'static [Blame]) {
        use Blame as B;
        match class {
            "retry_same" => (Disposition::RetrySame, &[B::Capacity, B::Channel]),
            "retry_other" => (Disposition::RetryOther, &[B::Capacity, B::None, B::App]),
            "not_approved" => (Disposition::RetryOther, &[B::App]),
            "too_many" => (Disposition::RetrySame, &[B::App]),
            "permanent_recipient" => (Disposition::PermanentRecipient, &[B::Recipient, B::App]),
            "permanent_content" => (Disposition::PermanentContent, &[B::Content, B::App]),
            "account" => (Disposition::Account, &[B::Account]),
            "unknown" => (Disposition::Unknown, &[B::Channel]),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_documented_submit_code_has_its_class_and_no_other_code_is_listed() {
        let mut listed = BTreeSet::new();
        for line in SHEET.trim().lines() {
            let (class, codes) = line.split_once(':').unwrap();
            let (disposition, blames) = allowed(class);
            for code in codes.split_whitespace() {
                let row = submit(code).unwrap_or_else(|| panic!("{code} is missing"));
                assert_eq!(row.code, code);
                assert_eq!(row.disposition, disposition, "{code}");
                assert!(blames.contains(&row.blame), "{code} blames {:?}", row.blame);
                assert!(listed.insert(code), "{code} is listed twice");
            }
        }
        let table: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        assert_eq!(table, listed);
        assert_eq!(table.len(), SUBMIT.len(), "a row is repeated");
    }

    #[test]
    fn every_documented_receipt_code_has_a_row_and_no_other_code_is_listed() {
        let listed: BTreeSet<&str> = RECEIPT_SHEET.split_whitespace().collect();
        let table: BTreeSet<&str> = RECEIPT.iter().map(|row| row.code).collect();
        assert_eq!(table, listed);
        assert_eq!(table.len(), RECEIPT.len(), "a row is repeated");
    }

    #[test]
    fn a_family_covers_its_members_and_nothing_that_only_looks_alike() {
        for code in ["Throttling", "Throttling.User", "throttling.Api"] {
            assert_eq!(submit(code).map(|r| r.code), Some("Throttling.*"), "{code}");
        }
        assert_eq!(submit("isp.NEW").map(|r| r.code), Some("isp.*"));
        let listed = submit("isp.RAM_PERMISSION_DENY").map(|r| r.disposition);
        assert_eq!(listed, Some(Disposition::Account));
        assert_eq!(submit("ThrottlingX"), None);
        assert_eq!(submit("测"), None);
        assert_eq!(submit(""), None);
    }

    #[test]
    fn only_carrier_failures_without_a_reason_blame_the_channel_in_receipts() {
        assert_eq!(receipt_blame("MOBILE_NOT_ON_SERVICE"), Blame::Recipient);
        assert_eq!(receipt_blame("sp_unknown_error"), Blame::Channel);
        assert_eq!(receipt_blame("MB:1026"), Blame::Channel);
        assert_eq!(receipt_blame("delivered"), Blame::None);
    }
}
