use std::process::ExitCode;

use anyhow::anyhow;
use jixinda_analytics::queries::Table;
use jixinda_senders::vendors::{self, codes::Catalogue};
use serde_json::json;

use super::{print, query};
use crate::cli::Codes;

/// `jixinda codes VENDOR`
pub(super) fn codes(options: &Codes) -> anyhow::Result<ExitCode> {
    let catalogue = vendors::catalogue(&options.vendor).ok_or_else(|| {
        let known = vendors::KINDS.join(", ");
        anyhow!("no vendor of kind `{}`; there are {known}", options.vendor)
    })?;
    if options.json {
        print(serde_json::to_string_pretty(&catalogue)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in query::lines(&table(&catalogue)) {
        print(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(catalogue: &Catalogue) -> Table {
    let columns = ["answer to", "code", "what follows", "blame", "meaning"];
    let submit = catalogue.submit.iter().map(|row| {
        vec![
            json!("call"),
            json!(row.code),
            json!(row.disposition),
            json!(row.blame),
            json!(row.meaning),
        ]
    });
    let receipt = catalogue.receipt.iter().map(|row| {
        vec![
            json!("receipt"),
            json!(row.code),
            json!(row.status),
            json!(row.blame),
            json!(row.meaning),
        ]
    });
    Table {
        columns: columns.map(ToOwned::to_owned).to_vec(),
        rows: submit.chain(receipt).collect(),
    }
}
