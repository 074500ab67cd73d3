//! The listener, and who is served at a time.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, info, warn};

use crate::cluster::session::Membership;
use crate::tasks::Tasks;

use super::connection::{Unanswered, converse};

/// Most clients that are served at a time. Others wait to be accepted.
const CLIENTS: usize = 16;

/// Between attempts to accept, where that fails: the process has no room for more files.
const PAUSE: Duration = Duration::from_millis(200);

/// Listens; nothing is answered before [`serve`].
///
/// # Errors
/// When the address cannot be listened on: the port is in use, or the address is not ours.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until the tasks are told to end, from the session there is at the time.
pub(crate) fn serve(listener: TcpListener, tasks: &Tasks, memberships: watch::Receiver<Option<Arc<Membership>>>) {
    let serving = tasks.clone();
    tasks.spawn("dump-port", async move {
        let clients = Arc::new(Semaphore::new(CLIENTS));
        let token = serving.token().clone();
        if let Ok(address) = listener.local_addr() {
            info!(%address, "dump port open");
        }
        loop {
            let next = async {
                let permit = Arc::clone(&clients).acquire_owned().await;
                (permit.expect("the semaphore is never closed"), listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                next = next => next,
                () = token.cancelled() => return,
            };
            match accepted {
                Ok((stream, client)) => {
                    let answering = answer(stream, client, memberships.clone(), serving.clone());
                    serving.spawn("dump", async move {
                        answering.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "the dump port cannot accept a client");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
}

async fn answer(
    mut stream: TcpStream,
    client: SocketAddr,
    memberships: watch::Receiver<Option<Arc<Membership>>>,
    tasks: Tasks,
) {
    let session = || {
        memberships
            .borrow()
            .as_ref()
            .map(|membership| Arc::clone(membership.session()))
    };
    let answered = tokio::select! {
        answered = converse(&mut stream, session) => answered,
        () = tasks.token().cancelled() => return,
    };
    match answered {
        Ok(()) => debug!(%client, "dumped a job"),
        Err(error @ (Unanswered::NoSession | Unanswered::Tree(_))) => {
            warn!(%client, error = &error as &dyn Error, "a dump was not answered");
        }
        Err(error) => debug!(%client, error = &error as &dyn Error, "a dump was not answered"),
    }
}
