use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::Entry;
use crate::error::Error;

/// The entries of a journal, oldest first.
#[derive(Debug)]
pub struct Entries {
    path: PathBuf,
    lines: BufReader<File>,
    line: u64,
    torn_bytes: usize,
}

/// Opens a journal for judges and tests; it may still be growing.
pub fn read(path: impl AsRef<Path>) -> Result<Entries, Error> {
    let path = path.as_ref().to_owned();
    match File::open(&path) {
        Ok(file) => Ok(Entries {
            path,
            lines: BufReader::new(file),
            line: 0,
            torn_bytes: 0,
        }),
        Err(source) => Err(Error::Journal { path, source }),
    }
}

impl Entries {
    /// Bytes of a last line without its end, which was skipped; known once the iterator has ended.
    #[must_use]
    pub fn torn_bytes(&self) -> usize {
        self.torn_bytes
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        self.line += 1;
        match self.lines.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) if bytes.last() != Some(&b'\n') => {
                self.torn_bytes = bytes.len();
                tracing::warn!(
                    path = %self.path.display(),
                    bytes = bytes.len(),
                    "torn last journal line skipped"
                );
                None
            }
            Ok(_) => Some(
                serde_json::from_slice(&bytes).map_err(|source| Error::JournalLine {
                    path: self.path.clone(),
                    line: self.line,
                    source,
                }),
            ),
            Err(source) => Some(Err(Error::Journal {
                path: self.path.clone(),
                source,
            })),
        }
    }
}
