//! What `jixinda dead-letters` and `jixinda failed` share: reading the log, and doing what was decided.
//!
//! Order keeps the promise: an announcement is durable before what it announces is written. The id of a new message
//! follows from the old one, so the router drops what is written twice: after a crash, or by two operators at once. It
//! remembers ids as long as a message may be valid; what a later run would write again it finds in the log.

pub(super) mod deeds;
pub(super) mod ends;
pub(super) mod letters;
pub(super) mod mask;
mod reasons;
pub(super) mod renew;
pub(super) mod write;

use std::{
    collections::{BTreeMap, HashMap},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    directory::publish::Current,
    kafka::{
        Kafka, Record, admin, fetch,
        follow::{self, Event, From},
    },
    lifecycle::Lifecycle,
};
use jixinda_schemas::{
    Lane, MessageId, Position, Timestamp, Topic,
    event::{Operator, Terminal},
    seal::PlatformKey,
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    deeds::{Deed, Deeds, Standing},
    ends::{End, Ends},
    letters::{Letter, Letters},
    reasons::Target,
    renew::{Original, Rules},
    write::{Act, Signed},
};
use super::print;
use crate::{
    cli::redrive::{DeedOptions, Renewal},
    config::Config,
};

/// What was read may be this old when something is written by it. It is far less than the time for which ids are
/// remembered.
const FRESH: Duration = Duration::from_secs(600);
/// The brokers' clocks may differ so much.
const SKEW_MS: i64 = 60_000;

/// What the commands work with.
pub(super) struct Desk {
    pub(super) kafka: Kafka,
    key: PlatformKey,
    /// Before anything was read.
    pub(super) now: Timestamp,
    began: Duration,
}

/// The messages that were looked for.
pub(super) struct Found {
    /// Oldest first.
    pub(super) ends: Vec<End>,
    pub(super) became: HashMap<Position, (MessageId, Terminal)>,
    pub(super) more: bool,
}

impl Desk {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            kafka: config.kafka()?,
            key: config.platform_key()?,
            now: SystemClock.now(),
            began: SystemClock.uptime(),
        })
    }

    /// # Errors
    /// When what was read is too old to act by.
    pub(super) fn fresh(&self) -> anyhow::Result<()> {
        if SystemClock.uptime().saturating_sub(self.began) > FRESH {
            bail!(
                "this took longer than {} s, and others may have acted meanwhile: run it again for what is left, with \
                 a smaller --limit",
                FRESH.as_secs()
            );
        }
        Ok(())
    }

    /// What was done so far, and whether it came to its end.
    pub(super) async fn deeds(&self) -> anyhow::Result<Arc<Deeds>> {
        let letters = [Topic::DeadLetters];
        let mut deeds = read(
            &self.kafka,
            &letters,
            From::Start,
            Deeds::default(),
            Deeds::take,
        )
        .await?;
        for position in &deeds.unreadable {
            eprintln!(
                "jixinda: {position} is left out: it says what an operator did, but cannot be read"
            );
        }
        if let Some(position) = deeds.newer.first() {
            bail!(
                "{position} was written by a newer release: use that one, lest something is sent twice"
            );
        }
        let mut written = HashMap::new();
        if let Some((wanted, since)) = deeds.announced(self.now) {
            let take = move |written: &mut HashMap<MessageId, Position>, record: &Record<'_>| {
                if let Some(id) = named(record).filter(|id| wanted.contains(id)) {
                    written.entry(id).or_insert_with(|| record.position());
                }
            };
            let from = From::Time(since.plus_millis(-SKEW_MS).millis());
            let requests = Lane::ALL.map(Topic::requests);
            written = read(&self.kafka, &requests, from, written, take).await?;
        }
        deeds.found(&written, self.now);
        Ok(Arc::new(deeds))
    }

    pub(super) async fn ends(
        &self,
        wanted: ends::Wanted,
        deeds: &Arc<Deeds>,
    ) -> anyhow::Result<Found> {
        let kafka = self.kafka.clone();
        let base = tokio::task::spawn_blocking(move || {
            admin::writers(&kafka, jixinda_router::ROLE, Topic::Outcomes)
        });
        let fold = Ends::new(wanted, Arc::clone(deeds), base.await??);
        let mut fold = read(
            &self.kafka,
            &[Topic::Outcomes],
            From::Start,
            fold,
            Ends::take,
        )
        .await?;
        Ok(Found {
            became: std::mem::take(&mut fold.became),
            more: fold.more,
            ends: fold.into_found(),
        })
    }

    /// Dead letters, oldest first, and whether there are more.
    pub(super) async fn letters(
        &self,
        wanted: letters::Wanted,
        deeds: &Arc<Deeds>,
    ) -> anyhow::Result<(Vec<Letter>, bool)> {
        let fold = Letters::new(wanted, Arc::clone(deeds));
        let fold = read(
            &self.kafka,
            &[Topic::DeadLetters],
            From::Start,
            fold,
            Letters::take,
        )
        .await?;
        for position in &fold.unreadable {
            eprintln!("jixinda: {position} cannot be read by this release");
        }
        let more = fold.more;
        Ok((fold.into_found(), more))
    }

    /// The requests at these positions that are still in the log.
    pub(super) async fn originals(
        &self,
        wanted: impl IntoIterator<Item = Position>,
    ) -> anyhow::Result<BTreeMap<Position, Original>> {
        let read = |record: &Record<'_>| Original {
            position: record.position(),
            accepted_at: record.at,
            value: record.value.unwrap_or_default().to_vec(),
            headers: record.headers.clone(),
        };
        Ok(fetch::records(&self.kafka, wanted, read).await?)
    }

    pub(super) async fn directory(&self) -> anyhow::Result<Current> {
        Current::read(&self.kafka)
            .await
            .context("the directory cannot be read")
    }

    pub(super) fn rules<'a>(&'a self, directory: &'a Current) -> Rules<'a> {
        Rules {
            directory: &directory.snapshot,
            suppressions: &directory.suppressions,
            key: &self.key,
            now: self.now,
        }
    }
}

