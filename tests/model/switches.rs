//! The rules of the log, each of which can be left out.

/// What is done out of order with the copies of open work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Parked {
    InOrder,
    /// The floors pass what is in a copy before it was read back.
    FloorsBeforeReadBack,
    /// Copies of ended work get their tombstones before a commit by which its request is not read again.
    TombstonesBeforeCommit,
    /// The floors pass the end of work before the tombstones of its copies are acknowledged.
    FloorsBeforeTombstones,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Records of a writer that was succeeded do not count.
    Fence,
    /// A vendor is called only after the claim was read back.
    ReadBack,
    /// The first valid claim wins.
    ClaimOrder,
    /// Copies of open work are made, and let go, in the order of [`Parked`].
    Parking(Parked),
    /// All floors of a partition in one commit.
    OneCommitFloors,
    /// The next attempt looks at all attempts before it.
    LookAtAllAttempts,
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    pub(crate) fence: bool,
    pub(crate) read_back: bool,
    pub(crate) claim_order: bool,
    pub(crate) parking: Parked,
    pub(crate) one_commit: bool,
    pub(crate) all_attempts: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        fence: true,
        read_back: true,
        claim_order: true,
        parking: Parked::InOrder,
        one_commit: true,
        all_attempts: true,
    };

    pub(crate) fn without(rule: Rule) -> Self {
        let mut rules = Self::ALL;
        match rule {
            Rule::Fence => rules.fence = false,
            Rule::ReadBack => rules.read_back = false,
            Rule::ClaimOrder => rules.claim_order = false,
            Rule::Parking(order) => rules.parking = order,
            Rule::OneCommitFloors => rules.one_commit = false,
            Rule::LookAtAllAttempts => rules.all_attempts = false,
        }
        rules
    }
}
