//! Twilio's codes with their HTTP status; messages are the lab's own.
//!
//! Source: fact sheet, "Errors".

use crate::codes::{codes, ends};

codes! {
    TOO_MANY_REQUESTS = "20429", 429, "Too many requests";
    QUEUE_OVERFLOW = "30001", 429, "Queue overflow";
    REGION = "21408", 400, "Permission to send to this region has not been enabled";
    NO_ROUTE = "21612", 400, "The 'To' number is not reachable from this 'From'";
    INVALID_TO = "21211", 400, "Invalid 'To' phone number";
    UNSUBSCRIBED = "21610", 400, "The recipient has unsubscribed";
    NOT_MOBILE = "21614", 400, "'To' is not a mobile number";
    LANDLINE = "21635", 400, "'To' is a landline";
    BODY_REQUIRED = "21602", 400, "A body is required";
    BODY_TOO_LONG = "21617", 400, "The body exceeds 1600 characters";
    AUTHENTICATE = "20003", 401, "Authenticate";
    NOT_ACTIVE = "20005", 403, "Account not active";
    FROM_NOT_OWNED = "21606", 400, "The 'From' number is not of this account";
    SERVICE_NOT_OWNED = "21660", 400, "The messaging service is not of this account";
}

ends! {
    DELIVERED = "", true, "", "delivered";
    UNREACHABLE = "30003", false, "Unreachable destination handset", "undelivered";
    BLOCKED = "30004", false, "Message blocked", "undelivered";
    UNKNOWN_HANDSET = "30005", false, "Unknown destination handset", "undelivered";
    FILTERED = "30007", false, "Carrier violation", "undelivered";
    UNKNOWN_ERROR = "30008", false, "Unknown error", "undelivered";
}
