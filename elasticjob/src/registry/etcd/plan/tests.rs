use crate::registry::size_of;

use super::*;

const SESSION: i64 = 7;
const AT: i64 = 1_000;

fn with_keys<T>(act: impl FnOnce(Scene<'_>) -> T) -> T {
    let keys = Keys::of_namespace("/");
    act(Scene {
        keys: &keys,
        session: SESSION,
        at: AT,
    })
}

fn plan(steps: &[Step]) -> Plan {
    with_keys(|scene| Plan::of(steps, scene, BTreeMap::new()))
}

fn create(path: &str, data: &str) -> Step {
    create_as(path, data, CreateMode::Persistent)
}

fn create_as(path: &str, data: &str, mode: CreateMode) -> Step {
    Step::Create {
        path: path.into(),
        data: data.into(),
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("/=/n/", "")
}

fn conditions(plan: &Plan) -> Vec<String> {
    let shown = |condition: &Condition| {
        let key = text(&condition.key);
        match &condition.test {
            Test::Absent => format!("{key} absent"),
            Test::Present => format!("{key} present"),
            Test::Puts(puts) => format!("{key} put {puts}"),
            Test::Parent => format!("{key} parent"),
            Test::NoneBefore(to) => format!("none from {key} to {}", text(to)),
            Test::At(revision) => format!("{key} at {revision}"),
        }
    };
    plan.conditions.iter().map(shown).collect()
}

fn changes(plan: &Plan) -> Vec<String> {
    let shown = |change: &Change| match change {
        Change::Put { key, value, life } => format!("{}={} {life:?}", text(key), text(value).replace('\n', " ")),
        Change::Keep {
            key,
            persistent,
            ephemeral,
        } => {
            assert_eq!((persistent[0], ephemeral[0]), (b'P', b'E'));
            assert_eq!(persistent[1..], ephemeral[1..]);
            format!("{}~{}", text(key), text(&persistent[1..]).replace('\n', " "))
        }
        Change::Delete { key } => format!("-{}", text(key)),
    };
    plan.changes.iter().map(shown).collect()
}

fn meta(version: i64) -> Option<Meta> {
    Some(Meta {
        version,
        created: 3,
        modified: 5,
        lease: 0,
    })
}

mod steps {
    use super::*;

    #[test]
    fn become_comparisons_and_changes() {
        let plan = plan(&[
            check("/a/c", Some(2)),
            create("/a/b", "1"),
            set("/a/c", "2", Some(2)),
            delete("/a/d", None),
        ]);
        assert_eq!(
            conditions(&plan),
            [
                "a/2/c put 3",
                "a/1 parent",
                "a/2/b absent",
                "a/2/d present",
                "none from a/3/d/ to a/3/d0",
            ]
        );
        assert_eq!(
            changes(&plan),
            ["a/2/c~1000 2", "a/2/b=P1000 1 Persistent", "-a/2/d", "-a/c/2/d"]
        );
        assert_eq!(plan.changed, BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn compare_what_they_share_once() {
        let steps: Vec<Step> = (0..3).map(|item| create(&format!("/a/{item}"), "")).collect();
        assert_eq!(conditions(&plan(&steps)).len(), 4);
        let plan = plan(&[
            check("/a", None),
            check("/a", None),
            check("/a", Some(1)),
            set("/a", "", Some(1)),
        ]);
        assert_eq!(conditions(&plan), ["a/1 present", "a/1 put 2"]);
    }

    #[test]
    fn on_the_namespace_need_nothing_but_its_version() {
        let plan = plan(&[
            check("/", None),
            create("/a", ""),
            check("/", Some(0)),
            set("/", "x", None),
        ]);
        assert_eq!(conditions(&plan), ["a/1 absent", "/0 put 0"]);
        assert_eq!(
            changes(&plan),
            ["/0=P1000 x Persistent", "a/1=P1000  Persistent", "/=/j/a= Persistent"]
        );
    }

    #[test]
    fn see_what_those_before_them_did() {
        let node = plan(&[
            create("/a/b", "1"),
            set("/a/b", "2", Some(0)),
            check("/a/b", Some(1)),
            create("/a/b/c", "3"),
        ]);
        assert_eq!(conditions(&node), ["a/1 parent", "a/2/b absent", "a/3/b/c absent"]);
        assert_eq!(
            changes(&node),
            ["a/2/b=P1000 2 Persistent", "a/3/b/c=P1000 3 Persistent"]
        );
        let replaced = plan(&[
            delete("/a/b", Some(4)),
            create_as("/a/b", "n", CreateMode::Ephemeral),
            check("/a/b", Some(0)),
        ]);
        assert_eq!(changes(&replaced), ["a/2/b=E1000 n Ephemeral"]);
        assert_eq!(changes(&plan(&[create("/a/b", ""), delete("/a/b", None)])), [""; 0]);
        let both = plan(&[set("/a", "1", None), set("/a", "2", Some(4)), check("/a", Some(5))]);
        assert_eq!(
            conditions(&both),
            ["a/1 present", "a/1 put 4"],
            "it was set once, at version 3"
        );
    }

    #[test]
    fn delete_a_node_with_its_last_children() {
        let plan = plan(&[delete("/a/b/c", None), delete("/a/b/d", None), delete("/a/b", None)]);
        let of_children: Vec<String> = conditions(&plan).split_off(5);
        assert_eq!(
            of_children,
            [
                "none from a/3/b/ to a/3/b/c",
                "none from a/3/b/c\0 to a/3/b/d",
                "none from a/3/b/d\0 to a/3/b0",
            ]
        );
        assert_eq!(changes(&plan)[4], "-a/2/b", "children first");
    }

    #[test]
    fn compare_no_more_than_their_size_says() {
        let mut steps = vec![check("/", None), check("/a", Some(3))];
        for item in 0..9 {
            let of = |name: &str| format!("/a/{item}/{name}");
            steps.extend([
                delete(&of("x"), Some(1)),
                delete(&of("y"), None),
                delete(&format!("/a/{item}"), None),
                create(&format!("/b{item}/x"), ""),
                set(&of("z"), "", Some(1)),
            ]);
        }
        let plan = plan(&steps);
        assert!(plan.doomed.is_none());
        let size = size_of(&steps).steps;
        assert!(plan.conditions.len() <= size, "{} of {size}", plan.conditions.len());
        assert!(plan.changes.len() <= size, "{} of {size}", plan.changes.len());
    }

    #[test]
    fn number_sequential_nodes_by_a_counter() {
        let step = create_as("/a/n-", "", CreateMode::EphemeralSequential);
        let steps = [step.clone(), step];
        assert_eq!(counted(&steps), BTreeSet::from(["/a"]));
        let plan = with_keys(|scene| {
            let counter = Counter { next: 8, revision: 40 };
            Plan::of(&steps, scene, BTreeMap::from([("/a", counter)]))
        });
        assert_eq!(
            conditions(&plan),
            [
                "a/1 parent",
                "a/c/1 at 40",
                "a/2/n-0000000008 absent",
                "a/2/n-0000000009 absent"
            ]
        );
        assert_eq!(changes(&plan)[2], "a/c/1=10 Persistent");
        let found = |revision| Meta {
            modified: revision,
            ..meta(1).unwrap()
        };
        assert_eq!(plan.failure(&[meta(1), Some(found(41)), None, None]), Failure::Raced);
    }
}

mod a_refused_step {
    use super::*;

    fn refused(step: usize, error: Error) -> Failure {
        let step = Some(step);
        Failure::Refused(WriteError { step, error })
    }

    #[test]
    fn is_the_first_of_which_a_condition_fails() {
        let plan = plan(&[
            create("/a/b", ""),
            set("/a/c", "", Some(2)),
            delete("/a/d", None),
            check("/a/e", None),
        ]);
        let ephemeral = Some(Meta {
            lease: 9,
            ..meta(1).unwrap()
        });
        // The parent, and that b is not there; c; d, and what is below it; e.
        let good = [meta(1), None, meta(3), meta(1), None, meta(1)];
        let with = |changed: &[(usize, Option<Meta>)]| {
            let mut found = good;
            changed.iter().for_each(|(index, meta)| found[*index] = *meta);
            plan.failure(&found)
        };
        for (changed, step, error) in [
            (&[(0, None)][..], 0, Error::NoNode),
            (&[(0, ephemeral)], 0, Error::EphemeralParent),
            (&[(1, meta(1))], 0, Error::NodeExists),
            (&[(2, None)], 1, Error::NoNode),
            (&[(2, meta(4))], 1, Error::BadVersion),
            (&[(3, None)], 2, Error::NoNode),
            (&[(4, meta(1))], 2, Error::NotEmpty),
            (&[(5, None)], 3, Error::NoNode),
            (&[(5, None), (3, None)], 2, Error::NoNode),
        ] {
            assert_eq!(with(changed), refused(step, error), "{changed:?}");
        }
    }

    #[test]
    fn may_be_refused_whatever_is_there() {
        for (steps, step, error) in [
            (vec![create("/a/b", ""), create("/a/b", "")], 1, Error::NodeExists),
            (vec![check("/a", None), create("/a", "")], 1, Error::NodeExists),
            (vec![delete("/a", None), set("/a", "", None)], 1, Error::NoNode),
            (vec![delete("/a", None), create("/a/b", "")], 1, Error::NoNode),
            (vec![create("/a/b", ""), set("/a/b", "", Some(1))], 1, Error::BadVersion),
            (vec![check("/a", Some(1)), check("/a", Some(2))], 1, Error::BadVersion),
            (vec![check("/a", Some(-1))], 0, Error::BadVersion),
            (vec![create("/a/b", ""), delete("/a", None)], 1, Error::NotEmpty),
            (
                vec![create_as("/a", "", CreateMode::Ephemeral), create("/a/b", "")],
                1,
                Error::EphemeralParent,
            ),
        ] {
            let plan = plan(&steps);
            assert!(plan.changes.is_empty(), "{steps:?}");
            let answer = with_keys(|scene| plan.answer(scene, 50, &[]));
            let step = Some(step);
            assert_eq!(answer, Err(WriteError { step, error }), "{steps:?}");
        }
    }

    #[test]
    fn is_no_later_one_that_would_be_refused_in_any_case() {
        let plan = plan(&[check("/b", None), create("/a", ""), create("/a", "")]);
        assert_eq!(plan.failure(&[None, None]), refused(0, Error::NoNode));
    }
}

mod answers {
    use super::*;

    #[test]
    fn say_what_is_there() {
        let plan = plan(&[
            set("/a", "1", Some(4)),
            set("/a", "2", Some(5)),
            create("/a/b", ""),
            set("/a/b", "1", Some(0)),
            set("/", "", None),
        ]);
        let before = [meta(5), None, None];
        assert_eq!(changes(&plan).len(), 3);
        let answers = with_keys(|scene| plan.answer(scene, 50, &before)).unwrap();
        let stat = |version, created| Stat {
            version,
            created,
            modified: 50,
            modified_at: AT,
            ephemeral_owner: 0,
        };
        let expected = [
            Written::Set(stat(5, 3)),
            Written::Set(stat(5, 3)),
            Written::Created("/a/b".into()),
            Written::Set(stat(0, 50)),
            Written::Set(stat(1, 50)),
        ];
        assert_eq!(answers, expected);
    }
}
