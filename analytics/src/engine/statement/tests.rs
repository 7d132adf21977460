use super::*;

fn insert_of(query: &str, body: &str) -> (String, String, String) {
    match read(query, body.into(), None) {
        Ok(Statement::Insert { head, format, rows }) => {
            (head, format, String::from_utf8(rows).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_insert_is_cut_from_its_rows_wherever_they_stand() {
    let cases = [
        (
            "INSERT INTO t(a, b) FORMAT RowBinary",
            "\n\nrows",
            "INSERT INTO t(a, b) ",
            "RowBinary",
            "\n\nrows",
        ),
        (
            "",
            "insert into t format TSV\n1\ta\n",
            "insert into t ",
            "TSV",
            "1\ta\n",
        ),
        (
            "",
            "insert into t values (1, 'a;b')",
            "insert into t ",
            "Values",
            " (1, 'a;b')",
        ),
        (
            "insert into t format CSV 1",
            "2\n",
            "insert into t ",
            "CSV",
            "1\n2\n",
        ),
        (
            "-- x\nINSERT INTO `format`.values(`values`) FORMAT TSV",
            "1",
            "-- x\nINSERT INTO `format`.values(`values`) ",
            "TSV",
            "1",
        ),
        (
            "insert into t settings a='format x' format TSV",
            "1",
            "insert into t settings a='format x' ",
            "TSV",
            "1",
        ),
    ];
    for (query, body, head, format, rows) in cases {
        assert_eq!(
            insert_of(query, body),
            (head.into(), format.into(), rows.into()),
            "{query}"
        );
    }
}

#[test]
fn inserts_without_rows_are_plain_writes() {
    for text in [
        "insert into t select 1 format TSV",
        "insert into t (select 1)",
        "insert into t",
    ] {
        assert_eq!(
            read(text, Vec::new(), None),
            Ok(Statement::Write(text.into()))
        );
    }
    let named = read("insert into t", b"1".to_vec(), Some("TSV"));
    assert!(matches!(named, Ok(Statement::Insert { .. })));
}

#[test]
fn query_and_body_are_one_text() {
    let read = read("select 1", b"+ 1".to_vec(), None);
    assert_eq!(read, Ok(Statement::Read("select 1\n+ 1".into())));
}

#[test]
fn words_that_reach_files_are_refused_however_they_are_written() {
    for text in [
        "select file('/etc/passwd')",
        "select `file`('x')",
        r"select `fi\x6ce`('x')",
        r"select `fi\Nle`('x')",
        r#"select "\file"('x')"#,
        "select * apply file from t",
        "select “file”('x')",
        "select 1 settings format_schema='x'",
    ] {
        assert!(read(text, Vec::new(), None).is_err(), "{text}");
    }
    assert!(read("select profile, file_name, files from t", Vec::new(), None).is_ok());
    assert!(read("insert into t format TSV", b"file".to_vec(), None).is_ok());
    assert!(read("insert into function url('x') format TSV", Vec::new(), None).is_err());
}

#[test]
fn a_format_is_known_only_when_it_ends_the_text() {
    let named = |name: &str| Format::Named(name.into());
    assert_eq!(trailing_format("select 1"), Format::None);
    assert_eq!(trailing_format("select 1 format  JSON ;\n"), named("JSON"));
    assert_eq!(
        trailing_format("select 1 format JSON settings a=1"),
        Format::Unclear
    );
    assert_eq!(
        trailing_format("select formatDateTime(now())"),
        Format::Unclear
    );
    assert_eq!(
        trailing_format("select 1 FORMAT JSON -- x"),
        Format::Unclear
    );
}

#[test]
fn the_first_word_is_found_behind_comments_and_brackets() {
    assert_eq!(first_word("/* a */ -- b\n ((select 1))"), "SELECT");
    assert_eq!(first_word("  "), "");
}

#[test]
fn quoting_leaves_no_way_out() {
    assert_eq!(quote(r"a'b\", '\''), r"'a\'b\\'");
    assert_eq!(quote("a`b", '`'), r"`a\`b`");
}

#[test]
fn only_tables_and_queries_are_described() {
    for text in [
        "DESC url('x')",
        "describe table /* a */ `url` ('x')",
        "select * from (describe url('x'))",
    ] {
        assert!(read(text, Vec::new(), None).is_err(), "{text}");
    }
    for text in [
        "DESC t",
        "describe table a.t",
        "desc (select 1)",
        "select f(a) from t order by a desc, f(b)",
    ] {
        assert!(read(text, Vec::new(), None).is_ok(), "{text}");
    }
}
