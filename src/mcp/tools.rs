//! All tools: what each is called, takes and does.

use std::sync::Arc;

use futures::future::BoxFuture;
use rmcp::handler::server::tool::schema_for_type;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;

use super::answer::{Found, Wrong};
use super::{Mcp, delivery, logs, operation};

type Call = fn(Mcp, Value) -> BoxFuture<'static, Result<Found, Wrong>>;

/// One tool.
#[derive(Clone, Copy)]
pub struct Spec {
    pub name: &'static str,
    what: &'static str,
    schema: fn() -> Arc<JsonObject>,
    pub call: Call,
}

/// A tool from its name, its words, its arguments and its function.
macro_rules! tool {
    ($name:literal, $what:literal, $module:ident :: $function:ident ( $arguments:ident )) => {
        Spec {
            name: $name,
            what: $what,
            schema: schema_for_type::<$module::$arguments>,
            call: |mcp, given| {
                Box::pin(async move {
                    let asked: $module::$arguments = super::answer::arguments(given)?;
                    $module::$function(&mcp, asked).await
                })
            },
        }
    };
}

const ALL: [Spec; 12] = [
    tool!(
        "search_logs",
        "Log records that match a query, newest first, by pages.",
        logs::search(Search)
    ),
    tool!(
        "trace_request",
        "Everything that carries a request id, in time order: records of both log layers, phases, deployments, incidents.",
        logs::trace(Trace)
    ),
    tool!(
        "log_histogram",
        "Counts of records by level over time.",
        logs::histogram(Counts)
    ),
    tool!(
        "error_patterns",
        "The newest errors folded by their message: what happens how often, and since when.",
        logs::patterns(Patterns)
    ),
    tool!(
        "list_services",
        "Services that were deployed, each with its last deployment.",
        delivery::services(Services)
    ),
    tool!(
        "dora_report",
        "The five DORA metrics of a window: value, unit, samples, interval, level, previous value, rule.",
        delivery::report(Report)
    ),
    tool!(
        "explain_metric",
        "The rows behind one DORA metric, its rule, and what was left out and why.",
        delivery::explain(Explain)
    ),
    tool!(
        "list_deployments",
        "Deployments of a window, newest first, with lead time, failure and recovery.",
        delivery::deployments(List)
    ),
    tool!(
        "list_incidents",
        "Incidents of a window, newest first, each with the deployment that it is laid to.",
        delivery::incidents(List)
    ),
    tool!(
        "list_alerts",
        "Alerts that fire or are about to; with history those that fired.",
        operation::alerts(Alerts)
    ),
    tool!(
        "pdca_cycles",
        "Plan-Do-Check-Act cycles with state, baseline, target and decision.",
        operation::pdca(Pages)
    ),
    tool!(
        "health",
        "Checks of the host, the stores and the followed files, measured now.",
        operation::health(Nothing)
    ),
];

/// The tool of this name.
pub fn named(name: &str) -> Option<Spec> {
    ALL.into_iter().find(|tool| tool.name == name)
}

/// All of them, as a client is told.
pub fn list() -> Vec<Tool> {
    ALL.into_iter()
        .map(|spec| {
            let mut tool = Tool::new(spec.name, spec.what, (spec.schema)());
            tool.annotations = Some(ToolAnnotations::new().read_only(true).open_world(false));
            tool
        })
        .collect()
}
