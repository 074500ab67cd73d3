//! The console: where it listens, and its users.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Binder;
use crate::secret::Secret;
use crate::sources::key::Key;
use crate::sources::network::Network;
use crate::sources::settings::{ConsoleRole, ConsoleSettings, ConsoleToken, ConsoleUser};

const HOST: Key = Key::Setting("console.host");
const PORT: Key = Key::Setting("console.port");
const ALLOWED_HOSTS: Key = Key::Setting("console.allowed-hosts");
const PUBLIC_URL: Key = Key::Setting("console.public-url");
const TRUSTED_PROXIES: Key = Key::Setting("console.trusted-proxies");
const DATA_DIR: Key = Key::Setting("console.data-dir");

const USERS: &str = "console.users";
const TOKENS: &str = "console.tokens";

/// The longest name of a user or token, and the longest pattern of jobs, in bytes.
const LONGEST_NAME: usize = 64;
const LONGEST_PATTERN: usize = 256;
const MOST_PATTERNS: usize = 64;

/// The memory and the passes of a hash that a login may cost, in KiB.
const MOST_MEMORY: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 100;

impl Binder<'_> {
    /// Reads where the console listens, and its users. It listens nowhere without a port, and on a loopback address without users.
    pub(super) fn console(&mut self) -> Option<ConsoleSettings> {
        let host: Option<IpAddr> = self.number(&HOST, "an IP address is expected, such as 127.0.0.1");
        let settings = ConsoleSettings {
            host: host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: 0,
            allowed_hosts: self.allowed_hosts(),
            public_url: self.public_url(),
            trusted_proxies: self.trusted_proxies(),
            data_dir: self.text(&DATA_DIR).map(PathBuf::from),
            users: self.users(),
            tokens: self.tokens(),
        };
        self.refuse_strangers(&settings);
        self.refuse_settings_without_port(&settings);
        let port = self.number(&PORT, "ports are 0 to 65535")?;
        Some(ConsoleSettings { port, ..settings })
    }

    fn allowed_hosts(&mut self) -> Vec<String> {
        let hosts = self.list(&ALLOWED_HOSTS);
        let is_name = |name: &String| !name.contains(['/', ':', '@', ' ']);
        if let (Some(bound), false) = (self.bound(&ALLOWED_HOSTS), hosts.iter().all(is_name)) {
            self.fault(
                &bound,
                "names of hosts are expected, without a scheme and without a port: `jobs.example.org`",
            );
        }
        hosts
    }

    fn public_url(&mut self) -> Option<String> {
        let expected = "a scheme and a host are expected, and a port if there is one: `https://jobs.example.org`";
        self.parsed(&PUBLIC_URL, expected, |text| {
            let text = text.trim().trim_end_matches('/');
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
            (!host.is_empty() && host.bytes().all(is_host)).then(|| text.to_ascii_lowercase())
        })
    }

    fn trusted_proxies(&mut self) -> Vec<Network> {
        let proxies = self.list(&TRUSTED_PROXIES);
        let networks: Option<Vec<Network>> = proxies.iter().map(|text| Network::parse(text)).collect();
        if let (Some(bound), None) = (self.bound(&TRUSTED_PROXIES), &networks) {
            self.fault(&bound, "addresses or networks are expected: `10.0.0.7, 10.0.1.0/24`");
        }
        networks.unwrap_or_default()
    }

    fn users(&mut self) -> BTreeMap<String, ConsoleUser> {
        let mut users = BTreeMap::new();
        for name in self.names(USERS) {
            let key = |setting| named(USERS, &name, setting);
            let (role, jobs) = (self.role(&key("role")), self.patterns(&key("jobs")));
            let expected = "a hash by argon2id is expected, as `elasticjob-console hash-password` writes it";
            let is_given = self.is_given(
                &key("password-hash"),
                "is missing: `elasticjob-console hash-password` makes one",
            );
            let hash = self.parsed(&key("password-hash"), expected, |text| {
                is_argon2(text.trim()).then(|| Secret::new(text.trim()))
            });
            if is_given && let Some(password_hash) = hash {
                users.insert(
                    name,
                    ConsoleUser {
                        role,
                        jobs,
                        password_hash,
                    },
                );
            }
        }
        users
    }

    fn tokens(&mut self) -> BTreeMap<String, ConsoleToken> {
        let mut tokens = BTreeMap::new();
        for name in self.names(TOKENS) {
            let key = |setting| named(TOKENS, &name, setting);
            let (role, jobs) = (self.role(&key("role")), self.patterns(&key("jobs")));
            let expires = self.parsed(&key("expires"), "a date or a time is expected: `2027-01-31`", time);
            let expected = "64 hexadecimal digits are expected: the SHA-256 of the token";
            let is_given = self.is_given(&key("sha256"), "is missing: the SHA-256 of the token");
            let sha256 = self.parsed(&key("sha256"), expected, digest);
            if is_given && let Some(sha256) = sha256 {
                tokens.insert(
                    name,
                    ConsoleToken {
                        role,
                        jobs,
                        sha256,
                        expires,
                    },
                );
            }
        }
        tokens
    }

    /// Returns the names in a section. A name that could mislead is a fault.
    fn names(&mut self, section: &str) -> Vec<String> {
        let found: BTreeSet<String> = self.entries.keys().filter_map(|key| name_in(key, section)).collect();
        let is_wrong =
            |name: &String| name.trim().is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control);
        let (wrong, names): (Vec<_>, Vec<_>) = found.into_iter().partition(is_wrong);
        for name in wrong {
            let bounds = self
                .entries
                .iter()
                .filter(|(key, _)| name_in(key, section).as_deref() == Some(&*name));
            if let Some(bound) = bounds.map(|(_, bound)| bound.clone()).next() {
                self.fault(
                    &bound,
                    format!("a name of 1 to {LONGEST_NAME} visible bytes is expected below `{section}`"),
                );
            }
        }
        names
    }

    fn role(&mut self, key: &Key) -> ConsoleRole {
        let expected = "`viewer`, `operator`, `editor` or `admin` is expected";
        self.parsed(key, expected, ConsoleRole::parse)
            .unwrap_or(ConsoleRole::Viewer)
    }

    /// Reads patterns of names of jobs: all without any.
    fn patterns(&mut self, key: &Key) -> Vec<String> {
        let patterns = self.list(key);
        let is_wrong = |pattern: &String| pattern.is_empty() || pattern.len() > LONGEST_PATTERN;
        if let Some(bound) = self.bound(key)
            && (patterns.len() > MOST_PATTERNS || patterns.iter().any(is_wrong))
        {
            self.fault(
                &bound,
                format!("at most {MOST_PATTERNS} patterns of at most {LONGEST_PATTERN} bytes are expected"),
            );
        }
        if patterns.is_empty() {
            vec!["*".to_owned()]
        } else {
            patterns
        }
    }

    /// Returns whether a setting is there. It is a fault if not.
    fn is_given(&mut self, key: &Key, problem: &str) -> bool {
        let is_given = self.bound(key).is_some();
        if !is_given && !self.unusable.contains(key) {
            self.missing(key, problem);
        }
        is_given
    }

    /// Refuses an address that others reach if the console has no users.
    fn refuse_strangers(&mut self, settings: &ConsoleSettings) {
        let Some(bound) = self.bound(&HOST) else {
            return;
        };
        let is_open = !settings.host.is_loopback() && settings.users.is_empty();
        // A user with a fault is a fault already.
        let has_users = self.entries.keys().any(|key| name_in(key, USERS).is_some());
        if is_open && !has_users {
            self.fault(
                &bound,
                "a loopback address is expected, since the console has no users. Add one, \
                 `console: { users: { NAME: { role: admin, password-hash: \"..\" } } }` with the hash that `elasticjob-console \
                 hash-password` writes; or forward its port, or mount its router in an application that knows its users",
            );
        }
    }

    fn refuse_settings_without_port(&mut self, settings: &ConsoleSettings) {
        let of_console = [HOST, ALLOWED_HOSTS, PUBLIC_URL, TRUSTED_PROXIES, DATA_DIR];
        let is_set = of_console.iter().any(|key| self.bound(key).is_some());
        let has_names = !settings.users.is_empty() || !settings.tokens.is_empty();
        if (is_set || has_names) && self.bound(&PORT).is_none() {
            self.missing(&PORT, "is missing, so that nothing would listen: name a port");
        }
    }
}

