//! Templates: one text body with named variables, and what each channel wants of it.
//!
//! A vendor takes either a template code with named variables (Aliyun), positional ones (Tencent), values joined by
//! a separator (Feige, Lexin), or the whole text (Montnets, SMPP); [`Form`] says which, [`Content`] is the result.
//! Values are inserted in one pass and never looked at again, so `$`, `\` and `{x}` in a value are just text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a channel takes a template's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Form {
    /// `{"code": "123456"}`; `names` maps our names to the vendor's where they differ.
    Named {
        /// Our name to the vendor's.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        names: BTreeMap<String, String>,
    },
    /// `["123456", "5"]`, in this order of our names.
    Positional {
        /// Our names.
        order: Vec<String>,
    },
    /// `123456||5`, in this order of our names. A value that contains the separator cannot be sent on the channel.
    Separated {
        /// Our names.
        order: Vec<String>,
        /// Stands between two values.
        separator: String,
    },
    /// The vendor takes the text as it is, signature included.
    #[default]
    FullText,
}

/// What the vendor is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Template code and named variables.
    Named {
        /// The vendor's template code.
        code: String,
        /// Values by the vendor's names.
        params: BTreeMap<String, String>,
    },
    /// Template code and variables in order.
    Positional {
        /// The vendor's template code.
        code: String,
        /// Values in the vendor's order.
        params: Vec<String>,
    },
    /// Template code and variables joined by the separator.
    Separated {
        /// The vendor's template code.
        code: String,
        /// Values in the vendor's order, with the separator between them.
        params: String,
    },
    /// The text alone.
    FullText {
        /// Signature included.
        text: String,
    },
}

/// Why a template and its values make no text or content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body or the form names a variable that has no value.
    #[error("the template needs variable `{0}`")]
    Missing(String),
    /// A brace without its partner, or a name that is none.
    #[error("the template body has a malformed placeholder at byte {0}: write {{name}}")]
    Placeholder(usize),
    /// A value holds the channel's separator.
    #[error("the value of `{0}` contains the separator of the channel")]
    Separator(String),
    /// The form needs a vendor code and the template has none for the channel.
    #[error("the template has no code on the channel")]
    Code,
}

/// A piece of a body: text, or the name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text to copy.
    Text(&'a str),
    /// Variable to insert.
    Variable(&'a str),
}

/// Cuts a body into text and `{name}` placeholders.
///
/// # Errors
/// [`Error::Placeholder`] with the byte where a brace has no partner or encloses no name.
pub fn pieces(body: &str) -> Result<Vec<Piece<'_>>, Error> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = body[at..].find(['{', '}']) {
        let open = at + open;
        if body.as_bytes()[open] == b'}' {
            return Err(Error::Placeholder(open));
        }
        let close = open + body[open..].find('}').ok_or(Error::Placeholder(open))?;
        let name = &body[open + 1..close];
        if !is_variable_name(name) {
            return Err(Error::Placeholder(open));
        }
        if open > at {
            out.push(Piece::Text(&body[at..open]));
        }
        out.push(Piece::Variable(name));
        at = close + 1;
    }
    if at < body.len() {
        out.push(Piece::Text(&body[at..]));
    }
    Ok(out)
}

/// 1 to 32 of `a-z 0-9 _`, starting with a letter.
#[must_use]
pub fn is_variable_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Renders a body.
///
/// # Errors
/// When a placeholder is malformed or has no value.
pub fn render(body: &str, params: &BTreeMap<String, String>) -> Result<String, Error> {
    let mut out = String::with_capacity(body.len() + 32);
    for piece in pieces(body)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable(name) => {
                out.push_str(
                    params
                        .get(name)
                        .ok_or_else(|| Error::Missing(name.to_owned()))?,
                );
            }
        }
    }
    Ok(out)
}

