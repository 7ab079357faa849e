//! Recording phases with the deployments and incidents that they are, a hundred cycles at a time.
//!
//! What is known of the cycles is read in a few statements, what changes is worked out in memory,
//! and only that is written: a file of a hundred thousand cycles takes seconds, and the same file
//! again only reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use atalaya_domain::delivery::cycle_facts::deployment_of;
use atalaya_domain::delivery::cycle_incidents::{self, BY_PERSON, beside_person};
use atalaya_domain::delivery::{Deployment, Incident, PhaseRecord};

use super::facts::{self, INSERT_DEPLOYMENTS, INSERT_INCIDENTS};
use super::phases::{
    Attempts, CycleDeployment, INSERT_PHASES, attempts_by_cycle, fold, in_order, summarise,
    update_phases, values_of,
};
use super::rows::{CycleRow, DeploymentRow, IncidentRow, PhaseRow};
use super::{CycleConflict, CyclesRecorded};
use crate::metrics::sql::{Connection, Failure, values};

/// Cycles worked on at once.
const CYCLES: usize = 100;

/// How much of what phases say is recorded with them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent<'o> {
    /// Only the phases and their cycle's row; what else they are comes as it is from elsewhere.
    PhasesAlone,
    /// Also the deployments and incidents that they are, unless the cycle is another one's.
    Cycles { origin: &'o str },
}

pub(super) async fn record(
    connection: &mut Connection<'_>,
    phases: &[PhaseRecord],
    extent: Extent<'_>,
) -> Result<CyclesRecorded, Failure> {
    // In the order of the keys, so that two writers do not wait for each other crosswise.
    let mut by_cycle: BTreeMap<&str, Vec<&PhaseRecord>> = BTreeMap::new();
    for phase in phases {
        by_cycle.entry(&phase.cycle_id).or_default().push(phase);
    }
    let cycles: Vec<(&str, Vec<&PhaseRecord>)> = by_cycle.into_iter().collect();
    let mut recorded = CyclesRecorded::default();
    for part in cycles.chunks(CYCLES) {
        let known = Known::read(connection, part).await?;
        let mut plans = Vec::new();
        for (cycle_id, phases) in part {
            match plan(cycle_id, phases, &known, extent)? {
                Ok(plan) => plans.push(plan),
                Err(conflict) => recorded.conflicts.push(conflict),
            }
        }
        let incidents = match extent {
            Extent::PhasesAlone => HashMap::new(),
            Extent::Cycles { .. } => Plan::known_incidents(connection, &plans).await?,
        };
        write_new(connection, &mut plans, &mut recorded).await?;
        for plan in plans {
            change(connection, plan, &incidents, &mut recorded).await?;
        }
    }
    Ok(recorded)
}

/// What the store has of some cycles.
struct Known {
    cycles: HashMap<String, CycleRow>,
    attempts: HashMap<String, Attempts>,
    deployments: HashMap<String, Vec<Deployment>>,
}

impl Known {
    async fn read(
        connection: &mut Connection<'_>,
        part: &[(&str, Vec<&PhaseRecord>)],
    ) -> Result<Self, Failure> {
        let ids: Vec<&str> = part.iter().map(|(cycle_id, _)| *cycle_id).collect();
        let rows: Vec<CycleRow> = connection
            .locked_rows_in("SELECT * FROM cycles WHERE cycle_id", &ids)
            .await?;
        let cycles: HashMap<String, CycleRow> = rows
            .into_iter()
            .map(|row| (row.cycle_id.clone(), row))
            .collect();
        // Of a cycle that is not there, nothing else can be: foreign keys hold.
        let there: Vec<&str> = ids
            .into_iter()
            .filter(|id| cycles.contains_key(*id))
            .collect();
        let mut deployments: HashMap<String, Vec<Deployment>> = HashMap::new();
        let rows: Vec<DeploymentRow> = connection
            .rows_in("SELECT * FROM deployments WHERE cycle_id", &there)
            .await?;
        for row in rows {
            let Some(cycle_id) = row.cycle_id.clone() else {
                continue;
            };
            // One that cannot be read is shown by the lists; here it is as if it were not.
            if let Ok(deployment) = row.into_deployment(Vec::new()) {
                deployments.entry(cycle_id).or_default().push(deployment);
            }
        }
        Ok(Self {
            attempts: attempts_by_cycle(connection, &there).await?,
            cycles,
            deployments,
        })
    }
}

