//! The examples, run as a reader of their READMEs runs them.

mod kubernetes;
mod program;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use elasticjob_tests::databases::{DatabaseServer, Kind};
use elasticjob_tests::programs::program;
use elasticjob_tests::zookeeper::{Server, free_port};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use program::Program;

/// One line of the examples `quickstart` and `cluster`.
#[derive(Debug)]
struct Fired {
    item: u32,
    city: String,
    instance: String,
    scheduled: u32,
    next: u32,
}

impl Fired {
    /// Reads `item 0 (Beijing) on 192.0.2.2@-@7-abc123, scheduled 10:00:05, next 10:00:10`.
    fn parse(line: &str) -> Option<Self> {
        let (item, rest) = line.strip_prefix("item ")?.split_once(" (")?;
        let (city, rest) = rest.split_once(") on ")?;
        let (instance, rest) = rest.split_once(", scheduled ")?;
        let (scheduled, next) = rest.split_once(", next ")?;
        Some(Self {
            item: item.parse().ok()?,
            city: city.to_owned(),
            instance: instance.to_owned(),
            scheduled: second_of_day(scheduled)?,
            next: second_of_day(next)?,
        })
    }
}

fn second_of_day(time: &str) -> Option<u32> {
    time.split(':')
        .try_fold(0, |seconds, part| Some(seconds * 60 + part.parse::<u32>().ok()?))
}

/// Waits until each item of a firing after `after` has run, and returns those runs.
fn a_whole_firing(programs: &mut [Program], items: u32, after: Option<u32>) -> Vec<Fired> {
    let mut fired: Vec<Fired> = Vec::new();
    program::wait("a firing of all items", || {
        for program in programs.iter_mut() {
            fired.extend(program.new_lines().iter().filter_map(|line| Fired::parse(line)));
        }
        let newest = fired.iter().map(|run| run.scheduled).max()?;
        let is_whole = |second: u32| fired.iter().filter(|run| run.scheduled == second).count() == items as usize;
        (after.is_none_or(|after| newest > after) && is_whole(newest)).then_some(newest)
    });
    let newest = fired.iter().map(|run| run.scheduled).max().expect("a firing was seen");
    fired.retain(|run| run.scheduled == newest);
    fired.sort_by_key(|run| run.item);
    fired
}

fn items(fired: &[Fired]) -> Vec<u32> {
    fired.iter().map(|run| run.item).collect()
}

#[test]
fn the_quickstart_should_show_each_item_its_instance_and_the_next_firing() {
    let mut quickstart = [Program::example("quickstart").start()];
    let fired = a_whole_firing(&mut quickstart, 3, None);
    let cities: Vec<_> = fired.iter().map(|run| run.city.as_str()).collect();
    assert_eq!(cities, ["Beijing", "Shanghai", "Guangzhou"]);
    for run in &fired {
        assert_eq!((run.scheduled + 5) % 86_400, run.next % 86_400, "{run:?}");
        assert!(run.instance.contains("@-@"), "{run:?}");
    }
    let [mut quickstart] = quickstart;
    let said = quickstart.said();
    assert!(said.contains("configuration read files=\""), "{said}");
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    assert_eq!(quickstart.terminate(), Some(0));
}

#[test]
fn the_environment_should_win_over_what_the_example_says() {
    let mut quickstart = [Program::example("quickstart")
        .environment("ELASTICJOB_JOBS_SYNC_ORDERS_CRON", "* * * * * ?")
        .environment(
            "ELASTICJOB_JOBS_SYNC_ORDERS_SHARDING_ITEM_PARAMETERS",
            "0=Oslo,1=Rome,2=Bonn",
        )
        .start()];
    let fired = a_whole_firing(&mut quickstart, 3, None);
    assert_eq!(fired[0].city, "Oslo");
    assert_eq!((fired[0].scheduled + 1) % 86_400, fired[0].next);
}

