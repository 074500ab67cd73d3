//! ZooKeeper that is reached safely: TLS on both sides, users of SASL, a path behind the servers, IPv6, and names whose
//! addresses change.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use elasticjob::ElasticJob;
use elasticjob::job::job;
use elasticjob::registry::zookeeper::{Tls, ZooKeeperRegistry};
use elasticjob::registry::{Error, Registry as _};
use elasticjob_tests::certificates::{Certificates, Issued, Validity};
use elasticjob_tests::cluster::{Cluster, LASTING_SESSION, SHARE, all_items, host_of};
use elasticjob_tests::process::MemberSetup;
use elasticjob_tests::programs::program;
use elasticjob_tests::proxy::Proxy;
use elasticjob_tests::zookeeper::{Security, Server};
use zookeeper_client as zk;

use crate::{LONG, MEMBER};

const USER: &str = "shop";
const PASSWORD: &str = "open sesame";

/// All names by which the servers of these tests are called.
const NAMES: &str = "DNS:localhost,IP:127.0.0.1,IP:::1";

/// How long an attempt to connect may take that fails.
const BRIEF: Duration = Duration::from_secs(6);

/// A server with TLS and users, and what a client needs for it.
struct Secured {
    authority: Certificates,
    client: Issued,
    server: Server,
}

impl Secured {
    fn start() -> anyhow::Result<Self> {
        Self::start_as(NAMES, Validity::TwoDays)
    }

    /// Starts a server with a certificate for these names.
    fn start_as(names: &str, validity: Validity) -> anyhow::Result<Self> {
        let authority = Certificates::make()?;
        let client = authority.issue("client", "DNS:client", Validity::TwoDays)?;
        let certificate = authority.issue("zookeeper", names, validity)?;
        let security = Security::default()
            .over_tls(certificate, authority.authority())?
            .knowing(USER, PASSWORD)
            .knowing("商店", "开门");
        let server = Server::start_demanding(&security)?;
        Ok(Self {
            authority,
            client,
            server,
        })
    }

    /// Returns how the server is reached under this name.
    fn at(&self, host: &str) -> String {
        format!("{host}:{}", self.server.tls_port())
    }

    fn tls(&self) -> Tls {
        Tls::new(self.authority.authority()).with_identity(&self.client.certificate, &self.client.key)
    }

    /// Creates a node, as an operator does beside us.
    async fn make(&self, path: &str) -> anyhow::Result<()> {
        let client = zk::Client::connect(&self.server.address().to_string()).await?;
        let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
        client.mkdir(path, &options).await?;
        Ok(())
    }

    /// Gives a member or a command what it needs.
    fn known_to(&self, setup: MemberSetup) -> MemberSetup {
        self.variables()
            .into_iter()
            .fold(setup, |setup, (name, value)| setup.with(name, value))
    }

    fn variables(&self) -> [(&'static str, String); 5] {
        let text = |path: &Path| path.display().to_string();
        [
            ("ELASTICJOB_REG_CENTER_TLS_CA", text(&self.authority.authority())),
            ("ELASTICJOB_REG_CENTER_TLS_CERT", text(&self.client.certificate)),
            ("ELASTICJOB_REG_CENTER_TLS_KEY", text(&self.client.key)),
            ("ELASTICJOB_REG_CENTER_SASL_USER", USER.to_owned()),
            ("ELASTICJOB_REG_CENTER_SASL_PASSWORD", PASSWORD.to_owned()),
        ]
    }
}

fn at(servers: &str) -> anyhow::Result<ZooKeeperRegistry> {
    Ok(ZooKeeperRegistry::new(servers, "shop")?.with_connection_timeout(BRIEF))
}

/// Returns why there is no session.
async fn refusal(registry: ZooKeeperRegistry) -> anyhow::Result<String> {
    match registry.connect().await {
        Ok(_) => anyhow::bail!("a session was opened: {registry:?}"),
        Err(error) => Ok(error.to_string()),
    }
}

mod handshake {
    use super::*;

    async fn fails(secured: &Secured, registry: ZooKeeperRegistry, expected: &str) -> anyhow::Result<()> {
        let text = refusal(registry).await?;
        ensure!(text.contains(expected), "expected {expected:?}: {text}");
        ensure!(!text.contains("PRIVATE"), "{text}");
        ensure!(secured.server.is_serving());
        Ok(())
    }

