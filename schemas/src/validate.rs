//! The request rules: one set, applied by ingest to each call and by the router to each record.

use std::{collections::HashMap, sync::Arc};

use crate::{
    AppId, Lane, Phone, Reason, Timestamp,
    directory::{App, Signature, Snapshot, Suppressions, Template, VariableKind},
    event::Request,
    segments, template,
};

/// Largest record or single-request body, in bytes.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// Most characters in a rendered text, signature included (Aliyun, Huawei: 500).
pub const MAX_TEXT_CHARS: usize = 500;
/// How far ahead `not_before` may be, in milliseconds; more belongs to the scheduler.
pub const MAX_NOT_BEFORE_AHEAD_MS: i64 = 60_000;
/// Longest idempotency key and campaign name, in bytes.
pub const MAX_KEY_BYTES: usize = 128;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON path in the request, such as `params.code`.
    pub field: String,
    /// Stable code.
    pub reason: Reason,
    /// What to do about it. Never a secret or a full number.
    pub detail: String,
}

impl Problem {
    /// A problem with its field and remedy.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason,
            detail: detail.into(),
        }
    }
}

/// A request that may be sent, with what the directory says about it.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The app that sends.
    pub app: Arc<App>,
    /// The template that the request names.
    pub template: Arc<Template>,
    /// The one that the request names, or the template's own.
    pub signature: Arc<Signature>,
    /// Lane of the template.
    pub lane: Lane,
    /// Rendered text, signature included: `【ACME】…`.
    pub text: String,
    /// End of validity.
    pub not_after: Timestamp,
}

/// What a request is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Apps, templates and signatures.
    pub directory: &'a Snapshot,
    /// By recipient.
    pub suppressions: &'a HashMap<Phone, Suppressions>,
    /// Who sends.
    pub app: &'a AppId,
    /// Lane of the topic, or `None` where the template alone decides.
    pub lane: Option<Lane>,
    /// When it was accepted: broker time in the router, the clock in ingest.
    pub now: Timestamp,
}

/// Judges a request. All problems are named at once.
///
/// # Errors
/// The problems, in the order of the fields.
pub fn check(request: &Request, context: &Context<'_>) -> Result<Accepted, Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(app) = context
        .directory
        .apps
        .get(context.app)
        .filter(|app| app.enabled)
    else {
        return Err(vec![Problem::new(
            "app_id",
            Reason::UnknownApp,
            format!("`{}` does not exist or is disabled", context.app),
        )]);
    };
    let Some(template) = context
        .directory
        .templates
        .get(&request.template)
        .filter(|t| t.enabled && t.app == *context.app)
    else {
        return Err(vec![Problem::new(
            "template",
            Reason::UnknownTemplate,
            format!(
                "`{}` does not exist, is disabled, or belongs to another app",
                request.template
            ),
        )]);
    };
    let signature_id = request.signature.as_ref().unwrap_or(&template.signature);
    let signature = context
        .directory
        .signatures
        .get(signature_id)
        .filter(|s| s.enabled && s.app.as_ref().is_none_or(|a| a == context.app));
    if signature.is_none() {
        problems.push(Problem::new(
            "signature",
            Reason::UnknownSignature,
            format!("`{signature_id}` does not exist, is disabled, or belongs to another app"),
        ));
    }
    if let Some(lane) = context.lane.filter(|lane| *lane != template.lane) {
        problems.push(Problem::new(
            "template",
            Reason::LaneMismatch,
            format!(
                "`{}` belongs to lane {}, the topic to {lane}",
                template.id, template.lane
            ),
        ));
    }
    check_params(request, template, &mut problems);
    check_times(request, template.lane, context.now, &mut problems);
    for (field, value) in [
        ("idempotency_key", &request.idempotency_key),
        ("campaign", &request.campaign),
    ] {
        if value.as_ref().is_some_and(|v| {
            v.is_empty() || v.len() > MAX_KEY_BYTES || v.chars().any(char::is_control)
        }) {
            problems.push(Problem::new(
                field,
                Reason::BadField,
                format!("1 to {MAX_KEY_BYTES} bytes without control characters"),
            ));
        }
    }
    if let Some(list) = context.suppressions.get(&request.recipient)
        && list
            .entries
            .iter()
            .any(|s| s.applies(context.app, template.lane, context.now))
    {
        problems.push(Problem::new(
            "recipient",
            Reason::Suppressed,
            "the recipient is on a suppression list",
        ));
    }
    let text = signature.map(|s| {
        let body = template::render(&template.body, &request.params)?;
        let text = format!("【{}】{body}", s.text);
        Ok::<_, template::Error>(match request.recipient.china_national() {
            None if template.smart_encoding => segments::smart(&text).into_owned(),
            _ => text,
        })
    });
    match (signature, text) {
        (Some(signature), Some(Ok(text))) if problems.is_empty() => {
            let chars = text.chars().count();
            if chars > MAX_TEXT_CHARS {
                return Err(vec![Problem::new(
                    "params",
                    Reason::TextTooLong,
                    format!("the text has {chars} characters, a message at most {MAX_TEXT_CHARS}"),
                )]);
            }
            Ok(Accepted {
                app: Arc::clone(app),
                template: Arc::clone(template),
                signature: Arc::clone(signature),
                lane: template.lane,
                text,
                not_after: request.deadline(template.lane, context.now),
            })
        }
        (_, Some(Err(error))) if problems.is_empty() => Err(vec![Problem::new(
            "template",
            Reason::BadField,
            error.to_string(),
        )]),
        _ => Err(problems),
    }
}

