//! Who may leave next: pure decisions, told the time and asked by `Budget`.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::transport::budget::Permit;
use crate::transport::budget::quota::Quota;
use crate::transport::budget::told::Told;
use crate::transport::budget::window::Window;
use crate::transport::terms::Priority;

/// After so many interactive calls in a row a background call that waits goes first: at least one of ten.
const STREAK_MAX: u32 = 9;
/// How many permits are borrowed from the other replicas at once.
const BORROW_MAX: usize = 64;
/// How long a source's limits are kept to alone before the other replicas are sought again.
const APART: Duration = Duration::from_secs(1);

/// Where a call is counted: windows, and the grain of each.
pub(crate) type Marks = SmallVec<[(usize, u64); 4]>;

/// What a call that waits is told: to go, or that it would wait in vain for that long.
pub(crate) type Verdict = Result<Permit, Duration>;

/// All that the calls of a source share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) places: usize,
    pub(crate) running: usize,
    pub(crate) windows: Vec<Window>,
    pub(crate) quota: Option<Quota>,
    pub(crate) told: Told,
    pub(crate) groups: Vec<Group>,
    pub(crate) sharing: Sharing,
    /// How many replicas there were when last heard of.
    pub(crate) replicas: u32,
    pub(crate) waiting: usize,
    /// Whoever watches the clock for all that wait.
    pub(crate) driver: Option<u64>,
    tickets: u64,
    streak: u32,
}

/// Calls under the same limits: those of one operation that has its own, or all others.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The windows that its calls count in.
    pub(crate) windows: Vec<usize>,
    /// Those that wait, interactive ones and those of the background.
    lanes: [VecDeque<Waiter>; 2],
    /// Permits borrowed from the replicas' common limit, and until when they hold.
    lent: Option<(u32, Instant)>,
    /// When to ask for permits again.
    ask_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    deadline: Instant,
    tell: oneshot::Sender<Verdict>,
}

/// Whether the limits are those of this process, shared with other replicas, or its share of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// There are no other replicas.
    Alone,
    /// They are counted in common.
    Shared,
    /// They should be, and the replicas can't be reached until then.
    Apart(Instant),
}

/// What a round of decisions came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Those that may leave now.
    pub(crate) granted: Vec<(oneshot::Sender<Verdict>, Marks)>,
    /// When time alone may change something.
    pub(crate) next: Option<Instant>,
    /// Permits to borrow: for a group, how many.
    pub(crate) borrow: Option<(usize, usize)>,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) group: usize,
    pub(crate) lane: usize,
    pub(crate) ticket: u64,
}

impl State {
    /// Makes one in which nothing runs.
    pub(crate) fn new(places: usize, windows: Vec<Window>, groups: Vec<Group>, told: Told) -> Self {
        Self {
            places,
            running: 0,
            windows,
            quota: None,
            told,
            groups,
            sharing: Sharing::Alone,
            replicas: 1,
            waiting: 0,
            driver: None,
            tickets: 0,
            streak: 0,
        }
    }

    /// Puts a call at the end of its lane.
    pub(crate) fn line_up(
        &mut self,
        group: usize,
        priority: Priority,
        deadline: Instant,
    ) -> (Place, oneshot::Receiver<Verdict>) {
        let (tell, told) = oneshot::channel();
        let lane = match priority {
            Priority::Interactive => 0,
            Priority::Background => 1,
        };
        let ticket = self.tickets;
        self.tickets += 1;
        self.waiting += 1;
        let place = Place {
            group,
            lane,
            ticket,
        };
        if let Some(lane) = self.lane(place) {
            lane.push_back(Waiter {
                ticket,
                deadline,
                tell,
            });
        }
        (place, told)
    }

    /// Takes a call out of its lane, when it is still there.
    pub(crate) fn step_out(&mut self, place: Place) -> bool {
        let Some(lane) = self.lane(place) else {
            return false;
        };
        let found = lane.binary_search_by_key(&place.ticket, |waiter| waiter.ticket);
        let was_there = found.is_ok_and(|index| lane.remove(index).is_some());
        self.waiting -= usize::from(was_there);
        was_there
    }

