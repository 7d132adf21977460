//! Rules that hold for all inputs.

use std::collections::BTreeMap;

use jixinda_schemas::{
    Phone, Timestamp, codec,
    template::{Content, Error, Form, Piece, content, pieces, render},
};
use proptest::prelude::*;

use crate::{golden, read};

/// Last millisecond that the text form can hold.
const END: i64 = 253_402_300_799_999;

proptest! {
    #[test]
    fn rendering_never_panics(body in r"([a-z{}]|\PC){0,40}", value in ".*") {
        let names = pieces(&body).map(|p| p.into_iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some((name.to_owned(), value.clone())),
            Piece::Text(_) => None,
        }).collect::<BTreeMap<_, _>>());
        let rendered = render(&body, &names.clone().unwrap_or_default());
        prop_assert_eq!(rendered.is_ok(), names.is_ok());
    }

    #[test]
    fn values_are_inserted_as_they_are(a in ".*", b in ".*", text in "[^{}]*") {
        let params = BTreeMap::from([("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())]);
        let rendered = render(&format!("{{a}}{text}{{b}}{{a}}"), &params);
        prop_assert_eq!(rendered, Ok(format!("{a}{text}{b}{a}")));
    }

    #[test]
    fn separated_values_come_apart_again_or_are_refused(
        values in prop::collection::vec(r"[a|,]{0,5}", 1..4),
        separator in r"[|,]{1,2}",
    ) {
        let order: Vec<String> = (0..values.len()).map(|i| format!("v{i}")).collect();
        let params = order.iter().cloned().zip(values.clone()).collect();
        let form = Form::Separated { order: order.clone(), separator: separator.clone() };
        match content(&form, Some("c"), &params, "") {
            Ok(Content::Separated { params, .. }) => {
                prop_assert_eq!(params.split(&separator).collect::<Vec<_>>(), values);
            }
            Err(Error::Separator(name)) => prop_assert!(order.contains(&name)),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn any_text_is_a_number_or_an_error_and_a_number_masks_itself(text in r"(\+?[0-9]{0,16}|\+86[0-9]{11}|.*)") {
        if let Ok(phone) = Phone::parse_lenient(&text) {
            prop_assert_eq!(phone.expose().parse::<Phone>(), Ok(phone.clone()));
            let (masked, _) = (phone.masked(), phone.carrier());
            prop_assert!(masked.contains("****") && !masked.contains(phone.expose()));
        }
    }

    #[test]
    fn every_instant_of_the_text_form_comes_back(millis in -62_167_219_200_000..=END) {
        let at = Timestamp(millis);
        prop_assert_eq!(at.to_string().parse::<Timestamp>().ok(), Some(at));
    }

    #[test]
    fn whatever_parses_as_an_instant_has_a_text_form(
        text in "(0000-01-01|9999-12-31|2025-01-02|1969-12-31)T(00|23):[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-](00|08|23):[0-5][0-9])",
    ) {
        if let Ok(at) = text.parse::<Timestamp>() {
            prop_assert_eq!(at.to_string().parse::<Timestamp>().ok(), Some(at));
        }
    }

    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0_u32..3) {
        drop(codec::decode(None, &bytes));
        drop(codec::decode(Some(("request", version)), &bytes));
    }
}

#[test]
fn damaged_examples_never_panic() {
    let examples: Vec<String> = golden::examples()
        .iter()
        .map(|(_, _, path)| read(path))
        .collect();
    let damage = (
        0..examples.len(),
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<bool>(),
    );
    proptest!(|((which, at, byte, cut) in damage)| {
        let mut bytes = examples[which].clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        drop(codec::decode(None, &bytes));
    });
}
