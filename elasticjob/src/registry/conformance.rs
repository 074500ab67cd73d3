//! What every registry has to pass, run by the tests of each of ours and open to those of others.
//!
//! It checks what [`registry`](super) promises of a registry without faults. Behaviour under faults, which
//! have to be made in a way of each registry's own, is each registry's own test. Start at [`all`].
//!
//! The checks are those promises that jobs rely on: each says at its function what would go wrong without it. They go
//! by the traits alone, so that a registry that passes may take the place of any other.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    Answer, CreateMode, Error, Limits, Read, Registry, Session, SessionState, Size, Stat, Step, Watch, WatchEvent,
    WriteError, Written, size_of,
};

/// Longer than any answer or event should take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs every check, one after the other, each below a node of its own that it leaves behind.
///
/// It opens a few dozen sessions. Run it against a namespace of its own: it deletes only what it made, and what it
/// leaves behind are nodes named `conformance-…`.
///
/// ```
/// use std::sync::Arc;
/// use elasticjob::registry::{conformance, memory::MemoryRegistry};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// conformance::all(Arc::new(MemoryRegistry::new())).await;
/// # });
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # Panics
/// When the registry breaks a promise, or does not answer within ten seconds.
pub async fn all(registry: Arc<dyn Registry>) {
    sessions_should_be_distinct_and_connected(&registry).await;
    a_write_should_answer_each_step(&registry).await;
    a_stat_should_tell_the_history_of_a_node(&registry).await;
    later_steps_should_see_earlier_ones(&registry).await;
    a_refused_step_should_be_named_and_undo_all(&registry).await;
    only_one_of_many_writers_should_win(&registry).await;
    reads_should_be_answered_one_by_one(&registry).await;
    any_number_of_reads_should_be_answered_in_order(&registry).await;
    arguments_should_be_checked_before_anything_is_sent(&registry).await;
    the_largest_transactions_should_pass_and_larger_ones_be_refused(&registry).await;
    sequential_nodes_should_be_numbered_in_order(&registry).await;
    containers_should_be_created_and_deleted_like_other_nodes(&registry).await;
    ephemeral_nodes_should_end_with_their_session(&registry).await;
    a_watch_should_give_all_changes_below_its_path_in_order(&registry).await;
    a_node_named_twice_should_become_what_the_steps_come_to(&registry).await;
    own_events_should_be_there_before_the_answer(&registry).await;
    a_read_should_show_no_change_before_its_event(&registry).await;
    numbers_should_grow_although_all_is_deleted(&registry).await;
    a_transaction_may_name_several_jobs(&registry).await;
    watches_should_nest_and_end_when_dropped(&registry).await;
    a_sync_should_show_what_was_acknowledged(&registry).await;
    a_closed_session_should_be_lost_for_good(&registry).await;
}

/// Ids tell whose an ephemeral node is: two sessions of one id would be one owner.
async fn sessions_should_be_distinct_and_connected(registry: &Arc<dyn Registry>) {
    let (a, b) = (connect(registry).await, connect(registry).await);
    assert_ne!(a.id(), b.id());
    assert_ne!(a.id(), 0, "0 stands for no session");
    assert!(!a.timeout().is_zero());
    assert_eq!(a.limits(), b.limits(), "those of the registry");
    assert!(a.limits().steps >= 48 && a.limits().bytes >= 1024, "{:?}", a.limits());
    assert_eq!(*a.state().borrow(), SessionState::Connected);
    assert!(!registry.describe().is_empty());
}

/// The answers belong to the steps by their order. The version that a write gives is what the next write is conditional
/// on.
async fn a_write_should_answer_each_step(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "answers").await;
    let node = test.path("node");
    let steps = vec![
        create(&node, "a"),
        set(&node, "b", Some(0)),
        check(&node, Some(1)),
        check(&node, None),
        delete(&node, Some(1)),
    ];
    let answers = test.write(steps).await;
    let [
        created,
        Written::Set(stat),
        Written::Checked,
        Written::Checked,
        Written::Deleted,
    ] = &answers[..]
    else {
        panic!("unexpected answers: {answers:?}");
    };
    assert_eq!(*created, Written::Created(node.clone()));
    assert!((0..=1).contains(&stat.version), "{stat:?}");
    assert_eq!(test.data(&node).await, None);
    assert_eq!(test.write(vec![]).await, [], "nothing to do is done at once");
}

