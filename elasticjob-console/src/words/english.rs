//! English.

use elasticjob::configuration::cron::Expression;
use elasticjob::operation::UnlistedReason;
use elasticjob::operation::world::Outcome;
use elasticjob::run::{Reason, Source, Verdict};
use elasticjob::trace::history::RunOutcome;

use super::Words;
use crate::access::{NoToken, Rights};
use crate::audit;
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

    settings: "Settings",
    log_in: "Log in",
    log_out: "Log out",
    user: "User",
    password: "Password",
    wrong_password: "The name or the password is wrong.",
    wait_to_log_in: |seconds| format!("Too many failed logins. Try again in {seconds} s."),
    busy_logins: "Too many users log in at this moment. Try again in some seconds.",
    you: "You",
    may: "Role",
    rights: |rights| match rights {
        Rights::Viewer => "viewer: looks",
        Rights::Operator => "operator: runs and switches jobs",
        Rights::Editor => "editor: also changes configuration",
        Rights::Admin => "admin: all",
    },
    no_users: "This console has no users of its own.",
    appearance: "Appearance",
    as_system: "As the system",
    light: "Light",
    dark: "Dark",
    language: "Language",
    registry: "Registry centre",
    users: "Users",
    about_users: "Users are configured below elasticjob.console.users.",
    sessions: "Sessions",
    opened: "Logged in",
    last_used: "Last used",
    from_where: "From",
    this_session: "this browser",
    end_session: "End",
    session_ended: |user| format!("A session of {user} has ended."),
    tokens: "API tokens",
    about_tokens: "Programs send a token as the header Authorization: Bearer. It may at most what its user may.",
    name: "Name",
    expires: "Ends",
    days: "Days, 90 at most",
    make_token: "Make a token",
    token_made: "This is the token. It is shown this once: copy it now.",
    revoke: "Revoke",
    token_revoked: |name| format!("Token {name} is revoked."),
    no_token: |problem| match problem {
        NoToken::Name => "a name of 1 to 64 visible bytes is expected that no other token has",
        NoToken::Rights => "a token may not more than its user",
        NoToken::Limits => "1 to 90 days and at most 64 patterns of jobs are expected",
        NoToken::NotKept => "the file of the console cannot be written",
    },
    of_configuration: "the configuration",
    gone_already: "it is gone already, or is not yours",
    audit: "Audit log",
    about_audit: "Which visitor asked for what, and what came of it.",
    audit_in_memory: "It is in memory and ends with this process; elasticjob.console.data-dir keeps it.",
    audit_away: |problem| format!("The audit log cannot be read: {problem}"),
    audit_wrong: |row| format!("Row {row} is not as it was written, or a row before it is missing."),
    audited: |outcome| match outcome {
        audit::Outcome::Asked => "asked",
        audit::Outcome::Done => "done",
        audit::Outcome::Failed(_) => "failed",
        audit::Outcome::Refused(_) => "refused",
    },
    number: "No.",
    time: "Time",
    action: "Request",

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

    history: "History",
    history_filter: "Filter runs",
    history_terms: "A job by its name, and:",
    apply: "Filter",
    filter_too_long: "The filter is too long: 256 characters and 16 terms at most.",
    filter_unknown: |term| format!("There is no term `{term}:`."),
    filter_value: |term, value, expected| format!("`{term}:{value}` is not understood: expected {expected}."),
    from_memory: "No history is recorded. These are the newest firings that this console has seen, up to 50 of each job. To keep a history, set elasticjob.tracing.",
    from_database: |database| format!("From {database}."),
    database_away: |problem| {
        format!(
            "The database of the history does not answer. Jobs run on, and what they do is recorded once it is back. This page asks again by itself. It says: {problem}"
        )
    },
    by_run: "runs",
    by_error: "by error",
    by_host: "by host",
    durations_of_runs: "How long runs took",
    counted_runs: |count, half, most| {
        format!(
            "Of the newest {}: half took up to {half}, 95 % up to {most}.",
            counted(count, "run", "runs")
        )
    },
    no_runs: "No run matches.",
    started: "Started",
    runs_counted: "Runs",
    unsuccessful: "Not succeeded",
    first_seen: "First",
    last_seen: "Last",
    newest_runs: "Newest runs",
    older_runs: "Older runs",
    no_cause: "no cause is recorded",
    run_outcome: |outcome| match outcome {
        RunOutcome::Running => "running",
        RunOutcome::Succeeded => "succeeded",
        RunOutcome::Failed => "failed",
        RunOutcome::Cancelled => "cancelled",
        RunOutcome::Lost => "lost",
        _ => "unknown",
    },

    run: "Run",
    run_of: |item, job| format!("A run of item {item} of {job}"),
    no_such_run: "There is no such run.",
    scheduled: "Scheduled",
    retries: "Retries",
    error: "Error",
    log: "Log",
    log_nothing: "No log is kept: nothing was logged, or elasticjob.tracing.run-log keeps none of such a run.",
    log_goes_on: "The run goes on: this page reads it again every 2 seconds.",
    log_cut: |messages| format!("{messages} earlier messages were cut off."),
    log_whole: "The whole log",
    all_of_item: "All runs of this item",

    configuration: "Configuration",
    setting: "Setting",
    before: "Before",
    after: "After",
    unset: "not set",
    by_default: "default",
    preview: "What would change",
    no_change: "Nothing is different from what is stored.",
    look_at_change: "Look at the change",
    save: "Save",
    configured: |version| {
        format!("The configuration is saved, version {version}. Runs that go on keep the one that they began with.")
    },
    changed_meanwhile: |version| {
        format!(
            "Another operator has changed the configuration, which has version {version} now. Nothing is saved. Below is your change, against that version."
        )
    },
    yaml_unreadable: "The YAML is not a configuration that a job can run by. Nothing is saved.",
    editors_alone: "Editors may change it.",
    is_code: |setting| format!("{setting} is code on every instance: an admin may change it"),
    items_change: |before, after| {
        let (before, after) = (
            counted(before as usize, "item", "items"),
            counted(after as usize, "item", "items"),
        );
        format!("{after} instead of {before}.")
    },
    items_move: |items| match items {
        0 => "No item moves to another instance.".to_owned(),
        1 => "1 item moves to another instance.".to_owned(),
        items => format!("{items} items move to other instances."),
    },
    items_shared_out: "The items are shared out again.",
    unknown_to_java: |names| format!("Java members do not know: {names}."),
    props_about: "A line each, key=value. \\n in a value is a line end.",
    masked_values: "A value that stays ****** stays as it is. If the place changes that a secret is sent to, it has to be entered again.",
    setting_about: |setting| setting.about,
};
