//! Aliyun Dysmsapi 2017-05-25: action SendSms, signature ACS3-HMAC-SHA256, receipt push SmsReport.
//!
//! Source of the protocol facts: the project's Aliyun fact sheet (official SDK alibabacloud-dysmsapi20170525
//! 4.6.0 and the help.aliyun.com pages smsreport-http, message-rules, 101346, 101347). What it marks
//! UNCONFIRMED is marked so here.

pub mod codes;
pub(crate) mod gate;
pub mod magic;
pub(crate) mod server;
pub mod sign;
pub(crate) mod submit;
pub(crate) mod wire;
