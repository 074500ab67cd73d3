//! Members in all conditions, each on a host of its own and behind proxies of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::cluster::Cluster;
use crate::history::since_boot;
use crate::process::Member;
use crate::proxy::Proxy;

use super::application::{CALM, FACTS, ITEMS, LEAVE_OUT, MEMBER};
use super::servers::Servers;
use super::{Options, SESSION_TIMEOUT};

/// A machine and the member on it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) host: u8,
    pub(super) condition: Condition,
    /// One to each server: the way of this machine to the registry centre, and of no other.
    pub(super) proxies: Vec<Proxy>,
    /// By which its member finds this way.
    setting: Option<(&'static str, String)>,
    /// Whether something is done to its connections.
    pub(super) is_cut: bool,
    member: Option<Member>,
}

/// What is so of a machine's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Running,
    Paused,
    /// It was asked to stop.
    Leaving,
    Down,
}

/// The settings of all members.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) facts: PathBuf,
    pub(super) calm: PathBuf,
    items: u32,
    left_out: Option<String>,
}

impl Orders {
    pub(super) fn new(directory: &Path, options: &Options) -> Self {
        Self {
            facts: directory.join("facts"),
            calm: directory.join("calm"),
            items: options.items,
            left_out: options.left_out.map(|rule| format!("{rule:?}")),
        }
    }
}

impl Machine {
    pub(super) async fn new(host: u8, servers: &mut Servers) -> anyhow::Result<Self> {
        let mut proxies = Vec::new();
        for server in servers.addresses() {
            proxies.push(Proxy::start(server).await?);
        }
        Ok(Self {
            host,
            setting: servers.setting(&proxies),
            condition: Condition::Down,
            proxies,
            is_cut: false,
            member: None,
        })
    }

    /// Starts a member; gives its process.
    pub(super) fn start(&mut self, cluster: &Cluster, orders: &Orders) -> anyhow::Result<i32> {
        let mut setup = cluster
            .member(self.host)
            .with(MEMBER, "yes")
            .with(FACTS, orders.facts.display())
            .with(CALM, orders.calm.display())
            .with(ITEMS, orders.items)
            .with_session_timeout(SESSION_TIMEOUT);
        if let Some((name, value)) = &self.setting {
            setup = setup.with(name, value);
        }
        if let Some(rule) = &orders.left_out {
            setup = setup.with(LEAVE_OUT, rule);
        }
        let member = setup.start()?;
        let pid = member.pid().as_raw_nonzero().get();
        self.member = Some(member);
        self.condition = Condition::Running;
        Ok(pid)
    }

    /// Kills its member; gives the process, and when it still lived.
    pub(super) async fn kill(&mut self) -> anyhow::Result<(i32, Duration)> {
        let member = self.member.take().context("there is no member to kill")?;
        let killed = (member.pid().as_raw_nonzero().get(), since_boot());
        member.kill().await?;
        self.condition = Condition::Down;
        Ok(killed)
    }

    pub(super) fn pause(&mut self) -> anyhow::Result<()> {
        self.member()?.pause()?;
        self.condition = Condition::Paused;
        Ok(())
    }

    pub(super) fn resume(&mut self) -> anyhow::Result<()> {
        self.member()?.resume()?;
        self.condition = Condition::Running;
        Ok(())
    }

    pub(super) fn terminate(&mut self) -> anyhow::Result<()> {
        self.member()?.terminate()?;
        self.condition = Condition::Leaving;
        Ok(())
    }

    /// Takes note of a member that has ended; gives what is wrong with that, if anything is.
    pub(super) fn reap(&mut self) -> anyhow::Result<Option<Result<(), String>>> {
        let Some(member) = &mut self.member else {
            return Ok(None);
        };
        let Some(status) = member.has_ended()? else {
            return Ok(None);
        };
        // A signal that comes before the process listens for it ends the process at once.
        let is_ended = status.success() || status.signal() == Some(Signal::TERM.as_raw());
        let is_well = is_ended && self.condition == Condition::Leaving;
        let fault = || format!("the member on host {} ended by itself: {status}", self.host);
        let verdict = if is_well { Ok(()) } else { Err(fault()) };
        self.member = None;
        self.condition = Condition::Down;
        Ok(Some(verdict))
    }

    fn member(&self) -> anyhow::Result<&Member> {
        self.member.as_ref().context("there is no member on this machine")
    }
}
