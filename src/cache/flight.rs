//! Single flight: of all who need a key at one moment, one loads it and the others wait for its answer.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, IntoFuture},
    hash::Hash,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

type Table<K, T> = Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>;

/// The keys that others load, each with its answer to come.
pub type Followed<K, T> = Vec<(K, Waiter<T>)>;

/// The keys being loaded in this process; it holds no more than what is in flight.
pub struct Flights<K, T> {
    table: Table<K, T>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            table: Arc::default(),
        }
    }
}

impl<K, T> fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("in_flight", &lock(&self.table).len())
            .finish()
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Flights<K, T> {
    /// Splits the keys into those the caller must load and those that others are loading already.
    ///
    /// A caller must load its own keys before it awaits the waiters: two callers who each wait for the other first
    /// would wait for ever. It must also look in the cache once more for the keys it leads: another flight may have ended
    /// between its first look and this claim. A key named twice is led once.
    pub fn claim(&self, keys: impl IntoIterator<Item = K>) -> (Claim<K, T>, Followed<K, T>) {
        let mut lead = HashMap::new();
        let mut order = Vec::new();
        let mut follow = Vec::new();
        let mut table = lock(&self.table);
        for key in keys {
            if lead.contains_key(&key) {
                continue;
            }
            if let Some(answer) = table.get(&key) {
                let waiter = Waiter {
                    answer: answer.clone(),
                };
                follow.push((key, waiter));
                continue;
            }
            let (sender, receiver) = watch::channel(None);
            table.insert(key.clone(), receiver);
            lead.insert(key.clone(), sender);
            order.push(key);
        }
        drop(table);
        let claim = Claim {
            table: Arc::clone(&self.table),
            order,
            open: lead,
        };
        (claim, follow)
    }

    /// How many keys are being loaded.
    pub fn len(&self) -> usize {
        lock(&self.table).len()
    }

    /// Whether nothing is being loaded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The duty to load some keys; dropping it wakes the followers of every key that has no answer yet.
pub struct Claim<K: Eq + Hash, T> {
    table: Table<K, T>,
    order: Vec<K>,
    open: HashMap<K, watch::Sender<Option<T>>>,
}

impl<K: Eq + Hash, T> Claim<K, T> {
    /// The keys the holder must load, in the order it named them.
    pub fn keys(&self) -> &[K] {
        &self.order
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Gives the answer to all who wait for the key; later claims of it start a new flight.
    ///
    /// The answer must be in the cache before, so that a later claimant finds it there. A key that is not part of the
    /// claim, or that has its answer already, is left as it is.
    pub fn fulfil(&mut self, key: &K, value: T) {
        let Some(sender) = self.open.remove(key) else {
            return;
        };
        lock(&self.table).remove(key);
        sender.send_replace(Some(value));
    }
}

impl<K: Eq + Hash, T> Drop for Claim<K, T> {
    fn drop(&mut self) {
        // The keys leave the table before the senders drop, so that a woken follower can claim them at once.
        let mut table = lock(&self.table);
        for key in self.open.keys() {
            table.remove(key);
        }
        drop(table);
        self.open.clear();
    }
}

impl<K: Eq + Hash, T> fmt::Debug for Claim<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("keys", &self.order.len())
            .field("open", &self.open.len())
            .finish()
    }
}

/// The one who loaded the key went away without an answer; the key can be claimed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the load that was waited for ended without an answer")]
pub struct Abandoned;

/// The answer to come of a key that somebody else loads; await it.
pub struct Waiter<T> {
    answer: watch::Receiver<Option<T>>,
}

impl<T> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}

impl<T: Clone + Send + Sync + 'static> IntoFuture for Waiter<T> {
    type Output = Result<T, Abandoned>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self
                .answer
                .wait_for(Option::is_some)
                .await
                .map_err(|_closed| Abandoned)?;
            (*answer).clone().ok_or(Abandoned)
        })
    }
}

fn lock<K, T>(table: &Table<K, T>) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<T>>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
