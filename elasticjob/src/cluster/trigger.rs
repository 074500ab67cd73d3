//! Asking all instances of a job to run it now: `trigger/{id}`.
//!
//! A Java member looks at the node alone. Our instances read the triggers in it, so that the caller can find the outcome
//! in the ledger. Triggers that were not taken yet and have the same parameter are joined: one run answers them.
//!
//! Each instance has a node of its own, and takes its triggers by deleting it. So each instance runs its items once for
//! a trigger, and no instance runs for the trigger of another. What is left by an instance that died before it took its
//! triggers is removed by the next trigger, or by the member that repairs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::registry::{Answer, CreateMode, Error, Read, Session, Stat, Step};

use super::instance::InstanceId;
use super::layout::Node;
use super::transaction::Transaction;
use super::view::View;

/// The longest parameter of a triggered run, in bytes: it is kept with each of the job's items.
pub const PARAMETER_LIMIT: usize = 1024;

/// How often a trigger is tried if others that trigger or take at the same time interfere.
const ATTEMPTS: u32 = 20;

/// An operator's or a program's call to run a job now, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trigger {
    /// Who asked, to find the outcome by. A Java console gives no name.
    pub(crate) requests: Vec<String>,
    /// What the run is given instead of the job's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
}

impl Trigger {
    /// Reads the triggers in a node. An empty or unreadable node counts as one trigger without a name.
    pub(crate) fn parse(data: &[u8]) -> Vec<Self> {
        serde_json::from_slice(data)
            .ok()
            .filter(|triggers: &Vec<Self>| !triggers.is_empty())
            .unwrap_or_else(|| vec![Self::default()])
    }

    /// Adds this one to others, or to the one among them that wants the same.
    pub(crate) fn join(self, others: &mut Vec<Self>) {
        match others.iter_mut().find(|other| other.parameter == self.parameter) {
            Some(other) => other.requests.extend(self.requests),
            None => others.push(self),
        }
    }

    /// Returns the stored form, JSON.
    pub(crate) fn to_bytes(triggers: &[Self]) -> Vec<u8> {
        serde_json::to_vec(triggers).expect("a trigger has only strings, which JSON can hold")
    }
}

/// Records a trigger with all instances there are, or with those on one server. Returns when it is recorded, with their ids.
/// If there are none, nothing is written.
///
/// If it is too large for one transaction, it is recorded in several. Each instance that has it runs its items, so an error that
/// comes in between leaves the trigger with some of the instances.
pub(crate) async fn request(
    session: &dyn Session,
    job: &str,
    server: Option<&str>,
    trigger: &Trigger,
) -> Result<Vec<String>, Error> {
    let mut recorded = BTreeSet::new();
    let mut refused = Error::ConnectionLoss;
    for _ in 0..ATTEMPTS {
        let found = Found::read(session, job).await?.on(server);
        if found.asked.is_empty() {
            return Ok(recorded.into_iter().collect());
        }
        let parts = found.parts(trigger, &recorded);
        let Err(error) = write(session, parts, &mut recorded).await else {
            return Ok(recorded.into_iter().collect());
        };
        match error {
            raced @ (Error::NodeExists | Error::NoNode | Error::BadVersion) => refused = raced,
            other => return Err(other),
        }
    }
    Err(refused)
}

/// Writes the parts in order, and notes the instances that have the trigger then. The first error ends it.
async fn write(session: &dyn Session, parts: Vec<Part>, recorded: &mut BTreeSet<String>) -> Result<(), Error> {
    for Part { steps, instances } in parts {
        session.write(steps).await.map_err(|refused| refused.error)?;
        recorded.extend(instances);
    }
    Ok(())
}

/// What is written in one transaction, and the instances that have the trigger then.
struct Part {
    steps: Vec<Step>,
    instances: Vec<String>,
}

/// The instances of a job, and the triggers that wait.
struct Found {
    /// Knows of the parent of the triggers alone.
    view: View,
    instances: Vec<String>,
    /// The instances among them that get the trigger.
    asked: Vec<String>,
    /// The instances among them that are ours.
    members: BTreeSet<String>,
    pending: BTreeMap<String, (Vec<u8>, Stat)>,
}

impl Found {
    /// Reads the instances and the triggers that wait.
    async fn read(session: &dyn Session, job: &str) -> Result<Self, Error> {
        let names = [Node::Instances, Node::Members, Node::Trigger].map(|node| Read::Children(node.of(job)));
        let mut answers = session.read(names.to_vec()).await?.into_iter();
        let mut children = || match answers.next() {
            Some(Answer::Children(children)) => children,
            _ => None,
        };
        let (instances, members, pending) = (children(), children(), children());
        let mut view = View::within(session.limits(), job);
        if pending.is_some() {
            view.read(&Node::Trigger.of(job), Some((Vec::new(), Stat::default())));
        }
        let pending = pending.unwrap_or_default();
        let reads = pending.iter().map(|id| Read::Data(Node::TriggerFor(id).of(job)));
        let data = session.read(reads.collect()).await?;
        let found = pending.into_iter().zip(data).filter_map(|(id, answer)| match answer {
            Answer::Data(Some(found)) => Some((id, found)),
            _ => None,
        });
        let instances = instances.unwrap_or_default();
        Ok(Self {
            view,
            asked: instances.clone(),
            instances,
            members: members.unwrap_or_default().into_iter().collect(),
            pending: found.collect(),
        })
    }

