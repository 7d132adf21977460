//! All rows of one message.

use clickhouse::{Client, Row, RowOwned, RowRead};
use jixinda_schemas::{AppId, MessageId};
use serde::Deserialize;

use crate::Error;

#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) routings: Vec<Routing>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) outcomes: Vec<Outcome>,
}

#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Routing {
    pub(super) n: u16,
    pub(super) request_topic: String,
    pub(super) request_partition: i32,
    pub(super) request_offset: i64,
    pub(super) lane: String,
    pub(super) channel: String,
    pub(super) vendor: String,
    pub(super) template: String,
    pub(super) signature: String,
    pub(super) carrier: String,
    pub(super) region: String,
    pub(super) phone_masked: String,
    pub(super) segments: u32,
    pub(super) price_micros: u64,
    pub(super) not_after: i64,
    pub(super) decided_at: i64,
    pub(super) directory_offset: i64,
    pub(super) health_offset: i64,
    pub(super) seed: u64,
    pub(super) considered: String,
    pub(super) logged_at: i64,
}

#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Attempt {
    pub(super) n: u16,
    pub(super) kind: String,
    pub(super) channel: String,
    pub(super) call_id: u64,
    pub(super) result: String,
    pub(super) cause: String,
    pub(super) blame: String,
    pub(super) vendor_code: String,
    pub(super) detail: String,
    pub(super) at: i64,
    pub(super) elapsed_ms: Option<u32>,
    pub(super) offset: i64,
    pub(super) logged_at: i64,
}

#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Receipt {
    pub(super) n: u16,
    pub(super) channel: String,
    pub(super) status: String,
    pub(super) code: String,
    pub(super) received_at: i64,
    pub(super) logged_at: i64,
}

#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Outcome {
    pub(super) seq: u32,
    pub(super) outcome: String,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) lane: String,
    pub(super) template: String,
    pub(super) signature: String,
    pub(super) campaign: String,
    pub(super) carrier: String,
    pub(super) region: String,
    pub(super) phone_masked: String,
    pub(super) channel: String,
    pub(super) code: String,
    pub(super) segments: u32,
    pub(super) cost_micros: u64,
    pub(super) accepted_at: i64,
    pub(super) ended_at: i64,
    pub(super) request_topic: String,
    pub(super) request_partition: i32,
    pub(super) request_offset: i64,
    pub(super) logged_at: i64,
}

/// The rows of `id`, when `app` owns it.
pub(super) async fn lines(client: &Client, id: MessageId, app: &AppId) -> Result<Lines, Error> {
    let (routings, attempts, receipts, outcomes) = tokio::try_join!(
        rows(
            client,
            "FROM routings WHERE message_id = {id:UUID} AND app = {app:String} ORDER BY n, offset",
            id,
            app
        ),
        rows(
            client,
            "FROM attempts WHERE message_id = {id:UUID} ORDER BY n, offset",
            id,
            app
        ),
        rows(
            client,
            "FROM receipts WHERE message_id = {id:UUID} ORDER BY n, offset",
            id,
            app
        ),
        rows(
            client,
            "FROM outcomes WHERE message_id = {id:UUID} AND app = {app:String} AND delta = 1 ORDER BY seq, offset",
            id,
            app
        ),
    )?;
    Ok(Lines {
        routings,
        attempts,
        receipts,
        outcomes,
    })
}

async fn rows<R: RowOwned + RowRead>(
    client: &Client,
    from: &str,
    id: MessageId,
    app: &AppId,
) -> Result<Vec<R>, Error> {
    client
        .query(&format!("SELECT ?fields {from}"))
        .param("id", id.to_string())
        .param("app", app.as_str())
        .fetch_all()
        .await
        .map_err(Error::clickhouse("reading a message"))
}
