//! `docs/errors.md` lists every reason.

use std::fmt::Write;

use jixinda_schemas::Reason;

use crate::{docs, same_as_committed};

#[test]
fn errors_md_lists_exactly_the_reasons() {
    let mut text = String::from(
        "# Reasons\n\n\
         Why a message, a request or a record ended: one closed list of stable codes. The same code stands in the\n\
         `reason` of an `outcome`, in the `reason` of a `dead_letter`, and in the `code` of an error that the HTTP API\n\
         answers. Codes are added, never renamed or reused; treat one that you do not know by its outcome.\n\n\
         Generated from `schemas/src/reason.rs`; do not edit.\n\n\
         | code | what it means and what to do |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        writeln!(text, "| `{reason}` | {} |", reason.help()).unwrap();
    }
    same_as_committed(&docs().join("errors.md"), &text);
}

#[test]
fn a_code_is_its_serde_name_and_used_once() {
    let mut seen = std::collections::BTreeSet::new();
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert!(seen.insert(reason.as_str()), "{reason}");
        assert!(!reason.help().contains('|'), "{reason} breaks the table");
    }
}
