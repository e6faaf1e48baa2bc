//! The budget of a source: its calls wait here in one queue until they may leave.
//!
//! A call waits for a place among those that run, for every rate and quota that applies to it, and for the vendor's own
//! word. There is one queue, not one for each limit, so that nobody holds a place while it waits for a rate, and an
//! urgent call overtakes all others. Calls of an operation with limits of its own don't hold up the rest.
//!
//! Nothing runs behind: one of those that wait watches the clock for all, and passes that on when it leaves.

mod ledger;
mod quota;
mod state;
mod told;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::cache::redis::RedisTier;
use crate::config::rate::Rate;
use crate::telemetry::VENDOR_BUDGET_SHARED;
use crate::transport::budget::ledger::Ledger;
use crate::transport::budget::quota::Quota;
use crate::transport::budget::state::{Group, Marks, Place, Sharing, State};
use crate::transport::budget::told::Told;
use crate::transport::budget::window::Window;
use crate::transport::failure::Failure;
use crate::transport::feedback::Word;
use crate::transport::settings::BudgetSettings;
use crate::transport::terms::Terms;

/// The budget of one source.
#[derive(Debug)]
pub(crate) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Arc<str>,
    queue: usize,
    /// The group of each operation that has limits of its own; all others are of the first.
    groups: BTreeMap<String, usize>,
    rates: Vec<Rate>,
    ledger: Option<Ledger>,
    wall: fn() -> DateTime<Utc>,
    state: Mutex<State>,
    /// Wakes one of those that wait, to watch the clock.
    vacancy: Notify,
    /// Wakes whoever watches the clock, since something changed.
    change: Notify,
}

/// The right to send one call; a place among those that run until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    marks: Marks,
    has_left: bool,
}

/// A call in the queue; it leaves the queue with this value.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    place: Place,
}

/// What whoever waits has to do.
enum Duty {
    /// Nothing but wait.
    Wait,
    /// Watch the clock until then.
    Watch(Option<Instant>),
    /// Borrow permits for a group from what the replicas share.
    Borrow(usize, usize),
}

impl Budget {
    /// Makes one in which nothing runs.
    pub(crate) fn new(
        source: Arc<str>,
        settings: &BudgetSettings,
        wall: fn() -> DateTime<Utc>,
    ) -> Self {
        let now = Instant::now();
        let mut rates: Vec<Rate> = settings.rate.0.clone();
        let common: Vec<usize> = (0..rates.len()).collect();
        let mut groups = vec![Group::new(common.clone())];
        let mut names = BTreeMap::new();
        for (operation, own) in &settings.operations {
            if own.rate.0.is_empty() {
                continue;
            }
            let first = rates.len();
            rates.extend(&own.rate.0);
            let windows = common.iter().copied().chain(first..rates.len());
            names.insert(operation.clone(), groups.len());
            groups.push(Group::new(windows.collect()));
        }
        let windows = rates.iter().map(|rate| Window::new(*rate, now)).collect();
        let places = usize::try_from(settings.concurrency).unwrap_or(1).max(1);
        let told = Told::new(settings.feedback.len());
        let mut state = State::new(places, windows, groups, told);
        state.quota = settings.quota.as_ref().map(Quota::new);
        Self(Arc::new(Shared {
            source,
            queue: usize::try_from(settings.queue).unwrap_or(usize::MAX),
            groups: names,
            rates,
            ledger: None,
            wall,
            state: Mutex::new(state),
            vacancy: Notify::new(),
            change: Notify::new(),
        }))
    }

