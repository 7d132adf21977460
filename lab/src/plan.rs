//! Decides what one valid call suffers. Pure: behaviour, dice and recipients in, plan out.
//!
//! Precedence: magic number > the account's mix.

use std::time::Duration;

use crate::behaviour::{Behaviour, FaultKind};
use crate::codes::{Condition, End};
use crate::dice::{Dice, Purpose};
use crate::magic::{self, Magic};

/// A second copy of a receipt follows the first within this time.
const DUPLICATE_WITHIN: Duration = Duration::from_millis(500);

#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<FaultKind>,
}

/// How a message that was taken ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    By(End),
    /// With this code of the vendor's, or the name of an end.
    Code(String),
}

#[derive(Debug, PartialEq)]
pub(crate) struct ReceiptPlan {
    pub(crate) fate: Fate,
    pub(crate) lost: bool,
    /// From the answer.
    pub(crate) delay: Duration,
    /// The second copy's delay after the first.
    pub(crate) duplicate: Option<Duration>,
    /// Push it first and answer the call then.
    pub(crate) early: bool,
    /// A forged one goes before it.
    pub(crate) forged: bool,
}

/// What a recipient's number forces upon its call.
fn forced(behaviour: &Behaviour, recipient: &str) -> Option<&'static FaultKind> {
    match magic::find(recipient) {
        Some(Magic::Submit(kind)) if behaviour.magic_numbers => Some(kind),
        _ => None,
    }
}

/// For one number of a call, where the vendor refuses numbers one by one.
pub(crate) fn number(behaviour: &Behaviour, recipient: &str) -> Option<Condition> {
    match forced(behaviour, recipient) {
        Some(FaultKind::When(condition)) if condition.of_number() => Some(*condition),
        _ => None,
    }
}

/// For the whole call. With `per_number`, what is about one number is left to [`number`].
pub(crate) fn call<'a>(
    behaviour: &Behaviour,
    dice: Dice,
    per_number: bool,
    mut recipients: impl Iterator<Item = &'a str>,
) -> Plan {
    let by_number = recipients.find_map(|recipient| {
        let kind = forced(behaviour, recipient)?;
        let apart = per_number && number(behaviour, recipient).is_some();
        (!apart).then(|| kind.clone())
    });
    let drawn = || {
        let draw = dice.unit(Purpose::SubmitFault, 0);
        let shares = behaviour.submit_errors.iter();
        pick(draw, shares.map(|fault| (fault.share, &fault.kind))).cloned()
    };
    Plan {
        latency: behaviour.latency.at(dice.unit(Purpose::Latency, 0)),
        fault: by_number.or_else(drawn),
    }
}

/// For the recipient at `index` of an accepted call, in E.164.
pub(crate) fn receipt(
    behaviour: &Behaviour,
    dice: Dice,
    index: usize,
    recipient: &str,
) -> ReceiptPlan {
    let draw = |purpose| dice.unit(purpose, index);
    let failures = behaviour.receipt_failures.iter();
    let failure = pick(
        draw(Purpose::ReceiptOutcome),
        failures
            .filter(|failure| failure.is_for(recipient))
            .map(|failure| (failure.share, &failure.code)),
    );
    let again = || DUPLICATE_WITHIN.mul_f64(draw(Purpose::DuplicateDelay));
    let mut plan = ReceiptPlan {
        fate: failure.map_or(Fate::By(End::Delivered), |code| Fate::Code(code.clone())),
        lost: draw(Purpose::ReceiptLoss) < behaviour.receipt_loss,
        delay: behaviour.receipt_delay.at(draw(Purpose::ReceiptDelay)),
        duplicate: (draw(Purpose::ReceiptDuplicate) < behaviour.receipt_duplicates).then(again),
        early: false,
        forged: draw(Purpose::ReceiptForgery) < behaviour.receipt_forgeries,
    };
    let magic = magic::find(recipient).filter(|_| behaviour.magic_numbers);
    if let Some(magic) = magic {
        plan.lost = *magic == Magic::NoReceipt;
        match magic {
            Magic::Receipt(end) => plan.fate = Fate::By(*end),
            Magic::DuplicateReceipts => plan.duplicate = Some(again()),
            Magic::EarlyReceipt => plan.early = true,
            Magic::NoReceipt | Magic::Submit(_) => {}
        }
    }
    plan
}

fn pick<T>(mut draw: f64, shares: impl Iterator<Item = (f64, T)>) -> Option<T> {
    for (share, value) in shares {
        if draw < share {
            return Some(value);
        }
        draw -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::{Fault, ReceiptFailure};

    #[test]
    fn shares_come_out_as_set_and_the_same_seed_repeats_them() {
        let behaviour = Behaviour {
            submit_errors: vec![
                Fault {
                    share: 0.1,
                    kind: FaultKind::AcceptThen502,
                },
                Fault {
                    share: 0.2,
                    kind: FaultKind::When(Condition::OutOfBalance),
                },
            ],
            receipt_loss: 0.05,
            receipt_failures: vec![ReceiptFailure {
                share: 0.3,
                code: "MOBILE_IN_BLACK".to_owned(),
                prefixes: Vec::new(),
            }],
            ..Behaviour::default()
        };
        let run = |seed| -> Vec<(Plan, ReceiptPlan)> {
            (0..20_000)
                .map(|number| {
                    let dice = Dice::new(seed, "a", number);
                    let plan = call(&behaviour, dice, false, ["+8613800138000"].into_iter());
                    (plan, receipt(&behaviour, dice, 0, "+8613800138000"))
                })
                .collect()
        };
        let first = run(1);
        assert_eq!(first, run(1));
        assert_ne!(first, run(2));
        let share = |hit: &dyn Fn(&(Plan, ReceiptPlan)) -> bool| {
            first.iter().filter(|plans| hit(plans)).count() as f64 / 20_000.0
        };
        let near = |value: f64, wanted: f64| (value - wanted).abs() < 0.015;
        assert!(near(
            share(&|(plan, _)| plan.fault == Some(FaultKind::AcceptThen502)),
            0.1
        ));
        assert!(near(share(&|(plan, _)| plan.fault.is_some()), 0.3));
        assert!(near(share(&|(_, receipt)| receipt.lost), 0.05));
        assert!(near(
            share(&|(_, receipt)| receipt.fate == Fate::Code("MOBILE_IN_BLACK".to_owned())),
            0.3
        ));
    }
}
