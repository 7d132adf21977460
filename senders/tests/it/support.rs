//! A directory with one Aliyun channel, and a server that does exactly what a test tells it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, Once,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jixinda_schemas::{
    CallId, Timestamp,
    directory::{Channel, Snapshot, channel_place},
    seal::PlatformKey,
    template::Content,
};
use jixinda_senders::{
    registry::{Means, Registry},
    vendor::{Call, Item, ItemResult, Now, Push, SmsVendor},
    vendors,
};
use reqwest::header::HeaderMap;
use serde_json::json;

pub(crate) const SECRET: &str = "testAccessKeySecret";
pub(crate) const WEBHOOK_KEY: &str = "testWebhookKey";
pub(crate) const SECURITY_TOKEN: &str = "testSecurityToken";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn fixtures(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {folder}");
    files
}

pub(crate) fn client() -> reqwest::Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        drop(rustls::crypto::ring::default_provider().install_default());
    });
    vendors::client(Duration::from_secs(2)).unwrap()
}

/// 2025-01-02T03:04:05Z, as in the vectors.
pub(crate) fn now() -> Now {
    Arc::new(|| Timestamp(1_735_787_045_000))
}

pub(crate) fn key() -> PlatformKey {
    PlatformKey::from_base64("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap()
}

pub(crate) fn means() -> Means {
    Means {
        key: key(),
        client: client(),
        now: now(),
        public_url: Some("https://sms.example.com".to_owned()),
    }
}

/// A push of JSON.
pub(crate) fn push(body: &[u8]) -> Push<'_> {
    static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
    Push {
        method: "POST",
        target: "/receipts/aliyun-a/token",
        query: None,
        headers: &NO_HEADERS,
        body,
        now: Timestamp(1_735_787_045_000),
    }
}

/// Channel `aliyun-a` with its secrets sealed.
pub(crate) fn channel(endpoint: &str) -> Channel {
    channel_of("aliyun", endpoint)
}

