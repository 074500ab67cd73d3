//! What is done to members, connections and servers: drawn from the seed, and undone after a while.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::history::since_boot;
use crate::proxy::{Close, Direction};

use super::fleet::Condition;
use super::laws::Hurt;
use super::servers::Servers;
use super::{Chaos, SESSION_TIMEOUT};

/// What goes on after a fault is over: the session may end, and others have to notice.
const AFTERMATH: Duration = Duration::from_secs(2 * SESSION_TIMEOUT.as_secs() + 4);

/// The time between two checks whether a member has ended.
const LOOK: Duration = Duration::from_millis(200);

/// How long a member may take to stop: the grace period, and what the registry costs.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What is to be done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    StartMember(usize),
    ResumeMember(usize),
    HealConnections(usize),
    /// The member that was stopped must have ended.
    MustHaveStopped(usize),
    StartServer(usize),
    ResumeServer(usize),
}

/// What is to be done, and when.
pub(super) type Agenda = BTreeMap<(Instant, u64), Remedy>;

/// What can be done, with how often it is.
const FAULTS: &[(u32, Fault)] = &[
    (6, Fault::Kill),
    (1, Fault::KillAll),
    (5, Fault::Pause),
    (4, Fault::Terminate),
    (1, Fault::RollingRestart),
    (4, Fault::Cut),
    (2, Fault::Stall(Direction::Answers)),
    (2, Fault::Stall(Direction::Requests)),
    (1, Fault::Interrupt),
    (1, Fault::Delay),
    (3, Fault::KillServer),
    (2, Fault::PauseServer),
    (1, Fault::KillAllServers),
];

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    KillAll,
    Pause,
    Terminate,
    RollingRestart,
    Cut,
    Stall(Direction),
    Interrupt,
    Delay,
    KillServer,
    PauseServer,
    KillAllServers,
}

impl Fault {
    /// Whether it can be done to members that share this registry centre.
    fn is_possible(self, servers: &Servers) -> bool {
        match self {
            Self::Kill | Self::KillAll | Self::Pause | Self::Terminate | Self::RollingRestart => true,
            Self::Cut | Self::Stall(_) | Self::Interrupt | Self::Delay | Self::KillServer | Self::KillAllServers => {
                !servers.are_a_file()
            }
            Self::PauseServer => servers.can_stand_still(),
        }
    }
}

