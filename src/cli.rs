//! The command line.

pub mod bench;
pub mod redrive;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jixinda_schemas::Timestamp;

use crate::roles::Role;

/// SMS aggregation platform: event-sourced on Kafka, with ClickHouse analytics.
#[derive(Debug, Parser)]
#[command(name = "jixinda", version, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file [default: $JIXINDA_CONFIG, or ./jixinda.toml if there is one]. `lab serve` reads its own settings
    /// from it.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all roles in one process, with the embedded ClickHouse engine beside it.
    Run {
        /// Only these [default: run.roles].
        #[arg(long, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
        /// Stop when standard input closes too: the parent is gone.
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Show the whole platform at work with the vendor lab; `make run` prepares what this needs.
    Demo(Demo),
    /// Run the HTTP API for applications.
    Ingest,
    /// Run the router.
    Router,
    /// Run the senders.
    Senders,
    /// Run the ClickHouse sink and the analytics reads.
    Analytics,
    /// Run the embedded ClickHouse engine.
    Engine {
        /// Stop when standard input closes: the parent is gone.
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Check or show the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make or check the Kafka topics.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Set or show apps, channels, signatures, templates and suppressions.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Ask ClickHouse one of the named questions; without a name, list them.
    Query(Query),
    /// Compare the log with itself and with ClickHouse: lost, doubled, missing; exit code 1 if anything is.
    Verify(Verify),
    /// Records and receipts that could not be handled: list, show, write again, discard.
    #[command(subcommand)]
    DeadLetters(redrive::DeadLettersCommand),
    /// Messages that came to nothing: list, show, send again, discard.
    #[command(subcommand)]
    Failed(redrive::FailedCommand),
    /// Show the codes of a kind of vendor: what follows each, and whose fault it is.
    Codes(Codes),
    /// The vendor lab: fake vendors with scripted faults.
    #[command(subcommand)]
    Lab(LabCommand),
    /// Put load on an installation of this machine and tell what it carries.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Judge only what was accepted or written then or later: RFC 3339 instant, Unix seconds, or so long ago, such as
    /// 2h. The whole log is read in any case.
    #[arg(long, value_name = "TIME", value_parser = redrive::instant)]
    pub since: Option<Timestamp>,
    /// Judge only what was accepted or written before.
    #[arg(long, value_name = "TIME", value_parser = redrive::instant)]
    pub until: Option<Timestamp>,
    /// Nothing runs any more: a message without an outcome, or a row to come, is a fault too.
    #[arg(long)]
    pub settled: bool,
    /// All figures and faults as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Name every bad value; exit code 78 if there is one.
    Check {
        /// Also ask Kafka whether it is there and its topics are right.
        #[arg(long)]
        connect: bool,
    },
    /// Print the settings in force and where each comes from; secrets are hidden.
    Show,
    /// Print the commented defaults.
    Default,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print a new platform key.
    Generate,
}

#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create missing topics and first offsets. Never alters what is there.
    Apply,
    /// Name every difference and the command that mends it; exit code 1 if there is one.
    Check,
}

#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Make the directory what a file states.
    Apply(Apply),
    /// Print the directory; secrets are hidden.
    Show {
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Apply {
    /// TOML, or JSON if its name ends so.
    pub file: PathBuf,
    /// Remove what the file does not name.
    #[arg(long)]
    pub prune: bool,
    /// Return when the processes of admin.peers work with the new revision, at most 30 s.
    #[arg(long)]
    pub wait: bool,
    /// Only print the difference.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// End after the report; exit code 1 if anything is not as it should be.
    #[arg(long)]
    pub once: bool,
    /// What goes wrong meanwhile.
    #[arg(
        long,
        default_value = "lab/scenarios/broken-channel.toml",
        value_name = "FILE"
    )]
    pub scenario: PathBuf,
    /// Messages a second [default: the scenario's].
    #[arg(long, value_parser = clap::value_parser!(u32).range(20..=1000))]
    pub rate: Option<u32>,
    /// Where jixinda.toml, lab.toml and directory.toml are.
    #[arg(long, default_value = "deploy/demo", value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct Play {
    /// Such as lab/scenarios/balance-runs-out.toml.
    pub scenario: PathBuf,
    /// Messages a second [default: the scenario's].
    #[arg(long, value_parser = clap::value_parser!(u32).range(20..=1000))]
    pub rate: Option<u32>,
    /// Where jixinda.toml and lab.toml are.
    #[arg(long, default_value = "deploy/demo", value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct Codes {
    /// Kind of vendor, such as aliyun.
    pub vendor: String,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Query {
    pub name: Option<String>,
    /// RFC 3339 instant or Unix seconds [default: an hour ago].
    #[arg(long)]
    pub from: Option<String>,
    /// RFC 3339 instant or Unix seconds [default: now].
    #[arg(long)]
    pub to: Option<String>,
    /// A further parameter of the question.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// An array of objects instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Play a scenario against the demo's platform and lab that are up; exit code 1 if a limit of it is broken.
    Run(Play),
    /// Serve until SIGTERM, with the settings of --config.
    Serve {
        /// Stop when standard input closes too: the parent is gone.
        #[arg(long, hide = true)]
        child: bool,
    },
}
