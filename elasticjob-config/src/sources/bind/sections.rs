use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use super::{Binder, Declarations};
use crate::sources::error::Origin;
use crate::sources::key::Key;
use crate::sources::layer::Layer;
use crate::sources::settings::{
    DataSourceSetting, DataSourceSettings, DumpSettings, KeptRunLogs, MetricsSettings, NetworkSettings,
    RegistrySettings, RunLogLevel, RunLogSettings, Settings, Sources, TracedJobs, TracingSettings,
};

const GRACE_PERIOD: Key = Key::Setting("shutdown.grace-period");
const LABELS: Key = Key::Setting("labels");
const IP: Key = Key::Setting("network.ip");
const TYPE: Key = Key::Setting("tracing.type");
const INCLUDE: Key = Key::Setting("tracing.include-job-names");
const EXCLUDE: Key = Key::Setting("tracing.exclude-job-names");
const RETENTION: Key = Key::Setting("tracing.retention");
const RUN_LOG_LEVEL: Key = Key::Setting("tracing.run-log.level");
const RUN_LOG_SIZE: Key = Key::Setting("tracing.run-log.max-size");
const RUN_LOG_KEEP: Key = Key::Setting("tracing.run-log.keep");
const METRICS_HOST: Key = Key::Setting("metrics.host");
const METRICS_PORT: Key = Key::Setting("metrics.port");
const DUMP_HOST: Key = Key::Setting("dump.host");
const DUMP_PORT: Key = Key::Setting("dump.port");

impl Binder<'_> {
    /// Reads all settings of an application, section by section. Each of them goes on after the faults of another.
    pub(super) fn settings(
        &mut self,
        jobs: BTreeMap<String, Layer>,
        declarations: &Declarations<'_>,
        profiles: Vec<String>,
        sources: Sources,
    ) -> Settings {
        Settings {
            enabled: true,
            registry: self.registry(&sources).unwrap_or(RegistrySettings::Unnamed),
            jobs: self.jobs(jobs, declarations),
            grace_period: self.duration(&GRACE_PERIOD).unwrap_or(Duration::from_secs(30)),
            labels: self.labels(),
            network: self.network(),
            metrics: self.metrics(),
            tracing: self.tracing(),
            dump: self.dump(),
            console: self.console(),
            profiles,
            sources,
            origins: self.origins(),
        }
    }

    /// Returns where each setting of the application was written.
    fn origins(&self) -> BTreeMap<&'static str, Origin> {
        let origin = |(key, bound): (&Key, &super::Bound)| match key {
            Key::Setting(name) => Some((*name, bound.origin.clone())),
            _ => None,
        };
        self.entries.iter().filter_map(origin).collect()
    }

    /// Reads the labels of this instance. The characters by which a job joins labels cannot be in one.
    fn labels(&mut self) -> Vec<String> {
        let labels = self.list(&LABELS);
        if let (Some(bound), true) = (
            self.bound(&LABELS),
            labels.iter().any(|label| label.contains(['&', '='])),
        ) {
            self.fault(
                &bound,
                "a label has neither `&` nor `=` in it: these join and give labels",
            );
        }
        labels
    }

    fn network(&mut self) -> NetworkSettings {
        NetworkSettings {
            preferred_interface: self.text(&Key::Setting("network.preferred-interface")),
            preferred_ip: self.text(&Key::Setting("network.preferred-ip")),
            ip: self.number(&IP, "an IP address is expected"),
        }
    }

    /// Reads where metrics are shown: nowhere without a port, and to this machine alone without a host.
    fn metrics(&mut self) -> Option<MetricsSettings> {
        let host = self.number(&METRICS_HOST, "an IP address is expected, such as 0.0.0.0");
        if self.bound(&METRICS_HOST).is_some() && self.bound(&METRICS_PORT).is_none() {
            self.missing(&METRICS_PORT, "is missing, so that nothing would listen: name a port");
        }
        let port = self.number(&METRICS_PORT, "ports are 0 to 65535")?;
        Some(MetricsSettings {
            host: host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port,
        })
    }

    /// Reads where the state of the jobs is shown: nowhere without a port, and to this machine alone without a host.
    fn dump(&mut self) -> Option<DumpSettings> {
        let is_enabled = self.bool(&Key::Setting("dump.enabled")).unwrap_or(true);
        let host = self.number(&DUMP_HOST, "an IP address is expected, such as 0.0.0.0");
        if self.bound(&DUMP_HOST).is_some() && self.bound(&DUMP_PORT).is_none() {
            self.missing(&DUMP_PORT, "is missing, so that nothing would listen: name a port");
        }
        let port = self.number(&DUMP_PORT, "ports are 0 to 65535")?;
        is_enabled.then_some(DumpSettings {
            host: host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port,
        })
    }

    /// Reads what is kept of the logs of runs.
    fn run_log(&mut self) -> RunLogSettings {
        let level = self.parsed(
            &RUN_LOG_LEVEL,
            "`error`, `warn`, `info`, `debug` or `trace` is expected",
            level,
        );
        let max_size = self.parsed(
            &RUN_LOG_SIZE,
            "a size from `1KiB` to `1MiB` is expected, such as `16KiB`",
            size,
        );
        let keep = self.parsed(&RUN_LOG_KEEP, "`failed`, `all` or `none` is expected", keep);
        RunLogSettings {
            level: level.unwrap_or_default(),
            max_size: max_size.unwrap_or(RunLogSettings::DEFAULT_SIZE),
            keep: keep.unwrap_or_default(),
        }
    }

    /// Reads where and of which jobs history is recorded. Settings that do nothing without a type are a fault without
    /// it.
    pub(super) fn tracing(&mut self) -> Option<TracingSettings> {
        let data_source: BTreeMap<String, DataSourceSetting> = self.entries.iter().filter_map(data_source).collect();
        let (only, all_but) = (self.list(&INCLUDE), self.list(&EXCLUDE));
        let has_both = !only.is_empty() && !all_but.is_empty();
        if has_both && let Some(bound) = self.bound(&EXCLUDE) {
            self.fault(&bound, "either names jobs to include or jobs to exclude, not both");
        }
        let retention = self.parsed(&RETENTION, "a time above zero is expected, such as `30d` or `12h`", age);
        let run_log = self.run_log();
        let has_run_log = [RUN_LOG_LEVEL, RUN_LOG_SIZE, RUN_LOG_KEEP]
            .iter()
            .any(|key| self.bound(key).is_some());
        let Some(bound) = self.bound(&TYPE) else {
            if has_run_log
                || has_both
                || retention.is_some()
                || !only.is_empty()
                || !all_but.is_empty()
                || !data_source.is_empty()
            {
                self.missing(
                    &TYPE,
                    "is missing, so that the rest of `tracing` does nothing: write `type: RDB`",
                );
            }
            return None;
        };
        // The program may bring other types, whose names are exact.
        let storage = match bound.text.trim() {
            text if text.eq_ignore_ascii_case("RDB") => "RDB".to_owned(),
            text => text.to_owned(),
        };
        Some(TracingSettings {
            storage,
            data_source: (!data_source.is_empty()).then_some(DataSourceSettings(data_source)),
            origin: bound.origin,
            jobs_origin: self
                .bound(&INCLUDE)
                .or_else(|| self.bound(&EXCLUDE))
                .map(|bound| bound.origin),
            jobs: match (only.is_empty(), all_but.is_empty()) {
                (false, _) => TracedJobs::Only(only),
                (true, false) => TracedJobs::AllBut(all_but),
                (true, true) => TracedJobs::All,
            },
            retention,
            run_log,
        })
    }
}

