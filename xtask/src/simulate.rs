//! `cargo xtask simulate pdca`: the tables of docs/pdca.md.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::fmt::Write as _;
use std::thread;

use atalaya_domain::dora::Metric;
use atalaya_domain::pdca::Verdict;
use atalaya_domain::pdca::rules::WEIGHED;
use atalaya_domain::pdca::simulate::{Outcome, STEADY, Truth, WORLDS, World};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// False decisions where nothing was changed, and power where something was, as Markdown.
    Pdca {
        /// The first seed; each run takes the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Histories for each figure.
        #[arg(long, default_value_t = 1_000)]
        runs: u64,
    },
}

/// Weeks that are known before the change.
const HISTORIES: [u32; 3] = [4, 12, 26];
/// Releases a day of the power table.
const RATES: [f64; 4] = [0.5, 1.0, 2.0, 5.0];

pub fn run(args: &Args) {
    let What::Pdca { seed, runs } = args.what;
    let runs = runs.max(1);
    println!(
        "Seeds {seed} to {}, {runs} histories for each figure.\n",
        seed.saturating_add(runs - 1)
    );
    println!("| world | weeks known | {} |", titles());
    println!("|---|---:|{}", "---:|".repeat(WEIGHED.len()));
    for world in WORLDS {
        for history_weeks in HISTORIES {
            let world = World {
                history_weeks,
                ..world
            };
            let outcomes = simulate(seed, runs, |seed| world.run(seed, None));
            println!(
                "| {} | {history_weeks} | {} |",
                world.name,
                decided(&outcomes, runs)
            );
        }
    }
    println!(
        "\n| releases a day | in bursts of | weeks known | {} |",
        gains()
    );
    println!("|---:|---:|---:|{}", "---:|".repeat(WEIGHED.len()));
    for (per_day, burst) in RATES.iter().flat_map(|rate| [(*rate, 1), (*rate, 3)]) {
        for history_weeks in HISTORIES {
            let world = World {
                per_day,
                burst,
                variation: f64::from(burst),
                weekend: 0.2,
                history_weeks,
                ..STEADY
            };
            println!(
                "| {per_day} | {burst} | {history_weeks} |{} |",
                found(&world, seed, runs)
            );
        }
    }
}

/// The same work on each seed, on all processors.
fn simulate<T: Send>(seed: u64, runs: u64, work: impl Fn(u64) -> Vec<T> + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    let work = &work;
    thread::scope(|scope| {
        let share = |worker: u64| {
            move || {
                let mine = (worker..runs).step_by(workers as usize);
                mine.flat_map(|run| work(seed.wrapping_add(run)))
                    .collect::<Vec<T>>()
            }
        };
        let running: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(share(worker)))
            .collect();
        running
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    })
}

fn titles() -> String {
    WEIGHED.map(Metric::title).join(" | ")
}

const fn halved_or_doubled(metric: Metric) -> f64 {
    if metric.more_is_better() { 2.0 } else { 0.5 }
}

fn gains() -> String {
    WEIGHED
        .map(|metric| format!("{} × {}", metric.title(), halved_or_doubled(metric)))
        .join(" | ")
}

/// Per cent of the plans on each metric that ended in APPLY or REVERT.
fn decided(outcomes: &[Outcome], runs: u64) -> String {
    WEIGHED
        .map(|metric| {
            let of = outcomes.iter().filter(|outcome| outcome.metric == metric);
            let decided = of.filter(|outcome| outcome.is_decision()).count();
            format!("{:.1} %", 100.0 * decided as f64 / runs as f64)
        })
        .join(" | ")
}

/// Per cent of the plans on each metric that find it twice as good.
fn found(world: &World, seed: u64, runs: u64) -> String {
    let mut row = String::new();
    for metric in WEIGHED {
        let truth = Truth {
            metric,
            factor: halved_or_doubled(metric),
        };
        let outcomes = simulate(seed, runs, |seed| {
            vec![world.releases(seed, Some(truth)).follow(metric)]
        });
        let applied = outcomes
            .iter()
            .filter(|outcome| outcome.verdict == Verdict::Apply)
            .count();
        let _ = write!(row, " {:.0} % |", 100.0 * applied as f64 / runs as f64);
    }
    row.trim_end_matches(" |").to_owned()
}
