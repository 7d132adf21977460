//! `jixinda bench accept`: ingest and the broker alone.

use std::time::Duration;

use serde::Serialize;

use super::{
    Report,
    load::{self, Door, Schedule},
    report::{Accepted, Table},
    watch::{self, Cost},
};
use crate::cli::bench::Accept;

#[derive(Debug, Serialize)]
pub(super) struct Done {
    connections: u16,
    seconds: u64,
    /// Absent: as fast as answers come.
    rate: Option<u64>,
    #[serde(flatten)]
    accepted: Accepted,
    processes: Vec<Cost>,
}

pub(super) async fn accept(options: &Accept) -> anyhow::Result<Done> {
    let (address, messages) = super::prepare(&options.target)?;
    let watch = watch::start(&options.target.processes, Vec::new())?;
    let length = Duration::from_secs(options.seconds);
    let schedule = Schedule::new(length, options.rate, (0, 1));
    let connections = options.target.connections;
    let door = Door::Http(address);
    let seen = load::run(&messages, schedule, &door, connections, None).await?;
    let (processes, _) = watch.end(seen.accepted).await?;
    Ok(Done {
        connections,
        seconds: options.seconds,
        rate: options.rate,
        accepted: Accepted::of(seen),
        processes,
    })
}

impl Report for Done {
    fn is_good(&self) -> bool {
        self.accepted.is_good()
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        let rate = self.rate.map_or_else(
            || "as fast as answers come".to_owned(),
            |rate| format!("{rate}/s"),
        );
        table.heading(&format!(
            "accept: {} connections, {} s, {rate}",
            self.connections, self.seconds
        ));
        self.accepted.rows(&mut table);
        table.costs(&self.processes);
        table
    }
}
