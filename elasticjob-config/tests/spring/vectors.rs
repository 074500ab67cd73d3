//! What Spring Boot and the Java starter bind, and we do.

use std::collections::BTreeMap;

use elasticjob_config::sources::{Declared, Implementation};
use serde::Deserialize;

use super::*;

/// Where we differ, each as it is decided: what we do instead.
const OTHERWISE: [(&str, Instead); 4] = [
    (
        "r16-datasource-bean",
        Instead::Refused("`elasticjob.tracing.data-source-bean-name`: names a bean of Java"),
    ),
    // Spring leaves out lists where a text is expected, and the starter then fails.
    ("t07-list", Instead::Accepted),
    // Spring drops characters of names, and what is below a name with dots.
    (
        "t10-dotted-job",
        Instead::Refused("contains `/`, which separates the nodes of the registry"),
    ),
    // `elasticjob.profiles.active` is ours, and obeyed.
    ("p10-group-include", Instead::Accepted),
];

enum Instead {
    Accepted,
    Refused(&'static str),
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

/// A case without files is a note, and has a test of its own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Case {
    Files(Vector),
    Note(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    input: BTreeMap<String, String>,
    right: BTreeMap<String, String>,
}

/// What Java says that it has bound.
#[derive(Debug, Default, PartialEq)]
struct Bound {
    servers: String,
    namespace: String,
    digest: String,
    /// The settings of each job that are not empty, by Java's names.
    jobs: BTreeMap<String, BTreeMap<String, String>>,
}

impl Bound {
    fn of_java(text: &str) -> Self {
        let mut bound = Self::default();
        for line in text.lines().map(str::trim_start) {
            if let Some(rest) = line.strip_prefix("reg servers=") {
                let (servers, rest) = rest.split_once(" namespace=").unwrap();
                let (namespace, rest) = rest.split_once(" digest=").unwrap();
                bound.servers = as_zookeeper_reads(servers);
                bound.namespace = namespace.to_owned();
                bound.digest = rest.split_once(" session=").unwrap().0.replace("null", "");
            } else if let Some(rest) = line.strip_prefix("job [") {
                let (name, settings) = rest.split_once("] ").unwrap();
                bound.jobs.insert(name.to_owned(), settings_of_java(settings));
            }
        }
        bound
    }

    fn of_ours(settings: &Settings) -> Self {
        let mut bound = Self::default();
        if let RegistrySettings::ZooKeeper(zookeeper) = &settings.registry {
            bound.servers = zookeeper.connect_string();
            bound.namespace.clone_from(&zookeeper.namespace);
            bound.digest = zookeeper
                .digest
                .as_ref()
                .map(|digest| digest.reveal().to_owned())
                .unwrap_or_default();
        }
        for (name, job) in &settings.jobs {
            let mut all = job.config.settings();
            all.extend(job.class.clone().map(|class| ("elasticJobClass".to_owned(), class)));
            all.extend(
                job.bootstrap
                    .clone()
                    .map(|bean| ("jobBootstrapBeanName".to_owned(), bean)),
            );
            if let Implementation::Type(kind) = &job.implementation {
                all.insert("elasticJobType".to_owned(), kind.clone());
            }
            bound.jobs.insert(name.clone(), all);
        }
        bound
    }

    /// Leaves out what Java does not show: settings that have their defaults.
    fn only_what_is_in(mut self, java: &Self) -> Self {
        for (name, settings) in &mut self.jobs {
            let shown = java.jobs.get(name);
            settings.retain(|key, _| shown.is_none_or(|shown| shown.contains_key(key)));
        }
        self
    }
}

/// ZooKeeper's client splits the text, without blanks and empty pieces, and takes a port of 2181 where there is none.
fn as_zookeeper_reads(servers: &str) -> String {
    let servers = servers.trim().trim_end_matches('/');
    let pieces = servers.split(',').map(str::trim).filter(|piece| !piece.is_empty());
    let with_port = |piece: &str| {
        if piece.contains(':') || piece == "null" {
            piece.to_owned()
        } else {
            format!("{piece}:2181")
        }
    };
    pieces.map(with_port).collect::<Vec<_>>().join(",")
}

fn settings_of_java(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for setting in text.split(';').map(str::trim).filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap();
        match key {
            "props" => {
                let inner = value.trim_matches(['{', '}']);
                let pairs = inner.split(", ").filter_map(|pair| pair.split_once('='));
                settings.extend(pairs.map(|(key, value)| (format!("props.{key}"), value.to_owned())));
            }
            "jobListenerTypes" => drop(settings.insert(key.to_owned(), value.trim_matches(['[', ']']).to_owned())),
            _ => drop(settings.insert(key.to_owned(), value.to_owned())),
        }
    }
    settings.retain(|_, value| !value.is_empty());
    settings
}

/// The jobs that the classes of a vector stand for.
fn declared(input: &BTreeMap<String, String>) -> Vec<Declared> {
    let words = input
        .values()
        .flat_map(|text| text.split([' ', ',', '}', '=', '\n', '\r']));
    let classes = words.filter(|word| word.matches('.').count() >= 2 && word.ends_with("Job"));
    let names: std::collections::BTreeSet<&str> = classes.filter_map(|class| class.rsplit('.').next()).collect();
    let declared = |name: &str| Declared {
        name: name.to_owned(),
        origin: "src/jobs.rs:1".to_owned(),
        values: Vec::new(),
    };
    names.into_iter().map(declared).collect()
}

fn load(vector: &Vector, variables: &[(String, String)]) -> Result<Settings, Errors> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in &vector.input {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let loader = Loader::new()
        .directory(directory.path())
        .environment(variables.iter().cloned());
    loader.declared(declared(&vector.input)).load()
}

#[test]
fn are_bound_as_spring_binds_them_or_as_decided() {
    let text = include_str!("../vectors/spring-boot.json");
    let Vectors { cases } = serde_json::from_str(text).unwrap();
    let mut seen = 0;
    for case in &cases {
        let Case::Files(vector) = case else { continue };
        for (situation, java) in &vector.right {
            let variables: Vec<_> = situation
                .split(' ')
                .filter_map(|word| word.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let loaded = load(vector, &variables);
            let id = &vector.id;
            seen += 1;
            match OTHERWISE.iter().find(|(other, _)| other == id) {
                Some((_, Instead::Accepted)) => drop(loaded.unwrap_or_else(|errors| panic!("{id}: {errors}"))),
                Some((_, Instead::Refused(problem))) => {
                    let refused = loaded.expect_err(id).to_string();
                    assert!(refused.contains(problem), "{id}: {refused}");
                }
                None => {
                    let settings = loaded.unwrap_or_else(|errors| panic!("{id}, {situation}: {errors}"));
                    let java = Bound::of_java(java);
                    let ours = Bound::of_ours(&settings).only_what_is_in(&java);
                    assert_eq!(ours, java, "{id}, {situation}");
                }
            }
        }
    }
    assert!(seen >= 23, "{seen} of the vectors were there");
}
