//! A search through the states of a world: all of them, breadth first, or random walks.
//!
//! Of our own rather than a crate's: the worlds here share tables of owners and memorised steps (`&mut self`), both
//! searches need the same steps, and it is this short.

use std::{
    collections::HashSet,
    fmt::Debug,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// A violation, in words; it begins with the name of the invariant.
pub(crate) type Broken = String;

/// What can be searched.
pub(crate) trait World {
    type State: Clone + Hash;
    type Action: Clone + Debug;

    fn initial(&mut self) -> Self::State;

    /// Every step that is possible, in an order that depends on nothing but the state.
    fn options(&mut self, state: &Self::State) -> Vec<Self::Action>;

    /// One step that is possible, for a walk; `None` ends it.
    fn pick(&mut self, state: &Self::State, random: &mut Random) -> Option<Self::Action>;

    /// The state after a step, or what the step violates.
    fn apply(&mut self, state: &Self::State, action: &Self::Action) -> Result<Self::State, Broken>;

    /// Looks at a state for the first time; `fingerprint` may choose samples.
    fn inspect(&mut self, state: &Self::State, fingerprint: u64) -> Result<(), Broken>;

    fn describe(&self, action: &Self::Action) -> String;
}

/// A way to a violation.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) broken: Broken,
    pub(crate) trace: Vec<String>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mut at, mut words) = (1, Vec::new());
        for (i, step) in self.trace.iter().enumerate() {
            words.push(step.as_str());
            // Steps that are like the one before stand on its line.
            let like = |other: &String| {
                let head = |s: &str| s.split_once(" reads ").map(|(name, _)| name.to_owned());
                head(step).is_some() && head(step) == head(other)
            };
            if !self.trace.get(i + 1).is_some_and(like) {
                writeln!(f, "  {at:>3} {}", words.join("; "))?;
                (at, words) = (i + 2, Vec::new());
            }
        }
        write!(f, "  => {}", self.broken)
    }
}

/// What a search did.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) depth: usize,
    /// Whether nothing was left out.
    pub(crate) complete: bool,
    pub(crate) took: Duration,
    pub(crate) found: Option<Found>,
}

/// Fingerprints are hashes already.
#[derive(Default)]
pub(crate) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

fn fingerprint<S: Hash>(state: &S) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// How a state was reached: index of the state before and number of the step.
#[derive(Clone, Copy)]
struct Origin {
    parent: u32,
    step: u16,
}

/// Visits all states, nearest first, up to `limit`: the first violation has a shortest trace.
pub(crate) fn search<W: World>(world: &mut W, limit: usize) -> Searched {
    let begun = Instant::now();
    let mut seen: HashSet<u64, BuildHasherDefault<Plain>> = HashSet::default();
    let mut origins = vec![Origin { parent: 0, step: 0 }];
    let initial = world.initial();
    seen.insert(fingerprint(&initial));
    let mut frontier = vec![(0_u32, initial)];
    let mut done = Searched::default();
    'all: while !frontier.is_empty() {
        let mut next = Vec::new();
        for (index, state) in frontier {
            for (step, action) in world.options(&state).into_iter().enumerate() {
                done.steps += 1;
                let origin = Origin {
                    parent: index,
                    step: step as u16,
                };
                let judged = world.apply(&state, &action).and_then(|after| {
                    let print = fingerprint(&after);
                    let new = seen.insert(print);
                    if new {
                        world.inspect(&after, print)?;
                    }
                    Ok(new.then_some(after))
                });
                match judged {
                    Ok(None) => {}
                    Ok(Some(after)) => {
                        origins.push(origin);
                        next.push((origins.len() as u32 - 1, after));
                    }
                    Err(broken) => {
                        let trace = retrace(world, &origins, origin);
                        done.found = Some(Found { broken, trace });
                        break 'all;
                    }
                }
            }
            if origins.len() >= limit {
                done.states = origins.len();
                done.took = begun.elapsed();
                return done;
            }
        }
        done.depth += 1;
        frontier = next;
    }
    done.complete = done.found.is_none();
    done.states = origins.len();
    done.took = begun.elapsed();
    done
}

/// Goes the way to a step again, for its words.
fn retrace<W: World>(world: &mut W, origins: &[Origin], last: Origin) -> Vec<String> {
    let mut way = vec![last.step];
    let mut at = last.parent;
    while at != 0 {
        let origin = origins[at as usize];
        way.push(origin.step);
        at = origin.parent;
    }
    let (mut state, mut trace) = (world.initial(), Vec::new());
    for step in way.into_iter().rev() {
        let Some(action) = world.options(&state).into_iter().nth(usize::from(step)) else {
            break;
        };
        trace.push(world.describe(&action));
        match world.apply(&state, &action) {
            Ok(after) => state = after,
            Err(_) => break,
        }
    }
    trace
}

/// A random walk of at most `length` steps; the last state is inspected.
pub(crate) fn walk<W: World>(world: &mut W, seed: u64, length: usize) -> (usize, Option<Found>) {
    let mut random = Random(seed);
    let (mut state, mut trace) = (world.initial(), Vec::new());
    for step in 0..length {
        let Some(action) = world.pick(&state, &mut random) else {
            break;
        };
        trace.push(action.clone());
        match world.apply(&state, &action) {
            Ok(after) => state = after,
            Err(broken) => return (step, Some(found(world, broken, &trace))),
        }
    }
    let broken = world.inspect(&state, 0).err();
    let steps = trace.len();
    (steps, broken.map(|broken| found(world, broken, &trace)))
}

fn found<W: World>(world: &W, broken: Broken, trace: &[W::Action]) -> Found {
    let trace = trace.iter().map(|action| world.describe(action)).collect();
    Found { broken, trace }
}

/// SplitMix64: the same walk from the same seed, whatever the versions of crates.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `n` - 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
