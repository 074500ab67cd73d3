//! What clients are to do, drawn from a seed. Pure.

use elasticjob::registry::{CreateMode, Read, Step};

/// The turns of some clients in some jobs.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The first path segments.
    pub jobs: Vec<String>,
    /// The turns of each client.
    pub clients: Vec<Vec<Turn>>,
}

/// Something that a client does before it does the next.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Asks all this at once, and takes the answers in order.
    Ask(Vec<Ask>),
    /// Asks all this while something is done to it.
    Hurt {
        /// Which of its faults, modulo their number.
        fault: usize,
        /// Whether it lasts until the session is over.
        is_lasting: bool,
        /// What it asks meanwhile, which begins with a transaction.
        asks: Vec<Ask>,
    },
    /// Watches a path, if it does not yet.
    Watch(String),
    /// Drops one of its watches, modulo their number.
    Unwatch(usize),
    /// Closes its session. The next turn opens another one.
    Close,
}

/// A request.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A transaction with a marker in each job that it names.
    Write(Vec<Planned>),
    /// Sets a node that no other request sets: a transaction that is seen if it happens twice.
    Once(Step),
    /// A transaction that only checks.
    Look(Vec<Planned>),
    /// Some reads.
    Read(Vec<Read>),
    /// A sync.
    Sync,
}

/// A step, and whether it expects the version that its client saw last.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What to do.
    pub step: Step,
    /// Whether the version that was seen last takes the place of that of the step.
    pub at_known_version: bool,
}

/// How often what happens.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// One history in so many has a fault that lasts until a session is over, which takes the session timeout.
    pub lasting: u32,
}

/// Draws a scenario.
#[must_use]
pub fn draw(seed: u64, mix: Mix) -> Scenario {
    let mut rng = fastrand::Rng::with_seed(seed);
    let names = if rng.u8(..8) == 0 { ["任务", "b"] } else { ["a", "b"] };
    let jobs = names[..rng.usize(1..=2)]
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let lasting = rng.u32(..mix.lasting) == 0;
    let mut artist = Artist { rng, jobs, drawn: 0 };
    let clients = (0..artist.rng.usize(2..=4)).map(|_| artist.client(lasting)).collect();
    Scenario {
        jobs: artist.jobs,
        clients,
    }
}

impl Scenario {
    /// Returns the nodes that are set once. They are there from the start.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        let asks = self.clients.iter().flatten().flat_map(|turn| match turn {
            Turn::Ask(asks) | Turn::Hurt { asks, .. } => asks.as_slice(),
            _ => &[],
        });
        let once = asks.filter_map(|ask| match ask {
            Ask::Once(step) => Some(step.path()),
            _ => None,
        });
        once.collect()
    }

    /// Returns all scenarios with a bit less in them, those without most of it first.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for client in 0..self.clients.len() {
            smaller.push(self.without(|clients| drop(clients.remove(client))));
        }
        for part in [4, 2, 1] {
            for client in 0..self.clients.len() {
                let turns = self.clients[client].len();
                let size = (turns * part / 8).max(1);
                for begin in (0..turns).step_by(size) {
                    let end = (begin + size).min(turns);
                    smaller.push(self.without(|clients| drop(clients[client].drain(begin..end))));
                }
            }
        }
        smaller.retain(|scenario| !scenario.clients.is_empty());
        smaller
    }

    fn without(&self, take: impl FnOnce(&mut Vec<Vec<Turn>>)) -> Self {
        let mut scenario = self.clone();
        take(&mut scenario.clients);
        scenario
    }
}

/// Nodes that come and go, below each job.
const PLACES: [&str; 8] = ["x", "u", "u", "x/y", "x/y/z", "e", "x/e", "x/任务"];

struct Artist {
    rng: fastrand::Rng,
    jobs: Vec<String>,
    /// Makes all data differ.
    drawn: u32,
}

impl Artist {
    fn client(&mut self, lasting: bool) -> Vec<Turn> {
        let count = self.rng.usize(4..=10);
        let mut turns = vec![self.watch()];
        turns.extend((0..count).map(|_| self.turn(lasting)));
        turns
    }

    fn turn(&mut self, lasting: bool) -> Turn {
        match self.rng.u8(..20) {
            0 | 1 => self.watch(),
            2 => Turn::Unwatch(self.rng.usize(..4)),
            3 => Turn::Close,
            4..=6 => Turn::Hurt {
                fault: self.rng.usize(..64),
                is_lasting: lasting && self.rng.bool(),
                asks: [vec![self.write()], self.asks(2)].concat(),
            },
            _ => {
                let most = self.rng.usize(1..=3);
                Turn::Ask(self.asks(most))
            }
        }
    }

