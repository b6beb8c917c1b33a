//! A thread that owns a connection, behind a channel that needs no runtime.

use std::thread;

use async_channel::{Receiver, Sender, bounded};
use cachegate_storage::StoreError;
use rusqlite::Connection;

/// How many calls wait at most; whoever comes later waits to wait.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The sending end. When the last one is gone, the thread finishes what is queued and closes the connection.
#[derive(Clone)]
pub(crate) struct Worker {
    jobs: Sender<Job>,
}

impl Worker {
    pub(crate) fn start(name: &str, mut connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue): (Sender<Job>, Receiver<Job>) = bounded(QUEUE);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(job) = queue.recv_blocking() {
                job(&mut connection);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `work` on the thread and waits for its answer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable { detail: "the database's thread has ended".to_owned() };
        let (answer, answered) = bounded(1);
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have given up; that is nobody's fault.
            let _ = answer.send_blocking(work(connection));
        });
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.recv().await.map_err(|_| gone())?
    }
}
