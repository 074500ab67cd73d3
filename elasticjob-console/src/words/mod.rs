//! What the console says, in each language.
//!
//! [`Words`] has a field for each text, so that a translation that is missing does not compile. Texts that have numbers or names in them
//! are functions.

mod chinese;
mod english;

use axum::http::header::{self, HeaderMap};
use elasticjob::configuration::cron::Expression;
use elasticjob::configuration::job::setting::Setting;
use elasticjob::operation::world::Outcome;
use elasticjob::operation::{Finding, UnlistedReason};
use elasticjob::run::{Reason, Source};
use elasticjob::trace::history::RunOutcome;

use crate::access::{NoToken, Rights};
use crate::audit;
use crate::draw::Shape;
use crate::key::cookies;

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// English.
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

/// The cookie with the language that a visitor chose.
pub(crate) const COOKIE: &str = "ej-language";

impl Language {
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &english::WORDS,
            Self::Chinese => &chinese::WORDS,
        }
    }

    pub(crate) fn parse(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// Returns the language that a visitor chose, or else the one of ours that the browser prefers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if let Some(chosen) = cookies(headers, COOKIE).find_map(Self::parse) {
            return chosen;
        }
        let preferred = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        let mut codes = preferred
            .unwrap_or_default()
            .split(',')
            .map(|code| code.trim().get(..2).unwrap_or_default());
        codes.find_map(Self::parse).unwrap_or(Self::English)
    }
}

/// All texts of a language.
pub(crate) struct Words {
    /// The code of the language, for browsers.
    pub(crate) code: &'static str,
    /// The code and the name of the other language.
    pub(crate) other: (&'static str, &'static str),

