//! Start, drain and stop. Each role registers as a component; when one ends before it was told to, all stop.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

/// How long a drain may take before the process ends anyway.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Shared by all components of a process.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    stop: watch::Sender<bool>,
    components: Arc<Mutex<Vec<Arc<Component>>>>,
}

#[derive(Debug)]
struct Component {
    name: String,
    /// What keeps it from being ready; `None` when it is.
    waiting: Mutex<Option<String>>,
    ended: AtomicBool,
    failed: Mutex<Option<String>>,
}

/// A component's side: readiness, and the call to stop. Dropping it means that the component ended.
#[derive(Debug)]
pub struct Handle {
    component: Arc<Component>,
    stop: watch::Receiver<bool>,
    all: watch::Sender<bool>,
}

/// Says whether it is time to stop, without being a component.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Whether it is time to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(false),
            components: Arc::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lifecycle {
    /// Adds a component, not ready yet.
    #[must_use]
    pub fn component(&self, name: impl Into<String>) -> Handle {
        let component = Arc::new(Component {
            name: name.into(),
            waiting: Mutex::new(Some("starting".to_owned())),
            ended: AtomicBool::new(false),
            failed: Mutex::new(None),
        });
        lock(&self.components).push(Arc::clone(&component));
        Handle {
            component,
            stop: self.stop.subscribe(),
            all: self.stop.clone(),
        }
    }

    /// Tells every component to stop.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when the stop was called.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives in self, so waiting cannot fail.
        drop(stop.wait_for(|stop| *stop).await);
    }

    /// Whether the stop was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Components that are not ready, each with its cause.
    #[must_use]
    pub fn waiting(&self) -> Vec<(String, String)> {
        lock(&self.components)
            .iter()
            .filter_map(|c| lock(&c.waiting).clone().map(|why| (c.name.clone(), why)))
            .collect()
    }

    /// Components that have failed, each with its cause.
    #[must_use]
    pub fn failures(&self) -> Vec<(String, String)> {
        lock(&self.components)
            .iter()
            .filter_map(|c| lock(&c.failed).clone().map(|why| (c.name.clone(), why)))
            .collect()
    }

    /// Whether every component has ended.
    #[must_use]
    pub fn all_ended(&self) -> bool {
        lock(&self.components)
            .iter()
            .all(|c| c.ended.load(Ordering::SeqCst))
    }

    /// Waits until every component has ended, at most [`DRAIN_LIMIT`]; returns whether all did.
    pub async fn drained(&self) -> bool {
        let wait = async {
            while !self.all_ended() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DRAIN_LIMIT, wait).await.is_ok()
    }
}

impl Handle {
    /// Says that the component is ready.
    pub fn ready(&self) {
        *lock(&self.component.waiting) = None;
    }

    /// Says what keeps the component from being ready.
    pub fn not_ready(&self, why: impl Into<String>) {
        *lock(&self.component.waiting) = Some(why.into());
    }

    /// Records why the component fails, and stops the process.
    pub fn fail(&self, why: impl Into<String>) {
        *lock(&self.component.failed) = Some(why.into());
        self.all.send_replace(true);
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// For tasks of the component that outlive a borrow.
    #[must_use]
    pub fn stopping(&self) -> Stopping {
        Stopping(self.stop.clone())
    }

    /// Resolves when it is time to stop.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that the lifecycle is gone, which is a stop too.
        drop(stop.wait_for(|stop| *stop).await);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.component.ended.store(true, Ordering::SeqCst);
        if !*self.stop.borrow() {
            let mut failed = lock(&self.component.failed);
            failed.get_or_insert_with(|| "ended before it was told to".to_owned());
            drop(failed);
            self.all.send_replace(true);
        }
        *lock(&self.component.waiting) = Some("ended".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_component_that_dies_stops_the_others_and_is_named() {
        let lifecycle = Lifecycle::default();
        let (a, b) = (lifecycle.component("a"), lifecycle.component("b"));
        b.ready();
        assert_eq!(
            lifecycle.waiting(),
            [("a".to_owned(), "starting".to_owned())]
        );
        drop(a);
        b.stopped().await;
        assert_eq!(lifecycle.failures()[0].0, "a");
        drop(b);
        assert!(lifecycle.drained().await);
        assert_eq!(lifecycle.failures().len(), 1);
    }
}
