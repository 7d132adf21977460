//! The arrows between crates (ARCHITECTURE.md), and the size of files. The compiler does not keep these.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::root;

const MAX_LINES: usize = 500;

/// Crate → crates of ours that it may name.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let service = BTreeSet::from(["jixinda-schemas", "jixinda-runtime"]);
    let services = [
        "jixinda-ingest",
        "jixinda-router",
        "jixinda-senders",
        "jixinda-analytics",
        "jixinda-manage",
    ];
    let mut allowed = BTreeMap::from([
        ("jixinda-schemas", BTreeSet::new()),
        ("jixinda-runtime", BTreeSet::from(["jixinda-schemas"])),
        // Never the senders: an error there must not be hidden by the same error here.
        ("jixinda-lab", BTreeSet::from(["jixinda-schemas"])),
    ]);
    allowed.extend(services.map(|name| (name, service.clone())));
    let all = allowed.keys().copied().collect();
    allowed.insert("jixinda", all);
    allowed
}

#[test]
fn no_crate_names_one_that_it_must_not_know() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap();
    let allowed = allowed();
    for package in metadata.workspace_packages() {
        let name = package.name.to_string();
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is new: say here what it may depend on"));
        for dependency in &package.dependencies {
            let ours = dependency.name.starts_with("jixinda");
            // A crate may name itself with its testing features, and in tests what it may name anyway.
            let itself = dependency.kind == DependencyKind::Development && dependency.name == name;
            assert!(
                !ours || itself || may.contains(dependency.name.as_str()),
                "{name} depends on {}, which ARCHITECTURE.md, Crates and arrows, rules out",
                dependency.name
            );
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.')
                && !matches!(
                    name.as_str(),
                    "target" | "node_modules" | "fixtures" | "json"
                )
            {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !name.contains("generated")
        {
            found.push(path);
        }
    }
}

#[test]
fn no_source_file_has_more_than_500_lines() {
    let mut found = Vec::new();
    sources(root(), &mut found);
    assert!(found.len() > 50, "the sources were not found");
    let long: Vec<String> = found
        .iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(path).unwrap().lines().count();
            (lines > MAX_LINES)
                .then(|| format!("{}: {lines}", path.strip_prefix(root()).unwrap().display()))
        })
        .collect();
    assert!(
        long.is_empty(),
        "split these at a seam of the domain: {long:#?}"
    );
}

#[test]
fn no_file_is_called_mod_rs() {
    let mut found = Vec::new();
    sources(root(), &mut found);
    let bad: Vec<_> = found
        .iter()
        .filter(|path| path.ends_with("mod.rs"))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}