#[test]
fn three_processes_of_the_cluster_should_share_the_items_and_survive_a_killed_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.db").display().to_string();
    three_processes_share_the_items_and_survive_a_killed_one(&[("CLUSTER_FILE", &file)]);
    // What is known is there for the next process.
    let start = Program::example("cluster").environment("CLUSTER_FILE", &file);
    let mut program = start
        .environment("ELASTICJOB_JOBS_SYNC_ORDERS_CRON", "* * * * * ?")
        .start();
    program::wait("the next process to go on", || {
        program.said().contains("joined the registry centre").then_some(())
    });
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn the_cluster_should_do_the_same_on_zookeeper() {
    let server = Server::start().unwrap();
    let address = server.address().to_string();
    let registry = [
        ("ELASTICJOB_REG_CENTER_URL", ""),
        ("ELASTICJOB_REG_CENTER_SERVER_LISTS", &address),
    ];
    three_processes_share_the_items_and_survive_a_killed_one(&registry);
}

fn three_processes_share_the_items_and_survive_a_killed_one(registry: &[(&str, &str)]) {
    let start = || {
        let program = Program::example("cluster");
        let program = registry
            .iter()
            .fold(program, |program, (name, value)| program.environment(name, value));
        program
            .environment("ELASTICJOB_JOBS_SYNC_ORDERS_CRON", "* * * * * ?")
            .environment("ELASTICJOB_REG_CENTER_SESSION_TIMEOUT", "2s")
            .start()
    };
    let mut programs = vec![start(), start(), start()];
    let mut last = None;
    let instances = program::wait("all three to have items", || {
        let fired = a_whole_firing(&mut programs, 6, last);
        assert_eq!(items(&fired), [0, 1, 2, 3, 4, 5]);
        last = fired.first().map(|run| run.scheduled);
        let mut instances: Vec<_> = fired.into_iter().map(|run| run.instance).collect();
        instances.sort();
        instances.dedup();
        (instances.len() == 3).then_some(instances)
    });

    programs.remove(0).kill();
    program::wait("the items of the killed process to move", || {
        let fired = a_whole_firing(&mut programs, 6, last);
        assert_eq!(items(&fired), [0, 1, 2, 3, 4, 5]);
        last = fired.first().map(|run| run.scheduled);
        assert!(fired.iter().all(|run| instances.contains(&run.instance)), "{fired:?}");
        Some(())
    });

    // One leaves in peace: the last one has all items at once.
    assert_eq!(programs.remove(0).terminate(), Some(0));
    let fired = a_whole_firing(&mut programs, 6, last);
    assert_eq!(items(&fired), [0, 1, 2, 3, 4, 5]);
    assert!(fired.iter().all(|run| run.instance == fired[0].instance), "{fired:?}");
    assert_eq!(programs.remove(0).terminate(), Some(0));
}

/// Waits until each of these programs runs so many items of one time, and of a later time than `after`; gives that time.
fn shared(programs: &mut [Program], shares: &[usize], after: &str) -> String {
    let mut parts: Vec<Vec<String>> = vec![Vec::new(); programs.len()];
    program::wait(&format!("shares of {shares:?}"), || {
        for (program, parts) in programs.iter_mut().zip(&mut parts) {
            let lines = program.new_lines();
            let times = lines.iter().filter(|line| line.starts_with("part "));
            parts.extend(times.filter_map(|line| Some(line.split_once(", scheduled ")?.1.to_owned())));
        }
        let count = |parts: &Vec<String>, time: &String| parts.iter().filter(|other| *other == time).count();
        let is_shared = |time: &&String| {
            time.as_str() > after
                && parts
                    .iter()
                    .zip(shares)
                    .all(|(parts, share)| count(parts, time) == *share)
        };
        parts.iter().flatten().find(is_shared).cloned()
    })
}

#[test]
fn a_large_process_should_get_more_items_by_the_application_s_own_strategy() {
    let server = Server::start().unwrap();
    let start = |size: &str| {
        Program::example("custom-strategy")
            .environment("ZOOKEEPER", &server.address().to_string())
            .environment("SIZE", size)
            .environment("ELASTICJOB_JOBS_RESIZE_IMAGES_CRON", "* * * * * ?")
            .start()
    };
    let mut programs = vec![start("")];
    let alone = shared(&mut programs, &[8], "");
    programs.push(start("large"));
    let both = shared(&mut programs, &[2, 6], &alone);
    assert_eq!(programs.pop().map(Program::terminate), Some(Some(0)));
    shared(&mut programs, &[8], &both);
}