/// Makes the content for one channel. `text` is the rendered full text, signature included.
///
/// # Errors
/// When a variable or the code is missing, or a value holds the separator.
pub fn content(
    form: &Form,
    code: Option<&str>,
    params: &BTreeMap<String, String>,
    text: &str,
) -> Result<Content, Error> {
    let value = |name: &String| {
        params
            .get(name)
            .cloned()
            .ok_or_else(|| Error::Missing(name.clone()))
    };
    let code = || code.map(ToOwned::to_owned).ok_or(Error::Code);
    Ok(match form {
        Form::Named { names } => Content::Named {
            code: code()?,
            params: params
                .iter()
                .map(|(name, value)| (names.get(name).unwrap_or(name).clone(), value.clone()))
                .collect(),
        },
        Form::Positional { order } => Content::Positional {
            code: code()?,
            params: order.iter().map(value).collect::<Result<_, _>>()?,
        },
        Form::Separated { order, separator } => {
            let values = order.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            let joined = values.join(separator);
            // The vendor splits again: `a|` and `b` under `||` would arrive as `a` and `|b`.
            let mut parts = joined.split(separator.as_str());
            if let Some(i) = values.iter().position(|v| parts.next() != Some(v.as_str())) {
                return Err(Error::Separator(order[i].clone()));
            }
            if !values.is_empty() && parts.next().is_some() {
                return Err(Error::Separator(order[values.len() - 1].clone()));
            }
            Content::Separated {
                code: code()?,
                params: joined,
            }
        }
        Form::FullText => Content::FullText {
            text: text.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    /// Defect (m) of the system that this replaces: its regex replacement broke on `$` and `\`.
    #[test]
    fn dollar_backslash_and_braces_in_a_value_are_just_text() {
        let text = render(
            "pay {amount} at {place}",
            &params(&[("amount", "$1\\2"), ("place", "{amount}")]),
        )
        .unwrap();
        assert_eq!(text, "pay $1\\2 at {amount}");
    }

    #[test]
    fn malformed_placeholders_name_their_place() {
        assert_eq!(pieces("a {code"), Err(Error::Placeholder(2)));
        assert_eq!(pieces("a } b"), Err(Error::Placeholder(2)));
        assert_eq!(pieces("a {Co de}"), Err(Error::Placeholder(2)));
    }

    #[test]
    fn the_four_forms_give_what_their_vendors_take() {
        let p = params(&[("code", "123456"), ("minutes", "5")]);
        let order = vec!["code".to_owned(), "minutes".to_owned()];
        let named = Form::Named {
            names: [("code".to_owned(), "verify".to_owned())].into(),
        };
        assert_eq!(
            content(&named, Some("SMS_1"), &p, "t").unwrap(),
            Content::Named {
                code: "SMS_1".into(),
                params: params(&[("verify", "123456"), ("minutes", "5")])
            }
        );
        assert_eq!(
            content(
                &Form::Positional {
                    order: order.clone()
                },
                Some("7"),
                &p,
                "t"
            )
            .unwrap(),
            Content::Positional {
                code: "7".into(),
                params: vec!["123456".into(), "5".into()]
            }
        );
        let separated = Form::Separated {
            order,
            separator: "||".into(),
        };
        assert_eq!(
            content(&separated, Some("7"), &p, "t").unwrap(),
            Content::Separated {
                code: "7".into(),
                params: "123456||5".into()
            }
        );
        assert_eq!(
            content(&Form::FullText, None, &p, "t").unwrap(),
            Content::FullText { text: "t".into() }
        );
    }

    #[test]
    fn a_value_with_the_separator_cannot_go_on_that_channel() {
        let form = Form::Separated {
            order: vec!["a".into()],
            separator: "||".into(),
        };
        assert_eq!(
            content(&form, Some("7"), &params(&[("a", "x||y")]), "t"),
            Err(Error::Separator("a".into()))
        );
        let form = Form::Separated {
            order: vec!["a".into(), "b".into()],
            separator: "||".into(),
        };
        assert_eq!(
            content(&form, Some("7"), &params(&[("a", "x|"), ("b", "y")]), "t"),
            Err(Error::Separator("a".into()))
        );
    }
}
