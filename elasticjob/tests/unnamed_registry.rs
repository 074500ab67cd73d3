//! What an application says of the registry that nothing names, and of the files that it looked for.

mod log;

use std::sync::Arc;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::registry::memory::MemoryRegistry;
use elasticjob::starter::Builder;

use self::log::Log;

/// Returns what building an application without files logs, or why it is refused.
fn built(adjust: impl FnOnce(Builder) -> Builder) -> Result<String, String> {
    let builder = ElasticJob::builder()
        .without_discovery()
        .environment([])
        .directory("no-such-directory")
        .job(
            job("tick", async |_shard: ShardingContext| ())
                .sharding(1)
                .cron("* * * * * ?"),
        );
    let (log, _here) = Log::record();
    let ready = adjust(builder).build();
    drop(ready.map_err(|error| error.to_string())?);
    Ok(log.text())
}

mod a_registry {
    use super::*;

    #[test]
    fn that_nothing_names_is_warned_of() {
        let log = built(|builder| builder).expect("it may run alone");
        let warning = log
            .lines()
            .find(|line| line.contains("WARN"))
            .expect("there is a warning");
        assert!(
            warning
                .contains("no registry is named: each instance of this application runs all items of all jobs alone"),
            "{log}"
        );
        let here = std::env::current_dir().expect("there is one");
        let looked_for = here.join("no-such-directory/config/application.{yaml,yml,toml,properties}");
        assert!(warning.contains(&looked_for.display().to_string()), "{log}");
        let read = log
            .lines()
            .find(|line| line.contains("configuration read"))
            .expect("it says so");
        assert!(
            read.contains("INFO") && read.contains(&looked_for.display().to_string()),
            "{log}"
        );
    }

    #[test]
    fn that_is_embedded_on_purpose_is_not_warned_of() {
        for log in [
            built(|builder| builder.set("reg-center.type", "EMBEDDED")),
            built(|builder| builder.registry(Arc::new(MemoryRegistry::new()))),
        ] {
            let log = log.expect("it may run");
            assert!(log.contains("configuration read") && !log.contains("WARN"), "{log}");
        }
    }

    #[test]
    fn that_is_required_has_to_be_named() {
        let refused = built(Builder::require_registry).expect_err("there is none");
        assert!(
            refused.contains("builder: `elasticjob.reg-center.required` is `true`: but no registry is named"),
            "{refused}"
        );
        let by_code = |builder: Builder| builder.require_registry().registry(Arc::new(MemoryRegistry::new()));
        built(by_code).expect("the program brings one");
    }
}
