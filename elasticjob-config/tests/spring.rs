//! Spelt as Spring Boot and its manual spell it.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;

use elasticjob_config::sources::{Errors, Loader, RegistrySettings, Settings, TracedJobs};
use tempfile::TempDir;

/// Files in a directory of their own, the environment, and what is active.
#[derive(Default)]
struct Given<'a> {
    files: &'a [(&'a str, &'a str)],
    environment: &'a [(&'a str, &'a str)],
}

impl Given<'_> {
    fn load(&self) -> Result<Settings, Errors> {
        self.with(|loader| loader.load())
    }

    fn with<T>(&self, load: impl FnOnce(&Loader) -> T) -> T {
        let directory: TempDir = tempfile::tempdir().unwrap();
        for (name, text) in self.files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&Loader::new().directory(directory.path()).environment(variables))
    }
}

fn yaml(text: &str) -> Result<Settings, Errors> {
    let files = [("application.yml", text)];
    Given {
        files: &files,
        ..Given::default()
    }
    .load()
}

fn properties(text: &str) -> Result<Settings, Errors> {
    let files = [("application.properties", text)];
    Given {
        files: &files,
        ..Given::default()
    }
    .load()
}

/// The faults, with the directory's path left out.
fn faults(result: Result<Settings, Errors>) -> Vec<String> {
    let shorten = |text: String| match text.split_once("/application") {
        Some((directory, rest)) if directory.starts_with('/') => format!("application{rest}"),
        _ => text,
    };
    let errors = result.unwrap_err();
    errors.iter().map(|error| shorten(error.to_string())).collect()
}

mod data_source {
    use super::*;

    const MANUAL: &str = "\
spring:
  datasource:
    url: jdbc:mysql://db:3306/jobs
    driver-class-name: com.mysql.cj.jdbc.Driver
    username: root
    password: hunter2
    hikari: {connection-timeout: 3000}
    platform: mysql
elasticjob:
  tracing:
    type: RDB
";

    fn setting<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
        settings.tracing.as_ref()?.data_source.as_ref()?.get(name)
    }

    #[test]
    fn is_springs_if_history_has_none_of_its_own() {
        let settings = yaml(MANUAL).unwrap();
        assert_eq!(setting(&settings, "url"), Some("jdbc:mysql://db:3306/jobs"));
        assert_eq!(setting(&settings, "username"), Some("root"));
        assert_eq!(setting(&settings, "password"), Some("hunter2"));
        assert_eq!(
            setting(&settings, "driver-class-name"),
            Some("com.mysql.cj.jdbc.Driver")
        );
        let tracing = settings.tracing.as_ref().unwrap();
        let names: Vec<_> = tracing.data_source.as_ref().unwrap().names().collect();
        assert_eq!(
            names,
            ["driver-class-name", "password", "url", "username"],
            "the rest is others'"
        );
        let fault = tracing.data_source_fault("url", "is wrong").to_string();
        assert!(
            fault.ends_with("application.yml:3: `spring.datasource.url`: is wrong"),
            "{fault}"
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn is_read_for_programs_that_read_tracing_alone() {
        let files = [("application.yml", MANUAL)];
        let given = Given {
            files: &files,
            ..Given::default()
        };
        let tracing = given.with(|loader| loader.load_tracing()).unwrap().unwrap();
        assert_eq!(
            tracing.data_source.unwrap().get("url"),
            Some("jdbc:mysql://db:3306/jobs")
        );
    }

    #[test]
    fn of_tracing_wins_as_a_whole_or_in_part() {
        let own = format!("{MANUAL}    data-source: {{url: 'sqlite:a.db'}}\n");
        let settings = yaml(&own).unwrap();
        assert_eq!(setting(&settings, "url"), Some("sqlite:a.db"));
        assert_eq!(setting(&settings, "password"), None, "it is for another database");
        let in_part = format!("{MANUAL}    data-source: {{username: history}}\n");
        let settings = yaml(&in_part).unwrap();
        assert_eq!(setting(&settings, "username"), Some("history"));
        assert_eq!(setting(&settings, "url"), Some("jdbc:mysql://db:3306/jobs"));
    }

    #[test]
    fn comes_from_files_of_profiles_and_the_environment_too() {
        let profile = "spring.datasource.username=${DB_USER}\n";
        let files = [("application.yml", MANUAL), ("application-prod.properties", profile)];
        let environment = [
            ("ELASTICJOB_PROFILES_ACTIVE", "prod"),
            ("DB_USER", "prod-user"),
            ("SPRING_DATASOURCE_URL", "jdbc:postgresql://prod/jobs"),
            ("SPRING_DATASOURCE_HIKARI_PASSWORD", "of the pool"),
            ("spring.datasource.driver-class-name", "org.postgresql.Driver"),
        ];
        let settings = Given {
            files: &files,
            environment: &environment,
        }
        .load()
        .unwrap();
        assert_eq!(setting(&settings, "url"), Some("jdbc:postgresql://prod/jobs"));
        assert_eq!(setting(&settings, "username"), Some("prod-user"));
        assert_eq!(setting(&settings, "password"), Some("of the pool"));
        assert_eq!(setting(&settings, "driver-class-name"), Some("org.postgresql.Driver"));
    }

    #[test]
    fn is_nobodys_business_without_tracing() {
        let text = MANUAL.replace("type: RDB", "").replace("root", "${NO_SUCH_NAME}");
        assert_eq!(yaml(&text).unwrap().tracing, None);
        let refused = faults(yaml(&text.replace("tracing:", "tracing: {type: RDB}")));
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0].starts_with("application.yml:5: `spring.datasource.username` is"),
            "{refused:?}"
        );
    }

    #[test]
    fn that_cannot_be_read_is_passed_on_to_be_refused() {
        let settings =
            yaml("spring.datasource: {jndi-name: java:comp/env/db}\nelasticjob.tracing.type: RDB\n").unwrap();
        assert_eq!(setting(&settings, "jndi-name"), Some("java:comp/env/db"));
    }
}