/// What is to become of one cycle.
struct Plan<'p> {
    cycle_id: &'p str,
    known: Option<&'p CycleRow>,
    stored: Attempts,
    wanted: Attempts,
    inserted: Vec<(String, u32)>,
    unchanged: u64,
    updated: u64,
    /// Those of the given phases.
    deployments: Vec<Deployment>,
    unchanged_deployments: u64,
    /// All that the cycle tells of.
    incidents: Vec<Incident>,
    row: Option<CycleRow>,
}

fn plan<'p>(
    cycle_id: &'p str,
    phases: &[&PhaseRecord],
    known: &'p Known,
    extent: Extent<'_>,
) -> Result<Result<Plan<'p>, CycleConflict>, Failure> {
    let stored = known.attempts.get(cycle_id).cloned().unwrap_or_default();
    if matches!(extent, Extent::Cycles { .. })
        && let Some(conflict) = conflict(cycle_id, phases, &in_order(&stored))
    {
        return Ok(Err(conflict));
    }
    // Of one key the last one given counts.
    let mut wanted = stored.clone();
    let (mut inserted, mut unchanged, mut updated) = (Vec::new(), 0, 0);
    for phase in phases {
        let row = PhaseRow::of(phase)?;
        let key = (row.phase_name.clone(), phase.attempt);
        match wanted.insert(key.clone(), row.clone()) {
            Some(before) if before == row => unchanged += 1,
            Some(_) => updated += 1,
            None => inserted.push(key),
        }
    }
    let there = known
        .deployments
        .get(cycle_id)
        .map_or(&[][..], Vec::as_slice);
    let mut given: BTreeMap<String, Deployment> = match extent {
        Extent::PhasesAlone => BTreeMap::new(),
        Extent::Cycles { origin } => phases
            .iter()
            .filter_map(|phase| deployment_of(phase, origin))
            .map(|deployment| (deployment.id.clone(), deployment))
            .collect(),
    };
    let told = given.len();
    for deployment in there {
        if let Some(again) = given.get_mut(&deployment.id) {
            again.origin.clone_from(&deployment.origin);
            again.taken_back_by.clone_from(&deployment.taken_back_by);
            if again == deployment {
                given.remove(&deployment.id);
            }
        }
    }
    let unchanged_deployments = (told - given.len()) as u64;
    let mut all: Vec<&Deployment> = there
        .iter()
        .filter(|deployment| !given.contains_key(&deployment.id))
        .chain(given.values())
        .collect();
    all.sort_by(|one, other| (one.finished_at, &one.id).cmp(&(other.finished_at, &other.id)));
    let mut incidents = match extent {
        Extent::PhasesAlone => Vec::new(),
        Extent::Cycles { origin } => cycle_incidents::fold(&in_order(&wanted), origin),
    };
    for incident in &mut incidents {
        incident.caused_by = cycle_incidents::cause_in_cycle(incident, all.iter().copied())
            .map(|deployment| deployment.id.clone());
    }
    let of_cycle: Vec<CycleDeployment> = all.into_iter().map(CycleDeployment::of).collect();
    Ok(Ok(Plan {
        cycle_id,
        known: known.cycles.get(cycle_id),
        row: fold(cycle_id, &wanted, &of_cycle),
        stored,
        wanted,
        inserted,
        unchanged,
        updated,
        deployments: given.into_values().collect(),
        unchanged_deployments,
        incidents,
    }))
}

/// A cycle is of one feature and one team; what comes with its id and has neither in common with it
/// is another one. What comes together is one cycle, whatever its phases name.
fn conflict(
    cycle_id: &str,
    given: &[&PhaseRecord],
    stored: &[PhaseRecord],
) -> Option<CycleConflict> {
    let differs = |what: &'static str, of: &dyn Fn(&PhaseRecord) -> Option<String>| {
        let known: BTreeSet<String> = stored.iter().filter_map(of).collect();
        let told: Vec<String> = given.iter().filter_map(|phase| of(phase)).collect();
        let (known_as, given_as) = (known.first()?, told.first()?);
        (!told.iter().any(|one| known.contains(one))).then(|| CycleConflict {
            cycle_id: cycle_id.to_owned(),
            what,
            known: known_as.clone(),
            given: given_as.clone(),
        })
    };
    differs("feature", &|phase| Some(phase.feature_id.clone()))
        .or_else(|| differs("team", &|phase| phase.text("team")))
}

