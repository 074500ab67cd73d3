//! Contenders that no instance stands behind.
//!
//! A contender in a Curator latch lives as long as its session, and holds back every later one. An instance that leaves
//! takes its own along. One that an operator removed may be unable to: its requests are held up, while its session lives
//! on for the other jobs of its process. So a contender that stays at the head of a latch is looked at, and removed where
//! no instance of the job has the same session.
//!
//! A Java member contends before it registers its instance. It is at the head for a moment only, and one that stands still
//! there for longer begins again at the end of the latch once its contender is gone.
//!
//! The session of a contender is found by comparing the `ephemeralOwner` of its node with those of the instances'
//! nodes. A contender is removed only if no instance of the job has its session.

use std::time::Duration;

use crate::cluster::instance::InstanceId;
use crate::cluster::latch;
use crate::cluster::layout::Node;
use crate::cluster::transaction::Transaction;
use crate::cluster::view::View;
use crate::registry::{Answer, Read, Step};

/// A contender at the head of a latch has this long to take what it contends for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The latches with contenders to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latch {
    Election,
    Failover,
}

/// The first contender of a latch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    latch: Latch,
    name: String,
}

/// What there is to do about contenders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    None,
    /// Look again at this moment.
    Later(Duration),
    /// These have been at the head for too long.
    Survey(Vec<Head>),
}

/// The heads of the latches, and since when each has been there, or was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Heads(Vec<(Head, Duration)>);

impl Heads {
    /// Records the contender that is at the head now.
    pub(crate) fn next(&mut self, view: &View, elapsed: Duration) -> Concern {
        let known = std::mem::take(&mut self.0);
        let since = |head: &Head| {
            known
                .iter()
                .find(|(known, _)| known == head)
                .map_or(elapsed, |(_, at)| *at)
        };
        self.0 = heads(view)
            .map(|head| (since(&head), head))
            .map(|(at, head)| (head, at))
            .collect();
        let late = self.0.iter_mut().filter(|(_, since)| elapsed >= *since + PATIENCE);
        let late: Vec<Head> = late
            .map(|(head, since)| {
                *since = elapsed;
                head.clone()
            })
            .collect();
        match (late.is_empty(), self.0.iter().map(|(_, since)| *since).min()) {
            (false, _) => Concern::Survey(late),
            (true, Some(since)) => Concern::Later(since + PATIENCE),
            (true, None) => Concern::None,
        }
    }
}

/// Returns whether `me` has to check contenders: the leader does if it is one of ours, else the first instance of ours.
/// A member without an instance does not, because its own contender may be the one without an instance.
pub(crate) fn is_watcher(view: &View, me: &InstanceId) -> bool {
    match &view.leader {
        Some(leader) if view.members.contains_key(leader) => leader == me,
        _ => view.members.keys().find(|id| view.instances.contains(*id)) == Some(me),
    }
}

/// What has to be read to judge them: their own nodes, and those of the instances.
pub(crate) fn survey(view: &View, heads: &[Head]) -> Vec<Read> {
    let contenders = heads.iter().map(|head| head.node().of(view.job()));
    let instances = view
        .instances
        .iter()
        .map(|id| Node::Instance(id.as_str()).of(view.job()));
    contenders.chain(instances).map(Read::Data).collect()
}

/// Returns the names of the contenders with a session that has no instance, and the transaction that removes them. `answers` are those to
/// [`survey`], in their order.
pub(crate) fn removal(view: &View, heads: &[Head], answers: Vec<Answer>) -> (Vec<String>, Vec<Step>) {
    let mut sessions = answers.into_iter().map(|answer| match answer {
        Answer::Data(Some((_, stat))) => Some(stat.ephemeral_owner),
        Answer::Data(None) | Answer::Children(_) => None,
    });
    let contenders: Vec<Option<i64>> = sessions.by_ref().take(heads.len()).collect();
    let of_instances: Vec<i64> = sessions.flatten().collect();
    let mut transaction = Transaction::on(view);
    let mut names = Vec::new();
    for (head, session) in heads.iter().zip(contenders) {
        if session.is_some_and(|session| !of_instances.contains(&session)) {
            transaction.delete(head.node());
            names.push(head.name.clone());
        }
    }
    (names, transaction.into_steps())
}

