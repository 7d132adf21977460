//! Feige's codes, all with HTTP 200; messages are the lab's own.
//!
//! Source: fact sheet, "Errors". The two numbers of bad and blacklisted recipients are no codes: the old API counts them
//! under these names, beside code 0, and what the new API does is UNCONFIRMED (here: they are not in `count`, and a call
//! with none left is refused with 10002). The old API's table is UNCONFIRMED but for 10008, which means another thing there.

use crate::codes::{codes, ends};

codes! {
    AUTH = "1", 200, "账号或密钥错误";
    NO_BALANCE = "15", 200, "余额不足";
    INTERNAL = "100", 200, "系统内部错误";
    EMPTY_PARAMETER = "10001", 200, "参数为空";
    BAD_PARAMETER = "10002", 200, "参数错误";
    TEMPLATE = "10002", 200, "模板不存在或未审核";
    SIGNATURE = "10002", 200, "签名不存在或未审核";
    TOO_MANY_NUMBERS = "10003", 200, "号码数量超过限制";
    NO_REPORT = "10004", 200, "没有状态报告";
    NO_MO = "10005", 200, "没有上行短信";
    NO_CHANNEL = "10006", 200, "未配置通道";
    TOO_OFTEN = "10007", 200, "频率超过限制";
    FLOW = "10008", 200, "流速超过限制";
    NO_TEMPLATE_ID = "10008", 200, "模板ID为空";
    NUMBER_FETCH = "10009", 200, "获取号码失败";
    INVALID = "InvalidCount", 200, "号码错误";
    BLACK = "BlackCount", 200, "黑名单号码";
}

ends! {
    DELIVRD = "DELIVRD", true, "", "";
    UNDELIV = "UNDELIV", false, "", "";
    REJECTD = "REJECTD", false, "", "";
    EXPIRED = "EXPIRED", false, "", "";
    MB_1026 = "MB:1026", false, "", "";
}
