//! Magic numbers: the last four digits of a recipient force one behaviour, whatever the account's mix says.
//! In a call to several recipients the first with a submit-level suffix decides for the call.

use super::codes::{self, ReceiptCode};
use crate::behaviour::FaultKind;

/// What a suffix forces. All but `Submit` let the call through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Magic {
    Submit(FaultKind),
    Receipt(&'static ReceiptCode),
    NoReceipt,
    DuplicateReceipts,
    /// The receipt is pushed, and its answer awaited, before the submit is answered.
    EarlyReceipt,
}

/// The documented table.
pub const TABLE: &[(&str, Magic)] = &[
    (
        "0001",
        Magic::Submit(FaultKind::Code(codes::MOBILE_NUMBER_ILLEGAL)),
    ),
    (
        "0002",
        Magic::Submit(FaultKind::Code(codes::BLACK_KEY_CONTROL_LIMIT)),
    ),
    ("0003", Magic::Receipt(codes::MOBILE_NOT_ON_SERVICE)),
    ("0004", Magic::NoReceipt),
    ("0005", Magic::Submit(FaultKind::AcceptThenTimeout)),
    ("0006", Magic::DuplicateReceipts),
    ("0007", Magic::EarlyReceipt),
    ("0008", Magic::Submit(FaultKind::AcceptThen502)),
    (
        "0009",
        Magic::Submit(FaultKind::Code(codes::AMOUNT_NOT_ENOUGH)),
    ),
    ("0010", Magic::Submit(FaultKind::AcceptThenReset)),
    ("0011", Magic::Submit(FaultKind::Garbage200)),
    (
        "0012",
        Magic::Submit(FaultKind::Code(codes::BUSINESS_LIMIT_CONTROL)),
    ),
    (
        "0013",
        Magic::Submit(FaultKind::Code(codes::THROTTLING_USER)),
    ),
    ("0014", Magic::Submit(FaultKind::Code(codes::SYSTEM_ERROR))),
    (
        "0015",
        Magic::Submit(FaultKind::Code(codes::SMS_TEMPLATE_ILLEGAL)),
    ),
    ("0016", Magic::Submit(FaultKind::Status(503))),
    ("0017", Magic::Submit(FaultKind::AcceptThenGarbage)),
    ("0018", Magic::Receipt(codes::CONTENT_KEYWORD)),
];

#[must_use]
pub fn find(recipient: &str) -> Option<Magic> {
    // A cheap way out for nearly every number.
    let suffix = recipient.get(recipient.len().checked_sub(4)?..)?;
    if !suffix.starts_with("00") {
        return None;
    }
    let (_, magic) = TABLE.iter().find(|(known, _)| *known == suffix)?;
    Some(*magic)
}
