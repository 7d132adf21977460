//! A message becomes a record, and the record an acknowledgement.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jixinda_runtime::{
    clock::SharedClock,
    crash,
    kafka::{
        OwnedRecord,
        producer::{Producer, WriteError},
    },
};
use jixinda_schemas::{
    AppId, Position, Topic,
    codec::{self, About},
    event::kind,
    headers::Headers,
    seal::PlatformKey,
    validate::MAX_REQUEST_BYTES,
};
use tracing::error;

use crate::{accept::Candidate, metrics::Metrics};

/// A broken log is said this often, not once for each request.
const COMPLAINT_SECONDS: u64 = 5;

pub(crate) struct Writer {
    pub(crate) producer: Producer,
    pub(crate) platform: PlatformKey,
    pub(crate) clock: SharedClock,
    pub(crate) limit: Duration,
    pub(crate) complained: AtomicU64,
}

/// A record that was handed over and is not acknowledged yet.
pub(crate) struct Pending {
    acknowledgement: Pin<Box<dyn Future<Output = Result<Position, WriteError>> + Send>>,
    since: Duration,
}

impl Writer {
    /// Hands the message to the producer at once; nothing waits here.
    ///
    /// # Errors
    /// When the producer does not take it.
    pub(crate) fn hand_over(
        &self,
        app: &AppId,
        message: &Candidate,
        traceparent: &str,
    ) -> Result<Pending, WriteError> {
        let about = About {
            message_id: Some(message.id),
            app_id: Some(app.clone()),
            ..About::default()
        };
        let value = codec::encode(&codec::envelope(
            kind::REQUEST,
            about,
            self.clock.now(),
            &message.request,
        ));
        if value.len() > MAX_REQUEST_BYTES {
            return Err(WriteError::TooLarge);
        }
        let headers = Headers {
            lane: Some(message.lane),
            traceparent: Some(traceparent.to_owned()),
            ingest_seal: Some(self.platform.ingest_seal(&value)),
            ..Headers::of(kind::REQUEST)
        };
        let since = self.clock.uptime();
        let record = OwnedRecord::keyed(
            Topic::requests(message.lane),
            &message.request.recipient,
            value,
            headers,
        );
        let written = self.producer.write(&record)?;
        Ok(Pending {
            acknowledgement: Box::pin(written),
            since,
        })
    }

    /// Waits for the acknowledgement, at most until the configured time after the record was handed over.
    ///
    /// # Errors
    /// When it does not come. The record may be written all the same.
    pub(crate) async fn acknowledged(
        &self,
        pending: Pending,
        metrics: &Metrics,
    ) -> Result<(), WriteError> {
        let left = (pending.since + self.limit).saturating_sub(self.clock.uptime());
        match tokio::time::timeout(left, pending.acknowledgement).await {
            Ok(result) => drop(result?),
            Err(_) => return Err(WriteError::NotAcknowledged("not in time".to_owned())),
        }
        crash::point("ingest.stored");
        metrics.written(self.clock.uptime().saturating_sub(pending.since));
        Ok(())
    }

    /// Says that the log does not take messages, now and then.
    pub(crate) fn complain(&self, failure: &WriteError) {
        let now = self.clock.uptime().as_secs() + COMPLAINT_SECONDS;
        let last = self.complained.load(Ordering::Relaxed);
        if now >= last + COMPLAINT_SECONDS && self.complained.swap(now, Ordering::Relaxed) == last {
            error!(
                error = failure as &dyn std::error::Error,
                "messages are not acknowledged and not accepted"
            );
        }
    }
}
