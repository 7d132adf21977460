use jixinda_schemas::{MessageId, Reason, codec::About};
use serde_json::json;

use super::*;

fn source(topic: Topic, offset: i64) -> Position {
    Position {
        topic,
        partition: 1,
        offset,
    }
}

fn dead_letter(offset: i64, reason: Reason) -> DeadLetter {
    let body = json!({
        "type": "request", "version": 9, "at": "2026-01-02T03:04:05.678Z", "app_id": "shop",
        "payload": { "recipient": "13812345678", "template": "login" },
    });
    DeadLetter {
        source: Some(source(Topic::RequestsOtp, offset)),
        reason,
        detail: "d".into(),
        step: "router.intake".into(),
        at: Timestamp(2_000_000_000_000),
        channel: None,
        key: None,
        value: STANDARD.encode(body.to_string()),
        headers: vec![("rehomed-from".into(), "requests.otp/5/3".into())],
    }
}

struct Reader {
    letters: Letters,
    offset: i64,
}

impl Reader {
    fn new(filter: LetterFilter) -> Self {
        let mut filter = filter;
        filter.span.limit = filter.span.limit.max(2);
        let wanted = Wanted::Filter {
            filter,
            handled: false,
        };
        Self {
            letters: Letters::new(wanted, Arc::new(Deeds::default())),
            offset: 0,
        }
    }

    fn read(&mut self, letter: DeadLetter) {
        let about = About {
            cause: letter.source,
            ..About::default()
        };
        let event = codec::envelope(kind::DEAD_LETTER, about, Timestamp(1), letter);
        self.take(kind::DEAD_LETTER, &codec::encode(&event));
    }

    fn take(&mut self, kind: &str, value: &[u8]) {
        self.offset += 1;
        self.letters.take(&Record {
            topic: Topic::DeadLetters,
            partition: 1,
            offset: self.offset,
            at: Timestamp(self.offset),
            key: None,
            value: Some(value),
            headers: Headers::of(kind),
        });
    }

    /// Offsets of the records, oldest letter first.
    fn found(self) -> Vec<i64> {
        self.letters
            .into_found()
            .iter()
            .map(|letter| letter.of().offset)
            .collect()
    }
}

#[test]
fn each_filter_leaves_out_what_it_must() {
    let given = |change: &dyn Fn(&mut LetterFilter)| {
        let mut filter = LetterFilter::default();
        change(&mut filter);
        let mut reader = Reader::new(filter);
        reader.read(dead_letter(5, Reason::BadJson));
        let mut other = dead_letter(6, Reason::ReceiptUnreadable);
        (other.source, other.value) = (None, STANDARD.encode("<html>"));
        reader.read(other);
        reader
            .letters
            .into_found()
            .iter()
            .map(|l| l.position.offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(given(&|_| ()), [1, 2]);
    assert_eq!(given(&|f| f.reason = Some(Reason::BadJson)), [1]);
    assert_eq!(given(&|f| f.topic = Some(Topic::RequestsOtp)), [1]);
    assert_eq!(given(&|f| f.app = "shop".parse().ok()), [1]);
    assert_eq!(given(&|f| f.app = "bank".parse().ok()), [] as [i64; 0]);
    assert_eq!(given(&|f| f.span.since = Some(Timestamp(2))), [2]);
    assert_eq!(given(&|f| f.span.until = Some(Timestamp(2))), [1]);
}

#[test]
fn two_letters_of_one_record_are_one_and_the_newest_are_kept() {
    let mut reader = Reader::new(LetterFilter::default());
    for offset in [4, 5, 6, 5] {
        reader.read(dead_letter(offset, Reason::BadJson));
    }
    assert!(reader.letters.more);
    assert_eq!(reader.found(), [6, 5]);
}

#[test]
fn a_letter_that_cannot_be_read_is_reported_and_other_events_are_not_letters() {
    let mut reader = Reader::new(LetterFilter::default());
    reader.take(kind::DEAD_LETTER, b"{}");
    reader.take(kind::REDRIVEN, b"{}");
    assert_eq!(reader.letters.unreadable, [source(Topic::DeadLetters, 1)]);
    assert_eq!(reader.found(), [] as [i64; 0]);
}

#[test]
fn the_record_that_it_holds_comes_back_with_its_place_headers_and_earliest_time() {
    let mut reader = Reader::new(LetterFilter::default());
    reader.read(dead_letter(5, Reason::UnknownVersion));
    let letter = reader.letters.into_found().remove(0);
    assert_eq!(letter.app(), "shop".parse().ok());
    assert_eq!(letter.recipient().unwrap().masked(), "138****5678");
    let original = letter.original();
    assert_eq!(original.position, source(Topic::RequestsOtp, 5));
    assert_eq!(
        original.headers.rehomed_from.as_deref(),
        Some("requests.otp/5/3")
    );
    assert_eq!(
        original.accepted_at,
        Timestamp(1),
        "the earliest of all clocks"
    );
    assert_eq!(original.value, letter.body());
    assert!(
        MessageId::from_position(&original.position) != MessageId::from_position(&letter.position)
    );
}

#[test]
fn a_receipt_comes_back_as_it_was_under_its_key() {
    let receipt = json!({
        "type": "raw_receipt", "version": 1, "at": "2026-01-02T03:04:05.678Z",
        "payload": {
            "channel": "aliyun-a", "vendor": "aliyun", "recipient": "+8613812345678", "status": "delivered",
            "code": "DELIVERED", "received_at": "2026-01-02T03:04:05.678Z", "raw": {},
        },
    });
    let mut letter = dead_letter(5, Reason::ReceiptUnmatched);
    letter.source = Some(source(Topic::ReceiptsRaw, 5));
    letter.value = STANDARD.encode(receipt.to_string());
    letter.headers = vec![
        ("type".into(), "raw_receipt".into()),
        ("version".into(), "1".into()),
    ];
    let mut reader = Reader::new(LetterFilter::default());
    reader.read(letter);
    let letter = reader.letters.into_found().remove(0);
    assert_eq!(letter.target(), Ok(Target::Receipt));
    let record = letter.receipt().unwrap();
    assert_eq!(record.topic, Topic::ReceiptsRaw);
    assert_eq!(record.key.as_deref(), Some(b"+8613812345678".as_slice()));
    assert_eq!(
        record.value.as_deref(),
        Some(receipt.to_string().as_bytes())
    );
    assert_eq!(record.headers.kind.as_deref(), Some("raw_receipt"));
}
