//! Asking all instances of a job to run it now: `trigger/{id}`.
//!
//! The node is all that a Java member looks at; ours read the orders in it, so that whoever asked can find the outcome
//! in the ledger. Requests that were not taken yet and have the same parameter are joined: one run answers them.

use serde::{Deserialize, Serialize};

use crate::registry::{Answer, CreateMode, Error, Read, Session, Stat};

use super::layout::Node;
use super::transaction::Transaction;
use super::view::View;

/// How often a request is tried that others, who trigger or take at the same time, get in the way of.
const ATTEMPTS: u32 = 20;

/// Somebody's word that a job is to run now, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Who asked, to find the outcome by. A Java console gives no name.
    pub(crate) requests: Vec<String>,
    /// What the run is given instead of the job's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
}

impl Order {
    /// Reads the orders in a node. What cannot be read, and nothing at all, is one that nobody put a name to.
    pub(crate) fn parse(data: &[u8]) -> Vec<Self> {
        serde_json::from_slice(data)
            .ok()
            .filter(|orders: &Vec<Self>| !orders.is_empty())
            .unwrap_or_else(|| vec![Self::default()])
    }

    /// Adds this one to others, or to the one among them that wants the same.
    pub(crate) fn join(self, others: &mut Vec<Self>) {
        match others.iter_mut().find(|other| other.parameter == self.parameter) {
            Some(other) => other.requests.extend(self.requests),
            None => others.push(self),
        }
    }

    fn to_bytes(orders: &[Self]) -> Vec<u8> {
        serde_json::to_vec(orders).expect("an order has only strings, which JSON can hold")
    }
}

/// Records an order with all instances there are. Returns when it is recorded, with their ids.
pub(crate) async fn request(session: &dyn Session, job: &str, order: &Order) -> Result<Vec<String>, Error> {
    let mut refused = Error::ConnectionLoss;
    for _ in 0..ATTEMPTS {
        let names = [Node::Instances, Node::Members, Node::Trigger].map(|node| Read::Children(node.of(job)));
        let mut answers = session.read(names.to_vec()).await?.into_iter();
        let mut children = || match answers.next() {
            Some(Answer::Children(children)) => children,
            _ => None,
        };
        let (instances, members, pending) = (
            children().unwrap_or_default(),
            children().unwrap_or_default(),
            children(),
        );

        let mut view = View::new(job);
        if pending.is_some() {
            view.read(&Node::Trigger.of(job), Some((Vec::new(), Stat::default())));
        }
        let pending = pending.unwrap_or_default();
        let data = session
            .read(
                pending
                    .iter()
                    .map(|id| Read::Data(Node::TriggerFor(id).of(job)))
                    .collect(),
            )
            .await?;

        let mut transaction = Transaction::on(&view);
        for (id, answer) in pending.iter().zip(data) {
            match answer {
                Answer::Data(Some((data, stat))) if instances.contains(id) => {
                    let mut orders = Order::parse(&data);
                    order.clone().join(&mut orders);
                    let joined = Order::to_bytes(&orders);
                    // Somebody may take it meanwhile: then the version is gone with it.
                    transaction.set(Node::TriggerFor(id), joined, Some(stat.version));
                }
                // Left over from an instance that is gone.
                Answer::Data(Some(_)) => {
                    transaction.delete(Node::TriggerFor(id));
                }
                _ => {}
            }
        }
        for id in instances.iter().filter(|id| !pending.contains(id)) {
            // Java writes nothing into it, and no Java member reads it.
            let is_ours = members.contains(id);
            let data = if is_ours {
                Order::to_bytes(std::slice::from_ref(order))
            } else {
                Vec::new()
            };
            transaction.create(Node::TriggerFor(id), data, CreateMode::Persistent);
        }
        match session.write(transaction.into_steps()).await {
            Ok(_) => return Ok(instances),
            Err(error) => match error.error {
                raced @ (Error::NodeExists | Error::NoNode | Error::BadVersion) => refused = raced,
                other => return Err(other),
            },
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(request: &str, parameter: Option<&str>) -> Order {
        Order {
            requests: vec![request.to_owned()],
            parameter: parameter.map(str::to_owned),
        }
    }

    #[test]
    fn orders_with_the_same_parameter_should_become_one() {
        let mut orders = Vec::new();
        for (request, parameter) in [
            ("a", None),
            ("b", Some("x")),
            ("c", None),
            ("d", Some("y")),
            ("e", Some("x")),
        ] {
            order(request, parameter).join(&mut orders);
        }
        let requests: Vec<_> = orders.iter().map(|order| order.requests.join(",")).collect();
        assert_eq!(requests, ["a,c", "b,e", "d"]);
        assert_eq!(Order::parse(&Order::to_bytes(&orders)), orders);
    }

    #[test]
    fn an_order_of_a_java_console_should_be_one_without_a_name() {
        for data in ["", "[]", "not ours"] {
            assert_eq!(Order::parse(data.as_bytes()), [Order::default()], "{data}");
        }
    }
}