impl Head {
    fn node(&self) -> Node<'_> {
        match self.latch {
            Latch::Election => Node::ElectionCandidate(&self.name),
            Latch::Failover => Node::FailoverCandidate(&self.name),
        }
    }
}

fn heads(view: &View) -> impl Iterator<Item = Head> {
    let latches = [
        (Latch::Election, &view.candidates),
        (Latch::Failover, &view.failover_candidates),
    ];
    latches.into_iter().filter_map(|(latch, contenders)| {
        let name = latch::first(contenders)?.to_owned();
        Some(Head { latch, name })
    })
}

#[cfg(test)]
mod tests {
    use crate::registry::Stat;

    use super::*;
    use crate::cluster::fixtures::view;

    const FIRST: &str = "/leader/election/latch/_c_aa-latch-0000000001";
    const SECOND: &str = "/leader/election/latch/_c_bb-latch-0000000002";

    fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of_session(session: i64) -> Answer {
        let stat = Stat {
            ephemeral_owner: session,
            ..Stat::default()
        };
        Answer::Data(Some((Vec::new(), stat)))
    }

    fn survey_of(concern: Concern) -> Vec<Head> {
        match concern {
            Concern::Survey(heads) => heads,
            other => panic!("unexpected {other:?}"),
        }
    }

    #[test]
    fn is_looked_at_once_it_stays_at_the_head() {
        let mut heads = Heads::default();
        assert_eq!(heads.next(&view([]), second(0)), Concern::None);
        let both = view([FIRST, SECOND]);
        assert_eq!(heads.next(&both, second(1)), Concern::Later(second(6)));
        assert_eq!(heads.next(&both, second(5)), Concern::Later(second(6)));
        let late = survey_of(heads.next(&both, second(6)));
        assert_eq!(late[0].name, "_c_aa-latch-0000000001");
        assert_eq!(
            heads.next(&both, second(7)),
            Concern::Later(second(11)),
            "not at once again"
        );
        // The next one has its own time.
        assert_eq!(heads.next(&view([SECOND]), second(8)), Concern::Later(second(13)));
    }

    #[test]
    fn is_removed_unless_its_session_has_an_instance() {
        let failover = "/leader/failover/latch/_c_cc-latch-0000000007";
        let view = view([FIRST, failover, "/instances/a@-@1", "/instances/b@-@2"]);
        let mut heads = Heads::default();
        heads.next(&view, second(0));
        let late = survey_of(heads.next(&view, second(9)));
        assert_eq!(survey(&view, &late).len(), 4);
        let answers = |contenders: [i64; 2]| {
            let instances = [of_session(11), of_session(12)];
            contenders.map(of_session).into_iter().chain(instances).collect()
        };
        let removed = |contenders| removal(&view, &late, answers(contenders)).0;
        assert_eq!(removed([11, 12]), [""; 0]);
        assert_eq!(removed([12, 5]), ["_c_cc-latch-0000000007"]);
        assert_eq!(removed([5, 5]).len(), 2);
        let gone = [Answer::Data(None), of_session(12), of_session(11), of_session(12)];
        assert_eq!(removal(&view, &late, gone.into()).0, [""; 0], "gone meanwhile");
    }

    #[test]
    fn is_looked_at_by_one_that_has_an_instance() {
        let id = |text: &str| InstanceId::parse(text).expect("an id");
        let mut view = view(["/ledger/members/a@-@1", "/ledger/members/a@-@2", "/instances/a@-@2"]);
        assert!(!is_watcher(&view, &id("a@-@1")), "it is about to leave");
        assert!(is_watcher(&view, &id("a@-@2")));
        view.leader = Some(id("a@-@1"));
        assert!(is_watcher(&view, &id("a@-@1")));
        view.leader = Some(id("j@-@1"));
        assert!(is_watcher(&view, &id("a@-@2")), "a Java member leads");
    }
}
