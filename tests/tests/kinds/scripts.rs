//! `SCRIPT`, with real interpreters.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::application::{Application, PATIENCE, faults};

/// Waits for a line that a script writes.
async fn written(path: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text.trim().to_owned();
        }
        assert!(Instant::now() < deadline, "nothing in {}", path.display());
        sleep(Duration::from_millis(20)).await;
    }
}

async fn start(
    job: &'static str,
    directory: &TempDir,
    line: &str,
    further: &[(&str, &str)],
) -> anyhow::Result<Application> {
    let directory = directory.path().display().to_string();
    let mut settings = vec![
        ("elastic-job-type", "SCRIPT"),
        ("sharding-total-count", "1"),
        ("props.script.command.line", line),
        ("props.script.working-directory", &directory),
    ];
    settings.retain(|(key, _)| further.iter().all(|(other, _)| other != key));
    settings.extend_from_slice(further);
    Application::start(job, &settings).await
}

/// The language, and a program in it: it writes down its last argument and some of its environment, and
/// fails for item 1.
const PROGRAMS: [(&str, &str); 3] = [
    (
        "sh",
        r#"for last; do :; done
printf '%s\n' "$last" "$1" "$ELASTIC_JOB_SHARDING_PARAMETER of $ELASTIC_JOB_NAME by $ELASTIC_JOB_FENCING_TOKEN" > "out-$ELASTIC_JOB_SHARDING_ITEM"
[ "$ELASTIC_JOB_SHARDING_ITEM" = 1 ] && { echo "no disk" >&2; exit 7; }
echo done
"#,
    ),
    (
        "python3",
        r#"import json, os, sys
context = json.loads(sys.argv[-1])
item = context["shardingItem"]
with open(f"out-{item}", "w") as out:
    by = os.environ["ELASTIC_JOB_FENCING_TOKEN"]
    print(sys.argv[-1], sys.argv[1], f"{context['shardingParameter']} of {context['jobName']} by {by}", sep="\n", file=out)
if item == 1:
    print("no disk", file=sys.stderr)
    sys.exit(7)
print("done")
"#,
    ),
    (
        "perl",
        r#"my ($item) = $ARGV[-1] =~ /"shardingItem":(\d+)/ or die;
open my $out, '>', "out-$item" or die;
print $out "$ARGV[-1]\n$ARGV[0]\n$ENV{ELASTIC_JOB_SHARDING_PARAMETER} of $ENV{ELASTIC_JOB_NAME} by $ENV{ELASTIC_JOB_FENCING_TOKEN}\n";
close $out;
if ($item == 1) { print STDERR "no disk\n"; exit 7 }
print "done\n";
"#,
    ),
];

#[tokio::test]
async fn scripts_of_any_language_should_run_the_items_and_say_how_that_went() -> anyhow::Result<()> {
    for (language, program) in PROGRAMS {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("tidy"), program)?;
        let line = format!("{language} tidy 'two words'");
        let further = [
            ("sharding-total-count", "2"),
            ("sharding-item-parameters", "0=Oslo,1=Rome's"),
            ("job-parameter", "a=b"),
        ];
        let application = start(language, &directory, &line, &further).await?;
        let outcomes = application.run().await?;
        let failure = "the script ended with exit status: 7, its last output was: no disk";
        assert_eq!(
            outcomes,
            [(0, None), (1, Some(failure.to_owned()))].into(),
            "{language}"
        );
        for (item, parameter, escaped) in [(0, "Oslo", "Oslo"), (1, "Rome's", r"Rome\u0027s")] {
            let written = fs::read_to_string(directory.path().join(format!("out-{item}")))?;
            let lines: Vec<&str> = written.lines().collect();
            let [json, argument, rest] = lines[..] else {
                anyhow::bail!("{language}: {written}");
            };
            let (begin, end) = (
                format!(r#"{{"jobName":"{language}","taskId":"{language}@-@"#),
                format!(
                    r#""shardingTotalCount":2,"jobParameter":"a\u003db","shardingItem":{item},"shardingParameter":"{escaped}"}}"#
                ),
            );
            assert!(json.starts_with(&begin) && json.ends_with(&end), "{language}: {json}");
            assert_eq!(argument, "two words", "{language}");
            let token = rest
                .strip_prefix(&format!("{parameter} of {language} by "))
                .context("all of it")?;
            assert!(token.parse::<i64>()? > 0, "{language}: {token}");
        }
        let log = application.stop().await;
        assert!(line_of(&log, "line=\"done\"").contains("item=0"), "{log}");
        assert!(line_of(&log, "line=\"no disk\"").contains("stream=\"stderr\""), "{log}");
    }
    Ok(())
}

fn line_of<'a>(log: &'a str, text: &str) -> &'a str {
    log.lines().find(|line| line.contains(text)).unwrap_or_default()
}

