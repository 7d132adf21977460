//! What is sent: numbered messages, each to a recipient of its own, in the shares of a usual day.

use std::{collections::BTreeMap, io::Write as _};

use jixinda_schemas::{
    Lane, Phone, Timestamp,
    auth::Signable,
    event::{Request, kind},
};

/// Numbers `130 0000 0000` to `139 9999 9999`.
const NUMBERS: u64 = 1_000_000_000;
const FIRST: u64 = 13_000_000_000;
/// Coprime to [`NUMBERS`], so that steps of it meet every number once.
const STEP: u64 = 618_033_989;
const PATH: &str = "/v1/messages";

/// All messages of one run.
#[derive(Clone, Debug)]
pub(super) struct Messages {
    shift: u64,
    run: String,
    key: String,
    secret: String,
    host: String,
}

impl Messages {
    pub(super) fn new(seed: u64, key: &str, secret: &str, host: &str) -> Self {
        Self {
            shift: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % NUMBERS,
            run: format!("{seed:016x}"),
            key: key.to_owned(),
            secret: secret.to_owned(),
            host: host.to_owned(),
        }
    }

    /// The campaign by which the tables know the run.
    pub(super) fn campaign(&self) -> String {
        format!("bench-{}", self.run)
    }

    /// Of message `i`. Pairs share a lane, so that the shares hold for every other message too.
    pub(super) const fn lane(i: u64) -> Lane {
        match i / 2 % 10 {
            0 => Lane::Otp,
            1..=6 => Lane::Notice,
            _ => Lane::Marketing,
        }
    }

    /// National number of message `i`.
    fn number(&self, i: u64) -> u64 {
        FIRST + (i % NUMBERS * STEP + self.shift) % NUMBERS
    }

    /// The message that went to a recipient in E.164; only numbers of this module have one.
    pub(super) fn of_recipient(&self, recipient: &str) -> Option<u64> {
        let number: u64 = recipient.strip_prefix("+86")?.parse().ok()?;
        let place = number.checked_sub(FIRST).filter(|n| *n < NUMBERS)?;
        Some((place + NUMBERS - self.shift) % NUMBERS * inverse_step() % NUMBERS)
    }

    fn params(i: u64) -> [(&'static str, String); 3] {
        let code = format!("{:06}", i % 1_000_000);
        match Self::lane(i) {
            Lane::Otp => [
                ("code", code),
                ("minutes", "5".to_owned()),
                ("", String::new()),
            ],
            Lane::Notice => [
                ("name", "张三".to_owned()),
                ("order", format!("A{code}")),
                ("day", "明天".to_owned()),
            ],
            Lane::Marketing => [
                ("name", "张三".to_owned()),
                ("discount", "8".to_owned()),
                ("", String::new()),
            ],
        }
    }

    /// The whole signed HTTP request of message `i`, put into `out`.
    pub(super) fn request(&self, i: u64, now: Timestamp, out: &mut Vec<u8>) -> std::io::Result<()> {
        let mut body = Vec::with_capacity(256);
        write!(
            body,
            r#"{{"recipient":"{}","template":"{}","campaign":"bench-{}","params":{{"#,
            self.number(i),
            Self::lane(i).as_str(),
            self.run
        )?;
        let params = Self::params(i);
        for (at, (name, value)) in params
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .enumerate()
        {
            let comma = if at == 0 { "" } else { "," };
            write!(body, r#"{comma}"{name}":"{value}""#)?;
        }
        body.extend_from_slice(b"}}");
        let nonce = format!("{}{i:x}", self.run);
        let authorization = Signable {
            method: "POST",
            path: PATH,
            query: "",
            body: &body,
            key: &self.key,
            ts: now.millis().div_euclid(1000),
            nonce: &nonce,
        }
        .authorization(&self.secret);
        out.clear();
        write!(
            out,
            "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        out.extend_from_slice(&body);
        Ok(())
    }

    /// The same message for a record.
    pub(super) fn payload(&self, i: u64) -> anyhow::Result<(Phone, Request)> {
        let recipient: Phone = format!("+86{}", self.number(i)).parse()?;
        let params: BTreeMap<String, String> = Self::params(i)
            .into_iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let request = Request {
            recipient: recipient.clone(),
            template: Self::lane(i).as_str().parse()?,
            signature: None,
            params,
            not_before: None,
            not_after: None,
            valid_for_ms: None,
            idempotency_key: None,
            index: 0,
            campaign: Some(self.campaign()),
            redrive_of: None,
        };
        Ok((recipient, request))
    }

    /// Kind of the records.
    pub(super) const KIND: &'static str = kind::REQUEST;

    /// Header value that proves whose a record is.
    pub(super) fn record_signature(&self, value: &[u8]) -> String {
        format!(
            "{}:{}",
            self.key,
            jixinda_schemas::seal::sign_record(&self.secret, value)
        )
    }
}

/// What undoes [`STEP`]: by Euler its power of φ(10⁹) − 1.
const fn inverse_step() -> u64 {
    const INVERSE: u64 = {
        let (mut result, mut base, mut power) = (1_u64, STEP, 400_000_000 - 1);
        while power > 0 {
            if power % 2 == 1 {
                result = result * base % NUMBERS;
            }
            base = base * base % NUMBERS;
            power /= 2;
        }
        result
    };
    INVERSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_recipient_of_its_own_and_is_found_by_it() {
        let messages = Messages::new(7, "k", "s", "h");
        let mut seen = std::collections::HashSet::new();
        for i in 0..50_000 {
            let number = messages.number(i);
            assert!(seen.insert(number));
            assert_eq!(messages.of_recipient(&format!("+86{number}")), Some(i));
        }
        assert_eq!(messages.of_recipient("+8615900000000"), None);
        assert_eq!(messages.of_recipient("+4413000000000"), None);
    }

    #[test]
    fn the_lanes_have_their_shares_among_all_and_among_every_other() {
        for step in [1, 2] {
            let lanes = (0..20 * step).step_by(step as usize).map(Messages::lane);
            let count =
                |lane| lanes.clone().filter(|l| *l == lane).count() * 20 / lanes.clone().count();
            assert_eq!(
                [
                    count(Lane::Otp),
                    count(Lane::Notice),
                    count(Lane::Marketing)
                ],
                [2, 12, 6]
            );
        }
    }

    #[test]
    fn a_request_is_whole_and_signed() {
        let messages = Messages::new(1, "bench-1", "secret", "127.0.0.1:1");
        for i in [0, 2, 14] {
            let mut bytes = Vec::new();
            messages.request(i, Timestamp(1_000), &mut bytes).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let read: serde_json::Value = serde_json::from_str(body).unwrap();
            let (phone, payload) = messages.payload(i).unwrap();
            assert_eq!(read["recipient"], phone.china_national().unwrap());
            assert_eq!(
                read["params"],
                serde_json::to_value(&payload.params).unwrap()
            );
            assert!(head.contains("Authorization: JIXINDA-HMAC-SHA256 key=bench-1, ts=1, nonce="));
        }
    }
}
