//! The registry centre, and in which condition each of its servers is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::bail;
use sqlx::{Connection as _, PgConnection};
use tokio::task::block_in_place;

use crate::center::{Center, Kind};
use crate::cluster::Cluster;
use crate::databases::{self, DatabaseServer};
use crate::proxy::Proxy;
use crate::zookeeper::{Ensemble, Server};

/// As many servers as an ensemble has.
const SIZE: usize = 3;

/// A registry centre that is hurt.
#[derive(Debug)]
pub(super) struct Servers {
    place: Place,
    up: Vec<bool>,
}

#[derive(Debug)]
enum Place {
    Ensemble(Ensemble),
    /// One server, and where it is.
    Postgres(DatabaseServer),
    /// There is no server, and nothing between a member and the file.
    File(Center),
}

impl Servers {
    pub(super) fn start(kind: Kind) -> anyhow::Result<Self> {
        let (place, size) = match kind {
            Kind::ZooKeeper => (Place::Ensemble(block_in_place(|| Ensemble::start(SIZE))?), SIZE),
            Kind::Sqlite => (Place::File(Center::start(kind)?), 0),
            Kind::Postgres => {
                let server = block_in_place(|| DatabaseServer::start(databases::Kind::Postgres))?;
                (Place::Postgres(server), 1)
            }
            Kind::Embedded => bail!("no other process can find {kind:?}"),
            Kind::Etcd => bail!("there is no chaos on {kind:?} yet"),
        };
        let up = vec![true; size];
        Ok(Self { place, up })
    }

    /// Returns the cluster of members that run this program.
    pub(super) fn cluster(&self, program: PathBuf) -> anyhow::Result<Cluster> {
        match &self.place {
            Place::Ensemble(ensemble) => Cluster::new(program, ensemble.connect_string(), "chaos"),
            Place::Postgres(server) => Cluster::on(&Center::at_postgres(server.full_url()), program, "chaos"),
            Place::File(center) => Cluster::on(center, program, "chaos"),
        }
    }

    /// Returns the setting by which a member behind these proxies, one for each server, finds its way.
    pub(super) fn setting(&self, proxies: &[Proxy]) -> Option<(&'static str, String)> {
        let addresses: Vec<_> = proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        match &self.place {
            Place::Ensemble(_) => Some(("ELASTICJOB_REG_CENTER_SERVER_LISTS", addresses.join(","))),
            Place::Postgres(server) => {
                let direct = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())).to_string();
                let url = server.full_url().replace(&direct, &addresses.concat());
                Some(("ELASTICJOB_REG_CENTER_URL", url))
            }
            Place::File(_) => None,
        }
    }

    /// Returns how many servers have to be up at least, so that the registry centre is not away for long.
    pub(super) fn needed(&self) -> usize {
        self.up.len() / 2
    }

    /// Returns whether a server can be made to stand still.
    pub(super) fn can_stand_still(&self) -> bool {
        matches!(self.place, Place::Ensemble(_))
    }

    /// Returns whether members write to one file, so that one which stands still amid its turn stops all.
    pub(super) fn are_a_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    pub(super) fn addresses(&mut self) -> Vec<SocketAddr> {
        match &mut self.place {
            Place::Ensemble(ensemble) => ensemble.servers().iter().map(Server::address).collect(),
            Place::Postgres(server) => vec![(Ipv4Addr::LOCALHOST, server.port()).into()],
            Place::File(_) => Vec::new(),
        }
    }

    /// Returns those that nothing was done to.
    pub(super) fn up(&self) -> Vec<usize> {
        (0..self.up.len()).filter(|index| self.up[*index]).collect()
    }

    pub(super) fn leader(&self) -> Option<usize> {
        match &self.place {
            Place::Ensemble(ensemble) => block_in_place(|| ensemble.leader()),
            Place::Postgres(_) | Place::File(_) => None,
        }
    }

    /// Kills a server in mid-air.
    pub(super) fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = false;
        match &mut self.place {
            Place::Ensemble(ensemble) => block_in_place(|| ensemble.servers()[index].kill()),
            Place::Postgres(server) => block_in_place(|| server.stop())?,
            Place::File(_) => {}
        }
        Ok(())
    }

    pub(super) fn start_again(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = true;
        match &mut self.place {
            Place::Ensemble(ensemble) => block_in_place(|| ensemble.servers()[index].start_again()),
            Place::Postgres(server) => block_in_place(|| server.start_again()),
            Place::File(_) => Ok(()),
        }
    }

    pub(super) fn pause(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = false;
        self.of_ensemble(index)?.pause()
    }

    pub(super) fn resume(&mut self, index: usize) -> anyhow::Result<()> {
        self.up[index] = true;
        self.of_ensemble(index)?.resume()
    }

    fn of_ensemble(&mut self, index: usize) -> anyhow::Result<&mut Server> {
        match &mut self.place {
            Place::Ensemble(ensemble) => Ok(&mut ensemble.servers()[index]),
            Place::Postgres(_) | Place::File(_) => bail!("only a server of an ensemble stands still"),
        }
    }

    /// Returns whether members can be served.
    pub(super) async fn are_all_serving(&mut self) -> bool {
        match &mut self.place {
            Place::Ensemble(ensemble) => block_in_place(|| ensemble.servers().iter().all(Server::is_serving)),
            // It listens before it serves.
            Place::Postgres(server) => PgConnection::connect(&server.full_url()).await.is_ok(),
            Place::File(_) => true,
        }
    }
}
