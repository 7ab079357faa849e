//! `atalaya logs`: records that match a query, or all of them as they come.

use super::output::Form;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use crate::report::record_json::RecordJson;
use crate::report::record_text::{self, TextStyle};
use crate::service::Stores;
use crate::service::logs::{Outcome, Search, Tail, search};
use crate::shown::Shown;
use crate::signals;
use atalaya_domain::record::Record;
use atalaya_domain::time::Timestamp;
use atalaya_query::{Query, QueryClock, QueryError, Zone};
use atalaya_store::chunks::Order;

use super::{Context, UsageError, output};

mod count;

/// How often arrivals are asked for: well within the second in which a new record must show.
const POLL: Duration = Duration::from_millis(250);
/// Records shown before following, as `tail` does.
const FOLLOW_LIMIT: u64 = 10;
const LIMIT: u64 = 200;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A query that matches nothing is no failure: the exit code is 0, and what was scanned is said on
standard error. A wrong query ends with 2.

Examples:
  atalaya logs 'level>=warning source:nginx/* since:1h'
  atalaya logs 'request_id:req-42' --json | jq .message
  atalaya logs '\"connection refused\" or /time(d )?out/i -health' --limit 20
  atalaya logs 'meta.status>=500 duration>1s' --oldest-first --limit 0
  atalaya logs --follow 'level>=error'
  atalaya logs -- -noise                    a query that begins with `-`
  atalaya logs 'level>=error since:1d' --count by source,meta.status top 20
  atalaya logs 'source:nginx/*' --count p50 p95 p99 duration by logger
  atalaya logs --count rate by level per hour --json

Count: `by` up to three fields, `per` second, minute, hour, day or 5m, `top` N, `rate`, and
avg, min, max, sum, p50, p90, p99.9 … of `duration` or meta.NAME. Counts by level, source, layer
and time come from summaries, without reading records.

Query: words and \"phrases\" (without case), /regex/, field:value with * and commas, -term, or,
parentheses. Fields: level source request_id logger message user session host layer duration
meta.NAME traceback has since until at id. Times: 15m 2h 3d 12:30 today 2026-11-21T12:30Z.")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Args {
    /// What to look for; everything when left out.
    #[arg(value_name = "QUERY")]
    pub query: Vec<String>,

    /// Most records to print, 0 for all [default: 200, or 10 before following].
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,

    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,

    /// Go on with the records that arrive, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,

    /// Oldest records first; otherwise the newest are first.
    #[arg(long, conflicts_with = "follow")]
    pub oldest_first: bool,

    /// Count what matches instead of printing it: by=source,level, top 20, per hour … (see below).
    #[arg(
        long,
        value_name = "WORDS",
        num_args = 0..,
        conflicts_with_all = ["follow", "limit", "oldest_first"]
    )]
    pub count: Option<Vec<String>>,

    /// Print and read times in UTC instead of this host's zone.
    #[arg(long)]
    pub utc: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let zone = if args.utc { Zone::Utc } else { Zone::Local };
    let query = parse(&args.query.join(" "), zone)?;
    let printer = Printer {
        json: args.json,
        style: style(zone),
    };
    if let Some(words) = args.count {
        return count::run(&words.join(" "), &query, printer, context).await;
    }
    let stores = context.stores().await?;
    if args.follow {
        return follow(&stores, query, args.limit.unwrap_or(FOLLOW_LIMIT), printer).await;
    }
    let order = if args.oldest_first {
        Order::OldestFirst
    } else {
        Order::NewestFirst
    };
    let limit = match args.limit.unwrap_or(LIMIT) {
        0 => None,
        limit => Some(limit),
    };
    let mut printed = Ok(());
    let outcome = search(&stores.logs, &Search::new(query, order, limit), |records| {
        printed = printer.print(&records);
        if printed.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
    .await?;
    printed?;
    say_outcome(&outcome, args.limit.is_none());
    Ok(ExitCode::SUCCESS)
}

/// Reads a query, or explains with a mark below it what is wrong.
pub(super) fn parse(text: &str, zone: Zone) -> Result<Query, UsageError> {
    Query::parse(
        text,
        &QueryClock {
            now: Timestamp::now(),
            zone,
        },
    )
    .map_err(|wrong| wrong_query(text, &wrong))
}

pub(super) fn wrong_query(text: &str, wrong: &QueryError) -> UsageError {
    let drawn = wrong.render(text);
    let lines: Vec<String> = Shown::lines(&drawn)
        .iter()
        .map(ToString::to_string)
        .collect();
    UsageError(lines.join("\n"))
}

/// Colours for a terminal that wants them.
pub(super) fn style(zone: Zone) -> TextStyle {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    TextStyle {
        zone,
        colour: !refused && std::io::stdout().is_terminal(),
    }
}

/// On standard error, and only when the output would leave a question.
fn say_outcome(outcome: &Outcome, limit_by_default: bool) {
    if outcome.matched == 0 {
        output::note(&format!("no record matches: {outcome}"));
    } else if !outcome.complete && limit_by_default && std::io::stderr().is_terminal() {
        output::note(&format!(
            "the first {} are shown; --limit 0 prints all",
            outcome.matched
        ));
    }
}

async fn follow(
    stores: &Stores,
    query: Query,
    limit: u64,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    signals::expect();
    let (mut tail, newest) = Tail::start(&stores.logs, query, limit).await?;
    printer.print(&newest)?;
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        loop {
            let records = tail.next(&stores.logs).await?;
            if records.is_empty() {
                break;
            }
            printer.print(&records)?;
        }
    }
}

#[derive(Clone, Copy)]
struct Printer {
    json: bool,
    style: TextStyle,
}

impl Printer {
    fn print(self, records: &[Record]) -> anyhow::Result<()> {
        // The text form is coloured, and made safe field by field.
        let form = if self.json { Form::Json } else { Form::Own };
        let mut text = String::new();
        for record in records {
            if self.json {
                text.push_str(&RecordJson::line(record)?);
                text.push('\n');
            } else {
                text.push_str(&record_text::record(record, self.style));
            }
        }
        Ok(output::print(form, &text)?)
    }
}