fn named(record: &Record<'_>) -> Option<MessageId> {
    #[derive(Deserialize)]
    struct Named {
        message_id: Option<MessageId>,
    }
    serde_json::from_slice::<Named>(record.value?)
        .ok()?
        .message_id
}

/// Reads what is there of the topics.
async fn read<S: Send + 'static>(
    kafka: &Kafka,
    topics: &[Topic],
    from: From,
    state: S,
    take: impl Fn(&mut S, &Record<'_>) + Send + 'static,
) -> anyhow::Result<S> {
    let lifecycle = Lifecycle::default();
    let state = Arc::new(Mutex::new(Some(state)));
    let fill = Arc::clone(&state);
    let fold = move |event: &Event<'_>| {
        if let Event::Record(record) = event
            && let Some(state) = fill.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            take(state, record);
        }
    };
    let reading = lifecycle.component("redrive");
    let done = follow::start_from(kafka, topics, from, reading, fold).await;
    lifecycle.stop();
    done?;
    let state = state.lock().unwrap_or_else(PoisonError::into_inner).take();
    state.context("the log was read twice")
}

/// Who does it: as given, else who is logged in.
pub(super) fn signed(options: &DeedOptions, because: Option<String>) -> anyhow::Result<Signed> {
    let login = || {
        let names = ["SUDO_USER", "USER"];
        names
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()))
    };
    let name = options.by.clone().or_else(login);
    let name = name
        .context("nobody knows who does this: give --by NAME; $SUDO_USER and $USER are not set")?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(Signed {
        by: Operator {
            name,
            host: host.trim().to_owned(),
        },
        because,
    })
}

/// Refuses what was chosen by nothing, or in two ways.
pub(super) fn chosen(one: bool, filter_is_empty: bool, example: &str) -> anyhow::Result<()> {
    match (one, filter_is_empty) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => bail!("name one, or choose several by filters, not both"),
        (false, true) => {
            bail!("name one, such as {example}, or choose several by a filter, such as --since 2h")
        }
    }
}

