//! The users of a console, their sessions and tokens: which visitor sent a request, and who may log in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use elasticjob::configuration::Secret;
use elasticjob::configuration::sources::{ConsoleRole, ConsoleSettings, Network};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::password::{self, Busy, Passwords};
use super::peer::{self, Peer};
use super::random::{Digest, sha256};
use super::session::{self, Session, Sessions, Use};
use super::throttle::{Subject, Throttle};
use super::token::{self, Token, Tokens};
use super::{Rights, Visitor};
use crate::audit::{self, Entry, Outcome};
use crate::globs::Globs;
use crate::key::cookies;
use crate::store::{self, Kept, Store};

/// The longest name of a user or of a token, in bytes.
pub(crate) const LONGEST_NAME: usize = 64;

/// The most that is kept of what a browser says that it is, in bytes.
const LONGEST_AGENT: usize = 200;

/// How often it is kept how long sessions were used.
const KEEP_EACH: Duration = Duration::from_secs(300);

/// The users of a console.
pub(crate) struct Accounts {
    users: BTreeMap<String, User>,
    /// A std mutex: never held across an await.
    state: Mutex<State>,
    passwords: Passwords,
    cookie: Cookie,
    pub(crate) hosts: Vec<String>,
    pub(crate) public_url: Option<String>,
    proxies: Vec<Network>,
    pub(crate) store: Store,
}

/// A user.
pub(crate) struct User {
    pub(crate) rights: Rights,
    pub(crate) jobs: Globs,
    hash: Secret,
    /// Changes with all of the above.
    seal: Digest,
}

#[derive(Default)]
struct State {
    sessions: Sessions,
    tokens: Tokens,
    throttle: Throttle,
}

/// The cookie of a session.
struct Cookie {
    name: String,
    is_secure: bool,
}

/// What came of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogIn {
    /// A session is open; this is its id.
    In(String),
    /// There is no user of this name and password.
    Wrong,
    /// It was tried too often.
    Wait(SignedDuration),
    /// Too many others log in.
    Busy,
}

/// Why a token was not made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// The name has no visible character, is too long, or is taken.
    Name,
    /// It would have more rights than its user.
    Rights,
    /// The patterns are none, or no time of at most 90 days is given.
    Limits,
    /// It cannot be kept.
    NotKept,
}

