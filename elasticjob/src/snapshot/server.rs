//! The listener, and how many clients it serves at a time.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, info, warn};

use crate::callers;
use crate::cluster::session::Membership;
use crate::tasks::Tasks;

use super::connection::{Turn, Unanswered, converse};

/// Jobs that are read for clients at a time. Other clients wait for their answers.
const READINGS: usize = 16;

/// Listens; nothing is answered before [`serve`].
///
/// # Errors
/// When the address cannot be listened on: the port is in use, or the address is not ours.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    callers::listen(address)
}

/// Answers until the tasks are cancelled, from the present session.
pub(crate) fn serve(listener: TcpListener, tasks: &Tasks, memberships: watch::Receiver<Option<Arc<Membership>>>) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "dump port open");
    }
    let serving = tasks.clone();
    let readings = Arc::new(Semaphore::new(READINGS));
    tasks.spawn("dump-port", async move {
        let answer = |stream, client, progress| {
            let turn = Turn {
                progress,
                readings: Arc::clone(&readings),
            };
            answer(stream, client, memberships.clone(), turn)
        };
        callers::serve("dump-port", listener, &serving, answer).await;
    });
}

async fn answer(
    mut stream: TcpStream,
    client: SocketAddr,
    memberships: watch::Receiver<Option<Arc<Membership>>>,
    turn: Turn,
) {
    let session = || {
        memberships
            .borrow()
            .as_ref()
            .map(|membership| Arc::clone(membership.session()))
    };
    match converse(&mut stream, session, &turn).await {
        Ok(()) => debug!(%client, "dumped a job"),
        Err(error @ (Unanswered::NoSession | Unanswered::Tree(_))) => {
            warn!(%client, error = &error as &dyn Error, "a dump was not answered");
        }
        Err(error) => debug!(%client, error = &error as &dyn Error, "a dump was not answered"),
    }
}
