//! Tencent's codes. All come with HTTP 200; messages are the lab's own.
//!
//! Source: fact sheet, "Errors". `InvalidAction`, `NoSuchVersion`, `MissingParameter` and the `AuthFailure` family are of
//! the gateway that all Tencent APIs share.

use crate::codes::{codes, ends};

codes! {
    INVALID_ACTION = "InvalidAction", 200, "The action does not exist.";
    NO_SUCH_VERSION = "NoSuchVersion", 200, "The version does not exist.";
    MISSING_REGION = "MissingParameter", 200, "The request is missing X-TC-Region.";
    MISSING_PARAMETER = "MissingParameter.EmptyPhoneNumberSet", 200, "A parameter is missing.";
    UNKNOWN_PARAMETER = "UnknownParameter", 200, "A parameter is not known.";
    INVALID_PARAMETER = "InvalidParameter", 200, "A parameter is wrong.";
    INVALID_AUTHORIZATION = "AuthFailure.InvalidAuthorization", 200, "The header Authorization is not of the documented form.";
    SECRET_ID_NOT_FOUND = "AuthFailure.SecretIdNotFound", 200, "The SecretId is not found.";
    SIGNATURE_EXPIRE = "AuthFailure.SignatureExpire", 200, "The signature has expired.";
    SIGNATURE_FAILURE = "AuthFailure.SignatureFailure", 200, "The provided credentials could not be validated.";
    REQUEST_LIMIT_EXCEEDED = "RequestLimitExceeded", 200, "Too many requests.";
    OTHER_ERROR = "InternalError.OtherError", 200, "An internal error.";
    TIMEOUT = "InternalError.Timeout", 200, "The request timed out inside.";
    SDK_APP_ID_NOT_EXIST = "InvalidParameterValue.SdkAppIdNotExist", 200, "The SdkAppId does not exist.";
    INCORRECT_PHONE_NUMBER = "InvalidParameterValue.IncorrectPhoneNumber", 200, "invalid phone number";
    PHONE_NUMBER_IN_BLACKLIST = "FailedOperation.PhoneNumberInBlacklist", 200, "the number is in the blacklist";
    PHONE_NUMBER_DAILY_LIMIT = "LimitExceeded.PhoneNumberDailyLimit", 200, "the number has its share for the day";
    PHONE_NUMBER_COUNT_LIMIT = "LimitExceeded.PhoneNumberCountLimit", 200, "more than 200 numbers";
    MIXED_NUMBERS = "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber", 200, "numbers of the mainland and of abroad";
    INSUFFICIENT_BALANCE = "FailedOperation.InsufficientBalanceInSmsPackage", 200, "the package is used up";
    TEMPLATE_UNAPPROVED = "FailedOperation.TemplateUnapprovedOrNotExist", 200, "the template is not approved or does not exist";
    SIGNATURE_UNAPPROVED = "FailedOperation.SignatureIncorrectOrUnapproved", 200, "the signature is not approved";
    MISSING_SIGNATURE = "FailedOperation.MissingSignature", 200, "the signature is missing";
    PARAMS_DO_NOT_MATCH = "FailedOperation.TemplateParamSetNotMatchApprovedTemplate", 200, "the variables do not match the template";
    SESSION_CONTEXT_TOO_LONG = "InvalidParameterValue.ContentLengthLimit", 200, "SessionContext is too long";
}

ends! {
    DELIVRD = "DELIVRD", true, "用户短信送达成功", "SUCCESS";
    UNDELIV = "UNDELIV", false, "用户未收到", "FAIL";
    REJECTD = "REJECTD", false, "运营商拒绝", "FAIL";
    EXPIRED = "EXPIRED", false, "超时", "FAIL";
    MB_1026 = "MB:1026", false, "运营商返回失败", "FAIL";
}