#[test]
fn the_one_off_job_should_be_run_by_http() {
    let mut web = Program::example("one-off-web").environment("PORT", "0").start();
    let address = web.wait_for("listening on http://").parse().unwrap();
    program::wait("the application to be ready", || {
        (request(address, "GET", "/readyz").0 == 200).then_some(())
    });

    let (status, body) = request(address, "POST", "/rebuild/2024?wait");
    assert_eq!(status, 200, "{body}");
    assert_eq!(body, "item 0: succeeded\nitem 1: succeeded\nitem 2: succeeded\n");
    web.wait_for("built the index of europe in 2024");

    let (status, body) = request(address, "POST", "/rebuild/2025");
    assert_eq!((status, body.as_str()), (202, "it will run\n"));
    web.wait_for("built the index of asia in 2025");
    assert_eq!(request(address, "GET", "/rebuild/2025").0, 405);
    assert_eq!(request(address, "POST", "/rebuild/last").0, 400, "no year");

    assert_eq!(request(address, "POST", "/jobs/rebuild_index/trigger").0, 202);
    let (status, body) = request(address, "POST", "/jobs/rebiuld_index/trigger");
    assert_eq!(
        (status, body.as_str()),
        (404, "there is no job `rebiuld_index` in the registry")
    );
    assert_eq!(web.terminate(), Some(0));
}

#[test]
fn an_order_is_shipped_if_it_was_stored() {
    let server = DatabaseServer::start(Kind::Postgres).unwrap();
    let start = || {
        Program::example("orders")
            .environment("DATABASE_URL", &server.full_url())
            .environment("PORT", "0")
            .start()
    };
    let mut web = start();
    let address = web.wait_for("listening on http://").parse().unwrap();
    for number in [1, 2] {
        let (status, body) = request(address, "POST", "/orders/tea");
        assert_eq!((status, body), (201, format!("order {number}\n")));
    }
    let (status, body) = request(address, "POST", "/orders/tea");
    assert_eq!((status, body.as_str()), (409, "no tea is left\n"));
    let (status, body) = request(address, "POST", "/orders/coffee");
    // The number of the order that there is not was used up.
    assert_eq!((status, body.as_str()), (201, "order 4\n"));
    assert_eq!(web.wait_for("shipped order 1: "), "tea");
    assert_eq!(web.wait_for("shipped order 2: "), "tea");
    assert_eq!(web.wait_for("shipped order "), "4: coffee");
    let (_, body) = request(address, "GET", "/orders");
    assert_eq!(
        body,
        "order 1: tea, shipped\norder 2: tea, shipped\norder 4: coffee, shipped\n"
    );
    // Also if the process is killed as soon as it has answered.
    assert_eq!(request(address, "POST", "/orders/coffee").0, 201);
    web.kill();
    let mut next = start();
    let address = next.wait_for("listening on http://").parse().unwrap();
    program::wait("the order to be shipped", || {
        let (_, body) = request(address, "GET", "/orders");
        body.ends_with("order 5: coffee, shipped\n").then_some(())
    });
    assert_eq!(next.terminate(), Some(0));
}

#[test]
fn a_port_in_use_should_be_named_and_nothing_be_started() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, output) = Program::example("one-off-web")
        .environment("PORT", &port.to_string())
        .start()
        .end();
    assert_eq!(code, Some(1));
    assert!(
        output.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{output}"
    );
    assert!(!output.contains("joined the registry centre"), "{output}");
}

#[test]
fn the_components_should_be_shared_by_both_jobs() {
    let mut components = Program::example("components").start();
    components.wait_for("billed Beijing on connection ");
    components.wait_for("billed Guangzhou on connection ");
    let report = components.wait_for("bills so far: ");
    assert!(report.contains("\"Shanghai\": "), "{report}");
    assert_eq!(components.terminate(), Some(0));
}

