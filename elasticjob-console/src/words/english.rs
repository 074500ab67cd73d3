//! English.

use elasticjob::configuration::cron::Expression;
use elasticjob::operation::UnlistedReason;
use elasticjob::operation::world::Outcome;
use elasticjob::run::{Reason, Source, Verdict};

use super::Words;
use crate::draw::Shape;

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

pub(super) static WORDS: Words = Words {
    code: "en",
    other: ("zh", "中文"),
    skip: "Skip to the content",
    jobs: "Jobs",
    servers: "Servers",
    search: "Search",
    filter: "Filter by name or description",
    theme: "Light or dark",
    pause: "Pause",
    resume: "Resume",
    live: "live",
    stale: "not live",
    reload: "Reload",
    close: "Close",
    reading: |done, all| format!("Reading the jobs: {done} of {all}"),
    reading_some: "Reading the jobs",
    away: |since, problem| {
        format!(
            "The registry does not answer since {since}. What you see is of then. Instances that reach it go on. It says: {problem}"
        )
    },

    job: "Job",
    schedule: "Schedule",
    next: "Next",
    items: "Items",
    last_firings: "Last 30 times",
    durations: "p50 / p95",
    all_well: |jobs, items, instances| {
        format!(
            "Nothing needs attention. {}, {} on {}.",
            counted(jobs, "job", "jobs"),
            counted(items, "item", "items"),
            counted(instances, "instance", "instances")
        )
    },
    attention: "Attention",
    running: "Running",
    off: "Off",
    all: "All",
    no_job: "No jobs yet. Start an application, or try `cargo run -p quickstart`.",
    no_match: "No job matches.",
    looked_at: |registry| format!("Looked at {registry}."),
    no_jobs_here: "Nodes that are no jobs",
    page_of: |from, to, all| format!("{from}–{to} of {all}"),
    earlier: "Previous",
    later: "Next page",
    sort: "Sort",
    by_attention: "attention",
    by_name: "name",
    by_next: "next time",
    in_memory: "In memory: it ends with this process. To share jobs between processes, set elasticjob.reg-center in application.yaml.",
    more_jobs: |more| format!("and {more} more"),

    in_time: |time| format!("in {time}"),
    ago: |time| format!("{time} ago"),
    never: "never",
    when_triggered: "when triggered",

    runs: |schedule| format!("Runs {schedule}"),
    runs_when_triggered: "Runs when it is triggered",
    all_ran: |items, time| match items {
        1 => format!("Its item ran at {time}."),
        items => format!("All {items} items ran at {time}."),
    },
    instances: |count| counted(count, "instance", "instances"),
    count_items: |count| counted(count as usize, "item", "items"),
    leader: |leader| format!("leader {leader}"),
    version: |version| format!("configuration version {version}"),
    matrix: "Matrix",
    item: "Item",
    owner: "Owner",
    status: "Status",
    last_run: "Last run",
    why: "Why",
    took: "Took",
    attempt: |attempt| format!("attempt {attempt}"),
    no_owner: "no owner",
    nothing_seen: "No firing was seen yet. Firings are shown from the first look on.",
    take_over: "chevron: taken over",
    make_up: "ring: made up",
    shape: |shape| match shape {
        Shape::Succeeded => "succeeded",
        Shape::Failed => "failed",
        Shape::Lost => "lost",
        Shape::Skipped => "skipped or cancelled",
        Shape::Running => "running",
        Shape::Idle => "did not run",
        Shape::Unseen => "not observed",
    },
    height: |most| format!("height: duration, up to {most}"),
    firing_at: |time| format!("The firing of {time}"),
    firing_gone: "This firing is not kept any more: the newest 50 are.",
    not_observed: "not observed",
    ended: "Ended",
    cause: "Cause",
    trigger: "trigger",
    next_times: "Next times",
    more_items: |more| format!("{more} more items are not shown. Failing items come first."),
    no_such_job: |job| format!("There is no job {job}."),
    no_such_page: "There is no such page.",

    run_now: "Run now",
    run_items: |items, instances| {
        format!(
            "Run {} on {}",
            counted(items as usize, "item", "items"),
            counted(instances, "instance", "instances")
        )
    },
    parameter: "Parameter for this run (optional)",
    switch_off: "Switch off",
    switch_on: "Switch on",
    reason: "Reason (optional)",
    cancel_run: "Cancel the run",
    actions: "Actions",
    off_warning: "Nothing switches it on by itself.",
    as_command: "As a command",
    as_request: "Over the API",
    for_scripts: "For scripts",
    triggered: |job| format!("{job} was triggered."),
    switched_off: |what| format!("{what} is switched off."),
    switched_on: |what| format!("{what} is switched on."),
    run_cancelled: |what| format!("The run of {what} is being cancelled."),
    failed: "Not done",
    item_of: |item, job| format!("Item {item} of {job}"),

    server: "Server",
    instance_ids: "Instances",
    off_in: |off, jobs| format!("off in {off} of {jobs}"),
    no_servers: "No server has registered yet.",
    off_in_all: "In all its jobs",

    failed_in_a_row: |item, times, instance, cause| {
        format!("Item {item} failed {times} times in a row, last on {instance}: {cause}")
    },
    did_not_succeed: |item, outcome, cause| match cause {
        "" => format!("Item {item}: the last run {outcome}"),
        cause => format!("Item {item}: the last run {outcome}: {cause}"),
    },
    overdue: |time| format!("Due {time}, and no instance ran it"),
    items_off: |items| format!("Switched off: item {items}"),

    outcome: |outcome| match outcome {
        Outcome::Running => "running",
        Outcome::Passed => "did not run",
        Outcome::Ended(verdict) => match verdict {
            Verdict::Succeeded => "succeeded",
            Verdict::Failed => "failed",
            Verdict::Cancelled => "was cancelled",
            Verdict::Lost => "was lost",
            Verdict::Skipped => "was skipped",
            _ => "ended, unknown how",
        },
        _ => "unknown",
    },
    source: |source| match source {
        Source::Schedule => "by schedule",
        Source::Misfire => "made up",
        Source::Trigger => "triggered",
        Source::Failover => "taken over",
        _ => "for an unknown reason",
    },
    reason_of: Reason::in_english,
    schedule_of: Expression::describe,
    finding: ToString::to_string,
    unlisted: |reason| match reason {
        UnlistedReason::Foreign => "it belongs to another program".to_owned(),
        UnlistedReason::NoConfiguration => "it has no configuration".to_owned(),
        UnlistedReason::InvalidConfiguration { problem } => format!("no job can run by its configuration: {problem}"),
        UnlistedReason::Refused { problem } => format!("it may not be read: {problem}"),
        _ => "it is unknown to this version".to_owned(),
    },
};
