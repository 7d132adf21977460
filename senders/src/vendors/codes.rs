//! Catalogues of vendors' codes: what follows each, and whose fault it is. `jixinda codes VENDOR` prints them.

use jixinda_schemas::vendor::{Blame, Disposition, ReceiptStatus};
use serde::Serialize;

/// Every documented code of one kind of vendor.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Catalogue {
    pub submit: &'static [SubmitCode],
    pub receipt: &'static [ReceiptCode],
}

impl Catalogue {
    /// The row of a submit code, letter case aside.
    #[must_use]
    pub fn submit(&self, code: &str) -> Option<&'static SubmitCode> {
        self.submit.iter().find(|row| row.covers(code))
    }

    /// The first row whose words stand in what the vendor said: for vendors that give reasons as text.
    #[must_use]
    pub fn in_words(&self, said: &str) -> Option<&'static SubmitCode> {
        self.submit.iter().find(|row| {
            let words = row.code.strip_prefix('*').and_then(|w| w.strip_suffix('*'));
            words.is_some_and(|words| said.contains(words))
        })
    }

    /// The row of a receipt code, letter case aside.
    #[must_use]
    pub fn receipt(&self, code: &str) -> Option<&'static ReceiptCode> {
        self.receipt
            .iter()
            .find(|row| row.code.eq_ignore_ascii_case(code))
    }

    /// Whose fault a receipt's code is. Carriers' own codes pass through unchanged and are not standardised; what the
    /// vendor does not document counts against the channel, like a carrier failure without a reason.
    #[must_use]
    pub fn receipt_blame(&self, code: &str) -> Blame {
        self.receipt(code).map_or(Blame::Channel, |row| row.blame)
    }
}

/// A code that refuses a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SubmitCode {
    /// Exact, a family when it ends in `.*`, or words of the vendor's message between asterisks (`*余额*`).
    pub code: &'static str,
    pub disposition: Disposition,
    pub blame: Blame,
    pub meaning: &'static str,
}

impl SubmitCode {
    fn covers(&self, code: &str) -> bool {
        match self.code.strip_suffix(".*") {
            None => self.code.eq_ignore_ascii_case(code),
            Some(family) => {
                let (head, rest) = code.split_at_checked(family.len()).unwrap_or(("", code));
                head.eq_ignore_ascii_case(family) && (rest.is_empty() || rest.starts_with('.'))
            }
        }
    }
}

/// A code in a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptCode {
    pub code: &'static str,
    pub status: ReceiptStatus,
    pub blame: Blame,
    pub meaning: &'static str,
}

/// A row of the first table.
#[must_use]
pub const fn row(
    code: &'static str,
    disposition: Disposition,
    blame: Blame,
    meaning: &'static str,
) -> SubmitCode {
    SubmitCode {
        code,
        disposition,
        blame,
        meaning,
    }
}

/// A row of the second table.
#[must_use]
pub const fn end(
    code: &'static str,
    status: ReceiptStatus,
    blame: Blame,
    meaning: &'static str,
) -> ReceiptCode {
    ReceiptCode {
        code,
        status,
        blame,
        meaning,
    }
}

/// Words of carriers that are the same for all of them, and that most vendors pass through.
#[rustfmt::skip]
pub static CARRIERS: &[ReceiptCode] = {
    use Blame as B;
    use ReceiptStatus as S;
    &[
        end("DELIVRD", S::Delivered, B::None, "the handset has it"),
        end("DELIVERED", S::Delivered, B::None, "the handset has it"),
        end("SUCCESS", S::Delivered, B::None, "the handset has it"),
        end("ACCEPTD", S::Pending, B::None, "accepted by the carrier; wait"),
        end("EXPIRED", S::Expired, B::Recipient, "the handset was not reached in time"),
        end("UNDELIV", S::Undelivered, B::Recipient, "the handset could not be reached"),
        end("MK:0001", S::Undelivered, B::Recipient, "no such number (not confirmed)"),
        end("MN:0001", S::Undelivered, B::Recipient, "no such number (not confirmed)"),
        end("DELETED", S::Undelivered, B::Channel, "the carrier deleted it"),
        end("REJECTD", S::Rejected, B::Channel, "the carrier refused it"),
        end("BLACK", S::Rejected, B::Recipient, "the number is on a blacklist"),
        end("KEYWORD", S::Rejected, B::Content, "the text holds forbidden words"),
        end("UNKNOWN", S::Unknown, B::None, "the carrier does not know"),
    ]
};
