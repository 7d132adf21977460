//! Reading a directory file: TOML or JSON into what is wanted, with every fault that the form has.

use std::path::Path;

use anyhow::Context as _;
use figment::{error::Kind, value::Value};
use jixinda_schemas::directory::wanted::{Clear, FileSecret, Problem, Wanted};
use serde::de::DeserializeOwned;

const LISTS: [&str; 5] = [
    "apps",
    "channels",
    "signatures",
    "templates",
    "suppressions",
];

/// Reads `path`. What is not TOML or JSON at all is an error; all else that is wrong is in the list.
///
/// # Errors
/// When the file cannot be read or parsed.
pub fn read(path: &Path) -> anyhow::Result<(Wanted<FileSecret>, Vec<Problem>)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    parse(&text, json).with_context(|| format!("{} cannot be read", path.display()))
}

fn parse(text: &str, json: bool) -> anyhow::Result<(Wanted<FileSecret>, Vec<Problem>)> {
    // One entry at a time, through figment's values: their errors name the field.
    let whole = if json {
        Value::serialize(serde_json::from_str::<
            serde_json::Map<String, serde_json::Value>,
        >(text)?)?
    } else {
        Value::serialize(toml::from_str::<toml::Table>(text)?)?
    };
    let mut problems = Vec::new();
    for key in whole.as_dict().into_iter().flat_map(|dict| dict.keys()) {
        if !LISTS.contains(&key.as_str()) {
            let what = format!("unknown; there are {}", LISTS.join(", "));
            problems.push(Problem {
                path: key.clone(),
                what,
            });
        }
    }
    let wanted = Wanted {
        apps: list(&whole, "apps", &mut problems),
        channels: list(&whole, "channels", &mut problems),
        signatures: list(&whole, "signatures", &mut problems),
        templates: list(&whole, "templates", &mut problems),
        suppressions: list(&whole, "suppressions", &mut problems),
    };
    Ok((wanted, problems))
}

fn list<T: DeserializeOwned>(whole: &Value, name: &str, problems: &mut Vec<Problem>) -> Vec<T> {
    let mut out = Vec::new();
    let entries = match whole.find_ref(name) {
        None => return out,
        Some(Value::Array(_, entries)) => entries,
        Some(_) => {
            let what = format!("must be a list: write [[{name}]]");
            problems.push(Problem {
                path: name.to_owned(),
                what,
            });
            return out;
        }
    };
    for (i, entry) in entries.iter().enumerate() {
        match entry.deserialize::<T>() {
            Ok(entity) => out.push(entity),
            Err(error) => {
                let mut path = vec![format!("{name}[{i}]")];
                path.extend(error.path.iter().cloned());
                problems.push(Problem {
                    path: path.join("."),
                    what: fault(&error.kind),
                });
            }
        }
    }
    out
}

/// The fault without the value: it may be a secret in the wrong place.
fn fault(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => format!("must be {wanted}"),
        Kind::UnknownField(_, known) => format!("unknown; there are {}", known.join(", ")),
        Kind::UnknownVariant(found, known) => format!("`{found}` is none of {}", known.join(", ")),
        other => other.to_string(),
    }
}

/// Fetches the secrets. One that cannot be had is empty in the result and named in the list.
#[must_use]
pub fn resolve(wanted: Wanted<FileSecret>) -> (Wanted<Clear>, Vec<Problem>) {
    let mut problems = Vec::new();
    let wanted = wanted.map_secrets(|path, secret| {
        let found = match secret {
            FileSecret::Text(text) => Ok(text),
            FileSecret::Env { env } => {
                std::env::var(&env).map_err(|_| format!("environment variable {env} is not set"))
            }
            FileSecret::File { file } => std::fs::read_to_string(&file)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read {file}: {error}")),
        };
        Clear::new(found.unwrap_or_else(|what| {
            problems.push(Problem {
                path: path.to_owned(),
                what,
            });
            String::new()
        }))
    });
    (wanted, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_that_cannot_be_read_is_named_with_its_field() {
        let text = r#"
            channel = 1
            [[channels]]
            id = "a"
            vendor = "aliyun"
            rate_per_second = "many"
            max_in_flight = 1
            [[channels]]
            id = "b"
            vendor = "aliyun"
            rate_per_second = 1
            max_in_flight = 1
            secrets = { access_key_secret = { env = "NO_SUCH_VARIABLE" }, access_key_id = "ak" }
            [[channels]]
            id = "c"
            vendr = "aliyun"
            [[templates]]
            id = "t"
            lane = "sms"
            app = "shop"
            body = "x"
            signature = "s"
        "#;
        let (wanted, problems) = parse(text, false).unwrap();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("channel: unknown"), "{lines:?}");
        assert_eq!(lines[1], "channels[0].rate_per_second: must be u32");
        assert!(
            lines[2].starts_with("channels[2].vendr: unknown; there are id"),
            "{lines:?}"
        );
        assert!(
            lines[3].starts_with("templates[0].lane: `sms` is none of otp"),
            "{lines:?}"
        );
        let (clear, problems) = resolve(wanted);
        assert_eq!(clear.channels.len(), 1);
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "channels[0].secrets.access_key_secret: environment variable NO_SUCH_VARIABLE is not set"
        );
    }

    #[test]
    fn json_reads_as_toml_does() {
        let text = r#"{"signatures": [{"id": "acme", "text": "ACME", "app": null}]}"#;
        let (wanted, problems) = parse(text, true).unwrap();
        assert!(problems.is_empty());
        assert_eq!(wanted.signatures[0].text, "ACME");
        assert!(parse("{", true).is_err());
    }
}