    /// Lets everybody leave who may, and says what to wait for otherwise.
    pub(crate) fn round(&mut self, now: Instant, wall: DateTime<Utc>) -> Round {
        let mut round = Round::default();
        while self.waiting > 0 && self.running < self.places {
            let free_at = self.free_at(now, wall);
            if free_at > now {
                round.next = Some(free_at);
                break;
            }
            let Some((group, lane)) = self.choose(now, &mut round) else {
                break;
            };
            let waiter = self
                .groups
                .get_mut(group)
                .and_then(|group| group.lanes.get_mut(lane)?.pop_front());
            let Some(waiter) = waiter else {
                break;
            };
            self.waiting -= 1;
            self.streak = if lane == 0 { self.streak + 1 } else { 0 };
            let marks = self.count(group, now, wall);
            round.granted.push((waiter.tell, marks));
        }
        round
    }

    /// When a call may leave that waits at that place, as far as is known now.
    pub(crate) fn earliest(&mut self, place: Place, now: Instant, wall: DateTime<Utc>) -> Instant {
        let ahead = |group: &Group| {
            let before = |waiter: &Waiter| waiter.ticket < place.ticket;
            let own = group.lanes.get(place.lane);
            let own = own.map_or(0, |lane| lane.partition_point(before));
            let first = group.lanes.first().filter(|_| place.lane > 0);
            u64::try_from(own + first.map_or(0, VecDeque::len)).unwrap_or(u64::MAX)
        };
        let of_group = self.groups.get(place.group).map_or(0, ahead);
        let of_all = self.groups.iter().map(ahead).sum();
        let replicas = self.divisor(now);
        let mut at = self.free_at(now, wall);
        let Some(group) = self.groups.get(place.group) else {
            return at;
        };
        if self.sharing == Sharing::Shared
            && let Some(ask_at) = group.ask_at
        {
            at = at.max(ask_at);
        }
        let common = self.groups.first().map_or(0, |group| group.windows.len());
        for index in &group.windows {
            let ahead = if *index < common { of_all } else { of_group };
            if let Some(window) = self.windows.get_mut(*index) {
                at = at.max(window.earliest(now, ahead, replicas));
            }
        }
        at
    }

    /// Tells those that can't leave before their deadline any more, since the vendor wants to be left alone.
    pub(crate) fn dismiss(
        &mut self,
        now: Instant,
        wall: DateTime<Utc>,
    ) -> Vec<(oneshot::Sender<Verdict>, Duration)> {
        let free_at = self.free_at(now, wall);
        let mut dismissed = Vec::new();
        if free_at <= now {
            return dismissed;
        }
        for lane in self.groups.iter_mut().flat_map(|group| &mut group.lanes) {
            for waiter in std::mem::take(lane) {
                if waiter.deadline < free_at {
                    self.waiting -= 1;
                    dismissed.push((waiter.tell, free_at - now));
                } else {
                    lane.push_back(waiter);
                }
            }
        }
        dismissed
    }

    /// Takes borrowed permits in, or notes that there are none for a while.
    pub(crate) fn lend(&mut self, group: usize, count: u32, until: Instant, ask_at: Instant) {
        if let Some(group) = self.groups.get_mut(group) {
            group.lent = (count > 0).then_some((count, until));
            group.ask_at = (count == 0).then_some(ask_at);
        }
    }

    /// Notes that the replicas can't be reached.
    pub(crate) fn part(&mut self, now: Instant) {
        self.sharing = Sharing::Apart(now + APART);
    }

    /// Counts a call that was granted and did not leave as none.
    pub(crate) fn uncount(&mut self, marks: &Marks) {
        for (index, grain) in marks {
            if let Some(window) = self.windows.get_mut(*index) {
                window.unmark(*grain);
            }
        }
        if let Some(quota) = &mut self.quota {
            quota.give_back();
        }
    }