/// Modification numbers are the fencing tokens of runs: they have to grow, also over a node that was deleted and made
/// again.
async fn a_stat_should_tell_the_history_of_a_node(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "stat").await;
    let (a, b) = (test.path("a"), test.path("b"));
    test.write(vec![create(&a, "1"), create(&b, "1")]).await;
    let (data, first) = test.data(&a).await.expect("it was created");
    assert_eq!(
        (data.as_slice(), first.version, first.ephemeral_owner),
        (&b"1"[..], 0, 0)
    );
    assert_eq!(first.created, first.modified);
    assert_eq!(
        first.created,
        test.stat(&b).await.created,
        "one transaction has one number"
    );

    let answers = test.write(vec![set(&a, "2", None), set(&b, "2", Some(0))]).await;
    let [Written::Set(second), Written::Set(other)] = answers[..] else {
        panic!("unexpected: {answers:?}")
    };
    assert_eq!(
        second,
        test.stat(&a).await,
        "the answer of a transaction is what is there"
    );
    assert_eq!(other, test.stat(&b).await);
    assert_eq!((second.version, second.created), (1, first.created));
    assert!(second.modified > first.modified && second.modified_at >= first.modified_at);

    let (_, root) = test.data(&test.root).await.expect("it was created");
    assert_eq!(root.modified, root.created, "changes of children are none of the data");

    test.write(vec![set(&b, "3", None)]).await;
    test.write(vec![delete(&a, None)]).await;
    test.write(vec![create(&a, "3")]).await;
    let third = test.stat(&a).await;
    assert_eq!(third.version, 0, "a node that is created again starts at 0");
    assert!(
        third.modified > test.stat(&b).await.modified,
        "numbers grow within a first path segment"
    );
}

/// The end of a run and the claim of the next one are in one transaction, which deletes a mark and makes it again.
async fn later_steps_should_see_earlier_ones(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "order").await;
    let (parent, child) = (test.path("p"), test.path("p/c"));
    test.write(vec![create(&parent, ""), create(&child, "old")]).await;
    test.write(vec![
        delete(&child, Some(0)),
        create(&child, "new"),
        check(&child, Some(0)),
    ])
    .await;
    assert_eq!(test.data(&child).await.expect("it was created").0, b"new");
    test.write(vec![delete(&child, None), delete(&parent, None)]).await;
    assert_eq!(test.data(&parent).await, None);
}

/// A claim is a transaction: half of it would be a mark without a run. Which step was refused tells which item another
/// instance has.
async fn a_refused_step_should_be_named_and_undo_all(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "refused").await;
    let (node, child, missing) = (test.path("node"), test.path("node/child"), test.path("missing"));
    let (mark, ephemeral) = (test.path("mark"), test.path("ephemeral"));
    test.write(vec![
        create(&node, "x"),
        create(&child, ""),
        create_as(&ephemeral, CreateMode::Ephemeral),
    ])
    .await;
    for (step, expected) in [
        (create(&node, ""), Error::NodeExists),
        (create(&format!("{missing}/child"), ""), Error::NoNode),
        (create(&format!("{ephemeral}/child"), ""), Error::EphemeralParent),
        (set(&missing, "", None), Error::NoNode),
        (set(&node, "", Some(1)), Error::BadVersion),
        (delete(&missing, None), Error::NoNode),
        (delete(&child, Some(1)), Error::BadVersion),
        (delete(&node, None), Error::NotEmpty),
        (check(&missing, None), Error::NoNode),
        (check(&node, Some(1)), Error::BadVersion),
    ] {
        let alone = test.session.write(vec![step.clone()]).await;
        assert_eq!(
            alone,
            Err(WriteError {
                step: Some(0),
                error: expected.clone()
            }),
            "{step:?}"
        );
        let steps = vec![
            create(&mark, ""),
            set(&test.root, "y", None),
            step.clone(),
            delete(&missing, None),
        ];
        let refused = test.session.write(steps).await;
        assert_eq!(
            refused,
            Err(WriteError {
                step: Some(2),
                error: expected
            }),
            "{step:?}"
        );
        assert_eq!(test.data(&mark).await, None, "{step:?}");
        assert_eq!(test.stat(&test.root).await.version, 0, "{step:?}");
    }
}

