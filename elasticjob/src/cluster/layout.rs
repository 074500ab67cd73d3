//! Where a job's nodes are. The only code that knows the layout of the registry: it parses paths and prints them.
//!
//! Two kinds of nodes share a job's subtree. Those of Java's layout are written byte for byte as Java writes them,
//! because Java members read them. All of ours are below `ledger`, which Java members ignore. Printing and parsing are
//! inverse to each other; a path that is not known parses as `None`, and is left alone.

use std::fmt;

/// A node of a job's subtree. `Display` needs the job's name: see [`Node::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node<'a> {
    Root,
    /// The job's configuration, YAML. An operator may change it while the job runs.
    Config,
    Servers,
    /// The switch of all instances on one address: `ENABLED` or `DISABLED`.
    Server(&'a str),
    Instances,
    /// An instance that is registered. It goes with its session; an operator who removes it shuts the instance down.
    Instance(&'a str),
    Leader,
    Election,
    ElectionLatch,
    ElectionCandidate(&'a str),
    /// The id of the leader. It goes with its session.
    LeaderInstance,
    LeaderSharding,
    /// The resharding flag: the leader must share the items out before anything starts.
    Necessary,
    /// A Java leader is sharing the items out at this moment.
    Processing,
    LeaderFailover,
    FailoverItems,
    /// An item that waits for an instance to take it over.
    FailoverItem(u32),
    FailoverLatch,
    FailoverCandidate(&'a str),
    Sharding,
    Item(u32),
    ItemState {
        item: u32,
        kind: ItemKind,
    },
    Trigger,
    /// The triggers of the whole job that an instance has not taken yet.
    TriggerFor(&'a str),
    SystemTime,
    /// Written to learn the registry's time, and for nothing else.
    CurrentTime,
    Ledger,
    /// Its version is the number of the assignment; its data says what the assignment was made for.
    Epoch,
    LedgerItems,
    /// What is certain about one item.
    LedgerItem(u32),
    Members,
    /// An instance of ours, with what it says of itself. It stays until the instance has recorded its last run.
    Member(&'a str),
    Standbys,
    /// A process that has the job and takes no part in it.
    Standby(&'a str),
    Requests,
    /// Orders to run this item alone.
    Request(u32),
    Progresses,
    /// How far the run of the item has come, as its code reports.
    Progress(u32),
    Cancels,
    /// An operator's word that a run of the item is to end.
    Cancel(u32),
    /// There while the whole job is paused, with the operator, the time and the reason.
    Pause,
    Notes,
    ServerNotes,
    /// Who switched a server off, when and why.
    ServerNote(&'a str),
    ItemNotes,
    /// The same of an item.
    ItemNote(u32),
    /// Which hooks of listeners that are called once in the cluster were called.
    Called,
    Guarantee(Guarantee<'a>),
}

/// What listeners that are called once in the cluster keep below `guarantee`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Guarantee<'a> {
    Root,
    /// Holds the items that are registered at the barrier. Its removal means that the hook was called.
    Barrier(Moment),
    Item(Moment, u32),
    Latch(Moment),
    /// A contender for the right to call the hook.
    Candidate(Moment, &'a str),
}

/// One of the two moments of a firing at which listeners are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Moment {
    /// Its items are about to run.
    Started,
    /// They have ended.
    Completed,
}

impl Moment {
    pub(crate) const ALL: [Self; 2] = [Self::Started, Self::Completed];

    /// Returns the name of its barrier's node.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
        }
    }

    /// Returns the name of its latch's node.
    fn latch_name(self) -> &'static str {
        match self {
            Self::Started => "started-latch",
            Self::Completed => "completed-latch",
        }
    }
}

impl<'a> Guarantee<'a> {
    /// Returns the node by the names of its path below `guarantee`.
    fn parse(parts: &[&'a str]) -> Option<Self> {
        let [name, below @ ..] = parts else {
            return Some(Self::Root);
        };
        let is_latch = |moment: &Moment| moment.latch_name() == *name;
        if let Some(moment) = Moment::ALL.into_iter().find(is_latch) {
            return match below {
                [] => Some(Self::Latch(moment)),
                [candidate] => Some(Self::Candidate(moment, candidate)),
                _ => None,
            };
        }
        let moment = Moment::ALL.into_iter().find(|moment| moment.name() == *name)?;
        match below {
            [] => Some(Self::Barrier(moment)),
            [item] => Some(Self::Item(moment, number(item)?)),
            _ => None,
        }
    }
}

impl fmt::Display for Guarantee<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/guarantee")?;
        match self {
            Self::Root => Ok(()),
            Self::Barrier(moment) => write!(f, "/{}", moment.name()),
            Self::Item(moment, item) => write!(f, "/{}/{item}", moment.name()),
            Self::Latch(moment) => write!(f, "/{}", moment.latch_name()),
            Self::Candidate(moment, name) => write!(f, "/{}/{name}", moment.latch_name()),
        }
    }
}

/// What is kept below `sharding/{item}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ItemKind {
    /// `instance`: the owner of the item.
    Owner,
    /// `running`: the instance that has claimed a run of the item.
    Running,
    /// `misfire`: a Java member missed a time while the item ran.
    Misfire,
    /// `disabled`: an operator switched the item off.
    Disabled,
    /// `failover`: the instance that has taken the item over, as long as it runs the item.
    Failover,
    /// `failovering`: the same, but it outlives the session of that instance.
    Failovering,
}

impl ItemKind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Owner,
        Self::Running,
        Self::Misfire,
        Self::Disabled,
        Self::Failover,
        Self::Failovering,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Owner => "instance",
            Self::Running => "running",
            Self::Misfire => "misfire",
            Self::Disabled => "disabled",
            Self::Failover => "failover",
            Self::Failovering => "failovering",
        }
    }
}