fn check_params(request: &Request, template: &Template, problems: &mut Vec<Problem>) {
    for variable in &template.variables {
        let field = || format!("params.{}", variable.name);
        let Some(value) = request.params.get(&variable.name) else {
            problems.push(Problem::new(
                field(),
                Reason::MissingVariable,
                format!("template `{}` needs it", template.id),
            ));
            continue;
        };
        if value.chars().count() > variable.max_length as usize {
            problems.push(Problem::new(
                field(),
                Reason::VariableTooLong,
                format!("at most {} characters", variable.max_length),
            ));
        }
        let fits = match variable.kind {
            VariableKind::Text => !value.chars().any(|c| c.is_control() && c != '\n'),
            VariableKind::Digits => !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()),
            VariableKind::Alphanumeric => {
                !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric())
            }
        };
        if !fits {
            let want = match variable.kind {
                VariableKind::Text => "no control characters",
                VariableKind::Digits => "digits only",
                VariableKind::Alphanumeric => "letters and digits only",
            };
            problems.push(Problem::new(field(), Reason::BadVariable, want));
        }
    }
    for name in request.params.keys() {
        if !template.variables.iter().any(|v| v.name == *name) {
            let name: String = name.chars().take(40).collect();
            problems.push(Problem::new(
                format!("params.{name}"),
                Reason::UnknownVariable,
                format!("template `{}` does not declare it", template.id),
            ));
        }
    }
}

fn check_times(request: &Request, lane: Lane, now: Timestamp, problems: &mut Vec<Problem>) {
    if request
        .not_before
        .is_some_and(|t| t.since(now) > MAX_NOT_BEFORE_AHEAD_MS)
    {
        problems.push(Problem::new(
            "not_before",
            Reason::NotBeforeTooFar,
            "at most 60 s ahead; send the request later",
        ));
    }
    let field = if request.not_after.is_some() {
        "not_after"
    } else {
        "valid_for_ms"
    };
    let not_after = request.deadline(lane, now);
    let mut bad = |detail: String| problems.push(Problem::new(field, Reason::BadValidity, detail));
    if not_after <= now {
        bad("the validity has passed".to_owned());
    } else if not_after.since(now) > lane.id_window_ms() {
        bad(format!(
            "lane {lane} allows at most {} minutes",
            lane.id_window_ms() / 60_000
        ));
    } else if request.not_before.is_some_and(|t| t >= not_after) {
        bad("must be later than not_before".to_owned());
    }
}

#[cfg(test)]
mod tests;
