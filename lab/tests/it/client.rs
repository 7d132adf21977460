//! A client written for the tests: its own signer, its own HTTP, so that it can send what no library would.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What [`post`] calls the lab.
pub(crate) const HOST: &str = "h";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// One SendSms request, right until a test spoils it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) action: String,
    pub(crate) version: String,
    pub(crate) nonce: String,
    pub(crate) age: Duration,
    /// Sent with the signed request, but not signed.
    pub(crate) unsigned: Vec<(String, String)>,
    /// Added to the query after signing.
    pub(crate) tampered: String,
    pub(crate) params: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["Code"].as_str().unwrap().to_owned()
    }
}

impl Request {
    pub(crate) fn to(number: &str) -> Self {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        let nonce = NONCES.fetch_add(1, Ordering::Relaxed);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            key: "lab-key".into(),
            secret: "lab-secret".into(),
            action: "SendSms".into(),
            version: "2017-05-25".into(),
            nonce: format!("nonce-{nonce}"),
            age: Duration::ZERO,
            unsigned: Vec::new(),
            tampered: String::new(),
            params: vec![
                pair("PhoneNumbers", number),
                pair("SignName", "测试签名"),
                pair("TemplateCode", "SMS_1"),
                pair("TemplateParam", r#"{"code":"123456"}"#),
                pair("OutId", &format!("call-{nonce}")),
            ],
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.params.retain(|(known, _)| known != name);
        self.params.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.params.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut params = self.params.clone();
        params.sort();
        let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let query = params
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let date = (OffsetDateTime::now_utc() - self.age).format(form).unwrap();
        let hash = hex::encode(Sha256::digest(b""));
        let headers = [
            ("host", host.to_string()),
            ("x-acs-action", self.action.clone()),
            ("x-acs-content-sha256", hash.clone()),
            ("x-acs-date", date),
            ("x-acs-signature-nonce", self.nonce.clone()),
            ("x-acs-version", self.version.clone()),
        ];
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let names = headers.each_ref().map(|(name, _)| *name).join(";");
        let canonical = format!("POST\n/\n{query}\n{lines}\n{names}\n{hash}");
        let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(format!("ACS3-HMAC-SHA256\n{digest}").as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut text = format!("POST /?{query}{} HTTP/1.1\r\n", self.tampered);
        for (name, value) in headers.iter().map(|(name, value)| (*name, value)) {
            text += &format!("{name}: {value}\r\n");
        }
        for (name, value) in &self.unsigned {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!(
            "authorization: ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}\r\n",
            self.key
        );
        text += "content-length: 0\r\n\r\n";
        text.into_bytes()
    }

    /// On a connection of its own.
    pub(crate) async fn send(&self, lab: SocketAddr) -> io::Result<Answer> {
        Connection::open(lab).await?.send(&self.bytes(lab)).await
    }

    pub(crate) async fn code(&self, lab: SocketAddr) -> String {
        self.send(lab).await.unwrap().code()
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.0.write_all(request).await?;
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.0.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let text = String::from_utf8(bytes[..head].to_vec())
            .unwrap()
            .to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while bytes.len() < head + length {
            if self.0.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Answer {
            status: text[9..12].parse().unwrap(),
            body: String::from_utf8(bytes[head..].to_vec()).unwrap(),
            head: text,
        })
    }
}

/// A POST on a connection of its own.
pub(crate) async fn post(
    lab: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {HOST}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(lab).await.unwrap();
    connection.send(request.as_bytes()).await.unwrap()
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

pub(crate) fn decode(form: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}

/// A call of the admin API.
pub(crate) async fn admin(lab: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    admin_as(lab, method, path, body, "").await
}

pub(crate) async fn admin_as(
    lab: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    header: &str,
) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {lab}\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = Connection::open(lab).await.unwrap();
    connection.send(request.as_bytes()).await.unwrap()
}

/// A POST with this content type.
pub(crate) async fn post_as(lab: SocketAddr, path: &str, content_type: &str, body: &str) -> Answer {
    post(lab, path, &[("content-type", content_type)], body).await
}
