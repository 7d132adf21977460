use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the lab config {path}")]
    ReadConfig {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the lab config does not parse")]
    ParseConfig(#[source] Box<toml::de::Error>),
    #[error("account `{account}`: {problem}")]
    Account { account: String, problem: String },
    #[error("setting `{setting}`: {problem}")]
    Setting {
        setting: &'static str,
        problem: String,
    },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("journal {path}")]
    Journal {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("journal {path} line {line} is not an entry")]
    JournalLine {
        path: PathBuf,
        line: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("a lab task ended: {0}")]
    Task(&'static str),
}