    fn asks(&mut self, most: usize) -> Vec<Ask> {
        let count = self.rng.usize(1..=most);
        (0..count).map(|_| self.ask()).collect()
    }

    fn ask(&mut self) -> Ask {
        match self.rng.u8(..12) {
            0..=4 => self.write(),
            5 => {
                let path = self.path("once");
                let path = format!("{path}-{}", self.drawn);
                Ask::Once(Step::Set {
                    path,
                    data: self.data(),
                    version: None,
                })
            }
            6 => {
                let count = self.rng.usize(1..=2);
                Ask::Look((0..count).map(|_| self.check()).collect())
            }
            7..=9 => {
                let count = self.rng.usize(1..=3);
                Ask::Read((0..count).map(|_| self.read()).collect())
            }
            _ => Ask::Sync,
        }
    }

    fn write(&mut self) -> Ask {
        let count = self.rng.usize(1..=3);
        Ask::Write((0..count).map(|_| self.step()).collect())
    }

    fn step(&mut self) -> Planned {
        let path = self.place();
        let version = None;
        let step = match self.rng.u8(..12) {
            0..=2 => Step::Create {
                path,
                data: self.data(),
                mode: self.mode(),
            },
            3 => {
                let path = self.path("live/q-");
                Step::Create {
                    path,
                    data: self.data(),
                    mode: CreateMode::EphemeralSequential,
                }
            }
            4..=8 => Step::Set {
                path,
                data: self.data(),
                version,
            },
            9 => Step::Delete { path, version },
            _ => return self.check(),
        };
        let at_known_version = self.rng.u8(..5) < 2;
        Planned { step, at_known_version }
    }

    fn check(&mut self) -> Planned {
        let version = (self.rng.u8(..4) == 0).then_some(0);
        Planned {
            step: Step::Check {
                path: self.place(),
                version,
            },
            at_known_version: self.rng.bool(),
        }
    }

    fn read(&mut self) -> Read {
        match self.rng.u8(..6) {
            0 => Read::Children(self.path("log")),
            1 => Read::Children(self.path("x")),
            2 => Read::Children(self.path("live")),
            _ => Read::Data(self.place()),
        }
    }

    fn watch(&mut self) -> Turn {
        Turn::Watch(match self.rng.u8(..5) {
            0 => "/".to_owned(),
            1 => self.place(),
            _ => format!("/{}", self.job()),
        })
    }

    fn mode(&mut self) -> CreateMode {
        if self.rng.u8(..3) == 0 {
            CreateMode::Ephemeral
        } else {
            CreateMode::Persistent
        }
    }

    fn place(&mut self) -> String {
        let place = PLACES[self.rng.usize(..PLACES.len())];
        self.path(place)
    }

    fn path(&mut self, name: &str) -> String {
        format!("/{}/{name}", self.job())
    }

    fn job(&mut self) -> String {
        self.jobs[self.rng.usize(..self.jobs.len())].clone()
    }

    fn data(&mut self) -> Vec<u8> {
        self.drawn += 1;
        let mut data = format!("d{}", self.drawn).into_bytes();
        if self.rng.u8(..64) == 0 {
            data.resize(64 * 1024, b'.');
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_same_for_the_same_seed() {
        let mix = Mix { lasting: 2 };
        let text = |seed| format!("{:?}", draw(seed, mix));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn have_all_kinds_of_turns_and_set_each_node_once() {
        let scenarios: Vec<_> = (0..200).map(|seed| draw(seed, Mix { lasting: 4 })).collect();
        let turns = || scenarios.iter().flat_map(|scenario| scenario.clients.iter().flatten());
        let lasting = turns()
            .filter(|turn| matches!(turn, Turn::Hurt { is_lasting: true, .. }))
            .count();
        let brief = turns()
            .filter(|turn| matches!(turn, Turn::Hurt { is_lasting: false, .. }))
            .count();
        assert!(lasting > 20 && brief > lasting, "{lasting} and {brief}");
        assert!(turns().any(|turn| matches!(turn, Turn::Close)));
        for scenario in &scenarios {
            let mut nodes = scenario.nodes();
            let count = nodes.len();
            nodes.sort_unstable();
            nodes.dedup();
            assert_eq!(nodes.len(), count);
        }
    }

    #[test]
    fn become_smaller_by_clients_and_by_turns() {
        let scenario = draw(3, Mix { lasting: 4 });
        let size = |scenario: &Scenario| scenario.clients.iter().map(Vec::len).sum::<usize>();
        assert!(scenario.smaller().iter().all(|smaller| size(smaller) < size(&scenario)));
    }
}
