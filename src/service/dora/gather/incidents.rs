//! Incidents by a person's word: opened, resolved, and laid to what caused them.

use std::time::Duration;

use atalaya_domain::delivery::Incident;
use atalaya_domain::delivery::cycle_incidents::BY_PERSON;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::record::RequestId;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, MetricsStore, Written};

use super::connect;

/// Ids that an error names.
const NAMED: usize = 5;
/// How far back from the last deployment those are looked for.
const LAST: Duration = Duration::from_hours(7 * 24);

#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error("there is no incident `{id}`; {known}")]
    Unknown { id: String, known: String },
    #[error(
        "incident `{id}` is there already and says something else; `atalaya dora incident resolve` and `link` change it"
    )]
    Exists { id: String },
    #[error("incident `{id}` opened at {opened_at}, which is after {resolved_at}")]
    EndsBeforeItBegins {
        id: String,
        opened_at: String,
        resolved_at: String,
    },
    #[error("there is no deployment `{id}`; {known}")]
    NoDeployment { id: String, known: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IncidentError {
    /// Who has to do what before the same succeeds.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown { .. } | Self::NoDeployment { .. } => ErrorClass::Missing,
            Self::Exists { .. } | Self::EndsBeforeItBegins { .. } => ErrorClass::Usage,
            Self::Store(error) => error.class(),
        }
    }
}

/// What an incident is laid to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A deployment of the store.
    Deployment(String),
    /// A cycle: its last deployment before the incident.
    Cycle(String),
    /// A commit: the deployment that is of it, or that carried it first.
    Commit(String),
    /// The deployment with the same request id, which also leads to the logs.
    Request(RequestId),
}

/// An incident as a person opens it.
#[derive(Clone, Debug)]
pub struct NewIncident {
    pub id: String,
    pub title: String,
    pub service: Option<String>,
    pub severity: Option<String>,
    pub opened_at: Timestamp,
    pub request_id: Option<RequestId>,
    pub cause: Option<Cause>,
}

/// Opens an incident; the same one again changes nothing.
pub async fn open(
    store: &dyn MetricsStore,
    new: NewIncident,
) -> Result<(Incident, Written), IncidentError> {
    let mut incident = Incident {
        id: new.id,
        title: new.title,
        service: new.service,
        severity: new.severity,
        opened_at: new.opened_at,
        resolved_at: None,
        cause: None,
        caused_by: None,
        request_id: new.request_id,
        origin: BY_PERSON.to_owned(),
    };
    if let Some(cause) = new.cause {
        lay(store, &mut incident, cause).await?;
    }
    match store.incident(&incident.id).await? {
        // It may have been resolved and laid to something since.
        Some(known) if says_the_same(&incident, &known) => incident = known,
        Some(_) => return Err(IncidentError::Exists { id: incident.id }),
        None => {}
    }
    put(store, incident).await
}

/// Whether what was typed is what is known; what was not typed may be known.
fn says_the_same(typed: &Incident, known: &Incident) -> bool {
    typed.title == known.title
        && typed.opened_at == known.opened_at
        && (typed.service.is_none() || typed.service == known.service)
        && (typed.severity.is_none() || typed.severity == known.severity)
        && (typed.cause.is_none() || typed.cause == known.cause)
        && (typed.request_id.is_none() || typed.request_id == known.request_id)
}

/// Ends an incident; a later word about its end counts.
pub async fn resolve(
    store: &dyn MetricsStore,
    id: &str,
    resolved_at: Timestamp,
) -> Result<(Incident, Written), IncidentError> {
    let mut incident = known(store, id).await?;
    if resolved_at < incident.opened_at {
        return Err(IncidentError::EndsBeforeItBegins {
            id: id.to_owned(),
            opened_at: incident.opened_at.to_rfc3339(),
            resolved_at: resolved_at.to_rfc3339(),
        });
    }
    incident.resolved_at = Some(resolved_at);
    put(store, incident).await
}

/// Lays an incident to its cause.
pub async fn link(
    store: &dyn MetricsStore,
    id: &str,
    cause: Cause,
) -> Result<(Incident, Written), IncidentError> {
    let mut incident = known(store, id).await?;
    lay(store, &mut incident, cause).await?;
    put(store, incident).await
}

async fn put(
    store: &dyn MetricsStore,
    mut incident: Incident,
) -> Result<(Incident, Written), IncidentError> {
    BY_PERSON.clone_into(&mut incident.origin);
    let written = store.put_incidents(std::slice::from_ref(&incident)).await?;
    connect(store, BY_PERSON, false, true, incident.opened_at).await?;
    Ok((incident, written))
}

async fn known(store: &dyn MetricsStore, id: &str) -> Result<Incident, IncidentError> {
    if let Some(incident) = store.incident(id).await? {
        return Ok(incident);
    }
    let all = store.incidents(&DeliveryFilter::default()).await?;
    let ids = all.iter().rev().map(|incident| incident.id.as_str());
    Err(IncidentError::Unknown {
        id: id.to_owned(),
        known: last_of(ids, "none is known yet"),
    })
}

/// A cycle or a commit may become known later; a deployment that is not there is a slip.
async fn lay(
    store: &dyn MetricsStore,
    incident: &mut Incident,
    cause: Cause,
) -> Result<(), IncidentError> {
    match cause {
        Cause::Deployment(id) => {
            if store.deployment(&id).await?.is_none() {
                let known = last_deployments(store).await?;
                return Err(IncidentError::NoDeployment { id, known });
            }
            incident.cause = Some(id);
        }
        Cause::Cycle(id) | Cause::Commit(id) => incident.cause = Some(id),
        Cause::Request(id) => {
            incident.cause = None;
            incident.request_id = Some(id);
        }
    }
    Ok(())
}

/// The last deployments, for an error that could not find one.
async fn last_deployments(store: &dyn MetricsStore) -> Result<String, StoreError> {
    let mut filter = DeliveryFilter::default();
    if let Some(last) = store.last_deployed(&filter).await? {
        let until = last.saturating_add(Duration::from_secs(1));
        filter.range = Some(TimeRange::ending(until, LAST));
    }
    let found = store.deployments(&filter).await?.read;
    let ids = found.iter().rev().map(|deployment| deployment.id.as_str());
    Ok(last_of(
        ids,
        "none is known yet; `atalaya dora sync` reads them",
    ))
}

fn last_of<'i>(ids: impl Iterator<Item = &'i str>, none: &str) -> String {
    let ids: Vec<&str> = ids.take(NAMED).collect();
    if ids.is_empty() {
        none.to_owned()
    } else {
        format!("the last ones are {}", ids.join(", "))
    }
}
