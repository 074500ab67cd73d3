//! The files for Kubernetes: that the page quotes them, and that they say to the program what it understands.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::program::{self, Program};
use elasticjob_tests::programs::program_of;
use elasticjob_tests::zookeeper::{Server, free_port};
use yaml_rust2::{Yaml, YamlLoader};

/// The time after the grace period when a process ends by itself: `Ready::run`.
const LIMIT_BEYOND_GRACE: i64 = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the manifests, by their kinds.
fn manifest(kind: &str) -> Yaml {
    let all = YamlLoader::load_from_str(&read("deploy/kubernetes/deployment.yaml")).expect("it is YAML");
    let found = all.into_iter().find(|manifest| manifest["kind"].as_str() == Some(kind));
    found.unwrap_or_else(|| panic!("there is no {kind}"))
}

fn pod() -> Yaml {
    manifest("Deployment")["spec"]["template"]["spec"].clone()
}

fn container() -> Yaml {
    pod()["containers"][0].clone()
}

fn configuration() -> String {
    let text = manifest("ConfigMap")["data"]["application.yaml"].clone();
    text.into_string().expect("it is a text")
}

fn setting(path: &[&str]) -> Yaml {
    let settings = YamlLoader::load_from_str(&configuration()).expect("it is YAML");
    path.iter().fold(settings[0].clone(), |yaml, key| yaml[*key].clone())
}

/// Returns a text without the indentation that all of its lines have.
fn outdented(lines: &[&str]) -> Vec<String> {
    let indentation = |line: &&&str| line.len() - line.trim_start().len();
    let common = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| indentation(&line))
        .min();
    let cut = |line: &&str| line.get(common.unwrap_or(0)..).unwrap_or_default().to_owned();
    lines.iter().map(cut).collect()
}

#[test]
fn the_page_quotes_the_files_as_they_are() {
    let page = read("docs/kubernetes.md");
    let mut quoted = 0;
    for part in page.split("<!-- deploy/").skip(1) {
        let (file, rest) = part.split_once(" -->\n```").expect("a block follows");
        let (_, rest) = rest.split_once('\n').expect("its language ends the line");
        let (block, _) = rest.split_once("\n```").expect("the block ends");
        let block: Vec<&str> = block.lines().collect();
        let text = read(&format!("deploy/{file}"));
        let lines: Vec<&str> = text.lines().collect();
        let is_there = lines
            .windows(block.len())
            .any(|window| outdented(window) == outdented(&block));
        assert!(is_there, "deploy/{file} does not hold:\n{}", block.join("\n"));
        quoted += 1;
    }
    assert_eq!(quoted, 7);
}

mod deployment {
    use super::*;

    #[test]
    fn waits_longer_than_the_application_takes_to_end() {
        let grace = setting(&["elasticjob", "shutdown", "grace-period"]);
        let grace: i64 = grace
            .as_str()
            .and_then(|grace| grace.strip_suffix('s')?.parse().ok())
            .expect("seconds");
        let wait = pod()["terminationGracePeriodSeconds"].as_i64().expect("it is given");
        assert!(
            wait > grace + LIMIT_BEYOND_GRACE,
            "{wait} s are too short for {grace} s"
        );
    }

    #[test]
    fn mounts_and_names_what_there_is() {
        let mounted = &container()["volumeMounts"][0];
        let dockerfile = read("deploy/kubernetes/Dockerfile");
        let directory = dockerfile
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("WORKDIR "))
            .expect("it has one");
        assert_eq!(mounted["mountPath"].as_str(), Some(&*format!("{directory}/config")));
        let volume = &pod()["volumes"][0];
        assert_eq!(volume["name"], mounted["name"]);
        assert_eq!(volume["configMap"]["name"], manifest("ConfigMap")["metadata"]["name"]);
        let named = manifest("Deployment")["spec"]["selector"]["matchLabels"]["app"].clone();
        let labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"].clone();
        assert_eq!(labels["app"], named);
        assert_eq!(
            manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]["app"],
            named
        );
        for variable in container()["env"].clone() {
            let source = &variable["valueFrom"];
            let (secret, field) = (&source["secretKeyRef"], &source["fieldRef"]["fieldPath"]);
            match field.as_str() {
                Some("status.podIP") => {}
                Some(path) => {
                    let label = path
                        .strip_prefix("metadata.labels['")
                        .and_then(|rest| rest.strip_suffix("']"));
                    assert!(!labels[label.expect("a label")].is_badvalue(), "{path}");
                }
                None => {
                    let key = secret["key"].as_str().expect("a key");
                    assert_eq!(manifest("Secret")["metadata"]["name"], secret["name"]);
                    assert!(!manifest("Secret")["stringData"][key].is_badvalue(), "{key}");
                }
            }
        }
    }

    /// As a pod runs it, with another port and registry, and more often.
    #[test]
    fn runs_the_program_and_asks_what_it_answers() {
        let server = Server::shared();
        let directory = tempfile::tempdir().expect("there is room");
        let config = directory.path().join("config");
        std::fs::create_dir(&config).expect("there is room");
        std::fs::write(config.join("application.yaml"), configuration()).expect("there is room");
        let port = free_port().expect("there is one");
        let deployed = program_of("deployed", "deployed").display().to_string();
        let mut prepared = Program::own(&deployed)
            .directory(directory.path())
            .environment("ELASTICJOB_REG_CENTER_SERVER_LISTS", &server.address().to_string())
            .environment("ELASTICJOB_METRICS_HOST", "127.0.0.1")
            .environment("ELASTICJOB_METRICS_PORT", &port.to_string())
            .environment("ELASTICJOB_JOBS_CLOSE_BOOKS_CRON", "* * * * * ?");
        for variable in container()["env"].clone() {
            let name = variable["name"].as_str().expect("a name");
            let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
            let value = match field {
                Some("status.podIP") => "10.244.1.7".to_owned(),
                Some(_) => "general".to_owned(),
                None => manifest("Secret")["stringData"]["digest"]
                    .clone()
                    .into_string()
                    .expect("a text"),
            };
            prepared = prepared.environment(name, &value);
        }
        let mut running = prepared.start();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for probe in ["livenessProbe", "readinessProbe"] {
            let asked = &container()[probe]["httpGet"];
            assert_eq!(asked["port"], container()["ports"][0]["name"]);
            let path = asked["path"].as_str().expect("a path");
            program::wait(path, || (status(address, path)? == 200).then_some(()));
        }
        assert_eq!(
            container()["ports"][0]["containerPort"],
            setting(&["elasticjob", "metrics", "port"])
        );
        program::wait("a run", || running.said().contains("books closed").then_some(()));
        assert!(running.said().contains("10.244.1.7"), "{}", running.said());
        assert_eq!(running.terminate(), Some(0));
    }
}

/// Returns the status of an answer; `None` while nothing listens.
fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
