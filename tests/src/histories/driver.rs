//! Plays a scenario on a registry, and writes down what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use elasticjob::registry::{
    Answer, BoxFuture, CreateMode, Error, Read, Session, SessionState, Step, Watch, WatchEvent, WriteError, Written,
};
use futures_util::future::{Either, join_all, select};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::history::{
    CallNumber, History, Nodes, Record, Request, Response, SessionNumber, job_of, marker, sign_of_life,
};
use super::scenario::{Ask, Planned, Scenario, Turn};
use super::subject::{Client, Effect, Namespace};
use crate::nodes::{create, ready};

/// No call and no event takes longer, on a busy machine with a server that restarts.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session that lives no longer than that is over after a fault that lasts. If not, the fault has hit a writer amid its turn, and all
/// others wait for it.
const LASTING: u32 = 4;

/// A process is killed after so many steps of others for each unit of the fault's number: before, amid and after its work.
const PACE: usize = 4;

/// Plays a scenario.
///
/// # Errors
/// If the registry cannot be used at all.
pub async fn play(scenario: &Scenario, namespace: Namespace) -> anyhow::Result<History> {
    let Namespace {
        observer,
        clients,
        keep,
    } = namespace;
    let (deleted, deletions) = watch::channel(BTreeSet::new());
    let stage = Stage {
        jobs: scenario.jobs.clone(),
        book: Mutex::default(),
        deletions,
    };
    let mut observer = Party::new(&stage, timeout(PATIENCE, observer.connect()).await??);
    prepare(&*observer.session, scenario).await?;
    let before = nodes(&observer.session, &scenario.jobs).await?;
    for job in &scenario.jobs {
        observer.watch(&format!("/{job}")).await;
    }
    let performers = clients.into_iter().zip(&scenario.clients).map(async |(client, turns)| {
        let mut performer = Performer {
            stage: &stage,
            client,
            party: None,
        };
        performer.play(turns).await?;
        Ok::<_, anyhow::Error>(performer)
    });
    let all = Box::pin(join_all(performers));
    let watching = Box::pin(observer.follow(&deleted));
    let performers = match select(all, watching).await {
        Either::Left((performers, _)) => performers,
        Either::Right(((), _)) => bail!("the observer's session is over"),
    };
    let mut performers = performers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    observer.outlive_the_dead(&deleted).await?;
    for performer in &mut performers {
        performer.finish().await?;
    }
    observer.outlive_the_dead(&deleted).await?;
    for performer in &mut performers {
        performer.see_all().await;
    }
    let after = observer.last_nodes().await?;
    let book = std::mem::take(&mut *stage.book());
    drop((performers, observer, keep));
    Ok(History {
        records: book.records,
        jobs: scenario.jobs.clone(),
        observer: SessionNumber(0),
        before,
        after,
    })
}

/// Creates what is there from the start.
async fn prepare(session: &dyn Session, scenario: &Scenario) -> anyhow::Result<()> {
    for job in &scenario.jobs {
        let parents = ["", "/log", "/live", "/x", "/x/y", "/u"].map(|name| create(&format!("/{job}{name}")));
        let once = scenario
            .nodes()
            .into_iter()
            .filter(|path| job_of(path) == job)
            .map(create);
        timeout(
            PATIENCE,
            session.write(parents.into_iter().chain(once).flatten().collect()),
        )
        .await??;
    }
    Ok(())
}

/// Reads all nodes of the jobs.
async fn nodes(session: &Arc<dyn Session>, jobs: &[String]) -> anyhow::Result<Nodes> {
    let mut nodes = Nodes::new();
    let mut level: Vec<String> = jobs.iter().map(|job| format!("/{job}")).collect();
    while !level.is_empty() {
        let data = level.iter().cloned().map(Read::Data).collect();
        let children = level.iter().cloned().map(Read::Children).collect();
        let data = timeout(PATIENCE, session.read(data)).await??;
        let children = timeout(PATIENCE, session.read(children)).await??;
        let mut next = Vec::new();
        for ((path, data), children) in level.into_iter().zip(data).zip(children) {
            if let Answer::Children(Some(names)) = children {
                next.extend(names.iter().map(|name| format!("{path}/{name}")));
            }
            if let Answer::Data(Some(node)) = data {
                nodes.insert(path, node);
            }
        }
        level = next;
    }
    Ok(nodes)
}