impl<'a> Node<'a> {
    /// Returns the node at `path`, or `None` where the path is another job's or none that we know.
    pub(crate) fn parse(job: &str, path: &'a str) -> Option<Self> {
        let below = path.strip_prefix('/')?.strip_prefix(job)?;
        if below.is_empty() {
            return Some(Self::Root);
        }
        // No node lies deeper than four below the root. On the stack, since each event comes by here.
        let mut parts = [""; 4];
        let mut depth = 0;
        for part in below.strip_prefix('/')?.split('/') {
            *parts.get_mut(depth)? = part;
            depth += 1;
        }
        Some(match &parts[..depth] {
            ["config"] => Self::Config,
            ["servers"] => Self::Servers,
            ["servers", ip] => Self::Server(ip),
            ["instances"] => Self::Instances,
            ["instances", id] => Self::Instance(id),
            ["leader"] => Self::Leader,
            ["leader", "election"] => Self::Election,
            ["leader", "election", "latch"] => Self::ElectionLatch,
            ["leader", "election", "latch", candidate] => Self::ElectionCandidate(candidate),
            ["leader", "election", "instance"] => Self::LeaderInstance,
            ["leader", "sharding"] => Self::LeaderSharding,
            ["leader", "sharding", "necessary"] => Self::Necessary,
            ["leader", "sharding", "processing"] => Self::Processing,
            ["leader", "failover"] => Self::LeaderFailover,
            ["leader", "failover", "items"] => Self::FailoverItems,
            ["leader", "failover", "items", item] => Self::FailoverItem(number(item)?),
            ["leader", "failover", "latch"] => Self::FailoverLatch,
            ["leader", "failover", "latch", candidate] => Self::FailoverCandidate(candidate),
            ["sharding"] => Self::Sharding,
            ["sharding", item] => Self::Item(number(item)?),
            ["sharding", item, kind] => Self::ItemState {
                item: number(item)?,
                kind: ItemKind::ALL.into_iter().find(|known| known.name() == *kind)?,
            },
            ["trigger"] => Self::Trigger,
            ["trigger", id] => Self::TriggerFor(id),
            ["systemTime"] => Self::SystemTime,
            ["systemTime", "current"] => Self::CurrentTime,
            ["ledger"] => Self::Ledger,
            ["ledger", "epoch"] => Self::Epoch,
            ["ledger", "items"] => Self::LedgerItems,
            ["ledger", "items", item] => Self::LedgerItem(number(item)?),
            ["ledger", "members"] => Self::Members,
            ["ledger", "members", id] => Self::Member(id),
            ["ledger", "standby"] => Self::Standbys,
            ["ledger", "standby", id] => Self::Standby(id),
            ["ledger", "requests"] => Self::Requests,
            ["ledger", "requests", item] => Self::Request(number(item)?),
            ["ledger", "progress"] => Self::Progresses,
            ["ledger", "progress", item] => Self::Progress(number(item)?),
            ["ledger", "cancels"] => Self::Cancels,
            ["ledger", "cancels", item] => Self::Cancel(number(item)?),
            ["ledger", "pause"] => Self::Pause,
            ["ledger", "notes"] => Self::Notes,
            ["ledger", "notes", "servers"] => Self::ServerNotes,
            ["ledger", "notes", "servers", ip] => Self::ServerNote(ip),
            ["ledger", "notes", "items"] => Self::ItemNotes,
            ["ledger", "notes", "items", item] => Self::ItemNote(number(item)?),
            ["ledger", "called"] => Self::Called,
            ["guarantee", below @ ..] => Self::Guarantee(Guarantee::parse(below)?),
            _ => return None,
        })
    }

