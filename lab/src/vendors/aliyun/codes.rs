//! The codes that the vendor documents, with the form in which each is answered.
//!
//! Source: fact sheet, "Errors" and "Receipt codes seen". The sheet gives no HTTP status per gateway code:
//! 404 for an unknown key or action and 400 for the rest are what published traces show; the names
//! `Throttling.User` and `ServiceUnavailable` are UNCONFIRMED there, `IncompleteSignature` and
//! `InvalidTimeStamp.Format` are general gateway codes that it does not list. Messages are the lab's own.

use crate::codes::{codes, ends};

codes! {
    MISSING_PARAMETER = "MissingParameter", 400, "A parameter that is mandatory for this action is not supplied.";
    INVALID_VERSION = "InvalidVersion", 400, "Specified parameter Version is not valid.";
    INVALID_ACTION_NOT_FOUND = "InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method.";
    INVALID_ACCESS_KEY_ID_NOT_FOUND = "InvalidAccessKeyId.NotFound", 404, "Specified access key is not found.";
    INVALID_TIME_STAMP_FORMAT = "InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted.";
    INVALID_TIME_STAMP_EXPIRED = "InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.";
    SIGNATURE_DOES_NOT_MATCH = "SignatureDoesNotMatch", 400, "Specified signature is not matched with our calculation.";
    SIGNATURE_NONCE_USED = "SignatureNonceUsed", 400, "Specified signature nonce was used already.";
    INCOMPLETE_SIGNATURE = "IncompleteSignature", 400, "The request signature does not conform to Aliyun standards.";
    THROTTLING_USER = "Throttling.User", 429, "Request was denied due to user flow control.";
    SERVICE_UNAVAILABLE = "ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server.";
    MOBILE_NUMBER_ILLEGAL = "isv.MOBILE_NUMBER_ILLEGAL", 200, "手机号码格式错误";
    MOBILE_COUNT_OVER_LIMIT = "isv.MOBILE_COUNT_OVER_LIMIT", 200, "手机号码数量超过限制";
    BLACK_KEY_CONTROL_LIMIT = "isv.BLACK_KEY_CONTROL_LIMIT", 200, "黑名单管控";
    CUSTOMER_REFUSED = "isv.CUSTOMER_REFUSED", 200, "用户已退订";
    BUSINESS_LIMIT_CONTROL = "isv.BUSINESS_LIMIT_CONTROL", 200, "触发号码天级流控";
    SMS_TEST_NUMBER_LIMIT = "isv.SMS_TEST_NUMBER_LIMIT", 200, "只能向已绑定的测试号码发送";
    SMS_TEMPLATE_ILLEGAL = "isv.SMS_TEMPLATE_ILLEGAL", 200, "该账号下找不到对应模板";
    SMS_SIGNATURE_ILLEGAL = "isv.SMS_SIGNATURE_ILLEGAL", 200, "该账号下找不到对应签名";
    SMS_SIGN_ILLEGAL = "isv.SMS_SIGN_ILLEGAL", 200, "签名禁止使用";
    SIGN_STATE_ILLEGAL = "isv.SIGN_STATE_ILLEGAL", 200, "签名状态不可用";
    SMS_SIGNATURE_SCENE_ILLEGAL = "isv.SMS_SIGNATURE_SCENE_ILLEGAL", 200, "短信所使用签名场景非法";
    TEMPLATE_MISSING_PARAMETERS = "isv.TEMPLATE_MISSING_PARAMETERS", 200, "模板变量缺少对应参数值";
    TEMPLATE_PARAMS_ILLEGAL = "isv.TEMPLATE_PARAMS_ILLEGAL", 200, "传入的变量内容和实际申请模板时变量所选择的属性类型不匹配";
    INVALID_JSON_PARAM = "isv.INVALID_JSON_PARAM", 200, "参数格式错误，请修改为字符串值";
    INVALID_PARAMETERS = "isv.INVALID_PARAMETERS", 200, "参数格式不正确";
    PARAM_LENGTH_LIMIT = "isv.PARAM_LENGTH_LIMIT", 200, "参数超过长度限制";
    PARAM_NOT_SUPPORT_URL = "isv.PARAM_NOT_SUPPORT_URL", 200, "变量不支持传入URL";
    SMS_CONTENT_ILLEGAL = "isv.SMS_CONTENT_ILLEGAL", 200, "短信内容包含禁止发送内容";
    SMS_CONTENT_MISMATCH_TEMPLATE_TYPE = "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE", 200, "短信内容和模板属性不匹配";
    UNSUPPORTED_CONTENT = "isv.UNSUPPORTED_CONTENT", 200, "包含不支持的内容";
    EXTEND_CODE_ERROR = "isv.EXTEND_CODE_ERROR", 200, "扩展码使用错误";
    DOMESTIC_NUMBER_NOT_SUPPORTED = "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", 200, "国际/港澳台消息模板不支持发送境内号码";
    DAY_LIMIT_CONTROL = "isv.DAY_LIMIT_CONTROL", 200, "触发日发送限额";
    MONTH_LIMIT_CONTROL = "isv.MONTH_LIMIT_CONTROL", 200, "触发月发送限额";
    OUT_OF_SERVICE = "isv.OUT_OF_SERVICE", 200, "业务停机";
    AMOUNT_NOT_ENOUGH = "isv.AMOUNT_NOT_ENOUGH", 200, "当前账户余额不足";
    ACCOUNT_NOT_EXISTS = "isv.ACCOUNT_NOT_EXISTS", 200, "账户不存在";
    ACCOUNT_ABNORMAL = "isv.ACCOUNT_ABNORMAL", 200, "账户异常";
    SECURITY_FROZEN_ACCOUNT = "isv.SECURITY_FROZEN_ACCOUNT", 200, "因该账号长时间未使用，出于安全原因被限制";
    PRODUCT_UN_SUBSCRIPT = "isv.PRODUCT_UN_SUBSCRIPT", 200, "未开通云通信产品的阿里云客户";
    PRODUCT_UNSUBSCRIBE = "isv.PRODUCT_UNSUBSCRIBE", 200, "产品未开通";
    DENY_IP_RANGE = "isv.DENY_IP_RANGE", 200, "源IP地址所在的地区被禁用";
    RAM_PERMISSION_DENY = "isp.RAM_PERMISSION_DENY", 200, "RAM权限不足";
    SYSTEM_ERROR = "isp.SYSTEM_ERROR", 200, "系统出现错误，请重新调用";
    GATEWAY_ERROR = "isp.GATEWAY_ERROR", 200, "网关发生错误";
    NO_ROUTE = "NO_ROUTE", 200, "无可用通道";
    IS_CLOSE = "IS_CLOSE", 200, "短信通道被关停";
}