#[test]
fn calls_listeners_in_each_process_and_once() {
    let server = Server::start().unwrap();
    let start = || {
        Program::example("listeners")
            .environment("ELASTICJOB_REG_CENTER_TYPE", "ZOOKEEPER")
            .environment("ELASTICJOB_REG_CENTER_SERVER_LISTS", &server.address().to_string())
            .environment("ELASTICJOB_REG_CENTER_NAMESPACE", "elasticjob-example")
            .environment("ELASTICJOB_JOBS_COUNT_VOTES_CRON", "0/2 * * * * ?")
            .start()
    };
    let mut programs = [start(), start()];
    let mut said: [Vec<String>; 2] = Default::default();
    let firing = program::wait("a firing of both", || {
        for (said, program) in said.iter_mut().zip(&mut programs) {
            said.extend(program.new_lines());
        }
        let share = |lines: &Vec<String>| {
            let line = lines
                .iter()
                .rev()
                .find_map(|line| line.strip_prefix("about to count: "))?;
            (line.split(", ").count() == 2).then_some(())
        };
        said.iter().map(share).collect::<Option<Vec<()>>>()?;
        let begun = |line: &String| Some(line.strip_prefix("count ")?.strip_suffix(" begins")?.to_owned());
        let newest = said.iter().flatten().filter_map(begun).max()?;
        let is_complete = said
            .iter()
            .flatten()
            .any(|line| line.starts_with(&format!("count {newest} is complete")));
        is_complete.then_some(newest)
    });
    for moment in ["begins", "is complete"] {
        let beginning = format!("count {firing} {moment}");
        let count = said
            .iter()
            .flatten()
            .filter(|line| line.starts_with(&beginning))
            .count();
        assert_eq!(count, 1, "{said:#?}");
    }
    for program in programs {
        assert_eq!(program.terminate(), Some(0));
    }
}

#[test]
fn the_script_should_say_what_it_finds_for_each_item() {
    let parameters = "ELASTICJOB_JOBS_DISK_USAGE_SHARDING_ITEM_PARAMETERS";
    let mut script = Program::example("script")
        .environment(parameters, "0=/,1=/nowhere")
        .start();
    let mut said = String::new();
    program::wait("both items", || {
        said.extend(script.new_lines().into_iter().map(|line| line + "\n"));
        let expected = [
            "item 0: / is full to ",
            "no directory /nowhere",
            "the script ended with exit status: 1, its last output was: no directory /nowhere",
        ];
        expected.iter().all(|text| said.contains(text)).then_some(())
    });
    assert_eq!(script.terminate(), Some(0));
}

