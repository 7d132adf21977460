//! Steps in words, for traces.

use super::{
    log::{Role, T},
    seat,
    world::{Action, Model},
};

impl Model {
    fn name(&self, process: u8) -> String {
        let processes = self.setup().processes;
        let letter = char::from(b'A' + process % processes);
        match self.role(process) {
            Role::Router => format!("router {letter}"),
            Role::Sender => format!("sender {letter}"),
        }
    }

    pub(crate) fn words(&self, action: &Action) -> String {
        match action {
            Action::Move {
                process,
                step,
                fate,
            } => {
                let reads: Vec<String> = T::ALL
                    .into_iter()
                    .filter(|t| step.read[*t as usize] > 0)
                    .map(|t| format!("{t:?}×{}", step.read[t as usize]))
                    .collect();
                let reads = if reads.is_empty() {
                    String::new()
                } else {
                    format!(" reads {},", reads.join(" "))
                };
                let commit = step.effects.commit.as_ref().map_or(String::new(), |line| {
                    let floor = |topic: &T| seat::committed(line, *topic).floor;
                    let floors: Vec<String> = line
                        .keys()
                        .map(|topic| format!("{topic:?}≥{}", floor(topic)))
                        .collect();
                    format!(" {}", floors.join(" "))
                });
                let name = self.name(*process);
                format!("{name}{reads} {:?}{commit} ({fate:?})", step.act)
            }
            Action::Read { process, topic } => format!("{} reads {topic:?}", self.name(*process)),
            Action::Deliver {
                process,
                topic,
                fate,
            } => format!("{}'s record for {topic:?}: {fate:?}", self.name(*process)),
            Action::Fact {
                process,
                fact,
                acknowledged,
                ..
            } => {
                let kind = self.tables.records.get(*fact).kind;
                let name = self.name(*process);
                format!("{name}'s fact {kind:?}, acknowledged: {acknowledged}")
            }
            Action::Start { process, .. } => format!("{} starts", self.name(*process)),
            Action::Crash { process } => format!("{} crashes", self.name(*process)),
            other => format!("{other:?}"),
        }
    }
}