/// Of all who write on the condition of one version exactly one succeeds. Elections and claims are that.
async fn only_one_of_many_writers_should_win(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "race").await;
    let node = test.path("node");
    test.write(vec![create(&node, "")]).await;
    let sessions = join_all((0..5).map(|_| connect(registry))).await;
    let writes = (0..50).map(|i| sessions[i % 5].write(vec![set(&node, &i.to_string(), Some(0))]));
    let results = within(join_all(writes)).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 49));
    assert!(lost.iter().all(|result| matches!(
        result,
        Err(WriteError {
            step: Some(0),
            error: Error::BadVersion
        })
    )));
    within(test.session.sync()).await.expect("a sync is answered");
    assert_eq!(test.stat(&node).await.version, 1);
}

/// A node that is missing is an answer of its own and fails no other read. Children are sorted, by bytes.
async fn reads_should_be_answered_one_by_one(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "reads").await;
    let names = ["b", "B", "a10", "a9", "ä", "任务"];
    test.write(names.map(|name| create(&test.path(name), name)).into())
        .await;
    let reads = vec![
        Read::Data(test.path("b")),
        Read::Children(test.path("missing")),
        Read::Children(test.root.clone()),
        Read::Data(test.path("missing")),
        Read::Children(test.path("b")),
        Read::Data(test.path("任务")),
    ];
    let answers = within(test.session.read(reads)).await.expect("a read is answered");
    let [
        first,
        Answer::Children(None),
        Answer::Children(Some(children)),
        Answer::Data(None),
        leaf,
        last,
    ] = &answers[..]
    else {
        panic!("unexpected: {answers:?}");
    };
    assert!(matches!(first, Answer::Data(Some((data, _))) if data == b"b"));
    assert!(matches!(last, Answer::Data(Some((data, _))) if data == "任务".as_bytes()));
    assert_eq!(*leaf, Answer::Children(Some(vec![])));
    let mut sorted = names.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(children[..], sorted);
    assert_eq!(within(test.session.read(vec![])).await, Ok(vec![]));
}

/// A job with many items is read in one call, of which the registry makes as many requests as it needs.
async fn any_number_of_reads_should_be_answered_in_order(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "many").await;
    let odd = test.path("odd");
    test.write(vec![create(&odd, "odd")]).await;
    let path = |number: usize| match number % 2 {
        0 => test.path("missing"),
        _ => odd.clone(),
    };
    // Several times what one request takes.
    let reads: Vec<Read> = (0..30_000).map(|number| Read::Data(path(number))).collect();
    assert!(matches!(
        test.session.read_at_once(reads.clone()).await,
        Err(Error::TooLarge { .. })
    ));
    let answers = within(test.session.read(reads)).await.expect("reads are answered");
    assert_eq!(answers.len(), 30_000);
    for (number, answer) in answers.iter().enumerate() {
        let is_odd = matches!(answer, Answer::Data(Some((data, _))) if data == b"odd");
        assert!(is_odd || *answer == Answer::Data(None), "{number}: {answer:?}");
        assert_eq!(is_odd, number % 2 == 1, "{number}");
    }
    assert_eq!(*test.session.state().borrow(), SessionState::Connected);
}

/// What no registry can take is refused in the same way by all, and does not cost the session.
async fn arguments_should_be_checked_before_anything_is_sent(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "arguments").await;
    let mark = test.path("mark");
    for path in ["", "relative", "/trailing/", "/a//b", "/a/../b", "/a/\u{0}"] {
        for step in [
            create(path, ""),
            set(path, "", None),
            delete(path, None),
            check(path, None),
        ] {
            let refused = test.session.write(vec![create(&mark, ""), step.clone()]).await;
            let Err(WriteError {
                step: Some(1),
                error: Error::InvalidArgument(_),
            }) = refused
            else {
                panic!("{step:?}: {refused:?}");
            };
        }
        let read = test.session.read(vec![Read::Data(path.into())]).await;
        assert!(matches!(read, Err(Error::InvalidArgument(_))), "{path:?}: {read:?}");
        assert!(
            matches!(test.session.watch(path).await, Err(Error::InvalidArgument(_))),
            "{path:?}"
        );
    }
    for step in [create("/", ""), delete("/", None)] {
        let refused = test.session.write(vec![step]).await;
        assert!(
            matches!(
                refused,
                Err(WriteError {
                    step: Some(0),
                    error: Error::InvalidArgument(_)
                })
            ),
            "{refused:?}"
        );
    }
    assert_eq!(test.data(&mark).await, None);
}

