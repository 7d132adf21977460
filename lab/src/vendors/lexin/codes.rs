//! Lexin's refusals, all with HTTP 200 and replyCode 0.
//!
//! Source: fact sheet, "Response", "Errors": there is no list of codes, the reason is a text. So the text is the code here;
//! the texts are the lab's own, each with the words by which the sheet tells its class and with none of another's.

use crate::codes::{codes, ends};

codes! {
    NO_PASSWORD = "账号或密码为空", 200, "账号或密码为空";
    WRONG_PASSWORD = "账号或密码错误", 200, "账号或密码错误";
    WRONG_SEED = "密码的seed错误", 200, "密码的seed错误";
    OLD_SEED = "密码的seed已过期", 200, "密码的seed已过期";
    NO_RIGHT = "没有权限", 200, "没有权限";
    IP = "IP未绑定", 200, "IP未绑定";
    NO_BALANCE = "余额不足", 200, "余额不足";
    SIGNATURE = "签名未报备", 200, "签名未报备";
    TEMPLATE = "模板未审核", 200, "模板未审核";
    VARIABLES = "变量与模板不一致", 200, "变量与模板不一致";
    SENSITIVE = "含有敏感词", 200, "含有敏感词";
    EMPTY = "内容为空", 200, "内容为空";
    NO_NUMBER = "号码为空", 200, "号码为空";
    BAD_NUMBER = "号码错误", 200, "号码错误";
    BLACKLISTED = "黑名单用户", 200, "黑名单用户";
    NUMBER_TOO_OFTEN = "该号码发送过多", 200, "该号码发送过多";
    TOO_OFTEN = "提交频率过快", 200, "提交频率过快";
    TOO_MANY = "一次提交过多", 200, "一次提交过多";
    PARAMETER = "参数错误", 200, "参数错误";
    BUSY = "系统繁忙", 200, "系统繁忙";
}

ends! {
    DELIVERED = "1", true, "", "";
    FAILED = "0", false, "", "";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;

    #[test]
    fn a_refusal_has_the_words_of_its_class_alone() {
        const CLASSES: [&[&str]; 5] = [
            &["余额"],
            &["账号", "密码", "权限", "IP"],
            &["签名", "模板", "敏感", "内容"],
            &["号码", "黑名单"],
            &["频", "流"],
        ];
        let classes = |code: &Code| -> Vec<usize> {
            let hit = |class: &&[&str]| class.iter().any(|word| code.message.contains(word));
            (0..5).filter(|class| hit(&CLASSES[*class])).collect()
        };
        for (code, wanted) in [
            (NO_BALANCE, &[0][..]),
            (WRONG_PASSWORD, &[1]),
            (OLD_SEED, &[1]),
            (TEMPLATE, &[2]),
            (VARIABLES, &[2]),
            (BAD_NUMBER, &[3]),
            (BLACKLISTED, &[3]),
            (NUMBER_TOO_OFTEN, &[3]),
            (TOO_OFTEN, &[4]),
            (BUSY, &[]),
            (TOO_MANY, &[]),
        ] {
            assert_eq!(classes(code), wanted, "{}", code.message);
        }
        for code in ALL {
            assert_eq!(code.code, code.message);
            assert!(classes(code).len() < 2, "{}", code.message);
        }
    }
}
