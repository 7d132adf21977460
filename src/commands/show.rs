//! Tables and single things, for people or as JSON.

use std::process::ExitCode;

use anyhow::Context as _;
use jixinda_analytics::queries::Table;
use serde_json::Value;

use super::{directory::strip_nulls, print, query};

/// A table or an array of objects; `more` says that not all are shown.
pub(super) fn rows(
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    (as_json, more): (bool, bool),
) -> anyhow::Result<ExitCode> {
    let table = Table {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        rows,
    };
    if as_json {
        print(serde_json::to_string_pretty(&query::objects(table))?)?;
    } else if table.rows.is_empty() {
        print("none")?;
    } else {
        for line in query::lines(&table) {
            print(line)?;
        }
    }
    if more {
        eprintln!("jixinda: there are more: narrow the filters, or raise --limit");
    }
    Ok(ExitCode::SUCCESS)
}

/// TOML, or JSON.
pub(super) fn value(mut value: Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        print(serde_json::to_string_pretty(&value)?)?;
    } else {
        strip_nulls(&mut value);
        let text =
            toml::to_string_pretty(&value).context("it cannot be shown as TOML; try --json")?;
        print(text.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
