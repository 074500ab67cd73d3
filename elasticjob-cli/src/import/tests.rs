//! What becomes of Spring's XML.

use std::collections::BTreeMap;

use elasticjob::configuration::sources::{Declared, Loader, RegistrySettings};

use super::{Import, Source, import};

const EXAMPLE: &str = include_str!("../../tests/spring/example-3.x.xml");
const SECOND: &str = include_str!("../../tests/spring/everything-2.x.xml");

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

/// The elements, in a context that knows the namespace of 3.x as `elasticjob`.
fn context(elements: &str) -> Source {
    let text = format!(
        "<beans xmlns='http://www.springframework.org/schema/beans' xmlns:p='http://www.springframework.org/schema/p'\n    \
         xmlns:elasticjob='http://shardingsphere.apache.org/schema/elasticjob'>\n{elements}\n</beans>"
    );
    source("context.xml", &text)
}

fn imported(elements: &str) -> Import {
    import(&[context(elements)], &BTreeMap::new()).unwrap()
}

fn remarks(import: &Import) -> Vec<String> {
    import.remarks.iter().map(ToString::to_string).collect()
}

fn faults(elements: &str) -> Vec<String> {
    import(&[context(elements)], &BTreeMap::new()).unwrap_err()
}

const REGISTRY: &str = "<elasticjob:zookeeper id='regCenter' server-lists='zk:2181' namespace='shop'/>";

mod examples {
    use super::*;

