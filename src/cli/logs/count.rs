//! `atalaya logs --count`: what matches, in groups.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::{Printer, wrong_query};
use crate::cli::output::{self, Form};
use crate::cli::{Context, progress};
use crate::report::groups;
use atalaya_query::{Aggregate, Query};
use atalaya_store::engine::aggregate::Groups;

/// Rows of a table on a terminal, where nothing was said about `top`.
const SCREENFUL: usize = 50;

pub(super) async fn run(
    words: &str,
    query: &Query,
    printer: Printer,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let by = Aggregate::parse(words).map_err(|wrong| wrong_query(words, &wrong))?;
    let stores = context.stores().await?;
    let zone = printer.style.zone;
    let bar = progress::counted("counting".to_owned(), "records");
    let found = stores
        .logs
        .aggregate(query, &by, zone, &CancellationToken::new())
        .await;
    bar.finish_and_clear();
    let found = found?;
    if printer.json {
        let mut text = String::new();
        for group in &found.rows {
            text.push_str(&groups::group_json(&by, group).to_string());
            text.push('\n');
        }
        output::print(Form::Json, &text)?;
    } else if !found.rows.is_empty() {
        let terminal = std::io::stdout().is_terminal();
        let whole = !terminal || by.top.is_some() || found.rows.len() <= SCREENFUL;
        let rows = if whole {
            &found.rows
        } else {
            &found.rows[..SCREENFUL]
        };
        let time = |at| printer.style.second(at);
        // Values of fields are made safe cell by cell.
        output::print(Form::Own, &groups::table(&by, rows, time, terminal))?;
        if !whole {
            output::note(&format!(
                "the first {SCREENFUL} of {} rows are shown; `top N` or a pipe gives more",
                found.rows.len()
            ));
        }
    }
    say_totals(&found);
    Ok(ExitCode::SUCCESS)
}

/// On standard error: what the rows leave open.
fn say_totals(found: &Groups) {
    if found.total == 0 {
        output::note(&format!(
            "no record matches: scanned {} records in {} of {} chunks",
            found.scanned.records, found.scanned.chunks_read, found.scanned.chunks
        ));
    } else if found.others > 0 || found.cut || std::io::stderr().is_terminal() {
        output::note(&groups::totals_text(found));
    }
}