fn named(section: &'static str, name: &str, setting: &'static str) -> Key {
    let name = name.to_owned();
    Key::Named { section, name, setting }
}

fn name_in(key: &Key, of: &str) -> Option<String> {
    match key {
        Key::Named { section, name, .. } if *section == of => Some(name.clone()),
        _ => None,
    }
}

/// Returns whether a text is a hash by argon2id in PHC form, of a cost that a login can bear.
fn is_argon2(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    let ["", "argon2id", "v=19", costs, salt, hash] = parts[..] else {
        return false;
    };
    let cost = |name: &str| {
        let mut pairs = costs.split(',').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(found, _)| *found == name)?;
        value.parse::<u32>().ok()
    };
    let is_base64 = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    cost("m").is_some_and(|memory| (8..=MOST_MEMORY).contains(&memory))
        && cost("t").is_some_and(|passes| (1..=MOST_PASSES).contains(&passes))
        && cost("p").is_some_and(|lanes| (1..=16).contains(&lanes))
        && costs.split(',').count() == 3
        && (11..=64).contains(&salt.len())
        && (22..=86).contains(&hash.len())
        && is_base64(salt)
        && is_base64(hash)
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

/// Reads a time, or the end of a day in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let day = text.parse::<Date>().ok()?;
    Some(day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{Loader, Settings};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn load(settings: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let loader = settings
            .iter()
            .fold(Loader::new(), |loader, (key, value)| loader.set(*key, *value));
        let loaded = loader.set("reg-center.type", "EMBEDDED").load();
        loaded.map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn has_users_with_roles_and_jobs() {
        let settings = load(&[
            ("console.port", "1"),
            ("console.host", "0.0.0.0"),
            ("console.public-url", "https://Jobs.example.org/"),
            ("console.trusted-proxies", "10.0.0.0/8, ::1"),
            ("console.users.[alice@example.org].password-hash", HASH),
            ("console.users.[alice@example.org].role", "admin"),
            ("console.users.小王.passwordHash", HASH),
            ("console.users.小王.jobs", "shop-*, 备份"),
            ("console.tokens.ci.sha256", &"aB".repeat(32)),
            ("console.tokens.ci.expires", "2027-01-31"),
        ]);
        let console = settings.unwrap().console.unwrap();
        let alice = &console.users["alice@example.org"];
        assert_eq!((alice.role, &*alice.jobs), (ConsoleRole::Admin, &["*".to_owned()][..]));
        let wang = &console.users["小王"];
        assert_eq!((wang.role, wang.jobs.len()), (ConsoleRole::Viewer, 2));
        assert!(!format!("{console:?}").contains("CTFhFdXP"), "{console:?}");
        assert_eq!(console.public_url.as_deref(), Some("https://jobs.example.org"));
        assert_eq!(console.tokens["ci"].sha256, [0xab; 32]);
        assert_eq!(
            console.tokens["ci"].expires.unwrap().to_string(),
            "2027-02-01T00:00:00Z"
        );
    }

    #[test]
    fn has_users_of_the_environment() {
        let loader = Loader::new()
            .set("reg-center.type", "EMBEDDED")
            .set("console.port", "1");
        let environment = [
            ("ELASTICJOB_CONSOLE_USERS_ALICE_SMITH_PASSWORD_HASH", HASH),
            ("ELASTICJOB_CONSOLE_USERS_ALICE_SMITH_ROLE", "editor"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let console = loader.environment(environment).load().unwrap().console.unwrap();
        assert_eq!(console.users["alice-smith"].role, ConsoleRole::Editor);
    }

    #[test]
    fn tells_all_faults_and_no_secret() {
        let faults = load(&[
            ("console.port", "1"),
            ("console.public-url", "jobs.example.org/x"),
            ("console.trusted-proxies", "proxy"),
            ("console.users.a.role", "root"),
            ("console.users.b.password-hash", "tiger"),
            ("console.users.c.password", "tiger"),
            (
                "console.users.d.password-hash",
                "$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQxMjM0NTY$CTFhFdXPJO1aFaMaO6Mm5c8y7c",
            ),
            ("console.tokens.t.sha256", "tiger"),
            ("console.tokens.t.expires", "soon"),
        ])
        .unwrap_err();
        let all = faults.join("\n");
        assert!(!all.contains("tiger"), "{all}");
        for part in [
            "`elasticjob.console.public-url` is `jobs.example.org/x`: a scheme and a host",
            "console.trusted-proxies",
            "console.users.a.role`",
            "console.users.a.password-hash`: is missing",
            "console.users.b.password-hash`",
            "console.users.d.password-hash`",
            "did you mean `console.users.c.password-hash`",
            "console.tokens.t.sha256`",
            "console.tokens.t.expires`",
        ] {
            assert!(all.contains(part), "{part} is not in {all}");
        }
    }

    #[test]
    fn listens_beyond_this_machine_for_users_alone() {
        let faults = load(&[("console.port", "1"), ("console.host", "0.0.0.0")]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].contains("`console: { users: { NAME: { role: admin"),
            "{faults:?}"
        );
        // A fault of a user is not that there are none.
        let faults = load(&[
            ("console.port", "1"),
            ("console.host", "0.0.0.0"),
            ("console.users.a.role", "x"),
        ]);
        assert!(!faults.unwrap_err().join("\n").contains("no users"));
        // A token alone cannot log in.
        let token = ("console.tokens.t.sha256", &*"ab".repeat(32));
        assert!(load(&[("console.port", "1"), ("console.host", "0.0.0.0"), token]).is_err());
    }
}
