//! Magic numbers: the last four digits of a recipient force one behaviour, whatever the account's mix says.
//! In a call to several recipients the first with a submit-level suffix decides for the call, unless the vendor
//! refuses numbers one by one.

use crate::behaviour::FaultKind;
use crate::codes::{Condition, End};

/// What a suffix forces. All but `Submit` let the call through.
#[derive(Clone, Debug, PartialEq)]
pub enum Magic {
    Submit(FaultKind),
    Receipt(End),
    NoReceipt,
    DuplicateReceipts,
    /// The receipt is pushed, and its answer awaited, before the submit is answered.
    EarlyReceipt,
}

const fn refused(condition: Condition) -> Magic {
    Magic::Submit(FaultKind::When(condition))
}

/// The documented table.
pub const TABLE: &[(&str, Magic)] = &[
    ("0001", refused(Condition::BadNumber)),
    ("0002", refused(Condition::Blacklisted)),
    ("0003", Magic::Receipt(End::NotOnService)),
    ("0004", Magic::NoReceipt),
    ("0005", Magic::Submit(FaultKind::AcceptThenTimeout)),
    ("0006", Magic::DuplicateReceipts),
    ("0007", Magic::EarlyReceipt),
    ("0008", Magic::Submit(FaultKind::AcceptThen502)),
    ("0009", refused(Condition::OutOfBalance)),
    ("0010", Magic::Submit(FaultKind::AcceptThenReset)),
    ("0011", Magic::Submit(FaultKind::Garbage200)),
    ("0012", refused(Condition::FrequencyCap)),
    ("0013", refused(Condition::Throttled)),
    ("0014", refused(Condition::SystemError)),
    ("0015", refused(Condition::TemplateNotApproved)),
    ("0016", Magic::Submit(FaultKind::Status(503))),
    ("0017", Magic::Submit(FaultKind::AcceptThenGarbage)),
    ("0018", Magic::Receipt(End::Keyword)),
    ("0019", Magic::Submit(FaultKind::SlowLoris)),
];

#[must_use]
pub fn find(recipient: &str) -> Option<&'static Magic> {
    // A cheap way out for nearly every number.
    let suffix = recipient.get(recipient.len().checked_sub(4)?..)?;
    if !suffix.starts_with("00") {
        return None;
    }
    let (_, magic) = TABLE.iter().find(|(known, _)| *known == suffix)?;
    Some(magic)
}
