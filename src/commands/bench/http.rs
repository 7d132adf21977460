//! A lean HTTP/1.1 client: one connection, one request at a time, every read bounded. The load generator shares the
//! machine with what it measures, so each request costs it one write and, as a rule, one read.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const MAX_ANSWER: usize = 64 * 1024;
/// Longer than ingest lets a write take.
const LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    inbox: Vec<u8>,
}

impl Connection {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            inbox: Vec::new(),
        }
    }

    /// Opens the connection, so that the first request does not pay for it.
    pub(super) async fn open(&mut self) -> io::Result<()> {
        let stream = timeout(LIMIT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Sends a request and reads its answer's status. After an error the next request gets a new connection.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        if self.stream.is_none() {
            self.open().await?;
        }
        let done = timeout(LIMIT, self.talk(request)).await;
        match done.map_err(io::Error::from).and_then(|answer| answer) {
            Ok((status, keep)) => {
                if !keep {
                    self.stream = None;
                }
                Ok(status)
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    async fn talk(&mut self, request: &[u8]) -> io::Result<(u16, bool)> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(request).await?;
        self.inbox.clear();
        loop {
            if stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = Head::read(&self.inbox)? {
                let have = self.inbox.len();
                if have == head.whole {
                    return Ok((head.status, head.keep));
                }
                if have > head.whole {
                    return Err(io::Error::other("more than one answer"));
                }
            }
            if self.inbox.len() > MAX_ANSWER {
                return Err(io::Error::other("the answer is too large"));
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    keep: bool,
    /// Bytes of head and body.
    whole: usize,
}

impl Head {
    /// `None` while it is not complete.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let wrong = || io::Error::other("no HTTP answer with a Content-Length");
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(wrong)?;
        let (mut length, mut keep) = (None, true);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().ok();
            } else if name.eq_ignore_ascii_case("connection") {
                keep = !value.trim().eq_ignore_ascii_case("close");
            }
        }
        let length = length.filter(|n| *n <= MAX_ANSWER).ok_or_else(wrong)?;
        Ok(Some(Self {
            status,
            keep,
            whole: end + 4 + length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let bytes = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(Head::read(&bytes[..20]).unwrap(), None);
        let head = Head::read(bytes).unwrap().unwrap();
        assert_eq!(
            (head.status, head.keep, head.whole),
            (202, true, bytes.len())
        );
        let close = b"HTTP/1.1 413 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(!Head::read(close).unwrap().unwrap().keep);
        assert!(Head::read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::read(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").is_err());
    }
}
