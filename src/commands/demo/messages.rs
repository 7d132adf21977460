//! What the demo sends: login codes, notices and marketing, to numbers that occur once in a run.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use jixinda_schemas::{AppId, Lane, MessageId, Phone, TemplateId, event::Request};
use rand::RngExt as _;

/// Of the three carriers and a virtual one.
const PREFIXES: [&str; 8] = ["138", "139", "150", "186", "130", "189", "133", "170"];
const NUMBERS: u64 = 100_000_000;
/// Has no factor in common with `NUMBERS`.
const STRIDE: u64 = 38_196_601;

/// One app as it proves itself.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) id: AppId,
    pub(super) key: &'static str,
    pub(super) secret: String,
}

/// The templates of the demo's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Otp,
    Notice,
    Marketing,
    BankOtp,
}

impl Kind {
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Notice => "notice",
            Self::Marketing => "marketing",
            Self::BankOtp => "bank-otp",
        }
    }

    pub(super) const fn lane(self) -> Lane {
        match self {
            Self::Otp | Self::BankOtp => Lane::Otp,
            Self::Notice => Lane::Notice,
            Self::Marketing => Lane::Marketing,
        }
    }

    fn params(self, number: u64) -> BTreeMap<String, String> {
        let code = format!("{:06}", number.wrapping_mul(7919) % 1_000_000);
        let pairs = match self {
            Self::Otp => vec![("code", code), ("minutes", "5".to_owned())],
            Self::Notice => vec![
                ("name", "王女士".to_owned()),
                ("order", format!("D{number}")),
                ("day", "明天".to_owned()),
            ],
            Self::Marketing => vec![("name", "李先生".to_owned()), ("discount", "8".to_owned())],
            Self::BankOtp => vec![("code", code)],
        };
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// The messages of one run, each made once.
#[derive(Debug)]
pub(super) struct Messages {
    /// The run's name: campaign of every message, and part of its idempotency key.
    pub(super) run: String,
    next: AtomicU64,
}

impl Messages {
    pub(super) fn new(run: String) -> Self {
        // Anywhere, so that runs seldom meet.
        let next = AtomicU64::new(rand::rng().random_range(0..NUMBERS));
        Self { run, next }
    }

    pub(super) fn make(&self, kind: Kind) -> anyhow::Result<Request> {
        let (number, recipient) = self.recipient()?;
        let template: TemplateId = kind.template().parse()?;
        Ok(Request {
            recipient,
            template,
            signature: None,
            params: kind.params(number),
            not_before: None,
            not_after: None,
            valid_for_ms: None,
            idempotency_key: Some(format!("{}-{number}", self.run)),
            index: 0,
            campaign: Some(self.run.clone()),
            redrive_of: None,
        })
    }

    /// A recipient that this run has not written to, and its number.
    fn recipient(&self) -> anyhow::Result<(u64, Phone)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let digits = number * STRIDE % NUMBERS;
            // What ends in 00xx has the lab do something special.
            if digits % 10_000 >= 100 {
                let prefix = PREFIXES[usize::try_from(number % 8)?];
                return Ok((number, format!("+86{prefix}{digits:08}").parse()?));
            }
        }
    }
}

/// The id that the platform gives the message.
pub(super) fn id(app: &AppId, request: &Request) -> anyhow::Result<MessageId> {
    let key = request.idempotency_key.as_deref();
    Ok(MessageId::from_idempotency_key(
        app,
        key.context("a message of the demo without a key")?,
        request.index,
        &request.recipient,
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_recipient_occurs_twice_or_means_anything_to_the_lab() {
        let messages = Messages::new("demo-1".into());
        let recipients: HashSet<String> = (0..20_000)
            .map(|_| {
                messages
                    .make(Kind::Otp)
                    .unwrap()
                    .recipient
                    .expose()
                    .to_owned()
            })
            .collect();
        assert_eq!(recipients.len(), 20_000);
        assert!(recipients.iter().all(|r| !r[10..].starts_with("00")));
    }
}