mod lists {
    use super::*;

    #[test]
    fn stand_in_brackets_as_in_the_manual() {
        let text = "elasticjob.tracing.type=RDB\nelasticjob.tracing.excludeJobNames=[ job-name ]\nelasticjob.labels=[gpu, ssd]\n";
        let settings = properties(text).unwrap();
        assert_eq!(settings.labels, ["gpu", "ssd"]);
        let tracing = settings.tracing.unwrap();
        assert_eq!(tracing.jobs, TracedJobs::AllBut(vec!["job-name".to_owned()]));
        assert!(
            tracing
                .jobs_origin
                .unwrap()
                .to_string()
                .ends_with("application.properties:2")
        );
        let environment = [("ELASTICJOB_LABELS", "[gpu,ssd]")];
        let settings = Given {
            environment: &environment,
            ..Given::default()
        }
        .load()
        .unwrap();
        assert_eq!(settings.labels, ["gpu", "ssd"]);
    }

    #[test]
    fn with_one_bracket_are_refused() {
        assert_eq!(
            faults(properties("elasticjob.labels=[gpu, ssd\n")),
            ["application.properties:1: `elasticjob.labels` is `[gpu, ssd`: a list is written `a, b` or `[a, b]`"]
        );
    }
}

/// What Spring Boot and the Java starter bind, and we do.
mod vectors {
    use std::collections::BTreeMap;

    use elasticjob_config::sources::{Declared, Implementation};
    use serde::Deserialize;

    use super::*;

    /// Where we differ, each as it is decided: what we do instead.
    const OTHERWISE: [(&str, Instead); 4] = [
        (
            "r16-datasource-bean",
            Instead::Refused("`elasticjob.tracing.data-source-bean-name`: names a bean of Java"),
        ),
        // Spring leaves out lists where a text is expected, and the starter then fails.
        ("t07-list", Instead::Accepted),
        // Spring drops characters of names, and what is below a name with dots.
        (
            "t10-dotted-job",
            Instead::Refused("contains `/`, which separates the nodes of the registry"),
        ),
        // `elasticjob.profiles.active` is ours, and obeyed.
        ("p10-group-include", Instead::Accepted),
    ];

    enum Instead {
        Accepted,
        Refused(&'static str),
    }

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    /// A case without files is a note, and has a test of its own.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Case {
        Files(Vector),
        Note(serde::de::IgnoredAny),
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        input: BTreeMap<String, String>,
        right: BTreeMap<String, String>,
    }

