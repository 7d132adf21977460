//! The layers and the search for everything that is wrong in them.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use jixinda_runtime::config::ENV_PREFIX;
use serde::Deserialize;

use super::{Config, DEFAULTS, Invalid};

/// The file's name when none is given.
const FILE: &str = "jixinda.toml";
/// Names the file when no option does.
const FILE_VARIABLE: &str = "JIXINDA_CONFIG";
/// Name of the environment layer in figment's metadata.
const ENVIRONMENT: &str = "environment";

/// Defaults < file < environment, merged but not yet read.
#[derive(Clone, Debug)]
pub struct Layers {
    figment: Figment,
    pub(super) merged: Dict,
    defaults: Dict,
}

/// Variables with our prefix. A variable whose default is a text stays a text, so that `…__INSTANCE=1` is not a number.
struct Environment(Dict);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

impl Layers {
    /// Reads the file that `--config`, `JIXINDA_CONFIG` or the working directory names, and the environment.
    ///
    /// # Errors
    /// When a named file is not there, or a file is not TOML.
    pub fn read(file: Option<&Path>) -> Result<Self, Invalid> {
        let variables = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let variables: Vec<_> = variables.collect();
        let named = file.map(Path::to_owned).or_else(|| {
            let found = variables.iter().find(|(name, _)| name == FILE_VARIABLE);
            found.map(|(_, path)| PathBuf::from(path))
        });
        let file = named.or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.is_file()));
        Self::merge(file.as_deref(), &variables)
    }

    /// As [`Layers::read`], from these and nothing else.
    ///
    /// # Errors
    /// When the file is not there, or is not TOML.
    pub fn merge(file: Option<&Path>, variables: &[(String, String)]) -> Result<Self, Invalid> {
        let one = |error: figment::Error| Invalid(vec![error.to_string()]);
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        let defaults = figment.extract::<Dict>().map_err(one)?;
        if let Some(file) = file {
            if !file.is_file() {
                return Err(Invalid(vec![format!(
                    "there is no file {}",
                    file.display()
                )]));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let figment = figment.merge(Environment(environment(variables, &defaults)));
        let merged = figment.extract::<Dict>().map_err(one)?;
        Ok(Self {
            figment,
            merged,
            defaults,
        })
    }

    /// The configuration.
    ///
    /// # Errors
    /// Every unknown key and every value of the wrong kind, each with its source.
    pub fn config(&self) -> Result<Config, Invalid> {
        let mut bad = Vec::new();
        let mut dict = self.merged.clone();
        // Each round finds one fault and mends it, so that the next one shows.
        for _ in 0..100 {
            let error = match Config::deserialize(&Value::from(dict.clone())) {
                Ok(config) if bad.is_empty() => return Ok(config),
                Ok(_) => break,
                Err(error) => error,
            };
            let path = error.path.clone();
            match &error.kind {
                Kind::UnknownField(_, known) => {
                    let source = self.origin(&path);
                    bad.push(format!(
                        "{}: unknown key, from {source}; there are {}",
                        path.join("."),
                        known.join(", ")
                    ));
                    if !replace(&mut dict, &path, None) {
                        break;
                    }
                }
                kind => {
                    bad.push(format!(
                        "{}: {kind}, from {}",
                        path.join("."),
                        self.origin(&path)
                    ));
                    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                    if !replace(&mut dict, &path, find(&self.defaults, &keys).cloned()) {
                        break;
                    }
                }
            }
        }
        Err(Invalid(bad))
    }

    /// Where the value at `path` comes from, for people.
    pub(super) fn origin(&self, path: &[String]) -> String {
        let key = path.join(".");
        let Some(metadata) = self.figment.find_metadata(&key) else {
            return "the defaults".to_owned();
        };
        if metadata.name == ENVIRONMENT {
            return format!("{ENV_PREFIX}{}", path.join("__").to_ascii_uppercase());
        }
        match &metadata.source {
            Some(figment::Source::File(file)) => file.display().to_string(),
            _ => "the defaults".to_owned(),
        }
    }
}

/// The variables with our prefix, as nested sections.
fn environment(variables: &[(String, String)], defaults: &Dict) -> Dict {
    let mut dict = Dict::new();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let keys: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        let borrowed: Vec<&str> = keys.iter().map(String::as_str).collect();
        let value = match find(defaults, &borrowed) {
            Some(Value::String(..)) => Value::from(text.as_str()),
            // Parsing cannot fail: what is no TOML-like value is a text.
            _ => text.parse().unwrap_or_else(|_| Value::from(text.as_str())),
        };
        insert(&mut dict, &borrowed, value);
    }
    dict
}

fn insert(dict: &mut Dict, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [last] => {
            dict.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = dict
                .entry((*first).to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if !matches!(inner, Value::Dict(..)) {
                *inner = Value::from(Dict::new());
            }
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

pub(super) fn find<'a>(dict: &'a Dict, keys: &[&str]) -> Option<&'a Value> {
    match keys {
        [] => None,
        [last] => dict.get(*last),
        [first, rest @ ..] => match dict.get(*first)? {
            Value::Dict(_, inner) => find(inner, rest),
            _ => None,
        },
    }
}

/// Puts `value` at `path`, or removes what is there. Returns whether that changed anything.
pub(super) fn replace(dict: &mut Dict, path: &[String], value: Option<Value>) -> bool {
    match path {
        [] => false,
        [last] => {
            let before = dict.get(last).cloned();
            match value.clone() {
                Some(value) => dict.insert(last.clone(), value),
                None => dict.remove(last),
            };
            before != value
        }
        [first, rest @ ..] => match dict.get_mut(first) {
            Some(Value::Dict(_, inner)) => replace(inner, rest, value),
            // The fault lies within a list: the list as a whole is replaced by nothing.
            Some(_) => dict.remove(first).is_some(),
            None => false,
        },
    }
}