    #[tokio::test]
    async fn is_refused_by_either_side_for_what_it_does_not_trust() -> anyhow::Result<()> {
        let secured = Secured::start_as("DNS:localhost,IP:::1", Validity::TwoDays)?;
        let stranger = Certificates::make()?;
        let localhost = || at(&secured.at("localhost"));
        at(&secured.at("localhost"))?
            .with_tls(secured.tls())?
            .connect()
            .await?
            .close()
            .await;

        let foreign = Tls::new(stranger.authority()).with_identity(&secured.client.certificate, &secured.client.key);
        fails(&secured, localhost()?.with_tls(foreign)?, "invalid peer certificate: ").await?;
        let by_address = at(&secured.at("127.0.0.1"))?.with_tls(secured.tls())?;
        fails(&secured, by_address, "certificate not valid for name").await?;
        let nobody = Tls::new(secured.authority.authority());
        fails(
            &secured,
            localhost()?.with_tls(nobody)?,
            "accepts connections, but not over TLS: received fatal alert",
        )
        .await?;
        let other = stranger.issue("client", "DNS:client", Validity::TwoDays)?;
        let unknown = Tls::new(secured.authority.authority()).with_identity(&other.certificate, &other.key);
        fails(
            &secured,
            localhost()?.with_tls(unknown)?,
            "accepts connections, but not over TLS: received fatal alert",
        )
        .await?;

        let plain_port = at(&format!("localhost:{}", secured.server.port()))?.with_tls(secured.tls())?;
        fails(&secured, plain_port, "accepts connections").await?;
        fails(
            &secured,
            localhost()?,
            "a port for TLS does so too if `reg-center.tls.ca` is not set",
        )
        .await
    }

    #[tokio::test]
    async fn is_refused_for_an_expired_certificate() -> anyhow::Result<()> {
        let secured = Secured::start_as(NAMES, Validity::Expired)?;
        let registry = at(&secured.at("localhost"))?.with_tls(secured.tls())?;
        fails(&secured, registry, "invalid peer certificate: Expired").await
    }

    #[tokio::test]
    async fn takes_ipv6_addresses_with_and_without_tls() -> anyhow::Result<()> {
        let secured = Secured::start()?;
        at(&secured.at("[::1]"))?
            .with_tls(secured.tls())?
            .connect()
            .await?
            .close()
            .await;
        at(&format!("[::1]:{}", secured.server.port()))?
            .connect()
            .await?
            .close()
            .await;
        Ok(())
    }

    #[tokio::test]
    async fn takes_certificates_that_were_renewed_meanwhile() -> anyhow::Result<()> {
        let secured = Secured::start()?;
        let stranger = Certificates::make()?;
        let ca = secured.authority.directory().join("trusted.pem");
        fs::copy(stranger.authority(), &ca)?;
        let tls = Tls::new(&ca).with_identity(&secured.client.certificate, &secured.client.key);
        let registry = at(&secured.at("localhost"))?.with_tls(tls)?;
        ensure!(refusal(registry.clone()).await?.contains("invalid peer certificate: "));
        fs::copy(secured.authority.authority(), &ca)?;
        registry.connect().await?.close().await;
        fs::write(&ca, "")?;
        let error = registry.connect().await.err().context("the file is empty")?;
        ensure!(
            matches!(&error, Error::Unreachable(text) if text.contains("holds no certificate")),
            "{error}"
        );
        Ok(())
    }
}

mod files {
    use super::*;

    #[test]
    fn are_refused_all_at_once_before_anything_runs() -> anyhow::Result<()> {
        let certificates = Certificates::make()?;
        let (ours, other) = (
            certificates.issue("ours", "DNS:ours", Validity::TwoDays)?,
            certificates.issue("other", "DNS:other", Validity::TwoDays)?,
        );
        let file = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
            let path = certificates.directory().join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let pem = "-----BEGIN CERTIFICATE-----\n@@@\n-----END CERTIFICATE-----\n";
        let (broken, empty) = (file("broken.pem", pem)?, file("empty.pem", "")?);
        let encrypted = pem.replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY");
        let encrypted = file("encrypted.key", &encrypted)?;
        let absent = certificates.directory().join("absent.pem");
        let authority = certificates.authority();
        let faults = |ca: &Path, cert: &Path, key: &Path| -> anyhow::Result<String> {
            let application = ElasticJob::builder()
                .without_discovery()
                .environment([])
                .set("network.ip", "127.0.0.1")
                .set("reg-center.server-lists", "localhost:1")
                .set("reg-center.namespace", "n")
                .set("reg-center.tls.ca", ca.display().to_string())
                .set("reg-center.tls.cert", cert.display().to_string())
                .set("reg-center.tls.key", key.display().to_string())
                .set("reg-center.sasl.user", "a\"b")
                .set("reg-center.sasl.password", "sésame")
                .job(job("tick", async || {}).sharding(1).cron("* * * * * ?"));
            Ok(application.build().err().context("the files are wrong")?.to_string())
        };
        let key = |name: &str| format!("`elasticjob.reg-center.{name}`");
        let text = faults(&absent, &broken, &empty)?;
        for expected in [
            format!(
                "{} is `{}`: cannot be read: No such file",
                key("tls.ca"),
                absent.display()
            ),
            format!("{} is `{}`: is no valid PEM file", key("tls.cert"), broken.display()),
            format!("{} is `{}`: holds no private key", key("tls.key"), empty.display()),
            format!("{} is `a\"b`: the name of a user", key("sasl.user")),
            format!("{}: it has letters of Latin-1", key("sasl.password")),
        ] {
            ensure!(text.contains(&expected), "expected {expected}: {text}");
        }
        ensure!(!text.contains("sésame"), "{text}");
        let text = faults(&empty, &empty, &encrypted)?;
        ensure!(
            text.contains(&format!("`{}`: holds no certificate", empty.display())),
            "{text}"
        );
        ensure!(text.contains("holds a key that is encrypted"), "{text}");
        let text = faults(&authority, &ours.certificate, &other.key)?;
        let expected = format!("is not the key of the certificate in `{}`", ours.certificate.display());
        ensure!(text.contains(&expected), "{text}");
        Ok(())
    }

