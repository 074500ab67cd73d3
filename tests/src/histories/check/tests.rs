//! Histories written by hand: one that is right, and the same with one thing in it that is wrong.

use elasticjob::registry::{CreateMode, WriteError};

use super::*;
use crate::histories::history::{Nodes, marker, sign_of_life};

const OBSERVER: SessionNumber = SessionNumber(0);
const A: SessionNumber = SessionNumber(1);
const B: SessionNumber = SessionNumber(2);

/// A history of the job `j` with a node `/j/x`, on which all calls are answered at once.
struct Script {
    records: Vec<Record>,
    calls: usize,
    after: Nodes,
}

fn stat(version: i32, token: i64) -> Stat {
    Stat {
        version,
        modified: token,
        ..Stat::default()
    }
}

fn created(token: i64, owner: i64) -> Stat {
    Stat {
        created: token,
        modified: token,
        ephemeral_owner: owner,
        ..Stat::default()
    }
}

impl Script {
    /// The observer watches, and two sessions are open.
    fn new() -> Self {
        let mut script = Self {
            records: Vec::new(),
            calls: 0,
            after: before(),
        };
        for session in [OBSERVER, A, B] {
            let id = session.0 as i64 + 100;
            script.records.push(Record::Opened { session, id });
        }
        script.watch(OBSERVER);
        script
    }

    fn call(&mut self, session: SessionNumber, request: Request) -> CallNumber {
        let call = CallNumber(self.calls);
        self.calls += 1;
        self.records.push(Record::Called { call, session, request });
        call
    }

    fn answer(&mut self, call: CallNumber, response: Response) {
        self.records.push(Record::Answered { call, response });
    }

    fn watch(&mut self, session: SessionNumber) -> CallNumber {
        let call = self.call(session, Request::Watch("/j".into()));
        self.answer(call, Response::Watching(Ok(())));
        call
    }

    fn events(&mut self, watch: CallNumber, events: &[WatchEvent]) {
        let events = events.iter().cloned().map(|event| Record::Event { watch, event });
        self.records.extend(events);
    }

    fn sync(&mut self, session: SessionNumber) {
        let call = self.call(session, Request::Sync);
        self.answer(call, Response::Synced(Ok(())));
    }

    fn read(&mut self, session: SessionNumber, found: Option<(&str, Stat)>) {
        let call = self.call(session, Request::Read(vec![Read::Data("/j/x".into())]));
        let found = found.map(|(data, stat)| (data.into(), stat));
        self.answer(call, Response::Read(Ok(vec![Answer::Data(found)])));
    }

    /// Asks for `/j/x` to be set, behind a marker.
    fn ask_to_set(&mut self, session: SessionNumber, data: &str) -> CallNumber {
        let call = CallNumber(self.calls);
        let steps = vec![create(&marker("j", call), CreateMode::Persistent), set(data, None)];
        self.call(session, Request::Write(steps))
    }

    /// It has happened, and the observer sees it.
    fn has_set(&mut self, call: CallNumber, data: &str, version: i32, token: i64) -> [WatchEvent; 2] {
        self.after.insert(marker("j", call), (vec![], created(token, 0)));
        self.after.insert("/j/x".into(), (data.into(), stat(version, token)));
        let events = [
            WatchEvent::Created(marker("j", call)),
            WatchEvent::Changed("/j/x".into()),
        ];
        self.events(CallNumber(0), &events);
        events
    }

    fn set(&mut self, session: SessionNumber, data: &str, version: i32, token: i64) -> [WatchEvent; 2] {
        let call = self.ask_to_set(session, data);
        let events = self.has_set(call, data, version, token);
        let answers = vec![Written::Created(marker("j", call)), Written::Set(stat(version, token))];
        self.answer(call, Response::Written(Ok(answers)));
        events
    }

