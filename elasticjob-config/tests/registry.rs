//! Which registry is meant, and what says nothing of one although it was probably meant to.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use elasticjob_config::sources::{Errors, Loader, RegistrySettings, Settings};
use tempfile::TempDir;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn load_in(directory: &Path, environment: &[(&str, &str)]) -> Result<Settings, Errors> {
    let variables = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Loader::new().directory(directory).environment(variables).load()
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Errors> {
    load_in(directory(&[("application.yaml", text)]).path(), environment)
}

fn fault(text: &str, environment: &[(&str, &str)]) -> String {
    let errors = load(text, environment).unwrap_err();
    assert_eq!(errors.iter().count(), 1, "{errors}");
    errors.to_string()
}

const SERVERS: &str = "server-lists: 'zk:2181', namespace: n";

mod choice {
    use super::*;

    fn registry(reg_center: &str) -> RegistrySettings {
        load(&format!("elasticjob: {{reg-center: {{{reg_center}}}}}"), &[])
            .unwrap()
            .registry
    }

    #[test]
    fn is_embedded_on_purpose_alone() {
        assert_eq!(load("", &[]).unwrap().registry, RegistrySettings::Unnamed);
        assert_eq!(registry(""), RegistrySettings::Unnamed);
        assert_eq!(registry("required: false"), RegistrySettings::Unnamed);
        assert_eq!(registry("type: EMBEDDED"), RegistrySettings::Embedded);
        assert_eq!(
            registry("type: embedded, required: false, server-lists: ''"),
            RegistrySettings::Embedded
        );
        for zookeeper in [
            SERVERS.to_owned(),
            format!("type: zookeeper, required: true, {SERVERS}"),
        ] {
            assert!(
                matches!(registry(&zookeeper), RegistrySettings::ZooKeeper(_)),
                "{zookeeper}"
            );
        }
        let variable = [("ELASTICJOB_REG_CENTER_TYPE", "EMBEDDED")];
        assert_eq!(load("", &variable).unwrap().registry, RegistrySettings::Embedded);
    }

    #[test]
    fn that_contradicts_itself_is_refused() {
        let check = |reg_center: &str, expected: &str| {
            let shown = fault(&format!("elasticjob:\n  reg-center: {{{reg_center}}}"), &[]);
            assert!(shown.contains(expected), "{shown}");
        };
        check(
            "type: ETCD",
            "application.yaml:2: `elasticjob.reg-center.type` is `ETCD`: the types are `ZOOKEEPER` and `EMBEDDED`",
        );
        check(
            &format!("type: EMBEDDED, {SERVERS}"),
            "`elasticjob.reg-center.type` is `EMBEDDED`: but `elasticjob.reg-center.server-lists` (",
        );
        check(
            "type: EMBEDDED, required: true",
            "`elasticjob.reg-center.required` is `true`: but `elasticjob.reg-center.type` is `EMBEDDED`, which no other instance can reach",
        );
        let errors = load("elasticjob.reg-center.type: ZOOKEEPER", &[])
            .unwrap_err()
            .to_string();
        assert!(
            errors.contains("`elasticjob.reg-center.server-lists`: is missing: name the servers"),
            "{errors}"
        );
    }

    #[test]
    fn that_is_required_and_missing_is_refused_with_the_files() {
        let directory = directory(&[
            ("application.yaml", "elasticjob.reg-center.required: true"),
            (
                "application-prod.yaml",
                "elasticjob.reg-center: {server-lists: 'zk:2181', namespace: n}",
            ),
        ]);
        let path = |name: &str| directory.path().join(name).display().to_string();
        let shown = load_in(directory.path(), &[]).unwrap_err().to_string();
        let expected = format!(
            "`elasticjob.reg-center.required` is `true`: but no registry is named: set `elasticjob.reg-center.server-lists` or \
             `elasticjob.reg-center.url`, and `elasticjob.reg-center.namespace` (files read: {}; not there: {}",
            path("application.yaml"),
            path("config/application.{yaml,yml,toml,properties}")
        );
        assert!(shown.contains(&expected), "{shown}");
        let with_profile = load_in(directory.path(), &[("SPRING_PROFILES_ACTIVE", "prod")]).unwrap();
        assert!(matches!(with_profile.registry, RegistrySettings::ZooKeeper(_)));
        let by_variable = [("ELASTICJOB_REG_CENTER_REQUIRED", "true")];
        assert!(fault("", &by_variable).contains("environment variable ELASTICJOB_REG_CENTER_REQUIRED"));
    }

    #[test]
    fn is_the_same_for_the_command_line() {
        let load = |text: &str| {
            let directory = directory(&[("application.yaml", text)]);
            Loader::new().directory(directory.path()).load_registry()
        };
        assert_eq!(load("").unwrap(), RegistrySettings::Unnamed);
        assert_eq!(
            load("elasticjob.reg-center.type: EMBEDDED").unwrap(),
            RegistrySettings::Embedded
        );
        assert!(load("elasticjob.reg-center.required: true").is_err());
        assert!(load("elasticjobs.reg-center.namespace: n").is_err());
    }
}

mod url {
    use std::time::Duration;

    use elasticjob_config::sources::{DatabaseSettings, RegistryDatabase};

    use super::*;

    fn database(reg_center: &str) -> DatabaseSettings {
        let text = format!("elasticjob: {{reg-center: {{{reg_center}}}}}");
        match load(&text, &[]).unwrap().registry {
            RegistrySettings::Database(settings) => settings,
            other => panic!("{reg_center}: {other:?}"),
        }
    }

    #[test]
    fn names_a_file() {
        for (url, path) in [
            ("sqlite:jobs.db", "jobs.db"),
            ("sqlite://data/jobs.db", "data/jobs.db"),
            ("SQLite:///var/lib/任务.db", "/var/lib/任务.db"),
            ("sqlite:/var/lib/jobs.db", "/var/lib/jobs.db"),
        ] {
            let settings = database(&format!("url: '{url}', namespace: shop, required: true"));
            assert_eq!(settings.database, RegistryDatabase::Sqlite(path.into()), "{url}");
            assert_eq!(settings.session_timeout, Duration::from_secs(10));
        }
        let variables = [
            ("ELASTICJOB_REG_CENTER_URL", "sqlite:jobs.db"),
            ("ELASTICJOB_REG_CENTER_NAMESPACE", "shop"),
            ("ELASTICJOB_REG_CENTER_SESSION_TIMEOUT", "4s"),
        ];
        let RegistrySettings::Database(settings) = load("", &variables).unwrap().registry else {
            panic!("a database is named");
        };
        assert_eq!(settings.session_timeout, Duration::from_secs(4));
    }

    #[test]
    fn names_a_server() {
        for url in [
            "postgres://lion:tiger@db.example.org/shop",
            "postgresql://lion@[::1]:5433/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "PostgreSQL://db/shop?user=lion&password=tiger&options[search_path]=x",
            "postgres://狮子:老虎@db/任务",
            "postgres:///?host=/run/postgresql&dbname=shop",
            "postgres://lion:p%40ss%2Fword@db:5432/shop",
        ] {
            let settings = database(&format!("url: '{url}', namespace: shop, required: true"));
            let RegistryDatabase::Postgres(secret) = &settings.database else {
                panic!("{url}: {settings:?}");
            };
            assert_eq!(secret.reveal(), url);
            let shown = format!("{settings:?}");
            assert!(
                shown.contains("Postgres([provided])") && !shown.contains("lion"),
                "{shown}"
            );
        }
        let text = "elasticjob: {reg-center: {url: 'postgres://lion:${DB_PASSWORD}@db/shop', namespace: n}}";
        let settings = load(text, &[("DB_PASSWORD", "tiger")]).unwrap();
        let RegistrySettings::Database(database) = &settings.registry else {
            panic!("a database is named");
        };
        let expected = RegistryDatabase::parse("postgres://lion:tiger@db/shop").unwrap();
        assert_eq!(database.database, expected);
        assert!(!format!("{settings:?}").contains("tiger"), "{settings:?}");
    }

    #[test]
    fn of_no_server_is_refused_without_its_password() {
        let check = |url: &str, expected: &[&str]| {
            let text = format!("elasticjob:\n  reg-center: {{url: '{url}', namespace: n}}");
            let errors = load(&text, &[]).unwrap_err();
            let shown = errors.to_string();
            assert_eq!(errors.iter().count(), expected.len(), "{shown}");
            for expected in expected {
                assert!(shown.contains(expected), "{shown}");
            }
            for secret in ["tiger", "tig", "ger", "lion", "老虎"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            assert!(
                shown.contains("application.yaml:2: `elasticjob.reg-center.url` is `"),
                "{shown}"
            );
        };
        check("jdbc:postgresql://db/shop?user=x&password=tiger", &["without `jdbc:`"]);
        for url in [
            "postgres://lion:tig/ger@db/shop",
            "postgres://lion:1/tiger@db/shop",
            "postgres://lion:tig?ger@db/shop",
            "postgres://lion:tig#ger@db/shop",
            "postgres://lion:tig ger@db/shop",
            "postgres://lion:老虎/@db/shop?sslmode=x",
        ] {
            check(url, &["have to be written with `%`: `/` as `%2F`"]);
        }
        for url in [
            "postgres://lion:tig%ger@db/shop",
            "postgres://lion:tiger%@db/shop",
            "postgres://lion:tiger@db/100%",
        ] {
            check(url, &["`%` itself is written `%25`"]);
        }
        check("postgres://lion:tiger@/shop", &["the host is missing"]);
        check("postgres://lion:tiger@db:0/shop", &["ports are 1 to 65535"]);
        check("postgres://lion:tiger@db:port/shop", &["ports are 1 to 65535"]);
        check("postgres://lion:tiger@db", &["the name of the database is missing"]);
        check("postgres://lion:tiger@db/shop/x", &["without a further `/`"]);
        check("postgres://lion:tiger@db/shop#x", &["it is written `%23`"]);
        check(
            "postgres://lion:tiger@db/shop?sslmode=on",
            &["`sslmode` is one of `disable`, `allow`"],
        );
        check(
            "postgres:db/shop",
            &["`postgres://USER:PASSWORD@HOST/DATABASE` is expected"],
        );
        check(
            "postgres://lion:tiger@db/shop?pasword=x",
            &["`pasword` is not a parameter of it"],
        );
        check("postgres://lion:tiger@db/shop?%70w=x", &["a parameter is not known"]);
        check(
            "postgres://lion:tiger@:x/?sslmode=on&currentSchema=x",
            &[
                "the host is missing",
                "ports are",
                "the database is missing",
                "`sslmode` is one of",
                "`currentSchema` is not",
            ],
        );
    }

    #[test]
    fn of_no_file_is_refused() {
        let check = |url: &str, expected: &str| {
            let text = format!("elasticjob:\n  reg-center: {{url: '{url}', namespace: n}}");
            let shown = fault(&text, &[]);
            assert!(
                shown.contains("application.yaml:2: `elasticjob.reg-center.url` is `"),
                "{shown}"
            );
            assert!(shown.contains(expected) && !shown.contains("tiger"), "{shown}");
        };
        check(
            "mysql://lion:tiger@db/shop",
            "is expected: no other database can be a registry",
        );
        check(
            "jobs.db",
            "`sqlite:PATH`, the URL of a file, or `postgres://USER:PASSWORD@HOST/DATABASE` is expected",
        );
        check("sqlite:", "the path of the file is missing");
        check("sqlite://", "the path of the file is missing");
        check("sqlite::memory:", "`reg-center.type: EMBEDDED`");
        check("sqlite:jobs.db?mode=ro", "without parameters");
    }

    #[test]
    fn beside_another_registry_is_refused_with_both_places() {
        let check = |others: &str, expected: &str| {
            let text = format!("elasticjob:\n  reg-center: {{url: 'sqlite:jobs.db', namespace: n, {others}}}");
            let shown = fault(&text, &[]);
            assert!(shown.contains(expected), "{shown}");
        };
        check(
            "server-lists: 'zk:2181'",
            "is `sqlite:jobs.db`: but `elasticjob.reg-center.server-lists` (",
        );
        check("type: ZOOKEEPER", "but `elasticjob.reg-center.type` (");
        check("digest: 'lion:tiger'", "is for ZooKeeper: leave one of them out");
        check(
            "type: EMBEDDED",
            "`elasticjob.reg-center.type` is `EMBEDDED`: but `elasticjob.reg-center.url` (",
        );
        check("session-timeout: 500ms", "at least `1s` is expected");
        let of_server =
            "elasticjob: {reg-center: {url: 'postgres://lion:tiger@db/shop', namespace: n, server-lists: 'zk:2181'}}";
        let shown = fault(of_server, &[]);
        assert!(
            shown.contains("is `postgres://[provided]@db/shop`: but `elasticjob.reg-center.server-lists` ("),
            "{shown}"
        );
        let all = "elasticjob: {reg-center: {url: 'sqlite:', server-lists: 'zk:2181', session-timeout: 1ms}}";
        let errors = load(all, &[]).unwrap_err();
        assert_eq!(errors.iter().count(), 4, "{errors}");
    }
}

mod etcd {
    use std::time::Duration;

    use elasticjob_config::sources::EtcdSettings;

    use super::*;

    const URL: &str = "url: 'etcds://lion:${PASSWORD}@a:2379,b', namespace: shop/orders";

    fn etcd(others: &str) -> EtcdSettings {
        let text = format!("elasticjob: {{reg-center: {{{URL}{others}}}}}");
        let settings = load(&text, &[("PASSWORD", "tiger")]).unwrap();
        assert!(!format!("{settings:?}").contains("tiger"), "{settings:?}");
        match settings.registry {
            RegistrySettings::Etcd(settings) => settings,
            other => panic!("{others}: {other:?}"),
        }
    }

    #[test]
    fn is_read_with_its_defaults_and_certificates() {
        let plain = etcd("");
        assert_eq!(plain.url.reveal(), "etcds://lion:tiger@a:2379,b");
        assert_eq!(plain.namespace, "shop/orders");
        assert_eq!(
            (plain.session_timeout, plain.fail_fast),
            (Duration::from_secs(10), false)
        );
        assert!(plain.compaction && plain.tls.is_none());
        let others = etcd(", compaction: false, session-timeout: 6s, tls: {ca: ca.pem, cert: c.pem, key: k.pem}");
        let tls = others.tls.unwrap();
        assert_eq!((tls.ca, tls.identity.unwrap().key), ("ca.pem".into(), "k.pem".into()));
        assert_eq!(
            (others.compaction, others.session_timeout),
            (false, Duration::from_secs(6))
        );
    }

    #[test]
    fn beside_settings_of_others_is_refused_without_its_password() {
        let check = |others: &str, expected: &str| {
            let text = format!("elasticjob:\n  reg-center: {{{URL}, {others}}}");
            let shown = fault(&text, &[("PASSWORD", "tiger")]);
            assert!(shown.contains(expected) && !shown.contains("tiger"), "{shown}");
        };
        let is = "is `etcds://[provided]@a:2379,b`: but `elasticjob.reg-center.";
        check("server-lists: 'zk:2181'", &format!("{is}server-lists` ("));
        check("type: ZOOKEEPER", &format!("{is}type` ("));
        check("digest: 'a:b'", "is for ZooKeeper: leave one of them out");
        check("sasl: {mechanism: DIGEST-MD5}", "is for ZooKeeper");
        check("compaction: perhaps", "`elasticjob.reg-center.compaction` is `perhaps`");
        check("tls: {cert: c.pem, ca: ca.pem}", "`elasticjob.reg-center.tls.key`");
        let text = "elasticjob: {reg-center: {url: 'etcd://a', namespace: n, tls: {ca: ca.pem}}}";
        let shown = fault(text, &[]);
        assert!(shown.contains("`etcds://` is expected"), "{shown}");
    }
}

mod security {
    use std::path::PathBuf;

    use elasticjob_config::sources::{SaslMechanism, ZooKeeperSettings};

    use super::*;

    fn zookeeper(others: &str) -> ZooKeeperSettings {
        let text = format!("elasticjob: {{reg-center: {{{SERVERS}, {others}}}}}");
        match load(&text, &[]).unwrap().registry {
            RegistrySettings::ZooKeeper(settings) => settings,
            other => panic!("{others}: {other:?}"),
        }
    }

    #[test]
    fn is_read_from_sections_of_its_own() {
        let settings = zookeeper("digest: 'a:b'");
        assert!(settings.tls.is_none() && settings.sasl.is_none(), "{settings:?}");
        let settings = zookeeper("tls: {ca: ca.pem}, sasl: {user: shop, password: tiger}");
        let (tls, sasl) = (settings.tls.unwrap(), settings.sasl.unwrap());
        assert_eq!((tls.ca, tls.identity), (PathBuf::from("ca.pem"), None));
        assert_eq!((sasl.mechanism, sasl.user.as_str()), (SaslMechanism::DigestMd5, "shop"));
        assert_eq!(
            (sasl.password.reveal(), format!("{sasl:?}").contains("tiger")),
            ("tiger", false)
        );
        let settings = zookeeper(
            "tls: {ca: a, cert: 证书.pem, key: b, hostname-verification: true}, sasl: {mechanism: digest-md5, user: u, password: p}",
        );
        let identity = settings.tls.unwrap().identity.unwrap();
        assert_eq!(
            (identity.cert, identity.key),
            (PathBuf::from("证书.pem"), PathBuf::from("b"))
        );
        let variables = [
            ("ELASTICJOB_REG_CENTER_SERVER_LISTS", "zk:1"),
            ("ELASTICJOB_REG_CENTER_NAMESPACE", "n"),
            ("ELASTICJOB_REG_CENTER_TLS_CA", "ca.pem"),
            ("ELASTICJOB_REG_CENTER_SASL_USER", "shop"),
            ("ELASTICJOB_REG_CENTER_SASL_PASSWORD", "tiger"),
        ];
        let RegistrySettings::ZooKeeper(settings) = load("", &variables).unwrap().registry else {
            panic!("servers are named");
        };
        assert!(settings.tls.is_some() && settings.sasl.is_some(), "{settings:?}");
    }

    #[test]
    fn that_is_incomplete_or_impossible_is_refused_all_at_once() {
        let check = |others: &str, expected: &[&str]| {
            let errors = load(&format!("elasticjob:\n  reg-center: {{{SERVERS}, {others}}}"), &[]).unwrap_err();
            assert_eq!(errors.iter().count(), expected.len(), "{others}: {errors}");
            let shown = errors.to_string();
            for expected in expected {
                assert!(shown.contains(expected), "{others}: {shown}");
            }
            assert!(!shown.contains("tiger"), "{shown}");
        };
        check(
            "tls: {cert: c}",
            &[
                "`elasticjob.reg-center.tls.ca`: is missing",
                "`elasticjob.reg-center.tls.key`: is missing",
            ],
        );
        check(
            "tls: {ca: a, key: k}",
            &["`elasticjob.reg-center.tls.cert`: is missing"],
        );
        check(
            "tls: {hostname-verification: true}",
            &["`elasticjob.reg-center.tls.ca`: is missing"],
        );
        check(
            "tls: {ca: a, hostname-verification: false}",
            &["is `false`: cannot be switched off"],
        );
        check("tls: {ca: a, trust: b}", &["elasticjob.reg-center.tls.trust"]);
        check(
            "sasl: {mechanism: DIGEST-MD5}",
            &["sasl.user`: is missing", "sasl.password`: is missing"],
        );
        check(
            "sasl: {mechanism: GSSAPI, user: a, password: tiger}",
            &["is `GSSAPI`: cannot be used: Kerberos"],
        );
        check(
            "sasl: {mechanism: PLAIN, password: tiger}",
            &["is `PLAIN`: the only mechanism", "sasl.user`: is missing"],
        );
    }

    #[test]
    fn is_for_zookeeper_alone() {
        let text = "elasticjob: {reg-center: {url: 'sqlite:jobs.db', namespace: n, tls: {ca: a}, sasl: {user: u, password: tiger}}}";
        let errors = load(text, &[]).unwrap_err();
        assert_eq!(errors.iter().count(), 3, "{errors}");
        let shown = errors.to_string();
        assert_eq!(
            shown.matches("is for ZooKeeper: leave one of them out").count(),
            3,
            "{shown}"
        );
    }
}

mod examples {
    use super::*;

    #[test]
    fn say_which_registry_they_mean() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let mut seen = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let variables = [("DATABASE_URL".to_owned(), "postgres://localhost/orders".to_owned())];
            let loader = Loader::new().directory(&path).environment(variables);
            let registry = loader.load_registry().unwrap();
            assert_ne!(registry, RegistrySettings::Unnamed, "{}", path.display());
            seen += 1;
        }
        assert!(seen >= 10, "{seen}");
        let dataflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/dataflow");
        let cluster = Loader::new().directory(dataflow).profile("cluster").load_registry();
        assert!(matches!(cluster.unwrap(), RegistrySettings::ZooKeeper(_)));
    }
}