/// The framework fills transactions up to the limits. A server that drops the connection over a large one would have it
/// sent again and again.
async fn the_largest_transactions_should_pass_and_larger_ones_be_refused(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "size").await;
    let limits = test.session.limits();
    let node = test.path("node");
    test.write(vec![create(&node, "")]).await;

    let mut step = set(&node, "", None);
    let room = limits.bytes - size_of(std::slice::from_ref(&step)).bytes;
    if let Step::Set { data, .. } = &mut step {
        *data = vec![b'x'; room];
    }
    test.write(vec![step.clone()]).await;
    assert_eq!(test.data(&node).await.expect("it was created").0.len(), room);
    let refused = test.session.write(vec![step, check(&node, None)]).await;
    assert!(
        matches!(refused, Err(WriteError { step: None, error: Error::TooLarge { limit, .. } }) if limit == limits.bytes),
        "{refused:?}"
    );

    // Short steps are the worst case. Each is about a node of its own, as far as there is room for these.
    let many = most(limits, size_of(&[check("/", None)]));
    let refused = test.session.write(vec![check("/", None); many + 1]).await;
    let is_refused = |error: &Error| matches!(error, Error::TooLarge { .. } | Error::TooManySteps { .. });
    assert!(
        matches!(&refused, Err(WriteError { step: None, error }) if is_refused(error)),
        "{refused:?}"
    );
    assert_eq!(test.write(vec![check("/", None); many]).await.len(), many);
    let path = |number: usize| test.path(&format!("{number:04}"));
    let nodes = most(limits, size_of(&[delete(&path(0), None)])).min(1_000);
    let of_each = |step: &dyn Fn(&str) -> Step| (0..nodes).map(|number| step(&path(number))).collect::<Vec<_>>();
    for (steps, answer) in [
        (of_each(&|path| create(path, "")), None),
        (of_each(&|path| check(path, Some(0))), Some(Written::Checked)),
        (of_each(&|path| set(path, "1", Some(0))), None),
    ] {
        let answers = test.write(steps).await;
        assert_eq!(answers.len(), nodes);
        assert!(answer.is_none_or(|answer| answers.iter().all(|given| *given == answer)));
    }
    // The last of as many as there may be is found.
    let mut steps = of_each(&|path| check(path, Some(1)));
    steps[nodes - 1] = check(&path(nodes - 1), Some(0));
    let error = Error::BadVersion;
    let step = Some(nodes - 1);
    assert_eq!(test.session.write(steps).await, Err(WriteError { step, error }));
    assert_eq!(
        test.write(of_each(&|path| delete(path, Some(1)))).await,
        vec![Written::Deleted; nodes]
    );
    assert_eq!(
        *test.session.state().borrow(),
        SessionState::Connected,
        "no request was too large for the server"
    );
}

/// Returns how many of this size a request takes.
fn most(limits: Limits, each: Size) -> usize {
    (limits.bytes / each.bytes).min(limits.steps / each.steps)
}

/// Those who wait for a latch stand in the order of their numbers, which never come twice below one parent.
async fn sequential_nodes_should_be_numbered_in_order(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "sequence").await;
    let prefix = test.path("_c_0-latch-");
    let number = |answer: &Written| match answer {
        Written::Created(path) => path.strip_prefix(&prefix).expect("the prefix is kept").to_owned(),
        other => panic!("unexpected: {other:?}"),
    };
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let answers = test
            .write(vec![create_as(&prefix, CreateMode::EphemeralSequential)])
            .await;
        numbers.push(number(&answers[0]));
        test.write(vec![
            delete(&format!("{prefix}{}", numbers[0]), None),
            create(&format!("{prefix}{}", numbers[0]), ""),
        ])
        .await;
    }
    let answers = test
        .write(vec![create_as(&prefix, CreateMode::EphemeralSequential); 2])
        .await;
    numbers.extend(answers.iter().map(number));
    assert!(
        numbers
            .iter()
            .all(|number| number.len() == 10 && number.parse::<u32>().is_ok()),
        "{numbers:?}"
    );
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(numbers[0], "0000000000");
    let stat = test.stat(&format!("{prefix}{}", numbers[1])).await;
    assert_eq!(stat.ephemeral_owner, test.session.id());
}

