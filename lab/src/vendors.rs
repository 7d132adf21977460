//! The vendors that the lab plays.

pub mod aliyun;
pub mod feige;
pub mod huawei;
pub mod jdcloud;
pub mod lexin;
pub mod montnets;
pub mod tencent;
pub mod twilio;
pub mod vonage;

use axum::http::request::Parts;

use crate::vendor::Vendor;

/// In the order in which they are asked whether a request is theirs.
pub(crate) static ALL: &[&dyn Vendor] = &[
    &aliyun::Aliyun,
    &feige::Feige,
    &huawei::Huawei,
    &jdcloud::Jdcloud,
    &lexin::Lexin,
    &montnets::Montnets,
    &tencent::Tencent,
    &twilio::Twilio,
    &vonage::Vonage,
];

pub(crate) fn find(kind: &str) -> Option<&'static dyn Vendor> {
    ALL.iter().copied().find(|vendor| vendor.kind() == kind)
}

/// Whose API a request is of: their paths differ, and where two use `/`, their headers.
pub(crate) fn of(parts: &Parts) -> Option<&'static dyn Vendor> {
    ALL.iter().copied().find(|vendor| vendor.takes(parts))
}
