//! The orders, in an SQLite file.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use rusqlite::Error;
use rusqlite::{Connection, params};

use rocketmq_tokio::TransactionState;

/// A share in the file.
#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS orders (message_id TEXT PRIMARY KEY, number INTEGER NOT NULL)",
            (),
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// The local transaction: places an order under the id of its message, unless the shop refuses.
    pub(crate) fn place(&self, message_id: &str, number: u32) -> Result<TransactionState, Error> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT INTO orders (message_id, number) VALUES (?1, ?2)",
            params![message_id, number],
        )?;
        if number % 3 == 0 {
            transaction.rollback()?;
            return Ok(TransactionState::Rollback);
        }
        transaction.commit()?;
        Ok(TransactionState::Commit)
    }

    /// Whether the order of a message was placed.
    pub(crate) fn has(&self, message_id: &str) -> Result<bool, Error> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut find = connection.prepare_cached("SELECT 1 FROM orders WHERE message_id = ?1")?;
        find.exists([message_id])
    }
}
