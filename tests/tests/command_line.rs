//! The command line `elasticjob`, as an operator uses it: the real program, real members, a real ZooKeeper.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::registry::zookeeper::ZooKeeperRegistry;
use elasticjob::registry::{Answer, CreateMode, Read, Registry as _, Step};
use elasticjob_tests::cluster::{Cluster, SHARE, ip};
use elasticjob_tests::process::Member;
use elasticjob_tests::programs::program;
use elasticjob_tests::zookeeper::{Server, free_port};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// The application that members run.
const MEMBER: &str = env!("CARGO_BIN_EXE_member");

/// A schedule that is not reached while tests run.
const NEVER: &str = "0 0 0 1 1 ? 2099";

/// Longer than any command takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operator at the registry centre of a cluster.
struct Operator {
    cluster: Cluster,
}

/// How a command ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Operator {
    fn new(namespace: &str) -> anyhow::Result<Self> {
        let cluster = Cluster::new(MEMBER, Server::shared().address(), namespace)?;
        Ok(Self { cluster })
    }

    /// Starts members on these hosts with a cron job that waits for ever, and waits until they share its items.
    async fn members(&self, hosts: &[u8]) -> anyhow::Result<Vec<Member>> {
        let start = |host: &u8| {
            self.cluster
                .member(*host)
                .with("ELASTICJOB_JOBS_SHARE_CRON", NEVER)
                .start()
        };
        let members = hosts.iter().map(start).collect();
        self.cluster.shared_by(hosts).await;
        members
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let address = Server::shared().address().to_string();
        let mut command = command(arguments);
        command
            .env("ELASTICJOB_REG_CENTER_SERVER_LISTS", address)
            .env("ELASTICJOB_REG_CENTER_NAMESPACE", self.cluster.namespace())
            .env("USER", "mallory");
        command
    }

    async fn does(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments), "").await
    }

    /// As [`does`](Self::does), to the end, with success.
    async fn succeeds(&self, arguments: &[&str]) -> String {
        let said = self.does(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let out = self.succeeds(&arguments).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    async fn put(&self, nodes: &[(&str, &str)]) -> anyhow::Result<()> {
        for (path, text) in nodes {
            self.cluster.create(path, text).await?;
        }
        Ok(())
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("elasticjob"));
    command
        .args(arguments)
        .env_clear()
        .env("TZ", "UTC")
        // Where no configuration is.
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn said(mut command: Command, input: &str) -> Said {
    let mut child = command.spawn().expect("it is built");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end without having read anything.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it ends")
        .expect("it is our child");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("it writes text"),
        err: String::from_utf8(output.stderr).expect("it writes text"),
    }
}

#[tokio::test]
async fn an_operator_should_see_jobs_servers_items_and_what_is_no_job() -> anyhow::Result<()> {
    let operator = Operator::new("cli-looks")?;
    let _members = operator.members(&[1, 2]).await?;
    operator
        .put(&[
            ("/foreign", ""),
            ("/foreign/node", "x"),
            ("/half", ""),
            ("/half/servers", ""),
        ])
        .await?;

    let listing = operator.json(&["jobs"]).await;
    let share = &listing["jobs"][1];
    assert_eq!(share["jobName"], SHARE, "{listing}");
    assert_eq!((&share["status"], &share["instanceCount"]), (&"OK".into(), &2.into()));
    assert_eq!(share["shardingTotalCount"], 10);
    assert_eq!(listing["others"][0]["reason"], "FOREIGN", "{listing}");
    assert_eq!(listing["others"][1]["reason"], "NO_CONFIGURATION", "{listing}");
    let table = operator.succeeds(&["jobs"]).await;
    let row = table
        .lines()
        .find(|line| line.starts_with(SHARE))
        .context("no such row")?;
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        cells,
        [
            SHARE,
            "OK",
            "2",
            "10",
            "0 0 0 1 1 ? 2099 (GMT)",
            "2099-01-01 00:00:00 +00:00"
        ]
    );
    assert_eq!(
        operator.json(&["jobs", "--status", "crashed"]).await["jobs"],
        Value::Array(Vec::new())
    );

    let job = operator.json(&["job", SHARE]).await;
    assert_eq!(job["instances"].as_array().map(Vec::len), Some(2), "{job}");
    assert_eq!(job["items"].as_array().map(Vec::len), Some(10), "{job}");
    let text = operator.succeeds(&["job", SHARE]).await;
    assert!(text.contains("leads") && text.contains(&ip(2)), "{text}");
    let items = operator.json(&["items", SHARE]).await;
    assert_eq!(items[9]["status"], "PENDING", "{items}");

    let servers = operator.json(&["servers"]).await;
    assert_eq!(servers[0]["serverIp"], ip(1), "{servers}");
    assert_eq!(servers[0]["jobNames"], serde_json::json!(["rebuild", SHARE]));
    let of_server = operator.succeeds(&["servers", &ip(1)]).await;
    assert!(of_server.contains("rebuild"), "{of_server}");

    let colored = operator.succeeds(&["jobs", "--color", "always"]).await;
    assert!(colored.contains("\x1b[") && !table.contains('\x1b'), "{colored}");
    Ok(())
}

