//! Sources, targets and health samples.

use std::collections::BTreeMap;

use crate::metrics::{HealthSample, SourceRun, Target, Written};
use atalaya_domain::time::{TimeRange, Timestamp};

use super::connection::{Connection, Failure, locking, values};

pub(super) async fn put_source(
    connection: &mut Connection<'_>,
    run: &SourceRun,
) -> Result<Written, Failure> {
    let known: Option<(i64,)> = connection
        .row(
            locking!("SELECT synced_at FROM sources WHERE name = ?"),
            values![&run.name],
        )
        .await?;
    // The same four values in the same order for both.
    let (sql, written) = match known {
        Some(_) => (
            "UPDATE sources SET gives_deployments = ?, gives_incidents = ?, synced_at = ? WHERE name = ?",
            Written {
                updated: 1,
                ..Written::default()
            },
        ),
        None => (
            "INSERT INTO sources (gives_deployments, gives_incidents, synced_at, name) VALUES (?, ?, ?, ?)",
            Written {
                inserted: 1,
                ..Written::default()
            },
        ),
    };
    connection
        .execute(
            sql,
            values![
                run.gives_deployments,
                run.gives_incidents,
                run.synced_at,
                &run.name
            ],
        )
        .await?;
    Ok(written)
}

pub(super) async fn sources(connection: &mut Connection<'_>) -> Result<Vec<SourceRun>, Failure> {
    let rows: Vec<(String, bool, bool, i64)> = connection
        .rows(
            "SELECT name, gives_deployments, gives_incidents, synced_at FROM sources ORDER BY name",
            &[],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(name, gives_deployments, gives_incidents, synced_at)| SourceRun {
                name,
                gives_deployments,
                gives_incidents,
                synced_at: Timestamp::from_micros(synced_at),
            },
        )
        .collect())
}

pub(super) async fn put_target(
    connection: &mut Connection<'_>,
    target: &Target,
) -> Result<Written, Failure> {
    let service = target.service.as_deref().unwrap_or_default();
    let team = target.team.as_deref().unwrap_or_default();
    let known: Option<(f64,)> = connection
        .row(
            locking!("SELECT value FROM targets WHERE metric = ? AND service = ? AND team = ?"),
            values![&target.metric, service, team],
        )
        .await?;
    let (sql, written) = match known {
        Some((value,)) if value.to_bits() == target.value.to_bits() => {
            return Ok(Written {
                unchanged: 1,
                ..Written::default()
            });
        }
        Some(_) => (
            "UPDATE targets SET value = ?, set_at = ? WHERE metric = ? AND service = ? AND team = ?",
            Written {
                updated: 1,
                ..Written::default()
            },
        ),
        None => (
            "INSERT INTO targets (value, set_at, metric, service, team) VALUES (?, ?, ?, ?, ?)",
            Written {
                inserted: 1,
                ..Written::default()
            },
        ),
    };
    connection
        .execute(
            sql,
            values![target.value, target.set_at, &target.metric, service, team],
        )
        .await?;
    Ok(written)
}

pub(super) async fn targets(connection: &mut Connection<'_>) -> Result<Vec<Target>, Failure> {
    let rows: Vec<(String, String, String, f64, i64)> = connection
        .rows("SELECT metric, service, team, value, set_at FROM targets ORDER BY metric, service, team", &[])
        .await?;
    let named = |name: String| (!name.is_empty()).then_some(name);
    Ok(rows
        .into_iter()
        .map(|(metric, service, team, value, set_at)| Target {
            metric,
            service: named(service),
            team: named(team),
            value,
            set_at: Timestamp::from_micros(set_at),
        })
        .collect())
}

pub(super) async fn put_health_samples(
    connection: &mut Connection<'_>,
    samples: &[HealthSample],
) -> Result<Written, Failure> {
    let mut written = Written::default();
    // Samples are taken in rounds: what is stored of a round is one question.
    let mut rounds: BTreeMap<Timestamp, Vec<&HealthSample>> = BTreeMap::new();
    for sample in samples {
        rounds.entry(sample.taken_at).or_default().push(sample);
    }
    for (taken_at, samples) in rounds {
        let known: Vec<(String, String, f64)> = connection
            .rows(
                locking!("SELECT component, measure, value FROM health_samples WHERE taken_at = ?"),
                values![taken_at],
            )
            .await?;
        let known: BTreeMap<(&str, &str), f64> = known
            .iter()
            .map(|(component, measure, value)| ((component.as_str(), measure.as_str()), *value))
            .collect();
        // Of one key the last one given counts.
        let mut wanted = known.clone();
        for sample in samples {
            let key = (sample.component.as_str(), sample.measure.as_str());
            match wanted.insert(key, sample.value) {
                Some(value) if value.to_bits() == sample.value.to_bits() => written.unchanged += 1,
                Some(_) => written.updated += 1,
                None => written.inserted += 1,
            }
        }
        let mut new = Vec::new();
        for ((component, measure), value) in &wanted {
            match known.get(&(*component, *measure)) {
                Some(known) if known.to_bits() == value.to_bits() => {}
                Some(_) => {
                    connection
                        .execute(
                            "UPDATE health_samples SET value = ?
                             WHERE component = ? AND measure = ? AND taken_at = ?",
                            values![*value, *component, *measure, taken_at],
                        )
                        .await?;
                }
                None => new.push(values![*component, *measure, taken_at, *value].to_vec()),
            }
        }
        connection
            .insert(
                "INSERT INTO health_samples (component, measure, taken_at, value)",
                &new,
            )
            .await?;
    }
    Ok(written)
}

pub(super) async fn health_samples(
    connection: &mut Connection<'_>,
    component: Option<&str>,
    range: TimeRange,
    limit: u32,
) -> Result<Vec<HealthSample>, Failure> {
    let rows: Vec<(String, String, i64, f64)> = connection
        .rows(
            "SELECT component, measure, taken_at, value FROM health_samples
             WHERE taken_at >= ? AND taken_at < ? AND (? IS NULL OR component = ?)
             ORDER BY taken_at DESC, component DESC, measure DESC LIMIT ?",
            values![range.from, range.until, component, component, limit],
        )
        .await?;
    Ok(rows
        .into_iter()
        .rev()
        .map(|(component, measure, taken_at, value)| HealthSample {
            component,
            measure,
            taken_at: Timestamp::from_micros(taken_at),
            value,
        })
        .collect())
}

pub(super) async fn prune_health_samples(
    connection: &mut Connection<'_>,
    before: Timestamp,
) -> Result<Written, Failure> {
    let deleted = connection
        .execute(
            "DELETE FROM health_samples WHERE taken_at < ?",
            values![before],
        )
        .await?;
    Ok(Written {
        updated: deleted,
        ..Written::default()
    })
}
