//! The configuration in force, for people: secrets hidden, each value with its origin.

use figment::value::{Dict, Value};
use serde::Deserialize;

use super::{Config, Layers, layers::replace};

/// Stands in for a text to find out whether the configuration hides it.
const PROBE: &str = "probe-3f1d9a";

impl Layers {
    /// One line for each value: `kafka.brokers = "…"  # from …`.
    #[must_use]
    pub fn show(&self) -> String {
        let mut lines = Vec::new();
        self.walk(&self.merged, &mut Vec::new(), &mut lines);
        let width = lines
            .iter()
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or(0)
            .min(60);
        lines
            .iter()
            .map(|(text, origin)| format!("{text:width$}  # {origin}\n"))
            .collect()
    }

    fn walk(&self, dict: &Dict, path: &mut Vec<String>, lines: &mut Vec<(String, String)>) {
        for (key, value) in dict {
            path.push(key.clone());
            match value {
                Value::Dict(_, inner) if !inner.is_empty() => self.walk(inner, path, lines),
                value => {
                    let text = match value {
                        Value::String(_, text) if !text.is_empty() && self.hides(path) => {
                            "(hidden)".to_owned()
                        }
                        value => serde_json::to_string(value).unwrap_or_default(),
                    };
                    lines.push((format!("{} = {text}", path.join(".")), self.origin(path)));
                }
            }
            path.pop();
        }
    }

    /// A secret is what takes any text and does not show it. So no list has to be kept of which keys are secrets.
    fn hides(&self, path: &[String]) -> bool {
        if let [section, name, ..] = path
            && section == "kafka"
            && name == "properties"
        {
            let property = path.join(".");
            return [
                "password",
                "secret",
                "token",
                "pem",
                "jaas",
                "oauthbearer.config",
            ]
            .iter()
            .any(|word| property.contains(word));
        }
        let mut dict = self.merged.clone();
        replace(&mut dict, path, Some(Value::from(PROBE)));
        Config::deserialize(&Value::from(dict))
            .is_ok_and(|config| !format!("{config:?}").contains(PROBE))
    }
}