    /// Creates the session's sign of life in its first call.
    fn live(&mut self, session: SessionNumber, token: i64) {
        let call = CallNumber(self.calls);
        let (mark, sign) = (marker("j", call), sign_of_life("j", session));
        let steps = vec![
            create(&mark, CreateMode::Persistent),
            create(&sign, CreateMode::Ephemeral),
        ];
        self.call(session, Request::Write(steps));
        self.after.insert(mark.clone(), (vec![], created(token, 0)));
        self.after
            .insert(sign.clone(), (vec![], created(token, session.0 as i64 + 100)));
        let events = [WatchEvent::Created(mark.clone()), WatchEvent::Created(sign.clone())];
        self.events(CallNumber(0), &events);
        self.answer(
            call,
            Response::Written(Ok(vec![Written::Created(mark), Written::Created(sign)])),
        );
    }

    fn die(&mut self, session: SessionNumber) {
        let sign = sign_of_life("j", session);
        self.after.remove(&sign);
        self.events(CallNumber(0), &[WatchEvent::Deleted(sign)]);
    }

    fn judge(self) -> Result<Shown, Fault> {
        check(&History {
            records: self.records,
            jobs: vec!["j".into()],
            observer: OBSERVER,
            before: before(),
            after: self.after,
        })
    }

    fn passes(self) -> Shown {
        self.judge().unwrap_or_else(|fault| panic!("{fault:?}"))
    }

    fn breaks(self, rule: Rule) {
        match self.judge() {
            Err(Fault::Violation(violation)) => assert_eq!(violation.rule, rule, "{violation}"),
            other => panic!("{other:?}"),
        }
    }
}

fn before() -> Nodes {
    let node = |path: &str| (path.to_owned(), (Vec::new(), Stat::default()));
    ["/j", "/j/x", "/j/log", "/j/live"].map(node).into()
}

fn create(path: &str, mode: CreateMode) -> Step {
    Step::Create {
        path: path.into(),
        data: vec![],
        mode,
    }
}

fn set(data: &str, version: Option<i32>) -> Step {
    Step::Set {
        path: "/j/x".into(),
        data: data.into(),
        version,
    }
}

#[test]
fn a_history_that_is_right_passes() {
    let mut script = Script::new();
    script.live(A, 1);
    let watch = script.watch(B);
    let events = script.set(A, "1", 1, 2);
    script.events(watch, &events);
    script.sync(B);
    script.read(B, Some(("1", stat(1, 2))));
    script.die(A);
    let shown = script.passes();
    assert_eq!((shown.done, shown.reads, shown.deaths), (2, 1, 1));
}

#[test]
fn answers_after_a_missing_event_are_found() {
    let mut script = Script::new();
    let watch = script.watch(B);
    let events = script.set(A, "1", 1, 2);
    script.events(watch, &events[..1]);
    script.sync(B);
    script.breaks(Rule::EventsFirst);
}

#[test]
fn answers_to_reads_that_are_newer_than_the_events_are_found() {
    let mut script = Script::new();
    script.watch(B);
    script.set(A, "1", 1, 2);
    script.read(B, Some(("1", stat(1, 2))));
    script.breaks(Rule::EventsFirst);
}

#[test]
fn events_that_come_twice_or_out_of_order_are_found() {
    for order in [&[0, 0][..], &[0, 1, 1], &[1, 0]] {
        let mut script = Script::new();
        let watch = script.watch(B);
        let events = script.set(A, "1", 1, 2);
        for index in order {
            script.events(watch, &events[*index..=*index]);
        }
        script.breaks(Rule::Events);
    }
}

#[test]
fn events_that_are_missing_before_a_resync_are_no_fault() {
    let mut script = Script::new();
    let watch = script.watch(B);
    script.set(A, "1", 1, 2);
    script.events(watch, &[WatchEvent::Resync]);
    let events = script.set(A, "2", 2, 3);
    script.events(watch, &events);
    script.sync(B);
    assert_eq!(script.passes().resyncs, 1);
}

