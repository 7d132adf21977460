//! What happens to vendors during a run, and what the platform is to make of it: a file under `lab/scenarios`.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A scenario as its file states it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// One line: what goes wrong.
    pub(super) title: String,
    /// Messages a second, if the command names none.
    #[serde(default = "hundred")]
    pub(super) rate: u32,
    /// How long messages are sent, at most: once `watch` has come back, nothing more is waited for.
    #[serde(rename = "for", with = "humantime_serde")]
    pub(super) length: Duration,
    /// The channel whose share of the decisions tells detection and recovery.
    #[serde(default)]
    pub(super) watch: Option<String>,
    /// In the order of time.
    pub(super) steps: Vec<Step>,
    pub(super) limits: Limits,
}

const fn hundred() -> u32 {
    100
}

/// A change at the lab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// Since the first message.
    #[serde(with = "humantime_serde")]
    pub(super) at: Duration,
    /// What is said when it happens.
    pub(super) say: String,
    /// The lab's account.
    pub(super) account: String,
    /// What the lab's admin API takes; without it the account becomes what it was.
    #[serde(default)]
    pub(super) patch: Option<BTreeMap<String, Value>>,
    /// Detection is measured from the step with `broken`, recovery from that with `mended`.
    #[serde(default)]
    pub(super) mark: Option<Mark>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    Broken,
    Mended,
}

/// What is to hold; the command fails otherwise.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Least share of the accepted that is delivered.
    pub(super) delivered: f64,
    /// Most of the accepted, as a share, that end as unknown.
    pub(super) unknown: f64,
    /// Most messages that vendors took twice: codes may go once more when the first attempt is not known.
    #[serde(default)]
    pub(super) duplicates: usize,
    /// Until the watched channel has hardly any decisions.
    #[serde(default, with = "humantime_serde::option")]
    pub(super) detect: Option<Duration>,
    /// From its repair until it has half of its former share again.
    #[serde(default, with = "humantime_serde::option")]
    pub(super) recover: Option<Duration>,
}

impl Scenario {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let scenario: Self =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        scenario
            .check()
            .with_context(|| format!("in {}", file.display()))?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (20..=1000).contains(&self.rate),
            "`rate` is 20 to 1000 messages a second"
        );
        let limits = self.limits;
        for (name, share) in [("delivered", limits.delivered), ("unknown", limits.unknown)] {
            ensure!(
                (0.0..=1.0).contains(&share),
                "`limits.{name}` is a share, 0 to 1"
            );
        }
        if !self.steps.is_sorted_by_key(|step| step.at) {
            bail!("`steps` are not in the order of their `at`");
        }
        if self.steps.last().is_some_and(|step| step.at >= self.length) {
            bail!("the last step lies beyond `for`");
        }
        let timed = limits.detect.is_some() || limits.recover.is_some();
        let marked = |mark| self.steps.iter().filter(|s| s.mark == Some(mark)).count();
        let both = marked(Mark::Broken) == 1 && marked(Mark::Mended) == 1;
        ensure!(
            !timed || (both && self.watch.is_some()),
            "`limits.detect` and `limits.recover` need `watch`, and one step marked broken and one mended"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
title = 't'
for = '60s'
watch = 'a'
steps = [
    { at = '10s', say = 'x', account = 'a', patch = { behaviour = { down = 'drop' } }, mark = 'broken' },
    { at = '20s', say = 'y', account = 'a', mark = 'mended' },
]
limits = { delivered = 0.9, unknown = 0.01, detect = '10s', recover = '30s' }
";

    fn complaint(text: &str) -> String {
        let read: Result<Scenario, _> = toml::from_str(text);
        match read {
            Ok(scenario) => format!("{:#}", scenario.check().unwrap_err()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named() {
        let good: Scenario = toml::from_str(GOOD).unwrap();
        good.check().unwrap();
        for (from, to, named) in [
            ("'20s'", "'5s'", "order"),
            ("for = '60s'", "for = '15s'", "beyond"),
            ("0.01", "1.5", "limits.unknown"),
            ("watch = 'a'\n", "", "need `watch`"),
            ("mark = 'mended'", "mark = 'broken'", "one mended"),
            ("title", "titel", "titel"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert!(
                complaint(&text).contains(named),
                "{to}: {}",
                complaint(&text)
            );
        }
    }

    #[test]
    fn every_scenario_that_comes_with_the_project_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/scenarios");
        let files = std::fs::read_dir(folder).unwrap();
        let read = files.map(|file| Scenario::read(&file.unwrap().path()).unwrap());
        assert!(read.count() >= 6);
    }
}
