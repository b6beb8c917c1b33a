//! Times operations against one another, so that a ratio means something on a machine that does other work too.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Something to measure. Each time it says whether it came out as it should: no figure is that of a failure.
pub struct Operation<'a> {
    name: &'static str,
    prepare: Box<dyn FnMut(u32) + 'a>,
    run: Box<dyn FnMut(u32) -> bool + 'a>,
}

impl<'a> Operation<'a> {
    /// An operation that can be repeated as it is.
    pub fn new(name: &'static str, once: impl FnMut() -> bool + 'a) -> Self {
        Self::prepared(name, |_| (), once)
    }

    /// An operation that needs something made, untimed, for so many repetitions.
    pub fn prepared(
        name: &'static str,
        prepare: impl FnMut(u32) + 'a,
        mut once: impl FnMut() -> bool + 'a,
    ) -> Self {
        let run = move |times| {
            let mut good = true;
            for _ in 0..times {
                good &= black_box(once());
            }
            good
        };
        Self { name, prepare: Box::new(prepare), run: Box::new(run) }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it so often, and says how much processor time that took; `None` when it failed.
    pub fn run(&mut self, times: u32) -> Option<Duration> {
        (self.prepare)(times);
        let start = processor_time();
        let good = (self.run)(times);
        let taken = processor_time().saturating_sub(start);
        good.then_some(taken)
    }
}

impl std::fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({})", self.name)
    }
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |number: i64| number.unsigned_abs();
    Duration::from_secs(part(time.tv_sec)).saturating_add(Duration::from_nanos(part(time.tv_nsec)))
}

/// An operation that did not come out as it should.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` did not come out as it should, so that its time means nothing")]
pub struct Failed {
    /// Its name.
    pub name: &'static str,
}

/// What each operation took in each round, in nanoseconds.
#[derive(Debug)]
pub struct Times(Vec<(&'static str, Vec<f64>)>);

/// How long one operation runs before the next one's turn.
const SLICE: Duration = Duration::from_millis(2);

/// Runs all operations in turn for so many rounds.
///
/// # Errors
///
/// [`Failed`], at the first operation that does not come out as it should.
pub fn measure(operations: &mut [Operation<'_>], rounds: u32) -> Result<Times, Failed> {
    let mut repetitions = Vec::new();
    for operation in &mut *operations {
        repetitions.push(calibrate(operation)?);
    }
    let mut times: Vec<_> = operations.iter().map(|operation| (operation.name, Vec::new())).collect();
    for _ in 0..rounds {
        for ((operation, times), repetitions) in operations.iter_mut().zip(&mut times).zip(&repetitions) {
            let taken = operation.run(*repetitions).ok_or(Failed { name: operation.name })?;
            times.1.push(taken.as_secs_f64() * 1e9 / f64::from(*repetitions));
        }
    }
    Ok(Times(times))
}

/// How often the operation fits a slice. Warms it, too.
fn calibrate(operation: &mut Operation<'_>) -> Result<u32, Failed> {
    let mut repetitions = 1;
    loop {
        let taken = operation.run(repetitions).ok_or(Failed { name: operation.name })?;
        if taken >= SLICE / 2 || repetitions >= 1 << 20 {
            return Ok(repetitions);
        }
        repetitions *= 2;
    }
}

impl Times {
    fn of(&self, name: &str) -> &[f64] {
        self.0.iter().find(|(known, _)| *known == name).map_or(&[], |(_, times)| times)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The median, in nanoseconds.
    pub fn median(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// The median over the rounds of the ratio within one round.
    pub fn ratio(&self, name: &str, reference: &str) -> f64 {
        median(
            self.of(name).iter().zip(self.of(reference)).map(|(time, reference)| time / reference).collect(),
        )
    }
}

/// The middle one; not a number where there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
