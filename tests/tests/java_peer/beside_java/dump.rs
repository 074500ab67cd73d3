//! What a dump port says, asked by either's client.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::ensure;
use elasticjob::operation;
use elasticjob_tests::cluster::SHARE;
use elasticjob_tests::java::{self, Operator};
use elasticjob_tests::zookeeper::free_port;
use serde_json::json;

use super::{Java, Kind, NEVER, Ours, are_there, cluster};

/// The first version with a client.
const WITH_CLIENT: &str = "3.0.3";

#[tokio::test]
async fn each_client_should_read_what_each_port_says() -> anyhow::Result<()> {
    for kind in [Java, Ours] {
        let cluster = cluster(&format!("dump-{kind:?}"))?;
        let port = free_port()?;
        let member = |kind: Kind, host| kind.member(&cluster, host).with("ELASTICJOB_JOBS_SHARE_CRON", NEVER);
        let _asked = member(kind, 1).with("ELASTICJOB_DUMP_PORT", port).start()?;
        let _other = member(kind.other(), 2).start()?;
        are_there(&cluster, SHARE, &[1, 2]).await;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let ours = cluster.until("the port answers with both", async || {
            let dump = operation::dump(address, SHARE).await?;
            ensure!(
                dump.contains("ip1 | ENABLED\n") && dump.contains("ip2 | ENABLED\n"),
                "{dump}"
            );
            Ok(dump)
        });
        let ours = ours.await;
        assert!(ours.contains("/share/config | cron: 0 0 0 1 1 ? 2099\n"), "{ours}");
        assert!(!ours.contains("127.0.0."), "{ours}");
        assert_eq!(operation::dump(address, "unknown").await?, "\n");

        let mut operator = Operator::start(&cluster, None)?;
        let order = json!({ "ip": "127.0.0.1", "port": port });
        let java = operator.ask("dump", SHARE, order).await;
        if java::version().as_str() < WITH_CLIENT {
            assert!(java.is_err(), "{java:?}")
        } else {
            // Its client reads line by line, and ends each.
            assert!(
                java?.as_str().is_some_and(|text| text.contains("ip2 | ENABLED")),
                "by Java's client"
            )
        }
    }
    Ok(())
}