    /// What Java says that it has bound.
    #[derive(Debug, Default, PartialEq)]
    struct Bound {
        servers: String,
        namespace: String,
        digest: String,
        /// The settings of each job that are not empty, by Java's names.
        jobs: BTreeMap<String, BTreeMap<String, String>>,
    }

    impl Bound {
        fn of_java(text: &str) -> Self {
            let mut bound = Self::default();
            for line in text.lines().map(str::trim_start) {
                if let Some(rest) = line.strip_prefix("reg servers=") {
                    let (servers, rest) = rest.split_once(" namespace=").unwrap();
                    let (namespace, rest) = rest.split_once(" digest=").unwrap();
                    bound.servers = as_zookeeper_reads(servers);
                    bound.namespace = namespace.to_owned();
                    bound.digest = rest.split_once(" session=").unwrap().0.replace("null", "");
                } else if let Some(rest) = line.strip_prefix("job [") {
                    let (name, settings) = rest.split_once("] ").unwrap();
                    bound.jobs.insert(name.to_owned(), settings_of_java(settings));
                }
            }
            bound
        }

        fn of_ours(settings: &Settings) -> Self {
            let mut bound = Self::default();
            if let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry {
                bound.servers = zookeeper.connect_string();
                bound.namespace.clone_from(&zookeeper.namespace);
                bound.digest = zookeeper
                    .digest
                    .as_ref()
                    .map(|digest| digest.reveal().to_owned())
                    .unwrap_or_default();
            }
            for (name, job) in &settings.jobs {
                let mut all = job.config.settings();
                all.extend(job.class.clone().map(|class| ("elasticJobClass".to_owned(), class)));
                all.extend(
                    job.bootstrap
                        .clone()
                        .map(|bean| ("jobBootstrapBeanName".to_owned(), bean)),
                );
                if let Implementation::Type(kind) = &job.implementation {
                    all.insert("elasticJobType".to_owned(), kind.clone());
                }
                bound.jobs.insert(name.clone(), all);
            }
            bound
        }

        /// Leaves out what Java does not show: settings that have their defaults.
        fn only_what_is_in(mut self, java: &Self) -> Self {
            for (name, settings) in &mut self.jobs {
                let shown = java.jobs.get(name);
                settings.retain(|key, _| shown.is_none_or(|shown| shown.contains_key(key)));
            }
            self
        }
    }

    /// ZooKeeper's client splits the text, without blanks and empty pieces, and takes a port of 2181 where there is none.
    fn as_zookeeper_reads(servers: &str) -> String {
        let servers = servers.trim().trim_end_matches('/');
        let pieces = servers.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        let with_port = |piece: &str| {
            if piece.contains(':') || piece == "null" {
                piece.to_owned()
            } else {
                format!("{piece}:2181")
            }
        };
        pieces.map(with_port).collect::<Vec<_>>().join(",")
    }

