//! What may be done about a dead letter or a message, by its reason: the one table. Pure.

use jixinda_schemas::{Reason, Topic};

/// What the reason allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It may be sent again as a new message, once what was wrong is mended; the request rules are applied anew.
    Again,
    /// As above, but the recipient may have it already.
    Doubtful,
    /// A receipt may be written again: repeats fold to the same state.
    Receipt,
    /// Why not, and what to do.
    Never(&'static str),
}

const NO_RECORD: &str = "it was answered to the caller and stands in no log; the app sends it anew";

pub(crate) const fn remedy(reason: Reason) -> Remedy {
    match reason {
        Reason::ReceiptUndelivered
        | Reason::ReceiptExpired
        | Reason::ReceiptRejected
        | Reason::Exhausted
        | Reason::NoRoute
        | Reason::RecipientRefused
        | Reason::ContentRefused
        | Reason::NotAfterPassed
        | Reason::InternalPanic
        | Reason::BadJson
        | Reason::BadField
        | Reason::UnknownVersion
        | Reason::MissingField
        | Reason::UnknownApp
        | Reason::DirectNotAllowed
        | Reason::BadRecordSignature
        | Reason::UnknownTemplate
        | Reason::UnknownSignature
        | Reason::MissingVariable
        | Reason::UnknownVariable
        | Reason::VariableTooLong
        | Reason::BadVariable
        | Reason::TextTooLong
        | Reason::LaneMismatch
        | Reason::NotBeforeTooFar
        | Reason::BadValidity
        | Reason::Suppressed => Remedy::Again,
        Reason::NoReceipt | Reason::VendorUnknown => Remedy::Doubtful,
        Reason::ReceiptUnmatched => Remedy::Receipt,
        Reason::Delivered => Remedy::Never("it was delivered"),
        Reason::IdempotencyConflict => Remedy::Never(
            "its key belongs to another message, which stands; the app sends it under a new key",
        ),
        Reason::StaleTimestamp => {
            Remedy::Never("a signed record that comes late may be a copy; the app signs it anew")
        }
        Reason::BodyTooLarge => Remedy::Never("it is larger than a request may be; discard it"),
        Reason::ReceiptUnreadable => Remedy::Never(
            "it is the body of a vendor's callback, which only the vendor can push again; discard it",
        ),
        Reason::Misplaced => Remedy::Never("the record was moved and handled; discard it"),
        Reason::UnknownField
        | Reason::BadRecipient
        | Reason::Unauthorized
        | Reason::NonceReplayed
        | Reason::IpNotAllowed
        | Reason::RateLimited
        | Reason::BatchTooLarge
        | Reason::NotFound
        | Reason::MethodNotAllowed
        | Reason::Unavailable => Remedy::Never(NO_RECORD),
    }
}

/// What becomes of a dead letter that is redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A new message.
    Message,
    /// The same receipt once more.
    Receipt,
}

/// By its reason and by the topic of its record; an error says why not.
pub(crate) fn target(reason: Reason, source: Option<Topic>) -> Result<Target, String> {
    let remedy = remedy(reason);
    if let Remedy::Never(why) = remedy {
        return Err(format!("{reason}: {why}"));
    }
    match source {
        Some(Topic::RequestsOtp | Topic::RequestsNotice | Topic::RequestsMarketing) => {
            Ok(Target::Message)
        }
        Some(Topic::ReceiptsRaw) => Ok(Target::Receipt),
        Some(other) => Err(format!(
            "a record of {other} is written by the platform itself; report the defect, then discard it"
        )),
        None => Err("it holds no record; discard it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_redrivable_or_says_what_to_do_instead() {
        let mut again = Vec::new();
        for reason in Reason::ALL {
            match remedy(*reason) {
                Remedy::Never(why) => {
                    assert!(!why.is_empty());
                    for source in [Some(Topic::RequestsOtp), Some(Topic::ReceiptsRaw), None] {
                        let error = target(*reason, source).unwrap_err();
                        assert!(error.starts_with(reason.as_str()), "{error}");
                    }
                }
                Remedy::Again | Remedy::Doubtful | Remedy::Receipt => again.push(reason.as_str()),
            }
        }
        let want = [
            "receipt_undelivered",
            "receipt_expired",
            "receipt_rejected",
            "no_receipt",
            "vendor_unknown",
            "exhausted",
            "no_route",
            "recipient_refused",
            "content_refused",
            "not_after_passed",
            "internal_panic",
            "bad_json",
            "bad_field",
            "unknown_version",
            "missing_field",
            "unknown_app",
            "direct_not_allowed",
            "bad_record_signature",
            "unknown_template",
            "unknown_signature",
            "missing_variable",
            "unknown_variable",
            "variable_too_long",
            "bad_variable",
            "text_too_long",
            "lane_mismatch",
            "not_before_too_far",
            "bad_validity",
            "suppressed",
            "receipt_unmatched",
        ];
        assert_eq!(again, want);
    }

    #[test]
    fn only_messages_that_may_have_arrived_are_doubtful() {
        let doubtful: Vec<_> = Reason::ALL
            .iter()
            .filter(|reason| remedy(**reason) == Remedy::Doubtful)
            .collect();
        assert_eq!(doubtful, [&Reason::NoReceipt, &Reason::VendorUnknown]);
    }

    #[test]
    fn a_dead_letter_goes_back_only_to_where_its_record_came_from() {
        assert_eq!(
            target(Reason::UnknownVersion, Some(Topic::RequestsNotice)),
            Ok(Target::Message)
        );
        assert_eq!(
            target(Reason::UnknownVersion, Some(Topic::ReceiptsRaw)),
            Ok(Target::Receipt)
        );
        for topic in Topic::ALL {
            let back = target(Reason::InternalPanic, Some(topic)).is_ok();
            let own = topic.as_str().starts_with("requests.") || topic == Topic::ReceiptsRaw;
            assert_eq!(back, own, "{topic}");
        }
        assert!(target(Reason::BadJson, None).is_err());
    }
}
