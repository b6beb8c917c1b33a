//! Prints the table: `cargo bench -p cachegate-bench`. With `-- --write` it also goes into the README of the project,
//! with `-- --rounds N` it takes more or less time, with `-- --times` all operations are listed with their times, and
//! with `-- --only WORD` those alone whose names hold the word, for a profiler.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "it is a report, or nothing")]

use std::path::Path;

use cachegate_bench::{Failed, Table, Times, World, measure, operations, refusals, two_threads};

/// What surrounds the table in the README.
const MARKS: [&str; 2] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let rounds = value("--rounds").map_or(25, |rounds| rounds.parse().expect("`--rounds` takes a number"));
    let world = World::new();
    if let Some(word) = value("--only") {
        let mut some = operations(&world);
        some.retain(|operation| operation.name().contains(word.as_str()));
        list(&measure(&mut some, rounds)?);
        return Ok(());
    }
    let times = measure(&mut operations(&world), rounds)?;
    let table = Table::new(&times, &refusals(&world), two_threads(&World::new(), 2 * rounds));
    let report = format!(
        "Processor: {}. {rounds} rounds, processor time of the thread, back-end `ring`.\n\n{table}",
        processor()
    );
    println!("{report}");
    if has("--times") {
        list(&times);
    }
    if has("--write") {
        write(&report);
    }
    Ok(())
}

fn list(times: &Times) {
    for name in times.names() {
        println!("{:10.1} ns  {name}", times.median(name));
    }
}

/// The kind of processor, and how many of them there are.
fn processor() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kind = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {count} cores", kind.map_or("unknown", |(_, kind)| kind))
}

fn write(report: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path).expect("the README");
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin).expect("a begin mark");
    let (_, after) = rest.split_once(end).expect("an end mark");
    std::fs::write(&path, format!("{before}{begin}\n{report}{end}{after}")).expect("the README is written");
}
