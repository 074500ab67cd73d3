//! The console of an application: by its setting, or as a part of a larger application.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::request::Parts;
use axum::{Extension, Router};
use elasticjob::configuration::sources::ConsoleSettings;
use elasticjob::operation::Operations;
use elasticjob::operation::world::World;
use elasticjob::registry::BoxFuture;
use elasticjob::starter::{Companion, CompanionContext};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::{Access, Accounts, Visitor};
use crate::api::java::Recorded;
use crate::gate::Gate;
use crate::key::Key;
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
        let world = World::new(operations);
        let following = world.clone();
        let router = routes::router(world, Gate::Application(Access::new(access)));
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
    let gate = gate(settings, address);
    let world = World::new(context.operations());
    let router = routes::router(world.clone(), gate);
    let stop = CancellationToken::new();
    let recorded = Extension(Recorded::new(context.histories()));
    let serving = serve::serve(listener, router.layer(recorded), &stop);
    let stopping = async {
        context.stopped().await;
        stop.cancel();
    };
    tokio::join!(serving, stopping, world.run(stop.cancelled()));
}

/// Returns who may enter: the users, or without any the visitor that has the key. The log has the address to open.
fn gate(settings: &ConsoleSettings, address: SocketAddr) -> Gate {
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
    Gate::Users(Arc::new(Accounts::new(settings, port)))
}

/// The address of the console, by a name of this machine.
fn url(address: SocketAddr) -> String {
    let (host, port) = (address.ip(), address.port());
    match host {
        IpAddr::V6(host) => format!("http://[{host}]:{port}"),
        IpAddr::V4(host) => format!("http://{host}:{port}"),
    }
}
