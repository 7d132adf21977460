//! Seeded draws. A draw depends on (seed, account, call number, purpose, index) only, so the same calls in
//! the same order suffer the same faults, and a changed setting for one purpose leaves the others alone.

/// What a draw is for; each purpose is a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Latency = 1,
    SubmitFault = 2,
    ReceiptLoss = 3,
    ReceiptOutcome = 4,
    ReceiptDelay = 5,
    ReceiptDuplicate = 6,
    DuplicateDelay = 7,
    ReceiptForgery = 8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, account: &str, call: u64) -> Self {
        let name = account.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self {
            state: mix(mix(seed ^ name) ^ call),
        }
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(self, purpose: Purpose, index: usize) -> f64 {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        let bits = mix(mix(self.state ^ purpose as u64) ^ index) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

/// The output function of SplitMix64.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeatable() {
        let draws: Vec<f64> = (0..10_000)
            .map(|call| Dice::new(7, "a", call).unit(Purpose::ReceiptLoss, 0))
            .collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert_eq!(
            draws[17],
            Dice::new(7, "a", 17).unit(Purpose::ReceiptLoss, 0)
        );
        assert_ne!(
            draws[17],
            Dice::new(8, "a", 17).unit(Purpose::ReceiptLoss, 0)
        );
        assert_ne!(
            draws[17],
            Dice::new(7, "b", 17).unit(Purpose::ReceiptLoss, 0)
        );
    }
}