    #[test]
    fn are_for_names_that_a_certificate_can_bear() -> anyhow::Result<()> {
        let certificates = Certificates::make()?;
        let tls = || Tls::new(certificates.authority());
        let error = at("zk1:1,[fe80::1%eth0]:2")?
            .with_tls(tls())
            .err()
            .context("it has a zone")?
            .to_string();
        ensure!(
            error.contains("is `[fe80::1%eth0]:2`: has a name that no certificate can bear"),
            "{error}"
        );
        at("zk_1:1,10.0.0.1:2,[fe80::1]:3")?.with_tls(tls())?;
        Ok(())
    }
}

mod users {
    use super::*;

    #[tokio::test]
    async fn are_let_in_by_their_password_alone() -> anyhow::Result<()> {
        let secured = Secured::start()?;
        let plain = secured.server.address().to_string();
        at(&plain)?.with_sasl("商店", "开门")?.connect().await?.close().await;
        for (user, password) in [(USER, "open barley"), ("nobody", "open barley")] {
            let registry = at(&plain)?.with_sasl(user, password)?;
            let error = registry.connect().await.err().context("the password is wrong")?;
            ensure!(matches!(error, Error::Refused(_)), "{error:?}");
            ensure!(
                error.to_string().contains("did not accept our authentication"),
                "{error}"
            );
            ensure!(
                !format!("{error:?} {registry:?}").contains("barley"),
                "{error:?} {registry:?}"
            );
        }
        // What this user has created is nobody else's.
        for registry in [at(&plain)?, at(&plain)?.with_sasl(USER, PASSWORD)?] {
            let text = refusal(registry).await?;
            ensure!(text.contains("no access to namespace /shop"), "{text}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn are_let_in_each_time() -> anyhow::Result<()> {
        let secured = Secured::start()?;
        let registry = at(&secured.server.address().to_string())?;
        // A server with Netty sometimes answers the login before it gives the session.
        for registry in [
            registry.clone().with_sasl(USER, PASSWORD)?,
            registry.with_digest("shop:open barley"),
        ] {
            for _ in 0..60 {
                registry.connect_to_look().await?.close().await;
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn are_unknown_to_a_server_without_a_jaas_file() -> anyhow::Result<()> {
        let registry = ZooKeeperRegistry::new(&Server::shared().address().to_string(), "secured-nobody")?;
        let error = refusal(registry.with_sasl(USER, PASSWORD)?).await?;
        ensure!(
            error.contains("the servers did not log in the SASL user `shop`"),
            "{error}"
        );
        ensure!(!error.contains(PASSWORD), "{error}");
        Ok(())
    }

    #[tokio::test]
    async fn are_demanded_by_servers_that_say_so() -> anyhow::Result<()> {
        let server = Server::start_demanding(&Security::default().knowing(USER, PASSWORD).asking_each_client())?;
        let address = server.address().to_string();
        let error = refusal(at(&address)?).await?;
        ensure!(error.contains("or the servers want a login by SASL"), "{error}");
        at(&address)?.with_sasl(USER, PASSWORD)?.connect().await?.close().await;
        Ok(())
    }
}

mod chroot {
    use super::*;

    #[tokio::test]
    async fn has_to_be_there() -> anyhow::Result<()> {
        let servers = format!("{}/secured-absent/deep", Server::shared().address());
        let registry = ZooKeeperRegistry::new(&servers, "shop")?;
        for attempt in [registry.connect().await, registry.connect_to_look().await] {
            let error = attempt.err().context("there is no such path")?;
            let is_said =
                matches!(&error, Error::Refused(text) if text.starts_with("there is no /secured-absent/deep,"));
            ensure!(is_said, "{error}");
        }
        let client = zk::Client::connect(&Server::shared().address().to_string()).await?;
        ensure!(client.check_stat("/secured-absent").await?.is_none());
        Ok(())
    }
}

mod jobs {
    use super::*;

    #[tokio::test]
    async fn run_and_fail_over_and_are_operated_over_tls_with_a_user_below_a_path() -> anyhow::Result<()> {
        let secured = Secured::start()?;
        secured.make("/prod/上海").await?;
        let servers = format!("{}/prod/上海", secured.at("localhost"));
        let registry = ZooKeeperRegistry::new(&servers, "商店")?
            .with_tls(secured.tls())?
            .with_sasl(USER, PASSWORD)?;
        let cluster = Cluster::new(MEMBER, &servers, "商店")?.seen_through(registry);
        let member = |host| {
            secured
                .known_to(cluster.member(host))
                .with("ELASTICJOB_JOBS_SHARE_FAILOVER", "true")
                .working(LONG)
                .start()
        };
        let (_first, second) = (member(1)?, member(2)?);
        cluster.shared_by(&[1, 2]).await;
        cluster.runs_without_gap(&all_items(), 1).await;

        let command = async |arguments: &[&str]| -> anyhow::Result<String> {
            let output = tokio::process::Command::new(program("elasticjob"))
                .args(arguments)
                .env_clear()
                .envs(secured.variables())
                .env("ELASTICJOB_REG_CENTER_SERVER_LISTS", &servers)
                .env("ELASTICJOB_REG_CENTER_NAMESPACE", "商店")
                .current_dir(std::env::temp_dir())
                .output()
                .await?;
            let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
            ensure!(output.status.success(), "{arguments:?}: {out}{err}");
            Ok(out)
        };
        let job = command(&["job", SHARE]).await?;
        ensure!(job.contains("127.0.0.2"), "{job}");

        let run = cluster.run_on(2).await;
        second.kill().await?;
        cluster
            .until("the other member runs it again", async || {
                let runs = cluster.runs()?;
                let again = runs.iter().find(|other| {
                    other.id.item == run.id.item && other.id.scheduled == run.id.scheduled && other.id.attempt == 2
                });
                let host = host_of(&again.context("it does not")?.id.instance)?;
                ensure!(host == 1, "on host {host}");
                Ok(())
            })
            .await;
        cluster.shared_by(&[1]).await;
        cluster.runs_without_gap(&all_items(), 1).await;

        command(&["disable", SHARE, "--yes"]).await?;
        let explained = command(&["explain", SHARE]).await?;
        ensure!(explained.contains("it is paused since"), "{explained}");

        // Nothing of it is outside the path, nor open to others.
        let stranger = zk::Client::connect(&secured.server.address().to_string()).await?;
        ensure!(stranger.check_stat("/商店").await?.is_none());
        let config = "/prod/上海/商店/share/config";
        assert_eq!(stranger.get_data(config).await.err(), Some(zk::Error::NoAuth));
        Ok(())
    }
}

mod names {
    use super::*;

    /// Has a program see this file as `/etc/hosts`, in a mount namespace of its own.
    const WITH_HOSTS: &str = "#!/bin/sh\nexec unshare --map-root-user --mount sh -c \
                              'mount --bind \"$MEMBER_HOSTS\" /etc/hosts && exec \"$MEMBER_PROGRAM\"'\n";

    #[tokio::test]
    async fn are_resolved_again_for_each_connection() -> anyhow::Result<()> {
        let before = Proxy::start_on((Ipv4Addr::new(127, 0, 0, 2), 0).into(), Server::shared().address()).await?;
        let port = before.address().port();
        let folder = tempfile::tempdir()?;
        let (hosts, program) = (folder.path().join("hosts"), folder.path().join("member"));
        fs::write(&hosts, "127.0.0.2 zk.test\n")?;
        fs::write(&program, WITH_HOSTS)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        let registry = ZooKeeperRegistry::new(&Server::shared().address().to_string(), "secured-names")?;
        let cluster = Cluster::new(&program, format!("zk.test:{port}"), "secured-names")?.seen_through(registry);
        let _member = cluster
            .member(1)
            .with("MEMBER_HOSTS", hosts.display())
            .with("MEMBER_PROGRAM", MEMBER)
            .with("PATH", std::env::var("PATH")?)
            .with_session_timeout(LASTING_SESSION)
            .start()?;
        cluster.shared_by(&[1]).await;
        cluster.runs_without_gap(&all_items(), 1).await;
        let instances = cluster.children(&format!("/{SHARE}/instances")).await?;

        let _after = Proxy::start_on((Ipv4Addr::new(127, 0, 0, 3), port).into(), Server::shared().address()).await?;
        fs::write(&hosts, "127.0.0.3 zk.test\n")?;
        drop(before);
        cluster.runs_regularly(&all_items(), 2).await;
        // In the same session.
        assert_eq!(cluster.children(&format!("/{SHARE}/instances")).await?, instances);
        Ok(())
    }
}
