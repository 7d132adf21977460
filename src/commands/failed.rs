//! Messages that came to nothing.

use std::{process::ExitCode, sync::Arc};

use anyhow::bail;
use jixinda_schemas::event::Terminal;
use serde_json::{Value, json};

use super::{
    print,
    redrive::{
        self, Desk, Found,
        deeds::Deeds,
        ends::{End, Wanted},
        mask,
        renew::Original,
        write::Act,
    },
    show,
};
use crate::{
    cli::redrive::{Choice, EndFilter, FailedCommand, ListShape, Renewal},
    config::Config,
};

const EXAMPLE: &str = "its message id";

pub(super) async fn failed(config: &Config, command: FailedCommand) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(config)?;
    match command {
        FailedCommand::List { filter, shape } => list(&desk, filter, shape).await,
        FailedCommand::Show { message, json } => one(&desk, message, json).await,
        FailedCommand::Redrive {
            message,
            filter,
            renewal,
            deed,
            because,
        } => {
            let signed = redrive::signed(&deed, because)?;
            let (found, deeds) = choose(&desk, message, filter).await?;
            let plans = redriven(&desk, &found.ends, &deeds, &renewal).await?;
            redrive::perform(&desk, plans, &deed, (message.is_some(), &signed)).await
        }
        FailedCommand::Discard {
            message,
            filter,
            deed,
            because,
        } => {
            let signed = redrive::signed(&deed, Some(because))?;
            let (found, deeds) = choose(&desk, message, filter).await?;
            let plans = found.ends.iter().map(|end| {
                let plan = if end.outcome.outcome == Terminal::Delivered {
                    Err("it was delivered".to_owned())
                } else {
                    redrive::not_handled(&deeds, &end.outcome.request)
                };
                (name(end), plan.map(|()| Act::discard_end(end)))
            });
            redrive::perform(&desk, plans.collect(), &deed, (message.is_some(), &signed)).await
        }
    }
}

fn name(end: &End) -> String {
    format!("{} ({})", end.message, end.outcome.request)
}

async fn choose(
    desk: &Desk,
    message: Option<Choice>,
    filter: EndFilter,
) -> anyhow::Result<(Found, Arc<Deeds>)> {
    redrive::chosen(message.is_some(), filter.is_empty(), EXAMPLE)?;
    if let Some(message) = message {
        return exactly(desk, message).await;
    }
    let deeds = desk.deeds().await?;
    let wanted = Wanted::Filter {
        filter,
        handled: false,
    };
    let found = desk.ends(wanted, &deeds).await?;
    if found.more {
        print("more match than --limit: these are the newest; run it again for the others")?;
    }
    Ok((found, deeds))
}

/// The one message of that name.
async fn exactly(desk: &Desk, message: Choice) -> anyhow::Result<(Found, Arc<Deeds>)> {
    let deeds = desk.deeds().await?;
    let found = desk.ends(Wanted::One(message), &deeds).await?;
    match found.ends.as_slice() {
        [_] => Ok((found, deeds)),
        [] => bail!(
            "message: the log has no outcome of it: it is still on its way, is older than 7 d, or was never there"
        ),
        several => {
            let requests: Vec<String> = several
                .iter()
                .map(|end| end.outcome.request.to_string())
                .collect();
            bail!(
                "message: the id stands for several requests, choose one of them: {}",
                requests.join(", ")
            )
        }
    }
}

async fn redriven(
    desk: &Desk,
    ends: &[End],
    deeds: &Deeds,
    renewal: &Renewal,
) -> anyhow::Result<Vec<(String, Result<Act, String>)>> {
    let originals = desk
        .originals(ends.iter().map(|end| end.outcome.request))
        .await?;
    let directory = desk.directory().await?;
    let rules = desk.rules(&directory);
    let plan = |end: &End| {
        redrive::not_redriven(deeds, &end.outcome.request)?;
        end.may_be_redriven(renewal.may_send_twice)?;
        let original = originals
            .get(&end.outcome.request)
            .ok_or("its request is no longer in the log, which keeps 7 d; the app sends it anew")?;
        let renewed = original.renew(renewal, &rules)?;
        if renewed.old != end.message {
            return Err("the request names another message; report the defect".to_owned());
        }
        Ok(Act::end(end, renewed, renewal.may_send_twice))
    };
    Ok(ends.iter().map(|end| (name(end), plan(end))).collect())
}

async fn list(desk: &Desk, filter: EndFilter, shape: ListShape) -> anyhow::Result<ExitCode> {
    let deeds = desk.deeds().await?;
    let wanted = Wanted::Filter {
        filter,
        handled: shape.all,
    };
    let found = desk.ends(wanted, &deeds).await?;
    let columns = [
        "message",
        "at",
        "outcome",
        "reason",
        "lane",
        "app",
        "template",
        "recipient",
        "channel",
        "request",
        "redrive_of",
        "done",
    ];
    let rows = found.ends.iter().rev().map(|end| {
        let outcome = &end.outcome;
        let text = |value: Option<String>| value.unwrap_or_default();
        let became = found.became.get(&outcome.request);
        let cells = [
            end.message.to_string(),
            end.at.to_string(),
            outcome.outcome.as_str().to_owned(),
            outcome.reason.to_string(),
            outcome.lane.to_string(),
            end.app.to_string(),
            text(outcome.template.as_ref().map(ToString::to_string)),
            text(outcome.recipient.as_ref().map(|phone| phone.masked())),
            text(
                outcome
                    .attempts
                    .last()
                    .map(|attempt| attempt.channel.to_string()),
            ),
            outcome.request.to_string(),
            text(outcome.redrive_of.map(|of| of.message_id.to_string())),
            redrive::handled_word(&deeds, &outcome.request, became),
        ];
        cells.map(Value::from).to_vec()
    });
    show::rows(&columns, rows.collect(), (shape.json, found.more))
}

async fn one(desk: &Desk, message: Choice, as_json: bool) -> anyhow::Result<ExitCode> {
    let (found, deeds) = exactly(desk, message).await?;
    let originals = desk
        .originals(found.ends.iter().map(|end| end.outcome.request))
        .await?;
    for end in &found.ends {
        let request = &end.outcome.request;
        let mut outcome = end.outcome.clone();
        outcome.detail = outcome.detail.as_deref().map(mask::text);
        let redrivable = end.may_be_redriven(false);
        let value = json!({
            "message": end.message,
            "app": end.app,
            "at": end.at,
            "last_word": end.position.to_string(),
            "counts": if end.judged { "yes" } else { "cannot be told any more" },
            "meaning": outcome.reason.help(),
            "may_be_redriven": redrivable.map_or_else(|why| format!("no: {why}"), |()| "yes".to_owned()),
            "done": redrive::handled(&deeds, request, found.became.get(request)),
            "outcome": mask::own(&outcome, outcome.recipient.as_ref())?,
            "request": originals.get(request).map(shown),
        });
        show::value(value, as_json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(original: &Original) -> Value {
    let headers: Vec<(String, String)> = original
        .headers
        .pairs()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    json!({ "headers": mask::headers(&headers), "body": mask::body(&original.value) })
}
