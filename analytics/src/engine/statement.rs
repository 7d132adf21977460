//! Reads just enough of a statement to send it the right way. Pure: no engine, no I/O.
//!
//! The engine's own parser has the last word on what a statement does (`chdb_classify_query_n`); this module
//! only splits an insert from its rows, picks a format, and refuses words that reach the host's files.

use super::exception::{BAD_ARGUMENTS, Exception, PROHIBITED};

/// Words that no text of a client may hold, in any case of quoting. Function `file` reads any file of the host,
/// even with `readonly=1`; `eval` runs a text that nobody has seen; the others name files to the formats.
const REFUSED_WORDS: [&str; 8] = [
    "file",
    "eval",
    "format_template_resultset",
    "format_template_row",
    "format_schema",
    "format_schema_source",
    "allow_experimental_eval_table_function",
    "catboostEvaluate",
];

/// Formats in which a block of rows is the same bytes wherever it stands, so that a stream needs no assembly.
const STREAMED: [&str; 9] = [
    "TabSeparated",
    "TSV",
    "TabSeparatedRaw",
    "TSVRaw",
    "CSV",
    "JSONEachRow",
    "NDJSON",
    "RowBinary",
    "Native",
];

const READS: [&str; 9] = [
    "SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK",
];

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// By its first word a read.
    Read(String),
    /// Anything else, inserts without rows in the request included.
    Write(String),
    /// An insert cut from its rows.
    Insert {
        head: String,
        format: String,
        rows: Vec<u8>,
    },
}

/// Puts the `query` of the URL and the body together as a ClickHouse server does. Rows follow the statement, in the
/// text, in the body, or in both. `fallback` is the format of an insert that names none.
pub(crate) fn read(
    query: &str,
    body: Vec<u8>,
    fallback: Option<&str>,
) -> Result<Statement, Exception> {
    let not_text = |_| Exception::new(BAD_ARGUMENTS, "the statement is not UTF-8");
    if query.trim().is_empty() {
        return match Head::of(&body) {
            Some(head) => {
                let end = head.end;
                let rows = body[head.rows..].to_vec();
                let text = std::str::from_utf8(&body[..end]).map_err(not_text)?;
                insert(text, head.format, rows)
            }
            None => other(String::from_utf8(body).map_err(|error| not_text(error.utf8_error()))?),
        };
    }
    match Head::of(query.as_bytes()) {
        Some(head) => {
            let inline = &query.as_bytes()[head.rows..];
            let rows = if inline.iter().all(u8::is_ascii_whitespace) {
                body
            } else {
                [inline, b"\n".as_slice(), &body].concat()
            };
            insert(&query[..head.end], head.format, rows)
        }
        None if first_word(query) == "INSERT"
            && !body.is_empty()
            && fallback.is_some()
            && !has_select(query) =>
        {
            let format = fallback.unwrap_or_default().to_owned();
            insert(query.trim_end().trim_end_matches(';'), format, body)
        }
        None => {
            let mut text = query.to_owned();
            if !body.is_empty() {
                text.push('\n');
                text.push_str(std::str::from_utf8(&body).map_err(not_text)?);
            }
            other(text)
        }
    }
}

fn insert(head: &str, format: String, rows: Vec<u8>) -> Result<Statement, Exception> {
    check_words(head)?;
    let refused = |word: &&str| {
        ["FUNCTION", "INFILE"]
            .iter()
            .any(|bad| word.eq_ignore_ascii_case(bad))
    };
    if head
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .any(|word| refused(&word))
    {
        return Err(Exception::new(
            PROHIBITED,
            "only tables can be inserted into, from the request alone",
        ));
    }
    Ok(Statement::Insert {
        head: head.to_owned(),
        format,
        rows,
    })
}

fn other(text: String) -> Result<Statement, Exception> {
    check_words(&text)?;
    if describes_function(&text) {
        return Err(Exception::new(
            PROHIBITED,
            "only tables and queries can be described here",
        ));
    }
    Ok(if READS.contains(&first_word(&text).as_str()) {
        Statement::Read(text)
    } else {
        Statement::Write(text)
    })
}

/// The name of a format, as far as a text states one without doubt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Format {
    None,
    Named(String),
    /// The word occurs, but not plainly at the end.
    Unclear,
}

/// Finds `FORMAT name` at the end of a read.
pub(crate) fn trailing_format(text: &str) -> Format {
    let lower = text.to_ascii_lowercase();
    let Some(at) = lower.rfind("format") else {
        return Format::None;
    };
    let before = at == 0 || !is_word(lower.as_bytes()[at - 1]);
    let rest = text[at + 6..].trim_end_matches(|c: char| c == ';' || c.is_ascii_whitespace());
    let name = rest.trim_start();
    if before
        && name.len() < rest.len()
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Format::Named(name.to_owned());
    }
    Format::Unclear
}

pub(crate) fn is_streamed(format: &str) -> bool {
    STREAMED.contains(&format) || has_binary_header(format)
}

/// Formats that start each block with the columns, which only the first of a stream may keep.
pub(crate) fn has_binary_header(format: &str) -> bool {
    matches!(format, "RowBinaryWithNamesAndTypes" | "RowBinaryWithNames")
}