/// Java's latches are containers. A registry without such nodes may keep them like any others.
async fn containers_should_be_created_and_deleted_like_other_nodes(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "container").await;
    let (outer, inner) = (test.path("leader"), test.path("leader/latch"));
    test.write(vec![
        create_as(&outer, CreateMode::Container),
        create_as(&inner, CreateMode::Container),
        create_as(&format!("{inner}/_c_0-latch-"), CreateMode::EphemeralSequential),
    ])
    .await;
    assert_eq!(test.stat(&outer).await.ephemeral_owner, 0);
    test.write(vec![delete(&format!("{inner}/_c_0-latch-0000000000"), None)])
        .await;
    // From here the registry may delete both at any time, so that deleting them may find them gone.
    for path in [&inner, &outer] {
        let result = test.session.write(vec![delete(path, None)]).await;
        let gone = Err(WriteError {
            step: Some(0),
            error: Error::NoNode,
        });
        assert!(result == Ok(vec![Written::Deleted]) || result == gone, "{result:?}");
        assert_eq!(test.data(path).await, None);
    }
}

/// That an instance has died is known by the end of its nodes and by nothing else.
async fn ephemeral_nodes_should_end_with_their_session(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "ephemeral").await;
    let mut watch = test.watch(&test.root).await;
    for (name, is_closed) in [("closed", true), ("dropped", false)] {
        let owner = connect(registry).await;
        let (ephemeral, persistent) = (test.path(name), test.path(&format!("{name}-not")));
        within(owner.write(vec![
            create_as(&ephemeral, CreateMode::Ephemeral),
            create(&persistent, ""),
        ]))
        .await
        .expect("its parent exists");
        assert_eq!(next(&mut watch).await, WatchEvent::Created(ephemeral.clone()));
        assert_eq!(next(&mut watch).await, WatchEvent::Created(persistent.clone()));
        assert_eq!(test.stat(&ephemeral).await.ephemeral_owner, owner.id());
        if is_closed {
            within(owner.close()).await;
            within(test.session.sync()).await.expect("a sync is answered");
            assert_eq!(test.data(&ephemeral).await, None, "at once");
        }
        drop(owner);
        assert_eq!(next(&mut watch).await, WatchEvent::Deleted(ephemeral));
        assert!(test.data(&persistent).await.is_some());
    }
}

/// A view is kept by events: one that is left out, or comes out of order, leaves it wrong for as long as the session
/// lasts.
async fn a_watch_should_give_all_changes_below_its_path_in_order(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "watch").await;
    let other = connect(registry).await;
    let (watched, sibling, child) = (test.path("w"), test.path("w-not"), test.path("w/a"));
    let mut watch = test.watch(&watched).await;
    let deep = format!("{child}/b");
    for steps in [
        vec![create(&sibling, "")],
        vec![create(&watched, "")],
        vec![create(&child, "")],
        vec![create(&deep, "")],
        vec![set(&deep, "1", None)],
        vec![set(&deep, "1", None)],
        vec![check(&deep, None)],
        vec![delete(&deep, None)],
        vec![create(&deep, "")],
        vec![set(&test.root, "", None)],
        vec![set(&watched, "2", None)],
    ] {
        within(other.write(steps))
            .await
            .expect("each step follows from the last");
    }
    for expected in [
        WatchEvent::Created(watched.clone()),
        WatchEvent::Created(child),
        WatchEvent::Created(deep.clone()),
        WatchEvent::Changed(deep.clone()),
        WatchEvent::Changed(deep.clone()),
        WatchEvent::Deleted(deep.clone()),
        WatchEvent::Created(deep),
        WatchEvent::Changed(watched),
    ] {
        assert_eq!(next(&mut watch).await, expected);
    }
    assert_eq!(ready(&mut watch), None);
}