ends! {
    DELIVERED = "DELIVERED", true, "用户接收成功", "";
    REQUEST_SUCCESS = "REQUEST_SUCCESS", false, "请求成功，等待运营商回执", "";
    MOBILE_NOT_ON_SERVICE = "MOBILE_NOT_ON_SERVICE", false, "停机、空号或不在服务区", "";
    MOBILE_SEND_LIMIT = "MOBILE_SEND_LIMIT", false, "单个号码日或月发送上限", "";
    MOBILE_ACCOUNT_ABNORMAL = "MOBILE_ACCOUNT_ABNORMAL", false, "用户账户异常", "";
    MOBILE_IN_BLACK = "MOBILE_IN_BLACK", false, "手机号在黑名单里", "";
    MOBLLE_TERMINAL_ERROR = "MOBLLE_TERMINAL_ERROR", false, "手机终端问题", "";
    CONTENT_KEYWORD = "CONTENT_KEYWORD", false, "内容关键字拦截", "";
    CONTENT_ERROR = "CONTENT_ERROR", false, "内容错误，可能缺少退订内容", "";
    INVALID_NUMBER = "INVALID_NUMBER", false, "号码状态异常", "";
    USER_REJECT = "USER_REJECT", false, "用户在黑名单中或已退订", "";
    SP_UNKNOWN_ERROR = "SP_UNKNOWN_ERROR", false, "运营商未知错误", "";
    PORT_NOT_REGISTERED = "PORT_NOT_REGISTERED", false, "签名未完成实名报备", "";
}
