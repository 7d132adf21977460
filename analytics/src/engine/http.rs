//! ClickHouse's HTTP interface over the pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use super::config::Config;
use super::exception::{
    BAD_ARGUMENTS, Exception, READONLY, SUPPORT_IS_DISABLED, TOO_MANY_SIMULTANEOUS_QUERIES,
};
use super::ffi::Counts;
use super::pool::{Job, Queue, Reply};
use super::request::{Fields, User, authenticate, collect, compressed, multipart};
use super::session::{Access, Session};
use super::statement::{self, Format, Statement};

const CODE: HeaderName = HeaderName::from_static("x-clickhouse-exception-code");
const TAG: HeaderName = HeaderName::from_static("x-clickhouse-exception-tag");
const FORMAT: HeaderName = HeaderName::from_static("x-clickhouse-format");
const SUMMARY: HeaderName = HeaderName::from_static("x-clickhouse-summary");
const QUERY_ID: HeaderName = HeaderName::from_static("x-clickhouse-query-id");
const TIMEZONE: HeaderName = HeaderName::from_static("x-clickhouse-timezone");

/// A body that has not come whole by then is given up.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Parameters of the interface itself; every other one is a setting.
const OWN: [&str; 14] = [
    "query",
    "database",
    "user",
    "password",
    "quota_key",
    "query_id",
    "compress",
    "decompress",
    "default_format",
    "buffer_size",
    "wait_end_of_query",
    "stacktrace",
    "client_protocol_version",
    "enable_http_compression",
];

pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) reads: Queue,
    pub(crate) writes: Queue,
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) zone: String,
}

pub(crate) async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = request.uri().path();
    match path {
        "/ping" | "/replicas_status" => return plain(StatusCode::OK, "Ok.\n"),
        "/" => {}
        _ => {
            return plain(
                StatusCode::NOT_FOUND,
                "There is no handle for this path. Use / or /ping\n",
            );
        }
    }
    if request.method() == Method::GET && request.uri().query().is_none() {
        return plain(StatusCode::OK, "Ok.\n");
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST\n");
    }
    let mut response = match server.answer(request).await {
        Ok(response) => response,
        Err(exception) => failure(&exception),
    };
    if let Ok(zone) = HeaderValue::from_str(&server.zone) {
        response.headers_mut().insert(TIMEZONE, zone);
    }
    response
}

impl Server {
    async fn answer(&self, request: Request) -> Result<Response, Exception> {
        let (parts, body) = request.into_parts();
        let mut fields = Fields::of_uri(&parts.uri)?;
        let user = authenticate(&parts.headers, &fields, &self.config)?;
        let limit = usize::try_from(self.config.max_body_bytes.as_u64()).unwrap_or(usize::MAX);
        let collected = tokio::time::timeout(
            BODY_TIME,
            collect(&parts.headers, body, limit, &self.budget),
        )
        .await;
        let late = |_| {
            Exception::new(BAD_ARGUMENTS, "the body came too slowly")
                .with_status(StatusCode::REQUEST_TIMEOUT)
        };
        let (mut body, permits) = collected.map_err(late)??;
        if let Some(content_type) = multipart(&parts.headers) {
            fields.add_form(content_type, &std::mem::take(&mut body))?;
        }
        let by_get = parts.method == Method::GET;
        let session = session(&parts.headers, &fields, user, by_get)?;
        let params = fields
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("param_")?.into(), value.into())));
        let params: Vec<(String, String)> = params.collect();
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let fallback = header(FORMAT).or(fields.get("default_format"));
        let statement = statement::read(fields.get("query").unwrap_or_default(), body, fallback)?;
        let queue = match &statement {
            Statement::Read(_) => &self.reads,
            Statement::Write(_) | Statement::Insert { .. } if session.access == Access::Write => {
                &self.writes
            }
            Statement::Insert { .. } => return Err(readonly(by_get)),
            Statement::Write(sql) => return self.refuse_or_fail(sql, session, by_get).await,
        };
        let (format, streamed) = output(&statement, fallback);
        let (reply, answer) = oneshot::channel();
        let since = Instant::now();
        let job = Job {
            statement,
            session,
            params,
            format: format.clone(),
            streamed,
            since,
            reply,
        };
        let answer = submit(queue, job, answer).await?;
        drop(permits);
        let id = fields
            .get("query_id")
            .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        Ok(success(answer, &format, &id, since.elapsed()))
    }

    /// A read-only request that is no read. It goes to a read-only session, which refuses it, or says where the text
    /// does not parse.
    async fn refuse_or_fail(
        &self,
        sql: &str,
        session: Session,
        by_get: bool,
    ) -> Result<Response, Exception> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            statement: Statement::Read(sql.to_owned()),
            session,
            params: Vec::new(),
            format: "TSV".into(),
            streamed: false,
            since: Instant::now(),
            reply,
        };
        match submit(&self.reads, job, answer).await {
            Err(exception) if exception.code == READONLY => Err(readonly(by_get)),
            Err(exception) => Err(exception),
            Ok(_) => Err(readonly(by_get)),
        }
    }
}