/// A registry carries out each step, or what the steps come to for each node. The nodes are the same in the end, and there is
/// at least one event of each that has changed.
async fn a_node_named_twice_should_become_what_the_steps_come_to(registry: &Arc<dyn Registry>) {
    use WatchEvent::{Changed, Created, Deleted};
    let test = Test::new(registry, "twice").await;
    let (a, b, gone, brief) = (test.path("a"), test.path("b"), test.path("gone"), test.path("brief"));
    test.write(vec![create(&a, ""), create(&gone, "")]).await;
    let before = test.stat(&a).await;
    let mut watch = test.watch(&test.root).await;
    let answers = test
        .write(vec![
            delete(&a, Some(0)),
            create(&a, ""),
            create(&b, ""),
            set(&b, "1", Some(0)),
            set(&a, "2", Some(0)),
            set(&gone, "3", None),
            delete(&gone, Some(1)),
            create(&brief, ""),
            delete(&brief, None),
        ])
        .await;
    let mut events: Vec<WatchEvent> = std::iter::from_fn(|| ready(&mut watch)).collect();
    let of_each_step = [
        Deleted(a.clone()),
        Created(a.clone()),
        Created(b.clone()),
        Changed(b.clone()),
        Changed(a.clone()),
        Changed(gone.clone()),
        Deleted(gone.clone()),
        Created(brief.clone()),
        Deleted(brief.clone()),
    ];
    let (stat_of_a, stat_of_b) = (test.stat(&a).await, test.stat(&b).await);
    if events == of_each_step {
        assert_eq!((stat_of_a.version, stat_of_b.version), (1, 1));
    } else {
        events.sort_by_key(|event| format!("{event:?}"));
        assert_eq!(events, [Changed(a.clone()), Created(b.clone()), Deleted(gone.clone())]);
        assert_eq!((stat_of_a.version, stat_of_b.version), (1, 0));
        assert_eq!(stat_of_a.created, before.created, "it is the same node");
    }
    assert_eq!(
        (&answers[3], &answers[4]),
        (&Written::Set(stat_of_b), &Written::Set(stat_of_a)),
        "the answers are what is there"
    );
    assert!(stat_of_a.modified > before.modified);
    let data = |found: Option<(Vec<u8>, Stat)>| found.map(|(data, _)| data);
    assert_eq!(data(test.data(&a).await), Some(b"2".to_vec()));
    assert_eq!(data(test.data(&b).await), Some(b"1".to_vec()));
    assert_eq!((test.data(&gone).await, test.data(&brief).await), (None, None));

    // Versions within the transaction are those of its steps, whether the first is expected or not.
    let version = stat_of_a.version;
    let steps = |last: i32| vec![set(&a, "4", None), set(&a, "5", None), check(&a, Some(last))];
    let refused = test.session.write(steps(version + 3)).await;
    let error = Error::BadVersion;
    assert_eq!(refused, Err(WriteError { step: Some(2), error }));
    test.write(steps(version + 2)).await;
    let refused = test
        .session
        .write(vec![create(&test.path("c"), ""), create(&test.path("c"), "")])
        .await;
    let error = Error::NodeExists;
    assert_eq!(refused, Err(WriteError { step: Some(1), error }));
    assert_eq!(test.data(&a).await.map(|(data, _)| data), Some(b"5".to_vec()));

    // A node takes the place of one that lives longer, and lives as long as its session.
    let other = connect(registry).await;
    let steps = vec![delete(&a, None), create_as(&a, CreateMode::Ephemeral)];
    within(other.write(steps)).await.expect("it is there");
    within(test.session.sync()).await.expect("a sync is answered");
    assert_eq!(test.stat(&a).await.ephemeral_owner, other.id());
    let refused = test.session.write(vec![create(&format!("{a}/child"), "")]).await;
    let error = Error::EphemeralParent;
    assert_eq!(refused, Err(WriteError { step: Some(0), error }));
    within(other.close()).await;
    within(test.session.sync()).await.expect("a sync is answered");
    assert_eq!(test.data(&a).await, None);
}

/// A caller that judges the answer to a write knows what it has done, and what was done before it.
async fn own_events_should_be_there_before_the_answer(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "before").await;
    let node = test.path("node");
    test.write(vec![create(&node, "")]).await;
    let mut watch = test.watch(&test.root).await;
    for _ in 0..200 {
        test.write(vec![set(&node, "", None)]).await;
        assert_eq!(ready(&mut watch), Some(WatchEvent::Changed(node.clone())));
    }
    let other = connect(registry).await;
    for _ in 0..200 {
        within(other.write(vec![set(&node, "", None)]))
            .await
            .expect("the node is there");
        within(test.session.sync()).await.expect("a sync is answered");
        assert_eq!(ready(&mut watch), Some(WatchEvent::Changed(node.clone())));
    }
}