#[tokio::test]
async fn what_is_switched_off_should_be_explained_and_come_back() -> anyhow::Result<()> {
    let operator = Operator::new("cli-switches")?;
    let _members = operator.members(&[1, 2]).await?;
    operator
        .succeeds(&["disable", SHARE, "--server", &ip(2), "--reason", "new disk"])
        .await;
    operator.cluster.shared_by(&[1]).await;
    operator
        .succeeds(&["disable", SHARE, "--item", "3", "--by", "alice"])
        .await;
    let explained = operator.succeeds(&["explain", SHARE]).await;
    assert!(explained.contains(" by mallory: new disk"), "{explained}");
    assert!(
        explained.contains("item 3\n  ✗ it is switched off since"),
        "{explained}"
    );
    assert!(explained.contains("items 0-2,4-9\n"), "{explained}");
    let of_item = operator.json(&["explain", SHARE, "--item", "3"]).await;
    assert_eq!(of_item["items"][0]["findings"][0]["note"]["by"], "alice", "{of_item}");
    assert_eq!(operator.does(&["explain", SHARE, "--item", "10"]).await.code, Some(3));

    operator.succeeds(&["enable", "--server", &ip(2)]).await;
    operator.succeeds(&["enable", SHARE, "--item", "3"]).await;
    operator.cluster.shared_by(&[1, 2]).await;
    let items = operator.json(&["items", SHARE]).await;
    assert_eq!(items[3]["status"], "PENDING", "{items}");
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_paused_should_be_shown_as_such_and_start_nothing() -> anyhow::Result<()> {
    let operator = Operator::new("cli-pause")?;
    let _members = operator.members(&[1, 2]).await?;
    let paused = operator
        .json(&["disable", SHARE, "--by", "alice", "--reason", "月末冻结"])
        .await;
    assert_eq!(paused[0]["pause"], "BEGUN", "{paused}");
    assert_eq!(paused[0]["servers"], serde_json::json!([]), "{paused}");
    let jobs = operator.succeeds(&["jobs"]).await;
    assert!(
        jobs.lines()
            .any(|line| line.starts_with(SHARE) && line.contains("PAUSED")),
        "{jobs}"
    );
    let jobs = operator.json(&["jobs", "--status", "paused"]).await;
    assert_eq!(jobs["jobs"][0]["pause"]["reason"], "月末冻结", "{jobs}");
    let explained = operator.succeeds(&["explain", SHARE]).await;
    assert!(
        explained.contains("✗ it is paused since ") && explained.contains(" by alice: 月末冻结"),
        "{explained}"
    );
    assert!(!explained.contains('✓'), "{explained}");
    let job = operator.succeeds(&["job", SHARE]).await;
    assert!(job.contains("by alice: 月末冻结"), "{job}");
    let refused = operator.does(&["trigger", SHARE]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.err.contains("`enable` ends that"), "{refused:?}");
    let server = operator.succeeds(&["enable", SHARE, "--server", &ip(1)]).await;
    assert!(server.contains("nothing starts"), "{server}");
    let set = operator.succeeds(&["config", "set", SHARE, "disabled=true"]).await;
    assert!(
        set.contains(&format!("`elasticjob disable {SHARE}` pauses the job")),
        "{set}"
    );

    let enabled = operator.succeeds(&["enable", SHARE]).await;
    assert!(enabled.contains("over"), "{enabled}");
    let run = operator.json(&["trigger", SHARE, "--wait=60"]).await;
    assert_eq!(run["items"]["9"]["outcome"], "SUCCEEDED", "{run}");
    let set = operator.succeeds(&["config", "set", SHARE, "disabled=false"]).await;
    assert!(set.contains(&format!("`elasticjob enable {SHARE}` does")), "{set}");
    Ok(())
}

#[tokio::test]
async fn shows_an_awaited_run_item_by_item() -> anyhow::Result<()> {
    let operator = Operator::new("cli-trigger")?;
    let _members = operator.members(&[1, 2]).await?;
    let rebuilt = operator.does(&["trigger", "rebuild", "--wait"]).await;
    assert_eq!(rebuilt.code, Some(1), "two of three items do not succeed: {rebuilt:?}");
    let lines: Vec<&str> = rebuilt.out.lines().collect();
    assert_eq!(lines[1], "0     succeeded", "{rebuilt:?}");
    assert!(lines[2].contains("failed: no disk for item 1"), "{rebuilt:?}");

    let shared = operator.json(&["trigger", SHARE, "--wait=60"]).await;
    assert_eq!(shared["items"]["9"]["outcome"], "SUCCEEDED", "{shared}");
    let on_one = operator
        .json(&["trigger", SHARE, "--server", &ip(2), "--wait=60"])
        .await;
    let of_server: Vec<String> = operator
        .cluster
        .owners(SHARE)
        .await?
        .into_iter()
        .filter(|(_, owner)| owner.starts_with(&format!("{}@", ip(2))))
        .map(|(item, _)| item.to_string())
        .collect();
    let ran: Vec<&String> = on_one["items"].as_object().context("a map")?.keys().collect();
    assert_eq!((ran.len(), &of_server[0]), (5, ran[0]), "{on_one}");
    assert_eq!(
        operator.does(&["trigger", SHARE, "--server", &ip(7)]).await.code,
        Some(3)
    );
    let before = operator.cluster.runs()?.len();
    let alone = operator.json(&["trigger", SHARE, "--item", "7", "--wait=60"]).await;
    assert_eq!(
        alone["items"],
        serde_json::json!({ "7": { "outcome": "SUCCEEDED" } }),
        "{alone}"
    );
    assert_eq!(operator.cluster.runs()?.len(), before + 1, "no other item ran");
    assert!(operator.cluster.children("/share/ledger/requests").await?.is_empty());
    assert_eq!(operator.does(&["trigger", SHARE, "--item", "10"]).await.code, Some(3));
    let requested = operator.json(&["trigger", SHARE]).await;
    assert_eq!(requested["instances"].as_array().map(Vec::len), Some(2), "{requested}");
    assert_eq!(operator.does(&["trigger", "unknown"]).await.code, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_cancelled_should_end_as_that_and_the_next_should_come() -> anyhow::Result<()> {
    let operator = Operator::new("cli-cancel")?;
    let member = |host| {
        let setup = operator.cluster.member(host).working(Duration::from_secs(300));
        // As many as run at once.
        let setup = setup.with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", 6);
        setup.with("ELASTICJOB_JOBS_SHARE_CRON", NEVER).start()
    };
    let _members: (Member, Member) = (member(1)?, member(2)?);
    operator.cluster.shares(6, &[1, 2]).await;
    let nothing = operator.does(&["cancel", SHARE]).await;
    assert_eq!(nothing.code, Some(4), "{nothing:?}");
    assert!(nothing.err.contains("nothing of job `share` runs now"), "{nothing:?}");

    for count in 1..=2 {
        let request = operator.json(&["trigger", SHARE]).await;
        operator
            .cluster
            .until("all items run", async || {
                ensure!(operator.cluster.runs()?.len() == 6 * count, "they do not");
                Ok(())
            })
            .await;
        let one = ["cancel", SHARE, "--item", "3", "--reason", "文件错了", "--by", "alice"];
        let one = operator.json(&one).await;
        let end = &one["items"]["3"]["end"];
        assert_eq!(end["outcome"], "CANCELLED", "{one}");
        assert_eq!(end["cause"], "by alice: 文件错了", "{one}");
        let explained = operator.succeeds(&["explain", SHARE, "--item", "3"]).await;
        assert!(explained.contains("cancelled (by alice: 文件错了)"), "{explained}");
        let items = operator.json(&["items", SHARE]).await;
        assert_eq!(items[4]["status"], "RUNNING", "no other was: {items}");
        let rest = operator.succeeds(&["cancel", SHARE]).await;
        assert_eq!(rest.matches("cancelled: by mallory").count(), 5, "{rest}");
        let answer = operator
            .cluster
            .text("/share/ledger/items/3")
            .await?
            .context("a ledger")?;
        assert!(
            answer.contains(request["request"].as_str().context("a text")?),
            "{answer}"
        );
        assert!(operator.cluster.children("/share/ledger/cancels").await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn progress_of_a_run_should_be_shown_while_it_goes_on() -> anyhow::Result<()> {
    let operator = Operator::new("cli-progress")?;
    let member = operator.cluster.member(1).working(Duration::from_secs(300));
    let _member = member
        .with("ELASTICJOB_JOBS_SHARE_CRON", NEVER)
        .with("ELASTICJOB_JOBS_SHARE_SHARDING_TOTAL_COUNT", 4)
        .with("MEMBER_REPORTS", "true")
        .start()?;
    operator.cluster.shares(4, &[1]).await;
    operator.succeeds(&["trigger", SHARE]).await;
    operator
        .cluster
        .until("all items show progress", async || {
            let items = operator.json(&["items", SHARE]).await;
            let items = items.as_array().context("a list")?;
            let is_shown = |item: &Value| {
                item["progress"]["text"]
                    .as_str()
                    .is_some_and(|text| text.ends_with("已过"))
            };
            ensure!(items.len() == 4 && items.iter().all(is_shown), "{items:?}");
            ensure!(items[3]["progress"]["ageSeconds"].as_u64() <= Some(60), "{items:?}");
            Ok(())
        })
        .await;
    let items = operator.succeeds(&["items", SHARE]).await;
    assert!(items.contains("running: ") && items.contains(" s ago)"), "{items}");
    let explained = operator.succeeds(&["explain", SHARE, "--item", "3"]).await;
    assert!(explained.contains("progress: "), "{explained}");

    operator.succeeds(&["cancel", SHARE]).await;
    let items = operator.json(&["items", SHARE]).await;
    assert!(items[3]["progress"].is_null(), "its run is over: {items}");
    operator
        .cluster
        .until("nothing of it is left", async || {
            let left = operator.cluster.children("/share/ledger/progress").await?;
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_held_up_should_say_by_what() -> anyhow::Result<()> {
    let operator = Operator::new("cli-held-up")?;
    let _members = operator.members(&[1, 2]).await?;
    for host in [1, 2] {
        operator
            .succeeds(&[
                "disable",
                SHARE,
                "--server",
                &ip(host),
                "--reason",
                "new disk",
                "--by",
                "alice",
            ])
            .await;
    }
    let off = "held up: all servers that have instances are switched off";
    let late = operator.does(&["trigger", SHARE, "--wait=1"]).await;
    assert_eq!(late.code, Some(8), "{late:?}");
    assert!(
        late.err.contains(off) && late.err.contains("by alice: new disk"),
        "{late:?}"
    );
    assert!(late.out.contains("✗ all servers"), "{late:?}");
    let asked = operator.does(&["trigger", SHARE]).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.err.contains(off), "{asked:?}");

    let waits = operator.does(&["trigger", SHARE, "--wait=60", "--json"]);
    let (ended, ()) = tokio::join!(waits, async {
        for host in [1, 2] {
            operator.succeeds(&["enable", SHARE, "--server", &ip(host)]).await;
        }
    });
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let run: Value = serde_json::from_str(&ended.out)?;
    assert_eq!(run["items"]["9"]["outcome"], "SUCCEEDED", "{ended:?}");
    assert_eq!(run["obstacles"], serde_json::json!([]), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_should_be_compared_and_changed_by_its_version() -> anyhow::Result<()> {
    let operator = Operator::new("cli-config")?;
    let _members = operator.members(&[1, 2]).await?;
    let before = operator.json(&["config", "get", SHARE]).await;
    assert_eq!(before["settings"]["shardingTotalCount"], "10", "{before}");
    let file = operator.cluster.directory().join("share.yaml");
    std::fs::write(&file, operator.succeeds(&["config", "get", SHARE, "--yaml"]).await)?;
    let file = file.to_str().context("a path of ours is text")?;
    assert_eq!(operator.does(&["config", "diff", SHARE, file]).await.code, Some(0));

    let change = [
        "config",
        "set",
        SHARE,
        "sharding-total-count=4",
        "props.sink.password=tiger",
    ];
    let tried = operator.succeeds(&[&change[..], &["--dry-run"]].concat()).await;
    assert!(tried.contains("props.sink.password  -       [provided]"), "{tried}");
    assert!(!tried.contains("tiger"), "{tried}");
    assert_eq!(operator.json(&["config", "get", SHARE]).await, before);
    let changed = operator.json(&change).await;
    assert_eq!(changed["version"], 1, "{changed}");
    operator.cluster.shares(4, &[1, 2]).await;

    let late = operator
        .does(&["config", "set", SHARE, "failover=true", "--expect", "0"])
        .await;
    assert_eq!(late.code, Some(4), "{late:?}");
    assert!(late.err.contains("it changed meanwhile"), "{late:?}");
    let wrong = operator
        .does(&["config", "set", SHARE, "cron=61 * * * * ?", "misfire=maybe"])
        .await;
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
    assert!(
        wrong.err.contains("61") && wrong.err.contains("`true` or `false`"),
        "{wrong:?}"
    );
    assert_eq!(wrong.err.matches("of job `share`").count(), 1, "{wrong:?}");

    assert_eq!(operator.does(&["config", "diff", SHARE, file]).await.code, Some(1));
    operator.succeeds(&["config", "set", SHARE, "--from", file]).await;
    operator.cluster.shares(10, &[1, 2]).await;

    let limited = operator.succeeds(&["config", "set", SHARE, "timeout=3s"]).await;
    assert!(limited.contains("props.elasticjob.timeout  -       3s"), "{limited}");
    let valid = operator.succeeds(&["config", "get", SHARE, "--yaml"]).await;
    operator
        .cluster
        .set("/share/config", &valid.replace(NEVER, "61 * * * * ?"))
        .await?;
    let cron = format!("cron={NEVER}");
    let repaired = operator.succeeds(&["config", "set", SHARE, &cron]).await;
    assert!(
        repaired.contains(&format!("cron     61 * * * * ?  {NEVER}")) && !repaired.contains("shardingTotalCount"),
        "{repaired}"
    );
    assert_eq!(operator.succeeds(&["config", "get", SHARE, "--yaml"]).await, valid);

    operator
        .cluster
        .set("/share/config", "shardingTotalCount: many")
        .await?;
    let broken = operator.does(&["config", "get", SHARE]).await;
    assert_eq!(broken.code, Some(4), "{broken:?}");
    assert!(broken.err.contains("many"), "{broken:?}");
    operator.succeeds(&["config", "set", SHARE, "--from", file]).await;
    assert_eq!(
        operator.json(&["config", "get", SHARE]).await["settings"],
        before["settings"]
    );
    Ok(())
}

#[tokio::test]
async fn a_poisoned_configuration_should_be_shown_and_repaired() -> anyhow::Result<()> {
    let operator = Operator::new("cli-poisoned")?;
    const SOUND: &str = "jobName: job\ncron: 0 0 0 1 1 ? 2099\nshardingTotalCount: 3\n";
    operator.put(&[("/job", ""), ("/job/config", SOUND)]).await?;
    let file = operator.cluster.directory().join("job.yaml");
    std::fs::write(&file, SOUND)?;
    let file = file.to_str().context("a path of ours is text")?;
    let poisons = [
        format!("{SOUND}: x: true\n"),
        format!("{SOUND}---\nowner: team-a\n"),
        format!("{SOUND}a: &a [x]\nb: *a\n"),
        format!("{SOUND}deep: {}\n", "[".repeat(5000)),
        SOUND.replace(": 3", ": 2000000000"),
        "订: [单".to_owned(),
    ];
    for poison in poisons {
        operator.cluster.set("/job/config", &poison).await?;
        let listed = operator.succeeds(&["jobs"]).await;
        assert!(listed.contains("job"), "{listed}");
        for refused in [
            ["config", "get", "job"].as_slice(),
            &["config", "set", "job", "misfire=true"],
        ] {
            let said = operator.does(refused).await;
            assert_eq!(said.code, Some(4), "{said:?}");
            assert!(said.err.contains("config set job --from PATH"), "{said:?}");
        }
        assert_eq!(operator.succeeds(&["config", "get", "job", "--yaml"]).await, poison);
        operator.succeeds(&["config", "set", "job", "--from", file]).await;
        let settings = operator.json(&["config", "get", "job"]).await;
        assert_eq!(settings["settings"]["shardingTotalCount"], "3", "{settings}");
    }
    // This one killed its job, and the command line with it.
    let text = format!("{SOUND}description: |\n  每天凌晨三点对账\nowner: team-a\n");
    operator.cluster.set("/job/config", &text).await?;
    operator.succeeds(&["config", "set", "job", "misfire=true"]).await;
    let changed = operator.succeeds(&["config", "get", "job", "--yaml"]).await;
    assert!(
        changed.contains("owner: team-a\n") && changed.contains("每天凌晨三点对账\n"),
        "{changed}"
    );
    Ok(())
}

#[tokio::test]
async fn what_takes_away_should_ask_and_be_refused_while_the_job_is_served() -> anyhow::Result<()> {
    let operator = Operator::new("cli-removes")?;
    let _members = operator.members(&[1, 2]).await?;
    let refused = operator.does(&["remove", SHARE, "--yes"]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.err.contains("is served by 127.0.0.1@-@"), "{refused:?}");

    for answer in ["", "n\n", "perhaps\n"] {
        let asked = said(operator.command(&["shutdown", SHARE, "--server", &ip(2)]), answer).await;
        assert_eq!(asked.code, Some(6), "{asked:?}");
        assert!(
            asked.err.starts_with("Shut job `share` on server `127.0.0.2` down?"),
            "{asked:?}"
        );
    }
    operator.cluster.shared_by(&[1, 2]).await;
    let agreed = said(operator.command(&["shutdown", SHARE, "--server", &ip(2)]), "y\n").await;
    assert_eq!(agreed.code, Some(0), "{agreed:?}");
    operator.cluster.shared_by(&[1]).await;
    operator.succeeds(&["shutdown", SHARE, "--yes"]).await;
    operator
        .cluster
        .until("the job is removed", async || {
            let removed = operator.does(&["remove", SHARE, "--yes"]).await;
            ensure!(removed.code == Some(0), "{removed:?}");
            Ok(())
        })
        .await;
    assert_eq!(operator.cluster.text(&format!("/{SHARE}")).await?, None);
    assert_eq!(operator.does(&["job", SHARE]).await.code, Some(3));
    let rest = operator.json(&["jobs"]).await;
    assert_eq!(rest["jobs"][0]["jobName"], "rebuild", "the other job stays: {rest}");

    operator.succeeds(&["remove", "--server", &ip(2), "--yes"]).await;
    let servers = operator.json(&["servers"]).await;
    assert_eq!(servers.as_array().map(Vec::len), Some(1), "{servers}");
    Ok(())
}

#[tokio::test]
async fn an_instance_should_be_drained_and_filled_again_and_shut_down() -> anyhow::Result<()> {
    let operator = Operator::new("cli-drains")?;
    let _members = operator.members(&[1, 2]).await?;
    let instance = operator.cluster.instances(SHARE).await?[&2].clone();
    operator.succeeds(&["drain", &instance]).await;
    operator.cluster.shared_by(&[1]).await;
    let shown = operator.succeeds(&["job", SHARE]).await;
    assert!(shown.contains("draining"), "{shown}");
    operator.succeeds(&["undrain", &instance]).await;
    operator.cluster.shared_by(&[1, 2]).await;
    let shut = operator.succeeds(&["shutdown", "--instance", &instance, "--yes"]).await;
    assert!(shut.contains("rebuild, share"), "{shut}");
    operator.cluster.shared_by(&[1]).await;
    assert_eq!(operator.does(&["drain", &instance]).await.code, Some(3));
    Ok(())
}

#[tokio::test]
async fn what_a_dead_java_member_left_should_be_shown_and_removed() -> anyhow::Result<()> {
    let operator = Operator::new("cli-stale")?;
    let config = "jobName: orphan\ncron: 0/5 * * * * ?\nshardingTotalCount: 2\nfailover: true\n";
    operator
        .put(&[
            ("/orphan", "com.acme.Orphan"),
            ("/orphan/config", config),
            ("/orphan/servers", ""),
            ("/orphan/servers/127.0.0.9", "ENABLED"),
            ("/orphan/instances", ""),
            ("/orphan/sharding", ""),
            ("/orphan/sharding/0", ""),
            ("/orphan/sharding/0/instance", "127.0.0.9@-@4711"),
            ("/orphan/sharding/0/running", "127.0.0.9@-@4711"),
            ("/orphan/sharding/1", ""),
            ("/orphan/sharding/1/instance", "127.0.0.9@-@4711"),
        ])
        .await?;
    let jobs = operator.json(&["jobs"]).await;
    assert_eq!(jobs["jobs"][0]["status"], "CRASHED", "{jobs}");
    let items = operator.json(&["items", "orphan"]).await;
    assert_eq!(items[1]["instanceId"], Value::Null, "{items}");
    assert_eq!(items[1]["assignedTo"], "127.0.0.9@-@4711");
    let shown = operator.succeeds(&["items", "orphan"]).await;
    assert!(shown.contains("127.0.0.9@-@4711 (gone)"), "{shown}");
    let explained = operator.succeeds(&["explain", "orphan"]).await;
    assert!(explained.contains("✗ no instance serves it"), "{explained}");
    assert!(!explained.contains('✓'), "{explained}");
    assert!(
        explained.contains("it does not run until the mark is removed"),
        "{explained}"
    );

    let asked = operator.does(&["remove", "orphan", "--stale"]).await;
    assert_eq!(asked.code, Some(6), "{asked:?}");
    assert!(asked.err.contains("/orphan/sharding/0/running"), "{asked:?}");
    let removed = operator.json(&["remove", "orphan", "--stale", "--yes"]).await;
    assert_eq!(
        removed["paths"],
        serde_json::json!(["/servers/127.0.0.9", "/sharding/0/running"])
    );
    let again = operator.succeeds(&["remove", "orphan", "--stale"]).await;
    assert_eq!(again, "Nothing of job orphan is stale.\n");
    Ok(())
}

#[tokio::test]
async fn a_dump_port_should_be_asked_without_a_registry() -> anyhow::Result<()> {
    let operator = Operator::new("cli-dumps")?;
    let port = free_port()?.to_string();
    let _member = operator
        .cluster
        .member(1)
        .with("ELASTICJOB_JOBS_SHARE_CRON", NEVER)
        .with("ELASTICJOB_JOBS_SHARE_PROPS_SINK_PASSWORD", "tiger")
        .with(
            "ELASTICJOB_JOBS_SHARE_JOB_PARAMETER",
            "https://lion:tiger@files.example.org/in?key=tiger",
        )
        .with("ELASTICJOB_DUMP_PORT", &port)
        .start()?;
    operator.cluster.shared_by(&[1]).await;
    let address = format!("127.0.0.1:{port}");
    let dump = said(command(&["dump", SHARE, &address]), "").await;
    assert_eq!(dump.code, Some(0), "{dump:?}");
    assert!(dump.out.contains("/share/servers/ip1 | ENABLED\n"), "{dump:?}");
    assert!(!dump.out.contains(&ip(1)), "{dump:?}");
    assert!(!dump.out.contains("tiger"), "{dump:?}");
    assert!(
        dump.out
            .contains("https://[provided]@files.example.org/in?key=[provided]"),
        "{dump:?}"
    );
    let settings = operator.succeeds(&["config", "get", SHARE]).await;
    assert!(
        !settings.contains("tiger") && settings.contains("files.example.org"),
        "{settings}"
    );
    assert_eq!(said(command(&["dump", "unknown", &address]), "").await.code, Some(3));
    let closed = said(command(&["dump", SHARE, &format!("127.0.0.1:{}", free_port()?)]), "").await;
    assert_eq!(closed.code, Some(5), "{closed:?}");
    Ok(())
}

#[tokio::test]
async fn a_password_of_the_history_should_come_by_the_environment_or_a_file_and_never_be_shown() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("password");
    std::fs::write(&file, "tiger\n")?;
    let file = file.display().to_string();
    // No server answers at this port: the test looks at the message of the program.
    let place = format!("127.0.0.1:{}/jobs", free_port()?);
    let (plain, with_password) = (
        format!("postgres://lion@{place}"),
        format!("postgres://lion:tiger@{place}"),
    );
    let ask = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = command(&[&["history"], arguments].concat());
        command
            .env_remove("ELASTICJOB_HISTORY_URL")
            .envs(environment.iter().copied());
        let said = said(command, "").await;
        assert!(!said.out.contains("tiger") && !said.err.contains("tiger"), "{said:?}");
        (said.code, said.err)
    };
    let warning = "warning: every user of this machine can see the password in --database";
    let (code, err) = ask(&["--database", &with_password], &[]).await;
    assert!(
        code == Some(5) && err.starts_with(warning) && err.contains(&place),
        "{err}"
    );
    let by_file = ["--database", &plain, "--password-file", &file];
    for (arguments, environment) in [
        (&[][..], &[("ELASTICJOB_HISTORY_URL", &*with_password)][..]),
        (&by_file[..2], &[("ELASTICJOB_HISTORY_PASSWORD", "tiger")]),
        (&by_file, &[]),
    ] {
        let (code, err) = ask(arguments, environment).await;
        assert!(
            code == Some(5) && !err.contains("warning") && err.contains(&place),
            "{arguments:?}: {err}"
        );
    }
    // A slip of the fingers shows it no more than the rest.
    for slip in [
        &["--databas", &with_password][..],
        &["--after", &with_password],
        &[&with_password, &with_password],
    ] {
        let (code, err) = ask(slip, &[]).await;
        assert_eq!(code, Some(2), "{slip:?}: {err}");
    }
    let (code, err) = ask(&["--database", &plain, "--password-file", "/no/such"], &[]).await;
    assert!(code == Some(7) && err.contains("cannot read /no/such"), "{err}");
    let (code, err) = ask(&["--database", &plain, "--password-file", "/dev/null"], &[]).await;
    assert!(
        code == Some(2) && err.contains("the first line of /dev/null is empty"),
        "{err}"
    );
    Ok(())
}

#[tokio::test]
async fn a_look_that_is_repeated_should_follow_what_happens() -> anyhow::Result<()> {
    let operator = Operator::new("cli-watches")?;
    let _members = operator.members(&[1]).await?;
    let mut watching = operator.command(&["items", SHARE, "--watch=0.2", "--json"]).spawn()?;
    let mut lines = BufReader::new(watching.stdout.take().context("it is piped")?).lines();
    let mut next = async || -> anyhow::Result<Value> {
        let line = timeout(PATIENCE, lines.next_line()).await??.context("it goes on")?;
        Ok(serde_json::from_str(&line)?)
    };
    assert_eq!(next().await?[0]["status"], "PENDING");
    operator.succeeds(&["disable", SHARE, "--item", "0"]).await;
    let deadline = Instant::now() + PATIENCE;
    while next().await?[0]["status"] != "DISABLED" {
        ensure!(Instant::now() < deadline, "it does not see the change");
    }
    watching.kill().await?;
    Ok(())
}

#[tokio::test]
async fn reports_failures_by_the_exit_code() -> anyhow::Result<()> {
    let nowhere = said(command(&["jobs"]), "").await;
    assert_eq!(nowhere.code, Some(2), "{nowhere:?}");
    assert!(nowhere.err.contains("no registry centre is named"), "{nowhere:?}");
    let closed = format!("127.0.0.1:{}", free_port()?);
    let at = [
        "--server-lists",
        &closed,
        "--namespace",
        "shop",
        "--connection-timeout",
        "1s",
    ];
    let unreachable = said(command(&[&["jobs"][..], &at[..]].concat()), "").await;
    assert_eq!(unreachable.code, Some(5), "{unreachable:?}");
    assert!(
        unreachable.err.contains(&format!("{closed} refuses connections")),
        "{unreachable:?}"
    );
    let invalid = said(command(&["jobs", "--namespace", "", "--server-lists", "a:b:c"]), "").await;
    assert_eq!(invalid.code, Some(2), "{invalid:?}");
    assert_eq!(
        invalid.err.matches("faults").count(),
        1,
        "all is said once: {invalid:?}"
    );
    assert_eq!(said(command(&["disable"]), "").await.code, Some(2));

    let zone = [
        "next",
        "0 30 1 * * ?",
        "--zone",
        "Asia/Shanghai",
        "--after",
        "2026-01-01T00:00:00Z",
        "-c",
        "1",
    ];
    let next = said(command(&zone), "").await;
    assert_eq!(next.code, Some(0), "{next:?}");
    assert!(
        next.out
            .contains("2026-01-02 01:30:00 +08:00  2026-01-01 17:30:00 +00:00"),
        "{next:?}"
    );
    let wrong = said(command(&["next", "0 61 * * * ?"]), "").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("  ^^"), "{wrong:?}");
    let completions = said(command(&["completions", "bash"]), "").await;
    assert!(completions.out.contains("undrain"), "{completions:?}");
    Ok(())
}

#[tokio::test]
async fn a_registry_of_a_configuration_file_should_be_found_and_its_jobs_not_matter() -> anyhow::Result<()> {
    let operator = Operator::new("cli-file")?;
    let directory = operator.cluster.directory();
    let yaml = format!(
        "elasticjob:\n  reg-center: {{ server-lists: \"${{ZK:{}}}\", namespace: cli-file }}\n  jobs:\n    wrong_one: {{ cron: wrong }}\n",
        Server::shared().address()
    );
    std::fs::write(directory.join("application.yaml"), yaml)?;
    let mut jobs = command(&["jobs"]);
    jobs.current_dir(directory);
    let jobs = said(jobs, "").await;
    assert_eq!((jobs.code, jobs.out.as_str()), (Some(3), ""), "{jobs:?}");
    let there = format!("zookeeper at {}, namespace /cli-file", Server::shared().address());
    assert_eq!(jobs.err, format!("error: there is no job in {there}\n"));
    let other = operator.does(&["explain", "settle"]).await;
    assert_eq!(other.code, Some(3), "{other:?}");
    assert_eq!(
        other.err,
        format!("error: there is no job `settle` in the registry ({there})\n")
    );
    let listed = operator.does(&["jobs", "--json"]).await;
    assert_eq!(listed.code, Some(3), "{listed:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&listed.out)?["jobs"],
        serde_json::json!([])
    );
    assert_eq!(operator.does(&["servers"]).await.code, Some(3));
    operator
        .put(&[
            ("/settle", ""),
            ("/settle/config", "jobName: settle\nshardingTotalCount: 1\n"),
        ])
        .await?;
    let selected = operator.does(&["jobs", "--status", "paused"]).await;
    assert_eq!(selected.code, Some(0), "{selected:?}");
    Ok(())
}

mod nothing_found {
    //! What an operator hears who looks in the wrong place.

    use super::*;

    /// Returns the nodes below the root of the shared server.
    async fn roots() -> anyhow::Result<Vec<String>> {
        let root = ZooKeeperRegistry::new(&Server::shared().address().to_string(), "")?;
        let session = root.connect().await?;
        let answers = session.read(vec![Read::Children("/".to_owned())]).await?;
        session.close().await;
        match answers.as_slice() {
            [Answer::Children(Some(names))] => Ok(names.clone()),
            other => anyhow::bail!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn leaves_a_namespace_that_is_not_there_as_it_is() -> anyhow::Result<()> {
        let operator = Operator::new("cli-nowhere")?;
        let looks: [&[&str]; 10] = [
            &["jobs"],
            &["jobs", "--status", "ok"],
            &["servers"],
            &["servers", "10.0.0.1"],
            &["job", "sync"],
            &["items", "sync"],
            &["explain", "sync"],
            &["config", "get", "sync"],
            &["disable", "sync"],
            &["trigger", "sync"],
        ];
        for look in looks {
            let said = operator.does(look).await;
            assert_eq!(said.code, Some(3), "{look:?}: {said:?}");
            assert!(said.err.contains("namespace /cli-nowhere"), "{look:?}: {said:?}");
            assert!(!said.err.contains("--profile"), "{look:?}: {said:?}");
            assert!(
                !roots().await?.contains(&"cli-nowhere".to_owned()),
                "{look:?} creates it"
            );
        }
        Ok(())
    }

    #[tokio::test]
    async fn suggests_the_profiles_that_files_have_settings_for() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let yaml = format!(
            "elasticjob:\n  reg-center: {{ server-lists: '{}', namespace: cli-profiles }}\n---\n\
             spring.config.activate.on-profile: prod & !test\nelasticjob.reg-center.namespace: cli-prod\n",
            Server::shared().address()
        );
        std::fs::write(
            directory.path().join("application-生产.yaml"),
            "elasticjob.labels: [gpu]\n",
        )?;
        let does = async |arguments: &[&str]| {
            let mut command = command(arguments);
            command.current_dir(directory.path());
            said(command, "").await
        };
        let hint =
            "The configuration has settings that count with a profile alone: `prod`, `test`, `生产`. --profile NAME";
        let unnamed = does(&["jobs"]).await;
        assert!(
            unnamed.err.contains("no registry centre is named") && unnamed.err.contains("profile alone: `生产`."),
            "{unnamed:?}"
        );
        std::fs::write(directory.path().join("application.yaml"), yaml)?;
        for look in [&["jobs"][..], &["jobs", "--status", "ok"], &["explain", "sync"]] {
            let said = does(look).await;
            assert_eq!(said.code, Some(3), "{said:?}");
            assert!(
                said.err.contains("namespace /cli-profiles") && said.err.contains(hint),
                "{said:?}"
            );
        }
        let history = does(&["history", "sync"]).await;
        assert_eq!(history.code, Some(2), "{history:?}");
        assert!(
            history.err.contains("no database is named") && history.err.contains(hint),
            "{history:?}"
        );
        let prod = does(&["jobs", "--profile", "prod"]).await;
        assert!(
            prod.err.contains("namespace /cli-prod") && !prod.err.contains("--profile"),
            "{prod:?}"
        );
        Ok(())
    }
}

#[tokio::test]
async fn two_thousand_jobs_should_be_listed_in_a_moment() -> anyhow::Result<()> {
    let operator = Operator::new("cli-many")?;
    let session = operator.cluster.session().await?;
    for jobs in (0..2_000).collect::<Vec<u32>>().chunks(50) {
        let create = |path: String, text: String| Step::Create {
            path,
            data: text.into_bytes(),
            mode: CreateMode::Persistent,
        };
        let steps = jobs.iter().flat_map(|job| {
            let root = format!("/job-{job:04}");
            let node = |below: &str, text: &str| create(format!("{root}{below}"), text.to_owned());
            let config = format!("jobName: job-{job:04}\ncron: 0/5 * * * * ?\nshardingTotalCount: 1\n");
            [
                node("", ""),
                node("/config", &config),
                node("/servers", ""),
                node("/servers/127.0.0.1", "ENABLED"),
                node("/instances", ""),
                node(
                    "/instances/127.0.0.1@-@1",
                    "jobInstanceId: 127.0.0.1@-@1\nserverIp: 127.0.0.1\n",
                ),
                node("/sharding", ""),
                node("/sharding/0", ""),
                node("/sharding/0/instance", "127.0.0.1@-@1"),
            ]
        });
        session.write(steps.collect()).await.map_err(|refused| refused.error)?;
    }
    let command = operator.command(&["jobs"]);
    let begin = Instant::now();
    let listed = said(command, "").await;
    println!("2,000 jobs listed in {:?}", begin.elapsed());
    assert_eq!(
        listed.out.lines().filter(|line| line.contains(" OK ")).count(),
        2_000,
        "{:?}",
        listed.err
    );
    // Two rounds of reads take a fraction of a second; one after the other they would take a minute on a busy machine.
    assert!(begin.elapsed() < Duration::from_secs(10));
    Ok(())
}

mod closed {
    //! A job that another digest closes, in a namespace that is open to all.

    use super::*;

    #[tokio::test]
    async fn leaves_the_other_jobs_to_be_listed() -> anyhow::Result<()> {
        let operator = Operator::new("cli-closed")?;
        let _members = operator.members(&[1]).await?;
        let registry = ZooKeeperRegistry::new(&Server::shared().address().to_string(), operator.cluster.namespace())?;
        let owner = registry.with_digest("owner:right").connect().await?;
        let node = |path: &str, text: &str| Step::Create {
            path: path.to_owned(),
            data: text.into(),
            mode: CreateMode::Persistent,
        };
        let text = "jobName: closed\nshardingTotalCount: 1\n";
        owner
            .write(vec![node("/closed", ""), node("/closed/config", text)])
            .await?;

        let listed = operator.does(&["jobs", "--json"]).await;
        assert_eq!(listed.code, Some(9), "{listed:?}");
        let listing: Value = serde_json::from_str(&listed.out)?;
        let names: Vec<_> = listing["jobs"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|job| &job["jobName"])
            .collect();
        assert!(names.iter().any(|name| *name == SHARE), "{listing}");
        assert_eq!(listing["others"][0]["name"], "closed", "{listing}");
        assert_eq!(listing["others"][0]["reason"], "REFUSED", "{listing}");

        for arguments in [&["jobs"][..], &["jobs", "--status", "crashed"]] {
            let listed = operator.does(arguments).await;
            assert_eq!(listed.code, Some(9), "{arguments:?}: {listed:?}");
            let row = listed
                .out
                .lines()
                .find(|line| line.starts_with("closed"))
                .context("its row")?;
            assert!(row.contains("/closed") && row.contains("not authorized"), "{row}");
        }

        let refused = operator.does(&["job", "closed"]).await;
        assert_eq!(refused.code, Some(9), "{refused:?}");
        assert!(
            refused.err.contains("does not allow this") && refused.err.contains("/closed"),
            "{refused:?}"
        );
        Ok(())
    }
}
