//! What the servers of an ensemble say of themselves, and what an operator should make of it.
//!
//! Each server of the list is asked with the four-letter word `srvr`; the ensemble names its members in `/zookeeper/config`. What
//! the answers mean is decided without asking any more ([`judged`]).

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use zookeeper_client as zk;

use super::{Purpose, ZooKeeperRegistry};
use crate::registry::inspection::Finding;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of an ensemble.
#[derive(Debug, Default)]
struct Known {
    /// Each server of the list, with its answer to `srvr`, or why there is none.
    servers: Vec<(String, Result<String, String>)>,
    /// How many members the ensemble names that vote; `None` for one server alone, or if we may not read it.
    voting: Option<usize>,
    is_encrypted: bool,
    has_login: bool,
    /// Asked for, and granted.
    timeouts: Option<(Duration, Duration)>,
}

/// Asks the servers. Ends within a few seconds.
pub(super) async fn inspect(registry: &ZooKeeperRegistry) -> Vec<Finding> {
    // With faults of files there was no session either, and the caller has said so.
    let Ok(attempt) = registry.security.attempt(registry.connector()) else {
        return Vec::new();
    };
    let probe = &attempt.probe;
    let ask = |server: &String| {
        let server = server.clone();
        async move {
            let answer = probe.srvr(&server, PATIENCE).await;
            (server, answer)
        }
    };
    let mut known = Known {
        servers: join_all(registry.address.list().iter().map(ask)).await,
        is_encrypted: probe.is_encrypted(),
        has_login: registry.security.has_login(),
        ..Known::default()
    };
    if let Ok(client) = registry.connected(Purpose::Look).await {
        known.timeouts = Some((registry.session_timeout, client.session_timeout()));
        known.voting = voting(&client).await;
    }
    judged(&known)
}

/// Returns how many members vote, as the ensemble says.
async fn voting(client: &zk::Client) -> Option<usize> {
    let (config, _) = client.get_config().await.ok()?;
    let config = String::from_utf8(config).ok()?;
    let is_voting = |line: &&str| line.starts_with("server.") && !line.contains(":observer");
    Some(config.lines().filter(is_voting).count()).filter(|count| *count > 0)
}

fn judged(known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions = BTreeSet::new();
    let mut modes = Vec::new();
    for (server, answer) in &known.servers {
        match answer {
            Ok(answer) => match (value(answer, "Zookeeper version: "), value(answer, "Mode: ")) {
                (Some(version), Some(mode)) => {
                    versions.insert(version.split(['-', ',']).next().unwrap_or(version).to_owned());
                    modes.push(mode);
                }
                _ => findings.push(Finding::notice(
                    "servers",
                    format!("{server} does not say what it is: {}", answer.trim()),
                    "allow `srvr` in its `4lw.commands.whitelist`",
                )),
            },
            Err(problem) => findings.push(Finding::notice(
                "servers",
                format!("{server} {problem}"),
                "start it, or take it out of `reg-center.server-lists`",
            )),
        }
    }
    findings.extend(versions.iter().map(|version| of_version(version)));
    if versions.len() > 1 {
        let list: Vec<&str> = versions.iter().map(String::as_str).collect();
        findings.push(Finding::notice(
            "versions",
            format!("the servers are of different versions: {}", list.join(", ")),
            "end the upgrade",
        ));
    }
    findings.extend(of_quorum(known, &modes));
    findings.extend(of_security(known));
    if let Some((asked, granted)) = known.timeouts
        && asked != granted
    {
        findings.push(Finding::notice(
            "session timeout",
            format!("the servers grant {granted:?}, and not {asked:?} as `reg-center.session-timeout` asks"),
            "set it to between 2 and 20 times the servers' `tickTime`, or change `minSessionTimeout` and `maxSessionTimeout`",
        ));
    }
    findings
}

/// Returns what stands behind a name in the answer of a server.
fn value<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn of_version(version: &str) -> Finding {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    if numbers.as_slice() < &[3, 6][..] {
        let advice = "upgrade: the framework needs containers and recursive watches, which came with 3.6";
        return Finding::unsafe_because("versions", format!("ZooKeeper {version} is too old"), advice);
    }
    if numbers[..] == [3, 9, 3] {
        let text = "ZooKeeper 3.9.3 passes on a log with gaps (ZOOKEEPER-4925)";
        return Finding::unsafe_because("versions", text, "upgrade to a newer patch");
    }
    Finding::good("versions", format!("ZooKeeper {version}"))
}

/// Judges how many servers there are, and what they do.
fn of_quorum(known: &Known, modes: &[&str]) -> Vec<Finding> {
    if modes.is_empty() {
        return Vec::new();
    }
    if modes.contains(&"standalone") {
        let text = if modes.len() == 1 {
            "a single server: no job runs while it is away, and all is lost with its disk".to_owned()
        } else {
            return vec![Finding::unsafe_because(
                "servers",
                "several servers of the list stand alone: each is a registry of its own, and runs all jobs",
                "name the servers of one ensemble in `reg-center.server-lists`",
            )];
        };
        return vec![Finding::notice("servers", text, "have three or five servers")];
    }
    let mut findings = Vec::new();
    let leaders = modes.iter().filter(|mode| **mode == "leader").count();
    if leaders > 1 {
        findings.push(Finding::unsafe_because(
            "servers",
            format!("{leaders} servers of the list lead: they are of different ensembles"),
            "name the servers of one ensemble in `reg-center.server-lists`",
        ));
    }
    let Some(voting) = known.voting else {
        return findings;
    };
    let majority = voting / 2 + 1;
    let spare = voting - majority;
    let text = format!("{voting} servers vote, of which {majority} have to be there: {spare} may be away");
    findings.push(match voting {
        1 | 2 => Finding::notice("servers", text, "have three or five servers"),
        even if even % 2 == 0 => {
            let advice = "an even number bears no more losses than one less: add a server, or take one away";
            Finding::notice("servers", text, advice)
        }
        _ => Finding::good("servers", text),
    });
    if known.servers.len() < voting {
        findings.push(Finding::notice(
            "servers",
            format!("`reg-center.server-lists` names {} of {voting}", known.servers.len()),
            "name all, so that an instance finds another server if one is away",
        ));
    }
    findings
}

