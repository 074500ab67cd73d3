//! Pausing a whole job: `ledger/pause`, a [`Note`].
//!
//! While the node is there, no member of ours claims a run of the job, whenever and wherever it comes in. The transaction
//! that creates the node also writes `ledger/epoch` with equal contents, and every claim checks the version of the epoch.
//! So the registry refuses a claim that was decided before its instance saw the pause. What was claimed before goes on to
//! its end.
//!
//! Java members, and members of ours of versions that do not know of pauses, do not look at the node. For as long as the
//! pause lasts their servers are switched off: by the transaction that begins it, and by one member that
//! [keeps](is_keeper) it as further ones come. A [`Note`] marks each of these switches, so that the end of the pause switches
//! on what the pause switched off, and nothing else.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::registry::{Answer, CreateMode, Read, Stat, Step};
use crate::run::Reason;

use super::instance::InstanceId;
use super::layout::Node;
use super::note::Note;
use super::transaction::Transaction;
use super::view::{ServerStatus, View};

/// Why scheduled times that come during a pause are not run.
pub(crate) const PAUSED: &str = Reason::Paused.in_english();

/// `ledger/pause` as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPause {
    /// `None` if it cannot be read: the job is paused all the same.
    pub(crate) note: Option<Note>,
    pub(crate) version: i32,
    /// The transaction that wrote it, which tells one pause from the next.
    pub(crate) modified: i64,
}

impl StoredPause {
    /// Reads the node. Data that cannot be read is a pause without a note.
    pub(crate) fn parse(data: &[u8], stat: Stat) -> Self {
        Self {
            note: Note::parse(data),
            version: stat.version,
            modified: stat.modified,
        }
    }

    /// Stands for a pause that was seen to begin and not read yet.
    pub(crate) fn unread() -> Self {
        Self {
            note: None,
            version: 0,
            modified: 0,
        }
    }
}

/// Returns the note for the switch of a server that is switched off by a pause.
pub(crate) fn note_of_switch(pause: Option<&Note>) -> Note {
    Note {
        at: pause.map_or(Timestamp::UNIX_EPOCH, |note| note.at),
        by: pause.and_then(|note| note.by.clone()),
        reason: Some(PAUSED.to_owned()),
        is_for_pause: true,
    }
}

/// Returns whether it is for `me` to switch off servers of members that do not obey the pause: the leader, or the first of the
/// members that obey if another leads.
fn is_keeper(view: &View, me: &InstanceId) -> bool {
    match &view.leader {
        Some(leader) if view.obeys_pause(leader) => leader == me,
        _ => view.members.keys().find(|id| view.obeys_pause(id)) == Some(me),
    }
}

/// Returns the servers that are switched on although the job is paused and a member there does not obey the pause, if it is
/// for `me` to switch them off.
pub(crate) fn disobedient(view: &View, me: &InstanceId) -> Vec<String> {
    if !view.is_paused() || !is_keeper(view, me) {
        return Vec::new();
    }
    let instances = view
        .instances
        .iter()
        .filter(|id| !view.obeys_pause(id) && view.is_enabled(id));
    let servers: BTreeSet<&str> = instances.map(InstanceId::server).collect();
    servers
        .into_iter()
        .take(view.limits().batch())
        .map(str::to_owned)
        .collect()
}

/// Returns what has to be read to switch servers off: the switches, and the notes there are.
pub(crate) fn survey(view: &View, servers: &[String]) -> Vec<Read> {
    let job = view.job();
    let parents = [Node::Ledger, Node::Notes, Node::ServerNotes].map(|node| Read::Data(node.of(job)));
    let of = |ip: &String| [Node::Server(ip), Node::ServerNote(ip)].map(|node| Read::Data(node.of(job)));
    parents.into_iter().chain(servers.iter().flat_map(of)).collect()
}

