//! A small pool of connections to a store that lives in memory: what `sqlx::PgPool` would be in an application.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Lends a fixed number of connections.
pub(crate) struct Pool {
    /// A permit for each idle connection.
    idle_count: Semaphore,
    /// A std mutex: never held across an await.
    idle: Mutex<Vec<Connection>>,
}

/// A connection to the store.
pub(crate) struct Connection {
    id: usize,
    /// Bills by city. A std mutex: never held across an await.
    bills: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// A connection on loan. Dropping it gives it back.
pub(crate) struct Lease<'a> {
    connection: Option<Connection>,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    /// Opens so many connections to a new, empty store.
    pub(crate) fn open(size: usize) -> Self {
        let bills = Arc::default();
        let connection = |id| Connection {
            id,
            bills: Arc::clone(&bills),
        };
        Self {
            idle_count: Semaphore::new(size),
            idle: Mutex::new((1..=size).map(connection).collect()),
        }
    }

    /// Borrows a connection; waits until one is idle.
    pub(crate) async fn get(&self) -> Lease<'_> {
        let permit = self.idle_count.acquire().await.expect("the semaphore is never closed");
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease {
            connection: Some(connection.expect("a permit stands for an idle connection")),
            pool: self,
            _permit: permit,
        }
    }
}

impl Connection {
    /// Which of the pool's connections this is.
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Files a bill.
    pub(crate) fn add_bill(&self, city: &str) {
        let mut bills = self.bills.lock().unwrap_or_else(PoisonError::into_inner);
        *bills.entry(city.to_owned()).or_default() += 1;
    }

    /// How many bills each city has.
    pub(crate) fn bills(&self) -> BTreeMap<String, u64> {
        self.bills.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Deref for Lease<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is given back by `drop` alone")
    }
}

impl Drop for Lease<'_> {
    /// The permit is dropped after this, so that it always stands for a connection that is there.
    fn drop(&mut self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}