#[test]
fn the_service_should_be_asked_for_each_item() {
    let mut jobs = Program::example("http-jobs").start();
    let mut asked = [
        jobs.wait_for("asked to close the day: "),
        jobs.wait_for("asked to close the day: "),
    ];
    asked.sort_by_key(|context| context.contains("Lisbon"));
    assert!(
        asked[0].ends_with(r#""shardingItem":0,"shardingParameter":"Berlin"}"#),
        "{asked:?}"
    );
    assert!(
        asked[1].ends_with(r#""shardingItem":1,"shardingParameter":"Lisbon"}"#),
        "{asked:?}"
    );
    assert_eq!(jobs.terminate(), Some(0));
}

/// Returns what is in the database of the example `dataflow`: open orders, settled ones, payouts, and orders that are paid out.
fn settled(path: &Path) -> Settled {
    let counts = async {
        let mut database = SqliteConnectOptions::new().filename(path).connect().await?;
        let counts = "SELECT (SELECT count(*) FROM orders WHERE is_settled = 0),
                             (SELECT count(*) FROM orders WHERE is_settled = 1),
                             (SELECT count(*) FROM payouts),
                             (SELECT count(DISTINCT order_id) FROM payouts)";
        sqlx::query_as(counts).fetch_one(&mut database).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let counts: Result<(i64, i64, i64, i64), sqlx::Error> = runtime.expect("a runtime").block_on(counts);
    let (open, settled, payouts, paid_out) = counts.expect("the database can be read");
    assert_eq!(
        (settled, settled),
        (payouts, paid_out),
        "every settled order is paid out, and once"
    );
    Settled { open, settled }
}

#[derive(Debug)]
struct Settled {
    open: i64,
    settled: i64,
}

#[test]
fn each_order_should_be_settled_once_although_a_process_is_killed_midway() {
    let server = Server::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.db");
    let program = || {
        Program::example("dataflow")
            .environment("DATABASE", path.to_str().unwrap())
            .environment("ELASTICJOB_PROFILES_ACTIVE", "cluster")
            .environment("ELASTICJOB_REG_CENTER_SESSION_TIMEOUT", "2s")
            .environment("ELASTICJOB_JOBS_SETTLE_ORDERS_CRON", "* * * * * ?")
            .environment("ZOOKEEPER", &server.address().to_string())
    };
    let mut programs = [program().start(), program().argument("1000").start()];
    let mut busy = BTreeSet::new();
    let killed = program::wait("both to settle orders", || {
        for (index, program) in programs.iter_mut().enumerate() {
            let lines = program.new_lines();
            busy.extend(lines.iter().any(|line| line.starts_with("settled ")).then_some(index));
        }
        (busy.len() == 2).then(|| settled(&path))
    });
    let [first, second] = programs;
    second.kill();
    assert!(killed.open > 0, "it was killed midway: {killed:?}");

    let end = program::wait("all orders to be settled", || {
        let settled = settled(&path);
        (settled.open == 0).then_some(settled)
    });
    assert_eq!(end.settled, 3000);
    assert_eq!(first.terminate(), Some(0));
}

#[test]
fn the_observed_job_should_be_seen_in_its_history_and_in_its_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/history.db", directory.path().display());
    let port = free_port().unwrap();
    let observed = Program::example("observed")
        .environment("ELASTICJOB_TRACING_DATA_SOURCE_URL", &url)
        .environment("ELASTICJOB_CONSOLE_PORT", "0")
        .environment("ELASTICJOB_METRICS_PORT", &port.to_string())
        .start();
    let ask = |question: &[&str]| {
        let output = Command::new(program("elasticjob"))
            .arg("history")
            .args(question)
            .args(["--database", &url])
            .output()
            .unwrap();
        let (out, err) = (output.stdout, output.stderr);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(out), text(err))
    };
    let runs = program::wait("runs of three firings", || {
        let (code, out, _) = ask(&["fetch_prices", "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&out).ok().filter(|_| code == Some(0))?;
        let runs = answer["runs"].as_array()?.clone();
        let ended = runs.iter().filter(|run| !run["ended_at"].is_null()).count();
        (ended >= 9).then_some(runs)
    });
    assert!(runs.iter().all(|run| run["job"] == "fetch_prices"), "{runs:?}");
    let times: Vec<&str> = runs.iter().filter_map(|run| run["started_at"].as_str()).collect();
    assert!(times.iter().rev().is_sorted(), "{times:?}");

    let (_, first, _) = ask(&["--count", "2", "--item", "1"]);
    let column = first.find("RETRIES").expect("a column for retries");
    let row = first.lines().nth(1).unwrap();
    assert!(row[column..].starts_with("0 "), "{first}");
    let place = first.lines().find_map(|line| line.strip_prefix("more: --after "));
    let (code, second, _) = ask(&["--count", "2", "--item", "1", "--after", place.unwrap()]);
    assert_eq!(code, Some(0));
    assert!(second.contains("fetch_prices") && first.lines().nth(1) != second.lines().nth(1));
    let (_, took, _) = ask(&["--durations", "--since", "1h"]);
    assert!(took.starts_with("RUNS") && took.contains(" ms"), "{took}");
    let (_, counts, _) = ask(&["--per", "1d"]);
    assert!(counts.starts_with("FROM") && counts.lines().count() <= 3, "{counts}");
    let (_, none, _) = ask(&["unknown"]);
    assert_eq!(none, "No run is recorded that this is true of.\n");

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (status, metrics) = request(address, "GET", "/metrics");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("elasticjob_runs_total{job=\"fetch_prices\""),
        "{metrics}"
    );
    assert_eq!(observed.terminate(), Some(0));

    let (code, _, error) = ask(&["--outcome", "happy"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("expected running, succeeded, failed, cancelled or lost"),
        "{error}"
    );
    drop(directory);
    let (code, _, error) = ask(&[]);
    assert_eq!(code, Some(5), "{error}");
    assert!(error.starts_with("error: cannot read history in sqlite:"), "{error}");
}

#[test]
fn the_server_for_the_examples_should_serve_and_end_with_its_data() {
    let port = free_port().unwrap();
    let mut zookeeper = Program::own(env!("CARGO_BIN_EXE_zookeeper"))
        .argument(&port.to_string())
        .start();
    zookeeper.wait_for(&format!("zookeeper serves on 127.0.0.1:{port}"));
    assert_eq!(zookeeper.terminate(), Some(0));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

/// Status and body of the answer.
#[allow(clippy::unwrap_used, reason = "part of the tests")]
fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let timeout = Duration::from_secs(30);
    let mut stream = TcpStream::connect_timeout(&address, timeout).unwrap();
    stream.set_read_timeout(Some(timeout)).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
