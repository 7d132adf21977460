//! The documented codes of Tencent Cloud SMS (2021-01-11): what follows each, and whose fault it is.
//!
//! Source: `errorcodes.py` of `tencentcloud-sdk-python-sms` 3.1.153; the codes of the gateway (`RequestLimitExceeded`,
//! `AuthFailure`, `MissingParameter`) are those of all its APIs. The classification is ours.

use jixinda_schemas::vendor::{Blame, Disposition};

use crate::vendors::codes::{CARRIERS, Catalogue, SubmitCode, row};

/// Both tables.
pub const CATALOGUE: Catalogue = Catalogue {
    submit: SUBMIT,
    // `errmsg` of a receipt is the carrier's word.
    receipt: CARRIERS,
};

/// Every documented code that refuses a number or a call.
#[rustfmt::skip]
static SUBMIT: &[SubmitCode] = {
    use Blame as B;
    use Disposition as D;
    &[
        row("InternalError.Timeout", D::Unknown, B::Channel, "the vendor's own request timed out: it may have been taken"),
        row("InternalError.SendAndRecvFail", D::Unknown, B::Channel, "the vendor's own request failed: it may have been taken"),
        row("InternalError.OtherError", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("InternalError.UnknownError", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("InternalError.ParseBackendResponseFail", D::Unknown, B::Channel, "the vendor's own request had an answer that it cannot read"),
        row("InternalError.JsonParseFail", D::RetrySame, B::Channel, "the vendor's system failed"),
        row("RequestLimitExceeded.*", D::RetrySame, B::Capacity, "too many calls"),
        row("LimitExceeded.GlobalSmsSendingRateLimit", D::RetrySame, B::Capacity, "too many messages a second"),
        // The second time each goes alone.
        row("LimitExceeded.PhoneNumberCountLimit", D::RetrySame, B::App, "too many numbers in one call"),
        row("UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber", D::RetrySame, B::App, "numbers of the mainland and of abroad in one call"),

        row("UnsupportedOperation.UnsupportedRegion", D::RetryOther, B::None, "the region is not supported"),
        row("UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone", D::RetryOther, B::App, "a mainland template does not send abroad"),
        row("UnsupportedOperation.GlobalTemplateToChineseMainlandPhone", D::RetryOther, B::App, "a template for abroad does not send to the mainland"),
        row("LimitExceeded.AppDailyLimit", D::RetryOther, B::Capacity, "the application's daily cap is reached"),
        row("LimitExceeded.AppMainlandChinaDailyLimit", D::RetryOther, B::Capacity, "the application's daily cap for the mainland is reached"),
        row("LimitExceeded.AppGlobalDailyLimit", D::RetryOther, B::Capacity, "the application's daily cap for abroad is reached"),
        row("LimitExceeded.DailyLimit", D::RetryOther, B::Capacity, "the daily cap for abroad is reached"),
        row("LimitExceeded.AppCountryOrRegionDailyLimit", D::RetryOther, B::Capacity, "the application's daily cap for the country is reached"),
        row("LimitExceeded.AppCountryOrRegionInBlacklist", D::RetryOther, B::App, "the country is switched off for the application"),
        row("FailedOperation.MarketingSendTimeConstraint", D::RetryOther, B::App, "marketing is sent from 08:00 to 22:00 only"),

        row("FailedOperation.SignatureIncorrectOrUnapproved", D::RetryOther, B::App, "the signature is not approved on this account"),
        row("FailedOperation.TemplateIncorrectOrUnapproved", D::RetryOther, B::App, "the template is not approved on this account"),
        row("FailedOperation.TemplateUnapprovedOrNotExist", D::RetryOther, B::App, "the template is not approved on this account"),
        row("FailedOperation.TemplateIdNotExist", D::RetryOther, B::App, "the template does not exist on this account"),
        row("FailedOperation.SignIdNotExist", D::RetryOther, B::App, "the signature does not exist on this account"),

        row("InvalidParameterValue.IncorrectPhoneNumber", D::PermanentRecipient, B::Recipient, "not a valid number"),
        row("FailedOperation.PhoneNumberParseFail", D::PermanentRecipient, B::Recipient, "not a valid number"),
        row("FailedOperation.PhoneNumberInBlacklist", D::PermanentRecipient, B::Recipient, "the number is on a blacklist"),
        row("LimitExceeded.PhoneNumberDailyLimit", D::PermanentRecipient, B::Recipient, "too many messages to this number today"),
        row("LimitExceeded.PhoneNumberOneHourLimit", D::PermanentRecipient, B::Recipient, "too many messages to this number in an hour"),
        row("LimitExceeded.PhoneNumberThirtySecondLimit", D::PermanentRecipient, B::Recipient, "too many messages to this number in 30 s"),
        row("LimitExceeded.PhoneNumberSameContentDailyLimit", D::PermanentRecipient, B::Recipient, "too often the same text to this number"),
        row("LimitExceeded.DeliveryFrequencyLimit", D::PermanentRecipient, B::Recipient, "too many messages to this number"),

        row("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", D::PermanentContent, B::App, "the variables do not fit the template"),
        row("FailedOperation.ContainSensitiveWord", D::PermanentContent, B::Content, "the text holds forbidden words"),
        row("FailedOperation.MissingSignature", D::PermanentContent, B::App, "the signature is missing"),
        row("InvalidParameter.DirtyWordFound", D::PermanentContent, B::Content, "the text holds forbidden words"),
        row("InvalidParameterValue.ContentLengthLimit", D::PermanentContent, B::Content, "the text is too long"),
        row("InvalidParameterValue.TemplateParameterFormatError", D::PermanentContent, B::Content, "a value breaks the rules of its variable"),
        row("InvalidParameterValue.TemplateParameterLengthLimit", D::PermanentContent, B::Content, "a value is too long"),
        row("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter", D::PermanentContent, B::Content, "a value holds a link"),
        row("MissingParameter.*", D::PermanentContent, B::App, "a parameter of the call is missing"),

        row("AuthFailure.*", D::Account, B::Account, "the key is wrong, or this machine's clock"),
        row("UnauthorizedOperation.*", D::Account, B::Account, "the account may not send: address, application, arrears or permission"),
        row("FailedOperation.InsufficientBalanceInSmsPackage", D::Account, B::Account, "the package is used up"),
        row("InvalidParameterValue.SdkAppIdNotExist", D::Account, B::Account, "the application does not exist"),
        row("InvalidParameter.AppidAndBizId", D::Account, B::Account, "the account and the application do not belong together"),
        row("InternalError.RequestTimeException", D::Account, B::Account, "this machine's clock is wrong"),
        row("InternalError.SigVerificationFail", D::Account, B::Account, "the signature of the call is wrong"),
        row("InternalError.SigFieldMissing", D::Account, B::Account, "the signature of the call is missing"),
        // After those that are listed.
        row("InternalError.*", D::Unknown, B::Channel, "the vendor's system failed; whether before it took the message is not known"),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_stands_twice_and_families_cover_their_members() {
        let codes: BTreeSet<&str> = SUBMIT.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), SUBMIT.len());
        let disposition = |code: &str| CATALOGUE.submit(code).map(|row| row.disposition);
        for (code, want) in [
            ("AuthFailure.SignatureFailure", Disposition::Account),
            (
                "UnauthorizedOperation.ServiceSuspendDueToArrears",
                Disposition::Account,
            ),
            ("RequestLimitExceeded", Disposition::RetrySame),
            ("InternalError.SigVerificationFail", Disposition::Account),
            ("InternalError", Disposition::Unknown),
            ("InternalError.New", Disposition::Unknown),
            (
                "MissingParameter.EmptyPhoneNumberSet",
                Disposition::PermanentContent,
            ),
        ] {
            assert_eq!(disposition(code), Some(want), "{code}");
        }
        assert_eq!(disposition("FailedOperation.New"), None);
    }
}
