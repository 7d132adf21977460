//! `jixinda dead-letters` and `jixinda failed`.

use clap::{Args, Subcommand};
use jixinda_runtime::clock::{Clock as _, SystemClock};
use jixinda_schemas::{
    AppId, Lane, MessageId, Position, Reason, Timestamp, Topic, event::Terminal,
};

#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// The newest ones about which nothing was done yet.
    List {
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        shape: ListShape,
    },
    /// Everything that is known of one; numbers are masked, values of variables are left out.
    Show {
        /// Such as dead-letters/3/17.
        position: Position,
        #[arg(long)]
        json: bool,
    },
    /// Write the record again: a request as a new message, a receipt as it was. Exit code 1 if one is refused.
    Redrive {
        /// Such as dead-letters/3/17; or choose several by the filters.
        position: Option<Position>,
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        renewal: Renewal,
        #[command(flatten)]
        deed: DeedOptions,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = words)]
        because: Option<String>,
    },
    /// Note that nothing is to be done: it is listed no more. Exit code 1 if one is refused.
    Discard {
        /// Such as dead-letters/3/17; or choose several by the filters.
        position: Option<Position>,
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        deed: DeedOptions,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = words)]
        because: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum FailedCommand {
    /// The newest messages that failed and about which nothing was done yet.
    List {
        #[command(flatten)]
        filter: EndFilter,
        #[command(flatten)]
        shape: ListShape,
    },
    /// Everything that is known of one; numbers are masked, values of variables are left out.
    Show {
        /// Message id, or position of its request.
        message: Choice,
        #[arg(long)]
        json: bool,
    },
    /// Send it again as a new message, linked to the old one. Exit code 1 if one is refused.
    Redrive {
        /// Message id, or position of its request; or choose several by the filters.
        message: Option<Choice>,
        #[command(flatten)]
        filter: EndFilter,
        #[command(flatten)]
        renewal: Renewal,
        #[command(flatten)]
        deed: DeedOptions,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = words)]
        because: Option<String>,
    },
    /// Note that nothing is to be done: it is listed no more. Exit code 1 if one is refused.
    Discard {
        /// Message id, or position of its request; or choose several by the filters.
        message: Option<Choice>,
        #[command(flatten)]
        filter: EndFilter,
        #[command(flatten)]
        deed: DeedOptions,
        /// Why, for the audit.
        #[arg(long, value_name = "TEXT", value_parser = words)]
        because: String,
    },
}

/// Which dead letters.
#[derive(Clone, Debug, Default, Args)]
pub struct LetterFilter {
    /// Code of docs/errors.md.
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<Reason>,
    /// Topic of the record, such as requests.otp.
    #[arg(long, value_parser = topic)]
    pub topic: Option<Topic>,
    /// App that the record names.
    #[arg(long)]
    pub app: Option<AppId>,
    #[command(flatten)]
    pub span: Span,
}

/// Which messages.
#[derive(Clone, Debug, Default, Args)]
pub struct EndFilter {
    /// failed, rejected, expired, undelivered, unknown; comma separated [default: failed, and redriven messages that
    /// were rejected or expired].
    #[arg(long, value_delimiter = ',', value_parser = outcome)]
    pub outcome: Vec<Terminal>,
    /// Code of docs/errors.md.
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: Option<Reason>,
    #[arg(long, value_parser = lane)]
    pub lane: Option<Lane>,
    #[arg(long)]
    pub app: Option<AppId>,
    #[command(flatten)]
    pub span: Span,
}

#[derive(Clone, Debug, Default, Args)]
pub struct Span {
    /// Written then or later: RFC 3339 instant, Unix seconds, or so long ago, such as 2h.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub since: Option<Timestamp>,
    /// Written before.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub until: Option<Timestamp>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct ListShape {
    /// Also those about which something was done, and what.
    #[arg(long)]
    pub all: bool,
    /// An array of objects instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What is new about the message that is sent again.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Renewal {
    /// New validity from now, such as 10m; needed when the old one has ended.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "not_after")]
    pub valid_for: Option<i64>,
    /// New end of validity: RFC 3339 instant or Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = end)]
    pub not_after: Option<Timestamp>,
    /// Also where the recipient may have the message already.
    #[arg(long)]
    pub may_send_twice: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct DeedOptions {
    /// Who wants it, for the audit [default: $SUDO_USER or $USER].
    #[arg(long, value_name = "NAME", value_parser = words)]
    pub by: Option<String>,
    /// Do it to all that the filters choose; without it they are only named.
    #[arg(long)]
    pub yes: bool,
    /// Only say what would be done.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Message(MessageId),
    /// An id may stand for several messages, one after the other.
    Request(Position),
}

impl std::str::FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Request(position));
        }
        text.parse().map(Self::Message).map_err(|_| {
            "write a message id, or the position of a request such as requests.otp/3/17".to_owned()
        })
    }
}

