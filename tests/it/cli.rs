use std::process::{Command, Output};

use clap::{CommandFactory, Parser as _};
use jixinda::cli::Cli;

fn jixinda(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_jixinda"))
        .args(arguments)
        .current_dir(dir.path())
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_command_line_is_consistent_and_every_command_says_what_it_does() {
    fn walk(command: &clap::Command, path: &str) {
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            let path = format!("{path} {}", sub.get_name());
            assert!(sub.get_about().is_some(), "{path} has no help text");
            walk(sub, &path);
        }
    }
    Cli::command().debug_assert();
    walk(&Cli::command(), "jixinda");
}

#[test]
fn help_names_every_command() {
    let shown = text(&jixinda(&["--help"]).stdout);
    for command in [
        "run",
        "ingest",
        "router",
        "senders",
        "analytics",
        "engine",
        "config",
        "topics",
        "directory",
        "dead-letters",
        "failed",
        "lab",
    ] {
        assert!(
            shown
                .lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}: {shown}"
        );
    }
}

/// Words of a shell line: quotes hold one together, `#` ends the line.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => break,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_command_of_the_operations_manual_is_understood() {
    let manual = std::fs::read_to_string("docs/operations.md").unwrap();
    let lines: Vec<&str> = manual
        .lines()
        .filter(|line| line.starts_with("jixinda "))
        .collect();
    assert!(lines.len() >= 9, "{lines:#?}");
    for line in lines {
        let line = line
            .replace("$MESSAGE", "1b3e02ae-c32e-8a99-a145-cf97befbe7d2")
            .replace("$LETTER", "dead-letters/3/17");
        if let Err(error) = Cli::try_parse_from(words(&line)) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn a_bad_configuration_ends_with_78_and_names_every_value() {
    let done = jixinda(&["config", "check"]);
    assert_eq!(done.status.code(), Some(78));
    assert!(
        text(&done.stderr)
            .contains("secrets.platform_key: is not set; make one with `jixinda key generate`")
    );
}

#[test]
fn a_generated_key_makes_the_configuration_good() {
    let key = text(&jixinda(&["key", "generate"]).stdout);
    assert_ne!(key, text(&jixinda(&["key", "generate"]).stdout));
    assert!(jixinda_schemas::seal::PlatformKey::from_base64(&key).is_ok());
}

#[test]
fn the_printed_defaults_are_the_embedded_ones() {
    assert_eq!(
        text(&jixinda(&["config", "default"]).stdout).trim_end(),
        jixinda::config::DEFAULTS.trim_end()
    );
}
