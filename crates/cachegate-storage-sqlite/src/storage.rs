//! The handle: two threads, one that acts and one that reads.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use cachegate_storage::{AuditRecord, StoreError, verify_chain};
use cachegate_types::Revision;
use rusqlite::{Connection, TransactionBehavior};

use crate::transaction::{Store, Stored, Transaction, View};
use crate::witness::{self, Said, Witness};
use crate::worker::Worker;
use crate::{OpenError, fault, open};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    patience: Duration,
    history: u64,
    is_restored: bool,
}

impl Options {
    /// Waits 5 s for other processes, keeps 100 000 changes of the feed, takes the file for the newest there is.
    pub const fn new() -> Self {
        Self { patience: Duration::from_secs(5), history: 100_000, is_restored: false }
    }

    /// Waits at most this long for what another process has locked, a day at most. Then a call is
    /// [`StoreError::Unavailable`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: patience.min(Duration::from_secs(86_400)), ..self }
    }

    /// Keeps the newest `limit` changes of the feed. Whoever asks for older ones is told to begin anew.
    #[must_use]
    pub const fn with_history(self, limit: u64) -> Self {
        Self { history: limit, ..self }
    }

    /// Opens a file that was put back from a backup, or whose log was lost: a new epoch begins, so that every node
    /// drops what it holds. What was done after the backup is gone, revocations included: do it again.
    #[must_use]
    pub const fn restored(self) -> Self {
        Self { is_restored: true, ..self }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// A store in one SQLite file. A clone is the same store.
///
/// When the last clone is dropped, its threads finish what is queued, write the log into the file, and close it; the
/// drop waits for that.
#[derive(Clone)]
pub struct SqliteStorage {
    shared: Arc<Shared>,
}

struct Shared {
    // Dropped in this order: the last connection to close is the one that may write the log into the file.
    reader: Option<Worker>,
    writer: Worker,
    witness: Option<Arc<Witness>>,
    news: Arc<News>,
    history: u64,
}

impl fmt::Debug for SqliteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStorage").finish_non_exhaustive()
    }
}

