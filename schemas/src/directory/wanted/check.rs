//! Judges a file as a whole, against what is there already. Every fault is named, not only the first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Clear, Problem, Wanted, app, channel};
use crate::{
    directory::{Signature, Snapshot, Template},
    template::{self, Form, Piece},
    validate::MAX_TEXT_CHARS,
};

/// What a file is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// What is there.
    pub current: &'a Snapshot,
    /// Whether what the file does not name is removed.
    pub prune: bool,
    /// Vendor kinds that have an adapter.
    pub vendors: &'a [&'a str],
    /// Sender pools of the installation: a channel of any other would never be served.
    pub pools: &'a [String],
}

/// Gathers problems.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            what: what.into(),
        });
    }

    pub(super) fn require(&mut self, good: bool, path: &str, what: impl Into<String>) {
        if !good {
            self.add(path, what);
        }
    }

    fn unique<'a>(&mut self, list: &str, ids: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeMap::new();
        for (i, id) in ids.enumerate() {
            if let Some(first) = seen.insert(id.to_owned(), i) {
                self.add(
                    format!("{list}[{i}].id"),
                    format!("`{id}` stands at {list}[{first}] already"),
                );
            }
        }
    }
}

/// Ids that exist once the file is applied.
pub(super) struct Known<'a> {
    pub(super) apps: BTreeSet<&'a str>,
    pub(super) channels: BTreeSet<&'a str>,
    pub(super) signatures: BTreeMap<&'a str, &'a Signature>,
}

impl<'a> Known<'a> {
    fn after(wanted: &'a Wanted<Clear>, allowed: &Allowed<'a>) -> Self {
        let mut known = Self {
            apps: BTreeSet::new(),
            channels: BTreeSet::new(),
            signatures: BTreeMap::new(),
        };
        if !allowed.prune {
            known
                .apps
                .extend(allowed.current.apps.keys().map(|id| id.as_str()));
            known
                .channels
                .extend(allowed.current.channels.keys().map(|id| id.as_str()));
            known.signatures.extend(
                allowed
                    .current
                    .signatures
                    .iter()
                    .map(|(id, s)| (id.as_str(), &**s)),
            );
        }
        known
            .apps
            .extend(wanted.apps.iter().map(|app| app.id.as_str()));
        known
            .channels
            .extend(wanted.channels.iter().map(|channel| channel.id.as_str()));
        known
            .signatures
            .extend(wanted.signatures.iter().map(|s| (s.id.as_str(), s)));
        known
    }
}

/// Judges `wanted`; an empty answer means that it may be applied.
#[must_use]
pub fn check(wanted: &Wanted<Clear>, allowed: &Allowed<'_>) -> Vec<Problem> {
    let mut problems = Problems::default();
    let known = Known::after(wanted, allowed);
    problems.unique("apps", wanted.apps.iter().map(|e| e.id.as_str()));
    problems.unique("channels", wanted.channels.iter().map(|e| e.id.as_str()));
    problems.unique(
        "signatures",
        wanted.signatures.iter().map(|e| e.id.as_str()),
    );
    problems.unique("templates", wanted.templates.iter().map(|e| e.id.as_str()));
    app::check(&wanted.apps, allowed, &mut problems);
    for (i, entity) in wanted.channels.iter().enumerate() {
        channel::check(entity, &format!("channels[{i}]"), allowed, &mut problems);
    }
    for (i, entity) in wanted.signatures.iter().enumerate() {
        check_signature(entity, &format!("signatures[{i}]"), &known, &mut problems);
    }
    for (i, entity) in wanted.templates.iter().enumerate() {
        check_template(entity, &format!("templates[{i}]"), &known, &mut problems);
    }
    check_remaining(wanted, allowed, &known, &mut problems);
    check_suppressions(wanted, &known, &mut problems);
    problems.0
}

fn check_signature(signature: &Signature, path: &str, known: &Known<'_>, problems: &mut Problems) {
    if let Some(app) = &signature.app {
        problems.require(
            known.apps.contains(app.as_str()),
            &format!("{path}.app"),
            format!("no app `{app}`"),
        );
    }
    let chars = signature.text.chars().count();
    let clean = !signature
        .text
        .chars()
        .any(|c| c.is_control() || matches!(c, '【' | '】' | '[' | ']'));
    problems.require(
        (1..=30).contains(&chars) && clean && signature.text.trim() == signature.text,
        &format!("{path}.text"),
        "1 to 30 characters without brackets, control characters and outer spaces",
    );
    for (channel, on) in &signature.channels {
        let path = format!("{path}.channels.{channel}");
        problems.require(
            known.channels.contains(channel.as_str()),
            &path,
            format!("no channel `{channel}`"),
        );
        problems.require(
            on.code.as_deref() != Some(""),
            &format!("{path}.code"),
            "is empty; leave it out",
        );
    }
}