    /// What the properties beside the example say.
    fn properties() -> BTreeMap<String, String> {
        let pairs = [("simple.id", "simpleJob"), ("dataflow.id", "dataflowJob")];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn keep_placeholders_and_are_loaded() {
        let import = import(&[source("application-context.xml", EXAMPLE)], &properties()).unwrap();
        assert!(import.yaml.contains("cron: \"${simple.cron}\""), "{}", import.yaml);
        let values = [
            ("serverLists", "zk1:2181,zk2:2181"),
            ("namespace", "shop"),
            ("baseSleepTimeMilliseconds", "1000"),
            ("maxSleepTimeMilliseconds", "3000"),
            ("maxRetries", "3"),
            ("event.rdb.driver", "org.postgresql.Driver"),
            ("event.rdb.url", "jdbc:postgresql://db/jobs"),
            ("event.rdb.username", "jobs"),
            ("event.rdb.password", "secret"),
            ("simple.shardingTotalCount", "3"),
            ("simple.cron", "0/5 * * * * ?"),
            ("simple.shardingItemParameters", "0=Beijing,1=Shanghai,2=Guangzhou"),
            ("simple.monitorExecution", "false"),
            ("simple.failover", "true"),
            ("simple.description", "仅一次"),
            ("simple.disabled", "false"),
            ("simple.overwrite", "true"),
            ("dataflow.shardingTotalCount", "3"),
            ("dataflow.cron", "0/10 * * * * ?"),
            ("dataflow.shardingItemParameters", "0=a"),
            ("dataflow.monitorExecution", "true"),
            ("dataflow.failover", "true"),
            ("dataflow.maxTimeDiffSeconds", "-1"),
            ("dataflow.streamingProcess", "true"),
            ("dataflow.description", "flow"),
            ("dataflow.disabled", "false"),
            ("dataflow.overwrite", "true"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let text: String = values.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(folder.path().join("application.properties"), text).unwrap();
        std::fs::write(folder.path().join("application.yaml"), &import.yaml).unwrap();
        let settings = Loader::new()
            .directory(folder.path())
            .declared(["spring_simple_job", "spring_dataflow_job"].map(declared).into())
            .load()
            .unwrap();
        let RegistrySettings::ZooKeeper(registry) = &settings.registry else {
            panic!("{settings:?}")
        };
        assert_eq!(registry.connect_string(), "zk1:2181,zk2:2181");
        let simple = &settings.jobs["simpleJob"].config;
        assert_eq!(
            (simple.failover(), simple.misfire(), simple.overwrite()),
            (true, true, true)
        );
        assert_eq!(simple.description(), "仅一次");
        let dataflow = &settings.jobs["dataflowJob"].config;
        assert_eq!(
            dataflow.props().get("streaming.process").map(String::as_str),
            Some("true")
        );
        let tracing = settings.tracing.unwrap();
        assert_eq!(
            tracing.data_source.unwrap().get("url"),
            Some("jdbc:postgresql://db/jobs")
        );
    }

    #[test]
    fn of_2_x_are_carried_over_with_a_remark_for_each_loss() {
        let import = import(&[source("job.xml", SECOND)], &BTreeMap::new()).unwrap();
        let expected = include_str!("../../tests/spring/everything-2.x.yaml");
        assert_eq!(import.yaml, expected, "{}", import.yaml);
    }
}

/// A job that the program declares.
fn declared(name: &str) -> Declared {
    Declared {
        name: name.to_owned(),
        origin: "src/main.rs:1".to_owned(),
        values: Vec::new(),
    }
}

/// The configuration that an application reads from what was written, with these jobs in its code.
fn loaded(yaml: &str, jobs: &[&str]) -> elasticjob::configuration::sources::Settings {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("application.yaml"), yaml).unwrap();
    let jobs = jobs.iter().map(|job| declared(job)).collect();
    Loader::new().directory(folder.path()).declared(jobs).load().unwrap()
}

mod names {
    use super::*;

    #[test]
    fn are_read_back_as_they_are() {
        let names = ["my.job", "yes", "007", "结算", "a b", "quote\u{22}d", "x:y"];
        let jobs: String = names
            .iter()
            .map(|name| {
                let name = name.replace('"', "&quot;");
                format!(
                    "<elasticjob:job id='{name}' job-type='SCRIPT' registry-center-ref='regCenter' cron='0 0 0 * * ?' \
                     sharding-total-count='1'><props><prop key='script.command.line'>true</prop></props></elasticjob:job>\n"
                )
            })
            .collect();
        let import = imported(&(REGISTRY.to_owned() + &jobs));
        let settings = loaded(&import.yaml, &[]);
        let mut read: Vec<&str> = settings.jobs.keys().map(String::as_str).collect();
        let mut names = names;
        read.sort_unstable();
        names.sort_unstable();
        assert_eq!(read, names, "{}", import.yaml);
    }

    #[test]
    fn with_a_placeholder_need_the_properties() {
        let job = "<elasticjob:job id='a-${b}-${c:d}' job-type='SCRIPT' registry-center-ref='regCenter' sharding-total-count='1'/>";
        let all = REGISTRY.to_owned() + "\n" + job;
        assert_eq!(
            faults(&all),
            [
                "context.xml:4: the job's name is `a-${b}-${c:d}`, and a name is a key in YAML, which no placeholder can be: give \
                 the file that has `b` with --properties"
            ]
        );
        let properties = BTreeMap::from([("b".to_owned(), "B".to_owned())]);
        let import = import(&[context(&all)], &properties).unwrap();
        assert!(import.yaml.contains("    a-B-d:\n"), "{}", import.yaml);
    }

    #[test]
    fn are_those_of_one_job_each() {
        let job = "<elasticjob:job id='a' job-type='HTTP' registry-center-ref='regCenter' sharding-total-count='1'/>\n";
        let all = format!("{REGISTRY}\n{job}{job}");
        assert_eq!(
            faults(&all),
            ["context.xml:5: job `a` is here a second time, after context.xml:4"]
        );
    }
}

mod files {
    use super::*;

    #[test]
    fn refer_to_each_other() {
        let base = source(
            "conf/base.xml",
            "<beans xmlns:e='http://elasticjob.shardingsphere.apache.org/schema/elasticjob'>\n\
             <e:zookeeper id='regCenter' server-lists='zk:2181' namespace='shop'/></beans>",
        );
        let job = "<import resource='classpath:base.xml'/><bean id='b' class='com.acme.Settle'/>\n\
                   <elasticjob:job id='a' job-ref='b' registry-center-ref='regCenter' cron='0 0 0 * * ?' sharding-total-count='2'/>";
        let import = import(&[base, context(job)], &BTreeMap::new()).unwrap();
        assert_eq!(import.remarks, []);
        let settings = loaded(&import.yaml, &["settle"]);
        assert_eq!(settings.jobs["a"].config.sharding_total_count().get(), 2);
        assert_eq!(settings.jobs["a"].class.as_deref(), Some("com.acme.Settle"));
    }

    #[test]
    fn without_anything_of_ours_or_not_well_formed_are_refused() {
        let errors = faults("<bean id='a' class='b'/>");
        assert!(errors[0].starts_with("there is nothing of ElasticJob"), "{errors:?}");
        let sources = [source("a.xml", "<beans>\n<bean></beans>"), source("b.xml", "")];
        let errors = import(&sources, &BTreeMap::new()).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0].contains("a.xml: is no well-formed XML") && errors[0].contains("2:"),
            "{errors:?}"
        );
    }

