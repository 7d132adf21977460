//! Lexin 乐信 (lx198, lx598): `/sdk/…` under accName and accPwd, its seeded variants, and `/msgpool/sdk/…` under AppID and
//! AppSecret; receipts and messages from handsets are fetched.
//!
//! Source of the protocol facts: the project's Lexin fact sheet (parameter tables of the vendor, its demos, public clients).
//! UNCONFIRMED there and the lab's own guess here: every text of a refusal, what a call is answered when no number of it is
//! good, the fields of the newer API beside the template's own, hex case and time zone (Beijing) of the seeded digest, what an
//! empty fetch answers and how much one takes. Receipts are pushed too, in no known form, so not here. `qryBalance` is not
//! played, and a schedule is taken without a wait.
//!
//! An account's `access_key_id` is accName or AppID, its `sign_names` are texts of signatures without brackets, and `to` of
//! an inbound message is the signature that it answers. Settings: `secret_is_md5` (`true`: the account's secret is the digest
//! that is sent); `app_secret`: what AppSecret holds, `plain` or `md5` (either, without it); `numbers_as_text` (`true`: in
//! JSON all numbers are strings).

mod codes;
pub mod sign;
mod submit;
mod wire;

use std::sync::Arc;

use axum::http::request::Parts;

use crate::account::Account;
use crate::clock::Stamp;
use crate::codes::{Code, Condition, End, ReceiptCode};
use crate::live::Live;
use crate::receipts::Item;
use crate::vendor::{
    Action, Answer, Arrival, Gate, Habits, Held, Mo, Outgoing, Refusal, Submit, Vendor,
};

#[derive(Debug)]
pub(crate) struct Lexin;

impl Vendor for Lexin {
    fn kind(&self) -> &'static str {
        "lexin"
    }

    fn habits(&self) -> Habits {
        Habits {
            batch: 1,
            retries: &[],
            fetched: true,
            per_number: true,
            per_part: false,
        }
    }

    fn pushes(&self) -> bool {
        false
    }

    fn takes(&self, parts: &Parts) -> bool {
        wire::method(parts.uri.path()).is_some()
    }

    fn key(&self, arrival: &Arrival<'_>) -> Option<String> {
        let request = wire::Request::read(arrival)?;
        request.value(request.name()).map(str::to_owned)
    }

    fn held(&self, arrival: &Arrival<'_>) -> Held {
        submit::held(arrival)
    }

    fn admit(&self, arrival: &Arrival<'_>, gate: Gate<'_>) -> Result<Arc<Live>, Refusal> {
        let wrong = || Refusal::from(codes::WRONG_PASSWORD);
        let request = wire::Request::read(arrival).ok_or_else(wrong)?;
        let (name, proof) = match (
            request.value(request.name()),
            request.value(request.proof()),
        ) {
            (Some(name), Some(proof)) => (name, proof),
            _ => return Err(codes::NO_PASSWORD.into()),
        };
        let live = gate.account(name).ok_or_else(wrong)?;
        let seed = match request.is_seeded() {
            true => Some(request.value("seed").ok_or(codes::WRONG_SEED)?),
            false => None,
        };
        if let Some(seed) = seed {
            let at = sign::seed_time(seed).ok_or(codes::WRONG_SEED)?;
            if arrival.seconds_off(at) > gate.skew() {
                return Err(codes::OLD_SEED.into());
            }
        }
        let account = live.account();
        let mut proved = false;
        for secret in &account.secrets {
            let secret = secret.expose();
            let digest = match account.setting("secret_is_md5") {
                Some("true") => secret.to_owned(),
                _ => sign::acc_pwd(secret),
            };
            proved |= match seed {
                Some(seed) => sign::is_seeded(&digest, seed, proof),
                None if request.is_new() => {
                    let form = account.setting("app_secret");
                    let (plain, md5) = (form != Some("md5"), form != Some("plain"));
                    plain & crate::wire::same(secret, proof)
                        | md5 & crate::wire::same(&digest, proof)
                }
                None => crate::wire::same(&digest, proof),
            };
        }
        if proved { Ok(live) } else { Err(wrong()) }
    }

    fn judge(&self, arrival: &Arrival<'_>, account: &Account) -> Result<Action, Refusal> {
        submit::judge(arrival, account)
    }

    fn code(&self, condition: Condition) -> &'static Code {
        match condition {
            Condition::BadNumber => codes::BAD_NUMBER,
            Condition::Blacklisted => codes::BLACKLISTED,
            Condition::FrequencyCap => codes::NUMBER_TOO_OFTEN,
            Condition::OutOfBalance => codes::NO_BALANCE,
            Condition::Throttled => codes::TOO_OFTEN,
            Condition::SystemError => codes::BUSY,
            Condition::TemplateNotApproved => codes::TEMPLATE,
        }
    }

    fn codes(&self) -> &'static [&'static Code] {
        codes::ALL
    }

    fn end(&self, end: End) -> &'static ReceiptCode {
        match end {
            End::Delivered => codes::DELIVERED,
            End::NotOnService | End::Keyword | End::CarrierFailure => codes::FAILED,
        }
    }

    fn ends(&self) -> &'static [&'static ReceiptCode] {
        codes::ALL_ENDS
    }

    fn ids(&self, _first: u64, submit: &Submit) -> Vec<String> {
        // The vendor has none: a message is known by the caller's msgId and its number.
        let id = submit.echo.as_deref().unwrap_or_default();
        vec![id.to_owned(); submit.wanted.len()]
    }

    fn taken(
        &self,
        arrival: &Arrival<'_>,
        account: &Account,
        submit: &Submit,
        _ids: &[String],
    ) -> Answer {
        wire::taken(arrival, account, submit)
    }

    fn refused(
        &self,
        arrival: &Arrival<'_>,
        account: Option<&Account>,
        refusal: &Refusal,
    ) -> Answer {
        let numbers = submit::held(arrival).recipients.len();
        wire::failure(arrival, account, refusal, numbers)
    }

    fn garbage(&self) -> &'static str {
        "{\"replyCode\":1,\"reply"
    }

    fn push(&self, _account: &Account, url: &str, _items: &[Item], _now: Stamp) -> Outgoing {
        // Never asked for, since `pushes` is false.
        Outgoing::post(url, "text/plain", "")
    }

    fn is_ack(&self, _status: u16, _body: &[u8]) -> bool {
        false
    }

    fn fetched(&self, _arrival: &Arrival<'_>, items: &[Item], _now: Stamp) -> Answer {
        wire::fetched(items)
    }

    fn inbound(&self, _account: &Account, _url: &str, _mo: &Mo) -> Option<Outgoing> {
        None
    }

    fn fetched_inbound(&self, _arrival: &Arrival<'_>, mos: &[Mo]) -> Answer {
        wire::fetched_inbound(mos)
    }
}