impl Accounts {
    /// Returns the users of the configuration, of a console that listens on a port, with what was kept of them.
    pub(crate) fn new(settings: &ConsoleSettings, port: u16, store: Store, kept: Kept) -> Self {
        let public = settings.public_url.as_deref();
        let is_secure = public.is_some_and(|url| url.starts_with("https://"));
        let mut hosts = settings.allowed_hosts.clone();
        hosts.extend(public.and_then(host_of).map(str::to_owned));
        let mut state = State::default();
        for (name, token) in &settings.tokens {
            let rights = rights_of(token.role);
            let (jobs, expires) = (globs_of(&token.jobs), token.expires);
            let of_configuration = Token {
                owner: None,
                rights,
                jobs,
                expires,
                used: None,
            };
            state.tokens.add(name, token.sha256, of_configuration);
        }
        for (name, digest, token) in kept.tokens {
            if !state.tokens.add(&name, digest, token) {
                warn!(
                    token = name,
                    "a token of the console has the name of another, and is none"
                );
            }
        }
        state.sessions.restore(kept.sessions);
        let users = settings.users.iter().map(|(name, user)| {
            let (rights, jobs, hash) = (rights_of(user.role), globs_of(&user.jobs), user.password_hash.clone());
            let seal = sha256(&format!("{rights}\n{jobs}\n{}", hash.reveal()));
            (
                name.clone(),
                User {
                    rights,
                    jobs,
                    hash,
                    seal,
                },
            )
        });
        Self {
            users: users.collect(),
            state: Mutex::new(state),
            passwords: Passwords::new(),
            cookie: Cookie {
                name: if is_secure {
                    "__Host-ej".to_owned()
                } else {
                    format!("ej-{port}")
                },
                is_secure,
            },
            hosts,
            public_url: settings.public_url.clone(),
            proxies: settings.trusted_proxies.clone(),
            store,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the visitor that sent a request. A request with a token is judged by that alone. The token is one that was made, or a
    /// session of a program that has logged in.
    pub(crate) fn visitor(&self, parts: &Parts, of: Use, now: Timestamp) -> Option<Visitor> {
        let mut state = self.state();
        if let Some(token) = crate::token::of(&parts.headers) {
            let by_token = self.by_token(&mut state, token, now);
            return by_token.or_else(|| self.by_session(&mut state, token, of, now));
        }
        let mut ids = cookies(&parts.headers, &self.cookie.name);
        ids.find_map(|id| self.by_session(&mut state, id, of, now))
    }

    fn by_session(&self, state: &mut State, id: &str, of: Use, now: Timestamp) -> Option<Visitor> {
        let session = state.sessions.find(id, of, now)?;
        let user = self
            .users
            .get(&*session.user)
            .filter(|user| user.seal == session.seal)?;
        Some(Visitor::new(Arc::clone(&session.user), user.rights).only(user.jobs.clone()))
    }

    /// A token has at most the rights and jobs of its user, as they are now.
    fn by_token(&self, state: &mut State, text: &str, now: Timestamp) -> Option<Visitor> {
        let (name, token) = state.tokens.find(text, now)?;
        let Some(owner) = &token.owner else {
            return Some(Visitor::new(format!("token {name}"), token.rights).only(token.jobs.clone()));
        };
        let user = self.users.get(owner)?;
        let visitor = Visitor::new(format!("{owner}, token {name}"), token.rights.min(user.rights));
        Some(visitor.only(token.jobs.and(&user.jobs)))
    }

    /// Returns the address from which a request came.
    pub(crate) fn peer(&self, parts: &Parts) -> IpAddr {
        let socket = parts
            .extensions
            .get::<Peer>()
            .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        peer::of(socket, &parts.headers, &self.proxies)
    }

    /// Returns what a user may do.
    pub(crate) fn rights_of(&self, name: &str) -> Option<Rights> {
        self.users.get(name).map(|user| user.rights)
    }

    /// Opens a session for a user with this password.
    pub(crate) async fn log_in(&self, name: &str, password: &str, parts: &Parts, now: Timestamp) -> LogIn {
        let peer = self.peer(parts);
        let known: String = name.chars().take(LONGEST_NAME).collect();
        let subjects = [Subject::Account(known), Subject::peer(peer)];
        if let Err(pause) = self.state().throttle.begin(&subjects, now) {
            warn!(user = name, %peer, "login to the console came too soon after failed ones");
            return LogIn::Wait(pause);
        }
        let user = self.users.get(name);
        // A name that is unknown takes as long as one that is not.
        let hash = user
            .or_else(|| self.users.values().next())
            .map(|user| user.hash.reveal().to_owned());
        let is_short = password.len() <= password::LONGEST;
        let verified = self
            .passwords
            .verify(
                hash.unwrap_or_default(),
                if is_short { password } else { "" }.to_owned(),
            )
            .await;
        let is_in = matches!((&verified, user), (Ok(true), Some(_)) if is_short);
        if let Err(Busy) = verified {
            self.state().throttle.withdrawn(&subjects);
            return LogIn::Busy;
        }
        let outcome = if is_in {
            Outcome::Done
        } else {
            Outcome::Failed("wrong name or password".to_owned())
        };
        let entry = Entry {
            visitor: name.to_owned(),
            peer: peer.to_string(),
            action: "login".to_owned(),
            outcome,
            of: None,
        };
        audit::append(&self.store, entry, now).await;
        match user.filter(|_| is_in) {
            Some(user) => {
                let session = Session {
                    user: name.into(),
                    seal: user.seal,
                    opened: now,
                    used: now,
                    peer: peer.to_string().into(),
                    agent: agent(&parts.headers).into(),
                };
                self.state().throttle.succeeded(&subjects);
                info!(user = name, %peer, "logged in to the console");
                LogIn::In(self.open(session).await)
            }
            None => {
                warn!(user = name, %peer, "login to the console with a wrong name or password");
                LogIn::Wrong
            }
        }
    }

    async fn open(&self, session: Session) -> String {
        let (id, ended) = self.state().sessions.open(session.clone());
        said(
            "a session was not kept",
            self.store.keep_session(&sha256(&id), &session).await,
        );
        if let Some(ended) = ended {
            said("a session was not forgotten", self.store.forget_session(&ended).await);
        }
        id
    }

    /// Ends the session of a browser.
    pub(crate) async fn end_of(&self, headers: &HeaderMap) {
        let ids: Vec<&str> = cookies(headers, &self.cookie.name).collect();
        for id in ids {
            let ended = self.state().sessions.end(id);
            if let Some(session) = ended {
                info!(user = &*session.user, "a session of the console was ended");
                said(
                    "a session was not forgotten",
                    self.store.forget_session(&sha256(id)).await,
                );
            }
        }
    }

    /// Keeps from time to time how long sessions were used, as long as it is polled.
    pub(crate) async fn keep_sessions(&self) {
        let mut since = Timestamp::now();
        loop {
            tokio::time::sleep(KEEP_EACH).await;
            let used = self.state().sessions.used_since(since);
            since = Timestamp::now();
            for (digest, session) in used {
                said(
                    "a session was not kept",
                    self.store.keep_session(&digest, &session).await,
                );
            }
        }
    }

    /// Returns the cookie that gives a browser its session.
    pub(crate) fn cookie(&self, id: &str) -> String {
        self.cookie_for(id, session::ABSOLUTE.as_secs())
    }

    /// Returns the cookie that takes the session from a browser.
    pub(crate) fn no_cookie(&self) -> String {
        self.cookie_for("", 0)
    }

    fn cookie_for(&self, id: &str, seconds: i64) -> String {
        let Cookie { name, is_secure } = &self.cookie;
        let secure = if *is_secure { "; Secure" } else { "" };
        format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
    }

    /// Returns the name of the session that a browser has.
    pub(crate) fn session_of(&self, headers: &HeaderMap) -> Option<String> {
        cookies(headers, &self.cookie.name).next().map(session::name_of)
    }

    /// Returns the sessions that a visitor may end: its own, and all for an admin.
    pub(crate) fn sessions(&self, visitor: &Visitor, now: Timestamp) -> Vec<(String, Session)> {
        let mut sessions = self.state().sessions.all(now);
        sessions.retain(|(_, session)| may_end(visitor, &session.user));
        sessions
    }

    /// Ends a session by its name, and returns its user.
    pub(crate) async fn end_session(&self, visitor: &Visitor, name: &str) -> Option<Arc<str>> {
        let may = |session: &Session| may_end(visitor, &session.user);
        let (digest, ended) = self.state().sessions.end_named(name, may)?;
        info!(
            user = &*ended.user,
            by = visitor.name(),
            "a session of the console was ended"
        );
        said("a session was not forgotten", self.store.forget_session(&digest).await);
        Some(ended.user)
    }

    /// Returns the tokens that a visitor may see: its own, and all for an admin.
    pub(crate) fn tokens(&self, visitor: &Visitor) -> Vec<(String, Token)> {
        let state = self.state();
        let all = state.tokens.all();
        let seen = all.filter(|(_, token)| may_end(visitor, token.owner.as_deref().unwrap_or_default()));
        seen.map(|(name, token)| (name.to_owned(), token.clone())).collect()
    }

    /// Makes a token of a visitor, and returns it: it is nowhere else.
    pub(crate) async fn make_token(
        &self,
        visitor: &Visitor,
        name: &str,
        mut token: Token,
        now: Timestamp,
    ) -> Result<String, NoToken> {
        let is_name = !name.trim().is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
        if !is_name {
            return Err(NoToken::Name);
        }
        if !visitor.may(token.rights) {
            return Err(NoToken::Rights);
        }
        let is_bounded = |expires: Timestamp| expires > now && expires.duration_since(now) <= token::LONGEST;
        if !token.expires.is_some_and(is_bounded) {
            return Err(NoToken::Limits);
        }
        token.owner = Some(visitor.name().to_owned());
        let text = token::new();
        let digest = sha256(&text);
        if !self.state().tokens.add(name, digest, token.clone()) {
            return Err(NoToken::Name);
        }
        if !said(
            "a token was not kept",
            self.store.keep_token(name, &digest, &token).await,
        ) {
            self.state().tokens.revoke(name, |_| true);
            return Err(NoToken::NotKept);
        }
        info!(user = visitor.name(), token = name, "a token of the console was made");
        Ok(text)
    }

    /// Ends a token by its name. Returns whether there was one that the visitor may end. It is forgotten first, so that no restart
    /// brings it back.
    pub(crate) async fn revoke(&self, visitor: &Visitor, name: &str) -> bool {
        let may = |token: &Token| may_end(visitor, token.owner.as_deref().unwrap_or_default());
        let can_be = self.state().tokens.can_be_revoked(name, may);
        let is_forgotten = can_be && said("a token was not forgotten", self.store.forget_token(name).await);
        let is_revoked = is_forgotten && self.state().tokens.revoke(name, may).is_some();
        if is_revoked {
            info!(
                user = visitor.name(),
                token = name,
                "a token of the console was revoked"
            );
        }
        is_revoked
    }

    /// Returns all users, by name.
    pub(crate) fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (&**name, user))
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

/// Logs that something was not kept. Returns whether it was.
fn said(what: &'static str, kept: Result<(), store::Error>) -> bool {
    kept.inspect_err(|error| tracing::error!(what, %error, "the file of the console cannot be written"))
        .is_ok()
}

fn may_end(visitor: &Visitor, owner: &str) -> bool {
    visitor.name() == owner || visitor.may(Rights::Admin)
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    agent.unwrap_or_default().chars().take(LONGEST_AGENT).collect()
}

/// Returns the host of a URL that configuration has checked.
fn host_of(url: &str) -> Option<&str> {
    let (_, authority) = url.split_once("://")?;
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => Some(host),
        _ => Some(authority),
    }
}

fn rights_of(role: ConsoleRole) -> Rights {
    match role {
        ConsoleRole::Operator => Rights::Operator,
        ConsoleRole::Editor => Rights::Editor,
        ConsoleRole::Admin => Rights::Admin,
        // One that this version does not know may not more than look.
        _ => Rights::Viewer,
    }
}

/// Returns patterns that configuration has checked.
fn globs_of(patterns: &[String]) -> Globs {
    Globs::parse(patterns).expect("configuration has the same limits")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use elasticjob::configuration::sources::Loader;

    use super::*;

    fn accounts(more: &[(&str, &str)]) -> Accounts {
        let hash = password::hash("tiger");
        let loader = Loader::new()
            .set("reg-center.type", "EMBEDDED")
            .set("console.port", "8088")
            .set("console.users.alice.password-hash", &*hash)
            .set("console.users.alice.role", "operator")
            .set("console.users.alice.jobs", "a*");
        let loader = more
            .iter()
            .fold(loader, |loader, (key, value)| loader.set(*key, *value));
        Accounts::new(
            &loader.load().unwrap().console.unwrap(),
            8088,
            Store::in_memory(),
            Kept::default(),
        )
    }

    fn request(headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(Body::empty()).unwrap().into_parts().0
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    async fn session(accounts: &Accounts) -> String {
        match accounts.log_in("alice", "tiger", &request(&[]), now()).await {
            LogIn::In(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn name(accounts: &Accounts, headers: &[(&str, &str)]) -> Option<String> {
        let found = accounts.visitor(&request(headers), Use::Request, now());
        found.map(|visitor| visitor.name().to_owned())
    }

    #[tokio::test]
    async fn log_in_by_name_and_password_alone() {
        let accounts = accounts(&[]);
        for (user, password) in [
            ("alice", "lion"),
            ("bob", "tiger"),
            ("alice", ""),
            ("", ""),
            ("alice", &*"x".repeat(2_000)),
        ] {
            assert_eq!(
                accounts.log_in(user, password, &request(&[]), now()).await,
                LogIn::Wrong,
                "{user}"
            );
        }
        // The peer has failed five times.
        let wait = accounts.log_in("alice", "tiger", &request(&[]), now()).await;
        assert_eq!(wait, LogIn::Wait(SignedDuration::from_secs(1)));
        let later = now() + SignedDuration::from_secs(1);
        let LogIn::In(id) = accounts.log_in("alice", "tiger", &request(&[]), later).await else {
            panic!("it is right");
        };
        let cookie = format!("ej-8088={id}");
        let visitor = accounts
            .visitor(&request(&[("cookie", &cookie)]), Use::Request, later)
            .unwrap();
        assert_eq!((visitor.name(), visitor.rights()), ("alice", Rights::Operator));
        assert!(visitor.sees("a1") && !visitor.sees("b1"));
    }

    #[tokio::test]
    async fn have_a_session_of_their_own_with_each_login() {
        let accounts = accounts(&[]);
        let (first, second) = (session(&accounts).await, session(&accounts).await);
        assert_ne!(first, second);
        accounts
            .end_of(&request(&[("cookie", &format!("ej-8088={first}"))]).headers)
            .await;
        assert_eq!(name(&accounts, &[("cookie", &format!("ej-8088={first}"))]), None);
        // A program that has logged in sends its session as a token.
        assert_eq!(name(&accounts, &[("access-token", &second)]).as_deref(), Some("alice"));
    }

    #[tokio::test]
    async fn lose_their_sessions_with_another_role_or_password() {
        let hash = password::hash("tiger");
        let with = |more: &[(&str, &str)]| {
            let mut settings = vec![("console.users.alice.password-hash", &*hash)];
            settings.extend_from_slice(more);
            accounts(&settings)
        };
        let before = with(&[]);
        let id = session(&before).await;
        let cookie = format!("ej-8088={id}");
        for (after, is_known) in [
            (with(&[]), true),
            (with(&[("console.users.alice.role", "admin")]), false),
            (with(&[("console.users.alice.jobs", "*")]), false),
            (accounts(&[]), false),
        ] {
            after.state().sessions = std::mem::take(&mut before.state().sessions);
            assert_eq!(name(&after, &[("cookie", &cookie)]).is_some(), is_known);
            before.state().sessions = std::mem::take(&mut after.state().sessions);
        }
    }

    #[tokio::test]
    async fn are_known_by_their_token_alone() {
        let accounts = accounts(&[]);
        let cookie = format!("ej-8088={}", session(&accounts).await);
        let alice = accounts
            .visitor(&request(&[("cookie", &cookie)]), Use::Request, now())
            .unwrap();
        let token = |rights, jobs: Globs, days: i64| Token {
            owner: None,
            rights,
            jobs,
            expires: Some(now() + SignedDuration::from_hours(24 * days)),
            used: None,
        };
        let wide = token(Rights::Operator, Globs::all(), 90);
        let text = accounts.make_token(&alice, "ci", wide.clone(), now()).await.unwrap();
        for headers in [
            [("authorization", &*format!("Bearer {text}"))],
            [("access-token", &*text)],
        ] {
            let visitor = accounts.visitor(&request(&headers), Use::Request, now()).unwrap();
            assert_eq!(visitor.name(), "alice, token ci");
            assert!(!visitor.sees("b1"), "the jobs are those of its user");
        }
        // The cookie does not count beside a token that is wrong.
        assert_eq!(
            name(&accounts, &[("cookie", &cookie), ("authorization", "Bearer ej_x")]),
            None
        );
        for (name, token, problem) in [
            ("ci", wide.clone(), NoToken::Name),
            (" ", wide.clone(), NoToken::Name),
            ("a\nb", wide, NoToken::Name),
            ("x", token(Rights::Editor, Globs::all(), 1), NoToken::Rights),
            ("x", token(Rights::Viewer, Globs::all(), 91), NoToken::Limits),
            ("x", token(Rights::Viewer, Globs::all(), 0), NoToken::Limits),
        ] {
            assert_eq!(
                accounts.make_token(&alice, name, token, now()).await,
                Err(problem),
                "{name}"
            );
        }
        assert!(!accounts.revoke(&Visitor::new("bob", Rights::Editor), "ci").await);
        assert!(accounts.revoke(&Visitor::new("root", Rights::Admin), "ci").await);
        assert_eq!(name(&accounts, &[("access-token", &text)]), None);
    }

    #[tokio::test]
    async fn have_tokens_of_the_configuration() {
        let text = token::new();
        let digest = super::super::random::hex(&sha256(&text));
        let accounts = accounts(&[
            ("console.tokens.metrics.sha256", &digest),
            ("console.tokens.metrics.jobs", "b*"),
            ("console.tokens.metrics.expires", "1970-01-12"),
        ]);
        let asked = request(&[("access-token", &text)]);
        let visitor = accounts.visitor(&asked, Use::Request, now()).unwrap();
        assert_eq!((visitor.name(), visitor.rights()), ("token metrics", Rights::Viewer));
        assert!(visitor.sees("b1") && !visitor.sees("a1"));
        assert!(
            accounts
                .visitor(&asked, Use::Request, now() + SignedDuration::from_hours(48))
                .is_none()
        );
        assert!(!accounts.revoke(&Visitor::new("root", Rights::Admin), "metrics").await);
    }

    #[test]
    fn have_a_cookie_that_fits_the_address() {
        let plain = accounts(&[]);
        assert_eq!(
            plain.cookie("x"),
            "ej-8088=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"
        );
        let secure = accounts(&[("console.public-url", "https://jobs.example.org")]);
        assert_eq!(
            secure.no_cookie(),
            "__Host-ej=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure"
        );
        assert_eq!(secure.hosts, ["jobs.example.org"]);
        assert_eq!(host_of("http://[::1]:8088"), Some("[::1]"));
        assert_eq!(host_of("http://[::1]"), Some("[::1]"));
    }
}
