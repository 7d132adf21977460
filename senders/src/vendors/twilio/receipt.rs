//! Status callbacks and messages from handsets of Twilio. Pure.
//!
//! Source: `twilio` 9.13.0 and Twilio's documentation of `RawDlrDoneDate`. A callback comes for every change of status, in no
//! certain order; any 2xx is an acknowledgement. Fields that are not known are ignored.

use jixinda_schemas::{
    Phone,
    vendor::{Blame, ReceiptStatus},
};
use serde_json::Value;

use super::codes::CATALOGUE;
use crate::vendor::{
    Ack, Batch, InboundItem, ParsedItem, PushError, ReceiptItem, Reported, UnreadableItem,
};

/// Name of the parameter of the callback URL that carries the call's id: there is no echo field.
pub(super) const ECHO: &str = "mid";

/// Reads the form of a push, and what the URL carried of ours.
///
/// # Errors
/// When it is no form of Twilio's.
pub fn parse(form: &[(String, String)], echo: Option<String>) -> Result<Batch, PushError> {
    if !form
        .iter()
        .any(|(name, _)| name == "MessageSid" || name == "SmsSid")
    {
        return Err(PushError::Shape("a form with a MessageSid"));
    }
    Ok(std::iter::once(item(form, echo)).collect())
}

/// An empty answer; for a message from a handset that means no reply.
#[must_use]
pub fn acknowledge(stored: bool) -> Ack {
    Ack {
        status: if stored { 200 } else { 503 },
        content_type: "text/xml",
        body: if stored { "<Response/>" } else { "" }.into(),
    }
}

fn item(form: &[(String, String)], echo: Option<String>) -> ParsedItem {
    read(form, echo).map_err(|detail| UnreadableItem {
        detail,
        raw: raw(form),
    })
}

fn raw(form: &[(String, String)]) -> Value {
    Value::from_iter(form.iter().map(|(n, v)| (n.as_str(), v.as_str())))
}

fn read(form: &[(String, String)], echo: Option<String>) -> Result<Reported, String> {
    let text = |name: &str| {
        let mut values = form
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.trim());
        values.find(|v| !v.is_empty()).map(ToOwned::to_owned)
    };
    let phone = |name: &str| -> Result<Phone, String> {
        let number = text(name).ok_or_else(|| format!("{name} is missing"))?;
        number.parse().map_err(|e| format!("{name}: {e}"))
    };
    let vendor_id = text("MessageSid").or_else(|| text("SmsSid"));
    let status = text("MessageStatus").or_else(|| text("SmsStatus"));
    let status = status.unwrap_or_default();
    if status == "received" || (status.is_empty() && text("Body").is_some()) {
        return Ok(Reported::Inbound(InboundItem {
            sender: phone("From")?,
            destination: text("To").unwrap_or_default(),
            text: text("Body").unwrap_or_default(),
            sign_name: None,
            vendor_id,
            vendor_at: None,
            raw: raw(form),
        }));
    }
    let code = text("ErrorCode").unwrap_or_default();
    let (state, blame) = verdict(&status, &code)?;
    Ok(Reported::Receipt(ReceiptItem {
        recipient: phone("To")?,
        echo,
        vendor_id,
        // One status for the whole message.
        part: None,
        parts: None,
        status: state,
        code: if code.is_empty() { status } else { code },
        blame,
        segments: text("NumSegments").and_then(|n| n.parse().ok()),
        vendor_at: None,
        raw: raw(form),
    }))
}

fn verdict(status: &str, code: &str) -> Result<(ReceiptStatus, Blame), String> {
    use ReceiptStatus as S;
    Ok(match status {
        "delivered" | "read" => (S::Delivered, Blame::None),
        "undelivered" | "failed" => match (CATALOGUE.receipt(code), CATALOGUE.submit(code)) {
            (Some(row), _) => (row.status, row.blame),
            // What would have refused the call may also come later.
            (None, Some(row)) => (S::Rejected, row.blame),
            (None, None) => (S::Undelivered, Blame::Channel),
        },
        "canceled" => (S::Rejected, Blame::App),
        "accepted" | "scheduled" | "queued" | "sending" | "sent" | "partially_delivered" => {
            (S::Pending, Blame::None)
        }
        _ => return Err("MessageStatus is not known".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_callback_is_a_receipt_with_our_id() {
        let form = form(&[
            ("MessageSid", "SMb"),
            ("MessageStatus", "undelivered"),
            ("ErrorCode", "30003"),
            ("To", "+8613800138000"),
            ("From", "+15005550006"),
        ]);
        let batch = parse(&form, Some("100000000000001".to_owned())).unwrap();
        let item = &batch.receipts[0];
        assert_eq!(
            (item.status, item.blame),
            (ReceiptStatus::Undelivered, Blame::Recipient)
        );
        assert_eq!(
            (item.code.as_str(), item.echo.as_deref()),
            ("30003", Some("100000000000001"))
        );
        assert_eq!(item.vendor_id.as_deref(), Some("SMb"));
        assert_eq!(item.recipient.expose(), "+8613800138000");
    }

    #[test]
    fn whose_fault_a_failure_is_follows_from_its_code() {
        for (code, want) in [
            ("30008", (ReceiptStatus::Undelivered, Blame::Channel)),
            ("21610", (ReceiptStatus::Rejected, Blame::Recipient)),
            ("63038", (ReceiptStatus::Rejected, Blame::Account)),
            ("99999", (ReceiptStatus::Undelivered, Blame::Channel)),
            ("", (ReceiptStatus::Undelivered, Blame::Channel)),
        ] {
            assert_eq!(verdict("failed", code), Ok(want), "{code}");
        }
    }

    #[test]
    fn a_message_from_a_handset_is_told_from_a_status() {
        let form = form(&[
            ("MessageSid", "SMc"),
            ("SmsStatus", "received"),
            ("Body", "STOP"),
            ("From", "+8613800138000"),
            ("To", "+15005550006"),
        ]);
        let batch = parse(&form, None).unwrap();
        assert_eq!(
            (batch.inbound[0].text.as_str(), batch.receipts.len()),
            ("STOP", 0)
        );
    }

    #[test]
    fn what_is_no_form_of_twilios_is_refused_and_a_strange_status_is_kept() {
        assert!(matches!(
            parse(&form(&[("a", "b")]), None),
            Err(PushError::Shape(_))
        ));
        let strange = form(&[
            ("MessageSid", "S"),
            ("MessageStatus", "lost"),
            ("To", "+8613800138000"),
        ]);
        assert_eq!(parse(&strange, None).unwrap().unreadable.len(), 1);
    }

    proptest! {
        #[test]
        fn no_field_makes_the_reader_panic(status in ".{0,12}", to in ".{0,20}", code in ".{0,8}", body in ".{0,20}") {
            let form = form(&[("MessageSid", "S"), ("MessageStatus", &status), ("To", &to), ("From", &to),
                ("ErrorCode", &code), ("Body", &body)]);
            prop_assert_eq!(parse(&form, None).unwrap().len(), 1);
        }
    }
}