    #[test]
    fn with_entities_that_grow_are_refused() {
        let mut entities = "<!ENTITY a0 'aaaaaaaaaa'>".to_owned();
        for depth in 1..30 {
            let before = format!("&a{};", depth - 1).repeat(10);
            entities += &format!("<!ENTITY a{depth} '{before}'>");
        }
        let text = format!("<!DOCTYPE beans [{entities}]><beans>&a29;</beans>");
        let errors = import(&[source("bomb.xml", &text)], &BTreeMap::new()).unwrap_err();
        assert!(errors[0].starts_with("bomb.xml: is no well-formed XML"), "{errors:?}");
    }

    #[test]
    fn of_ten_thousand_jobs_are_carried_over() {
        let job = |number| {
            format!(
                "<elasticjob:job id='j{number}' job-type='HTTP' registry-center-ref='regCenter' cron='0 0 0 * * ?' \
                 sharding-total-count='1' unknown='x'/>\n"
            )
        };
        let jobs: String = (0..10_000).map(job).collect();
        let import = imported(&format!("{REGISTRY}\n{jobs}"));
        assert_eq!(import.remarks.len(), 10_000);
        assert_eq!(import.remarks[9_999].line, 10_003);
    }
}

mod history {
    use super::*;

    #[test]
    fn is_of_the_jobs_that_refer_to_it() {
        let all = format!(
            "{REGISTRY}<bean id='db' class='x' p:jdbcUrl='jdbc:sqlite:h.db'/>\n\
             <elasticjob:rdb-event-trace-config id='t' data-source-ref='db'/>\n\
             <elasticjob:job id='a' job-type='HTTP' registry-center-ref='regCenter' sharding-total-count='1' tracing-ref='t'/>\n\
             <elasticjob:job id='b' job-type='HTTP' registry-center-ref='regCenter' sharding-total-count='1'/>"
        );
        let import = imported(&all);
        let tracing = "  tracing:\n    type: RDB\n    include-job-names:\n      - \"a\"\n    data-source:\n      \
                       url: \"jdbc:sqlite:h.db\"\n";
        assert!(import.yaml.contains(tracing), "{}", import.yaml);
        assert_eq!(import.remarks, []);
    }

    #[test]
    fn in_a_database_that_is_configured_elsewhere_is_a_remark() {
        let all = format!(
            "{REGISTRY}\n<elasticjob:rdb-tracing id='t' data-source-ref='db'/>\n\
             <elasticjob:job id='a' job-type='HTTP' registry-center-ref='regCenter' sharding-total-count='1' tracing-ref='t'/>"
        );
        let import = imported(&all);
        assert!(!import.yaml.contains("tracing:\n"), "{}", import.yaml);
        assert_eq!(
            remarks(&import),
            [
                "context.xml:4: the data source `db` is not in these files: write `tracing.type: RDB` and \
                 `tracing.data-source`"
            ]
        );
    }
}