async fn submit(
    queue: &Queue,
    job: Job,
    answer: oneshot::Receiver<Result<Reply, Exception>>,
) -> Result<Reply, Exception> {
    let busy = |_| {
        Exception::new(
            TOO_MANY_SIMULTANEOUS_QUERIES,
            "Too many simultaneous queries.",
        )
    };
    queue.try_send(job).map_err(busy)?;
    answer
        .await
        .map_err(|_| Exception::new(TOO_MANY_SIMULTANEOUS_QUERIES, "the engine is closing"))?
}

fn readonly(by_get: bool) -> Exception {
    let hint = "For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries.";
    let text = "Cannot execute query in readonly mode.";
    Exception::new(
        READONLY,
        if by_get {
            format!("{text} {hint}")
        } else {
            text.to_owned()
        },
    )
}

fn session(
    headers: &HeaderMap,
    fields: &Fields,
    user: User,
    by_get: bool,
) -> Result<Session, Exception> {
    let access = match user {
        User::Reader => Access::Read,
        User::Ingest if by_get => Access::ReadWithSettings,
        User::Ingest => Access::Write,
    };
    let database = headers
        .get("x-clickhouse-database")
        .and_then(|value| value.to_str().ok());
    let database = fields
        .get("database")
        .or(database)
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    let mut session = Session {
        database,
        settings: Vec::new(),
        access,
    };
    for (name, value) in fields.iter() {
        match name {
            "session_id" | "session_timeout" | "session_check" | "close_session" => {
                return Err(Exception::new(
                    SUPPORT_IS_DISABLED,
                    "HTTP sessions are not supported by this engine",
                )
                .with_status(StatusCode::NOT_IMPLEMENTED));
            }
            "compress" | "decompress" if value != "0" => return Err(compressed()),
            _ if OWN.contains(&name) || name.starts_with("param_") => {}
            _ => session.set(name, value)?,
        }
    }
    Ok(session)
}

/// The format of the answer, and whether it may be sent block by block.
fn output(statement: &Statement, fallback: Option<&str>) -> (String, bool) {
    let default = || fallback.unwrap_or("TabSeparated").to_owned();
    match statement {
        Statement::Read(sql) => match statement::trailing_format(sql) {
            Format::Named(name) => {
                let streamed = statement::is_streamed(&name);
                (name, streamed)
            }
            Format::None => (default(), statement::is_streamed(&default())),
            Format::Unclear => (default(), false),
        },
        Statement::Write(_) | Statement::Insert { .. } => (default(), false),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=UTF-8"),
    );
    response
}