    fn settings_of_java(text: &str) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        for setting in text.split(';').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap();
            match key {
                "props" => {
                    let inner = value.trim_matches(['{', '}']);
                    let pairs = inner.split(", ").filter_map(|pair| pair.split_once('='));
                    settings.extend(pairs.map(|(key, value)| (format!("props.{key}"), value.to_owned())));
                }
                "jobListenerTypes" => drop(settings.insert(key.to_owned(), value.trim_matches(['[', ']']).to_owned())),
                _ => drop(settings.insert(key.to_owned(), value.to_owned())),
            }
        }
        settings.retain(|_, value| !value.is_empty());
        settings
    }

    /// The jobs that the classes of a vector stand for.
    fn declared(input: &BTreeMap<String, String>) -> Vec<Declared> {
        let words = input
            .values()
            .flat_map(|text| text.split([' ', ',', '}', '=', '\n', '\r']));
        let classes = words.filter(|word| word.matches('.').count() >= 2 && word.ends_with("Job"));
        let names: std::collections::BTreeSet<&str> = classes.filter_map(|class| class.rsplit('.').next()).collect();
        let declared = |name: &str| Declared {
            name: name.to_owned(),
            origin: "src/jobs.rs:1".to_owned(),
            values: Vec::new(),
        };
        names.into_iter().map(declared).collect()
    }

    fn load(vector: &Vector, variables: &[(String, String)]) -> Result<Settings, Errors> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &vector.input {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let loader = Loader::new()
            .directory(directory.path())
            .environment(variables.iter().cloned());
        loader.declared(declared(&vector.input)).load()
    }

    #[test]
    fn are_bound_as_spring_binds_them_or_as_decided() {
        let text = include_str!("vectors/spring-boot.json");
        let Vectors { cases } = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        for case in &cases {
            let Case::Files(vector) = case else { continue };
            for (situation, java) in &vector.right {
                let variables: Vec<_> = situation
                    .split(' ')
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                let loaded = load(vector, &variables);
                let id = &vector.id;
                seen += 1;
                match OTHERWISE.iter().find(|(other, _)| other == id) {
                    Some((_, Instead::Accepted)) => drop(loaded.unwrap_or_else(|errors| panic!("{id}: {errors}"))),
                    Some((_, Instead::Refused(problem))) => {
                        let refused = loaded.expect_err(id).to_string();
                        assert!(refused.contains(problem), "{id}: {refused}");
                    }
                    None => {
                        let settings = loaded.unwrap_or_else(|errors| panic!("{id}, {situation}: {errors}"));
                        let java = Bound::of_java(java);
                        let ours = Bound::of_ours(&settings).only_what_is_in(&java);
                        assert_eq!(ours, java, "{id}, {situation}");
                    }
                }
            }
        }
        assert!(seen >= 23, "{seen} of the vectors were there");
    }
}

/// The vectors that describe their input in words.
mod notes {
    use elasticjob_config::job::JobConfig;

    use super::*;

    const SCRIPT: &str = "elastic-job-type: SCRIPT, sharding-total-count: 1";

    fn parameter(given: &Given<'_>, job: &str) -> String {
        given.load().unwrap().jobs[job].config.job_parameter().to_owned()
    }

