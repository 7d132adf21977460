use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Work(u8);

const WORK: Work = Work(1);
const ANY: fn(&Work) -> bool = |_| true;

fn parking() -> Parking<Work> {
    Parking::new(7)
}

/// Writes a copy and reads it back.
fn park(p: &mut Parking<Work>) -> Key<Work> {
    let key = p.write(WORK).unwrap();
    assert_eq!(p.read(&key, Standing::Valid), Found::Own);
    key
}

#[test]
fn an_older_copy_goes_only_when_the_newer_one_was_read_back() {
    let mut p = parking();
    let first = park(&mut p);
    let second = p.write(WORK).unwrap();
    assert_eq!(p.write(WORK), None, "one at a time");
    assert!(p.take_due().is_empty());
    p.read(&second, Standing::Valid);
    assert_eq!(p.take_due(), [first]);
    assert_eq!(p.gone(&first), Gone::More);
    assert_eq!(p.gone(&second), Gone::Unparked);
}

#[test]
fn the_copy_of_ended_work_waits_for_a_commit_that_passes_its_opening() {
    let mut p = parking();
    let copy = park(&mut p);
    assert!(!p.end(&WORK));
    assert!(p.take_due().is_empty());
    p.committed(|_| false);
    assert!(p.take_due().is_empty());
    p.committed(ANY);
    assert_eq!(p.take_due(), [copy]);
    assert_eq!(p.gone(&copy), Gone::Ended);
    assert!(p.end(&WORK), "nothing is left of it");
}

#[test]
fn work_that_ends_while_its_copy_is_on_its_way_waits_for_that_too() {
    let mut p = parking();
    let first = park(&mut p);
    let second = p.write(WORK).unwrap();
    assert!(!p.end(&WORK));
    p.committed(ANY);
    assert!(p.take_due().is_empty());
    p.read(&second, Standing::Valid);
    p.committed(ANY);
    assert_eq!(p.take_due(), [first, second]);
    // Whichever comes first, both must be gone.
    assert_eq!(p.gone(&second), Gone::More);
    assert_eq!(p.gone(&first), Gone::Ended);
    assert_eq!(p.write(WORK).unwrap().copy.sequence, 3);
}

#[test]
fn a_copy_that_does_not_count_is_buried_and_takes_no_place() {
    let mut p = parking();
    let inherited = Key {
        work: WORK,
        copy: Copy {
            writer: 3,
            sequence: 9,
        },
    };
    let stale = Key {
        work: WORK,
        copy: Copy {
            writer: 2,
            sequence: 1,
        },
    };
    assert_eq!(p.read(&inherited, Standing::Valid), Found::Inherited);
    assert_eq!(p.read(&stale, Standing::Stale), Found::Stale);
    assert_eq!(p.take_due(), [stale]);
    assert_eq!(p.gone(&stale), Gone::More);
    assert!(!p.end(&WORK));
    p.committed(ANY);
    assert_eq!(p.take_due(), [inherited]);
    assert!(p.inherits());
    assert_eq!(p.gone(&inherited), Gone::Ended);
    assert!(!p.inherits());
}

#[test]
fn of_the_copies_that_count_the_last_is_the_one_and_tombstones_take_them_away() {
    let mut p = parking();
    let copy = |sequence| Key {
        work: WORK,
        copy: Copy {
            writer: 3,
            sequence,
        },
    };
    p.read(&copy(1), Standing::Valid);
    p.read(&copy(2), Standing::Valid);
    // Its tombstone is in the log already.
    assert_eq!(p.gone(&copy(1)), Gone::More);
    assert!(p.take_due().is_empty());
    assert_eq!(p.gone(&copy(2)), Gone::Unparked);
    assert!(p.is_empty());
}

/// It may come late, when the work is open by its own record.
#[test]
fn the_tombstone_of_a_copy_that_never_counted_says_nothing_of_the_work() {
    let mut p = parking();
    let stale = Key {
        work: WORK,
        copy: Copy {
            writer: 3,
            sequence: 1,
        },
    };
    assert_eq!(p.read(&stale, Standing::Stale), Found::Stale);
    assert_eq!(p.gone(&stale), Gone::More);

    p.read(&stale, Standing::Stale);
    let counted = Key {
        work: WORK,
        copy: Copy {
            writer: 4,
            sequence: 1,
        },
    };
    assert_eq!(p.read(&counted, Standing::Valid), Found::Inherited);
    assert_eq!(p.gone(&counted), Gone::More);
    assert_eq!(p.gone(&stale), Gone::Unparked);
}
