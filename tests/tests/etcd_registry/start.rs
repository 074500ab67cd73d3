//! What an application is refused for before it connects.

use elasticjob::ElasticJob;

/// Returns what keeps an application with these settings from starting.
fn faults(reg_center: &str, job: &str) -> anyhow::Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("application.yaml");
    let of_job =
        "elastic-job-type: SCRIPT, sharding-total-count: 1, cron: '0 0 3 * * ?', props: {script.command.line: 'true'}";
    std::fs::write(
        &file,
        format!(
            "elasticjob:\n  reg-center: {{{reg_center}, namespace: shop}}\n  jobs:\n    nightly: {{{of_job}{job}}}\n"
        ),
    )?;
    match ElasticJob::builder()
        .without_files()
        .environment([])
        .file(&file)
        .build()
    {
        Err(elasticjob::Error::Invalid(faults)) => Ok(faults.iter().map(ToString::to_string).collect()),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

#[test]
fn is_not_refused_with_what_etcd_has() -> anyhow::Result<()> {
    assert_eq!(faults("url: 'etcd://lion:tiger@127.0.0.1:2379'", "")?, [""; 0]);
    Ok(())
}

#[test]
fn names_the_job_whose_clock_would_be_compared() -> anyhow::Result<()> {
    let faults = faults("url: 'etcd://127.0.0.1:2379'", ", max-time-diff: 5s")?;
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert!(
        fault.contains("nightly") && fault.contains("max-time-diff") && fault.contains("etcd has no clock"),
        "{fault}"
    );
    Ok(())
}

#[test]
fn names_what_is_wrong_with_url_and_files_without_the_password() -> anyhow::Result<()> {
    for (reg_center, expected) in [
        (
            "url: 'etcd://lion:tiger@a:0'",
            "server 1 of the list: its port is not a number",
        ),
        (
            "url: 'etcds://lion:tiger@a', tls: {ca: /nowhere/ca.pem}",
            "/nowhere/ca.pem cannot be read",
        ),
    ] {
        let faults = faults(reg_center, "")?;
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert!(fault.contains(expected) && fault.contains("reg-center.url"), "{fault}");
        assert!(!fault.contains("tiger"), "{fault}");
    }
    Ok(())
}