    #[test]
    fn have_a_test_each() {
        let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors/spring-boot.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        let notes = cases.iter().filter(|case| !case["input"].is_object());
        let mut ids: Vec<&str> = notes.map(|case| case["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let tested = ["b1", "e1-dots", "e1-index", "e1-relaxed", "n2", "n3", "y1", "z13", "z6"];
        assert_eq!(ids, tested);
    }

    #[test]
    fn b1_a_mark_before_a_condition_does_not_hide_it() {
        for (name, separator) in [("application.yaml", "---"), ("application.properties", "#---")] {
            let text = format!(
                "\u{feff}spring.config.activate.on-profile: prod\nelasticjob.jobs.a.job-parameter: prod\n{separator}\n\
                 elasticjob.jobs.a.elastic-job-type: SCRIPT\nelasticjob.jobs.a.sharding-total-count: 1\n\
                 elasticjob.jobs.b.elastic-job-type: SCRIPT\nelasticjob.jobs.b.sharding-total-count: 1\n"
            );
            let files = [(name, text.as_str())];
            for (environment, expected) in [(&[][..], ""), (&[("SPRING_PROFILES_ACTIVE", "prod")], "prod")] {
                let given = Given {
                    files: &files,
                    environment,
                };
                assert_eq!(parameter(&given, "a"), expected, "{name}, {environment:?}");
            }
        }
    }

    #[test]
    fn y1_yml_wins_over_yaml_beside_it() {
        let job = |parameter: &str| format!("elasticjob.jobs: {{a: {{{SCRIPT}, job-parameter: {parameter}}}}}");
        let (yml, yaml, more) = (job("yml"), job("yaml"), "elasticjob.jobs.a.description: yaml");
        let both = [("application.yml", &*yml), ("application.yaml", &*yaml)];
        let given = Given {
            files: &both,
            ..Given::default()
        };
        assert_eq!(parameter(&given, "a"), "yml");
        let files = [("application.yaml", more), ("application.yml", &*yml)];
        let given = Given {
            files: &files,
            ..Given::default()
        };
        let settings = given.load().unwrap();
        assert_eq!(
            settings.jobs["a"].config.description(),
            "yaml",
            "the other is read, too"
        );
        let profiles = [
            ("application.yaml", &*yaml),
            ("application-eu.yml", "elasticjob.jobs.a.job-parameter: yml"),
            ("application-eu.yaml", "elasticjob.jobs.a.job-parameter: yaml"),
        ];
        let given = Given {
            files: &profiles,
            environment: &[("SPRING_PROFILES_ACTIVE", "eu")],
        };
        assert_eq!(parameter(&given, "a"), "yml", "of a profile");
    }

    #[test]
    fn e1_variables_are_spelt_in_springs_ways() {
        let file = format!("elasticjob.jobs: {{JOB: {{{SCRIPT}}}, JOB-A: {{{SCRIPT}}}}}");
        let files = [("application.yaml", &*file)];
        let environment = [
            ("ELASTICJOB_REGCENTER_SERVERLISTS", "relaxed:2181"),
            ("elasticjob.reg-center.namespace", "dots"),
            ("ELASTICJOB_JOBS_JOB_A_JOBPARAMETER", "bound"),
            ("ELASTICJOB_JOBS_JOB_A_JOBLISTENERTYPES_0_", "x"),
        ];
        let given = Given {
            files: &files,
            environment: &environment,
        };
        let settings = given.load().unwrap();
        let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry else {
            panic!("{:?}", settings.registry)
        };
        assert_eq!(
            (zookeeper.connect_string(), &*zookeeper.namespace),
            ("relaxed:2181".to_owned(), "dots")
        );
        let job = &settings.jobs["JOB-A"].config;
        assert_eq!(
            (job.job_parameter(), job.listener_types()),
            ("bound", &["x".to_owned()][..])
        );
        assert_eq!(settings.jobs["JOB"].config.job_parameter(), "");
    }

    #[test]
    fn n2_n3_names_that_are_alike_are_two_jobs() {
        let job = |name: &str| format!("elasticjob.jobs: {{{name}: {{{SCRIPT}}}}}");
        let (base, dev) = (job("task1-1"), job("task11"));
        let files = [("application.yml", &*base), ("application-dev.yml", &*dev)];
        let given = Given {
            files: &files,
            environment: &[("SPRING_PROFILES_ACTIVE", "dev")],
        };
        let names: Vec<String> = given.load().unwrap().jobs.into_keys().collect();
        assert_eq!(names, ["task1-1", "task11"]);
        let both = yaml(&format!(
            "elasticjob.jobs: {{syncOrders: {{{SCRIPT}}}, sync-orders: {{{SCRIPT}}}}}"
        ));
        assert!(both.unwrap().jobs.into_keys().eq(["sync-orders", "syncOrders"]));
    }

    #[test]
    fn z6_names_of_any_letters_are_jobs() {
        let names = ["订单 同步(1)", "a.b@c;d'e\"f", "-x", "zookeeper"];
        let lines = names.map(|name| format!("    {:?}: {{{SCRIPT}}}\n", format!("[{name}]")));
        let settings = yaml(&format!("elasticjob:\n  jobs:\n{}", lines.concat())).unwrap();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert!(settings.jobs.keys().eq(&expected), "{:?}", settings.jobs.keys());
        for job in settings.jobs.values() {
            assert_eq!(JobConfig::from_yaml(&job.config.to_yaml()).as_ref(), Ok(&job.config));
        }
    }

    #[test]
    fn z13_a_mark_before_a_cron_does_not_lose_it() {
        let stored = JobConfig::from_yaml("\u{feff}cron: 0/5 * * * * ?\njobName: a\nshardingTotalCount: 1\n").unwrap();
        assert_eq!(stored.cron().unwrap().to_string(), "0/5 * * * * ?");
    }
}

mod keys {
    use super::*;

    const SCRIPT: &str = "elastic-job-type: SCRIPT, sharding-total-count: 1";

    fn parameter(settings: &Settings, job: &str) -> String {
        settings.jobs[job].config.job_parameter().to_owned()
    }

    #[test]
    fn hold_names_with_dots_in_brackets_with_a_dot_before_them_or_without() {
        for key in [
            "elasticjob.jobs[my.job]",
            "elasticjob.jobs.[my.job]",
            "elasticjob[jobs][my.job]",
        ] {
            let lines = ["elastic-job-type=SCRIPT", "sharding-total-count=1", "job-parameter=x"];
            let text = lines.map(|line| format!("{key}.{line}")).join("\n");
            assert_eq!(parameter(&properties(&text).unwrap(), "my.job"), "x", "{key}");
        }
        let settings = yaml(&format!("elasticjob:\n  jobs[my.job]: {{{SCRIPT}, jobParameter: x}}\n"));
        assert_eq!(parameter(&settings.unwrap(), "my.job"), "x");
    }

    #[test]
    fn that_are_numbers_or_switches_are_printed_by_java() {
        let text =
            format!("elasticjob:\n  jobs:\n    on: {{{SCRIPT}}}\n    010: {{{SCRIPT}, props: {{yes: a, 'no': b}}}}\n");
        let settings = yaml(&text).unwrap();
        assert_eq!(settings.jobs.keys().collect::<Vec<_>>(), ["8", "true"]);
        let props = settings.jobs["8"].config.props();
        assert_eq!((props["true"].as_str(), props["no"].as_str()), ("a", "b"));
    }

    #[test]
    fn of_merged_maps_count_in_the_order_of_yaml() {
        let text = "\
a: &a {sharding-total-count: 3, job-parameter: a}
b: &b {job-parameter: b, description: b, elastic-job-type: SCRIPT}
elasticjob:
  jobs:
    first: {<<: [*a, *b]}
    second: {<<: [*b, *a], sharding-total-count: 5}
";
        let settings = yaml(text).unwrap();
        let shown = |job: &str| {
            let config = &settings.jobs[job].config;
            let total = config.sharding_total_count().get();
            (
                config.job_parameter().to_owned(),
                config.description().to_owned(),
                total,
            )
        };
        assert_eq!(shown("first"), ("a".to_owned(), "b".to_owned(), 3));
        assert_eq!(shown("second"), ("b".to_owned(), "b".to_owned(), 5));
        let wrong = faults(yaml(
            "elasticjob:\n  jobs:\n    a: {<<: [x, y], elastic-job-type: SCRIPT, sharding-total-count: 1}\n",
        ));
        assert_eq!(
            wrong,
            ["application.yml:3: `elasticjob.jobs.a.<<`: is not a setting of ElasticJob"]
        );
    }

    #[test]
    fn of_java_alone_are_refused_with_what_to_do() {
        let faults = faults(yaml("elasticjob.tracing: {type: RDB, dataSourceBeanName: db}\n"));
        assert_eq!(
            faults,
            [
                "application.yml:1: `elasticjob.tracing.dataSourceBeanName`: names a bean of Java: give the database itself by \
              `tracing.data-source`, or by `spring.datasource`"
            ]
        );
    }

    #[test]
    fn may_name_the_type_of_registry() {
        let load = |kind: &str| {
            yaml(&format!(
                "elasticjob.reg-center: {{type: {kind}, server-lists: 'a:1', namespace: n}}\n"
            ))
        };
        assert!(load("ZooKeeper").is_ok());
        assert_eq!(
            faults(load("etcd")),
            ["application.yml:1: `elasticjob.reg-center.type` is `etcd`: the types are `ZOOKEEPER` and `EMBEDDED`"]
        );
    }
}

mod placeholders {
    use super::*;

    fn parameter(text: &str) -> Result<String, Vec<String>> {
        let text = format!(
            "env: dev\nzk: {{dev: {{host: dev-zk}}}}\nloop: '${{${{loop}}}}'\nelasticjob.jobs.a: {{elastic-job-type: SCRIPT, \
             sharding-total-count: 1, job-parameter: '{text}'}}\n"
        );
        let loaded = yaml(&text);
        match loaded {
            Ok(settings) => Ok(settings.jobs["a"].config.job_parameter().to_owned()),
            loaded => Err(faults(loaded)),
        }
    }

    #[test]
    fn stand_in_the_names_of_others() {
        for (text, expected) in [
            ("${zk.${env}.host}", "dev-zk"),
            ("${zk.${missing:dev}.host}", "dev-zk"),
            ("${zk.${env}.port:2181}", "2181"),
            ("${a:${b:c:d}}", "c:d"),
            ("${${nothing:env}}:${env}", "dev:dev"),
        ] {
            assert_eq!(parameter(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn in_names_that_stand_for_nothing_or_for_themselves_are_refused() {
        let fault = |text: &str| parameter(text).unwrap_err().remove(0);
        assert!(
            fault("${zk.${none}.host}").contains("`${none}` is neither"),
            "{}",
            fault("${zk.${none}.host}")
        );
        assert!(fault("${zk.${env}.port}").contains("`${zk.dev.port}` is neither"));
        assert!(fault("${loop}").contains("refers to itself"), "{}", fault("${loop}"));
    }
}

mod values {
    use super::*;

    fn job(settings: &str) -> Result<Settings, Errors> {
        yaml(&format!(
            "elasticjob.jobs.a: {{elastic-job-type: SCRIPT, sharding-total-count: 1, {settings}}}\n"
        ))
    }

    #[test]
    fn without_quotes_are_those_of_yaml_1_1() {
        let settings = job(
            "reconcileIntervalMinutes: 010, maxTimeDiffSeconds: 60_000, jobParameter: 1.50, description: yes, \
                            failover: ON, props: {a: 0x5, b: '0x5', c: 1:30, d: ~, e: 2024-01-01, f: !!str 010}",
        )
        .unwrap();
        let config = &settings.jobs["a"].config;
        assert_eq!(config.reconcile_interval().unwrap().as_secs(), 8 * 60);
        assert_eq!(config.max_time_diff().unwrap().as_secs(), 60_000);
        assert_eq!((config.job_parameter(), config.description()), ("1.5", "true"));
        assert!(config.failover());
        let props: Vec<&str> = config.props().values().map(String::as_str).collect();
        assert_eq!(props, ["5", "0x5", "90", "", "2024-01-01", "010"]);
    }

    #[test]
    fn that_need_quotes_are_told_to() {
        for cron in ["* * * * * ?", "*/5 * * * * ?", "@daily"] {
            let fault = faults(yaml(&format!("elasticjob:\n  jobs:\n    a:\n      cron: {cron}\n"))).remove(0);
            let expected = format!(
                "application.yml:4: not YAML: a value that begins with `{}` has to stand in quotes: `\"{cron}\"`",
                &cron[..1]
            );
            assert!(fault.starts_with(&expected), "{fault}");
        }
    }

    #[test]
    fn of_other_files_are_texts_in_which_numbers_may_be_hexadecimal() {
        let text = "elasticjob.jobs.a.elastic-job-type=SCRIPT\nelasticjob.jobs.a.sharding-total-count=0x10\n\
                    elasticjob.jobs.a.job-parameter=010\n";
        let settings = properties(text).unwrap();
        let config = &settings.jobs["a"].config;
        assert_eq!(
            (config.sharding_total_count().get(), config.job_parameter()),
            (16, "010")
        );
        let refused = faults(properties(&text.replace("0x10", "1_0")));
        assert_eq!(refused.len(), 1, "{refused:?}");
        let files = [(
            "application.toml",
            "[elasticjob.jobs.a]\nelastic-job-type = 'SCRIPT'\nsharding-total-count = 1_0\n",
        )];
        let settings = Given {
            files: &files,
            ..Given::default()
        }
        .load()
        .unwrap();
        assert_eq!(settings.jobs["a"].config.sharding_total_count().get(), 10);
    }

    #[test]
    fn of_lists_in_properties_are_numbered_in_order() {
        let fault = |text: &str| faults(properties(text)).remove(0);
        assert_eq!(
            fault("elasticjob.labels[1]=b\nelasticjob.labels[0]=a\n"),
            "application.properties:1: `elasticjob.labels[1]`: the items of a list are numbered from 0 on, in their order: [0] \
             is next"
        );
        assert!(fault("elasticjob.labels[0]=a\nelasticjob.labels[0]=b\n").contains("[1] is next"));
    }
}

mod environment {
    use super::*;

    const FILE: &str = "\
elasticjob:
  regCenter: {serverLists: 'zk:2181', namespace: n}
  jobs:
    JOB: {elastic-job-type: SCRIPT, sharding-total-count: 1}
    JOB-A: {elastic-job-type: SCRIPT, sharding-total-count: 1}
";

    fn load(environment: &[(&str, &str)]) -> Result<Settings, Errors> {
        let files = [("application.yml", FILE)];
        Given {
            files: &files,
            environment,
        }
        .load()
    }

    #[test]
    fn holds_keys_as_they_stand_in_properties() {
        let settings = load(&[
            ("elasticjob.reg-center.server-lists", "dots:2181"),
            ("elasticjob.jobs.JOB-A.job-parameter", "x"),
            ("elasticjob.labels[0]", "gpu"),
            ("elasticjob.jobs[a.b].elastic-job-type", "SCRIPT"),
            ("elasticjob.jobs[a.b].sharding-total-count", "2"),
            ("elasticjobs.of.others", "x"),
        ])
        .unwrap();
        let shown = format!("{:?}", settings.registry);
        assert!(shown.contains("dots"), "{shown}");
        assert_eq!(settings.jobs["JOB-A"].config.job_parameter(), "x");
        assert_eq!(settings.jobs["a.b"].config.sharding_total_count().get(), 2);
        assert_eq!(settings.labels, ["gpu"]);
        assert_eq!(
            faults(load(&[("elasticjob.reg-center.server-list", "x")])),
            [
                "environment variable elasticjob.reg-center.server-list: `elasticjob.reg-center.server-list`: is not a setting of \
              ElasticJob, did you mean `reg-center.server-lists`?"
            ]
        );
    }

    #[test]
    fn holds_lists_item_by_item() {
        let settings = load(&[
            ("ELASTICJOB_JOBS_JOB_A_JOBLISTENERTYPES_0_", "x"),
            ("ELASTICJOB_JOBS_JOB_A_JOBLISTENERTYPES_1", "y"),
            ("ELASTICJOB_REGCENTER_SERVERLISTS", "env:2181"),
            ("ELASTICJOB_JOBS_JOB_A_JOBPARAMETER", "p"),
        ])
        .unwrap();
        assert_eq!(settings.jobs["JOB-A"].config.listener_types(), ["x", "y"]);
        assert_eq!(settings.jobs["JOB-A"].config.job_parameter(), "p");
        assert_eq!(
            faults(load(&[("ELASTICJOB_LABELS_0", "a"), ("ELASTICJOB_LABELS_2", "b")])),
            [
                "environment variable ELASTICJOB_LABELS_0: `elasticjob.labels`: the items of a list are numbered from 0 on, without \
              a gap"
            ]
        );
        assert_eq!(
            faults(load(&[("ELASTICJOB_REG_CENTER_NAMESPACE_0", "a")])).len(),
            1,
            "it is no list"
        );
    }
}

mod servers {
    use elasticjob_config::sources::RegistrySettings;

    use super::*;

    fn read(servers: &str) -> Result<String, Vec<String>> {
        let loaded = properties(&format!(
            "elasticjob.reg-center.server-lists={servers}\nelasticjob.reg-center.namespace=n\n"
        ));
        match loaded {
            Ok(Settings {
                registry: RegistrySettings::ZooKeeper(zookeeper),
                ..
            }) => Ok(zookeeper.connect_string()),
            loaded => Err(faults(loaded)),
        }
    }

    #[test]
    fn are_read_as_zookeepers_client_reads_them() {
        for (text, expected) in [
            ("zk1, zk2:2182 ,zk3:2181,", "zk1:2181,zk2:2182,zk3:2181"),
            ("zk1:2181,zk2:2181/", "zk1:2181,zk2:2181"),
            (",zk1", "zk1:2181"),
            ("zk1:2181,zk2/a/b", "zk1:2181,zk2:2181/a/b"),
            ("[::1]", "[::1]:2181"),
            ("[fe80::1%eth0]:2182", "[fe80::1%eth0]:2182"),
            ("127.0.0.1:2181   ", "127.0.0.1:2181"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn that_are_none_are_refused() {
        for text in [
            "zk1:",
            "zk1:0",
            "zk1/a/",
            "zk1//a",
            "[::1]2181",
            "[::1%]:2181",
            "[::1%e th]:1",
            ",",
            "/",
            "a b:2181",
            "::1:2181",
            "zk1/a,zk2",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