fn failure(exception: &Exception) -> Response {
    let mut response = Response::new(Body::from(format!("{}\n", exception.message)));
    let status = exception.status();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CODE, HeaderValue::from(exception.code));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
    );
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"ClickHouse server HTTP API\"");
        headers.insert(WWW_AUTHENTICATE, realm);
    }
    response
}

fn success(reply: Reply, format: &str, id: &str, elapsed: Duration) -> Response {
    let tag = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let (body, summary) = match reply {
        Reply::Whole(bytes, counts) => (Body::from(bytes), summary(counts, elapsed)),
        Reply::Stream(head, rest) => (stream(head, rest, tag.clone()), "{}".into()),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(CONTENT_TYPE, content_type(format));
    set(FORMAT, format);
    set(SUMMARY, &summary);
    set(QUERY_ID, id);
    set(TAG, &tag);
    response
}

fn summary(counts: Counts, elapsed: Duration) -> String {
    let Counts {
        read_rows,
        read_bytes,
        result_rows,
        written_rows,
        written_bytes,
    } = counts;
    format!(
        r#"{{"read_rows":"{read_rows}","read_bytes":"{read_bytes}","written_rows":"{written_rows}","written_bytes":"{written_bytes}","result_rows":"{result_rows}","elapsed_ns":"{}"}}"#,
        elapsed.as_nanos()
    )
}

enum Step {
    Head(Vec<u8>),
    Rest,
    Cut,
}

/// How long the exception of a broken result waits for what was sent before it to be read.
const APART: Duration = Duration::from_millis(50);
/// How long the connection stays open after such an exception.
const BEFORE_CUT: Duration = Duration::from_millis(500);

/// A result that breaks off ends with its exception, in the frame that clients look for, and then the connection is
/// cut, so that no client takes it for whole.
fn stream(head: Vec<u8>, rest: mpsc::Receiver<Result<Bytes, Exception>>, tag: String) -> Body {
    let start = (Step::Head(head), rest, tag);
    Body::from_stream(unfold(start, |(step, mut rest, tag)| async move {
        match step {
            Step::Head(head) => Some((Ok(Bytes::from(head)), (Step::Rest, rest, tag))),
            Step::Rest => match rest.recv().await? {
                Ok(block) => Some((Ok(block), (Step::Rest, rest, tag))),
                Err(exception) => {
                    // Clients look for the frame at the end of what one read gave them, so it goes by itself.
                    tokio::time::sleep(APART).await;
                    let text = exception.message.trim_end();
                    let length = text.len() + 1;
                    let frame = format!(
                        "\r\n__exception__\r\n{tag}\r\n{text}\n{length} {tag}\r\n__exception__\r\n"
                    );
                    Some((Ok(Bytes::from(frame)), (Step::Cut, rest, tag)))
                }
            },
            Step::Cut => {
                // Lets the frame reach a client that is behind.
                tokio::time::sleep(BEFORE_CUT).await;
                Some((
                    Err(std::io::Error::other("the result broke off")),
                    (Step::Cut, rest, tag),
                ))
            }
        }
    }))
}

fn content_type(format: &str) -> &'static str {
    match format {
        "JSON" | "JSONCompact" | "JSONStrings" | "JSONColumns" => "application/json; charset=UTF-8",
        "JSONEachRow" | "JSONLines" | "NDJSON" | "JSONCompactEachRow" => {
            "application/x-ndjson; charset=UTF-8"
        }
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        "CSVWithNames" | "CSVWithNamesAndTypes" => "text/csv; charset=UTF-8; header=present",
        "XML" => "application/xml; charset=UTF-8",
        "Native" | "Parquet" | "Arrow" | "ArrowStream" | "ORC" => "application/octet-stream",
        name if name.starts_with("RowBinary") => "application/octet-stream",
        name if name.starts_with("TabSeparated") || name.starts_with("TSV") => {
            "text/tab-separated-values; charset=UTF-8"
        }
        _ => "text/plain; charset=UTF-8",
    }
}