    /// Leaves out the instances on other servers than this.
    fn on(mut self, server: Option<&str>) -> Self {
        if let Some(server) = server {
            let is_there = |id: &String| InstanceId::parse(id).is_some_and(|id| id.server() == server);
            self.asked.retain(is_there);
        }
        self
    }

    /// What records the trigger with the instances that get it but those that have it already, in as few transactions as take it.
    fn parts(mut self, trigger: &Trigger, recorded: &BTreeSet<String>) -> Vec<Part> {
        let job = self.view.job().to_owned();
        let gone: Vec<String> = self
            .pending
            .keys()
            .filter(|id| !self.instances.contains(id))
            .cloned()
            .collect();
        let mut waiting: VecDeque<(String, bool)> = gone.into_iter().map(|id| (id, false)).collect();
        let asked = self.asked.iter().filter(|id| !recorded.contains(*id));
        waiting.extend(asked.map(|id| (id.clone(), true)));
        let mut parts = Vec::new();
        while !waiting.is_empty() {
            let mut transaction = Transaction::on(&self.view);
            let mut instances = Vec::new();
            while let Some((id, is_there)) = waiting.front()
                && transaction.add_if_it_fits(|transaction| {
                    if *is_there {
                        self.ask(transaction, id, trigger)
                    } else {
                        // Left over from an instance that is gone.
                        transaction.delete(Node::TriggerFor(id))
                    };
                })
            {
                instances.extend(waiting.pop_front().filter(|(_, is_there)| *is_there).map(|(id, _)| id));
            }
            let steps = transaction.into_steps();
            parts.push(Part { steps, instances });
            // The first part creates it where it is missing.
            self.view
                .read(&Node::Trigger.of(&job), Some((Vec::new(), Stat::default())));
        }
        parts
    }

    fn ask<'t, 'v>(
        &self,
        transaction: &'t mut Transaction<'v>,
        id: &str,
        trigger: &Trigger,
    ) -> &'t mut Transaction<'v> {
        let node = Node::TriggerFor(id);
        match self.pending.get(id) {
            Some((data, stat)) => {
                let mut triggers = Trigger::parse(data);
                trigger.clone().join(&mut triggers);
                // The instance may take it meanwhile: then the version is gone with it.
                transaction.set(node, Trigger::to_bytes(&triggers), Some(stat.version))
            }
            None => {
                // Java writes nothing into it, and no Java member reads it.
                let data = if self.members.contains(id) {
                    Trigger::to_bytes(std::slice::from_ref(trigger))
                } else {
                    Vec::new()
                };
                transaction.create(node, data, CreateMode::Persistent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(request: &str, parameter: Option<&str>) -> Trigger {
        Trigger {
            requests: vec![request.to_owned()],
            parameter: parameter.map(str::to_owned),
        }
    }

    #[test]
    fn orders_with_the_same_parameter_should_become_one() {
        let mut triggers = Vec::new();
        for (request, parameter) in [
            ("a", None),
            ("b", Some("x")),
            ("c", None),
            ("d", Some("y")),
            ("e", Some("x")),
        ] {
            trigger(request, parameter).join(&mut triggers);
        }
        let requests: Vec<_> = triggers.iter().map(|trigger| trigger.requests.join(",")).collect();
        assert_eq!(requests, ["a,c", "b,e", "d"]);
        assert_eq!(Trigger::parse(&Trigger::to_bytes(&triggers)), triggers);
    }

    #[test]
    fn reads_java_console_trigger_without_a_name() {
        for data in ["", "[]", "not ours"] {
            assert_eq!(Trigger::parse(data.as_bytes()), [Trigger::default()], "{data}");
        }
    }

    mod parts {
        use super::*;

        fn found(instances: &[&str], pending: &[&str]) -> Found {
            let data = || (Trigger::to_bytes(&[trigger("earlier", None)]), Stat::default());
            let mut view = View::new("job");
            if !pending.is_empty() {
                view.read("/job/trigger", Some((Vec::new(), Stat::default())));
            }
            Found {
                view,
                instances: instances.iter().map(|id| (*id).to_owned()).collect(),
                asked: instances.iter().map(|id| (*id).to_owned()).collect(),
                members: instances.iter().map(|id| (*id).to_owned()).collect(),
                pending: pending.iter().map(|id| ((*id).to_owned(), data())).collect(),
            }
        }

        fn paths(parts: &[Part]) -> Vec<Vec<&str>> {
            parts
                .iter()
                .map(|part| part.steps.iter().map(Step::path).collect())
                .collect()
        }

        #[test]
        fn ask_no_instance_twice_after_a_refused_part() {
            let recorded = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
            let found = found(&["a", "b", "c", "d"], &["a", "d", "gone"]);
            let parts = found.parts(&trigger("new", None), &recorded);
            assert_eq!(
                paths(&parts),
                [["/job/trigger/gone", "/job/trigger/c", "/job/trigger/d"]]
            );
            assert_eq!(parts[0].instances, ["c", "d"]);
        }

        #[cfg(feature = "testing")]
        #[test]
        fn create_the_parent_once() {
            let _limits = crate::limits::lower(700, 1000);
            let parts = found(&["a", "b"], &[]).parts(&trigger(&"n".repeat(100), None), &BTreeSet::new());
            assert_eq!(
                paths(&parts),
                [vec!["/job/trigger", "/job/trigger/a"], vec!["/job/trigger/b"]]
            );
        }
    }
}
