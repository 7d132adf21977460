//! Commits that do not keep their caller longer than it may stay away from polling.
//!
//! librdkafka commits at its leisure while the broker is away. A member that waits for it does not poll; when its session
//! then ends it cannot let go of its partitions, goes on with heartbeats that have no member id, and the broker takes
//! them for another process of the same instance: fenced, for good.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tracing::warn;

pub(super) struct Committer<T> {
    limit: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    orders: Option<SyncSender<T>>,
    done: Receiver<KafkaResult<()>>,
    /// A commit was given up and has no answer yet.
    owed: bool,
    thread: Option<JoinHandle<()>>,
}

fn timed_out() -> KafkaError {
    KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut)
}

impl<T: Send + 'static> Committer<T> {
    /// `commit` runs on a thread of its own, one order after the other.
    pub(super) fn new(
        limit: Duration,
        mut commit: impl FnMut(T) -> KafkaResult<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(1);
        let (outbox, done) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || {
                while let Ok(order) = inbox.recv() {
                    if outbox.send(commit(order)).is_err() {
                        return;
                    }
                }
            })?;
        let state = Mutex::new(State {
            orders: Some(orders),
            done,
            owed: false,
            thread: Some(thread),
        });
        Ok(Self { limit, state })
    }

    /// Commits and waits, at most for the limit. A commit that was given up may still happen, before the next one.
    pub(super) fn commit(&self, order: T) -> KafkaResult<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.owed {
            let late = state.done.recv_timeout(self.limit);
            if let Err(e) = late.map_err(|_| timed_out())? {
                warn!(
                    error = &e as &dyn std::error::Error,
                    "a commit that was given up failed"
                );
            }
            state.owed = false;
        }
        let gone = || KafkaError::ConsumerCommit(RDKafkaErrorCode::Fail);
        let orders = state.orders.as_ref().ok_or_else(gone)?;
        orders.send(order).map_err(|_| gone())?;
        match state.done.recv_timeout(self.limit) {
            Ok(result) => result,
            Err(_) => {
                state.owed = true;
                Err(timed_out())
            }
        }
    }
}

impl<T> Drop for Committer<T> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.orders = None;
        // One that still waits for the broker ends when the broker answers, or with the process.
        if !state.owed
            && let Some(thread) = state.thread.take()
            && thread.join().is_err()
        {
            warn!("the thread that commits panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_commit_returns_what_the_broker_says() {
        let committer = Committer::new(LONG, |good: bool| {
            good.then_some(()).ok_or(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::UnknownMemberId,
            ))
        })
        .unwrap();
        assert_eq!(committer.commit(true), Ok(()));
        let refused = committer.commit(false).unwrap_err();
        let code = refused.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::UnknownMemberId));
    }

    #[test]
    fn a_broker_that_does_not_answer_keeps_nobody_and_order_is_kept_when_it_does() {
        let (answer, wait) = sync_channel::<()>(1);
        let (seen, order) = sync_channel(100);
        let committer = Committer::new(LIMIT, move |n: u32| {
            // Answered at once when there is no one any more who answers.
            let _: Result<(), _> = wait.recv();
            seen.send(n).unwrap();
            Ok(())
        })
        .unwrap();
        let gave_up = Err(timed_out());
        assert_eq!(committer.commit(1), gave_up);
        // Nothing newer is sent before the old one has its answer.
        assert_eq!(committer.commit(2), gave_up);
        drop(answer);
        let until = std::time::Instant::now() + LONG;
        while committer.commit(3).is_err() {
            assert!(std::time::Instant::now() < until);
        }
        let mut order: Vec<_> = order.try_iter().collect();
        order.dedup();
        assert_eq!(order, [1, 3]);
    }
}