fn check_template(template: &Template, path: &str, known: &Known<'_>, problems: &mut Problems) {
    problems.require(
        known.apps.contains(template.app.as_str()),
        &format!("{path}.app"),
        format!("no app `{}`", template.app),
    );
    check_use_of_signature(template, &format!("{path}.signature"), known, problems);
    let mut declared = BTreeSet::new();
    for (i, variable) in template.variables.iter().enumerate() {
        let path = format!("{path}.variables[{i}]");
        problems.require(
            template::is_variable_name(&variable.name),
            &format!("{path}.name"),
            "1 to 32 of a-z 0-9 _, starting with a letter",
        );
        problems.require(
            declared.insert(variable.name.as_str()),
            &format!("{path}.name"),
            format!("`{}` is declared twice", variable.name),
        );
        problems.require(
            variable.max_length > 0,
            &format!("{path}.max_length"),
            "must be at least 1",
        );
    }
    check_body(template, &format!("{path}.body"), &declared, problems);
    for (channel, on) in &template.channels {
        let path = format!("{path}.channels.{channel}");
        problems.require(
            known.channels.contains(channel.as_str()),
            &path,
            format!("no channel `{channel}`"),
        );
        problems.require(
            on.code.as_deref() != Some(""),
            &format!("{path}.code"),
            "is empty; leave it out",
        );
        let full_text = matches!(on.form, Form::FullText);
        problems.require(
            full_text || on.code.is_some(),
            &format!("{path}.code"),
            "is needed, since the vendor takes a template code and not the text",
        );
        check_form(&on.form, &format!("{path}.form"), &declared, problems);
    }
}

fn check_use_of_signature(
    template: &Template,
    path: &str,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    match known.signatures.get(template.signature.as_str()) {
        None => problems.add(path, format!("no signature `{}`", template.signature)),
        Some(signature) => problems.require(
            signature
                .app
                .as_ref()
                .is_none_or(|app| *app == template.app),
            path,
            format!("`{}` belongs to another app", template.signature),
        ),
    }
}

fn check_body(template: &Template, path: &str, declared: &BTreeSet<&str>, problems: &mut Problems) {
    let chars = template.body.chars().count();
    problems.require(
        (1..=MAX_TEXT_CHARS).contains(&chars),
        path,
        format!("has {chars} characters; 1 to {MAX_TEXT_CHARS} are possible"),
    );
    let pieces = match template::pieces(&template.body) {
        Ok(pieces) => pieces,
        Err(error) => return problems.add(path, error.to_string()),
    };
    let used: BTreeSet<&str> = pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name),
            Piece::Text(_) => None,
        })
        .collect();
    for name in used.difference(declared) {
        problems.add(
            path,
            format!("uses `{{{name}}}`, which is not among the variables"),
        );
    }
    for name in declared.difference(&used) {
        problems.add(path, format!("does not use the declared variable `{name}`"));
    }
}

fn check_form(form: &Form, path: &str, declared: &BTreeSet<&str>, problems: &mut Problems) {
    let (names, field): (Vec<&String>, &str) = match form {
        Form::Named { names } => {
            let mut targets = BTreeSet::new();
            for target in names.values() {
                let path = format!("{path}.names");
                problems.require(!target.is_empty(), &path, "a vendor's name is empty");
                problems.require(
                    targets.insert(target),
                    &path,
                    format!("two variables go to `{target}`"),
                );
            }
            (names.keys().collect(), "names")
        }
        Form::Positional { order } => (order.iter().collect(), "order"),
        Form::Separated { order, separator } => {
            problems.require(
                !separator.is_empty(),
                &format!("{path}.separator"),
                "is empty",
            );
            (order.iter().collect(), "order")
        }
        Form::FullText => return,
    };
    for name in names {
        problems.require(
            declared.contains(name.as_str()),
            &format!("{path}.{field}"),
            format!("`{name}` is not among the variables"),
        );
    }
}

/// Templates that the file does not name, but whose signature it takes away from their app.
fn check_remaining(
    wanted: &Wanted<Clear>,
    allowed: &Allowed<'_>,
    known: &Known<'_>,
    problems: &mut Problems,
) {
    if allowed.prune {
        return;
    }
    let named: BTreeSet<&str> = wanted.templates.iter().map(|t| t.id.as_str()).collect();
    let changed: BTreeSet<&str> = wanted.signatures.iter().map(|s| s.id.as_str()).collect();
    let mut others: Vec<_> = allowed
        .current
        .templates
        .values()
        .filter(|t| !named.contains(t.id.as_str()) && changed.contains(t.signature.as_str()))
        .collect();
    others.sort_by(|a, b| a.id.cmp(&b.id));
    for template in others {
        check_use_of_signature(
            template,
            &format!("template `{}`, which is there", template.id),
            known,
            problems,
        );
    }
}

fn check_suppressions(wanted: &Wanted<Clear>, known: &Known<'_>, problems: &mut Problems) {
    for (i, entry) in wanted.suppressions.iter().enumerate() {
        let path = format!("suppressions[{i}]");
        if let Some(app) = &entry.app {
            problems.require(
                known.apps.contains(app.as_str()),
                &format!("{path}.app"),
                format!("no app `{app}`"),
            );
        }
        problems.require(
            entry.note.chars().count() <= 200 && !entry.note.chars().any(char::is_control),
            &format!("{path}.note"),
            "at most 200 characters without control characters",
        );
    }
}