impl Chaos {
    /// Does harm until then.
    pub(super) async fn rage(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            let pause = match self.rng.u8(..3) {
                0 => self.rng.u64(50..300),
                1 => self.rng.u64(300..2_000),
                _ => self.rng.u64(2_000..5_000),
            };
            let next = Instant::now() + Duration::from_millis(pause);
            self.pass_time_until(next.min(until)).await?;
            if next >= until {
                return Ok(());
            }
            self.strike().await?;
        }
    }

    /// Undoes all faults: from then on nothing disturbs a member.
    pub(super) async fn heal(&mut self) -> anyhow::Result<()> {
        self.say("heals everything");
        let remedies: Vec<Remedy> = std::mem::take(&mut self.agenda).into_values().collect();
        // Members come back to servers that are there.
        let is_of_servers = |remedy: &&Remedy| matches!(remedy, Remedy::StartServer(_) | Remedy::ResumeServer(_));
        for remedy in remedies.iter().filter(is_of_servers) {
            self.remedy(*remedy).await?;
        }
        self.wait_for_servers().await?;
        for remedy in remedies.iter().filter(|remedy| !is_of_servers(remedy)) {
            match remedy {
                Remedy::MustHaveStopped(_) => self.plan(STOP_LIMIT, *remedy),
                _ => self.remedy(*remedy).await?,
            }
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while self
            .machines
            .iter()
            .any(|machine| machine.condition != Condition::Running)
            && Instant::now() < deadline
        {
            self.pass_time_until(Instant::now() + LOOK).await?;
            for index in 0..self.machines.len() {
                if self.machines[index].condition == Condition::Down {
                    self.start_member(index)?;
                }
            }
        }
        self.agenda.clear();
        Ok(())
    }

    /// Lets time pass, with what is on the agenda.
    pub(super) async fn pass_time_until(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            let first = self.agenda.first_key_value().map(|((due, _), _)| *due);
            let next = (Instant::now() + LOOK).min(until).min(first.unwrap_or(until));
            sleep_until(next).await;
            self.reap()?;
            while let Some(entry) = self.agenda.first_entry()
                && entry.key().0 <= Instant::now()
            {
                let remedy = entry.remove();
                self.remedy(remedy).await?;
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    async fn strike(&mut self) -> anyhow::Result<()> {
        let faults = || FAULTS.iter().filter(|(_, fault)| fault.is_possible(&self.servers));
        let all: u32 = faults().map(|(weight, _)| weight).sum();
        let mut drawn = self.rng.u32(..all);
        let fault = faults().find(|(weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        match fault.expect("one of them is drawn").1 {
            Fault::Kill => match self.draw_running() {
                Some(index) => self.kill(index).await,
                None => Ok(()),
            },
            Fault::KillAll => {
                for index in self.running() {
                    self.kill(index).await?;
                }
                Ok(())
            }
            Fault::Pause => self.draw_running().map_or(Ok(()), |index| self.pause(index)),
            Fault::Terminate => self.draw_running().map_or(Ok(()), |index| self.terminate(index)),
            Fault::RollingRestart => {
                let running = self.running();
                running.into_iter().try_for_each(|index| self.terminate(index))
            }
            Fault::Cut => self.hurt_connections("cuts off", |proxy, close| proxy.cut(close)),
            Fault::Stall(Direction::Answers) => {
                self.hurt_connections("holds back the answers to", |proxy, _| proxy.stall(Direction::Answers))
            }
            Fault::Stall(Direction::Requests) => self.hurt_connections("holds back the requests of", |proxy, _| {
                proxy.stall(Direction::Requests)
            }),
            Fault::Interrupt => {
                self.hurt_connections("closes the connections of", |proxy, close| proxy.interrupt(close))
            }
            Fault::Delay => {
                let delay = Duration::from_millis(self.rng.u64(10..200));
                self.hurt_connections("delays", |proxy, _| proxy.delay(delay))
            }
            Fault::KillServer => self.kill_server(),
            Fault::PauseServer => self.pause_server(),
            Fault::KillAllServers => self.kill_all_servers(),
        }
    }

    async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        let back = self.draw_time(0.05, 1.5);
        let killed = self.machines[index].kill().await?;
        self.kills.push(killed);
        self.say(&format!("kills the member on host {}", self.machines[index].host));
        self.hurt(Some(index), back);
        self.plan(back, Remedy::StartMember(index));
        Ok(())
    }

    fn pause(&mut self, index: usize) -> anyhow::Result<()> {
        let time = match self.rng.u8(..4) {
            0 => self.draw_time(0.1, 0.9),
            _ => self.draw_time(1.2, 2.2),
        };
        self.machines[index].pause()?;
        let host = self.machines[index].host;
        self.say(&format!("stops the member on host {host} for {time:.1?}"));
        // Amid its turn at a file it stops all others.
        self.hurt(Some(index).filter(|_| !self.servers.are_a_file()), time);
        self.plan(time, Remedy::ResumeMember(index));
        Ok(())
    }

    fn terminate(&mut self, index: usize) -> anyhow::Result<()> {
        self.machines[index].terminate()?;
        self.say(&format!(
            "tells the member on host {} to stop",
            self.machines[index].host
        ));
        self.hurt(Some(index), STOP_LIMIT);
        self.plan(STOP_LIMIT, Remedy::MustHaveStopped(index));
        Ok(())
    }

    fn hurt_connections(&mut self, what: &str, how: impl Fn(&crate::proxy::Proxy, Close)) -> anyhow::Result<()> {
        let whole: Vec<usize> = (0..self.machines.len())
            .filter(|index| !self.machines[*index].is_cut)
            .collect();
        let Some(index) = self.draw(&whole) else { return Ok(()) };
        let time = self.draw_time(0.1, 2.0);
        let close = if self.rng.bool() { Close::Reset } else { Close::Finish };
        let machine = &mut self.machines[index];
        machine.proxies.iter().for_each(|proxy| how(proxy, close));
        machine.is_cut = true;
        let host = machine.host;
        self.say(&format!("{what} host {host} for {time:.1?}"));
        self.hurt(Some(index), time);
        self.plan(time, Remedy::HealConnections(index));
        Ok(())
    }

    fn kill_server(&mut self) -> anyhow::Result<()> {
        let Some(index) = self.draw_server() else { return Ok(()) };
        let back = self.draw_time(0.1, 1.5);
        self.servers.kill(index)?;
        self.say(&format!("kills server {index} for {back:.1?}"));
        self.hurt(None, back);
        self.plan(back, Remedy::StartServer(index));
        Ok(())
    }

    fn pause_server(&mut self) -> anyhow::Result<()> {
        let Some(index) = self.draw_server() else { return Ok(()) };
        let time = self.draw_time(0.2, 1.2);
        self.servers.pause(index)?;
        self.say(&format!("stops server {index} for {time:.1?}"));
        self.hurt(None, time);
        self.plan(time, Remedy::ResumeServer(index));
        Ok(())
    }

    fn kill_all_servers(&mut self) -> anyhow::Result<()> {
        let back = self.draw_time(0.05, 1.2);
        for index in self.servers.up() {
            self.servers.kill(index)?;
            self.plan(back, Remedy::StartServer(index));
        }
        self.say(&format!("kills all servers for {back:.1?}"));
        self.hurt(None, back);
        Ok(())
    }

    async fn remedy(&mut self, remedy: Remedy) -> anyhow::Result<()> {
        match remedy {
            Remedy::StartMember(index) if self.machines[index].condition == Condition::Down => {
                self.start_member(index)?;
            }
            Remedy::ResumeMember(index) if self.machines[index].condition == Condition::Paused => {
                self.machines[index].resume()?;
                self.say(&format!("lets the member on host {} go on", self.machines[index].host));
            }
            Remedy::HealConnections(index) => {
                self.machines[index].proxies.iter().for_each(crate::proxy::Proxy::heal);
                self.machines[index].is_cut = false;
                self.say(&format!("heals the connections of host {}", self.machines[index].host));
            }
            Remedy::MustHaveStopped(index) if self.machines[index].condition == Condition::Leaving => {
                let host = self.machines[index].host;
                self.violate(format!("the member on host {host} does not stop"));
                self.machines[index].kill().await?;
                self.start_member(index)?;
            }
            Remedy::StartServer(index) => {
                self.servers.start_again(index)?;
                self.say(&format!("starts server {index}"));
            }
            Remedy::ResumeServer(index) => {
                self.servers.resume(index)?;
                self.say(&format!("lets server {index} go on"));
            }
            // Another fault was quicker.
            Remedy::StartMember(_) | Remedy::ResumeMember(_) | Remedy::MustHaveStopped(_) => {}
        }
        Ok(())
    }

    fn start_member(&mut self, index: usize) -> anyhow::Result<()> {
        self.machines[index].start(&self.cluster, &self.orders)?;
        self.say(&format!("starts a member on host {}", self.machines[index].host));
        Ok(())
    }

    /// Takes note of members that have ended. Those that were to, come back at once.
    fn reap(&mut self) -> anyhow::Result<()> {
        for index in 0..self.machines.len() {
            match self.machines[index].reap()? {
                None => continue,
                Some(Ok(())) => self.say(&format!("sees the member on host {} leave", self.machines[index].host)),
                Some(Err(fault)) => self.violate(fault),
            }
            self.agenda
                .retain(|_, remedy| *remedy != Remedy::MustHaveStopped(index));
            self.plan(Duration::ZERO, Remedy::StartMember(index));
        }
        Ok(())
    }

    /// Records the fault and its member, so that its consequences count as no breach.
    fn hurt(&mut self, machine: Option<usize>, time: Duration) {
        let from = since_boot();
        self.hurts.push(Hurt {
            host: machine.map(|index| self.machines[index].host),
            from,
            until: from + time + AFTERMATH,
        });
    }

    fn plan(&mut self, after: Duration, remedy: Remedy) {
        self.planned += 1;
        self.agenda.insert((Instant::now() + after, self.planned), remedy);
    }

    fn running(&self) -> Vec<usize> {
        let is_running = |index: &usize| self.machines[*index].condition == Condition::Running;
        (0..self.machines.len()).filter(is_running).collect()
    }

    fn draw_running(&mut self) -> Option<usize> {
        let running = self.running();
        self.draw(&running)
    }

    /// A server that is up; half of the time the one that leads. None where that might keep a quorum away for long.
    fn draw_server(&mut self) -> Option<usize> {
        let up = self.servers.up();
        if up.len() <= self.servers.needed() {
            return None;
        }
        let is_leader = self.rng.bool();
        let drawn = self.draw(&up);
        let leader = self.servers.leader().filter(|leader| is_leader && up.contains(leader));
        leader.or(drawn)
    }

    fn draw(&mut self, from: &[usize]) -> Option<usize> {
        (!from.is_empty()).then(|| from[self.rng.usize(..from.len())])
    }

    /// A time between these multiples of the session timeout.
    fn draw_time(&mut self, shortest: f64, longest: f64) -> Duration {
        SESSION_TIMEOUT.mul_f64(shortest + (longest - shortest) * self.rng.f64())
    }
}
