//! A TCP proxy that hurts the connections it carries, in the ways a network does.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A proxy on a port of its own. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    _tasks: JoinSet<()>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Orderly: what was carried so far arrives, then the end.
    Finish,
    /// At once, by a reset.
    Reset,
}

/// One of the two ways through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Where new connections lead.
    target: SocketAddr,
    /// Connections of an older generation are closed.
    generation: u64,
    close: Close,
    is_cut: bool,
    stalls_requests: bool,
    stalls_answers: bool,
    delay: Duration,
}

impl Proxy {
    /// Starts a proxy to `target`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), target).await
    }

    /// As [`start`](Self::start), on this address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_on(address: SocketAddr, target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (state, states) = watch::channel(State {
            target,
            generation: 0,
            close: Close::Finish,
            is_cut: false,
            stalls_requests: false,
            stalls_answers: false,
            delay: Duration::ZERO,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, states));
        Ok(Self {
            address,
            state,
            _tasks: tasks,
        })
    }

    /// Returns where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads connections to another server from here on, as an address does that moves in a failover. Those that are there are closed.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| {
            state.target = target;
            state.generation += 1;
            state.close = Close::Reset;
        });
    }

    /// Closes all connections; clients may connect again at once.
    pub fn interrupt(&self, close: Close) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.close = close;
        });
    }

    /// Closes all connections, and new ones as soon as they are made, until [`heal`](Self::heal).
    pub fn cut(&self, close: Close) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.close = close;
            state.is_cut = true;
        });
    }

    /// Holds back what is sent in one direction until [`heal`](Self::heal). Connections stay and can be made.
    pub fn stall(&self, direction: Direction) {
        self.state.send_modify(|state| match direction {
            Direction::Requests => state.stalls_requests = true,
            Direction::Answers => state.stalls_answers = true,
        });
    }

    /// Delays everything from here on by so much, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Ends all faults; what was held back goes on its way.
    pub fn heal(&self) {
        self.state.send_modify(|state| {
            state.is_cut = false;
            state.stalls_requests = false;
            state.stalls_answers = false;
            state.delay = Duration::ZERO;
        });
    }
}

impl State {
    fn stalls(&self, direction: Direction) -> bool {
        match direction {
            Direction::Requests => self.stalls_requests,
            Direction::Answers => self.stalls_answers,
        }
    }
}

async fn accept(listener: TcpListener, states: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    // Without a connection to accept, the port is gone, and so is the use of this task.
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(carry(client, states.clone()));
    }
}

async fn carry(mut client: TcpStream, mut states: watch::Receiver<State>) {
    let State {
        target,
        generation,
        close,
        is_cut,
        ..
    } = *states.borrow();
    if is_cut {
        return end(close, &[&client]);
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    // Else the second half of a message would wait until the first is acknowledged, which takes 40 ms.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let close = tokio::select! {
        () = pump(from_client, to_server, Direction::Requests, states.clone()) => Close::Finish,
        () = pump(from_server, to_client, Direction::Answers, states.clone()) => Close::Finish,
        state = states.wait_for(|state| state.generation != generation) => {
            state.map_or(Close::Reset, |state| state.close)
        }
    };
    end(close, &[&client, &server]);
}

fn end(close: Close, streams: &[&TcpStream]) {
    if close == Close::Reset {
        for stream in streams {
            // A socket that is closed already needs no reset.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Carries bytes one way until either end is closed.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, direction: Direction, mut states: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(1..) = from.peek(&mut buffer[..1]).await else {
            return;
        };
        let Ok(state) = states
            .wait_for(|state| !state.stalls(direction))
            .await
            .map(|state| *state)
        else {
            return;
        };
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if !state.delay.is_zero() {
            sleep(state.delay).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
