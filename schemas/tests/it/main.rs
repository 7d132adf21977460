//! The public contract as committed: JSON Schemas, worked examples, documents, vendor vectors.
#![allow(clippy::unwrap_used)]

mod auth;
mod documents;
mod drift;
mod errors;
mod golden;
mod properties;
mod segments;
mod templates;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder of this crate.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the documents.
fn docs() -> PathBuf {
    home().join("../docs")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files and folders in `dir` by name.
fn list(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Compares a generated file with the committed one, or writes it when `UPDATE_SCHEMAS` is set.
fn same_as_committed(path: &Path, generated: &str) {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, generated).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} differs from what the types generate; run the tests once with UPDATE_SCHEMAS=1 and review the diff",
        path.display()
    );
}

/// A vector from `tests/fixtures/vectors.json`.
fn vector(id: &str) -> Value {
    vectors()
        .into_iter()
        .find(|v| v["id"] == id)
        .unwrap_or_else(|| panic!("no vector {id}"))
}

fn vectors() -> Vec<Value> {
    let all = read_json(&home().join("tests/fixtures/vectors.json"));
    all["vectors"].as_array().unwrap().clone()
}