    /// Counts the limits together with the other replicas of that Redis; before the first call only.
    pub(crate) fn share(&mut self, redis: Arc<RedisTier>) {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.ledger = Some(Ledger::new(&shared.source, redis));
            let state = shared.state.get_mut();
            state.unwrap_or_else(PoisonError::into_inner).sharing = Sharing::Shared;
        }
    }

    /// Whether the limits should be shared with replicas that can't be reached.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self.0.lock().sharing, Sharing::Apart(_))
    }

    /// Waits until the call may leave, and refuses it as soon as that can't be before its deadline.
    pub(crate) async fn enter(&self, operation: &str, terms: &Terms) -> Result<Permit, Failure> {
        let shared = &self.0;
        let group = shared.groups.get(operation).copied().unwrap_or(0);
        let (place, mut verdict) = shared.lock().line_up(group, terms.priority, terms.deadline);
        let waiting = Waiting { shared, place };
        shared.decide();
        match verdict.try_recv() {
            Ok(verdict) => {
                return verdict.map_err(|retry_after| Failure::RateLimited { retry_after });
            }
            Err(_) => waiting.check(terms.deadline)?,
        }
        loop {
            let outcome = match waiting.duty() {
                Duty::Wait => {
                    tokio::select! {
                        biased;
                        verdict = &mut verdict => Some(verdict),
                        () = shared.vacancy.notified() => None,
                        () = sleep_until(terms.deadline) => return Err(waiting.too_late()),
                    }
                }
                Duty::Watch(next) => {
                    let until = next.map_or(terms.deadline, |next| next.min(terms.deadline));
                    tokio::select! {
                        biased;
                        verdict = &mut verdict => Some(verdict),
                        () = shared.change.notified() => None,
                        () = sleep_until(until) => {
                            if until >= terms.deadline {
                                return Err(waiting.too_late());
                            }
                            None
                        }
                    }
                }
                Duty::Borrow(group, count) => {
                    tokio::select! {
                        biased;
                        verdict = &mut verdict => Some(verdict),
                        () = shared.borrow(group, count) => None,
                        () = sleep_until(terms.deadline) => return Err(waiting.too_late()),
                    }
                }
            };
            match outcome {
                Some(Ok(verdict)) => {
                    return verdict.map_err(|retry_after| Failure::RateLimited { retry_after });
                }
                // Nobody forgets a call that waits; were it so, it must not wait for ever.
                Some(Err(_)) => return Err(Failure::Overloaded),
                None => {}
            }
        }
    }

    /// Keeps calls back because the vendor asked for it, here and in the other replicas.
    pub(crate) async fn hold(&self, wait: Duration) {
        let (now, wait) = (Instant::now(), wait.min(told::HOLD_MAX));
        self.0.lock().told.hold(now, wait);
        self.0.dismiss(now);
        if let Some(ledger) = &self.0.ledger {
            ledger.hold(wait).await;
        }
    }

    /// Keeps calls back for a while after a refusal that named no time.
    pub(crate) fn strike(&self) {
        let now = Instant::now();
        self.0.lock().told.strike(now);
        self.0.dismiss(now);
    }

    /// Keeps calls back until the vendor's day is over, or for as long as a refusal without a time does.
    pub(crate) async fn spend_day(&self) {
        let wait = {
            let state = self.0.lock();
            let quota = state.quota.as_ref();
            quota.map(|quota| quota.until_tomorrow((self.0.wall)()))
        };
        match wait {
            Some(wait) => self.hold(wait).await,
            None => self.strike(),
        }
    }

    /// Notes that a call was not refused.
    pub(crate) fn pardon(&self) {
        self.0.lock().told.pardon();
    }

    /// Hears what the vendor says of its limits.
    pub(crate) fn hear(&self, kind: usize, word: Word) {
        let now = Instant::now();
        let mut state = self.0.lock();
        // The call that brought the word still runs.
        let others = u64::try_from(state.running.saturating_sub(1)).unwrap_or(u64::MAX);
        state.told.hear(kind, word, now, others);
        drop(state);
        self.0.dismiss(now);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everybody leave who may.
    fn decide(self: &Arc<Self>) -> (Option<Instant>, Option<(usize, usize)>) {
        let round = self.lock().round(Instant::now(), (self.wall)());
        for (tell, marks) in round.granted {
            let permit = Permit {
                shared: Arc::clone(self),
                marks,
                has_left: false,
            };
            // Whoever gave up meanwhile drops the permit, which gives it back; not under the lock.
            let _ = tell.send(Ok(permit));
        }
        (round.next, round.borrow)
    }

    /// Decides anew after a change, and wakes whoever watches the clock.
    fn changed(self: &Arc<Self>) {
        if self.lock().waiting == 0 {
            return;
        }
        self.decide();
        self.change.notify_one();
    }

    /// Dismisses those that would wait in vain.
    fn dismiss(self: &Arc<Self>, now: Instant) {
        let dismissed = self.lock().dismiss(now, (self.wall)());
        for (tell, wait) in dismissed {
            let _ = tell.send(Err(wait));
        }
        self.change.notify_one();
    }

    /// Borrows permits from what the replicas share.
    async fn borrow(&self, group: usize, count: usize) {
        let Some(ledger) = &self.ledger else {
            return;
        };
        let (rates, quota) = {
            let state = self.lock();
            let windows = state.groups.get(group).map(|group| &group.windows);
            let windows = windows.into_iter().flatten();
            let rates: Vec<(usize, Rate)> = windows
                .filter_map(|index| Some((*index, *self.rates.get(*index)?)))
                .collect();
            let now = (self.wall)();
            let quota = state.quota.as_ref();
            let quota =
                quota.map(|quota| (quota.day(now), quota.calls(), quota.until_tomorrow(now)));
            (rates, quota)
        };
        let asked = Instant::now();
        let lease = ledger.borrow(&rates, quota, count).await;
        let mut state = self.lock();
        match lease {
            Some(lease) => {
                state.sharing = Sharing::Shared;
                state.replicas = lease.replicas.max(1);
                let until = asked + ledger::lent_for(&rates);
                state.lend(group, lease.granted, until, Instant::now() + lease.wait);
            }
            None => state.part(Instant::now()),
        }
        let is_shared = state.sharing == Sharing::Shared;
        drop(state);
        gauge!(VENDOR_BUDGET_SHARED, "source" => self.source.clone())
            .set(f64::from(u8::from(is_shared)));
    }
}