/// Returns the transaction that switches servers off by what a [`survey`] found, as many as fit into it, with their
/// addresses. `None` if the pause is over, or nothing is to be switched any more.
pub(crate) fn switch_off(view: &View, servers: &[String], answers: Vec<Answer>) -> Option<(Vec<String>, Vec<Step>)> {
    let pause = view.pause.as_ref()?;
    let mut answers = answers.into_iter().map(|answer| match answer {
        Answer::Data(found) => found,
        _ => None,
    });
    // The view does not follow notes.
    let mut found = View::within(view.limits(), view.job());
    for node in [Node::Ledger, Node::Notes, Node::ServerNotes] {
        found.read(&node.of(view.job()), answers.next().flatten());
    }
    let mut transaction = Transaction::on(&found);
    let note = note_of_switch(pause.note.as_ref()).to_bytes();
    let mut switched = Vec::new();
    for ip in servers {
        let (switch, noted) = (answers.next().flatten(), answers.next().flatten());
        let Some((_, stat)) = switch.filter(|(data, _)| ServerStatus::parse(data) == ServerStatus::Enabled) else {
            continue;
        };
        let is_added = transaction.add_if_it_fits(|transaction| {
            transaction.set(Node::Server(ip), "DISABLED", Some(stat.version));
            match noted {
                Some(_) => transaction.set(Node::ServerNote(ip), note.clone(), None),
                None => transaction.create(Node::ServerNote(ip), note.clone(), CreateMode::Persistent),
            };
        });
        if !is_added {
            // The others are disobedient still, and come next.
            break;
        }
        switched.push(ip.clone());
    }
    let mut during_pause = Transaction::on(&found);
    during_pause.check(Node::Pause, None).extend(transaction.into_steps());
    (!switched.is_empty()).then(|| (switched, during_pause.into_steps()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fixtures::id;

    /// Returns a paused job with a member of ours that obeys pauses, an older one of ours, and a Java member.
    fn view(leader: &str) -> View {
        let mut view = View::new("job");
        let nodes = [
            ("/ledger", ""),
            ("/ledger/pause", r#"{"at":"2026-11-30T00:00:00Z","by":"alice"}"#),
            ("/servers/a", "ENABLED"),
            ("/servers/b", "ENABLED"),
            ("/servers/c", "ENABLED"),
            ("/servers/d", "ENABLED"),
            ("/instances/a@-@1", ""),
            ("/instances/b@-@1", ""),
            ("/instances/c@-@1", ""),
            ("/ledger/members/a@-@1", r#"{"obeysPause":true}"#),
            ("/ledger/members/b@-@1", "{}"),
            ("/leader/election/instance", leader),
        ];
        for (path, data) in nodes {
            view.read(&format!("/job{path}"), Some((data.into(), Stat::default())));
        }
        view
    }

    #[test]
    fn switches_off_servers_of_members_that_do_not_obey() {
        let view = view("a@-@1");
        assert_eq!(disobedient(&view, &id("a@-@1")), ["b", "c"]);
        let data = |text: &str| Answer::Data(Some((text.into(), Stat::default())));
        let none = || Answer::Data(None);
        let servers = ["b".to_owned(), "c".to_owned()];
        // Another operator has switched `c` off meanwhile.
        let answers = vec![
            data(""),
            data(""),
            data(""),
            data("ENABLED"),
            none(),
            data("DISABLED"),
            none(),
        ];
        let (switched, steps) = switch_off(&view, &servers, answers).expect("a switch is on");
        assert_eq!(switched, ["b"]);
        assert_eq!(
            steps.iter().map(Step::path).collect::<Vec<_>>(),
            ["/job/ledger/pause", "/job/servers/b", "/job/ledger/notes/servers/b"]
        );
        let all_off = vec![data(""), data(""), data(""), data("DISABLED"), none(), none(), none()];
        assert_eq!(switch_off(&view, &servers, all_off), None);
    }

    #[test]
    fn has_one_keeper_under_any_leader() {
        for (leader, keeper) in [("a@-@1", "a@-@1"), ("b@-@1", "a@-@1"), ("c@-@1", "a@-@1")] {
            let view = view(leader);
            for instance in ["a@-@1", "b@-@1", "c@-@1"] {
                assert_eq!(
                    !disobedient(&view, &id(instance)).is_empty(),
                    instance == keeper,
                    "{instance}, led by {leader}"
                );
            }
        }
    }

    #[test]
    fn gives_items_to_members_alone_that_obey() {
        let mut view = view("a@-@1");
        let takers = |view: &View| view.candidates_for_items().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(takers(&view), ["a@-@1"]);
        view.read("/job/ledger/pause", None);
        assert_eq!(takers(&view), ["c@-@1", "b@-@1", "a@-@1"]);
    }

    #[test]
    fn pauses_although_the_note_cannot_be_read() {
        let mut view = view("a@-@1");
        view.read("/job/ledger/pause", Some((b"a later shape".to_vec(), Stat::default())));
        assert!(view.is_paused());
        assert!(view.pause.as_ref().is_some_and(|pause| pause.note.is_none()));
    }
}