fn of_security(known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(if known.has_login {
        Finding::good("access", "nodes that we create are for our user alone")
    } else {
        Finding::notice(
            "access",
            "each client that reaches the servers can read and change all jobs",
            "set `reg-center.digest` or `reg-center.sasl` for all members",
        )
    });
    findings.push(if known.is_encrypted {
        Finding::good("access", "connections are encrypted")
    } else {
        Finding::notice(
            "access",
            "connections are not encrypted",
            "set `reg-center.tls`, or keep the network to yourself",
        )
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::inspection::Level;

    fn server(name: &str, version: &str, mode: &str) -> (String, Result<String, String>) {
        let answer =
            format!("Zookeeper version: {version}-abc, built on 2024\nLatency min/avg/max: 0/0.0/0\nMode: {mode}\n");
        (name.to_owned(), Ok(answer))
    }

    fn of(servers: Vec<(String, Result<String, String>)>, voting: Option<usize>) -> Vec<Finding> {
        judged(&Known {
            servers,
            voting,
            is_encrypted: true,
            has_login: true,
            timeouts: Some((Duration::from_secs(10), Duration::from_secs(10))),
        })
    }

    #[track_caller]
    fn has(findings: &[Finding], level: Level, text: &str) {
        let is_there = findings
            .iter()
            .any(|finding| finding.level == level && finding.text.contains(text));
        assert!(is_there, "{level:?} {text}: {findings:?}");
    }

    mod an_ensemble {
        use super::*;

        #[test]
        fn of_three_is_as_it_should_be() {
            let three = vec![
                server("a:1", "3.8.4", "follower"),
                server("b:1", "3.8.4", "leader"),
                server("c:1", "3.8.4", "follower"),
            ];
            let found = of(three, Some(3));
            assert!(found.iter().all(|finding| finding.level == Level::Good), "{found:?}");
            has(
                &found,
                Level::Good,
                "3 servers vote, of which 2 have to be there: 1 may be away",
            );
        }

        #[test]
        fn that_bears_no_loss_is_told() {
            has(
                &of(vec![server("a:1", "3.8.4", "standalone")], None),
                Level::Notice,
                "a single server",
            );
            let two = vec![server("a:1", "3.8.4", "leader"), server("b:1", "3.8.4", "follower")];
            has(&of(two, Some(2)), Level::Notice, "0 may be away");
            let found = of(vec![server("a:1", "3.8.4", "leader")], Some(4));
            has(
                &found,
                Level::Notice,
                "4 servers vote, of which 3 have to be there: 1 may be away",
            );
            has(&found, Level::Notice, "names 1 of 4");
        }

        #[test]
        fn that_is_two_is_unsafe() {
            let alone = vec![
                server("a:1", "3.8.4", "standalone"),
                server("b:1", "3.8.4", "standalone"),
            ];
            has(
                &of(alone, None),
                Level::Unsafe,
                "several servers of the list stand alone",
            );
            let leaders = vec![server("a:1", "3.8.4", "leader"), server("b:1", "3.8.4", "leader")];
            has(&of(leaders, Some(3)), Level::Unsafe, "2 servers of the list lead");
        }

        #[test]
        fn with_servers_that_say_nothing_is_told() {
            let silent = ("b:1".to_owned(), Err("refuses connections".to_owned()));
            let words = Ok("srvr is not executed because it is not in the whitelist.".to_owned());
            let found = of(
                vec![server("a:1", "3.8.4", "leader"), silent, ("c:1".to_owned(), words)],
                Some(3),
            );
            has(&found, Level::Notice, "b:1 refuses connections");
            has(
                &found,
                Level::Notice,
                "c:1 does not say what it is: srvr is not executed",
            );
        }
    }

    mod a_version {
        use super::*;

        #[test]
        fn that_cannot_be_relied_on_is_unsafe() {
            let version = |version: &str| of(vec![server("a:1", version, "leader")], Some(1));
            has(&version("3.5.9"), Level::Unsafe, "ZooKeeper 3.5.9 is too old");
            has(&version("3.9.3"), Level::Unsafe, "ZOOKEEPER-4925");
            has(&version("3.10.1"), Level::Good, "ZooKeeper 3.10.1");
            let both = vec![server("a:1", "3.8.4", "leader"), server("b:1", "3.9.4", "follower")];
            has(&of(both, Some(3)), Level::Notice, "different versions: 3.8.4, 3.9.4");
        }
    }

    mod access {
        use super::*;

        #[test]
        fn without_login_or_encryption_is_told() {
            let found = judged(&Known {
                timeouts: Some((Duration::from_secs(10), Duration::from_secs(4))),
                ..Known::default()
            });
            has(&found, Level::Notice, "each client that reaches the servers");
            has(&found, Level::Notice, "connections are not encrypted");
            has(&found, Level::Notice, "the servers grant 4s, and not 10s");
        }
    }
}