mod keys {
    use super::*;

    #[test]
    fn that_are_nearly_ours_are_refused() {
        for written in [
            "elastic-jobs",
            "elasticJobs",
            "elaticjob",
            "elasticjobb",
            "elastic_jop",
            "elastic.job",
        ] {
            for text in [
                format!("server: {{port: 1}}\n{written}:\n  reg-center: {{{SERVERS}}}\n"),
                format!("server.port: 1\n{written}.regCenter.namespace: n\n"),
            ] {
                let shown = fault(&text, &[]);
                assert!(
                    shown.contains(&format!(
                        "application.yaml:2: `{written}`: is not read, did you mean `elasticjob`?"
                    )) || shown.contains(&format!(
                        "application.yaml:3: `{written}`: is not read, did you mean `elasticjob`?"
                    )),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn of_others_are_left_alone() {
        let text =
            "elasticsearch: {jobs: 1}\nelastic: {job: {name: x}, apm: y}\nelasticache.regCenter: x\njobs: {a: b}\n";
        let variables = [
            ("ELASTIC_SEARCH_JOBS", "1"),
            ("ELASTIC_JOB_SERVICE_HOST", "10.0.0.1"),
            // Kubernetes, for services called `elastic-job-metrics` and `elasticjob-dump`.
            ("ELASTIC_JOB_METRICS_PORT", "tcp://10.0.0.1:9090"),
            ("ELASTICJOB_DUMP_PORT", "tcp://10.0.0.1:9888"),
        ];
        assert!(load(text, &variables).is_ok());
    }

    #[test]
    fn that_spring_takes_for_ours_are_ours() {
        for written in ["elastic-job", "elasticJob", "ELASTICJOB"] {
            let settings = load(&format!("{written}: {{regCenter: {{{SERVERS}}}}}"), &[]).unwrap();
            assert!(matches!(settings.registry, RegistrySettings::ZooKeeper(_)), "{written}");
        }
    }

    #[test]
    fn of_variables_that_are_nearly_ours_are_refused() {
        for variable in [
            "ELASTIC_JOB_REG_CENTER_NAMESPACE",
            "ELASTICJOBS_REG_CENTER_NAMESPACE",
            "elasticjob_reg_center_namespace",
        ] {
            assert_eq!(
                fault("", &[(variable, "n")]),
                format!(
                    "invalid configuration: environment variable {variable}: is not read, did you mean `ELASTICJOB_REG_CENTER_NAMESPACE`?"
                )
            );
        }
    }
}

mod files {
    use super::*;

    #[test]
    fn are_named_with_absolute_paths() {
        let directory = directory(&[
            ("application.yml", "spring.profiles.active: prod"),
            ("config/application.properties", "a=b"),
            ("application-prod.toml", ""),
            ("more.yaml", ""),
        ]);
        let loader = Loader::new()
            .directory(directory.path())
            .file(directory.path().join("more.yaml"));
        let sources = loader.load().unwrap().sources;
        let paths = |names: &[&str]| {
            names
                .iter()
                .map(|name| directory.path().join(name))
                .collect::<Vec<PathBuf>>()
        };
        assert_eq!(
            sources.files,
            paths(&[
                "application.yml",
                "config/application.properties",
                "application-prod.toml",
                "more.yaml"
            ])
        );
        assert_eq!(
            sources.absent,
            paths(&["config/application-prod.{yaml,yml,toml,properties}"])
        );
        let here = Loader::new().directory("no-such-directory").load().unwrap().sources;
        assert!(
            here.files.is_empty() && here.absent.iter().all(|path| path.is_absolute()),
            "{here:?}"
        );
    }

    #[test]
    fn that_spring_would_read_are_named() {
        let text = "spring.config.import: 'nacos:user:hunter2@host'\nspring.profiles.active: prod\nelasticjob.profiles.active: ''\n";
        let variables = [
            ("SPRING_CONFIG_ADDITIONAL_LOCATION", "/etc/app/"),
            ("SPRING_APPLICATION_JSON", "{}"),
        ];
        let ignored = load(text, &variables).unwrap().sources.ignored;
        let shown: Vec<String> = ignored
            .iter()
            .map(|error| error.to_string().rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(
            shown,
            [
                "application.yaml:2: `spring.profiles.active`: does nothing: other profiles are named by ElasticJob's own means, which win",
                "application.yaml:1: `spring.config.import`: is not followed: what Spring reads by it is not read",
                "environment variable SPRING_APPLICATION_JSON: `spring.application.json`: is not followed: what Spring reads by it is not read",
                "environment variable SPRING_CONFIG_ADDITIONAL_LOCATION: `spring.config.additional.location`: is not followed: what Spring reads by it is not read",
            ]
        );
    }
}