    /// Returns the node's absolute path in the subtree of `job`.
    pub(crate) fn of(self, job: &str) -> String {
        format!("/{job}{self}")
    }
}

/// The path below the job's root, with its leading slash; empty for the root.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Config => f.write_str("/config"),
            Self::Servers => f.write_str("/servers"),
            Self::Server(ip) => write!(f, "/servers/{ip}"),
            Self::Instances => f.write_str("/instances"),
            Self::Instance(id) => write!(f, "/instances/{id}"),
            Self::Leader => f.write_str("/leader"),
            Self::Election => f.write_str("/leader/election"),
            Self::ElectionLatch => f.write_str("/leader/election/latch"),
            Self::ElectionCandidate(name) => write!(f, "/leader/election/latch/{name}"),
            Self::LeaderInstance => f.write_str("/leader/election/instance"),
            Self::LeaderSharding => f.write_str("/leader/sharding"),
            Self::Necessary => f.write_str("/leader/sharding/necessary"),
            Self::Processing => f.write_str("/leader/sharding/processing"),
            Self::LeaderFailover => f.write_str("/leader/failover"),
            Self::FailoverItems => f.write_str("/leader/failover/items"),
            Self::FailoverItem(item) => write!(f, "/leader/failover/items/{item}"),
            Self::FailoverLatch => f.write_str("/leader/failover/latch"),
            Self::FailoverCandidate(name) => write!(f, "/leader/failover/latch/{name}"),
            Self::Sharding => f.write_str("/sharding"),
            Self::Item(item) => write!(f, "/sharding/{item}"),
            Self::ItemState { item, kind } => write!(f, "/sharding/{item}/{}", kind.name()),
            Self::Trigger => f.write_str("/trigger"),
            Self::TriggerFor(id) => write!(f, "/trigger/{id}"),
            Self::SystemTime => f.write_str("/systemTime"),
            Self::CurrentTime => f.write_str("/systemTime/current"),
            Self::Ledger => f.write_str("/ledger"),
            Self::Epoch => f.write_str("/ledger/epoch"),
            Self::LedgerItems => f.write_str("/ledger/items"),
            Self::LedgerItem(item) => write!(f, "/ledger/items/{item}"),
            Self::Members => f.write_str("/ledger/members"),
            Self::Member(id) => write!(f, "/ledger/members/{id}"),
            Self::Standbys => f.write_str("/ledger/standby"),
            Self::Standby(id) => write!(f, "/ledger/standby/{id}"),
            Self::Requests => f.write_str("/ledger/requests"),
            Self::Request(item) => write!(f, "/ledger/requests/{item}"),
            Self::Progresses => f.write_str("/ledger/progress"),
            Self::Progress(item) => write!(f, "/ledger/progress/{item}"),
            Self::Cancels => f.write_str("/ledger/cancels"),
            Self::Cancel(item) => write!(f, "/ledger/cancels/{item}"),
            Self::Pause => f.write_str("/ledger/pause"),
            Self::Notes => f.write_str("/ledger/notes"),
            Self::ServerNotes => f.write_str("/ledger/notes/servers"),
            Self::ServerNote(ip) => write!(f, "/ledger/notes/servers/{ip}"),
            Self::ItemNotes => f.write_str("/ledger/notes/items"),
            Self::ItemNote(item) => write!(f, "/ledger/notes/items/{item}"),
            Self::Called => f.write_str("/ledger/called"),
            Self::Guarantee(node) => write!(f, "{node}"),
        }
    }
}