impl Plan<'_> {
    /// Incidents in the store that have the id of one that these cycles tell of, or told of.
    async fn known_incidents(
        connection: &mut Connection<'_>,
        plans: &[Self],
    ) -> Result<HashMap<String, Incident>, Failure> {
        let ids: Vec<String> = plans
            .iter()
            .filter(|plan| plan.known.is_some())
            .flat_map(Plan::incident_ids)
            .collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let rows: Vec<IncidentRow> = connection
            .rows_in("SELECT * FROM incidents WHERE id", &ids)
            .await?;
        Ok(rows
            .into_iter()
            .map(IncidentRow::into_incident)
            .map(|incident| (incident.id.clone(), incident))
            .collect())
    }

    fn incident_ids(&self) -> impl Iterator<Item = String> {
        self.wanted
            .keys()
            .map(|(phase, attempt)| format!("{}/{phase}#{attempt}", self.cycle_id))
            .filter(|id| cycle_incidents::is_of_cycle(id, self.cycle_id))
    }

    fn new_phases(&self) -> impl Iterator<Item = &PhaseRow> {
        self.inserted.iter().filter_map(|key| self.wanted.get(key))
    }
}

/// Writes the cycles that were not there, all in a few statements.
async fn write_new(
    connection: &mut Connection<'_>,
    plans: &mut Vec<Plan<'_>>,
    recorded: &mut CyclesRecorded,
) -> Result<(), Failure> {
    let (new, old): (Vec<Plan<'_>>, Vec<Plan<'_>>) = std::mem::take(plans)
        .into_iter()
        .partition(|plan| plan.known.is_none());
    *plans = old;
    let cycles: Vec<_> = new
        .iter()
        .filter_map(|plan| plan.row.as_ref())
        .map(|row| {
            values![
                &row.cycle_id,
                &row.feature_id,
                &row.team,
                &row.service,
                row.started_at,
                row.finished_at
            ]
            .to_vec()
        })
        .collect();
    connection
        .insert(
            "INSERT INTO cycles (cycle_id, feature_id, team, service, started_at, finished_at)",
            &cycles,
        )
        .await?;
    let phases: Vec<_> = new
        .iter()
        .flat_map(Plan::new_phases)
        .map(values_of)
        .collect();
    connection.insert(INSERT_PHASES, &phases).await?;
    let deployments: Vec<_> = new
        .iter()
        .flat_map(|plan| &plan.deployments)
        .map(facts::values_of_deployment)
        .collect();
    connection.insert(INSERT_DEPLOYMENTS, &deployments).await?;
    let incidents: Vec<_> = new
        .iter()
        .flat_map(|plan| &plan.incidents)
        .map(facts::values_of_incident)
        .collect();
    connection.insert(INSERT_INCIDENTS, &incidents).await?;
    recorded.phases.inserted += phases.len() as u64;
    recorded.deployments.inserted += deployments.len() as u64;
    recorded.incidents.inserted += incidents.len() as u64;
    for plan in &new {
        recorded.phases.unchanged += plan.unchanged;
        // The same key given twice with other values: only the last of them was written.
        recorded.phases.updated += plan.updated;
    }
    Ok(())
}

/// Writes what changes of a cycle that was there.
async fn change(
    connection: &mut Connection<'_>,
    plan: Plan<'_>,
    known_incidents: &HashMap<String, Incident>,
    recorded: &mut CyclesRecorded,
) -> Result<(), Failure> {
    recorded.phases.inserted += plan.inserted.len() as u64;
    recorded.phases.unchanged += plan.unchanged;
    recorded.phases.updated += plan.updated;
    let changed: Vec<&PhaseRow> = plan
        .stored
        .iter()
        .filter_map(|(key, old)| plan.wanted.get(key).filter(|row| *row != old))
        .collect();
    update_phases(connection, &changed).await?;
    let new: Vec<_> = plan.new_phases().map(values_of).collect();
    connection.insert(INSERT_PHASES, &new).await?;
    if let Some(row) = plan.row.as_ref().filter(|row| plan.known != Some(*row)) {
        summarise(connection, row).await?;
    }
    // Before the incidents, which may name them.
    recorded.deployments += facts::put_deployments(connection, &plan.deployments).await?;
    recorded.deployments.unchanged += plan.unchanged_deployments;

    let mut wanted = Vec::new();
    for told in plan.incidents.iter().cloned() {
        let stored = known_incidents.get(&told.id);
        let mut told = beside_person(told, stored);
        if let Some(stored) = stored {
            told.origin.clone_from(&stored.origin);
        }
        if stored == Some(&told) {
            recorded.incidents.unchanged += 1;
        } else {
            wanted.push(told);
        }
    }
    recorded.incidents += facts::put_incidents(connection, &wanted).await?;
    for gone in plan.incident_ids().filter(|id| {
        known_incidents
            .get(id)
            .is_some_and(|incident| incident.origin != BY_PERSON)
            && !plan.incidents.iter().any(|told| told.id == *id)
    }) {
        connection
            .execute("DELETE FROM incidents WHERE id = ?", values![&gone])
            .await?;
        recorded.incidents.updated += 1;
    }
    Ok(())
}
