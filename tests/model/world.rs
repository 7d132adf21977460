//! One partition of every topic, a broker, a vendor, a clock, and the owners' processes.
//!
//! A process is never told that another one has begun: it goes on, by what it has read, until it reads the other's
//! `opened`. One that is never chosen again has crashed; so every crash, at every step, is among the ways.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use jixinda_router::message::{Deadlines, Entry};
use jixinda_schemas::Lane;

use super::{
    check,
    explorer::{Broken, Random, World},
    log::{self, Kind, Rec, Role, T},
    owner::{Act, Call},
    seat::Commit,
    switches::Rules,
    tables::{Move, Numbered, Tables},
};

/// How much of everything a world may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Further lives, begun by a process of their own or by one that takes over again.
    pub(crate) lives: [u8; 2],
    pub(crate) commits: [u8; 2],
    /// Steps of the clock.
    pub(crate) ticks: u8,
    /// Writes whose acknowledgement is lost, or that are lost themselves.
    pub(crate) faults: u8,
    /// Records of owners that wait in the producer while their owner goes on.
    pub(crate) delays: u8,
    pub(crate) receipts: u8,
    /// Routings that a sender gives back before their time.
    pub(crate) give_backs: u8,
    pub(crate) parks: u8,
    /// Compactions of `state`.
    pub(crate) compactions: u8,
    /// Requests that come later: new ones, repeats, and ids used again.
    pub(crate) requests: u8,
    /// Steps of the clock beyond the window of remembered ids.
    pub(crate) jumps: u8,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) lane: Lane,
    pub(crate) channels: u8,
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    pub(crate) messages: u8,
    /// Processes of a role at once.
    pub(crate) processes: u8,
    /// One state in so many is completed.
    pub(crate) sample: u64,
    /// Whether evidence after an outcome is heard whatever takeovers come.
    pub(crate) hears_late: bool,
    pub(crate) deadlines: Deadlines,
    pub(crate) snapshots: Rc<RefCell<Snapshots>>,
}

/// Entries as copies hold them: their JSON, as in `state`.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Snapshots {
    pub(crate) fn take(&mut self, entry: &Entry) -> u32 {
        let text = serde_json::to_string(entry).unwrap();
        let next = self.texts.len() as u32;
        *self.numbers.entry(text.clone()).or_insert_with(|| {
            self.texts.push(text);
            next
        })
    }

    pub(crate) fn entry(&self, number: u32) -> Entry {
        serde_json::from_str(&self.texts[number as usize]).unwrap()
    }
}

impl Setup {
    pub(crate) fn new(lane: Lane, budget: Budget) -> Self {
        Self {
            lane,
            channels: 2,
            rules: Rules::ALL,
            budget,
            messages: 1,
            processes: 2,
            sample: 128,
            hears_late: false,
            deadlines: Deadlines {
                receipt_ms: 10_000,
                claim_ms: 10_000,
            },
            snapshots: Rc::default(),
        }
    }

    /// Ticks for which an id is remembered.
    pub(crate) fn id_window(&self) -> u16 {
        (self.lane.id_window_ms() / log::TICK_MS) as u16
    }

    pub(crate) fn entry(&self, message: u8, offset: i64, at: u16) -> Entry {
        Entry {
            id: log::message_id(message),
            app: "shop".parse().unwrap(),
            lane: self.lane,
            position: log::position(self.lane, offset),
            accepted_at: log::time(at),
            request: log::request(),
            traceparent: None,
            attempts: Vec::new(),
            refused: None,
            no_route: false,
            outcome: None,
            superseded: false,
        }
    }
}

/// A process: what its owner knows, and what is on its way from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) owner: u32,
    /// Records that count only under their owner; in order for each topic.
    pub(crate) queue: Vec<(T, u16)>,
    /// Records that count whoever owns.
    pub(crate) facts: Vec<(T, u16)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: u16,
    pub(crate) log: [Rc<Vec<u16>>; 6],
    /// Processes of the router, then of the sender.
    pub(crate) processes: Vec<Option<Process>>,
    /// Process of each role that the group has given the partition last: only it may commit.
    pub(crate) latest: [u8; 2],
    pub(crate) commits: [u16; 2],
    pub(crate) next_writer: [u8; 2],
    pub(crate) calls: Rc<Vec<Call>>,
    pub(crate) budget: Budget,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Written,
    /// Waits in the producer.
    Queued,
    /// Written, but the owner believes that it is not.
    Unacknowledged,
    /// Never written, and the owner knows that it was not acknowledged.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Move {
        process: u8,
        step: Move,
        fate: Fate,
    },
    /// One record, in a walk.
    Read {
        process: u8,
        topic: T,
    },
    /// What waited in the producer meets its fate.
    Deliver {
        process: u8,
        topic: T,
        fate: Fate,
    },
    Fact {
        process: u8,
        topic: T,
        fact: u16,
        acknowledged: bool,
    },
    Start {
        role: Role,
        process: u8,
    },
    /// The process is gone with all that it has not handed to the broker.
    Crash {
        process: u8,
    },
    Tick,
    /// Longer than an id is remembered.
    Jump,
    /// `state` loses what it may.
    Compact,
    Request {
        message: u8,
    },
    Receipt {
        channel: u8,
        call: u16,
        delivered: bool,
    },
}