    // The frame.
    pub(crate) skip: &'static str,
    pub(crate) jobs: &'static str,
    pub(crate) servers: &'static str,
    pub(crate) search: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) theme: &'static str,
    pub(crate) pause: &'static str,
    pub(crate) resume: &'static str,
    pub(crate) live: &'static str,
    pub(crate) stale: &'static str,
    pub(crate) reload: &'static str,
    pub(crate) close: &'static str,
    pub(crate) reading: fn(done: usize, all: usize) -> String,
    pub(crate) reading_some: &'static str,
    pub(crate) away: fn(since: &str, problem: &str) -> String,

    // The list of jobs.
    pub(crate) job: &'static str,
    pub(crate) schedule: &'static str,
    pub(crate) next: &'static str,
    pub(crate) items: &'static str,
    pub(crate) last_firings: &'static str,
    pub(crate) durations: &'static str,
    pub(crate) all_well: fn(jobs: usize, items: usize, instances: usize) -> String,
    pub(crate) attention: &'static str,
    pub(crate) running: &'static str,
    pub(crate) off: &'static str,
    pub(crate) all: &'static str,
    pub(crate) no_job: &'static str,
    pub(crate) no_match: &'static str,
    pub(crate) looked_at: fn(registry: &str) -> String,
    pub(crate) no_jobs_here: &'static str,
    pub(crate) page_of: fn(from: usize, to: usize, all: usize) -> String,
    pub(crate) earlier: &'static str,
    pub(crate) later: &'static str,
    pub(crate) sort: &'static str,
    pub(crate) by_attention: &'static str,
    pub(crate) by_name: &'static str,
    pub(crate) by_next: &'static str,
    pub(crate) in_memory: &'static str,
    pub(crate) more_jobs: fn(usize) -> String,

    // Times.
    pub(crate) in_time: fn(&str) -> String,
    pub(crate) ago: fn(&str) -> String,
    pub(crate) never: &'static str,
    pub(crate) when_triggered: &'static str,

    // A job.
    pub(crate) runs: fn(schedule: &str) -> String,
    pub(crate) runs_when_triggered: &'static str,
    pub(crate) all_ran: fn(items: usize, time: &str) -> String,
    pub(crate) instances: fn(usize) -> String,
    pub(crate) count_items: fn(u32) -> String,
    pub(crate) leader: fn(&str) -> String,
    pub(crate) version: fn(i32) -> String,
    pub(crate) matrix: &'static str,
    pub(crate) item: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) status: &'static str,
    pub(crate) last_run: &'static str,
    pub(crate) why: &'static str,
    pub(crate) took: &'static str,
    pub(crate) attempt: fn(u32) -> String,
    pub(crate) no_owner: &'static str,
    pub(crate) nothing_seen: &'static str,
    pub(crate) take_over: &'static str,
    pub(crate) make_up: &'static str,
    pub(crate) shape: fn(Shape) -> &'static str,
    pub(crate) height: fn(&str) -> String,
    pub(crate) firing_at: fn(&str) -> String,
    pub(crate) firing_gone: &'static str,
    pub(crate) not_observed: &'static str,
    pub(crate) ended: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) trigger: &'static str,
    pub(crate) next_times: &'static str,
    pub(crate) more_items: fn(usize) -> String,
    pub(crate) no_such_job: fn(&str) -> String,
    pub(crate) no_such_page: &'static str,

    // Actions.
    pub(crate) run_now: &'static str,
    pub(crate) run_items: fn(items: u32, instances: usize) -> String,
    pub(crate) parameter: &'static str,
    pub(crate) switch_off: &'static str,
    pub(crate) switch_on: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) cancel_run: &'static str,
    pub(crate) actions: &'static str,
    pub(crate) off_warning: &'static str,
    pub(crate) as_command: &'static str,
    pub(crate) as_request: &'static str,
    pub(crate) for_scripts: &'static str,
    pub(crate) triggered: fn(&str) -> String,
    pub(crate) switched_off: fn(&str) -> String,
    pub(crate) switched_on: fn(&str) -> String,
    pub(crate) run_cancelled: fn(&str) -> String,
    pub(crate) failed: &'static str,
    pub(crate) item_of: fn(item: u32, job: &str) -> String,

    // Servers.
    pub(crate) server: &'static str,
    pub(crate) instance_ids: &'static str,
    pub(crate) off_in: fn(off: usize, jobs: usize) -> String,
    pub(crate) no_servers: &'static str,
    pub(crate) off_in_all: &'static str,

    // Logins and settings.
    pub(crate) settings: &'static str,
    pub(crate) log_in: &'static str,
    pub(crate) log_out: &'static str,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) wrong_password: &'static str,
    pub(crate) wait_to_log_in: fn(seconds: &str) -> String,
    pub(crate) busy_logins: &'static str,
    pub(crate) you: &'static str,
    pub(crate) may: &'static str,
    pub(crate) rights: fn(Rights) -> &'static str,
    pub(crate) no_users: &'static str,
    pub(crate) appearance: &'static str,
    pub(crate) as_system: &'static str,
    pub(crate) light: &'static str,
    pub(crate) dark: &'static str,
    pub(crate) language: &'static str,
    pub(crate) registry: &'static str,
    pub(crate) users: &'static str,
    pub(crate) about_users: &'static str,
    pub(crate) sessions: &'static str,
    pub(crate) opened: &'static str,
    pub(crate) last_used: &'static str,
    pub(crate) from_where: &'static str,
    pub(crate) this_session: &'static str,
    pub(crate) end_session: &'static str,
    pub(crate) session_ended: fn(user: &str) -> String,
    pub(crate) tokens: &'static str,
    pub(crate) about_tokens: &'static str,
    pub(crate) name: &'static str,
    pub(crate) expires: &'static str,
    pub(crate) days: &'static str,
    pub(crate) make_token: &'static str,
    pub(crate) token_made: &'static str,
    pub(crate) revoke: &'static str,
    pub(crate) token_revoked: fn(&str) -> String,
    pub(crate) no_token: fn(&NoToken) -> &'static str,
    pub(crate) of_configuration: &'static str,
    pub(crate) gone_already: &'static str,
    pub(crate) audit: &'static str,
    pub(crate) about_audit: &'static str,
    pub(crate) audit_in_memory: &'static str,
    pub(crate) audit_away: fn(problem: &str) -> String,
    pub(crate) audit_wrong: fn(row: i64) -> String,
    pub(crate) audited: fn(&audit::Outcome) -> &'static str,
    pub(crate) number: &'static str,
    pub(crate) time: &'static str,
    pub(crate) action: &'static str,

    // What needs attention.
    pub(crate) failed_in_a_row: fn(item: u32, times: usize, instance: &str, cause: &str) -> String,
    pub(crate) did_not_succeed: fn(item: u32, outcome: &str, cause: &str) -> String,
    pub(crate) overdue: fn(time: &str) -> String,
    pub(crate) items_off: fn(items: &str) -> String,

    // What the framework says.
    pub(crate) outcome: fn(Outcome) -> &'static str,
    pub(crate) source: fn(Source) -> &'static str,
    pub(crate) reason_of: fn(Reason) -> &'static str,
    pub(crate) schedule_of: fn(&Expression) -> String,
    pub(crate) finding: fn(&Finding) -> String,
    pub(crate) unlisted: fn(&UnlistedReason) -> String,

    // The history.
    pub(crate) history: &'static str,
    pub(crate) history_filter: &'static str,
    pub(crate) history_terms: &'static str,
    pub(crate) apply: &'static str,
    pub(crate) filter_too_long: &'static str,
    pub(crate) filter_unknown: fn(term: &str) -> String,
    pub(crate) filter_value: fn(term: &str, value: &str, expected: &str) -> String,
    pub(crate) from_memory: &'static str,
    pub(crate) from_database: fn(&str) -> String,
    pub(crate) database_away: fn(problem: &str) -> String,
    pub(crate) by_run: &'static str,
    pub(crate) by_error: &'static str,
    pub(crate) by_host: &'static str,
    pub(crate) durations_of_runs: &'static str,
    pub(crate) counted_runs: fn(count: usize, half: &str, most: &str) -> String,
    pub(crate) no_runs: &'static str,
    pub(crate) started: &'static str,
    pub(crate) runs_counted: &'static str,
    pub(crate) unsuccessful: &'static str,
    pub(crate) first_seen: &'static str,
    pub(crate) last_seen: &'static str,
    pub(crate) newest_runs: &'static str,
    pub(crate) older_runs: &'static str,
    pub(crate) no_cause: &'static str,
    pub(crate) run_outcome: fn(RunOutcome) -> &'static str,

    // A run.
    pub(crate) run: &'static str,
    pub(crate) run_of: fn(item: u32, job: &str) -> String,
    pub(crate) no_such_run: &'static str,
    pub(crate) scheduled: &'static str,
    pub(crate) retries: &'static str,
    pub(crate) error: &'static str,
    pub(crate) log: &'static str,
    pub(crate) log_nothing: &'static str,
    pub(crate) log_goes_on: &'static str,
    pub(crate) log_cut: fn(messages: u64) -> String,
    pub(crate) log_whole: &'static str,
    pub(crate) all_of_item: &'static str,

    // The configuration of a job.
    pub(crate) configuration: &'static str,
    pub(crate) setting: &'static str,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    pub(crate) unset: &'static str,
    pub(crate) by_default: &'static str,
    pub(crate) preview: &'static str,
    pub(crate) no_change: &'static str,
    pub(crate) look_at_change: &'static str,
    pub(crate) save: &'static str,
    pub(crate) configured: fn(version: i32) -> String,
    pub(crate) changed_meanwhile: fn(version: i32) -> String,
    pub(crate) yaml_unreadable: &'static str,
    pub(crate) editors_alone: &'static str,
    pub(crate) is_code: fn(setting: &str) -> String,
    pub(crate) items_change: fn(before: u32, after: u32) -> String,
    pub(crate) items_move: fn(usize) -> String,
    pub(crate) items_shared_out: &'static str,
    pub(crate) unknown_to_java: fn(&str) -> String,
    pub(crate) props_about: &'static str,
    pub(crate) masked_values: &'static str,
    pub(crate) setting_about: fn(&Setting) -> &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn chosen(headers: &[(header::HeaderName, &'static str)]) -> Language {
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        Language::of(&pairs.collect())
    }

    #[test]
    fn is_that_of_the_visitor() {
        assert_eq!(chosen(&[]), Language::English);
        assert_eq!(
            chosen(&[(header::ACCEPT_LANGUAGE, "zh-CN,zh;q=0.9,en;q=0.8")]),
            Language::Chinese
        );
        assert_eq!(
            chosen(&[(header::ACCEPT_LANGUAGE, "de,en-GB;q=0.8,zh;q=0.1")]),
            Language::English
        );
        let both = [(header::ACCEPT_LANGUAGE, "zh"), (header::COOKIE, "ej-language=en")];
        assert_eq!(chosen(&both), Language::English);
        assert_eq!(chosen(&[(header::COOKIE, "ej-language=xx")]), Language::English);
        assert_eq!(chosen(&[(header::ACCEPT_LANGUAGE, "é")]), Language::English);
    }
}
