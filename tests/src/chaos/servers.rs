//! The servers of the registry centre, and in which condition each is.

use std::net::SocketAddr;

use tokio::task::block_in_place;

use crate::zookeeper::{Ensemble, Server};

/// As many servers as there are.
const SIZE: usize = 3;

/// An ensemble that is hurt.
#[derive(Debug)]
pub(super) struct Servers {
    ensemble: Ensemble,
    up: [bool; SIZE],
}

impl Servers {
    pub(super) fn start() -> anyhow::Result<Self> {
        let ensemble = block_in_place(|| Ensemble::start(SIZE))?;
        Ok(Self {
            ensemble,
            up: [true; SIZE],
        })
    }

    pub(super) fn connect_string(&self) -> String {
        self.ensemble.connect_string()
    }

    pub(super) fn addresses(&mut self) -> Vec<SocketAddr> {
        self.ensemble.servers().iter().map(|server| server.address()).collect()
    }

    /// Returns those that nothing was done to.
    pub(super) fn up(&self) -> Vec<usize> {
        (0..SIZE).filter(|index| self.up[*index]).collect()
    }

    pub(super) fn leader(&self) -> Option<usize> {
        block_in_place(|| self.ensemble.leader())
    }

    pub(super) fn kill(&mut self, index: usize) {
        block_in_place(|| self.ensemble.servers()[index].kill());
        self.up[index] = false;
    }

    pub(super) fn start_again(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = true;
        block_in_place(|| self.ensemble.servers()[index].start_again())
    }

    pub(super) fn pause(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = false;
        self.ensemble.servers()[index].pause()
    }

    pub(super) fn resume(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = true;
        self.ensemble.servers()[index].resume()
    }

    pub(super) fn are_all_serving(&mut self) -> bool {
        block_in_place(|| self.ensemble.servers().iter().all(Server::is_serving))
    }
}