/// A read that is newer than the view would be undone by an event that tells of an older change.
async fn a_read_should_show_no_change_before_its_event(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "reads-after").await;
    let node = test.path("node");
    test.write(vec![create(&node, "")]).await;
    let other = connect(registry).await;
    let mut watch = test.watch(&test.root).await;
    for _ in 0..200 {
        let version = test.stat(&node).await.version;
        while ready(&mut watch).is_some() {}
        let write = other.write(vec![set(&node, "", None)]);
        // Until the read shows the change, which a server may be late to see.
        let seen = async { while test.stat(&node).await.version == version {} };
        let (written, ()) = within(async { tokio::join!(write, seen) }).await;
        written.expect("the node is there");
        assert_eq!(ready(&mut watch), Some(WatchEvent::Changed(node.clone())));
    }
}

/// A job that was removed and registered again goes on with its tokens: what its former instances wrote outside stays
/// older.
async fn numbers_should_grow_although_all_is_deleted(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "numbers").await;
    let mut newest = test.stat(&test.root).await.modified;
    for _ in 0..20 {
        test.write(vec![delete(&test.root, None)]).await;
        test.write(vec![create(&test.root, "")]).await;
        let modified = test.stat(&test.root).await.modified;
        assert!(modified > newest, "{modified} after {newest}");
        newest = modified;
    }
}

/// A registry that locks job by job must neither wait for itself nor tear a transaction in two.
async fn a_transaction_may_name_several_jobs(registry: &Arc<dyn Registry>) {
    let (a, b) = (
        Test::new(registry, "several-a").await,
        Test::new(registry, "several-b").await,
    );
    let (mut of_a, mut of_b) = (a.watch(&a.root).await, b.watch(&b.root).await);
    // Against each other, and in both orders: a registry that locks jobs one after the other must not wait for itself.
    let there = (0..50).map(|_| a.session.write(vec![set(&a.root, "", None), set(&b.root, "", None)]));
    let back = (0..50).map(|_| b.session.write(vec![set(&b.root, "", None), set(&a.root, "", None)]));
    let results = within(async { tokio::join!(join_all(there), join_all(back)) }).await;
    assert!(results.0.iter().chain(&results.1).all(Result::is_ok), "{results:?}");
    let refused = a
        .session
        .write(vec![set(&a.root, "", None), set(&b.root, "", Some(7))])
        .await;
    let error = Error::BadVersion;
    assert_eq!(refused, Err(WriteError { step: Some(1), error }));
    within(a.session.sync()).await.expect("a sync is answered");
    within(b.session.sync()).await.expect("a sync is answered");
    assert_eq!(
        (a.stat(&a.root).await.version, b.stat(&b.root).await.version),
        (100, 100)
    );
    for (watch, root) in [(&mut of_a, &a.root), (&mut of_b, &b.root)] {
        for _ in 0..100 {
            assert_eq!(ready(watch), Some(WatchEvent::Changed(root.clone())));
        }
        assert_eq!(ready(watch), None);
    }
}

/// A large job is followed by watches on some items within watches on the whole, which come and go as items move.
async fn watches_should_nest_and_end_when_dropped(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "nested").await;
    let node = test.path("node");
    let (mut outer, mut inner) = (test.watch(&test.root).await, test.watch(&node).await);
    assert!(
        matches!(test.session.watch(&node).await, Err(Error::InvalidArgument(_))),
        "one watch a path"
    );
    test.write(vec![create(&node, "")]).await;
    assert_eq!(ready(&mut outer), Some(WatchEvent::Created(node.clone())));
    assert_eq!(ready(&mut inner), Some(WatchEvent::Created(node.clone())));

    drop(inner);
    test.write(vec![set(&node, "1", None)]).await;
    assert_eq!(
        ready(&mut outer),
        Some(WatchEvent::Changed(node.clone())),
        "the other goes on"
    );

    let mut inner = test.watch(&node).await;
    test.write(vec![set(&node, "2", None)]).await;
    assert_eq!(
        ready(&mut inner),
        Some(WatchEvent::Changed(node.clone())),
        "from its answer on"
    );
    assert_eq!(ready(&mut inner), None);
    drop(outer);
    test.write(vec![set(&node, "3", None)]).await;
    assert_eq!(ready(&mut inner), Some(WatchEvent::Changed(node)));
}

