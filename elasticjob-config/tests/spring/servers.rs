use elasticjob_config::sources::RegistrySettings;

use super::*;

fn read(servers: &str) -> Result<String, Vec<String>> {
    let loaded = properties(&format!(
        "elasticjob.reg-center.server-lists={servers}\nelasticjob.reg-center.namespace=n\n"
    ));
    match loaded {
        Ok(Settings {
            registry: RegistrySettings::ZooKeeper(zookeeper),
            ..
        }) => Ok(zookeeper.connect_string()),
        loaded => Err(faults(loaded)),
    }
}

#[test]
fn are_read_as_zookeepers_client_reads_them() {
    for (text, expected) in [
        ("zk1, zk2:2182 ,zk3:2181,", "zk1:2181,zk2:2182,zk3:2181"),
        ("zk1:2181,zk2:2181/", "zk1:2181,zk2:2181"),
        (",zk1", "zk1:2181"),
        ("zk1:2181,zk2/a/b", "zk1:2181,zk2:2181/a/b"),
        ("[::1]", "[::1]:2181"),
        ("[fe80::1%eth0]:2182", "[fe80::1%eth0]:2182"),
        ("127.0.0.1:2181   ", "127.0.0.1:2181"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn that_are_none_are_refused() {
    for text in [
        "zk1:",
        "zk1:0",
        "zk1/a/",
        "zk1//a",
        "[::1]2181",
        "[::1%]:2181",
        "[::1%e th]:1",
        ",",
        "/",
        "a b:2181",
        "::1:2181",
        "zk1/a,zk2",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
