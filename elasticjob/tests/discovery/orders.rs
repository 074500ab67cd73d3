use std::fs;

use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::prelude::*;
use elasticjob::starter::{Builder, Jobs, Ready};

use super::returns::{self, Warehouse};

#[elastic_job(sharding = 1)]
async fn settle() {}

#[elastic_job(sharding = 1)]
async fn charge(amount: Component<u32>) {
    let _ = amount;
}

fn builder() -> Builder {
    ElasticJob::builder().without_files().environment([])
}

fn names(builder: Builder) -> Result<Vec<String>, String> {
    let ready = builder.build().map_err(|error| error.to_string())?;
    Ok(ready.job_names().map(str::to_owned).collect())
}

mod discovery {
    use super::*;

    #[test]
    fn finds_jobs_of_its_file_alone() {
        assert_eq!(
            names(builder().component(7_u32)),
            Ok(vec!["charge".to_owned(), "settle".to_owned()])
        );
        let jobs = Jobs::discovered().finish().expect("no two share a name");
        assert_eq!(jobs.len(), 2);
    }

    #[test]
    fn takes_jobs_of_other_files_that_are_registered() {
        let builder = builder().component(7_u32).component(Warehouse);
        let found = names(builder.register::<returns::restock>());
        assert_eq!(
            found,
            Ok(vec!["charge".to_owned(), "restock".to_owned(), "settle".to_owned()])
        );
    }

    #[test]
    fn makes_no_strategies_of_other_files() {
        let builder = builder().component(7_u32).component(Warehouse);
        let error =
            names(builder.set("jobs.settle.job-sharding-strategy-type", "BY_SHELF")).expect_err("there is none here");
        assert!(error.contains("unknown sharding strategy `BY_SHELF`"), "{error}");
    }
}

mod only {
    use super::*;

    #[test]
    fn leaves_out_other_jobs_and_what_they_miss() {
        assert_eq!(names(builder().only(["settle"])), Ok(vec!["settle".to_owned()]));
    }

    #[test]
    fn leaves_out_sections_of_the_configuration() {
        let builder = builder().set("jobs.by-type.elastic-job-type", "NO_SUCH_TYPE");
        let builder = builder.set("jobs.by-type.sharding-total-count", "1");
        assert_eq!(names(builder.only(["settle"])), Ok(vec!["settle".to_owned()]));
    }

    #[test]
    fn leaves_out_names_that_several_jobs_share() {
        let twice = || job("twice", || async {}).sharding(1);
        let with_both = || builder().job(twice()).job(twice());
        assert_eq!(names(with_both().only(["settle"])), Ok(vec!["settle".to_owned()]));
        let error = names(with_both().only(["twice"])).expect_err("there are two");
        assert!(error.contains("several jobs are named twice"), "{error}");
    }

    #[test]
    fn refuses_names_that_no_job_has() {
        let error = names(builder().component(7_u32).only(["settle", "setle"])).expect_err("it is misspelt");
        assert!(
            error.contains("`only` names the job `setle`, which there is not: expected one of charge, settle"),
            "{error}"
        );
    }
}

mod files {
    use super::*;

    fn built(adjust: impl FnOnce(Builder) -> Builder) -> Result<Ready, String> {
        let builder = ElasticJob::builder().environment([]).only(["settle"]);
        adjust(builder.require_registry())
            .build()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn are_not_looked_for_without() {
        let error = built(|builder| builder).expect_err("no registry is named");
        assert!(error.contains("application.{yaml,yml,toml,properties}"), "{error}");
        let error = built(Builder::without_files).expect_err("no registry is named");
        assert!(!error.contains("application."), "{error}");
    }

    #[test]
    fn that_are_named_are_read() {
        let directory = tempfile::tempdir().expect("there is room");
        let file = directory.path().join("application.yaml");
        fs::write(&file, "elasticjob:\n  jobs:\n    settle:\n      cron: never\n").expect("there is room");
        let is_read = |adjust: &dyn Fn(Builder) -> Builder| {
            let built = adjust(ElasticJob::builder().environment([]).only(["settle"])).build();
            built.is_err_and(|error| error.to_string().contains("`never`"))
        };
        assert!(is_read(&|builder| builder.directory(directory.path())));
        assert!(!is_read(&|builder| builder.directory(directory.path()).without_files()));
        assert!(is_read(&|builder| builder.without_files().file(&file)));
        assert!(is_read(&|builder| builder.without_files().directory(directory.path())));
    }
}
