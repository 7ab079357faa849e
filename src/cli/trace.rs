//! `atalaya trace`: everything that carries a request id, as a waterfall.

use super::output::Form;
use std::process::ExitCode;
use std::time::Duration;

use crate::report::{record_json, record_text};
use crate::service::trace::{self, TraceOptions};
use crate::shown::Shown;
use atalaya_domain::record::RequestId;
use atalaya_query::Zone;

use super::{Context, logs, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Records of both log layers and the deployments, incidents and phases with the id, in time order,
whatever their age. The exit code is 1 when nothing carries any of the ids.

Examples:
  atalaya trace req-42
  atalaya trace req-42 req-43 --gap-ms 200
  atalaya trace 0af7651916cd43dd8448eb211c80319c --json | jq -r .message")]
pub struct Args {
    #[arg(value_name = "REQUEST_ID", required = true)]
    pub request_ids: Vec<String>,

    /// One JSON object a line, in the shape of `atalaya logs --json`.
    #[arg(long)]
    pub json: bool,

    /// Mark pauses of at least this long.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub gap_ms: u64,

    /// Most records of each request.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,

    /// Print times in UTC instead of this host's zone.
    #[arg(long)]
    pub utc: bool,
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let zone = if args.utc { Zone::Utc } else { Zone::Local };
    let stores = context.stores().await?;
    let ids: Vec<RequestId> = args
        .request_ids
        .iter()
        .map(|id| RequestId::new(id.as_str()))
        .collect();
    let options = TraceOptions {
        limit: args.limit.max(1),
        gap: Duration::from_millis(args.gap_ms),
    };
    let found = trace::trace(&stores, &ids, options).await?;
    if let Some(reason) = &found.without_metrics {
        output::note(&format!(
            "only the logs were searched, as the metrics cannot be read: {reason}"
        ));
    }
    if found.rows.is_empty() {
        let names: Vec<String> = args
            .request_ids
            .iter()
            .map(|id| Shown::line(id).to_string())
            .collect();
        output::note(&format!(
            "nothing carries the request id {}",
            names.join(" or ")
        ));
        return Ok(ExitCode::FAILURE);
    }
    if args.json {
        let mut text = String::new();
        for row in &found.rows {
            text.push_str(&record_json::trace_line(row)?);
            text.push('\n');
        }
        output::print(Form::Json, &text)?;
        if found.omitted > 0 {
            output::note(&format!(
                "{} later records are left out; --limit takes more",
                found.omitted
            ));
        }
    } else {
        output::print(Form::Own, &record_text::trace(&found, logs::style(zone)))?;
    }
    Ok(ExitCode::SUCCESS)
}
