//! Profiles: which are active, and which documents count with them, as in Spring Boot 2.7.

#![cfg(feature = "sources")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeMap;
use std::fs;

use elasticjob_config::sources::{Declared, Errors, Loader, RegistrySettings, Settings};
use tempfile::TempDir;

fn declared() -> Declared {
    Declared {
        name: "MyJob".to_owned(),
        origin: "src/main.rs:12".to_owned(),
        values: vec![("sharding-total-count".to_owned(), "1".to_owned())],
    }
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn load(
    files: &[(&str, &str)],
    environment: &[(&str, &str)],
    adjust: impl FnOnce(Loader) -> Loader,
) -> Result<Settings, Errors> {
    let directory = directory(files);
    let variables = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loader = Loader::new()
        .directory(directory.path())
        .declared(vec![declared()])
        .environment(variables);
    adjust(loader).load()
}

/// What the job's parameter is in the end, which each document sets to another text; or all faults.
fn parameter(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<String, String> {
    let settings = load(files, environment, |loader| loader).map_err(|errors| errors.to_string())?;
    Ok(settings.jobs["MyJob"].config.job_parameter().to_owned())
}

fn active(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Vec<String> {
    load(files, environment, |loader| loader).unwrap().profiles
}

const PROD: &[(&str, &str)] = &[("SPRING_PROFILES_ACTIVE", "prod")];

mod spring_boot {
    use super::*;

    /// The inputs that are about profiles.
    const CASES: [&str; 6] = [
        "p02-onprofile-list",
        "p04-onprofile-split",
        "p06-onprofile-camel",
        "p08-properties-multidoc",
        "p10-group-include",
        "r04b-dev-only-in-profile",
    ];

    /// What Spring says and we say otherwise: `elasticjob.profiles.active`, which Spring does not know, wins here.
    fn corrected(case: &str, right: &str) -> String {
        match case {
            "p10-group-include" => right
                .replace("[extra, prod]", "[extra, dev]")
                .replace("[extra]", "[extra, dev]")
                .replace("jobParameter=extra", "jobParameter=dev"),
            "r04b-dev-only-in-profile" => right.replace("com.acme.SpringBootSimpleJob", "com.acme.MyJob"),
            _ => right.to_owned(),
        }
    }

    /// The settings in the form of the recorded answers.
    fn shown(settings: &Settings) -> String {
        let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry else {
            panic!("{:?} is not ZooKeeper", settings.registry);
        };
        let mut shown = format!(
            "profiles [{}]\n reg servers={} namespace={} digest=null session=0 retries=0",
            settings.profiles.join(", "),
            zookeeper.connect_string(),
            zookeeper.namespace
        );
        for (name, job) in &settings.jobs {
            let config = &job.config;
            let parameter = config.job_parameter();
            let fields = [
                format!("elasticJobClass={};", job.class.as_deref().unwrap_or_default()),
                format!("cron={};", config.cron().unwrap()),
                if parameter.is_empty() {
                    String::new()
                } else {
                    format!("jobParameter={parameter};")
                },
                format!("shardingTotalCount={};", config.sharding_total_count()),
                if config.overwrite() {
                    "overwrite=true;".to_owned()
                } else {
                    String::new()
                },
            ];
            let fields: Vec<&str> = fields
                .iter()
                .map(String::as_str)
                .filter(|field| !field.is_empty())
                .collect();
            shown = format!("{shown}\n job [{name}] {}", fields.join(" "));
        }
        shown
    }

    #[test]
    fn binds_the_same() {
        let vectors: serde_json::Value = serde_json::from_str(include_str!("vectors/spring-boot.json")).unwrap();
        let mut seen = BTreeMap::new();
        for case in vectors["cases"].as_array().unwrap() {
            let id = case["id"].as_str().unwrap();
            if !CASES.contains(&id) {
                continue;
            }
            let files: Vec<(String, String)> = case["input"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, text)| {
                    (
                        name.clone(),
                        text.as_str().unwrap().replace("SpringBootSimpleJob", "MyJob"),
                    )
                })
                .collect();
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
            for (with, right) in case["right"].as_object().unwrap() {
                let environment = if with.starts_with("SPRING_") { PROD } else { &[] };
                let settings = load(&files, environment, |loader| loader).unwrap();
                let right = corrected(id, right.as_str().unwrap());
                assert_eq!(shown(&settings), right, "{id}, {with}");
                *seen.entry(id.to_owned()).or_insert(0) += 1;
            }
        }
        assert_eq!((seen.len(), seen.values().sum::<i32>()), (6, 11));
    }
}

mod documents {
    use super::*;

    const BASE: &str = "elasticjob.jobs.MyJob.jobParameter: base\n---\n";
    const JOB: &str = "elasticjob.jobs.MyJob.jobParameter: special\n";

    /// Whether a document with this condition counts.
    fn counts(condition: &str, environment: &[(&str, &str)]) -> Result<bool, String> {
        let text = format!("{BASE}{condition}\n{JOB}");
        parameter(&[("application.yaml", &text)], environment).map(|parameter| parameter == "special")
    }

    #[test]
    fn count_with_their_profile_alone() {
        for condition in [
            "spring.config.activate.on-profile: prod",
            "spring.config.activate.on-profile: [prod, staging]",
            "spring.config.activate.on-profile:\n  - staging\n  - prod",
            "spring.config.activate.onProfile: staging, prod",
            "spring: {config: {activate: {ON_PROFILE: prod}}}",
            "spring:\n  config.activate.on-profile: prod",
            "spring:\n  datasource: {url: x}\nspring.config:\n  activate.on-profile: prod",
            "spring.profiles: prod",
            "spring:\n  profiles: [staging, prod]",
            "spring.config.activate.on-profile: '${STAGE:prod}'",
            "spring.config.activate.on-profile: 'prod & !dev'",
        ] {
            assert_eq!(counts(condition, &[]), Ok(false), "{condition}");
            assert_eq!(counts(condition, PROD), Ok(true), "{condition}");
        }
        let not = "spring.config.activate.on-profile: '!prod'";
        assert_eq!(counts(not, &[]), Ok(true));
        assert_eq!(counts(not, PROD), Ok(false));
        let by_default = "spring.config.activate.on-profile: default";
        assert_eq!(counts(by_default, &[]), Ok(true));
        assert_eq!(counts(by_default, PROD), Ok(false));
        // A section with nothing below it is no condition.
        assert_eq!(counts("spring:\n  profiles:\n  config:\n    activate:", &[]), Ok(true));
    }

    #[test]
    fn with_a_condition_that_is_not_understood_are_refused() {
        for (condition, key, problem) in [
            (
                "spring.config.activate.on-cloud-platform: kubernetes",
                "spring.config.activate.on-cloud-platform",
                "is a condition that is not understood here",
            ),
            (
                "spring.config.activate: prod",
                "spring.config.activate",
                "is a condition that is not understood here",
            ),
            (
                "spring.config.activate.on-profile: {prod: true}",
                "spring.config.activate.on-profile.prod",
                "is a condition that is not understood here",
            ),
            (
                "spring.config.activate.on-profile:",
                "spring.config.activate.on-profile",
                "a profile is expected",
            ),
            (
                "spring.config.activate.on-profile: '${STAGE:}'",
                "spring.config.activate.on-profile",
                "a profile is expected",
            ),
            (
                "spring.config.activate.on-profile: '${STAGE}'",
                "spring.config.activate.on-profile",
                "is neither an environment variable nor a key",
            ),
            (
                "spring.config.activate.on-profile: 'a & b | c'",
                "spring.config.activate.on-profile",
                "`a & b | c` is no profile expression",
            ),
            (
                "spring.profiles: [{a: b}]",
                "spring.profiles",
                "a list of texts is expected",
            ),
            (
                "spring.config.activate.on-profile: [[prod]]",
                "spring.config.activate.on-profile",
                "a list of texts is expected",
            ),
            (
                "spring.profiles: prod\nspring.config.activate.on-profile: prod",
                "spring.config.activate.on-profile",
                "is a second condition, the first is `spring.profiles` (",
            ),
        ] {
            for environment in [&[][..], PROD] {
                let shown = counts(condition, environment).unwrap_err();
                assert!(
                    shown.contains(&format!("`{key}`")) && shown.contains(problem),
                    "{condition}: {shown}"
                );
                assert!(
                    shown.contains("application.yaml:3:") || shown.contains("application.yaml:4:"),
                    "{shown}"
                );
            }
        }
    }

    #[test]
    fn of_all_formats_have_conditions() {
        let toml =
            "elasticjob.jobs.MyJob.jobParameter = 'special'\n[spring.config.activate]\non-profile = ['prod', 'x']\n";
        let properties = "spring.profiles[0]=x\nspring.profiles[1]=prod\nelasticjob.jobs.MyJob.jobParameter=special\n";
        for file in [("application.toml", toml), ("application.properties", properties)] {
            let files = [("application.yaml", "elasticjob.jobs.MyJob.jobParameter: base"), file];
            assert_eq!(parameter(&files, &[]).unwrap(), "base", "{}", file.0);
            assert_eq!(parameter(&files, PROD).unwrap(), "special", "{}", file.0);
        }
        let config = config::Config::builder()
            .set_override("spring.config.activate.on-profile", "prod")
            .and_then(|builder| builder.set_override("elasticjob.jobs.MyJob.job-parameter", "special"))
            .and_then(|builder| builder.build())
            .unwrap();
        let of = |environment| {
            let settings = load(&[], environment, |loader| loader.config(config.clone())).unwrap();
            settings.jobs["MyJob"].config.job_parameter().to_owned()
        };
        assert_eq!((of(&[]).as_str(), of(PROD).as_str()), ("", "special"));
    }

    #[test]
    fn of_properties_are_separated_as_in_spring() {
        let check = |separator: &str, is_separated: bool| {
            let text = format!(
                "elasticjob.jobs.MyJob.description=base\n{separator}\nspring.config.activate.on-profile=prod\n\
                 elasticjob.jobs.MyJob.job-parameter=special\n"
            );
            let settings = load(&[("application.properties", &text)], &[], |loader| loader).unwrap();
            // The condition counts for the whole file if nothing separates it.
            let description = settings.jobs["MyJob"].config.description().to_owned();
            assert_eq!(description, if is_separated { "base" } else { "" }, "{separator}");
        };
        check("#---", true);
        check("!---  ", true);
        check("\n#---\n", true);
        check("! other\n#---", true);
        check("#---\n#---", true);
        check(" #---", false);
        check("#----", false);
        check("# comment\n#---", false);
        check("#---\n# comment", false);
        check("#---\n\n! comment", false);
        check("spring.application.name=a\\\n#---", false);
    }

    #[test]
    fn of_properties_keep_their_lines() {
        let text = "elasticjob.jobs.MyJob.misfire=true\n#---\n\nelasticjob.jobs.MyJob.misfire=maybe\n";
        let shown = parameter(&[("application.properties", text)], &[]).unwrap_err();
        assert!(
            shown.contains("application.properties:4: `elasticjob.jobs.MyJob.misfire` is `maybe`"),
            "{shown}"
        );
    }

    #[test]
    fn that_do_not_count_have_no_faults() {
        let text = format!("{BASE}spring.config.activate.on-profile: prod\nelasticjob.jobs.MyJob.cron: [{{a: b}}]\n");
        assert_eq!(parameter(&[("application.yaml", &text)], &[]).unwrap(), "base");
        let shown = parameter(&[("application.yaml", &text)], PROD).unwrap_err();
        assert!(
            shown.contains("`elasticjob.jobs.MyJob.cron`: a list of texts is expected"),
            "{shown}"
        );
    }
}

mod active {
    use super::*;

    fn job(parameter: &str) -> String {
        format!("elasticjob.jobs.MyJob.jobParameter: {parameter}\n")
    }

    #[test]
    fn are_named_in_springs_ways() {
        let dev = job("dev");
        let with = |base: &'static str| [("application.yaml", base), ("application-dev.yaml", dev.as_str())];
        for base in [
            "spring.profiles.active: dev",
            "spring: {profiles: {active: [dev]}}",
            "spring:\n  profiles.ACTIVE: ${STAGE:dev}",
            "spring.profiles.include: dev",
            "spring.profiles: {active: all, group: {all: [dev, x]}}",
            "spring.profiles.default: dev",
        ] {
            assert_eq!(parameter(&with(base), &[]).unwrap(), "dev", "{base}");
        }
        for variable in [
            "SPRING_PROFILES_ACTIVE",
            "spring.profiles.active",
            "spring_profiles_active",
            "SPRING_PROFILES_ACTIVE_0",
            "SPRING_PROFILES_INCLUDE",
            "SPRING_PROFILES_DEFAULT",
            "SPRING_PROFILES_GROUP_DEFAULT",
        ] {
            assert_eq!(parameter(&with(""), &[(variable, "dev")]).unwrap(), "dev", "{variable}");
        }
        let files = [
            (
                "application.properties",
                "spring.profiles.active[0]=x\nspring.profiles.active[1]=dev",
            ),
            with("")[1],
        ];
        assert_eq!(parameter(&files, &[]).unwrap(), "dev");
    }

    #[test]
    fn come_in_springs_order() {
        let base = "spring.profiles: {active: [a, b], include: [i, a], group: {a: [a1, a2], a2: [a, deep], i: b}}";
        assert_eq!(
            active(&[("application.yaml", base)], &[]),
            ["i", "b", "a", "a1", "a2", "deep"]
        );
        let variables = [
            ("SPRING_PROFILES_ACTIVE", "x,y"),
            ("SPRING_PROFILES_INCLUDE_1", "k"),
            ("SPRING_PROFILES_INCLUDE_0", "j"),
        ];
        assert_eq!(
            active(&[("application.yaml", "spring.profiles.include: i")], &variables),
            ["j", "k", "i", "x", "y"]
        );
        assert_eq!(
            active(
                &[("application.yaml", "spring.profiles.active: a")],
                &[("SPRING_PROFILES_ACTIVE", "")]
            ),
            [""; 0]
        );
    }

    #[test]
    fn are_ours_if_we_name_any() {
        let (dev, prod) = (job("dev"), job("prod"));
        let with = |base: &'static str| {
            [
                ("application.yaml", base),
                ("application-dev.yaml", dev.as_str()),
                ("application-prod.yaml", prod.as_str()),
            ]
        };
        let ours = "elasticjob.profiles.active: dev\nspring.profiles.active: prod";
        assert_eq!(parameter(&with(ours), PROD).unwrap(), "dev");
        let spring = "spring.profiles.active: prod";
        assert_eq!(
            parameter(&with(spring), &[("ELASTICJOB_PROFILES_ACTIVE", "dev")]).unwrap(),
            "dev"
        );
        let of = |adjust: &dyn Fn(Loader) -> Loader| load(&with(spring), PROD, adjust).unwrap().profiles;
        assert_eq!(of(&|loader| loader.profile("dev")), ["dev"]);
        assert_eq!(of(&|loader| loader.set("profiles.active", "dev")), ["dev"]);
    }

    #[test]
    fn may_be_named_by_further_files() {
        let directory = directory(&[
            ("more.yaml", "spring.profiles.active: prod"),
            ("application-prod.yaml", &job("prod")),
        ]);
        let loader = Loader::new()
            .directory(directory.path())
            .file(directory.path().join("more.yaml"));
        let settings = loader.declared(vec![declared()]).load().unwrap();
        assert_eq!(
            (
                settings.profiles.as_slice(),
                settings.jobs["MyJob"].config.job_parameter()
            ),
            (["prod".to_owned()].as_slice(), "prod")
        );
    }

    #[test]
    fn that_spring_names_need_no_file_and_ours_do() {
        assert_eq!(active(&[], PROD), ["prod"]);
        let shown = load(&[], &[], |loader| loader.profile("prod")).unwrap_err().to_string();
        assert!(
            shown.contains("`elasticjob.profiles.active` is `prod`: no file `application-prod.*` in "),
            "{shown}"
        );
        for base in [
            "spring.profiles.group.prod: [a, b]",
            "a: b\n---\nspring.config.activate.on-profile: '!(prod | x)'",
        ] {
            let loaded = load(&[("application.yaml", base)], &[], |loader| loader.profile("prod"));
            assert_eq!(loaded.unwrap().profiles[0], "prod", "{base}");
        }
    }

    #[test]
    fn cannot_be_chosen_where_they_are_read_too_late() {
        for key in [
            "spring.profiles.active",
            "spring.profiles.include",
            "spring.profiles.default",
            "spring.profiles.group.x",
            "elasticjob.profiles.active",
        ] {
            let text = format!("{key}: other");
            let in_file = [("application-prod.yaml", text.as_str())];
            let text = format!("a: b\n---\nspring.config.activate.on-profile: prod\n{key}: other");
            let in_document = [("application.yaml", text.as_str())];
            for (files, line) in [(in_file, 1), (in_document, 4)] {
                let shown = parameter(&files, PROD).unwrap_err();
                let expected =
                    format!(".yaml:{line}: `{key}` is `other`: stands in a file or document for some profiles");
                assert!(shown.contains(&expected), "{shown}");
            }
        }
    }

    #[test]
    fn are_those_by_default_without_any() {
        let by_default = job("default");
        let files = [("application-default.yaml", by_default.as_str())];
        assert_eq!(parameter(&files, &[]).unwrap(), "default");
        assert_eq!(active(&files, &[]), [""; 0]);
        assert_eq!(parameter(&files, PROD).unwrap(), "");
    }
}
