//! `atalaya dora incident`: name one, its cause and its end.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::output::Form;
use super::super::{Context, UsageError, output};
use super::{changes, time, warn_of_future};
use crate::service;
use crate::service::dora::{self, Cause, NewIncident};
use atalaya_domain::delivery::Incident;
use atalaya_domain::record::RequestId;
use atalaya_store::metrics::{DeliveryFilter, Written};

const EXAMPLES: &str = "\
Examples:
  atalaya dora incident open --title 'checkout is down' --service shop --deployment shop@v1.4.0
  atalaya dora incident open --id INC-7 --title 'no mails' --at 2026-11-22T14:05:00Z
  atalaya dora incident link INC-7 --commit 0a1b2c3
  atalaya dora incident resolve INC-7 --at 2026-11-22T15:30:00Z
  atalaya dora incident list";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: IncidentCommand,
}

#[derive(Debug, Subcommand)]
enum IncidentCommand {
    /// Begin an incident; the same one again changes nothing.
    Open(OpenArgs),
    /// End an incident.
    Resolve(ResolveArgs),
    /// Lay an incident to what caused it.
    Link(LinkArgs),
    /// The incidents that are known, newest first.
    List(ListArgs),
}

/// What caused it.
#[derive(Debug, clap::Args)]
struct CauseArgs {
    /// The deployment that caused it, by its id.
    #[arg(long, value_name = "ID")]
    deployment: Option<String>,
    /// The cycle whose deployment caused it.
    #[arg(long, value_name = "ID")]
    cycle: Option<String>,
    /// The commit that caused it (seven digits will do): the deployment that carried it.
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// A request: leads to its logs, and to the deployment with the same one.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  atalaya dora incident open --title 'checkout is down' --service shop"
)]
struct OpenArgs {
    /// [default: a new one].
    #[arg(long)]
    id: Option<String>,
    #[arg(long)]
    title: String,
    /// What it happened to; without a cause, the last deployment of it is taken for the cause.
    #[arg(long)]
    service: Option<String>,
    #[arg(long)]
    severity: Option<String>,
    /// When it began, as 2026-11-22T14:05:00Z [default: now].
    #[arg(long)]
    at: Option<String>,
    #[command(flatten)]
    cause: CauseArgs,
    /// Print the incident as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  atalaya dora incident resolve INC-7 --at 2026-11-22T15:30:00Z")]
struct ResolveArgs {
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// When it was over, as 2026-11-22T15:30:00Z [default: now].
    #[arg(long)]
    at: Option<String>,
    /// Print the incident as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  atalaya dora incident link INC-7 --deployment shop@v1.4.0")]
struct LinkArgs {
    #[arg(value_name = "INCIDENT")]
    id: String,
    #[command(flatten)]
    cause: CauseArgs,
    /// Print the incident as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  atalaya dora incident list --json")]
struct ListArgs {
    /// Print the incidents as one JSON array.
    #[arg(long)]
    json: bool,
}

impl CauseArgs {
    /// At most one cause; a request id may stand beside it.
    fn read(self) -> Result<(Option<Cause>, Option<RequestId>), UsageError> {
        let mut causes = [
            self.deployment.map(Cause::Deployment),
            self.cycle.map(Cause::Cycle),
            self.commit.map(Cause::Commit),
        ]
        .into_iter()
        .flatten();
        let cause = causes.next();
        if causes.next().is_some() {
            return Err(UsageError(
                "an incident has one cause; give one of --deployment, --cycle and --commit"
                    .to_owned(),
            ));
        }
        if let Some(Cause::Deployment(text) | Cause::Cycle(text) | Cause::Commit(text)) = &cause
            && text.trim().is_empty()
        {
            return Err(UsageError("the cause is empty; name one".to_owned()));
        }
        if let Some(Cause::Commit(sha)) = &cause
            && !(sha.len() >= 7 && sha.bytes().all(|digit| digit.is_ascii_hexdigit()))
        {
            return Err(UsageError(format!(
                "`{sha}` is no commit; seven or more of its hexadecimal digits name one"
            )));
        }
        Ok((cause, self.request_id.map(RequestId::new)))
    }
}

pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let store = service::open_metrics(&context.settings).await?;
    let ((incident, written), as_json) = match args.command {
        IncidentCommand::List(args) => {
            let mut incidents = store.incidents(&DeliveryFilter::default()).await?;
            incidents.reverse();
            return list(&incidents, args.json);
        }
        IncidentCommand::Open(args) => {
            let opened_at = time(args.at.as_deref(), context)?;
            warn_of_future("the incident", opened_at);
            if args.title.trim().is_empty() {
                return Err(UsageError("--title is empty; say what is broken".to_owned()).into());
            }
            let (cause, request_id) = args.cause.read()?;
            let new = NewIncident {
                id: args
                    .id
                    .filter(|id| !id.trim().is_empty())
                    .unwrap_or_else(|| format!("inc-{:08x}", rand::random::<u32>())),
                title: args.title,
                service: args.service,
                severity: args.severity,
                opened_at,
                request_id,
                cause,
            };
            (dora::open(&*store, new).await?, args.json)
        }
        IncidentCommand::Resolve(args) => {
            let at = time(args.at.as_deref(), context)?;
            warn_of_future("the end of the incident", at);
            (dora::resolve(&*store, &args.id, at).await?, args.json)
        }
        IncidentCommand::Link(args) => {
            let (cause, request_id) = args.cause.read()?;
            let causes: Vec<Cause> = request_id
                .map(Cause::Request)
                .into_iter()
                .chain(cause)
                .collect();
            let mut done = None;
            for cause in causes {
                done = Some(dora::link(&*store, &args.id, cause).await?);
            }
            let Some(done) = done else {
                return Err(UsageError(
                    "name the cause with --deployment, --cycle, --commit or --request-id"
                        .to_owned(),
                )
                .into());
            };
            (done, args.json)
        }
    };
    tell(&incident, written, as_json)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(incident: &Incident, written: Written, as_json: bool) -> std::io::Result<()> {
    let text = if as_json {
        let mut shown = json_of(incident);
        shown["written"] = json!(written);
        format!("{shown:#}\n")
    } else {
        format!("{}; {}\n", line(incident), changes(written))
    };
    output::print(Form::of(as_json), &text)
}

fn list(incidents: &[Incident], as_json: bool) -> anyhow::Result<ExitCode> {
    let text = if as_json {
        let all: Vec<Value> = incidents.iter().map(json_of).collect();
        format!("{:#}\n", json!(all))
    } else if incidents.is_empty() {
        "no incident is known; `atalaya dora incident open` begins one\n".to_owned()
    } else {
        incidents
            .iter()
            .map(|incident| format!("{}\n", line(incident)))
            .collect()
    };
    output::print(Form::of(as_json), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn line(incident: &Incident) -> String {
    let end = incident.resolved_at.map_or_else(
        || "open".to_owned(),
        |at| format!("resolved {}", at.to_rfc3339()),
    );
    let cause = incident
        .cause
        .as_ref()
        .or(incident.caused_by.as_ref())
        .map(|cause| format!(", caused by {cause}"))
        .unwrap_or_default();
    let request = incident
        .request_id
        .as_ref()
        .map(|id| format!(", request {}", id.as_str()))
        .unwrap_or_default();
    format!(
        "{}: {}; opened {}, {end}{cause}{request}",
        incident.id,
        incident.title,
        incident.opened_at.to_rfc3339()
    )
}

fn json_of(incident: &Incident) -> Value {
    json!({
        "id": incident.id,
        "title": incident.title,
        "service": incident.service,
        "severity": incident.severity,
        "opened_at": incident.opened_at.to_rfc3339(),
        "resolved_at": incident.resolved_at.map(atalaya_domain::time::Timestamp::to_rfc3339),
        "cause": incident.cause.as_ref().or(incident.caused_by.as_ref()),
        "request_id": incident.request_id.as_ref().map(RequestId::as_str),
        "origin": incident.origin,
    })
}
