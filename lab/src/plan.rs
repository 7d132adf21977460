//! Decides what one valid call suffers. Pure: behaviour, dice and recipients in, plan out.
//!
//! Precedence: magic number > the account's mix.

use std::time::Duration;

use crate::aliyun::codes::{self, ReceiptCode};
use crate::aliyun::magic::{self, Magic};
use crate::behaviour::{Behaviour, FaultKind};
use crate::dice::{Dice, Purpose};

/// A second copy of a receipt follows the first within this time.
const DUPLICATE_WITHIN: Duration = Duration::from_millis(500);

#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<FaultKind>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct ReceiptPlan {
    pub(crate) code: &'static ReceiptCode,
    pub(crate) lost: bool,
    /// From the answer.
    pub(crate) delay: Duration,
    /// The second copy's delay after the first.
    pub(crate) duplicate: Option<Duration>,
    /// Push it first and answer the call then.
    pub(crate) early: bool,
}

/// For the whole call.
pub(crate) fn call<'a>(
    behaviour: &Behaviour,
    dice: Dice,
    mut recipients: impl Iterator<Item = &'a str>,
) -> Plan {
    let forced = recipients.find_map(|recipient| match magic::find(recipient) {
        Some(Magic::Submit(kind)) if behaviour.magic_numbers => Some(kind),
        _ => None,
    });
    let drawn = || {
        let draw = dice.unit(Purpose::SubmitFault, 0);
        pick(
            draw,
            behaviour
                .submit_errors
                .iter()
                .map(|fault| (fault.share, fault.kind)),
        )
    };
    Plan {
        latency: behaviour.latency.at(dice.unit(Purpose::Latency, 0)),
        fault: forced.or_else(drawn),
    }
}

/// For the recipient at `index` of an accepted call.
pub(crate) fn receipt(
    behaviour: &Behaviour,
    dice: Dice,
    index: usize,
    recipient: &str,
) -> ReceiptPlan {
    let draw = |purpose| dice.unit(purpose, index);
    let failure = pick(
        draw(Purpose::ReceiptOutcome),
        behaviour
            .receipt_failures
            .iter()
            .map(|failure| (failure.share, failure.code)),
    );
    let again = || DUPLICATE_WITHIN.mul_f64(draw(Purpose::DuplicateDelay));
    let mut plan = ReceiptPlan {
        code: failure.unwrap_or(codes::DELIVERED),
        lost: draw(Purpose::ReceiptLoss) < behaviour.receipt_loss,
        delay: behaviour.receipt_delay.at(draw(Purpose::ReceiptDelay)),
        duplicate: (draw(Purpose::ReceiptDuplicate) < behaviour.receipt_duplicates).then(again),
        early: false,
    };
    let forced = magic::find(recipient).filter(|_| behaviour.magic_numbers);
    if let Some(magic) = forced {
        plan.lost = magic == Magic::NoReceipt;
        match magic {
            Magic::Receipt(code) => plan.code = code,
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
                    kind: FaultKind::Code(codes::AMOUNT_NOT_ENOUGH),
                },
            ],
            receipt_loss: 0.05,
            receipt_failures: vec![ReceiptFailure {
                share: 0.3,
                code: codes::MOBILE_IN_BLACK,
            }],
            ..Behaviour::default()
        };
        let run = |seed| -> Vec<(Plan, ReceiptPlan)> {
            (0..20_000)
                .map(|number| {
                    let dice = Dice::new(seed, "a", number);
                    let plan = call(&behaviour, dice, ["13800138000"].into_iter());
                    (plan, receipt(&behaviour, dice, 0, "13800138000"))
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
            share(&|(_, receipt)| receipt.code == codes::MOBILE_IN_BLACK),
            0.3
        ));
    }
}
