//! The console of an application: by its setting, or as a part of a larger application.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use elasticjob::configuration::sources::{ConsoleSettings, TracedJobs};
use elasticjob::operation::Operations;
use elasticjob::operation::world::World;
use elasticjob::registry::BoxFuture;
use elasticjob::starter::{Companion, CompanionContext};
use elasticjob::trace::history::History;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::access::{Access, Accounts, Visitor};
use crate::gate::Gate;
use crate::history::Histories;
use crate::key::Key;
use crate::store::{Kept, Store};
use crate::{routes, serve};

/// The console, for [`Builder::with`](elasticjob::starter::Builder::with).
///
/// It listens where `elasticjob.console` says, and nowhere if there is no `console.port`. A port that is taken is a warning in the
/// log: of several instances on one machine the first has the console, and all run their jobs.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Console {}

impl Console {
    /// Returns a console that is not open yet.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Returns the console as a router, to be mounted at any prefix, and a future that the application has to run beside it: it
    /// follows the registry while a visitor looks.
    ///
    /// `access` says which visitor sent a request, and `None` if that visitor may not look. It is asked for each request, and has
    /// all that layers around the router found out, in the extensions of the request.
    ///
    /// Forms of other origins are refused. The application around the console checks the name of the host, as it does for its own pages.
    pub fn router(
        operations: Operations,
        access: impl Fn(&Parts) -> Option<Visitor> + Send + Sync + 'static,
    ) -> (Router, BoxFuture<'static, ()>) {
        Self::router_with_history(operations, Vec::new(), access)
    }

    /// Returns the same router, which shows the history of runs, too: from databases, each with the history of some jobs.
    ///
    /// [`ElasticJob::history`](elasticjob::starter::ElasticJob::history) returns that of an application, and
    /// [`History::open`] that of any database, such as one that Java members write.
    pub fn router_with_history(
        operations: Operations,
        histories: Vec<(TracedJobs, History)>,
        access: impl Fn(&Parts) -> Option<Visitor> + Send + Sync + 'static,
    ) -> (Router, BoxFuture<'static, ()>) {
        let world = World::new(operations);
        let following = world.clone();
        let gate = Gate::Application(Access::new(access));
        let router = routes::router_with(world, Histories::new(&histories), gate);
        (
            router,
            Box::pin(async move { following.run(std::future::pending()).await }),
        )
    }
}

impl Companion for Console {
    fn section(&self) -> Option<&'static str> {
        Some("console")
    }

    fn run(self: Box<Self>, context: CompanionContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(settings) = context.settings().console.clone() {
                open(&settings, context).await;
            }
        })
    }
}

/// Listens, and serves until the application stops.
async fn open(settings: &ConsoleSettings, context: CompanionContext) {
    let address = SocketAddr::new(settings.host, settings.port);
    let listening = serve::listen(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = match listening {
        Ok(listening) => listening,
        Err(error) => {
            warn!(%address, %error, "no console: its port is taken or not ours; `elasticjob.console.port` sets another, 0 any");
            return;
        }
    };
    let Some((store, mut kept)) = kept(settings).await else {
        return;
    };
    let wrong_row = kept.wrong_row.take();
    if let Some(row) = wrong_row {
        error!(row, "a row of the audit log of the console is not as it was written");
    }
    let gate = gate(settings, address, store.clone(), kept);
    let world = World::new(context.operations());
    let histories = Histories::new(context.histories());
    let router = routes::router_keeping(world.clone(), histories, gate.clone(), store, wrong_row);
    let stop = CancellationToken::new();
    let serving = serve::serve(listener, router, &stop);
    let stopping = async {
        context.stopped().await;
        stop.cancel();
    };
    let keeping = async {
        if let Some(accounts) = gate.accounts() {
            stop.run_until_cancelled(accounts.keep_sessions()).await;
        }
    };
    tokio::join!(serving, stopping, keeping, world.run(stop.cancelled()));
}

/// Returns where the console keeps what it keeps, and what was kept; `None` if the directory cannot be used. Then the console stays
/// closed: what visitors do would be in no log that lasts.
async fn kept(settings: &ConsoleSettings) -> Option<(Store, Kept)> {
    let Some(directory) = &settings.data_dir else {
        return Some((Store::in_memory(), Kept::default()));
    };
    match Store::open(directory, Timestamp::now()).await {
        Ok(opened) => Some(opened),
        Err(error) => {
            error!(directory = %directory.display(), %error, "no console: `elasticjob.console.data-dir` cannot be used");
            None
        }
    }
}

/// Returns who may enter: the users, or without any the visitor that has the key. The log has the address to open.
fn gate(settings: &ConsoleSettings, address: SocketAddr, store: Store, kept: Kept) -> Gate {
    let port = address.port();
    if settings.users.is_empty() {
        let file = std::env::temp_dir().join(format!("elasticjob-console-{port}.key"));
        let key = Key::kept(&file, port);
        info!(url = format!("{}/?key={}", url(address), key.text()), "console open");
        let hosts = settings.allowed_hosts.clone();
        return Gate::Key { key, hosts };
    }
    let public = settings.public_url.clone();
    let is_encrypted = public.as_deref().is_some_and(|url| url.starts_with("https://"));
    info!(
        url = public.unwrap_or_else(|| url(address)),
        users = settings.users.len(),
        "console open"
    );
    if !address.ip().is_loopback() && !is_encrypted {
        warn!(
            "passwords reach the console unencrypted: put a proxy with TLS before it, and name it by `elasticjob.console.public-url`"
        );
    }
    Gate::Users(Arc::new(Accounts::new(settings, port, store, kept)))
}

/// The address of the console, by a name of this machine.
fn url(address: SocketAddr) -> String {
    let (host, port) = (address.ip(), address.port());
    match host {
        IpAddr::V6(host) => format!("http://[{host}]:{port}"),
        IpAddr::V4(host) => format!("http://{host}:{port}"),
    }
}