/// Says what is decided and does it, if it may. `one` was named, so it needs no further word.
pub(super) async fn perform(
    desk: &Desk,
    plans: Vec<(String, Result<Act, String>)>,
    options: &DeedOptions,
    (one, signed): (bool, &Signed),
) -> anyhow::Result<ExitCode> {
    let mut acts = Vec::new();
    let mut refused = 0;
    for (name, plan) in plans {
        match plan {
            Ok(act) => acts.push((name, act)),
            Err(why) => {
                refused += 1;
                print(format_args!("refused {name}: {why}"))?;
            }
        }
    }
    let go = !options.dry_run && (one || options.yes);
    if go {
        write::all(desk, &acts, signed).await?;
    } else {
        for (name, act) in &acts {
            print(format_args!("would {}", act.sentence(name)))?;
        }
    }
    let done = if go { acts.len() } else { 0 };
    print(format_args!("{done} done, {refused} refused"))?;
    if !go && !options.dry_run && !acts.is_empty() {
        print(format_args!(
            "nothing was written: add --yes for these {}",
            acts.len()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(if refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// # Errors
/// Why it cannot be redriven any more.
pub(super) fn not_redriven(deeds: &Deeds, of: &Position) -> Result<(), String> {
    match deeds.get(of).and_then(|deed| deed.redrive.as_ref()) {
        Some(redrive) if deeds.standing(of) == Standing::Redriven => {
            let new = redrive
                .message
                .map_or_else(|| redrive.topic.to_string(), |id| id.to_string());
            Err(format!(
                "it was redriven by {} at {} as {new}; look at that one",
                mask::text(&redrive.by.name),
                redrive.at
            ))
        }
        _ => Ok(()),
    }
}

/// # Errors
/// Why it cannot be discarded.
pub(super) fn not_handled(deeds: &Deeds, of: &Position) -> Result<(), String> {
    not_redriven(deeds, of)?;
    match deeds.get(of).and_then(|deed| deed.discard.as_ref()) {
        Some(discard) => Err(format!(
            "it was discarded by {} at {}",
            mask::text(&discard.by.name),
            discard.at
        )),
        None => Ok(()),
    }
}

/// What was done about it, for people.
pub(super) fn handled(
    deeds: &Deeds,
    of: &Position,
    became: Option<&(MessageId, Terminal)>,
) -> Option<Value> {
    let Deed { redrive, discard } = deeds.get(of)?;
    let mut value = json!({});
    if let Some(redrive) = redrive {
        value["redriven"] = json!({
            "at": redrive.at,
            "by": mask::text(&redrive.by.name),
            "host": mask::text(&redrive.by.host),
            "because": redrive.because.as_deref().map(mask::text),
            "topic": redrive.topic,
            "message_id": redrive.message,
            "written": redrive.written.map(|at| at.to_string()),
            "finished": redrive.done,
            "outcome": became.map(|(_, outcome)| outcome.as_str()),
        });
    }
    if let Some(discard) = discard {
        value["discarded"] = json!({
            "at": discard.at,
            "by": mask::text(&discard.by.name),
            "host": mask::text(&discard.by.host),
            "because": mask::text(&discard.because),
        });
    }
    Some(value)
}

/// The same in a word for a table.
pub(super) fn handled_word(
    deeds: &Deeds,
    of: &Position,
    became: Option<&(MessageId, Terminal)>,
) -> String {
    let deed = deeds.get(of);
    let redrive = deed.and_then(|deed| deed.redrive.as_ref());
    match (deeds.standing(of), redrive) {
        (Standing::Open, _) => String::new(),
        (Standing::Unfinished, _) => "redrive not finished: run it again".to_owned(),
        (Standing::Discarded, _) => "discarded".to_owned(),
        (Standing::Redriven, redrive) => {
            let new = redrive.and_then(|redrive| redrive.message);
            let new = new.map_or_else(String::new, |id| format!(" as {id}"));
            let end = became.map_or_else(String::new, |(_, end)| format!(": {}", end.as_str()));
            format!("redriven{new}{end}")
        }
    }
}

/// What a dead letter leads to.
pub(super) fn letter_act(
    letter: &Letter,
    renewal: &Renewal,
    rules: &Rules<'_>,
) -> Result<Act, String> {
    match letter.target()? {
        Target::Receipt => Ok(Act::receipt(letter, letter.receipt()?)),
        Target::Message => {
            let renewed = letter.original().renew(renewal, rules)?;
            Ok(Act::letter(letter, renewed, renewal.may_send_twice))
        }
    }
}
