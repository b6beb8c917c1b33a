//! A thread that owns a connection, behind a channel that needs no runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use cachegate_storage::StoreError;
use rusqlite::Connection;

use crate::fault;

/// How many calls wait at most; whoever comes later waits to wait. More than a gate has in flight.
const QUEUE: usize = 1024;

/// One call. Answers whether it found the file locked.
type Job = Box<dyn FnOnce(&mut Connection) -> bool + Send>;

/// The thread's handle. Dropping it finishes what is queued, closes the connection and waits for that.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. `patience` is how long a call waits for other processes' locks.
    pub(crate) fn start(name: &str, connection: Connection, patience: Duration) -> std::io::Result<Self> {
        let (jobs, queue) = bounded(QUEUE);
        let serve = move || Service { queue: Queue(queue), connection, patience }.run();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self { jobs, thread: Some(thread) })
    }

    /// Runs `work` on the thread. Whoever drops the future before its turn has come is passed over.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = bounded(1);
        let job: Job = Box::new(move |connection| {
            if answer.is_closed() {
                return false;
            }
            let result = work(connection);
            let locked = result.as_ref().is_err_and(fault::is_lock);
            // There is room for one answer, and this is it; whoever asked may have given up.
            let _ = answer.try_send(result);
            locked
        });
        self.jobs.send(job).await.map_err(|_| fault::stopped())?;
        answered.recv().await.map_err(|_| fault::stopped())?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs.close();
        if let Some(thread) = self.thread.take() {
            // It ends whatever happened in it: a panic was told to whoever had caused it.
            let _ = thread.join();
        }
    }
}

/// What is queued. When the thread ends in any way, nobody waits for an answer that will not come.
struct Queue(Receiver<Job>);

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.close();
        while self.0.try_recv().is_ok() {}
    }
}

/// What the thread does.
struct Service {
    queue: Queue,
    connection: Connection,
    patience: Duration,
}

impl Service {
    fn run(mut self) {
        // Once a call has waited in vain, those that waited behind it for as long are tried without waiting: every
        // call is answered within the patience that began when it was made.
        let mut hurried: usize = 0;
        while let Ok(job) = self.queue.0.recv_blocking() {
            if self.wait_up_to(if hurried > 0 { Duration::ZERO } else { self.patience }).is_err() {
                return;
            }
            // A panic ends its own call alone: the answer's sender is dropped, the transaction rolled back.
            let locked = catch_unwind(AssertUnwindSafe(|| job(&mut self.connection))).unwrap_or(false);
            hurried = match (locked, hurried) {
                (false, _) => 0,
                (true, 0) => self.queue.0.len(),
                (true, left) => left.saturating_sub(1),
            };
            if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
                return;
            }
        }
        // The log goes into the file, so that a copy of the file alone is whole. Should somebody be reading, then
        // the next one to close does it.
        let _ = self.wait_up_to(Duration::ZERO);
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    fn wait_up_to(&self, patience: Duration) -> rusqlite::Result<()> {
        self.connection.busy_timeout(patience)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use futures_executor::block_on;

    use super::*;

    fn worker() -> Worker {
        let connection = Connection::open_in_memory().expect("a database in memory");
        Worker::start("test", connection, Duration::from_secs(1)).expect("a thread")
    }

    fn count(worker: &Worker) -> Result<i64, StoreError> {
        block_on(worker.run(|connection| {
            let sql = "SELECT count(*) FROM sqlite_schema";
            connection.query_row(sql, [], |row| row.get(0)).map_err(|error| fault::of(&error))
        }))
    }

    #[test]
    fn a_panic_ends_its_own_call_and_its_transaction_and_nothing_else() {
        let worker = worker();
        let panicked: Result<(), _> = block_on(worker.run(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE t (a)").expect("a transaction");
            panic!("on purpose")
        }));
        assert!(matches!(panicked, Err(StoreError::Unavailable { .. })), "{panicked:?}");
        assert_eq!(count(&worker), Ok(0), "rolled back");
    }

    #[test]
    fn whoever_is_queued_when_the_thread_ends_gets_an_answer() {
        let worker = worker();
        let (go, wait) = bounded::<()>(1);
        let (jobs, _) = (worker.jobs.clone(), ());
        let first = pin!(worker.run(move |_| {
            let _ = wait.recv_blocking();
            Ok(())
        }));
        let second = pin!(worker.run(|_| Ok(())));
        let (mut first, mut second) = (first, second);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        jobs.close();
        go.send_blocking(()).expect("the thread waits");
        assert_eq!(block_on(first), Ok(()));
        assert_eq!(block_on(second), Ok(()), "what was queued before the end is done");
        let late = block_on(worker.run(|_| Ok(())));
        assert_eq!(late, Err(fault::stopped()));
    }

    #[test]
    fn a_queue_that_is_dropped_answers_everybody() {
        let (jobs, queue) = bounded::<Job>(4);
        let queue = Queue(queue);
        let (answer, answered) = bounded::<()>(1);
        let job: Job = Box::new(move |_| answer.try_send(()).is_ok());
        jobs.send_blocking(job).expect("room");
        drop(queue);
        assert!(answered.recv_blocking().is_err(), "the sender is gone with the job");
        assert!(jobs.is_closed());
    }

    #[test]
    fn who_gave_up_before_their_turn_is_passed_over() {
        let worker = worker();
        let (go, wait) = bounded::<()>(1);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(worker.run(move |_| {
            let _ = wait.recv_blocking();
            Ok(())
        }));
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        {
            let given_up = pin!(worker.run(|connection| {
                connection.execute_batch("CREATE TABLE t (a)").map_err(|error| fault::of(&error))
            }));
            assert_eq!(given_up.poll(&mut context), Poll::Pending);
        }
        go.send_blocking(()).expect("the thread waits");
        assert_eq!(block_on(first), Ok(()));
        assert_eq!(count(&worker), Ok(0));
    }
}
