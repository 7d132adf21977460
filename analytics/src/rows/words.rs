//! Words of closed sets, as the columns hold them: the ones of the event contract.

use jixinda_schemas::{
    event::NotStartedCause,
    vendor::{Blame, Disposition, ReceiptStatus},
};

pub(super) const fn cause(cause: NotStartedCause) -> &'static str {
    match cause {
        NotStartedCause::Capacity => "capacity",
        NotStartedCause::Expired => "expired",
        NotStartedCause::ChannelUnavailable => "channel_unavailable",
        NotStartedCause::Withdrawn => "withdrawn",
    }
}

pub(super) const fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::RetrySame => "retry_same",
        Disposition::RetryOther => "retry_other",
        Disposition::PermanentRecipient => "permanent_recipient",
        Disposition::PermanentContent => "permanent_content",
        Disposition::Account => "account",
        Disposition::Unknown => "unknown",
    }
}

pub(super) const fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Channel => "channel",
        Blame::Recipient => "recipient",
        Blame::Content => "content",
        Blame::App => "app",
        Blame::Account => "account",
        Blame::Capacity => "capacity",
        Blame::None => "none",
    }
}

pub(super) const fn status(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Delivered => "delivered",
        ReceiptStatus::Undelivered => "undelivered",
        ReceiptStatus::Expired => "expired",
        ReceiptStatus::Rejected => "rejected",
        ReceiptStatus::Pending => "pending",
        ReceiptStatus::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_value(value)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_words_are_those_of_the_event_contract() {
        for c in [
            NotStartedCause::Capacity,
            NotStartedCause::Expired,
            NotStartedCause::ChannelUnavailable,
            NotStartedCause::Withdrawn,
        ] {
            assert_eq!(cause(c), json(c));
        }
        for d in [
            Disposition::RetrySame,
            Disposition::RetryOther,
            Disposition::PermanentRecipient,
            Disposition::PermanentContent,
            Disposition::Account,
            Disposition::Unknown,
        ] {
            assert_eq!(disposition(d), json(d));
        }
        for b in [
            Blame::Channel,
            Blame::Recipient,
            Blame::Content,
            Blame::App,
            Blame::Account,
            Blame::Capacity,
            Blame::None,
        ] {
            assert_eq!(blame(b), json(b));
        }
        for s in [
            ReceiptStatus::Delivered,
            ReceiptStatus::Undelivered,
            ReceiptStatus::Expired,
            ReceiptStatus::Rejected,
            ReceiptStatus::Pending,
            ReceiptStatus::Unknown,
        ] {
            assert_eq!(status(s), json(s));
        }
    }
}