pub(crate) struct Model {
    pub(crate) tables: Tables,
    pub(crate) commits: Numbered<Commit>,
    /// States that were completed, and the records that the longest log had.
    pub(crate) completed: usize,
    pub(crate) longest: usize,
    /// Vendor calls, completions included.
    pub(crate) called: usize,
    pub(crate) called_after: usize,
    /// What was done last in a completion.
    pub(crate) last_act: Option<Act>,
}

fn role_of(process: u8, processes: u8) -> Role {
    if process < processes {
        Role::Router
    } else {
        Role::Sender
    }
}

impl Model {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            tables: Tables::new(setup),
            commits: Numbered::new(),
            completed: 0,
            longest: 0,
            called: 0,
            called_after: 0,
            last_act: None,
        }
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.tables.setup
    }

    pub(crate) fn role(&self, process: u8) -> Role {
        role_of(process, self.setup().processes)
    }
}

impl World for Model {
    type State = State;
    type Action = Action;

    fn initial(&mut self) -> State {
        let nothing = self.commits.number(Commit::new());
        let setup = self.setup().clone();
        let mut state = State {
            now: 0,
            log: Default::default(),
            processes: vec![None; usize::from(setup.processes) * 2],
            latest: [0; 2],
            commits: [nothing; 2],
            next_writer: [1; 2],
            calls: Rc::default(),
            budget: setup.budget,
        };
        for role in Role::ALL {
            let process = role as u8 * setup.processes;
            self.begin(&mut state, process);
            for topic in role.writes() {
                let delivered = self.deliver(&mut state, process, *topic, Fate::Written);
                assert_eq!(delivered, Ok(()));
            }
        }
        // Both have taken over when the requests come.
        for process in [0, setup.processes] {
            let read = self.read_all(&mut state, process);
            assert_eq!(read, Ok(()));
        }
        for message in 0..setup.messages {
            assert_eq!(self.request(&mut state, message), Ok(()));
        }
        state
    }

    fn options(&mut self, state: &State) -> Vec<Action> {
        let mut options = Vec::new();
        for process in 0..state.processes.len() as u8 {
            self.moves(state, process, &mut options);
        }
        for role in Role::ALL {
            if let Some(process) = self.free(state, role) {
                options.push(Action::Start { role, process });
            }
        }
        if state.budget.ticks > 0 {
            options.push(Action::Tick);
        }
        if state.budget.compactions > 0 && Self::end(state, T::State) > 0 {
            options.push(Action::Compact);
        }
        if state.budget.jumps > 0 {
            options.push(Action::Jump);
        }
        if state.budget.requests > 0 {
            let messages = 0..self.setup().messages;
            options.extend(messages.map(|message| Action::Request { message }));
        }
        options.extend(Self::receipts(state));
        options
    }

    fn pick(&mut self, state: &State, random: &mut Random) -> Option<Action> {
        super::walks::pick(self, state, random)
    }

    fn apply(&mut self, state: &State, action: &Action) -> Result<State, Broken> {
        let mut state = state.clone();
        match action {
            Action::Move {
                process,
                step,
                fate,
            } => self.moved(&mut state, *process, step, *fate)?,
            Action::Read { process, topic } => {
                self.read_one(&mut state, *process, *topic)?;
                check::same_winner(self, &state, *process)?;
            }
            Action::Deliver {
                process,
                topic,
                fate,
            } => self.deliver(&mut state, *process, *topic, *fate)?,
            Action::Fact {
                process,
                topic,
                fact,
                acknowledged,
            } => {
                let fact = (*topic, *fact);
                self.write_fact(&mut state, *process, fact, *acknowledged)?;
            }
            Action::Start { role, process } => {
                state.budget.lives[*role as usize] -= 1;
                self.begin(&mut state, *process);
            }
            Action::Crash { process } => state.processes[usize::from(*process)] = None,
            Action::Tick => {
                state.budget.ticks -= 1;
                state.now += 1;
            }
            Action::Jump => {
                state.budget.jumps -= 1;
                state.now += self.setup().id_window() + 1;
            }
            Action::Compact => {
                state.budget.compactions -= 1;
                self.compact(&mut state);
            }
            Action::Request { message } => {
                state.budget.requests -= 1;
                self.request(&mut state, *message)?;
            }
            Action::Receipt {
                channel,
                call,
                delivered,
            } => {
                state.budget.receipts -= 1;
                let rec = Rec {
                    writer: None,
                    written: 0,
                    at: 0,
                    kind: Kind::Receipt {
                        channel: *channel,
                        call: *call,
                        delivered: *delivered,
                    },
                };
                self.append(&mut state, T::Receipts, rec)?;
            }
        }
        Ok(state)
    }

    fn inspect(&mut self, state: &State, fingerprint: u64) -> Result<(), Broken> {
        if fingerprint.is_multiple_of(self.setup().sample) {
            self.completed += 1;
            return self.complete(state, fingerprint);
        }
        Ok(())
    }

    fn describe(&self, action: &Action) -> String {
        self.words(action)
    }
}
