//! Montnets' codes, with the sign that JSON gives them; all come with HTTP 200. Messages are the lab's own.
//!
//! Source: fact sheet, "Errors". What tells -100091 to -100098 apart is not there. The codes of receipts beside DELIVRD are
//! UNCONFIRMED: carriers' codes pass through.

use crate::codes::{codes, ends};

codes! {
    AUTH_FAILED = "-100001", 200, "鉴权不通过";
    AUTH_FAILED_OFTEN = "-100002", 200, "多次鉴权不通过";
    ARREARS = "-100003", 200, "用户欠费";
    ECHO_INVALID = "-100004", 200, "custid或exdata不合法";
    TOO_LONG = "-100011", 200, "短信内容超长";
    BAD_NUMBER = "-100012", 200, "手机号码不合法";
    TOO_MANY_NUMBERS = "-100014", 200, "手机号码超过最大支持数量";
    PORT = "-100029", 200, "端口绑定失败";
    TOO_MANY_CONNECTIONS = "-100056", 200, "连接数超过限制";
    IP_NOT_ALLOWED = "-100057", 200, "IP不在允许范围";
    TEMPLATE_MISSING = "-100058", 200, "模板不存在";
    PARAMETER_COUNT = "-100059", 200, "模板参数个数不一致";
    LIST_SIZES = "-100060", 200, "号码个数与内容个数不一致";
    NO_PERMISSION = "-100070", 200, "没有权限";
    BODY = "-100091", 200, "请求包体解析失败";
    FIELD = "-100098", 200, "请求参数不合法";
    CONTENT_TYPE = "-100100", 200, "不支持的Content-Type";
    SIGN = "-100101", 200, "签名不合法";
    CONTENT_EMPTY = "-100106", 200, "短信内容为空";
    SERVICE_TYPE = "-100252", 200, "业务类型不合法";
    DECRYPTION = "-100267", 200, "解密失败";
    TEMPLATE_DISABLED = "-100502", 200, "模板已禁用";
    BUSY = "-100807", 200, "系统繁忙";
    BUSY_TOO = "-100907", 200, "系统繁忙";
    DATABASE = "-100999", 200, "数据库操作失败";
}

ends! {
    DELIVRD = "DELIVRD", true, "success", "";
    UNDELIV = "UNDELIV", false, "undeliverable", "";
    EXPIRED = "EXPIRED", false, "expired", "";
    REJECTD = "REJECTD", false, "rejected", "";
    BLACK = "BLACK", false, "blacklisted", "";
    MK_0001 = "MK:0001", false, "empty number", "";
    MN_0001 = "MN:0001", false, "illegal number", "";
}
