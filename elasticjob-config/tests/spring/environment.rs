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
