//! Records and receipts that could not be handled.

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use jixinda_schemas::{MessageId, Position, Topic};
use serde_json::{Value, json};

use super::{
    print,
    redrive::{
        self, Desk,
        deeds::Deeds,
        ends::{self, End},
        letters::{Letter, Wanted},
        mask,
        write::Act,
    },
    show,
};
use crate::{
    cli::redrive::{DeadLettersCommand, LetterFilter, ListShape, Renewal},
    config::Config,
};

const EXAMPLE: &str = "dead-letters/3/17";

pub(super) async fn dead_letters(
    config: &Config,
    command: DeadLettersCommand,
) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(config)?;
    match command {
        DeadLettersCommand::List { filter, shape } => list(&desk, filter, shape).await,
        DeadLettersCommand::Show { position, json } => one(&desk, position, json).await,
        DeadLettersCommand::Redrive {
            position,
            filter,
            renewal,
            deed,
            because,
        } => {
            let signed = redrive::signed(&deed, because)?;
            let (letters, deeds) = choose(&desk, position, filter).await?;
            let plans = redriven(&desk, letters, &deeds, &renewal).await?;
            redrive::perform(&desk, plans, &deed, (position.is_some(), &signed)).await
        }
        DeadLettersCommand::Discard {
            position,
            filter,
            deed,
            because,
        } => {
            let signed = redrive::signed(&deed, Some(because))?;
            let (letters, deeds) = choose(&desk, position, filter).await?;
            let plans = letters.iter().map(|letter| {
                let plan = redrive::not_handled(&deeds, &letter.of());
                let plan = plan.map(|()| Act::discard_letter(letter));
                (letter.position.to_string(), plan)
            });
            redrive::perform(&desk, plans.collect(), &deed, (position.is_some(), &signed)).await
        }
    }
}

async fn choose(
    desk: &Desk,
    position: Option<Position>,
    filter: LetterFilter,
) -> anyhow::Result<(Vec<Letter>, Arc<Deeds>)> {
    redrive::chosen(position.is_some(), filter.is_empty(), EXAMPLE)?;
    let wanted = match position {
        Some(position) => Wanted::One(check(position)?),
        None => Wanted::Filter {
            filter,
            handled: false,
        },
    };
    let deeds = desk.deeds().await?;
    let (letters, more) = desk.letters(wanted, &deeds).await?;
    if let Some(position) = position
        && letters.is_empty()
    {
        bail!("position: there is no dead letter at {position}; it may be older than 30 d");
    }
    if more {
        print("more match than --limit: these are the newest; run it again for the others")?;
    }
    Ok((letters, deeds))
}

fn check(position: Position) -> anyhow::Result<Position> {
    if position.topic != Topic::DeadLetters {
        bail!(
            "position: `{position}` is no dead letter; write it as `list` shows it, such as {EXAMPLE}"
        );
    }
    Ok(position)
}

/// What each leads to. A message of which the log knows more is not made again without a word.
async fn redriven(
    desk: &Desk,
    letters: Vec<Letter>,
    deeds: &Arc<Deeds>,
    renewal: &Renewal,
) -> anyhow::Result<Vec<(String, Result<Act, String>)>> {
    let directory = desk.directory().await?;
    let rules = desk.rules(&directory);
    let planned: Vec<(Letter, Result<Act, String>)> = letters
        .into_iter()
        .map(|letter| {
            let plan = redrive::not_redriven(deeds, &letter.of())
                .and_then(|()| redrive::letter_act(&letter, renewal, &rules));
            (letter, plan)
        })
        .collect();
    let ids = planned
        .iter()
        .filter_map(|(_, plan)| plan.as_ref().ok()?.old());
    let wanted = ends::Wanted::Messages(ids.collect());
    let known = desk.ends(wanted, deeds).await?.ends;
    let mut seen = BTreeSet::new();
    let plans = planned.into_iter().map(|(letter, plan)| {
        let plan = plan.and_then(|act| {
            if let Some(id) = act.old() {
                known_otherwise(&letter, id, (&known, deeds), renewal)?;
                if !seen.insert(id) && !renewal.may_send_twice {
                    return Err(format!(
                        "message {id} is among these already: its producer wrote it twice"
                    ));
                }
            }
            Ok(act)
        });
        (letter.position.to_string(), plan)
    });
    Ok(plans.collect())
}

/// # Errors
/// When the recipient may get the message by another record of it.
fn known_otherwise(
    letter: &Letter,
    id: MessageId,
    (known, deeds): (&[End], &Deeds),
    renewal: &Renewal,
) -> Result<(), String> {
    let of = letter.of();
    for end in known.iter().filter(|end| end.message == id) {
        if end.outcome.request == of {
            end.may_be_redriven(renewal.may_send_twice)?;
        } else if !renewal.may_send_twice {
            return Err(format!(
                "message {id} ended by another request, {}, as {}; with --may-send-twice it is sent all the same",
                end.outcome.request,
                end.outcome.outcome.as_str()
            ));
        }
    }
    match deeds.redriven_otherwise(id, &of) {
        Some(other) if !renewal.may_send_twice => Err(format!(
            "message {id} was redriven by another record of it, {other}; with --may-send-twice it is sent all the same"
        )),
        _ => Ok(()),
    }
}

async fn list(desk: &Desk, filter: LetterFilter, shape: ListShape) -> anyhow::Result<ExitCode> {
    let deeds = desk.deeds().await?;
    let wanted = Wanted::Filter {
        filter,
        handled: shape.all,
    };
    let (letters, more) = desk.letters(wanted, &deeds).await?;
    let columns = [
        "position",
        "at",
        "reason",
        "record",
        "app",
        "recipient",
        "detail",
        "done",
    ];
    let rows = letters.iter().rev().map(|letter| {
        let source = letter
            .payload
            .source
            .map_or_else(String::new, |at| at.to_string());
        let cells = [
            letter.position.to_string(),
            letter.at.to_string(),
            letter.payload.reason.to_string(),
            source,
            letter.app().map_or_else(String::new, |app| app.to_string()),
            letter
                .recipient()
                .map_or_else(String::new, |phone| phone.masked()),
            mask::text(&letter.payload.detail),
            redrive::handled_word(&deeds, &letter.of(), None),
        ];
        cells.map(Value::from).to_vec()
    });
    show::rows(&columns, rows.collect(), (shape.json, more))
}

async fn one(desk: &Desk, position: Position, as_json: bool) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::One(check(position)?);
    let deeds = desk.deeds().await?;
    let (letters, _) = desk.letters(wanted, &deeds).await?;
    let letter = letters.first().with_context(|| {
        format!("position: there is no dead letter at {position}; it may be older than 30 d")
    })?;
    let payload = &letter.payload;
    let redrivable = letter
        .target()
        .map_or_else(|why| format!("no: {why}"), |_| "yes".to_owned());
    let value = json!({
        "position": position.to_string(),
        "at": letter.at,
        "reason": payload.reason,
        "meaning": payload.reason.help(),
        "detail": mask::text(&payload.detail),
        "step": payload.step,
        "given_up_at": payload.at,
        "record": payload.source.map(|at| at.to_string()),
        "channel": payload.channel,
        "app": letter.app(),
        "recipient": letter.recipient().map(|phone| phone.masked()),
        "key": letter.key().map(|key| mask::text(&String::from_utf8_lossy(&key))),
        "headers": mask::headers(&payload.headers),
        "body": mask::body(&letter.body()),
        "body_bytes": letter.body().len(),
        "may_be_redriven": redrivable,
        "done": redrive::handled(&deeds, &letter.of(), None),
    });
    show::value(value, as_json)
}