#[tokio::test]
async fn a_command_line_should_be_split_as_java_does_where_that_is_asked_for() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("tidy"), "printf '%s\\n' \"$1\" > out")?;
    for (quoting, expected) in [("posix", "b c"), ("java", "\"b c\"")] {
        let application = start(
            "quoting",
            &directory,
            "sh tidy 'b c'",
            &[("props.script.quoting", quoting)],
        )
        .await?;
        assert_eq!(application.run().await?, [(0, None)].into());
        assert_eq!(written(&directory.path().join("out")).await, expected);
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_started_should_fail_the_item_and_the_job_live() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let application = start("missing", &directory, "./tidy", &[]).await?;
    for _ in 0..2 {
        let failure = application.failure().await?;
        assert_eq!(
            failure,
            "cannot start the script: no program `./tidy`: there is no such file"
        );
    }
    fs::write(directory.path().join("tidy"), "#!/bin/sh\n")?;
    assert!(application.failure().await?.ends_with("it may not be executed"));
    let missing = start(
        "nowhere",
        &directory,
        "true",
        &[("props.script.working-directory", "/no/such")],
    )
    .await?;
    assert!(
        missing
            .failure()
            .await?
            .ends_with("there is no working directory `/no/such`")
    );
    Ok(())
}

#[tokio::test]
async fn a_timeout_should_fail_the_item() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let application = start("sleeper", &directory, "sleep 600", &[("props.script.timeout", "300ms")]).await?;
    // `sleep` takes the context for a time, so it needs a shell around it.
    assert!(application.failure().await?.contains("invalid time interval"));
    let application = start(
        "slow",
        &directory,
        "sh -c 'sleep 600'",
        &[("props.script.timeout", "300ms")],
    )
    .await?;
    assert_eq!(
        application.failure().await?,
        "the script took longer than 300ms and was stopped"
    );
    Ok(())
}

#[tokio::test]
async fn a_shutdown_should_wait_for_the_grace_and_then_end_the_script_with_its_children() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (line, grace) = (
        "sh -c 'trap \"\" TERM; sleep 600 & echo $! > child; wait; while :; do sleep 1; done'",
        ("props.script.kill-grace", "500ms"),
    );
    let application = start("stubborn", &directory, line, &[grace]).await?;
    let job = application.running.one_off_named(application.job)?;
    let mut execution = JoinSet::new();
    execution.spawn(async move { job.execute_and_wait(PATIENCE).await });
    let child = written(&directory.path().join("child")).await;
    let begun = Instant::now();
    application.running.shutdown(Duration::from_millis(300)).await;
    assert!(begun.elapsed() >= Duration::from_millis(800), "both graces");
    assert!(!lives(&child), "{child}");
    let log = application.log();
    assert!(log.contains("stopping the script stop=Cancelled"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_script_should_have_a_clean_environment_and_what_it_is_given() -> anyhow::Result<()> {
    // Ours has what cargo sets, in the place of secrets.
    let ours = "CARGO_PKG_NAME";
    assert!(std::env::var_os(ours).is_some() && std::env::var_os("PATH").is_some());
    let directory = tempfile::tempdir()?;
    let names = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.split_once('='));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    for (passed, is_there) in [(None, false), (Some("CARGO_PKG_NAME, RUST_*"), true), (Some("*"), true)] {
        let prop = passed.map(|passed| ("props.script.environment", passed));
        let further: Vec<_> = prop.into_iter().collect();
        let application = start(
            "environment",
            &directory,
            "sh -c 'env > out; echo END= >> out'",
            &further,
        )
        .await?;
        assert_eq!(application.run().await?, [(0, None)].into());
        let names = names(&fs::read_to_string(directory.path().join("out"))?);
        let has = |name: &str| names.iter().any(|known| known == name);
        assert!(has("PATH") && has("ELASTIC_JOB_NAME") && has("END"), "{names:?}");
        assert_eq!(has(ours), is_there, "{passed:?}: {names:?}");
        assert_eq!(has("CARGO_MANIFEST_DIR"), passed == Some("*"), "{passed:?}: {names:?}");
    }
    Ok(())
}

/// Returns whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[test]
fn refuses_bad_settings_before_running() {
    let fault = |settings: &[(&str, &str)]| {
        let mut all = vec![("elastic-job-type", "SCRIPT"), ("sharding-total-count", "1")];
        all.extend_from_slice(settings);
        faults(&all)
    };
    let missing = fault(&[]);
    assert!(
        missing.contains("jobs.tidy.props.script.command.line`: is missing"),
        "{missing}"
    );
    let unbalanced = fault(&[("props.script.command.line", "sh -c 'exit")]);
    assert!(
        unbalanced.contains("`sh -c 'exit`: cannot be split into words: a quote is not closed"),
        "{unbalanced}"
    );
    let unknown = fault(&[("props.script.command.line", "true"), ("props.script.time-out", "1m")]);
    assert!(unknown.contains("did you mean `script.timeout`?"), "{unknown}");
    let other = faults(&[("elastic-job-type", "SCRIPTS"), ("sharding-total-count", "1")]);
    assert!(
        other.contains("unknown elastic-job-type `SCRIPTS`: expected one of HTTP, SCRIPT"),
        "{other}"
    );
}