/// Longest text in an audit.
const MAX_WORDS: usize = 300;

fn words(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_WORDS || text.chars().any(char::is_control) {
        return Err(format!(
            "write 1 to {MAX_WORDS} characters, no control characters"
        ));
    }
    Ok(text.to_owned())
}

fn reason(text: &str) -> Result<Reason, String> {
    let found = Reason::ALL.iter().find(|reason| reason.as_str() == text);
    found
        .copied()
        .ok_or_else(|| "no such code; docs/errors.md lists them".to_owned())
}

fn topic(text: &str) -> Result<Topic, String> {
    text.parse()
        .map_err(|()| "no such topic; write it without the prefix, such as requests.otp".to_owned())
}

fn lane(text: &str) -> Result<Lane, String> {
    text.parse()
        .map_err(|()| "write otp, notice or marketing".to_owned())
}

fn outcome(text: &str) -> Result<Terminal, String> {
    let mut words = Terminal::ALL
        .into_iter()
        .filter(|word| *word != Terminal::Delivered);
    words
        .find(|word| word.as_str() == text)
        .ok_or_else(|| "write failed, rejected, expired, undelivered or unknown".to_owned())
}

/// Milliseconds.
fn duration(text: &str) -> Result<i64, String> {
    let bad = || "write a number with s, m, h or d, such as 10m".to_owned();
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    let number: u32 = digits.parse().map_err(|_| bad())?;
    if number == 0 {
        return Err(bad());
    }
    Ok(i64::from(number) * unit)
}

fn end(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Timestamp(i64::from(seconds) * 1_000));
    }
    text.parse().map_err(|_| {
        "write an RFC 3339 instant such as 2026-01-02T03:04:05Z, or Unix seconds".to_owned()
    })
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = duration(text) {
        return Ok(SystemClock.now().plus_millis(-ago));
    }
    end(text).map_err(|error| format!("{error}, or so long ago such as 2h"))
}

impl LetterFilter {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.reason.is_none() && self.topic.is_none() && self.app.is_none() && self.span.is_open()
    }
}

impl EndFilter {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.outcome.is_empty()
            && self.reason.is_none()
            && self.lane.is_none()
            && self.app.is_none()
            && self.span.is_open()
    }
}

impl Span {
    fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether `at` lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_instants_are_read_and_nothing_else_is() {
        assert_eq!(duration("10m"), Ok(600_000));
        assert_eq!(duration("2d"), Ok(172_800_000));
        for bad in ["", "0m", "m", "10", "-1m", "1.5h", "1 h", "10分"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        let want = Timestamp(1_767_323_045_000);
        assert_eq!(instant("2026-01-02T03:04:05Z"), Ok(want));
        assert_eq!(instant("1767323045"), Ok(want));
        assert!(instant("2h").unwrap() < SystemClock.now());
        assert!(instant("yesterday").unwrap_err().contains("2h"));
    }

    #[test]
    fn a_message_is_chosen_by_its_id_or_by_its_request() {
        let id = "1b3e02ae-c32e-8a99-a145-cf97befbe7d2";
        assert_eq!(id.parse(), Ok(Choice::Message(id.parse().unwrap())));
        let at = "requests.otp/2/1043";
        assert_eq!(at.parse(), Ok(Choice::Request(at.parse().unwrap())));
        assert!("13800138000".parse::<Choice>().is_err());
    }

    #[test]
    fn delivered_messages_cannot_be_asked_for() {
        assert!(outcome("delivered").is_err());
        assert_eq!(outcome("unknown"), Ok(Terminal::Unknown));
    }
}
