//! Why a message, a request or a record ended: one closed list of stable codes.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($variant:ident = $code:literal, $help:literal;)*) => {
        /// A stable snake_case code; `docs/errors.md` lists them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum Reason {
            $( #[doc = $help] #[serde(rename = $code)] $variant, )*
        }

        impl Reason {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// What it means and what to do about it.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }
        }
    };
}

reasons! {
    Delivered = "delivered", "The handset has the message.";
    ReceiptUndelivered = "receipt_undelivered", "The carrier reported that it could not deliver.";
    ReceiptExpired = "receipt_expired", "The carrier gave up after its validity.";
    ReceiptRejected = "receipt_rejected", "The carrier or vendor refused the message after accepting it.";
    NoReceipt = "no_receipt", "No receipt came before the receipt deadline; the message may have arrived.";
    VendorUnknown = "vendor_unknown", "It cannot be known whether the vendor took the message, and the lane does not allow another attempt.";
    Exhausted = "exhausted", "Every allowed attempt was refused; see the attempts.";
    NoRoute = "no_route", "No channel can carry this template, signature, lane and country; map and approve them on a channel.";
    RecipientRefused = "recipient_refused", "The vendor refused this recipient for good (bad number, blacklist, frequency cap).";
    ContentRefused = "content_refused", "The vendor refused this content for good.";
    NotAfterPassed = "not_after_passed", "The validity ended before a vendor took the message.";
    InternalPanic = "internal_panic", "The record met a defect of this program; report it with the dead letter.";
    BadJson = "bad_json", "The record or body is not the JSON that the contract describes.";
    BadField = "bad_field", "A field has a value that the contract does not allow.";
    UnknownVersion = "unknown_version", "The type or version of the event is not known to this release.";
    UnknownField = "unknown_field", "The body has a field that the API does not know; check its spelling.";
    MissingField = "missing_field", "A required field is absent.";
    BadRecipient = "bad_recipient", "The recipient is not a valid E.164 number.";
    UnknownApp = "unknown_app", "The app does not exist or is disabled.";
    DirectNotAllowed = "direct_not_allowed", "The app may not produce to Kafka directly; allow it in the directory.";
    BadRecordSignature = "bad_record_signature", "The app must sign its records, and the signature header is absent or wrong.";
    UnknownTemplate = "unknown_template", "The template does not exist, is disabled, or belongs to another app.";
    UnknownSignature = "unknown_signature", "The signature does not exist, is disabled, or belongs to another app.";
    MissingVariable = "missing_variable", "The template needs a variable that params lacks.";
    UnknownVariable = "unknown_variable", "params has a variable that the template does not declare.";
    VariableTooLong = "variable_too_long", "The value is longer than the template allows for this variable.";
    BadVariable = "bad_variable", "The value does not match the kind that the template declares for this variable.";
    TextTooLong = "text_too_long", "The rendered text is longer than a message may be.";
    LaneMismatch = "lane_mismatch", "The topic or field names another lane than the template.";
    NotBeforeTooFar = "not_before_too_far", "not_before is more than 60 s ahead; send the request later.";
    BadValidity = "bad_validity", "not_after has passed, precedes not_before, or exceeds what the lane remembers ids for.";
    Suppressed = "suppressed", "The recipient is on a suppression list for this app, lane, or everywhere.";
    IdempotencyConflict = "idempotency_conflict", "The same idempotency key was used with another body.";
    Unauthorized = "unauthorized", "The credentials are absent, unknown, or do not match.";
    StaleTimestamp = "stale_timestamp", "ts, or the at of a signed record, is more than 300 s away from the time at which it came.";
    NonceReplayed = "nonce_replayed", "The nonce was used before; sign each request with a new one.";
    IpNotAllowed = "ip_not_allowed", "The peer address is not on the app's allow-list.";
    RateLimited = "rate_limited", "The app sends faster than its limit; retry after the time given.";
    BodyTooLarge = "body_too_large", "The body or record is larger than the limit.";
    BatchTooLarge = "batch_too_large", "A batch has 1 to 1,000 items.";
    NotFound = "not_found", "Nothing is known under this id, or not yet.";
    MethodNotAllowed = "method_not_allowed", "The path exists, the method does not.";
    Unavailable = "unavailable", "The log cannot take the request now; retry with the same idempotency key.";
    ReceiptUnreadable = "receipt_unreadable", "The vendor's callback could not be read; the whole body is kept.";
    ReceiptUnmatched = "receipt_unmatched", "No attempt fits the receipt.";
    Misplaced = "misplaced", "The record was in the wrong partition for its key and was moved.";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
