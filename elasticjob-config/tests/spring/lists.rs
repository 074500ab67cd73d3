use super::*;

#[test]
fn stand_in_brackets_as_in_the_manual() {
    let text =
        "elasticjob.tracing.type=RDB\nelasticjob.tracing.excludeJobNames=[ job-name ]\nelasticjob.labels=[gpu, ssd]\n";
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
