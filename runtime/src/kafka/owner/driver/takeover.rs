//! Gaining and losing partitions.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Instant,
};

use jixinda_schemas::{
    Topic, WriterId,
    codec::{self, About},
    event::{Opened, kind},
    headers::Headers,
};
use tracing::{info, warn};

use super::{Driver, Held, Phase, RETAKE_AFTER};
use crate::{
    kafka::{
        Error, OwnedRecord,
        fence::Fence,
        member::{Change, Committed},
        owner::{Marks, Metadata, Role},
    },
    metrics,
};

impl<R: Role> Driver<R> {
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        for change in changes {
            match change {
                Change::Revoked => {
                    for held in self.held.values_mut() {
                        held.assigned = false;
                    }
                    self.share.held = 0;
                }
                Change::Kept(numbers) => {
                    self.drop_all_but(&numbers);
                    for number in numbers {
                        if let Some(held) = self.held.get_mut(&number) {
                            held.assigned = true;
                            held.paused.clear();
                        }
                    }
                }
                Change::Assigned(partitions) => {
                    let keep: Vec<i32> = self
                        .held
                        .iter()
                        .filter(|(_, h)| h.assigned)
                        .map(|(number, _)| *number)
                        .collect();
                    self.drop_all_but(&keep);
                    for (number, committed) in partitions {
                        self.take_over(number, &committed);
                    }
                }
                Change::Failed(why) => return Err(Error::Fatal(why)),
            }
        }
        Ok(())
    }

    fn drop_all_but(&mut self, keep: &[i32]) {
        let gone: Vec<i32> = self
            .held
            .keys()
            .filter(|n| !keep.contains(n))
            .copied()
            .collect();
        for number in gone {
            if let Some(held) = self.held.remove(&number) {
                info!(
                    role = self.spec.role,
                    partition = number,
                    "partition given up"
                );
                self.role.close(number, held.state, &mut self.out);
            }
            self.member.forget(number);
        }
    }

    fn take_over(&mut self, number: i32, committed: &[Committed]) {
        let writer = WriterId {
            role: self.spec.role.as_str().into(),
            number: rand::random(),
        };
        let metadata: BTreeMap<Topic, Metadata> = committed
            .iter()
            .map(|c| (c.topic, Metadata::read(c)))
            .collect();
        let marks: Marks = metadata
            .iter()
            .filter_map(|(topic, m)| m.mark.map(|mark| (*topic, mark)))
            .collect();
        let fences = metadata
            .into_iter()
            .map(|(topic, m)| (topic, Fence::from_base(m.writers)))
            .collect();
        let state = self.role.open(number, &writer, &marks);
        self.out.owner = Some((number, writer.number));
        for topic in &self.spec.writes {
            self.out.opened(self.opened_record(*topic, number, &writer));
        }
        self.out.owner = None;
        let left = self.spec.writes.len();
        info!(role = self.spec.role, partition = number, %writer, "taking over");
        self.held.insert(
            number,
            Held {
                state,
                writer,
                fences,
                own_opened: HashSet::new(),
                phase: Phase::Opening { left },
                assigned: true,
                since: Instant::now(),
                paused: Vec::new(),
            },
        );
    }

    fn opened_record(&self, topic: Topic, partition: i32, writer: &WriterId) -> OwnedRecord {
        let now = self.clock.now();
        let payload = Opened {
            writer: writer.clone(),
            instance: self.kafka.instance(),
            at: now,
        };
        let value = codec::encode(&codec::envelope(
            kind::OPENED,
            About::default(),
            now,
            payload,
        ));
        let headers = Headers {
            writer: Some(writer.clone()),
            ..Headers::of(kind::OPENED)
        };
        OwnedRecord {
            topic,
            partition: Some(partition),
            key: None,
            value: Some(value),
            headers,
        }
    }

    /// Moves partitions from phase to phase.
    pub(super) fn advance(&mut self) {
        let numbers: Vec<i32> = self.held.keys().copied().collect();
        for number in numbers {
            let Some(held) = self.held.get_mut(&number).filter(|h| h.assigned) else {
                continue;
            };
            match &mut held.phase {
                Phase::Opening { left: 0 } => {
                    let mut ends = HashMap::new();
                    for topic in &self.spec.reads {
                        match self.out.end(*topic, number) {
                            Ok(end) => drop(ends.insert(*topic, end)),
                            Err(e) => warn!(
                                role = self.spec.role,
                                error = &e as &dyn std::error::Error,
                                "will ask again"
                            ),
                        }
                    }
                    if ends.len() == self.spec.reads.len() {
                        held.phase = Phase::Folding { ends };
                    }
                }
                Phase::Folding { ends } => {
                    ends.retain(|topic, end| {
                        self.member
                            .next(*topic, number)
                            .is_none_or(|next| next < *end)
                    });
                    if ends.is_empty() {
                        held.phase = Phase::Acting;
                        self.role.caught_up(&mut held.state);
                        let seconds = held.since.elapsed().as_secs_f64();
                        metrics::takeover(&self.spec.role, seconds);
                        info!(role = self.spec.role, partition = number, seconds, "acting");
                    }
                }
                Phase::Lost { since } if since.elapsed() >= RETAKE_AFTER => {
                    if let Err(e) = self.retake(number) {
                        warn!(
                            role = self.spec.role,
                            error = &e as &dyn std::error::Error,
                            "takeover failed, will try again"
                        );
                        if let Some(held) = self.held.get_mut(&number) {
                            held.phase = Phase::Lost {
                                since: Instant::now(),
                            };
                        }
                    }
                }
                Phase::Opening { .. } | Phase::Acting | Phase::Lost { .. } => {}
            }
        }
    }

    fn retake(&mut self, number: i32) -> Result<(), Error> {
        metrics::fenced(&self.spec.role);
        let committed = self.member.committed(number)?;
        for c in &committed {
            self.member.seek(c.topic, number, Metadata::read(c).floor)?;
        }
        if let Some(held) = self.held.remove(&number) {
            self.role.close(number, held.state, &mut self.out);
        }
        self.take_over(number, &committed);
        Ok(())
    }
}
