//! The console of an application: by its setting, or as a part of a larger application.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::http::request::Parts;
use elasticjob::configuration::sources::ConsoleSettings;
use elasticjob::operation::Operations;
use elasticjob::operation::world::World;
use elasticjob::registry::BoxFuture;
use elasticjob::starter::{Companion, CompanionContext};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::{Access, Visitor};
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
    let file = std::env::temp_dir().join(format!("elasticjob-console-{}.key", address.port()));
    let key = Key::kept(&file, address.port());
    info!(url = url(address, &key), "console open");
    let gate = Gate::Key {
        key,
        hosts: settings.allowed_hosts.clone(),
    };
    let world = World::new(context.operations());
    let router = routes::router(world.clone(), gate);
    let stop = CancellationToken::new();
    let serving = serve::serve(listener, router, &stop);
    let stopping = async {
        context.stopped().await;
        stop.cancel();
    };
    tokio::join!(serving, stopping, world.run(stop.cancelled()));
}

/// The address to open.
fn url(address: SocketAddr, key: &Key) -> String {
    let (host, port) = (address.ip(), address.port());
    let host = match host {
        IpAddr::V6(Ipv6Addr::LOCALHOST) => "[::1]".to_owned(),
        host => host.to_string(),
    };
    format!("http://{host}:{port}/?key={}", key.text())
}
