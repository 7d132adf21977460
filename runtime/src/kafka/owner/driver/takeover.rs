//! Gaining and losing partitions.

use std::{collections::BTreeMap, time::Instant};

use jixinda_schemas::{
    Topic, WriterId,
    codec::{self, About},
    event::{Opened, kind},
    headers::Headers,
    topic::Cleanup,
};
use tracing::{info, warn};

use super::{ASK_AGAIN, Driver, Held, RETAKE_AFTER};
use crate::{
    kafka::{
        Error, OwnedRecord,
        member::{Change, Committed},
        owner::{Marks, Role},
        seat::{Advance, Metadata, Seat},
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
                        self.hold_back(number);
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
        }
    }

    fn take_over(&mut self, number: i32, committed: &[Committed]) {
        let writer = WriterId {
            role: self.spec.role.as_str().into(),
            number: rand::random(),
        };
        let metadata: BTreeMap<Topic, Metadata> =
            committed.iter().map(|c| (c.topic, c.read())).collect();
        let marks: Marks = metadata
            .iter()
            .filter_map(|(topic, m)| m.mark.map(|mark| (*topic, mark)))
            .collect();
        let state = self.role.open(number, &writer, &marks);
        self.out.owner = Some((number, writer.number));
        for topic in &self.spec.writes {
            self.out.opened(self.opened_record(*topic, number, &writer));
        }
        self.out.owner = None;
        let (writes, kept) = (self.spec.writes.len(), self.spec.kept);
        info!(role = self.spec.role, partition = number, %writer, "taking over");
        self.held.insert(
            number,
            Held {
                state,
                seat: Seat::take(writer, writes, metadata, kept),
                lost: None,
                former: Vec::new(),
                assigned: true,
                since: Instant::now(),
                unanswered: None,
                paused: Vec::new(),
            },
        );
        self.hold_back(number);
    }

    /// Pauses what may not be read yet: before the kept state, or beyond the ends.
    fn hold_back(&mut self, number: i32) {
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        for topic in &self.spec.reads {
            if !held.seat.may_read(*topic) && !held.paused.contains(topic) {
                // Without the pause each record is read again until its time comes: slow, not wrong.
                if let Err(e) = self.member.set_paused(*topic, number, true) {
                    warn!(role = self.spec.role, %topic, error = &e as &dyn std::error::Error, "pause failed");
                }
                held.paused.push(*topic);
            }
        }
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
            // A compacted topic wants a key; one for each writer, so that none takes the place of another.
            key: matches!(topic.cleanup(), Cleanup::Compact { .. })
                .then(|| format!("opened/{writer}").into_bytes()),
            value: Some(value),
            headers,
        }
    }

    /// Moves partitions from phase to phase.
    pub(super) fn advance(&mut self) {
        let numbers: Vec<i32> = self.held.keys().copied().collect();
        // A broker that does not answer is asked about one partition, or the group would miss this member.
        let mut answers = true;
        for number in numbers {
            let Some(held) = self.held.get_mut(&number).filter(|h| h.assigned) else {
                continue;
            };
            if answers
                && held.lost.is_some_and(|at| at.elapsed() >= RETAKE_AFTER)
                && let Err(e) = self.retake(number)
            {
                answers = false;
                warn!(
                    role = self.spec.role,
                    error = &e as &dyn std::error::Error,
                    "takeover failed, will try again"
                );
                if let Some(held) = self.held.get_mut(&number) {
                    held.lose();
                }
            }
            let Some(held) = self.held.get_mut(&number) else {
                continue;
            };
            let patient = held.unanswered.is_some_and(|at| at.elapsed() < ASK_AGAIN);
            if answers && held.seat.wants_ends() && !patient {
                let out = &self.out;
                let asked = self.spec.reads.iter();
                let ends: Result<BTreeMap<_, _>, Error> = asked
                    .map(|topic| Ok((*topic, out.end(*topic, number)?)))
                    .collect();
                held.unanswered = None;
                match ends {
                    Ok(ends) => held.seat.fold_to(ends),
                    Err(e) => {
                        answers = false;
                        held.unanswered = Some(Instant::now());
                        warn!(
                            role = self.spec.role,
                            partition = number,
                            error = &e as &dyn std::error::Error,
                            "will ask again"
                        );
                    }
                }
            }
            match held.seat.advance(|topic| self.member.next(topic, number)) {
                Advance::None => self.hold_back(number),
                Advance::KeptRead => {
                    self.role.restored(&mut held.state);
                    let seconds = held.since.elapsed().as_secs_f64();
                    info!(
                        role = self.spec.role,
                        partition = number,
                        seconds,
                        "kept state read"
                    );
                    self.read_on(number);
                }
                Advance::Acting => {
                    self.role.caught_up(&mut held.state);
                    let seconds = held.since.elapsed().as_secs_f64();
                    metrics::takeover(&self.spec.role, seconds);
                    info!(role = self.spec.role, partition = number, seconds, "acting");
                    self.read_on(number);
                }
            }
        }
    }

    /// Resumes what was held back.
    fn read_on(&mut self, number: i32) {
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        for topic in std::mem::take(&mut held.paused) {
            if let Err(e) = self.member.set_paused(topic, number, false) {
                // Not resumed is not read: the seat is taken anew.
                warn!(role = self.spec.role, %topic, error = &e as &dyn std::error::Error, "resume failed");
                held.lose();
            }
        }
    }

    fn retake(&mut self, number: i32) -> Result<(), Error> {
        metrics::fenced(&self.spec.role);
        let committed = self.member.committed_now(number)?;
        for c in &committed {
            self.member.seek(c.topic, number, c.read().floor)?;
            // The new seat pauses what it has to.
            self.member.set_paused(c.topic, number, false)?;
        }
        if let Some(held) = self.held.remove(&number) {
            self.role.close(number, held.state, &mut self.out);
        }
        self.take_over(number, &committed);
        Ok(())
    }
}