/// Quotes a value as a string literal, with `'`, or a name, with a backtick.
pub(crate) fn quote(text: &str, mark: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for c in text.chars() {
        if c == mark || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push(mark);
    quoted
}

/// Refuses a text with one of [`REFUSED_WORDS`] anywhere in it, string literals and comments included: so nothing
/// depends on reading quotes, comments and here-documents as the engine does. Escapes are undone first.
pub(crate) fn check_words(text: &str) -> Result<(), Exception> {
    for text in [text, &unescape(text, false), &unescape(text, true)] {
        let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        if let Some(word) = words.find(|word| REFUSED_WORDS.contains(word)) {
            let text =
                format!("the word `{word}` is refused here, since it can read files of the host");
            return Err(Exception::new(PROHIBITED, text));
        }
    }
    Ok(())
}

/// Undoes backslash escapes as inside a quoted name. `\N` stands for nothing there.
fn unescape(text: &str, drop_unknown: bool) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('x') => {
                let digits: String = chars.clone().take(2).collect();
                if let Ok(byte) = u8::from_str_radix(&digits, 16) {
                    plain.push(char::from(byte));
                    chars.nth(1);
                }
            }
            Some('N') => {}
            Some(_) if drop_unknown => {}
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// The first word, in capitals, after white space, comments and opening brackets.
pub(crate) fn first_word(text: &str) -> String {
    let mut scan = Scan {
        text: text.as_bytes(),
        at: 0,
    };
    loop {
        match scan.next() {
            Some(Token::Word(word)) => return word.to_ascii_uppercase(),
            Some(Token::Open) => {}
            _ => return String::new(),
        }
    }
}

/// `DESCRIBE url(…)` asks the outside for columns, which `readonly` does not stop.
fn describes_function(text: &str) -> bool {
    let mut scan = Scan {
        text: text.as_bytes(),
        at: 0,
    };
    let (mut describing, mut named) = (false, false);
    while let Some(token) = scan.next() {
        match token {
            Token::Word(word)
                if ["DESC", "DESCRIBE"]
                    .iter()
                    .any(|it| word.eq_ignore_ascii_case(it)) =>
            {
                (describing, named) = (true, false);
            }
            Token::Word(word) if describing && !named && word.eq_ignore_ascii_case("TABLE") => {}
            Token::Word(_) | Token::Quoted if describing && !named => named = true,
            Token::Open if named => return true,
            _ => (describing, named) = (false, false),
        }
    }
    false
}

fn has_select(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.any(|word| word.eq_ignore_ascii_case("select"))
}

/// Where an insert that carries rows is cut.
struct Head {
    end: usize,
    rows: usize,
    format: String,
}

impl Head {
    /// `None` if the text is not an insert, or none with FORMAT or VALUES.
    fn of(text: &[u8]) -> Option<Self> {
        let mut scan = Scan { text, at: 0 };
        let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
        if !matches!(scan.next()?, Token::Word(word) if is(word, "INSERT")) {
            return None;
        }
        let mut depth = 0_usize;
        let mut after_dot = false;
        loop {
            let start = scan.skip_blank();
            let token = scan.next()?;
            let name = std::mem::replace(&mut after_dot, matches!(token, Token::Other(b'.')));
            match token {
                Token::Open => depth += 1,
                Token::Close => depth = depth.checked_sub(1)?,
                Token::Word(word) if !name && (is(word, "SELECT") || is(word, "WITH")) => {
                    return None;
                }
                Token::Word(word) if !name && depth == 0 && is(word, "VALUES") => {
                    return Some(Self {
                        end: start,
                        rows: scan.at,
                        format: "Values".into(),
                    });
                }
                Token::Word(word) if !name && depth == 0 && is(word, "FORMAT") => {
                    let Token::Word(format) = scan.next()? else {
                        return None;
                    };
                    let format = format.to_owned();
                    return Some(Self {
                        end: start,
                        rows: scan.rows_after_format(),
                        format,
                    });
                }
                _ => {}
            }
        }
    }
}

enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    Quoted,
    Other(u8),
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn skip_blank(&mut self) -> usize {
        loop {
            let rest = &self.text[self.at..];
            let skip = match rest {
                [b, ..] if b.is_ascii_whitespace() => 1,
                [b'-', b'-', ..] | [b'#', ..] => {
                    rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
                }
                [b'/', b'*', ..] => rest
                    .windows(2)
                    .position(|w| w == b"*/")
                    .map_or(rest.len(), |at| at + 2),
                _ => return self.at,
            };
            self.at += skip;
        }
    }

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let rest = &self.text[self.at..];
        let first = *rest.first()?;
        let (token, length) = match first {
            b'(' => (Token::Open, 1),
            b')' => (Token::Close, 1),
            b'\'' | b'`' | b'"' => (Token::Quoted, quoted_length(rest, first)),
            _ if is_word(first) => {
                let length = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
                (
                    Token::Word(std::str::from_utf8(&rest[..length]).ok()?),
                    length,
                )
            }
            _ => (Token::Other(first), 1),
        };
        self.at += length;
        Some(token)
    }

    /// The rows start after the blanks of the line and one line feed, as in the server: rows of a binary format may
    /// begin with any byte.
    fn rows_after_format(&self) -> usize {
        let mut rest = &self.text[self.at..];
        while let [b' ' | b'\t' | b'\r' | b'\x0c', tail @ ..] = rest {
            rest = tail;
        }
        if let [b'\n', tail @ ..] = rest {
            rest = tail;
        }
        self.text.len() - rest.len()
    }
}

fn quoted_length(text: &[u8], mark: u8) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == mark => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
#[path = "statement/tests.rs"]
mod tests;