/// What all parties share.
struct Stage {
    jobs: Vec<String>,
    // std mutex: held for a record.
    book: Mutex<Book>,
    /// The signs of life that the observer saw go.
    deletions: watch::Receiver<BTreeSet<String>>,
}

#[derive(Default)]
struct Book {
    records: Vec<Record>,
    calls: usize,
    sessions: usize,
}

impl Stage {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, record: Record) {
        self.book().records.push(record);
    }
}

/// A session and its watches.
struct Party<'a> {
    stage: &'a Stage,
    number: SessionNumber,
    session: Arc<dyn Session>,
    watches: Vec<(CallNumber, String, Box<dyn Watch>)>,
    /// The versions that were seen last.
    versions: BTreeMap<String, i32>,
    /// What to read once the session is connected again.
    unsettled: Vec<Read>,
    /// Whether an answer said that the session is over.
    is_over: bool,
}

/// A request on its way.
enum Asked {
    Write(BoxFuture<'static, Result<Vec<Written>, WriteError>>),
    Read(BoxFuture<'static, Result<Vec<Answer>, Error>>),
    Sync(BoxFuture<'static, Result<(), Error>>),
}

impl<'a> Party<'a> {
    fn new(stage: &'a Stage, session: Arc<dyn Session>) -> Self {
        let mut book = stage.book();
        let number = SessionNumber(book.sessions);
        book.sessions += 1;
        book.records.push(Record::Opened {
            session: number,
            id: session.id(),
        });
        drop(book);
        Self {
            stage,
            number,
            session,
            watches: Vec::new(),
            versions: BTreeMap::new(),
            unsettled: Vec::new(),
            is_over: false,
        }
    }

    /// Records a call. What is to be asked may depend on its number.
    fn call<T>(&self, request: impl FnOnce(CallNumber) -> (Request, T)) -> (CallNumber, T) {
        let mut book = self.stage.book();
        let call = CallNumber(book.calls);
        book.calls += 1;
        let (request, rest) = request(call);
        book.records.push(Record::Called {
            call,
            session: self.number,
            request,
        });
        (call, rest)
    }

    /// Sends a request.
    fn ask(&self, ask: &Ask) -> (CallNumber, Asked) {
        let write = |steps: Vec<Step>| {
            let (call, ()) = self.call(|_| (Request::Write(steps.clone()), ()));
            (call, Asked::Write(self.session.write(steps)))
        };
        match ask {
            Ask::Write(planned) => {
                let (call, steps) = self.call(|call| {
                    let steps = self.marked(planned, call);
                    (Request::Write(steps.clone()), steps)
                });
                (call, Asked::Write(self.session.write(steps)))
            }
            Ask::Once(step) => write(vec![step.clone()]),
            Ask::Look(planned) => write(planned.iter().map(|planned| self.step(planned)).collect()),
            Ask::Read(reads) => {
                let (call, ()) = self.call(|_| (Request::Read(reads.clone()), ()));
                (call, Asked::Read(self.session.read_at_once(reads.clone())))
            }
            Ask::Sync => {
                let (call, ()) = self.call(|_| (Request::Sync, ()));
                (call, Asked::Sync(self.session.sync()))
            }
        }
    }

    /// Returns the steps as they are asked for, behind a marker in each job.
    fn marked(&self, planned: &[Planned], call: CallNumber) -> Vec<Step> {
        let jobs: BTreeSet<&str> = planned.iter().map(|planned| job_of(planned.step.path())).collect();
        let markers = jobs.into_iter().flat_map(|job| create(&marker(job, call)));
        markers
            .chain(planned.iter().map(|planned| self.step(planned)))
            .collect()
    }

    fn step(&self, planned: &Planned) -> Step {
        let mut step = planned.step.clone();
        let known = self.versions.get(step.path()).copied();
        if planned.at_known_version
            && let Step::Set { version, .. } | Step::Delete { version, .. } | Step::Check { version, .. } = &mut step
        {
            *version = known.or(Some(0));
        }
        step
    }

    /// Waits for an answer, and takes the events that are there with it.
    async fn answer(&mut self, (call, asked): (CallNumber, Asked)) {
        let answered = timeout(PATIENCE, async {
            match asked {
                Asked::Write(answer) => Response::Written(answer.await),
                Asked::Read(answer) => Response::Read(answer.await),
                Asked::Sync(answer) => Response::Synced(answer.await),
            }
        });
        let Ok(response) = answered.await else {
            self.stage.record(Record::Unanswered { call });
            self.is_over = true;
            return;
        };
        self.drain();
        self.learn(call, &response);
        self.stage.record(Record::Answered { call, response });
    }

    /// Remembers versions, and what has to be looked at again.
    fn learn(&mut self, call: CallNumber, response: &Response) {
        let error = match response {
            Response::Written(Err(error)) => Some(&error.error),
            Response::Read(Err(error)) | Response::Synced(Err(error)) | Response::Watching(Err(error)) => Some(error),
            _ => None,
        };
        self.is_over |= error == Some(&Error::SessionExpired);
        if error == Some(&Error::ConnectionLoss) {
            let markers = self.stage.jobs.iter().map(|job| Read::Data(marker(job, call)));
            self.unsettled.extend(markers);
        }
        let book = self.stage.book();
        let request = book.records.iter().rev().find_map(|record| match record {
            Record::Called { call: of, request, .. } if *of == call => Some(request),
            _ => None,
        });
        match (request, response) {
            (Some(Request::Write(steps)), Response::Written(Ok(answers))) => {
                for (step, answer) in steps.iter().zip(answers) {
                    if let Written::Set(stat) = answer {
                        self.versions.insert(step.path().to_owned(), stat.version);
                    }
                }
            }
            (Some(Request::Read(reads)), Response::Read(Ok(answers))) => {
                for (read, answer) in reads.iter().zip(answers) {
                    if let (Read::Data(path), Answer::Data(Some((_, stat)))) = (read, answer) {
                        self.versions.insert(path.clone(), stat.version);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes all events that are there.
    fn drain(&mut self) {
        for (call, _, watch) in &mut self.watches {
            // After its end a watch has no other event.
            while let Some(event) = ready(watch) {
                let is_end = event == WatchEvent::Closed;
                self.stage.record(Record::Event { watch: *call, event });
                if is_end {
                    break;
                }
            }
        }
    }

    /// Begins a watch.
    async fn watch(&mut self, path: &str) {
        if self.watches.iter().any(|(_, watched, _)| watched == path) {
            return;
        }
        let (call, ()) = self.call(|_| (Request::Watch(path.to_owned()), ()));
        let Ok(result) = timeout(PATIENCE, self.session.watch(path)).await else {
            self.stage.record(Record::Unanswered { call });
            return;
        };
        self.drain();
        let (response, watch) = match result {
            Ok(watch) => (Ok(()), Some((call, path.to_owned(), watch))),
            Err(error) => (Err(error), None),
        };
        let response = Response::Watching(response);
        self.learn(call, &response);
        self.stage.record(Record::Answered { call, response });
        self.watches.extend(watch);
    }

    /// Reads all nodes, after all events that made them. A session may still end meanwhile, on a busy machine.
    async fn last_nodes(&mut self) -> anyhow::Result<Nodes> {
        loop {
            timeout(PATIENCE, self.session.sync()).await??;
            self.drain();
            let count = self.stage.book().records.len();
            let nodes = nodes(&self.session, &self.stage.jobs).await?;
            timeout(PATIENCE, self.session.sync()).await??;
            self.drain();
            if self.stage.book().records.len() == count {
                return Ok(nodes);
            }
        }
    }

    /// Follows all watches, and says which signs of life have gone. Ends with the session.
    async fn follow(&mut self, deleted: &watch::Sender<BTreeSet<String>>) {
        loop {
            let event = poll_fn(|cx| {
                let mut ready = self
                    .watches
                    .iter_mut()
                    .filter_map(|(call, _, watch)| match watch.poll_next(cx) {
                        std::task::Poll::Ready(event) => Some((*call, event)),
                        std::task::Poll::Pending => None,
                    });
                ready.next().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
            });
            let (watch, event) = event.await;
            self.stage.record(Record::Event {
                watch,
                event: event.clone(),
            });
            match event {
                WatchEvent::Deleted(path) if path.contains("/live/") => deleted.send_modify(|paths| {
                    paths.insert(path);
                }),
                // What has gone meanwhile is not known: those that wait look again.
                WatchEvent::Resync => deleted.send_modify(|_| {}),
                WatchEvent::Closed => return,
                _ => {}
            }
        }
    }

    /// Waits until there is no ephemeral node of a session that is over.
    async fn outlive_the_dead(&mut self, deleted: &watch::Sender<BTreeSet<String>>) -> anyhow::Result<()> {
        let (session, jobs) = (Arc::clone(&self.session), self.stage.jobs.clone());
        let over: BTreeSet<String> = {
            let book = self.stage.book();
            let over = book.records.iter().filter_map(|record| match record {
                Record::Ended { session } => Some(*session),
                _ => None,
            });
            over.flat_map(|session| jobs.iter().map(move |job| sign_of_life(job, session)))
                .collect()
        };
        let look = async || -> anyhow::Result<Option<String>> {
            session.sync().await?;
            let signs = over.iter().cloned().map(Read::Data).collect();
            let answers = session.read(signs).await?;
            let there = over
                .iter()
                .zip(answers)
                .find(|(_, answer)| matches!(answer, Answer::Data(Some(_))));
            Ok(there.map(|(path, _)| path.clone()))
        };
        let (stage, mut changes) = (self.stage, deleted.subscribe());
        let wait = async {
            while look().await?.is_some() {
                changes.changed().await.context("the observer is gone")?;
            }
            Ok::<_, anyhow::Error>(())
        };
        let following = Box::pin(self.follow(deleted));
        match timeout(PATIENCE, select(Box::pin(wait), following)).await {
            Ok(Either::Left((result, _))) => result,
            Ok(Either::Right(_)) => bail!("the observer's session is over"),
            Err(_) => {
                if let Some(path) = look().await? {
                    stage.record(Record::Remains { path });
                }
                Ok(())
            }
        }
    }

    /// Waits for the end of each watch.
    async fn end(mut self, is_killed: bool) {
        if !is_killed {
            for (call, _, watch) in &mut self.watches {
                let (call, stage) = (*call, self.stage);
                let closed = timeout(PATIENCE, async {
                    loop {
                        let event = poll_fn(|cx| watch.poll_next(cx)).await;
                        stage.record(Record::Event {
                            watch: call,
                            event: event.clone(),
                        });
                        if event == WatchEvent::Closed {
                            break;
                        }
                    }
                });
                if closed.await.is_err() {
                    stage.record(Record::Open { watch: call });
                }
            }
        }
        self.stage.record(Record::Ended { session: self.number });
    }
}

/// A client and its session, if it has one.
struct Performer<'a> {
    stage: &'a Stage,
    client: Box<dyn Client>,
    party: Option<Party<'a>>,
}

impl<'a> Performer<'a> {
    async fn play(&mut self, turns: &[Turn]) -> anyhow::Result<()> {
        for turn in turns {
            self.open().await?;
            match turn {
                Turn::Ask(asks) => self.ask(asks).await,
                Turn::Hurt {
                    fault,
                    is_lasting,
                    asks,
                } => self.hurt(*fault, *is_lasting, asks).await,
                Turn::Watch(path) => self.party().watch(path).await,
                Turn::Unwatch(number) => self.unwatch(*number),
                Turn::Close => self.close().await,
            }
            self.settle().await?;
        }
        Ok(())
    }

    fn party(&mut self) -> &mut Party<'a> {
        self.party.as_mut().expect("a session is opened before each turn")
    }

    /// Opens a session if there is none, and lets it show that it lives.
    async fn open(&mut self) -> anyhow::Result<()> {
        while self.party.is_none() {
            let deadline = Instant::now() + PATIENCE;
            let session = loop {
                match self.client.registry().connect().await {
                    Err(Error::Unreachable(_)) if Instant::now() < deadline => tokio::task::yield_now().await,
                    session => break session.context("no session can be opened")?,
                }
            };
            let party = Party::new(self.stage, session);
            let sign = |job: &String| Planned {
                step: Step::Create {
                    path: sign_of_life(job, party.number),
                    data: Vec::new(),
                    mode: CreateMode::Ephemeral,
                },
                at_known_version: false,
            };
            let signs = Ask::Write(self.stage.jobs.iter().map(sign).collect());
            self.party = Some(party);
            self.ask(&[signs]).await;
            self.settle().await?;
        }
        Ok(())
    }

    async fn ask(&mut self, asks: &[Ask]) {
        let party = self.party();
        let asked: Vec<_> = asks.iter().map(|ask| party.ask(ask)).collect();
        for asked in asked {
            party.answer(asked).await;
        }
    }

    /// Asks while something is done to the client.
    async fn hurt(&mut self, number: usize, is_lasting: bool, asks: &[Ask]) {
        let faults = self.client.faults();
        let fault = faults[number % faults.len()];
        let sign = sign_of_life(&self.stage.jobs[0], self.party().number);
        let patience = self.party().session.timeout().min(PATIENCE) * LASTING;
        let party = self.party.as_mut().expect("a session is opened before each turn");
        let ask = || asks.iter().map(|ask| party.ask(ask)).collect::<Vec<_>>();
        let mut asked = if fault.effect() == Effect::Kills {
            // A process dies amid its work.
            let asked = ask();
            for _ in 0..number * PACE {
                tokio::task::yield_now().await;
            }
            self.client.hurt(fault);
            asked
        } else {
            self.client.hurt(fault);
            ask()
        };
        match fault.effect() {
            Effect::Disconnects => {
                let mut state = party.session.state();
                // If it does not notice, its calls are not answered, which is found out below.
                let _ = timeout(PATIENCE, state.wait_for(|state| *state != SessionState::Connected)).await;
            }
            Effect::None => {
                for asked in asked.drain(..) {
                    party.answer(asked).await;
                }
            }
            Effect::Stops | Effect::Kills => {}
        }
        if is_lasting && fault.effect() != Effect::None {
            let mut deletions = self.stage.deletions.clone();
            let _ = timeout(patience, deletions.wait_for(|paths| paths.contains(&sign))).await;
        }
        self.client.heal();
        let party = self.party();
        for asked in asked {
            party.answer(asked).await;
        }
        if fault.effect() == Effect::Kills
            && let Some(party) = self.party.take()
        {
            party.end(true).await;
        }
    }

    fn unwatch(&mut self, number: usize) {
        let party = self.party();
        if !party.watches.is_empty() {
            party.drain();
            let (watch, ..) = party.watches.remove(number % party.watches.len());
            party.stage.record(Record::Unwatched { watch });
        }
    }

    async fn close(&mut self) {
        let Some(party) = self.party.take() else { return };
        let is_calm = *party.session.state().borrow() == SessionState::Connected;
        party.stage.record(Record::Closing {
            session: party.number,
            is_calm,
        });
        if timeout(PATIENCE, party.session.close()).await.is_err() {
            party.stage.record(Record::Remains {
                path: format!("{}, which is closed", party.number),
            });
        }
        party.end(false).await;
    }

    /// After unknown outcomes, waits for the session to be connected or over, and looks at what has happened.
    async fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(party) = &mut self.party {
            let is_lost = *party.session.state().borrow() == SessionState::Lost;
            if !is_lost && !party.is_over && party.unsettled.is_empty() {
                return Ok(());
            }
            let (mut state, is_over) = (party.session.state(), party.is_over);
            let is_settled = |state: &SessionState| match state {
                SessionState::Connected => !is_over,
                SessionState::Suspended => false,
                SessionState::Lost => true,
            };
            let state = timeout(PATIENCE, state.wait_for(is_settled))
                .await
                .map(|state| state.map(|state| *state));
            match state {
                Ok(Ok(SessionState::Connected)) => {
                    party.stage.record(Record::Reconnected { session: party.number });
                    let reads = std::mem::take(&mut party.unsettled);
                    self.ask(&[Ask::Sync, Ask::Read(reads)]).await;
                }
                Ok(_) => {
                    let party = self.party.take().context("there is a session")?;
                    party.end(false).await;
                }
                Err(_) => bail!("{} is neither connected nor lost", party.number),
            }
        }
        Ok(())
    }

    /// Has the session see all that was acknowledged, or ends it.
    async fn finish(&mut self) -> anyhow::Result<()> {
        if self.party.is_some() {
            self.ask(&[Ask::Sync]).await;
            self.settle().await?;
        }
        Ok(())
    }

    /// Takes the last events.
    async fn see_all(&mut self) {
        if self.party.is_some() {
            self.ask(&[Ask::Sync]).await;
        }
    }
}
