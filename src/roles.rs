//! The roles of the platform, and what each needs of Kafka.

use clap::ValueEnum;
use jixinda_runtime::kafka::admin::Group;
use jixinda_schemas::Topic;
use serde::Deserialize;

use crate::config::Config;

/// One service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// HTTP API for applications.
    Ingest,
    /// Chooses the channel and tracks every message to its end.
    Router,
    /// Calls vendors and takes their receipts.
    Senders,
    /// Writes events to ClickHouse and answers reads.
    Analytics,
}

const REQUESTS: [Topic; 3] = [
    Topic::RequestsOtp,
    Topic::RequestsNotice,
    Topic::RequestsMarketing,
];
const DISPATCH: [Topic; 3] = [
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
];

impl Role {
    /// The name, as in groups and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Router => "router",
            Self::Senders => "senders",
            Self::Analytics => "analytics",
        }
    }

    /// Topics whose offsets the role's group commits; none for a role without a group.
    #[must_use]
    pub fn reads(self) -> Vec<Topic> {
        match self {
            Self::Ingest => Vec::new(),
            Self::Router => jixinda_router::READS.to_vec(),
            Self::Senders => jixinda_senders::READS.to_vec(),
            Self::Analytics => {
                let facts = [
                    Topic::Attempts,
                    Topic::Receipts,
                    Topic::Outcomes,
                    Topic::DeadLetters,
                ];
                [&DISPATCH[..], &facts].concat()
            }
        }
    }

    /// Topics that must be there.
    #[must_use]
    pub fn topics(self) -> Vec<Topic> {
        let own: &[Topic] = match self {
            Self::Ingest => &REQUESTS,
            Self::Router => &[Topic::Receipts, Topic::Health, Topic::DeadLetters],
            Self::Senders => &[Topic::ReceiptsRaw, Topic::DeadLetters, Topic::Inbound],
            Self::Analytics => &[],
        };
        [
            &self.reads()[..],
            own,
            &[Topic::Directory, Topic::Suppressions],
        ]
        .concat()
    }

    /// The role's consumer groups: senders have one for each pool.
    #[must_use]
    pub fn groups(self, pools: &[String]) -> Vec<Group> {
        match self {
            Self::Ingest => Vec::new(),
            Self::Senders => pools
                .iter()
                .map(|pool| Group::new(format!("senders.{pool}"), &self.reads()))
                .collect(),
            Self::Router | Self::Analytics => vec![Group::new(self.as_str(), &self.reads())],
        }
    }
}

/// The groups of the whole installation.
#[must_use]
pub fn groups(config: &Config) -> Vec<Group> {
    Role::value_variants()
        .iter()
        .flat_map(|role| role.groups(&config.topics.pools))
        .collect()
}
