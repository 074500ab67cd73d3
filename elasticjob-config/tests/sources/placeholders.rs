//! Texts that stand for variables, keys and defaults.

use super::*;

#[test]
fn placeholders_should_stand_for_variables_keys_and_defaults() {
    let check = |text: &str, expected: &str| {
        let yaml = format!(
            "app: {{name: orders, loop: '${{app.loop}}'}}\nelasticjob.jobs.sync_orders.job-parameter: '{text}'\n"
        );
        let variables = environment(&[("ZK", "zk:2181"), ("MY_HOST", "h")]);
        let settings = load(&[("application.yaml", &yaml)], |loader| loader.environment(variables)).unwrap();
        assert_eq!(parameter(&settings), expected, "{text}");
    };
    check("a ${ZK} b", "a zk:2181 b");
    check("${NONE:x:y}", "x:y");
    check("${NONE:${ZK}}", "zk:2181");
    check("${NONE:}", "");
    check("${app.name}-${elasticjob.jobs.syncOrders.cron:none}", "orders-none");
    check("${my.host}", "h");
    check("\\${ZK} $ZK {ZK}", "${ZK} $ZK {ZK}");
}

#[test]
fn an_unknown_placeholder_is_a_fault() {
    let fault = |text: &str| {
        faults(yaml(&format!(
            "a: '${{b}}'\nb: '${{a}}'\nelasticjob.jobs.sync_orders.job-parameter: '{text}'"
        )))
    };
    let start = "application.yaml:3: `elasticjob.jobs.sync_orders.job-parameter` is";
    assert_eq!(
        fault("${NONE}"),
        [format!(
            "{start} `${{NONE}}`: `${{NONE}}` is neither an environment variable nor a key, and has no default: write `${{NONE:default}}`"
        )]
    );
    assert_eq!(
        fault("${a}"),
        [format!(
            "{start} `${{a}}`: the placeholder refers to itself: a -> b -> a"
        )]
    );
    assert_eq!(
        fault("${a"),
        [format!(
            "{start} `${{a`: a placeholder has no closing brace; write `\\${{` for the characters themselves"
        )]
    );
}
