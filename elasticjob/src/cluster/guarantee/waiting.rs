//! Waiting at a gathering: registering, following who comes, and contending for the right to call the hook.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::cluster::latch;
use crate::cluster::layout::{Moment, Node};
use crate::registry::{Error, Read, Watch, WatchEvent};

use super::roster::{Question, Roster};
use super::seen::{self, Seen};
use super::{Failed, Gathered, Gathering, REFUSED_PAUSE, REFUSED_PAUSE_LIMIT, Turn};

/// After so long without a word it is looked again; the pause doubles, up to
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// this.
const LOOK_AGAIN_LIMIT: Duration = Duration::from_secs(10);

/// Whoever came last sees to the hook, unless it is a Java member that waits for items that nobody runs: then others do,
/// after so long.
const ABSENT_PAUSE: Duration = Duration::from_millis(100);

/// Most items that are looked at to find one that is still to come.
const ASKED_AT_ONCE: usize = 100;

/// An instance at a gathering.
pub(super) struct Waiting<'a> {
    gathering: &'a Gathering,
    listener: &'a str,
    began: Instant,
    deadline: Instant,
    watch: Option<Box<dyn Watch>>,
    is_registered: bool,
    /// We have just come: if all are here now, it is for us to see to the hook at once, and for the others if we do not.
    is_newest: bool,
    /// Until it is looked again, where no event comes.
    pause: Duration,
    /// Until what was refused is tried again.
    refused_pause: Duration,
    seen: Seen,
}

/// What may be said while waiting.
enum Word {
    Event,
    /// What is known has to be read anew.
    LookAgain,
    /// Others are not to be waited for any more.
    Leave,
}

impl<'a> Waiting<'a> {
    pub(super) async fn at(gathering: &'a Gathering, listener: &'a str, deadline: Instant) -> Self {
        Self {
            gathering,
            listener,
            began: Instant::now(),
            deadline,
            // Another gathering of this session may have it: then it is looked from time to time.
            watch: gathering.membership.session().watch(&gathering.root()).await.ok(),
            is_registered: false,
            is_newest: false,
            pause: LOOK_AGAIN,
            refused_pause: REFUSED_PAUSE,
            seen: Seen::default(),
        }
    }

    /// Waits as [`Gathering::wait`] does; what was registered stays where it failed.
    pub(super) async fn wait(&mut self) -> Result<Gathered, Failed> {
        loop {
            if !self.look().await? {
                continue;
            }
            if self.is_called() {
                self.gathering.withdraw().await;
                return Ok(Gathered::Called);
            }
            if self.is_gone() {
                return Ok(Gathered::Called);
            }
            if !self.is_registered && !self.register().await? {
                continue;
            }
            if let Some(gathered) = self.follow().await? {
                return Ok(gathered);
            }
        }
    }

    /// Follows the gathering from what was seen; `None` where it has to be read anew.
    async fn follow(&mut self) -> Result<Option<Gathered>, Failed> {
        let mut has_news = false;
        loop {
            if self.is_gone() {
                return Ok(Some(Gathered::Called));
            }
            let missing = self.missing();
            if std::mem::take(&mut self.is_newest) && missing.is_empty() {
                return self.contend().await;
            }
            if std::mem::take(&mut has_news) {
                self.pause = self.pause_after_news(&missing);
            }
            let was_contended = !self.seen.contenders.is_empty();
            let word = self.word().await?;
            // Whoever was about to call the hook has gone without having done so.
            let is_abandoned = was_contended && self.seen.contenders.is_empty() && !self.is_gone();
            match word {
                Word::Event if is_abandoned => self.is_newest = true,
                Word::Event => has_news = true,
                Word::LookAgain if self.is_in_time() => {
                    if self.seen.contenders.is_empty() && self.awaited(&missing).await?.is_empty() {
                        return self.contend().await;
                    }
                    return Ok(None);
                }
                Word::LookAgain => return Err(Failed::Late(missing)),
                Word::Leave => return Ok(Some(Gathered::Left)),
            }
        }
    }

    /// Whether our items were there and are not any more: the hook was called, or a Java member gave up.
    fn is_gone(&self) -> bool {
        self.is_registered && !self.gathering.items.is_subset(&self.seen.registered)
    }

    fn is_called(&self) -> bool {
        let Gathering { moment, firing, .. } = self.gathering;
        self.seen.called.has(self.listener, *moment, firing)
    }

    fn is_in_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    fn pause_after_news(&self, missing: &[u32]) -> Duration {
        let lacks_absent = self.seen.registered.len() < self.gathering.total as usize;
        match missing.is_empty() && lacks_absent {
            true => ABSENT_PAUSE,
            // Others are coming: those who are not going to will soon be all that is missing.
            false => LOOK_AGAIN,
        }
    }

    fn missing(&self) -> Vec<u32> {
        let is_here = |item: &u32| self.seen.registered.contains(item) || self.gathering.absent.contains(item);
        (0..self.gathering.total).filter(|item| !is_here(item)).collect()
    }

    /// Reads the gathering; `false` where that failed for now.
    async fn look(&mut self) -> Result<bool, Failed> {
        let result = self.gathering.look().await;
        match result {
            Ok(seen) => {
                self.seen = seen;
                self.drain();
                Ok(true)
            }
            Err(error) => {
                self.not_done(&error).await?;
                Ok(false)
            }
        }
    }

    /// Waits for what has to be so before something is tried again.
    async fn not_done(&mut self, error: &Error) -> Result<(), Failed> {
        debug!(job = &*self.gathering.job, %error, "barrier transaction refused, reading it again");
        if error.is_session_lost() {
            return Err(Failed::SessionLost);
        }
        let pause = self.refused_pause;
        self.refused_pause = (pause * 2).min(REFUSED_PAUSE_LIMIT);
        let again = async {
            self.gathering.connected().await?;
            sleep(pause).await;
            Ok(())
        };
        match timeout_at(self.deadline, again).await {
            Ok(result) => result,
            Err(_) => Err(Failed::Late(self.missing())),
        }
    }

