//! Huawei's codes with their HTTP status; messages are the lab's own.
//!
//! Source: fact sheet, "Errors", and the published table of API error codes. Which of E000006 to E000008 and E000021 to
//! E000027 is for which header is UNCONFIRMED, and so is the HTTP status of each code. Those from E200000 up are
//! statuses of numbers: a call that one refuses is answered by E000510 with a result for each number.

use crate::codes::{codes, ends};

codes! {
    SYSTEM_ERROR = "E000000", 400, "System error.";
    NO_AUTHORIZATION = "E000001", 401, "Authorization not contained in the HTTP header.";
    NO_REALM = "E000002", 401, "realm not contained in Authorization.";
    NO_PROFILE = "E000003", 401, "profile not contained in Authorization.";
    WRONG_REALM = "E000004", 401, "realm in Authorization must be SDP.";
    WRONG_PROFILE = "E000005", 401, "profile in Authorization must be UsernameToken.";
    WRONG_TYPE = "E000006", 401, "type in Authorization must be Appkey.";
    NO_TYPE = "E000007", 401, "type not contained in Authorization.";
    NOT_WSSE = "E000008", 401, "Authorization is not WSSE.";
    NO_X_WSSE = "E000020", 401, "X-WSSE not contained in the HTTP header.";
    NO_USERNAME_TOKEN = "E000021", 401, "UsernameToken not contained in X-WSSE.";
    NO_USERNAME = "E000022", 401, "Username not contained in X-WSSE.";
    NO_NONCE = "E000023", 401, "Nonce not contained in X-WSSE.";
    NO_CREATED = "E000024", 401, "Created not contained in X-WSSE.";
    NO_DIGEST = "E000025", 401, "PasswordDigest not contained in X-WSSE.";
    CREATED_FORMAT = "E000026", 401, "The format of Created is wrong.";
    NONCE_FORMAT = "E000027", 401, "The format of Nonce is wrong.";
    HEADERS = "E000040", 400, "The headers are wrong.";
    SIGNATURE = "E000045", 401, "The signature is wrong.";
    AUTH_FAILED = "E000101", 401, "Authentication failed.";
    APP_KEY_INVALID = "E000102", 401, "The app_key is invalid.";
    APP_KEY_UNUSABLE = "E000103", 401, "The app_key is not usable.";
    APP_SECRET_INVALID = "E000104", 401, "The app_secret is invalid.";
    DIGEST_INVALID = "E000105", 401, "The PasswordDigest is invalid.";
    NO_PERMISSION = "E000106", 403, "This app_key has no permission to call this API.";
    NOT_ACTIVE = "E000109", 403, "The user is not active.";
    TIME_LIMIT = "E000110", 401, "Time limit exceeded.";
    USER_OR_PASSWORD = "E000111", 401, "User or password is wrong.";
    FROZEN = "E000112", 403, "The user is frozen.";
    PARAMETER_FORMAT = "E000503", 400, "The parameter format is wrong.";
    SOME_FAILED = "E000510", 200, "The SMS fails to be sent. For details, see status.";
    IP_NOT_ALLOWED = "E000620", 403, "The IP address is not in the whitelist.";
    VOLUME_QUOTA = "E000623", 403, "The volume reached the limit.";
    TOO_MANY_PENDING = "E200015", 200, "Too many messages are waiting.";
    CHANNEL_MISMATCH = "E200018", 200, "The channel does not match.";
    SIGNATURE_MISMATCH = "E200020", 200, "The signature does not match the channel.";
    VARIABLE_CHECK = "E200028", 200, "The variables do not match the template.";
    TEMPLATE_TYPE = "E200029", 200, "The template type does not match.";
    TEMPLATE_INACTIVE = "E200030", 200, "The template is not active.";
    PROTOCOL_CHECK = "E200031", 200, "The protocol check failed.";
    TEMPLATE_NEEDED = "E200032", 200, "A template is needed.";
    WRONG_TEMPLATE_TYPE = "E200033", 200, "The template is of the wrong type.";
    RETRANSMIT_TIMEOUT = "E200034", 200, "The retransmission timed out.";
    CHANNEL_RATE = "E200036", 200, "The rate of the channel is used up.";
    DUPLICATE_NUMBER = "E200041", 200, "The number is in the call twice.";
}

// The state is the `source` of the report: 2 the SMSC, 3 Huawei's platform.
ends! {
    DELIVRD = "DELIVRD", true, "用户已成功收到短信", "2";
    EXPIRED = "EXPIRED", false, "短信已超时", "3";
    DELETED = "DELETED", false, "短信已删除", "2";
    UNDELIV = "UNDELIV", false, "短信递送失败", "2";
    REJECTD = "REJECTD", false, "短信被运营商拒绝", "2";
    EMPTY_NUMBER = "1", false, "空号", "2";
    POWERED_OFF = "12", false, "用户关机", "2";
    KEYWORD = "KEYWORD", false, "短信内容含敏感词", "3";
    BLACK = "BLACK", false, "号码在平台黑名单中", "3";
    MBBLACK = "MBBLACK", false, "号码在运营商黑名单中", "2";
    MILIMIT = "MILIMIT", false, "号码超过发送频率", "3";
    LIMIT = "LIMIT", false, "号码超过发送量", "3";
}
