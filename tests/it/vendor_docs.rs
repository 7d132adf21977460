//! Each kind of vendor has a page, with the codes that the program knows.

use std::{fmt::Write as _, path::Path};

use jixinda_senders::vendors;
use serde_json::{Value, json};

/// `permanent_recipient` and the like.
fn word(value: impl serde::Serialize) -> String {
    match json!(value) {
        Value::String(word) => format!("`{word}`"),
        other => other.to_string(),
    }
}

fn tables(kind: &str) -> String {
    let catalogue = vendors::catalogue(kind).unwrap();
    let mut text = format!(
        "## Codes\nAs `jixinda codes {kind}` prints them. What is not listed counts against the channel, and another is tried.\n\n\
         | answer to a call | what follows | blame | meaning |\n|---|---|---|---|\n"
    );
    for row in catalogue.submit {
        let (follows, blame) = (word(row.disposition), word(row.blame));
        writeln!(
            text,
            "| `{}` | {follows} | {blame} | {} |",
            row.code, row.meaning
        )
        .unwrap();
    }
    text.push_str("\n| in a receipt | status | blame | meaning |\n|---|---|---|---|\n");
    for row in catalogue.receipt {
        let (status, blame) = (word(row.status), word(row.blame));
        writeln!(
            text,
            "| `{}` | {status} | {blame} | {} |",
            row.code, row.meaning
        )
        .unwrap();
    }
    text
}

#[test]
fn every_vendor_has_a_page_with_its_codes() {
    for kind in vendors::KINDS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/vendors/{kind}.md"));
        let page = std::fs::read_to_string(&path).unwrap();
        let (head, _) = page.split_once("## Codes").unwrap();
        let wanted = format!("{head}{}", tables(kind));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        } else {
            assert_eq!(
                page,
                wanted,
                "{}: run the tests once with UPDATE_DOCS=1",
                path.display()
            );
        }
    }
}
