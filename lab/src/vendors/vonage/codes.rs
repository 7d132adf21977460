//! Vonage's codes, all with HTTP 200; messages are the lab's own.
//!
//! Source: fact sheet, "Errors", "Delivery receipt webhook". The `err-code`s and the status word beside each are
//! UNCONFIRMED there.

use crate::codes::{codes, ends};

codes! {
    THROTTLED = "1", 200, "Throttled";
    MISSING = "2", 200, "Missing parameter";
    INVALID = "3", 200, "Invalid parameter";
    CREDENTIALS = "4", 200, "Bad credentials";
    INTERNAL = "5", 200, "Internal error";
    INVALID_MESSAGE = "6", 200, "Invalid message";
    BARRED = "7", 200, "Number barred";
    SUSPENDED = "8", 200, "Partner account barred";
    NO_CREDIT = "9", 200, "Partner quota exceeded";
    TOO_MANY_BINDS = "10", 200, "Too many existing binds";
    NOT_ENABLED = "11", 200, "Account not enabled for REST";
    TOO_LONG = "12", 200, "Message too long";
    SIGNATURE = "14", 200, "Invalid signature";
    SENDER = "15", 200, "Sender address not allowed";
    NETWORK_CODE = "22", 200, "Invalid network code";
    CALLBACK = "23", 200, "Invalid callback URL";
    NOT_WHITELISTED = "29", 200, "Non-whitelisted destination";
    SIGNATURE_AND_SECRET = "32", 200, "Signature and API secret must not go together";
    DEACTIVATED = "33", 200, "Number deactivated";
}

ends! {
    DELIVERED = "0", true, "Delivered", "delivered";
    UNKNOWN = "1", false, "Unknown", "failed";
    ABSENT_TEMPORARY = "2", false, "Absent subscriber, temporary", "expired";
    ABSENT_PERMANENT = "3", false, "Absent subscriber, permanent", "failed";
    CALL_BARRED = "4", false, "Call barred by user", "failed";
    PORTABILITY = "5", false, "Portability error", "failed";
    ANTI_SPAM = "6", false, "Anti-spam rejection", "rejected";
    HANDSET_BUSY = "7", false, "Handset busy", "failed";
    NETWORK = "8", false, "Network error", "failed";
    ILLEGAL_NUMBER = "9", false, "Illegal number", "failed";
    ILLEGAL_MESSAGE = "10", false, "Illegal message", "rejected";
    UNROUTABLE = "11", false, "Unroutable", "rejected";
    UNREACHABLE = "12", false, "Destination unreachable", "failed";
    AGE = "13", false, "Age restriction", "failed";
    BLOCKED = "14", false, "Blocked by carrier", "rejected";
    PREPAID = "15", false, "Prepaid, insufficient funds", "failed";
    GENERAL = "99", false, "General error", "failed";
}