#[test]
fn reads_of_the_past_are_found_after_a_sync_and_not_before() {
    for (is_synced, is_right) in [(false, true), (true, false)] {
        let mut script = Script::new();
        script.set(A, "1", 1, 2);
        if is_synced {
            script.sync(B);
        }
        script.read(B, Some(("", Stat::default())));
        if is_right {
            script.passes();
        } else {
            script.breaks(Rule::Reads);
        }
    }
}

#[test]
fn transactions_that_come_before_one_that_was_answered_are_found() {
    let mut script = Script::new();
    // The second has the smaller token, so it comes first, and began when the first was over.
    script.set(A, "1", 2, 3);
    script.set(A, "2", 1, 2);
    script.after.insert("/j/x".into(), (b"1".to_vec(), stat(2, 3)));
    let events: Vec<_> = script
        .records
        .iter()
        .filter(|record| matches!(record, Record::Event { .. }))
        .cloned()
        .collect();
    let mut swapped = events[2..].iter().chain(&events[..2]);
    for record in script
        .records
        .iter_mut()
        .filter(|record| matches!(record, Record::Event { .. }))
    {
        *record = swapped.next().expect("there are as many").clone();
    }
    script.breaks(Rule::Order);
}

#[test]
fn versions_that_are_left_out_are_found() {
    let mut script = Script::new();
    script.set(A, "1", 2, 2);
    script.breaks(Rule::Answers);
}

#[test]
fn refusals_without_a_reason_are_found() {
    for (version, is_right) in [(7, true), (0, false)] {
        let mut script = Script::new();
        let call = script.call(A, Request::Write(vec![set("1", Some(version))]));
        let refused = WriteError {
            step: Some(0),
            error: Error::BadVersion,
        };
        script.answer(call, Response::Written(Err(refused)));
        if is_right {
            script.passes();
        } else {
            script.breaks(Rule::Refusals);
        }
    }
}

#[test]
fn unknown_outcomes_may_have_happened_or_not() {
    for happened in [true, false] {
        let mut script = Script::new();
        let call = script.ask_to_set(A, "1");
        if happened {
            script.has_set(call, "1", 1, 2);
        }
        script.answer(call, Response::Written(Err(Error::ConnectionLoss.into())));
        let shown = script.passes();
        assert_eq!(
            (shown.happened, shown.undone),
            (u64::from(happened), u64::from(!happened))
        );
    }
}

#[test]
fn unknown_outcomes_that_happen_after_the_session_is_connected_again_are_found() {
    let mut script = Script::new();
    let call = script.ask_to_set(A, "1");
    script.answer(call, Response::Written(Err(Error::ConnectionLoss.into())));
    script.records.push(Record::Reconnected { session: A });
    script.sync(A);
    script.read(A, Some(("", Stat::default())));
    script.has_set(call, "1", 1, 2);
    script.breaks(Rule::Reads);
}

#[test]
fn transactions_of_the_dead_are_found() {
    let mut script = Script::new();
    script.live(A, 1);
    script.die(A);
    script.set(A, "1", 1, 2);
    script.breaks(Rule::Dead);
}

#[test]
fn nodes_that_outlive_their_session_are_found() {
    let mut script = Script::new();
    script.live(A, 1);
    let path = sign_of_life("j", A);
    script.records.push(Record::Ended { session: A });
    script.records.push(Record::Remains { path });
    script.breaks(Rule::Ephemeral);
}

#[test]
fn half_transactions_are_found() {
    let mut script = Script::new();
    let call = script.ask_to_set(A, "1");
    let mark = marker("j", call);
    script.after.insert(mark.clone(), (vec![], created(2, 0)));
    script.events(CallNumber(0), &[WatchEvent::Created(mark)]);
    script.answer(call, Response::Written(Err(Error::ConnectionLoss.into())));
    script.breaks(Rule::Events);
}
