//! Variables that have an order and no names, and signatures that are named by an id.

use std::collections::BTreeMap;

use crate::account::{Account, Template};
use crate::wire::mainland_parts;

/// For the journal: values under their places, from 1.
pub(crate) fn by_place(values: &[String]) -> BTreeMap<String, String> {
    let numbered = values.iter().enumerate();
    numbered
        .map(|(index, value)| ((index + 1).to_string(), value.clone()))
        .collect()
}

/// The text of a signature, where the account's setting `sign.<id>` tells it.
pub(crate) fn signature<'a>(account: &'a Account, id: &str) -> Option<&'a str> {
    account.setting(&format!("sign.{id}"))
}

/// Billed parts of a text, its signature not yet in it.
pub(crate) fn text_parts(text: &str, sign: Option<&str>) -> usize {
    let signature = sign.map_or(0, |sign| sign.chars().count() + 2);
    mainland_parts(text.chars().count() + signature)
}

/// Billed parts of a template whose `${name}` places are filled in the order of its variables; one, where the lab does not
/// know its text.
pub(crate) fn parts(template: &Template, sign: Option<&str>, values: &[String]) -> usize {
    let Some(body) = &template.body else { return 1 };
    let mut text = body.clone();
    for (name, value) in template.variables.iter().zip(values) {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    text_parts(&text, sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_order() {
        let template = Template {
            variables: vec!["b".to_owned(), "a".to_owned()],
            body: Some(format!("${{a}}{}${{b}}", "字".repeat(60))),
        };
        let values = ["一".to_owned(), "二三四".to_owned()];
        assert_eq!(parts(&template, None, &values), 1);
        assert_eq!(parts(&template, Some("四字签名"), &values), 1);
        assert_eq!(parts(&template, Some("五个字签名"), &values), 2);
        assert_eq!(by_place(&values)["2"], "二三四");
    }
}
