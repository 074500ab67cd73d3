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
