use proptest::prelude::*;

use super::*;

const SOURCE: Topic = Topic::RequestsOtp;

#[test]
fn the_oldest_open_work_holds_its_source_and_later_work_holds_its_facts() {
    let mut l = Ledger::default();
    for (offset, key) in [(3, 'a'), (4, 'b'), (5, 'c')] {
        assert!(l.open(SOURCE, offset, key));
    }
    l.fact(&'c', Topic::Attempts, 7);
    l.fact(&'b', Topic::Attempts, 9);
    l.fact(&'c', Topic::Attempts, 12);
    l.end(&'c');
    assert_eq!(
        l.floors(),
        BTreeMap::from([(SOURCE, 3), (Topic::Attempts, 7)])
    );
    l.end(&'a');
    assert_eq!(
        l.floors(),
        BTreeMap::from([(SOURCE, 4), (Topic::Attempts, 7)])
    );
    l.end(&'b');
    assert!(l.floors().is_empty() && l.is_empty());
}

#[test]
fn a_fact_read_before_its_work_holds_its_topic() {
    let mut l = Ledger::default();
    l.fact(&'a', Topic::Attempts, 7);
    assert_eq!(l.floors(), BTreeMap::from([(Topic::Attempts, 7)]));
    l.open(SOURCE, 3, 'a');
    l.end(&'a');
    assert!(l.floors().is_empty());
}

#[test]
fn a_key_used_again_is_new_work_though_older_work_still_keeps_its_first() {
    let mut l = Ledger::default();
    l.open(SOURCE, 1, 'a');
    l.open(SOURCE, 2, 'b');
    assert!(!l.open(SOURCE, 3, 'b'));
    l.end(&'b');
    assert!(l.open(SOURCE, 4, 'b'));
    l.end(&'a');
    assert_eq!(l.floors(), BTreeMap::from([(SOURCE, 4)]));
    l.end(&'b');
    assert!(l.is_empty());
}

proptest! {
    /// The invariant of the module, against a plain list of everything that happened.
    #[test]
    fn floors_never_pass_what_work_at_or_after_the_source_floor_needs(
        steps in prop::collection::vec((0_u8..3, 0_usize..12), 1..80)
    ) {
        let mut l = Ledger::default();
        let mut opened: Vec<usize> = Vec::new();
        let mut ended = std::collections::HashSet::new();
        let mut facts: Vec<(usize, i64)> = Vec::new();
        for (i, (step, key)) in steps.iter().enumerate() {
            let at = i as i64;
            match step {
                0 => if !opened.contains(key) && l.open(SOURCE, at, *key) { opened.push(*key); },
                1 => { l.fact(key, Topic::Attempts, at); facts.push((*key, at)); }
                _ => if opened.contains(key) { l.end(key); ended.insert(*key); },
            }
            let floors = l.floors();
            // Work from the first open one on, in order of opening, and work not opened yet.
            let first_open = opened.iter().position(|k| !ended.contains(k)).unwrap_or(opened.len());
            let needed = |k: &usize| match opened.iter().position(|o| o == k) {
                Some(p) => p >= first_open,
                None => true,
            };
            for (key, offset) in facts.iter().filter(|(k, _)| needed(k)) {
                let floor = floors.get(&Topic::Attempts).copied();
                prop_assert!(floor.is_some_and(|f| f <= *offset), "fact of {key} at {offset}, floor {floor:?}");
            }
        }
    }
}
