//! What the field of contents holds besides a text. Pure.
//!
//! Source: fact sheet, "Old API", "New API"; the shared vector checks the variables.

/// The variables of a template, in order: `张三||123456`. An empty content has none.
#[must_use]
pub fn variables(content: &str) -> Vec<String> {
    if content.is_empty() {
        return Vec::new();
    }
    content.split("||").map(str::to_owned).collect()
}

/// Numbers and their texts, of `text#@#mobile#@@#text#@#mobile`. `None` if a record is not of that form.
#[must_use]
pub fn records(content: &str) -> Option<Vec<(&str, &str)>> {
    content
        .split("#@@#")
        .map(|record| {
            let (text, mobile) = record.split_once("#@#")?;
            let whole = !text.is_empty() && !mobile.contains("#@#");
            whole.then_some((mobile, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_taken_apart() {
        assert_eq!(variables("a||||b"), ["a", "", "b"]);
        assert!(variables("").is_empty());
        assert_eq!(
            records("一#@#13800138000#@@#二#@#13900139000"),
            Some(vec![("13800138000", "一"), ("13900139000", "二")])
        );
        for wrong in [
            "",
            "一",
            "#@#13800138000",
            "一#@#13800138000#@@#",
            "a#@#b#@#c",
        ] {
            assert_eq!(records(wrong), None, "{wrong}");
        }
    }
}
