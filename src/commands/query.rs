use std::process::ExitCode;

use jixinda_analytics::queries::{self, Table};
use jixinda_runtime::clock::{Clock as _, SystemClock};
use jixinda_schemas::Timestamp;
use serde_json::{Map, Value};

use super::print;
use crate::{cli::Query, config::Config};

pub(super) async fn query(config: &Config, query: Query) -> anyhow::Result<ExitCode> {
    let Some(name) = query.name else {
        for query in queries::list() {
            print(format_args!("{:22} {}", query.name, query.description()))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let mut params = query.params;
    for (key, value) in [("from", query.from), ("to", query.to)] {
        params.extend(value.map(|value| (key.to_owned(), instant(value))));
    }
    let table = queries::run(&config.analytics, &name, &params, SystemClock.now()).await?;
    if query.json {
        print(serde_json::to_string_pretty(&objects(table))?)?;
    } else {
        for line in lines(&table) {
            print(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// RFC 3339 becomes Unix seconds, which ClickHouse reads; all else is left as it is.
fn instant(text: String) -> String {
    text.parse::<Timestamp>()
        .map_or(text, |at| at.millis().div_euclid(1000).to_string())
}

pub(super) fn objects(table: Table) -> Vec<Map<String, Value>> {
    let columns = table.columns;
    table
        .rows
        .into_iter()
        .map(|row| columns.iter().cloned().zip(row).collect())
        .collect()
}

/// Columns under their names: numbers to the right, texts to the left.
pub(super) fn lines(table: &Table) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(text).collect())
        .collect();
    let width = |i: usize, name: &String| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(i))
            .map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(name.chars().count())
    };
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, name)| width(i, name))
        .collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, &width)| {
            if cell.parse::<f64>().is_ok() {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&table.columns)
        .chain(&rows)
        .map(|cells| line(cells))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_under_its_columns() {
        let table = Table {
            columns: vec!["channel".into(), "sent".into()],
            rows: vec![
                vec!["aliyun-a".into(), 12.into()],
                vec![Value::Null, "3".into()],
            ],
        };
        assert_eq!(
            lines(&table),
            ["channel   sent", "aliyun-a    12", "-            3"]
        );
        assert_eq!(objects(table)[0]["sent"], 12);
    }

    #[test]
    fn instants_may_be_rfc_3339() {
        assert_eq!(instant("2026-01-02T03:04:05Z".into()), "1767323045");
        assert_eq!(instant("1767323045".into()), "1767323045");
    }
}