/// Returns a sharding item as it stands in a path: decimal, no padding, no sign.
fn number(text: &str) -> Option<u32> {
    let item: u32 = text.parse().ok()?;
    (item.to_string() == text).then_some(item)
}

/// Returns the name of the job that a path of the namespace is of; `None` for the namespace itself.
pub(crate) fn job_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')?
        .split('/')
        .next()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_should_parse_from_the_path_it_prints() {
        let mut nodes = vec![
            Node::Root,
            Node::Config,
            Node::Servers,
            Node::Server("10.0.0.1"),
            Node::Instances,
            Node::Instance("10.0.0.1@-@7-abc123"),
            Node::Leader,
            Node::Election,
            Node::ElectionLatch,
            Node::ElectionCandidate("_c_6f56c8bc-latch-0000000000"),
            Node::LeaderInstance,
            Node::LeaderSharding,
            Node::Necessary,
            Node::Processing,
            Node::LeaderFailover,
            Node::FailoverItems,
            Node::FailoverItem(4),
            Node::FailoverLatch,
            Node::FailoverCandidate("_c_6f56c8bc-latch-0000000000"),
            Node::Sharding,
            Node::Item(12),
            Node::Trigger,
            Node::TriggerFor("10.0.0.1@-@7"),
            Node::SystemTime,
            Node::CurrentTime,
            Node::Ledger,
            Node::Epoch,
            Node::LedgerItems,
            Node::LedgerItem(0),
            Node::Members,
            Node::Member("10.0.0.1@-@7-abc123"),
            Node::Standbys,
            Node::Standby("10.0.0.1@-@7-abc123"),
            Node::Requests,
            Node::Request(3),
            Node::Progresses,
            Node::Progress(3),
            Node::Cancels,
            Node::Cancel(3),
            Node::Pause,
            Node::Notes,
            Node::ServerNotes,
            Node::ServerNote("10.0.0.1"),
            Node::ItemNotes,
            Node::ItemNote(3),
            Node::Called,
            Node::Guarantee(Guarantee::Root),
        ];
        for moment in Moment::ALL {
            let below = [
                Guarantee::Barrier(moment),
                Guarantee::Item(moment, 7),
                Guarantee::Latch(moment),
                Guarantee::Candidate(moment, "_c_6f56c8bc-latch-0000000000"),
            ];
            nodes.extend(below.map(Node::Guarantee));
        }
        nodes.extend(ItemKind::ALL.map(|kind| Node::ItemState { item: 3, kind }));
        for node in nodes {
            assert_eq!(Node::parse("my.job", &node.of("my.job")), Some(node));
        }
    }

    #[test]
    fn foreign_paths_should_not_parse() {
        for path in [
            "/job2/config",
            "/job",
            "/my.jobs/config",
            "/my.job/sharding/01",
            "/my.job/sharding/x",
            "/my.job/",
        ] {
            assert_eq!(Node::parse("my.job", path), None, "{path}");
        }
    }
}