impl Waiting<'_> {
    /// What is to be done now; whoever comes when nobody watches the clock does.
    fn duty(&self) -> Duty {
        {
            let mut state = self.shared.lock();
            if *state.driver.get_or_insert(self.place.ticket) != self.place.ticket {
                return Duty::Wait;
            }
        }
        match self.shared.decide() {
            (_, Some((group, count))) => Duty::Borrow(group, count),
            (next, None) => Duty::Watch(next),
        }
    }

    /// Refuses a call that finds the queue full, or that would wait in vain.
    fn check(&self, deadline: Instant) -> Result<(), Failure> {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.waiting > self.shared.queue {
            return Err(Failure::Overloaded);
        }
        let at = state.earliest(self.place, now, (self.shared.wall)());
        if at > deadline {
            let retry_after = at - now;
            return Err(Failure::RateLimited { retry_after });
        }
        Ok(())
    }

    /// Why a call was still waiting at its deadline.
    fn too_late(&self) -> Failure {
        let now = Instant::now();
        let mut state = self.shared.lock();
        let at = state.earliest(self.place, now, (self.shared.wall)());
        if at > now {
            let retry_after = at - now;
            return Failure::RateLimited { retry_after };
        }
        Failure::DeadlineExceeded
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.step_out(self.place);
        if state.driver == Some(self.place.ticket) {
            state.driver = None;
            drop(state);
            self.shared.vacancy.notify_one();
        }
    }
}

impl Permit {
    /// Notes that the call leaves now.
    pub(crate) fn leave(&mut self) {
        self.has_left = true;
        let now = Instant::now();
        let mut state = self.shared.lock();
        for (index, grain) in &mut self.marks {
            if let Some(window) = state.windows.get_mut(*index) {
                window.unmark(*grain);
                *grain = window.mark(window.latest_arrival(now));
            }
        }
    }

    /// Notes that the vendor has begun to answer, so that the call has arrived.
    pub(crate) fn arrived(&mut self) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        for (index, grain) in &mut self.marks {
            if let Some(window) = state.windows.get_mut(*index) {
                let arrived = window.mark(now);
                // Of the two moments the earlier one counts.
                let (counts, other) = (arrived.min(*grain), arrived.max(*grain));
                window.unmark(other);
                *grain = counts;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.running -= 1;
        if !self.has_left {
            state.uncount(&self.marks);
        }
        drop(state);
        self.shared.changed();
    }
}