    /// When anything may leave at all: by the vendor's word and by the day's quota.
    fn free_at(&mut self, now: Instant, wall: DateTime<Utc>) -> Instant {
        let told = self.told.earliest(now);
        let replicas = self.divisor(now);
        match &mut self.quota {
            Some(quota) => told.max(now + quota.wait(wall, replicas)),
            None => told,
        }
    }

    /// The group and lane whose first call leaves next.
    fn choose(&mut self, now: Instant, round: &mut Round) -> Option<(usize, usize)> {
        let replicas = self.divisor(now);
        let is_shared = self.is_shared(now);
        let room = (self.places - self.running).min(BORROW_MAX);
        let mut best: [Option<(u64, usize)>; 2] = [None, None];
        for (number, group) in self.groups.iter_mut().enumerate() {
            let waiting: usize = group.lanes.iter().map(VecDeque::len).sum();
            if waiting == 0 {
                continue;
            }
            let mut at = now;
            for index in &group.windows {
                if let Some(window) = self.windows.get_mut(*index) {
                    at = at.max(window.earliest(now, 0, replicas));
                }
            }
            if at > now {
                round.next = Some(round.next.map_or(at, |next| next.min(at)));
                continue;
            }
            let is_limited = !group.windows.is_empty() || self.quota.is_some();
            if is_shared && is_limited && !group.is_lent(now) {
                match group.ask_at.filter(|at| *at > now) {
                    Some(at) => round.next = Some(round.next.map_or(at, |next| next.min(at))),
                    None => round.borrow = Some((number, waiting.min(room))),
                }
                continue;
            }
            for (lane, best) in group.lanes.iter().zip(&mut best) {
                if let Some(first) = lane.front()
                    && best.is_none_or(|(ticket, _)| first.ticket < ticket)
                {
                    *best = Some((first.ticket, number));
                }
            }
        }
        let [interactive, background] = best;
        let own = |found: Option<(u64, usize)>, lane| found.map(|(_, group)| (group, lane));
        if self.streak >= STREAK_MAX && background.is_some() {
            return own(background, 1);
        }
        own(interactive, 0).or(own(background, 1))
    }

    /// Counts a call that leaves.
    fn count(&mut self, group: usize, now: Instant, wall: DateTime<Utc>) -> Marks {
        self.running += 1;
        self.told.take(now);
        if let Some(quota) = &mut self.quota {
            quota.take(wall);
        }
        let mut marks = Marks::new();
        let Some(group) = self.groups.get_mut(group) else {
            return marks;
        };
        if let Some((count, _)) = &mut group.lent {
            *count = count.saturating_sub(1);
        }
        for index in &group.windows {
            if let Some(window) = self.windows.get_mut(*index) {
                marks.push((*index, window.mark(window.latest_arrival(now))));
            }
        }
        marks
    }

    fn is_shared(&self, now: Instant) -> bool {
        match self.sharing {
            Sharing::Alone => false,
            Sharing::Shared => true,
            Sharing::Apart(until) => until <= now,
        }
    }

    /// Among how many the limits are divided.
    fn divisor(&self, now: Instant) -> u32 {
        match self.sharing {
            Sharing::Apart(until) if until > now => self.replicas,
            Sharing::Alone | Sharing::Shared | Sharing::Apart(_) => 1,
        }
    }

    fn lane(&mut self, place: Place) -> Option<&mut VecDeque<Waiter>> {
        self.groups.get_mut(place.group)?.lanes.get_mut(place.lane)
    }
}

impl Group {
    /// Makes one whose calls count in those windows.
    pub(crate) fn new(windows: Vec<usize>) -> Self {
        Self {
            windows,
            ..Self::default()
        }
    }

    fn is_lent(&self, now: Instant) -> bool {
        self.lent
            .is_some_and(|(count, until)| count > 0 && now <= until)
    }
}
