//! Configuration in layers: built-in defaults < TOML file < environment (`JIXINDA__KAFKA__BROKERS`).
//!
//! Every section refuses unknown keys, so a mistyped key or variable is an error that names itself.

use std::path::Path;

use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::de::DeserializeOwned;

/// Environment variables with this prefix are read; `__` separates sections.
pub const ENV_PREFIX: &str = "JIXINDA__";

/// The configuration is not usable. Each line names a key, its source and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {0}")]
pub struct Error(String);

/// Merges the layers. `defaults` is the embedded commented template.
///
/// # Errors
/// When a file is unreadable, a key unknown, or a value of the wrong kind.
pub fn load<C: DeserializeOwned>(defaults: &str, file: Option<&Path>) -> Result<C, Error> {
    let mut figment = Figment::from(Toml::string(defaults));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(Error(format!("no file {}", file.display())));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    figment
        .merge(Env::prefixed(ENV_PREFIX).split("__"))
        .extract()
        .map_err(|errors| {
            Error(
                errors
                    .into_iter()
                    .map(|e| e.to_string())
                    .collect::<Vec<_>>()
                    .join("\n"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        port: u16,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        ingest: Section,
    }

    #[test]
    fn a_file_overrides_the_defaults_and_a_mistyped_key_is_named() {
        let dir = std::env::temp_dir().join(format!("jixinda-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let defaults = "[ingest]\nport = 8771\n";
        let good = dir.join("good.toml");
        std::fs::write(&good, "[ingest]\nport = 9\n").unwrap();
        assert_eq!(
            load::<Config>(defaults, Some(&good)).unwrap().ingest.port,
            9
        );
        let bad = dir.join("bad.toml");
        std::fs::write(&bad, "[ingest]\nprt = 9\n").unwrap();
        let error = load::<Config>(defaults, Some(&bad))
            .unwrap_err()
            .to_string();
        assert!(error.contains("prt"), "{error}");
        assert!(load::<Config>(defaults, Some(&dir.join("none.toml"))).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
