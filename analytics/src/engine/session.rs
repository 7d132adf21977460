//! What a request sets for its one statement: database, settings, and the limits over them.

use std::time::Duration;

use super::exception::{BAD_ARGUMENTS, Exception, READONLY};
use super::ffi::Connection;
use super::statement::{check_words, quote};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// `readonly=1`: no writes, no table functions that reach out, no SETTINGS clause.
    Read,
    /// `readonly=2`: as above, with a SETTINGS clause.
    ReadWithSettings,
    Write,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Memory of one statement, in bytes.
    pub(crate) memory: u64,
    pub(crate) query_time: Duration,
    pub(crate) result: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) database: Option<String>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) access: Access,
}

/// Settings under a limit of ours: a request may lower them only.
const LIMITED: [&str; 3] = ["max_memory_usage", "max_execution_time", "max_result_bytes"];

impl Session {
    /// Takes a setting of the request; its name and value are checked, the engine knows whether it exists.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), Exception> {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.is_empty() || name.len() > 128 || !name.bytes().all(letters) {
            return Err(Exception::new(
                BAD_ARGUMENTS,
                "a setting has a malformed name",
            ));
        }
        check_words(name)?;
        if name == "readonly" {
            return match value {
                "1" | "2" if self.access == Access::Write => {
                    self.access = Access::ReadWithSettings;
                    Ok(())
                }
                "1" | "2" => Ok(()),
                _ if self.access == Access::Write => Ok(()),
                _ => Err(Exception::new(
                    READONLY,
                    "Cannot modify 'readonly' setting in readonly mode.",
                )),
            };
        }
        self.settings.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Makes a fresh connection this session. The order matters: limits overrule settings, `readonly` comes last.
    pub(crate) fn prepare(
        &self,
        connection: &Connection,
        limits: &Limits,
        streamed: bool,
    ) -> Result<(), Exception> {
        let run = |sql: &str| {
            connection
                .query(sql, "TSV", &[])
                .map(drop)
                .map_err(Exception::from_engine)
        };
        if let Some(database) = self.database.as_deref().filter(|name| *name != "default") {
            run(&format!("USE {}", quote(database, '`')))?;
        }
        run(&self.settings_sql())?;
        run(&self.limits_sql(limits, streamed))
    }

    /// An acknowledged insert is in a part on disk (`async_insert=0`), and a bare expression is a syntax error as in
    /// the server, unless the request says otherwise.
    fn settings_sql(&self) -> String {
        let mut sql = "SET implicit_select = 0, async_insert = 0".to_owned();
        for (name, value) in self
            .settings
            .iter()
            .filter(|(name, _)| !LIMITED.contains(&name.as_str()))
        {
            sql.push_str(&format!(", {name} = {}", quote(value, '\'')));
        }
        sql
    }

    fn limits_sql(&self, limits: &Limits, streamed: bool) -> String {
        let lower = |name: &str, limit: u64| {
            let asked = self.settings.iter().rev().find(|(key, _)| key == name);
            let asked = asked
                .and_then(|(_, value)| value.parse::<u64>().ok())
                .filter(|value| *value > 0);
            asked.map_or(limit, |value| value.min(limit))
        };
        let mut sql = format!(
            "SET max_memory_usage = {}",
            lower("max_memory_usage", limits.memory)
        );
        if self.access != Access::Write {
            let seconds = lower("max_execution_time", limits.query_time.as_secs());
            sql.push_str(&format!(", max_execution_time = {seconds}"));
            if !streamed {
                let bytes = lower("max_result_bytes", limits.result);
                sql.push_str(&format!(
                    ", max_result_bytes = {bytes}, result_overflow_mode = 'throw'"
                ));
            }
        }
        match self.access {
            Access::Read => sql.push_str(", readonly = 1"),
            Access::ReadWithSettings => sql.push_str(", readonly = 2"),
            Access::Write => {}
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(access: Access) -> Session {
        Session {
            database: None,
            settings: Vec::new(),
            access,
        }
    }

    const LIMITS: Limits = Limits {
        memory: 1000,
        query_time: Duration::from_secs(60),
        result: 500,
    };

    #[test]
    fn limits_can_be_lowered_and_not_raised() {
        let mut low = session(Access::Read);
        low.set("max_execution_time", "5").unwrap();
        low.set("max_memory_usage", "0").unwrap();
        let sql = low.limits_sql(&LIMITS, false);
        assert!(
            sql.contains("max_execution_time = 5") && sql.contains("max_memory_usage = 1000"),
            "{sql}"
        );
        assert!(!low.settings_sql().contains("max_execution_time"));
        let mut high = session(Access::Read);
        high.set("max_execution_time", "9999").unwrap();
        assert!(
            high.limits_sql(&LIMITS, true)
                .ends_with("max_execution_time = 60, readonly = 1")
        );
    }

    #[test]
    fn values_are_literals_and_names_are_checked() {
        let mut session = session(Access::Write);
        session
            .set("insert_deduplication_token", "a', readonly = '0")
            .unwrap();
        assert!(
            session
                .settings_sql()
                .ends_with(r"insert_deduplication_token = 'a\', readonly = \'0'")
        );
        for name in ["a b", "A", "a=1", "", "format_schema"] {
            assert!(session.set(name, "1").is_err(), "{name}");
        }
    }

    #[test]
    fn readonly_can_be_asked_for_and_not_taken_back() {
        let mut reader = session(Access::Read);
        assert!(reader.set("readonly", "0").is_err());
        assert!(reader.set("readonly", "2").is_ok());
        assert_eq!(reader.access, Access::Read);
        let mut writer = session(Access::Write);
        writer.set("readonly", "1").unwrap();
        assert_eq!(writer.access, Access::ReadWithSettings);
    }
}
