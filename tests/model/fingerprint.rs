//! One number for a state of the shipped code, from its `Debug` text: so the shipped types need nothing for the
//! model but `Clone` and `Debug`. What stands in braces (maps, sets, fields) counts in any order, since hash maps
//! show theirs in any; what stands in brackets counts in order.

use std::fmt::Debug;

const MIX: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// One byte more of an item: two sums of 64 bits, since most bytes are of items.
fn more(item: u128, byte: u8) -> u128 {
    let (a, b) = ((item >> 64) as u64, item as u64);
    let a = (a ^ u64::from(byte))
        .wrapping_mul(0x0100_0000_01B3)
        .rotate_left(5);
    let b = (b.rotate_left(7) ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (u128::from(a) << 64) | u128::from(b)
}

fn mix(a: u128, b: u128) -> u128 {
    let mut z = (a ^ b.rotate_left(29)).wrapping_mul(MIX);
    z ^= z >> 61;
    z.wrapping_mul(MIX) ^ (z >> 97)
}

struct Group {
    ordered: bool,
    sum: u128,
    item: u128,
}

impl Group {
    fn new(opening: u8) -> Self {
        Self {
            ordered: opening != b'{',
            sum: u128::from(opening),
            item: 1,
        }
    }

    fn end_item(&mut self) {
        self.sum = if self.ordered {
            mix(self.sum, self.item)
        } else {
            self.sum.wrapping_add(mix(7, self.item))
        };
        self.item = 1;
    }
}

/// The same for states that show the same, whatever the order of their hash maps.
pub(crate) fn of(value: &impl Debug) -> u128 {
    of_text(&format!("{value:?}"))
}

fn of_text(text: &str) -> u128 {
    let mut groups = vec![Group::new(b'[')];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let Some(group) = groups.last_mut() else {
            return 0;
        };
        match byte {
            b'{' | b'[' | b'(' => groups.push(Group::new(byte)),
            b'}' | b']' | b')' => {
                group.end_item();
                let sum = group.sum;
                groups.pop();
                if let Some(outer) = groups.last_mut() {
                    outer.item = mix(outer.item, sum);
                }
            }
            b',' => group.end_item(),
            b' ' => {}
            b'"' => {
                group.item = more(group.item, b'"');
                while let Some(quoted) = bytes.next() {
                    match quoted {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => group.item = more(group.item, quoted),
                    }
                }
            }
            _ => group.item = more(group.item, byte),
        }
    }
    groups.iter().fold(0, |sum, group| mix(sum, group.item))
}

#[test]
fn maps_count_in_any_order_and_lists_in_theirs() {
    assert_eq!(of_text("{a: [1, 2], b: 3}"), of_text("{b: 3, a: [1, 2]}"));
    assert_ne!(of_text("{a: [1, 2], b: 3}"), of_text("{a: [2, 1], b: 3}"));
    assert_ne!(of_text("{a: 1, b: 2}"), of_text("{a: 2, b: 1}"));
    assert_ne!(of_text("(a, b)"), of_text("(b, a)"));
    assert_ne!(of_text("X { a: \"1, 2\" }"), of_text("X { a: \"1\", 2 }"));
}
