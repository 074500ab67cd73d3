//! `elasticjob import`, the program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn import(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elasticjob"));
    command.current_dir(folder).arg("import").args(arguments);
    command.output().expect("the program starts")
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it writes UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const JOB: &str = r#"
<beans xmlns:elasticjob="http://shardingsphere.apache.org/schema/elasticjob">
<elasticjob:zookeeper id="r" server-lists="zk:2181" namespace="shop"/>
<elasticjob:job id="${name}" job-type="HTTP" registry-center-ref="r" cron="0 0 0 * * ?" sharding-total-count="1" more="x"/>
</beans>"#;

#[test]
fn lists_losses_on_the_standard_error_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spring.xml"), JOB).unwrap();
    let (code, out, err) = texts(&import(folder.path(), &["spring.xml"]));
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("spring.xml:4: the job's name is `${name}`"), "{err}");

    fs::write(folder.path().join("job.properties"), "name = 结算\n").unwrap();
    let (code, out, err) = texts(&import(
        folder.path(),
        &["spring.xml", "--properties", "job.properties"],
    ));
    assert_eq!(code, Some(1), "{err}");
    assert!(out.contains("\"结算\":\n"), "{out}");
    assert_eq!(err, "spring.xml:4: `more=x` of job `结算` has no counterpart\n");
}

#[test]
fn reads_the_encoding_that_the_first_line_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = |declaration: &str| {
        let job = JOB.replace(" more=\"x\"", "");
        // 订单 in GBK, which is no UTF-8.
        let (before, after) = job.split_once("${name}").unwrap();
        [
            declaration.as_bytes(),
            before.as_bytes(),
            &[0xb6, 0xa9, 0xb5, 0xa5],
            after.as_bytes(),
        ]
        .concat()
    };
    fs::write(
        folder.path().join("gbk.xml"),
        file("<?xml version='1.0' encoding='GBK'?>"),
    )
    .unwrap();
    let (code, out, err) = texts(&import(folder.path(), &["gbk.xml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("\"订单\":\n"), "{out}");

    fs::write(folder.path().join("none.xml"), file("<?xml version='1.0'?>")).unwrap();
    let (code, out, err) = texts(&import(folder.path(), &["none.xml"]));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("none.xml is not UTF-8"), "{err}");
}