    /// Registers our items; `false` where it has to be looked first.
    async fn register(&mut self) -> Result<bool, Failed> {
        let Gathering { job, moment, items, .. } = self.gathering;
        let items: Vec<u32> = items.iter().copied().collect();
        let steps = self.seen.register(job, *moment, &items);
        match self.gathering.write(steps).await {
            Ok(()) => {
                self.is_registered = true;
                self.is_newest = true;
                self.seen.registered.extend(items);
                // What ended the gathering before we heard that we are in it comes as an event.
                self.drain();
                Ok(self.watch.is_some())
            }
            Err(error) => {
                self.not_done(&error).await?;
                Ok(false)
            }
        }
    }

    /// Takes in the events that have come.
    fn drain(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while let Some(watch) = &mut self.watch
            && let Poll::Ready(event) = watch.poll_next(&mut context)
        {
            if matches!(event, WatchEvent::Resync | WatchEvent::Closed) {
                // What was read came after it; and the end of the session comes out at the next request.
                if event == WatchEvent::Closed {
                    self.watch = None;
                }
                continue;
            }
            self.note(&event);
        }
    }

    fn note(&mut self, event: &WatchEvent) {
        self.seen.note(&self.gathering.job, self.gathering.moment, event);
    }

    /// Waits for an event, for as long as it is worth to.
    async fn word(&mut self) -> Result<Word, Failed> {
        let until = (Instant::now() + self.pause).min(self.deadline);
        let watch = &mut self.watch;
        let next = poll_fn(|cx| match watch {
            Some(watch) => watch.poll_next(cx),
            None => Poll::Pending,
        });
        let Gathering { moment, leaving, .. } = self.gathering;
        let event = tokio::select! {
            biased;
            event = next => Some(event),
            () = leaving.cancelled(), if *moment == Moment::Completed => return Ok(Word::Leave),
            () = sleep_until(until) => None,
        };
        match event {
            Some(WatchEvent::Closed) => Err(Failed::SessionLost),
            Some(WatchEvent::Resync) => Ok(Word::LookAgain),
            Some(event) => {
                self.note(&event);
                Ok(Word::Event)
            }
            None => {
                self.pause = (self.pause * 2).min(LOOK_AGAIN_LIMIT);
                Ok(Word::LookAgain)
            }
        }
    }

    /// Which of the missing items are still to come; some of them, where they are many.
    async fn awaited(&mut self, missing: &[u32]) -> Result<Vec<u32>, Failed> {
        let Gathering {
            job,
            moment,
            firing,
            is_takeover,
            membership,
            clock,
            ..
        } = self.gathering;
        let question = Question {
            moment: *moment,
            firing,
            is_takeover: *is_takeover,
            waited: self.began.elapsed(),
            now: clock.now(),
        };
        for items in missing.chunks(ASKED_AT_ONCE) {
            let answers = async {
                let mut roster = Roster::of(items, membership.read(Roster::reads(job, items)).await?);
                let servers = roster.servers();
                let switches = servers.iter().map(|server| Read::Data(Node::Server(server).of(job)));
                let switches: Vec<Read> = switches.collect();
                if !switches.is_empty() {
                    roster.switched(membership.read(switches).await?);
                }
                Ok::<_, Error>(roster)
            };
            match answers.await {
                Ok(roster) => {
                    let to_come = roster.to_come(&question);
                    if !to_come.is_empty() {
                        return Ok(to_come);
                    }
                }
                Err(error) => {
                    self.not_done(&error).await?;
                    return Ok(items.to_vec());
                }
            }
        }
        Ok(Vec::new())
    }

    /// Contends for the right to call the hook; `None` where it has to be looked first.
    async fn contend(&mut self) -> Result<Option<Gathered>, Failed> {
        let gathering = self.gathering;
        let alone = timeout_at(self.deadline, Arc::clone(&gathering.contending).lock_owned()).await;
        let Ok(alone) = alone else {
            return Err(Failed::Late(Vec::new()));
        };
        if !self.look().await? {
            return Ok(None);
        }
        if self.is_gone() || self.is_called() {
            return Ok(None);
        }
        let name = latch::contender(gathering.membership.latch());
        let steps = self
            .seen
            .contend(&gathering.job, gathering.moment, &gathering.own(&self.seen), &name);
        if let Err(error) = gathering.write(steps).await {
            self.not_done(&error).await?;
            self.is_newest = true;
            return Ok(None);
        }
        loop {
            if !self.look().await? {
                continue;
            }
            if self.is_gone() || self.is_called() {
                self.leave().await;
                return Ok(None);
            }
            let standing = latch::standing(&self.seen.contenders, gathering.membership.latch());
            if standing.own.is_empty() {
                return Ok(None);
            }
            if standing.is_first {
                return Ok(Some(Gathered::Ours(Turn {
                    gathering: gathering.clone(),
                    listener: self.listener.to_owned(),
                    _alone: alone,
                })));
            }
            if !self.is_in_time() {
                return Err(Failed::Late(Vec::new()));
            }
            if let Word::Leave = self.word().await? {
                self.leave().await;
                return Ok(Some(Gathered::Left));
            }
        }
    }

    /// Leaves the contenders.
    async fn leave(&mut self) {
        let gathering = self.gathering;
        let steps = |seen: &Seen| seen::leave(&gathering.job, gathering.moment, &gathering.own(seen));
        gathering.persist(gathering.look(), steps).await;
    }
}