/// The least and the most bytes that may be kept of the log of an attempt.
const RUN_LOG_SIZES: RangeInclusive<u32> = 1024..=1024 * 1024;

fn level(text: &str) -> Option<RunLogLevel> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "error" => RunLogLevel::Error,
        "warn" => RunLogLevel::Warn,
        "info" => RunLogLevel::Info,
        "debug" => RunLogLevel::Debug,
        "trace" => RunLogLevel::Trace,
        _ => return None,
    })
}

fn keep(text: &str) -> Option<KeptRunLogs> {
    Some(match text.trim().to_ascii_lowercase().as_str() {
        "failed" => KeptRunLogs::Failed,
        "all" => KeptRunLogs::All,
        "none" => KeptRunLogs::None,
        _ => return None,
    })
}

/// A number of bytes: `16KiB`, `1MiB`, or a number alone.
fn size(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1024,
        "m" | "mb" | "mib" => 1024 * 1024,
        _ => return None,
    };
    let bytes = number.parse::<u32>().ok()?.checked_mul(factor)?;
    RUN_LOG_SIZES.contains(&bytes).then_some(bytes)
}

/// How old something may become: as durations, and in days of 24 hours.
fn age(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(age).ok().filter(|age| !age.is_zero())
}

fn data_source((key, bound): (&Key, &super::Bound)) -> Option<(String, DataSourceSetting)> {
    let Key::DataSource(name) = key else { return None };
    let setting = DataSourceSetting {
        text: bound.text.clone(),
        written: bound.written.clone(),
        origin: bound.origin.clone(),
    };
    Some((name.clone(), setting))
}

#[cfg(test)]
mod tests {
    use crate::sources::{KeptRunLogs, Loader, RunLogLevel};

    fn loader(settings: &[(&str, &str)]) -> Loader {
        let given = settings.iter().fold(Loader::new(), |loader, (key, value)| {
            loader.set(format!("tracing.{key}"), *value)
        });
        given.set("reg-center.type", "EMBEDDED")
    }

    #[test]
    fn reads_what_is_kept_of_the_logs_of_runs() {
        let settings = [
            ("type", "RDB"),
            ("run-log.level", "DEBUG"),
            ("run-log.max-size", "64 KiB"),
            ("run-log.keep", "all"),
        ];
        let settings = loader(&settings).load().expect("it is in order");
        let run_log = settings.tracing.expect("there is a type").run_log;
        assert_eq!((run_log.level, run_log.keep), (RunLogLevel::Debug, KeptRunLogs::All));
        assert_eq!(run_log.max_size, 64 * 1024);
    }

    #[test]
    fn names_all_that_is_wrong_with_the_logs_of_runs() {
        let settings = [
            ("type", "RDB"),
            ("run-log.level", "loud"),
            ("run-log.max-size", "2MiB"),
            ("run-log.keep", "some"),
        ];
        let faults = loader(&settings).load().expect_err("it is refused").to_string();
        for fault in ["`error`, `warn`", "from `1KiB` to `1MiB`", "`failed`, `all` or `none`"] {
            assert!(faults.contains(fault), "{faults}");
        }
        let without_type = loader(&[("run-log.keep", "all")]).load().expect_err("it is refused");
        assert!(without_type.to_string().contains("tracing.type"), "{without_type}");
    }
}
