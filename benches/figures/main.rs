//! The figures of the specification's section 17: `cargo bench --bench figures -- NAME [ARGS]`.
//! Printed, never asserted: a machine's speed is no property of the code.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise, and prints"
)]

mod backup;
mod cassandra;
mod console;
mod ingest;
mod mysql;
mod parse;
mod puts;
mod query;
mod sender;
mod service;
mod spool;
mod tail;

/// What can be measured, and by what.
const FIGURES: &[(&str, fn(&[String]))] = &[
    ("backup", backup::run),
    ("cassandra", cassandra::run),
    ("console", console::run),
    ("ingest", ingest::run),
    ("mysql", mysql::run),
    ("parse", parse::run),
    ("puts", puts::run),
    ("query", query::run),
    ("ring-query", query::ring::run),
    ("ring-scale", cassandra::scale::run),
    ("ring-tail", tail::run),
    ("sender", sender::run),
    ("service", service::run),
    ("spool", spool::run),
];

fn main() {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    match FIGURES.iter().find(|(known, _)| *known == name) {
        Some((_, run)) => run(&arguments),
        None => {
            let known: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
            eprintln!(
                "no figure is called `{name}`; there are: {}",
                known.join(", ")
            );
            std::process::exit(2);
        }
    }
}
