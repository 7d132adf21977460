use std::path::{Path, PathBuf};

use jixinda::config::{Config, DEFAULTS, Layers};

use crate::root;

const KEY: &str = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn layers(file: Option<&Path>, pairs: &[(&str, &str)]) -> Layers {
    Layers::merge(file, &variables(pairs)).unwrap()
}

fn config(pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    layers(None, pairs).config().map_err(|invalid| invalid.0)
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jixinda.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn the_defaults_lack_only_secrets() {
    let config = config(&[]).unwrap();
    let bad = config.check(&config.run.roles).unwrap_err().0;
    assert!(
        bad.iter().all(|line| line.contains("key")
            || line.contains("token")
            || line.contains("password")),
        "{bad:?}"
    );
    assert!(
        bad.iter()
            .any(|line| line.starts_with("secrets.platform_key: is not set")),
        "{bad:?}"
    );
}

/// A section's struct tells its keys when it meets one that it does not know.
#[test]
fn every_key_of_every_section_is_explained_in_the_defaults() {
    let sections: Vec<&str> = DEFAULTS
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("# ")
                .strip_prefix('[')?
                .strip_suffix(']')
        })
        .collect();
    assert!(sections.len() >= 7, "{sections:?}");
    for section in sections {
        let variable = format!(
            "JIXINDA__{}__NO_SUCH_KEY",
            section.to_uppercase().replace('.', "__")
        );
        let bad = config(&[(&variable, "1")]).unwrap_err();
        let (_, known) = bad[0]
            .split_once("there are ")
            .unwrap_or_else(|| panic!("{section}: {bad:?}"));
        for key in known.split(", ") {
            let table = format!("[{section}.{key}]");
            let set = DEFAULTS.lines().any(|line| {
                let line = line.trim_start_matches("# ");
                line.split_once('=')
                    .is_some_and(|(name, _)| name.trim() == key)
                    || line == table
            });
            assert!(set, "`{key}` of [{section}] stands nowhere in the defaults");
        }
    }
}

#[test]
fn the_example_file_is_good() {
    let layers = layers(
        Some(&root().join("deploy/jixinda.example.toml")),
        &[("JIXINDA__KAFKA__INSTANCE", "3")],
    );
    let config = layers.config().unwrap();
    assert_eq!(config.kafka.partitions, 48);
    // A text stays a text, whatever it looks like.
    assert_eq!(config.kafka.instance, "3");
    let bad = config
        .check(&config.run.roles)
        .err()
        .map(|invalid| invalid.0)
        .unwrap_or_default();
    assert!(bad.is_empty(), "{bad:?}");
    let shown = layers.show();
    assert!(
        !shown.contains("change-me") && !shown.contains(KEY),
        "{shown}"
    );
    assert!(
        shown.contains("kafka.properties.sasl.username = \"jixinda\"")
            || shown.contains("sasl.username"),
        "{shown}"
    );
}

#[test]
fn unknown_keys_and_wrong_values_are_all_named_with_their_source() {
    let (_dir, path) = file("[kafka]\npartitons = 6\nreplication = \"three\"\n[nothing]\nx = 1\n");
    let layers = layers(
        Some(&path),
        &[
            ("JIXINDA__ADMIN__LISTN", "x"),
            ("JIXINDA__ADMIN__LISTEN", "nowhere"),
        ],
    );
    let bad = layers.config().unwrap_err().0;
    assert_eq!(bad.len(), 5, "{bad:#?}");
    let named = |key: &str, source: &str| {
        bad.iter()
            .any(|line| line.starts_with(key) && line.contains(source))
    };
    assert!(
        named("kafka.partitons: unknown key", "jixinda.toml"),
        "{bad:#?}"
    );
    assert!(named("kafka.replication: ", "jixinda.toml"), "{bad:#?}");
    assert!(named("nothing: unknown key", "jixinda.toml"), "{bad:#?}");
    assert!(
        named("admin.listn: unknown key", "JIXINDA__ADMIN__LISTN"),
        "{bad:#?}"
    );
    assert!(
        named("admin.listen: ", "JIXINDA__ADMIN__LISTEN"),
        "{bad:#?}"
    );
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let (_dir, path) = file("[kafka]\nbrokers = \"a:1\"\nprefix = \"b.\"\n");
    let layers = layers(Some(&path), &[("JIXINDA__KAFKA__PREFIX", "c.")]);
    let config = layers.config().unwrap();
    assert_eq!(
        (config.kafka.brokers.as_str(), config.kafka.prefix.as_str()),
        ("a:1", "c.")
    );
    let shown = layers.show();
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("kafka.prefix").ends_with("# JIXINDA__KAFKA__PREFIX"),
        "{shown}"
    );
    assert!(line("kafka.brokers").ends_with("jixinda.toml"), "{shown}");
    assert!(
        line("kafka.partitions").ends_with("# the defaults"),
        "{shown}"
    );
}

#[test]
fn secrets_are_shown_nowhere_and_may_stand_in_files() {
    let (_dir, path) = file(KEY);
    let pairs = [
        (
            "JIXINDA__SECRETS__PLATFORM_KEY__FILE",
            path.to_str().unwrap(),
        ),
        ("JIXINDA__ENGINE__READ_PASSWORD", "hunter2-hunter2"),
        ("JIXINDA__INGEST__STATUS_TOKEN", "hunter2-token"),
    ];
    let layers = layers(None, &pairs);
    let config = layers.config().unwrap();
    config.platform_key().unwrap();
    let shown = format!("{}{config:?}", layers.show());
    assert!(
        !shown.contains("hunter2") && !shown.contains(KEY),
        "{shown}"
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let bad = Layers::merge(Some(Path::new("/no/such/jixinda.toml")), &[]).unwrap_err();
    assert!(bad.0[0].contains("/no/such/jixinda.toml"));
}
