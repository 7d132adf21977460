//! Request bodies, read leniently and judged strictly: whatever is wrong is a problem with the name of its field, and
//! all problems are found in one pass. Texts are borrowed from the body.

use std::{borrow::Cow, fmt};

use jixinda_schemas::{Reason, validate::Problem};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most items of a batch.
pub(crate) const MAX_ITEMS: usize = 1000;
/// More parameters than any text could use.
const MAX_PARAMS: usize = 100;
/// Problems named for one message; a caller needs no more to see what is wrong.
pub(crate) const MAX_PROBLEMS: usize = 20;

/// One JSON value, as far as it can be of use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Slot<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Seconds(u64),
    /// Of a kind that no field takes: what it is, for people.
    Wrong(&'static str),
}

macro_rules! scalars {
    ($make:path) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($make("a boolean"))
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($make("a negative number"))
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($make("a fraction"))
        }
    };
}

fn drain_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

impl<'de: 'a, 'a> Deserialize<'de> for Slot<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Slot<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            scalars!(Slot::Wrong);
            fn visit_u64<E>(self, n: u64) -> Result<Slot<'de>, E> {
                Ok(Slot::Seconds(n))
            }
            fn visit_unit<E>(self) -> Result<Slot<'de>, E> {
                Ok(Slot::Absent)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Slot<'de>, E> {
                Ok(Slot::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Slot<'de>, E> {
                Ok(Slot::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Slot<'de>, A::Error> {
                drain_seq(seq).map(|()| Slot::Wrong("an array"))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Slot<'de>, A::Error> {
                drain_map(map).map(|()| Slot::Wrong("an object"))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// Names and values of `params`, in the order given.
#[derive(Debug, Default)]
pub(crate) struct Params<'a> {
    pub(crate) entries: Vec<(Cow<'a, str>, Slot<'a>)>,
    pub(crate) too_many: bool,
    pub(crate) wrong: Option<&'static str>,
}

impl Params<'_> {
    fn wrong(kind: &'static str) -> Self {
        Self {
            wrong: Some(kind),
            ..Self::default()
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Params<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            scalars!(Params::wrong);
            fn visit_u64<E>(self, _: u64) -> Result<Params<'de>, E> {
                Ok(Params::wrong("a number"))
            }
            fn visit_unit<E>(self) -> Result<Params<'de>, E> {
                Ok(Params::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Params<'de>, E> {
                Ok(Params::wrong("a string"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Params<'de>, A::Error> {
                drain_seq(seq).map(|()| Params::wrong("an array"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params<'de>, A::Error> {
                let mut params = Params::default();
                while let Some(name) = map.next_key::<Slot<'de>>()? {
                    let value = map.next_value::<Slot<'de>>()?;
                    if params.entries.len() >= MAX_PARAMS {
                        params.too_many = true;
                    } else if let Slot::Text(name) = name {
                        params.entries.push((name, value));
                    }
                }
                Ok(params)
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// The fields of a message: of a single request, of an item, or the defaults of a batch.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) recipient: Slot<'a>,
    pub(crate) template: Slot<'a>,
    pub(crate) signature: Slot<'a>,
    pub(crate) params: Option<Params<'a>>,
    pub(crate) not_before: Slot<'a>,
    pub(crate) not_after: Slot<'a>,
    pub(crate) valid_for: Slot<'a>,
    pub(crate) idempotency_key: Slot<'a>,
    pub(crate) campaign: Slot<'a>,
    /// Unknown names, names given twice, or no object at all.
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    fn wrong(kind: &'static str) -> Self {
        let problem = Problem::new(
            "",
            Reason::BadField,
            format!("must be an object, not {kind}"),
        );
        Self {
            problems: vec![problem],
            ..Self::default()
        }
    }

    fn complain(&mut self, name: &str, reason: Reason, detail: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let name: String = name.chars().take(40).collect();
            self.problems.push(Problem::new(name, reason, detail));
        }
    }

    /// Takes one member of the object.
    fn take<'de: 'a, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "recipient" => &mut self.recipient,
            "template" => &mut self.template,
            "signature" => &mut self.signature,
            "not_before" => &mut self.not_before,
            "not_after" => &mut self.not_after,
            "valid_for" => &mut self.valid_for,
            "idempotency_key" => &mut self.idempotency_key,
            "campaign" => &mut self.campaign,
            "params" => {
                let params = map.next_value::<Params<'de>>()?;
                if self.params.replace(params).is_some() {
                    self.complain(name, Reason::BadField, "given twice");
                }
                return Ok(());
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                self.complain(
                    name,
                    Reason::UnknownField,
                    "no such field; check its spelling",
                );
                return Ok(());
            }
        };
        let twice = *slot != Slot::Absent;
        *slot = map.next_value::<Slot<'de>>()?;
        if twice {
            self.complain(name, Reason::BadField, "given twice");
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            scalars!(Fields::wrong);
            fn visit_u64<E>(self, _: u64) -> Result<Fields<'de>, E> {
                Ok(Fields::wrong("a number"))
            }
            fn visit_unit<E>(self) -> Result<Fields<'de>, E> {
                Ok(Fields::wrong("null"))
            }
            fn visit_str<E>(self, _: &str) -> Result<Fields<'de>, E> {
                Ok(Fields::wrong("a string"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Fields<'de>, A::Error> {
                drain_seq(seq).map(|()| Fields::wrong("an array"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key::<Slot<'de>>()? {
                    let Slot::Text(name) = name else {
                        return Err(de::Error::custom("a name must be a string"));
                    };
                    fields.take(&name, &mut map)?;
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// A batch: defaults, then the items. Nothing that is one recipient's own has a default.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) defaults: Fields<'a>,
    /// `None` when absent, or no array.
    pub(crate) items: Option<Items<'a>>,
}

/// At most [`MAX_ITEMS`] of them, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Items<'a> {
    pub(crate) list: Vec<Fields<'a>>,
    pub(crate) count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`items` as an array of objects")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
                let mut items = Items::default();
                while items.count < MAX_ITEMS {
                    let Some(item) = seq.next_element()? else {
                        return Ok(items);
                    };
                    items.list.push(item);
                    items.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    items.count += 1;
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(V)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Batch<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `items`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Batch<'de>, A::Error> {
                let mut batch = Batch {
                    defaults: Fields::default(),
                    items: None,
                };
                while let Some(name) = map.next_key::<Slot<'de>>()? {
                    let Slot::Text(name) = name else {
                        return Err(de::Error::custom("a name must be a string"));
                    };
                    match &*name {
                        "items" => {
                            let items = map.next_value()?;
                            if batch.items.replace(items).is_some() {
                                batch
                                    .defaults
                                    .complain("items", Reason::BadField, "given twice");
                            }
                        }
                        "recipient" | "params" => {
                            map.next_value::<IgnoredAny>()?;
                            batch.defaults.complain(
                                &name,
                                Reason::UnknownField,
                                "belongs into each item",
                            );
                        }
                        _ => batch.defaults.take(&name, &mut map)?,
                    }
                }
                Ok(batch)
            }
        }
        deserializer.deserialize_map(V)
    }
}

/// Validity as `90s`, `5m`, `2h`, or a number of seconds; in milliseconds.
pub(crate) fn validity(text: &str) -> Option<i64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "ms" => 1,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_doubled_and_wrong_members_are_all_named() {
        let fields: Fields<'_> = serde_json::from_slice(
            br#"{"recipient":1,"templat":"x","template":"a","template":"b","params":{"code":5,"a\u0062":"t"},"zz":{"a":[1]}}"#,
        )
        .unwrap();
        let names: Vec<_> = fields
            .problems
            .iter()
            .map(|p| (p.field.as_str(), p.reason))
            .collect();
        assert_eq!(
            names,
            [
                ("templat", Reason::UnknownField),
                ("template", Reason::BadField),
                ("zz", Reason::UnknownField)
            ]
        );
        assert_eq!(fields.recipient, Slot::Seconds(1));
        let params = fields.params.unwrap();
        assert_eq!(params.entries[0], ("code".into(), Slot::Seconds(5)));
        assert_eq!(params.entries[1], ("ab".into(), Slot::Text("t".into())));
    }

    #[test]
    fn an_item_that_is_no_object_is_that_items_problem() {
        let batch: Batch<'_> =
            serde_json::from_slice(br#"{"template":"t","items":[{"recipient":"1"},7,null]}"#)
                .unwrap();
        let items = batch.items.unwrap();
        assert_eq!(items.count, 3);
        assert!(items.list[0].problems.is_empty());
        assert_eq!(items.list[1].problems[0].reason, Reason::BadField);
        assert_eq!(items.list[2].problems[0].reason, Reason::BadField);
    }

    #[test]
    fn values_of_one_recipient_have_no_default_for_the_batch() {
        let batch: Batch<'_> =
            serde_json::from_slice(br#"{"params":{"code":"1"},"recipient":"1","items":[]}"#)
                .unwrap();
        let names: Vec<_> = batch
            .defaults
            .problems
            .iter()
            .map(|p| p.field.as_str())
            .collect();
        assert_eq!(names, ["params", "recipient"]);
    }

    #[test]
    fn a_flood_of_items_or_names_is_counted_not_kept() {
        let body = format!(r#"{{"items":[{}]}}"#, vec!["{}"; 5000].join(","));
        let batch: Batch<'_> = serde_json::from_str(&body).unwrap();
        let items = batch.items.unwrap();
        assert_eq!((items.count, items.list.len()), (5000, MAX_ITEMS));
        let names: Vec<String> = (0..500).map(|i| format!(r#""n{i}":1"#)).collect();
        let body = format!("{{{}}}", names.join(","));
        assert_eq!(
            serde_json::from_str::<Fields<'_>>(&body)
                .unwrap()
                .problems
                .len(),
            MAX_PROBLEMS
        );
    }

    #[test]
    fn validity_is_a_number_with_a_unit() {
        assert_eq!(validity("90"), Some(90_000));
        assert_eq!(validity("90s"), Some(90_000));
        assert_eq!(validity("5m"), Some(300_000));
        assert_eq!(validity("2h"), Some(7_200_000));
        for bad in ["", "m", "5 m", "-5m", "1d", "5M", "99999999999999999h"] {
            assert_eq!(validity(bad), None, "{bad}");
        }
    }
}