impl SqliteStorage {
    /// Opens the store in this file, making it with mode 0600 if it is not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; an existing file is left as it is.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, &Options::new())
    }

    /// As [`SqliteStorage::open`], in another way.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; an existing file is left as it is.
    pub fn open_with(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let patience = options.patience;
        let path = open::locate(path)?;
        open::make_unless_there(&path, patience)?;
        open::examine(&path)?;
        // Read before the database: whoever acts at this moment writes them in the other order.
        let said = witness::read(&path)
            .map_err(|source| OpenError::system(&path, "read how many acts it has to hold", source))?;
        let mut acting = open::connect(&path, patience)?;
        let mut store = open::check(&path, &acting, patience)?;
        let acknowledged = match said {
            Said::Commits(commits) => commits,
            Said::Nothing => 0,
            Said::Nonsense if options.is_restored => 0,
            Said::Nonsense => {
                return Err(OpenError::DamagedWitness { witness: witness::path_of(&path) });
            }
        };
        if options.is_restored {
            let epoch = open::random()?;
            let (_, committed) = commit(&mut acting, options.history, |tx| tx.set_epoch(epoch, acknowledged))
                .map_err(|error| OpenError::Damaged { path: path.clone(), detail: error.to_string() })?;
            store = committed.map_or(store, |(store, _)| store);
        } else if acknowledged > store.commits {
            return Err(OpenError::Behind { path, found: store.commits, acknowledged });
        }
        let witness = Witness::open(&path, said, store.commits)
            .map_err(|source| OpenError::system(&path, "write how many acts it holds", source))?;
        let reading = open::connect(&path, patience)?;
        let sqlite = |error| OpenError::of(&path, patience, &error);
        reading.pragma_update(None, "query_only", true).map_err(sqlite)?;
        let thread = |source| OpenError::system(&path, "start a thread", source);
        Ok(Self {
            shared: Arc::new(Shared {
                reader: Some(Worker::start("cachegate-sqlite-reads", reading, patience).map_err(thread)?),
                writer: Worker::start("cachegate-sqlite-acts", acting, patience).map_err(thread)?,
                witness: Some(Arc::new(witness)),
                news: Arc::new(News::default()),
                history: options.history,
            }),
        })
    }

    /// A store in memory, gone with its last clone: the same code without a disk, for tests.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is no memory, no randomness or no thread.
    pub fn open_in_memory() -> Result<Self, OpenError> {
        let (path, options) = (Path::new(":memory:"), Options::new());
        let sqlite = |error| OpenError::of(path, options.patience, &error);
        let mut connection = Connection::open_in_memory().map_err(sqlite)?;
        open::configure(&connection).map_err(sqlite)?;
        open::fill(&mut connection).map_err(sqlite)?;
        let thread = |source| OpenError::system(path, "start a thread", source);
        Ok(Self {
            shared: Arc::new(Shared {
                reader: None,
                writer: Worker::start("cachegate-sqlite", connection, options.patience).map_err(thread)?,
                witness: None,
                news: Arc::new(News::default()),
                history: options.history,
            }),
        })
    }

    /// Begins a new epoch: every node drops what it holds. For recovery tools, after anything that may have taken
    /// the store back to a former state without its noticing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it could not be committed, or there is no randomness; try again.
    pub async fn begin_epoch(&self) -> Result<Revision, StoreError> {
        let epoch = open::random().map_err(|error| StoreError::Unavailable { detail: error.to_string() })?;
        self.act(move |tx| {
            tx.set_epoch(epoch, 0)?;
            Ok(tx.revision())
        })
        .await
    }

    /// Reads everything: whether each page and index fits the others, each row its checksum, and each audit record
    /// the one before it. Takes as long as reading the whole file does; reads wait for it, acts do not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] names what was found first.
    pub async fn verify(&self) -> Result<(), StoreError> {
        const PAGE: usize = 1000;
        self.read(|view| {
            view.check_rows()?;
            view.counts()?;
            let mut last: Option<AuditRecord> = None;
            loop {
                let page = view.audit(last.as_ref().map_or(0, |record| record.number), PAGE)?;
                verify_chain(&page, last.as_ref()).map_err(|error| StoreError::Corrupt {
                    what: "audit.digest",
                    detail: error.to_string(),
                })?;
                match page.into_iter().next_back() {
                    Some(record) => last = Some(record),
                    None => return Ok(()),
                }
            }
        })
        .await
    }

    /// Runs an act: all of it or nothing, and on the disk when it is answered.
    pub(crate) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Transaction<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let Shared { witness, news, history, writer, .. } = &*self.shared;
        let (witness, news, history) = (witness.clone(), Arc::clone(news), *history);
        writer
            .run(move |connection| {
                let (done, committed) = commit(connection, history, act)?;
                if let Some((store, is_revised)) = committed {
                    if let Some(witness) = witness {
                        // The act is on the disk, whatever becomes of its count.
                        let _ = witness.write(store.commits);
                    }
                    if is_revised {
                        news.tell();
                    }
                }
                Ok(done)
            })
            .await
    }

    /// Reads with one statement.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let reader = self.shared.reader.as_ref().unwrap_or(&self.shared.writer);
        reader.run(move |connection| look(&View::of(connection))).await
    }

    /// Reads one moment's state with several statements.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let reader = self.shared.reader.as_ref().unwrap_or(&self.shared.writer);
        reader
            .run(move |connection| {
                let transaction = connection.transaction().map_err(|error| fault::of(&error))?;
                read(&View::of(&transaction))
            })
            .await
    }

    /// What tells of the next change that is made here.
    pub(crate) fn next_news(&self) -> Receiver<()> {
        self.shared.news.next()
    }

    /// The act's connection, for tests.
    #[cfg(test)]
    pub(crate) fn writer(&self) -> &Worker {
        &self.shared.writer
    }

    /// The reads' connection, for tests.
    #[cfg(test)]
    pub(crate) fn reader(&self) -> Option<&Worker> {
        self.shared.reader.as_ref()
    }
}

/// One transaction. Answers the store as it was committed, if anything changed, and whether a revision was taken.
fn commit<T>(
    connection: &mut Connection,
    history: u64,
    act: impl FnOnce(&mut Transaction<'_>) -> Stored<T>,
) -> Stored<(T, Option<(Store, bool)>)> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| fault::of(&error))?;
    let mut tx = Transaction::begin(&transaction, history)?;
    let done = act(&mut tx)?;
    let changed = tx.finish()?;
    transaction.commit().map_err(|error| fault::of(&error))?;
    Ok((done, changed))
}

/// Tells those who wait that something has changed. What other processes change is not noticed.
#[derive(Debug)]
struct News {
    /// A channel over which nothing is ever sent: it is closed with the next change.
    next: Mutex<(Sender<()>, Receiver<()>)>,
}

impl Default for News {
    fn default() -> Self {
        Self { next: Mutex::new(bounded(1)) }
    }
}

impl News {
    fn next(&self) -> Receiver<()> {
        // Nothing here is ever half done.
        self.next.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn tell(&self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, _) = std::mem::replace(&mut *next, bounded(1));
        drop(next);
        told.close();
    }
}
