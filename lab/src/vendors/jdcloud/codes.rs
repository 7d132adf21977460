//! JD Cloud's codes: those of the gateway with their HTTP status, those of the service with 200; messages are the lab's own.
//!
//! Source: fact sheet, "Response", "Errors": 11572106 and its message, INVALID_ARGUMENT and INTERNAL are documented. 401,
//! 403 and 429, their words, and the other numbers of the service are the lab's own: UNCONFIRMED, to be told by their text.

use crate::codes::{codes, ends};

codes! {
    INVALID_ARGUMENT = "INVALID_ARGUMENT", 400, "The argument is not valid";
    PHONE_LIST = "INVALID_ARGUMENT", 400, "phoneList has a number that is not valid";
    NO_AUTHORIZATION = "UNAUTHENTICATED", 401, "Authorization is not of the documented form";
    NO_SUCH_KEY = "UNAUTHENTICATED", 401, "The access key does not exist";
    NO_DATE = "UNAUTHENTICATED", 401, "x-jdcloud-date is not of the documented form";
    OLD_DATE = "UNAUTHENTICATED", 401, "x-jdcloud-date is too far from the time of the server";
    NO_NONCE = "UNAUTHENTICATED", 401, "x-jdcloud-nonce is missing";
    NONCE_USED = "UNAUTHENTICATED", 401, "x-jdcloud-nonce was used already";
    SCOPE = "UNAUTHENTICATED", 401, "The scope of the credential does not match";
    CONTENT_HASH = "UNAUTHENTICATED", 401, "x-jdcloud-content-sha256 is not the hash of the body";
    SIGNED_HEADERS = "UNAUTHENTICATED", 401, "SignedHeaders is not of the documented form";
    SIGNATURE = "UNAUTHENTICATED", 401, "The signature does not match";
    GENERATION = "PERMISSION_DENIED", 403, "This generation of the signature is not open to the account";
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS", 429, "Too many requests";
    INTERNAL = "INTERNAL", 500, "Internal error";
    PACKAGE_USED_UP = "11572106", 200, "批量发送短信接口, 套餐包余量不足";
    BLACKLISTED = "11572901", 200, "批量发送短信接口, 手机号码在黑名单中";
    NUMBER_TOO_OFTEN = "11572902", 200, "批量发送短信接口, 手机号码发送次数超过上限";
    TEMPLATE = "11572903", 200, "批量发送短信接口, 模板不存在或未审核通过";
    SIGN = "11572904", 200, "批量发送短信接口, 签名不存在或未审核通过";
    APP = "11572905", 200, "短信回复接口, 应用不存在";
}

ends! {
    DELIVRD = "DELIVRD", true, "", "0";
    UNDELIV = "UNDELIV", false, "", "1";
    REJECTD = "REJECTD", false, "", "1";
    EXPIRED = "EXPIRED", false, "", "1";
    MB_1026 = "MB:1026", false, "", "1";
}