/// After a sync a read shows every write that was answered before it.
async fn a_sync_should_show_what_was_acknowledged(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "sync").await;
    let other = connect(registry).await;
    for i in 0..50 {
        let node = test.path(&i.to_string());
        within(other.write(vec![create(&node, "")]))
            .await
            .expect("its parent exists");
        within(test.session.sync()).await.expect("a sync is answered");
        assert!(test.data(&node).await.is_some());
    }
}

/// A session that is over says so to each call and to each watch, also to those who ask late.
async fn a_closed_session_should_be_lost_for_good(registry: &Arc<dyn Registry>) {
    let test = Test::new(registry, "closed").await;
    let node = test.path("node");
    let mut watch = test.watch(&test.root).await;
    within(test.session.close()).await;
    within(test.session.close()).await;
    assert_eq!(*test.session.state().borrow(), SessionState::Lost);
    assert_eq!(
        test.session.write(vec![create(&node, "")]).await,
        Err(Error::SessionExpired.into())
    );
    assert_eq!(
        test.session.read(vec![Read::Data(node.clone())]).await,
        Err(Error::SessionExpired)
    );
    assert_eq!(test.session.sync().await, Err(Error::SessionExpired));
    assert!(matches!(test.session.watch(&node).await, Err(Error::SessionExpired)));
    for _ in 0..3 {
        assert_eq!(next(&mut watch).await, WatchEvent::Closed);
    }
}

/// A session, and a node to work below.
///
/// Each check works below a first path segment of its own, so checks do not disturb each other, nor what else the
/// registry holds.
struct Test {
    session: Arc<dyn Session>,
    root: String,
}

impl Test {
    async fn new(registry: &Arc<dyn Registry>, name: &str) -> Self {
        let session = connect(registry).await;
        let root = format!("/conformance-{name}-{:x}", session.id());
        let test = Self { session, root };
        test.write(vec![create(&test.root, "")]).await;
        test
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    async fn write(&self, steps: Vec<Step>) -> Vec<Written> {
        within(self.session.write(steps))
            .await
            .expect("a correct transaction is executed")
    }

    async fn data(&self, path: &str) -> Option<(Vec<u8>, Stat)> {
        let answers = within(self.session.read(vec![Read::Data(path.into())]))
            .await
            .expect("a read is answered");
        match <[Answer; 1]>::try_from(answers) {
            Ok([Answer::Data(data)]) => data,
            other => panic!("{path}: unexpected answer {other:?}"),
        }
    }

    async fn stat(&self, path: &str) -> Stat {
        self.data(path).await.expect("the node is there").1
    }

    async fn watch(&self, path: &str) -> Box<dyn Watch> {
        within(self.session.watch(path)).await.expect("a path can be watched")
    }
}

async fn connect(registry: &Arc<dyn Registry>) -> Arc<dyn Session> {
    within(registry.connect()).await.expect("the registry is there")
}

/// Waits for an answer, for [`PATIENCE`] at most.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("an answer comes within ten seconds")
}

/// Waits for the next event of a watch.
async fn next(watch: &mut Box<dyn Watch>) -> WatchEvent {
    timeout(PATIENCE, poll_fn(|cx| watch.poll_next(cx)))
        .await
        .expect("an event comes within ten seconds")
}

/// Returns the next event of a watch if it is there already.
fn ready(watch: &mut Box<dyn Watch>) -> Option<WatchEvent> {
    match watch.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

fn create(path: &str, data: &str) -> Step {
    Step::Create {
        path: path.into(),
        data: data.into(),
        mode: CreateMode::Persistent,
    }
}

fn create_as(path: &str, mode: CreateMode) -> Step {
    Step::Create {
        path: path.into(),
        data: vec![],
        mode,
    }
}

fn set(path: &str, data: &str, version: Option<i32>) -> Step {
    Step::Set {
        path: path.into(),
        data: data.into(),
        version,
    }
}

fn delete(path: &str, version: Option<i32>) -> Step {
    Step::Delete {
        path: path.into(),
        version,
    }
}

fn check(path: &str, version: Option<i32>) -> Step {
    Step::Check {
        path: path.into(),
        version,
    }
}
