//! Where the active profile is named.

use super::*;

#[test]
fn a_profile_comes_from_code_environment_or_file() {
    let files = [
        ("application.yaml", "elasticjob: {profiles: {active: file}}"),
        (
            "application-file.toml",
            "elasticjob.jobs.sync_orders.job-parameter = 'file'",
        ),
        ("application-env.yaml", "elasticjob.jobs.sync_orders.job-parameter: env"),
        (
            "application-code.yaml",
            "elasticjob.jobs.sync_orders.job-parameter: code",
        ),
    ];
    let env = || environment(&[("ELASTICJOB_PROFILES_ACTIVE", "env")]);
    assert_eq!(parameter(&load(&files, |loader| loader).unwrap()), "file");
    assert_eq!(
        parameter(&load(&files, |loader| loader.environment(env())).unwrap()),
        "env"
    );
    assert_eq!(
        parameter(&load(&files, |loader| loader.environment(env()).profile("code")).unwrap()),
        "code"
    );
    let settings = load(&files, |loader| loader.profile("code, env")).unwrap();
    assert_eq!(
        (parameter(&settings), settings.profiles.as_slice()),
        ("env", ["code".to_owned(), "env".to_owned()].as_slice())
    );
    let errors = load(&files, |loader| loader.profile("prd")).unwrap_err().to_string();
    assert!(
        errors.contains("`elasticjob.profiles.active` is `prd`: no file `application-prd.*` in "),
        "{errors}"
    );
}

#[test]
fn a_profile_may_be_a_placeholder() {
    let files = [
        ("application.yaml", "elasticjob.profiles.active: ${STAGE:dev}"),
        ("application-dev.yaml", ""),
    ];
    assert_eq!(load(&files, |loader| loader).unwrap().profiles, ["dev"]);
    let files = [
        ("application.yaml", "elasticjob.profiles.active: dev"),
        ("application-dev.yaml", "a: ["),
    ];
    let faults = faults(load(&files, |loader| loader));
    assert!(
        faults.len() == 1 && faults[0].contains("application-dev.yaml:"),
        "{faults:?}"
    );
}

#[test]
fn a_document_counts_only_with_its_profile() {
    let text = "elasticjob.jobs.sync_orders.job-parameter: all\n---\nspring:\n  config.activate.on-profile: prod\n\
                elasticjob.jobs.sync_orders.job-parameter: prod\n";
    assert_eq!(parameter(&yaml(text).unwrap()), "all");
    assert_eq!(
        parameter(&load(&[("application.yaml", text)], |loader| loader.profile("prod")).unwrap()),
        "prod"
    );
}