/// A channel of the kind, with what its vendor needs.
pub(crate) fn channel_of(kind: &str, endpoint: &str) -> Channel {
    let id = format!("{kind}-a").parse().unwrap();
    let seal = |name: &str, clear: &str| key().seal(&channel_place(&id, name), clear);
    let (secrets, settings) = match kind {
        "aliyun" => (
            json!({
                "access_key_id": seal("access_key_id", "testAccessKeyId"),
                "access_key_secret": seal("access_key_secret", SECRET),
            }),
            json!({}),
        ),
        "tencent" => (
            json!({
                "secret_id": seal("secret_id", "AKIDtestSecretId"),
                "secret_key": seal("secret_key", SECRET),
            }),
            json!({"sdk_app_id": "1400006666", "fetch": "true"}),
        ),
        "twilio" => (
            json!({
                "account_sid": seal("account_sid", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                "auth_token": seal("auth_token", SECRET),
                "webhook_key": seal("webhook_key", WEBHOOK_KEY),
            }),
            json!({"from": "+15005550006"}),
        ),
        "feige" => (
            json!({
                "apikey": seal("apikey", "N0000000000"),
                "secret": seal("secret", SECRET),
                "account": seal("account", "feige-user"),
                "pwd": seal("pwd", SECRET),
            }),
            json!({"fetch": "true"}),
        ),
        "lexin" => (
            json!({
                "acc_name": seal("acc_name", "lexin-user"),
                "acc_pwd": seal("acc_pwd", SECRET),
                "app_id": seal("app_id", "lexin-app"),
                "app_secret": seal("app_secret", SECRET),
            }),
            json!({}),
        ),
        "jdcloud" => (
            json!({
                "access_key": seal("access_key", "testAccessKeyId"),
                "secret_key": seal("secret_key", SECRET),
            }),
            json!({}),
        ),
        "huawei" => (
            json!({"app_key": seal("app_key", "testAppKey"), "app_secret": seal("app_secret", SECRET)}),
            json!({"from": "csms12345678"}),
        ),
        "montnets" => (
            json!({"userid": seal("userid", "J10003"), "password": seal("password", SECRET)}),
            json!({"fetch": "true", "fetch_mo": "true"}),
        ),
        "vonage" => (
            json!({"api_key": seal("api_key", "abcd1234"), "api_secret": seal("api_secret", SECRET)}),
            json!({"from": "ACME"}),
        ),
        other => panic!("say what a channel of {other} needs"),
    };
    serde_json::from_value(json!({
        "id": id, "vendor": kind, "endpoint": endpoint, "rate_per_second": 100, "max_in_flight": 10,
        "receipt_token": seal("receipt_token", TOKEN), "secrets": secrets, "settings": settings,
    }))
    .unwrap()
}

/// Its client, with these settings beside those that it has.
pub(crate) fn vendor_of(
    kind: &str,
    endpoint: &str,
    settings: &[(&str, &str)],
) -> Arc<dyn SmsVendor> {
    ticking(kind, endpoint, settings).0
}

/// The same with a clock that the test moves, in milliseconds.
pub(crate) fn ticking(
    kind: &str,
    endpoint: &str,
    settings: &[(&str, &str)],
) -> (Arc<dyn SmsVendor>, Arc<AtomicI64>) {
    let mut channel = channel_of(kind, endpoint);
    let settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    channel.settings.extend(settings);
    let clock = Arc::new(AtomicI64::new(1_735_787_045_000));
    let shown = Arc::clone(&clock);
    let means = Means {
        now: Arc::new(move || Timestamp(shown.load(Ordering::Relaxed))),
        ..means()
    };
    let registry = Registry::build(None, &snapshot([channel]), &means);
    let problems: Vec<_> = registry.unusable().collect();
    assert!(problems.is_empty(), "{problems:?}");
    let ready = registry.ready().next().unwrap();
    (Arc::clone(&ready.vendor), clock)
}

/// The text of the form that a request carried.
pub(crate) fn form(request: &wiremock::Request) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

/// A call of these items, with the id of [`call`].
pub(crate) fn call_of(items: Vec<Item>) -> Call {
    Call {
        items,
        ..call(Duration::from_secs(5))
    }
}

/// A server with one answer to everything.
pub(crate) async fn answering(body: impl Into<String>) -> wiremock::MockServer {
    let server = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(200).set_body_string(body);
    let mock = wiremock::Mock::given(wiremock::matchers::any());
    mock.respond_with(answer).mount(&server).await;
    server
}

pub(crate) fn snapshot(channels: impl IntoIterator<Item = Channel>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for channel in channels {
        snapshot
            .channels
            .insert(channel.id.clone(), Arc::new(channel));
    }
    snapshot
}

pub(crate) fn registry(channel: Channel) -> Registry {
    Registry::build(None, &snapshot([channel]), &means())
}

pub(crate) fn aliyun(endpoint: &str) -> Arc<dyn SmsVendor> {
    let registry = registry(channel(endpoint));
    let problems: Vec<_> = registry.unusable().collect();
    assert!(problems.is_empty(), "{problems:?}");
    Arc::clone(&registry.get("aliyun-a").unwrap().vendor)
}

pub(crate) fn item() -> Item {
    Item {
        recipient: "+8613800138000".parse().unwrap(),
        sign_name: "测试签名".to_owned(),
        content: Content::Named {
            code: "SMS_123456789".to_owned(),
            params: [("code".to_owned(), "123456".to_owned())].into(),
        },
        text: "【测试签名】您的验证码123456".to_owned(),
    }
}

pub(crate) fn call(timeout: Duration) -> Call {
    Call {
        call_id: CallId::from_random(1),
        items: vec![item()],
        timeout,
    }
}

pub(crate) async fn send(vendor: &Arc<dyn SmsVendor>) -> ItemResult {
    let mut results = vendor.send(&call(Duration::from_secs(5))).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

pub(crate) fn accepted() -> ItemResult {
    ItemResult::Accepted {
        vendor_id: "900619746936498440^0".to_owned(),
    }
}

pub(crate) fn unknown(detail: &str) -> ItemResult {
    ItemResult::Unknown {
        detail: detail.to_owned(),
    }
}

/// What the raw server does with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers and keeps the connection open.
    Accept,
    /// Answers and then closes.
    AcceptAndClose,
    /// Reads the whole request and closes without an answer.
    Close,
    /// Closes before the whole request was read, which resets the connection.
    Reset,
    /// Announces more than it sends, and closes.
    CutAnswer,
    /// Sends bytes that are no HTTP.
    Noise,
    /// Sends more than any vendor would.
    Endless,
    /// Never answers.
    Silent,
}

/// A server that does one act per request, over all connections, and keeps what it read.
pub(crate) struct RawServer {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RawServer {
    pub(crate) fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (acts, log) = (acts.to_vec(), Arc::clone(&requests));
        std::thread::spawn(move || {
            let mut acts = acts.into_iter();
            while let Ok((stream, _)) = listener.accept() {
                if !serve(stream, &mut acts, &log) {
                    return;
                }
            }
        });
        Self {
            url: format!("http://{address}"),
            requests,
        }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

const ACCEPTED: &str =
    r#"{"Code":"OK","Message":"OK","BizId":"900619746936498440^0","RequestId":"r"}"#;

/// Serves one connection; false when the script is over.
fn serve(
    mut stream: TcpStream,
    acts: &mut impl Iterator<Item = Act>,
    log: &Mutex<Vec<String>>,
) -> bool {
    loop {
        let mut head = Vec::new();
        let mut byte = [0_u8; 1];
        let mut act = None;
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return true,
            }
            if act.is_none() {
                act = acts.next();
                let Some(act) = act else { return false };
                if matches!(act, Act::Reset) {
                    log.lock().unwrap().push("part of a request".to_owned());
                    return true;
                }
            }
        }
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(&head).into_owned());
        let ok = |extra: &str| {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n{ACCEPTED}",
                ACCEPTED.len()
            )
        };
        let answer = match act {
            Some(Act::Accept) => ok(""),
            // Without `connection: close`, so that the client believes it may use the connection again.
            Some(Act::AcceptAndClose) => ok(""),
            Some(Act::CutAnswer) => ok("").replace("\"RequestId\":\"r\"}", ""),
            Some(Act::Noise) => "!!! 200 fine\r\n\r\n".to_owned(),
            Some(Act::Endless) => format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n{}",
                " ".repeat(200_000)
            ),
            Some(Act::Silent) => {
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest));
                return true;
            }
            _ => return true,
        };
        if stream.write_all(answer.as_bytes()).is_err() || !matches!(act, Some(Act::Accept)) {
            return true;
        }
    }
}
