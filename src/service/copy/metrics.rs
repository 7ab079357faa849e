//! Metrics from one store to another, table by table, each row by its key.
//!
//! A row that the destination has already under the same key becomes what the source says; events
//! of a PDCA cycle are appended in their order, and a history that differs is refused. Running it
//! again changes nothing, so there is nothing to remember between two runs.

use std::collections::HashSet;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{DeliveryFilter, HealthSample, MetricsStore, Rows, Written};

use super::{CopyError, Progress, Stage, Sum, Watch, short};

/// Rows written in one call.
const BATCH: usize = 500;
/// Samples read at once.
const SAMPLES: u32 = 5_000;
/// Rows named in a report of what is missing.
const EXAMPLES: usize = 5;

/// Rows are read by slices of this width between the two years, so that no read holds more than a
/// year of them; what lies outside is one slice on each side.
const SLICE_MICROS: i64 = 31_556_952 * 1_000_000;
const YEAR_2000: i64 = 946_684_800 * 1_000_000;
const SLICES: i64 = 100;

/// One table, as it was written and as both sides have it.
#[derive(Clone, Debug)]
pub struct TableCopied {
    pub name: &'static str,
    pub written: Written,
    /// All rows of the source.
    pub from: Sum,
    /// Those of them that the destination has, just so.
    pub to: Sum,
    pub missing_examples: Vec<String>,
}

impl TableCopied {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            written: Written {
                inserted: 0,
                updated: 0,
                unchanged: 0,
            },
            from: Sum { count: 0, sum: 0 },
            to: Sum { count: 0, sum: 0 },
            missing_examples: Vec::new(),
        }
    }

    pub fn is_equal(&self) -> bool {
        self.from == self.to
    }

    fn wrote(&mut self, written: Written) {
        self.written += written;
    }

    /// Looks for each row of `from` among those of `to`; `name` says which one it is.
    fn compare<T: Serialize>(&mut self, from: &[T], to: &[T], name: impl Fn(&T) -> String) {
        let stored: HashSet<u128> = to.iter().map(hash_of).collect();
        for row in from {
            let hash = hash_of(row);
            self.from.add(hash);
            if stored.contains(&hash) {
                self.to.add(hash);
            } else if self.missing_examples.len() < EXAMPLES {
                self.missing_examples.push(name(row));
            }
        }
    }
}

/// Copies everything and compares both sides.
pub async fn copy(
    from: &dyn MetricsStore,
    to: &dyn MetricsStore,
    cancel: &CancellationToken,
    watch: Watch<'_>,
) -> Result<Vec<TableCopied>, CopyError> {
    let copy = Copy {
        from,
        to,
        cancel,
        watch,
    };
    let mut tables = Tables::default();
    copy.write(&mut tables).await?;
    copy.compare(&mut tables).await?;
    Ok(tables.into_list())
}

struct Tables {
    sources: TableCopied,
    targets: TableCopied,
    deployments: TableCopied,
    incidents: TableCopied,
    phases: TableCopied,
    cycles: TableCopied,
    pdca_events: TableCopied,
    health_samples: TableCopied,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            sources: TableCopied::new("sources"),
            targets: TableCopied::new("targets"),
            deployments: TableCopied::new("deployments"),
            incidents: TableCopied::new("incidents"),
            phases: TableCopied::new("phases"),
            cycles: TableCopied::new("cycles"),
            pdca_events: TableCopied::new("pdca_events"),
            health_samples: TableCopied::new("health_samples"),
        }
    }
}

impl Tables {
    fn into_list(self) -> Vec<TableCopied> {
        vec![
            self.sources,
            self.targets,
            self.deployments,
            self.incidents,
            self.phases,
            self.cycles,
            self.pdca_events,
            self.health_samples,
        ]
    }
}

struct Copy<'a> {
    from: &'a dyn MetricsStore,
    to: &'a dyn MetricsStore,
    cancel: &'a CancellationToken,
    watch: Watch<'a>,
}

impl Copy<'_> {
    fn reading(&self, source: StoreError) -> CopyError {
        CopyError::Read {
            address: self.from.address(),
            source,
        }
    }

    fn writing(&self, source: StoreError) -> CopyError {
        CopyError::Write {
            address: self.to.address(),
            source,
        }
    }

    /// A list leaves out a row that it cannot read; a copy that did so would lose it.
    fn whole<T>(&self, rows: Rows<T>) -> Result<Vec<T>, CopyError> {
        match rows.unreadable.into_iter().next() {
            None => Ok(rows.read),
            Some(row) => Err(self.reading(StoreError::Corrupt {
                table: row.table,
                detail: row.detail,
            })),
        }
    }

    /// Says that another step is done, or stops.
    fn step(&self, stage: Stage, done: u64) -> Result<(), CopyError> {
        (self.watch)(Progress {
            stage,
            done,
            total: STEPS,
        });
        if self.cancel.is_cancelled() {
            Err(CopyError::Cancelled)
        } else {
            Ok(())
        }
    }

    async fn write(&self, tables: &mut Tables) -> Result<(), CopyError> {
        let reading = |error| self.reading(error);
        let writing = |error| self.writing(error);
        let known = self.to.sources().await.map_err(writing)?;
        for run in self.from.sources().await.map_err(reading)? {
            // The destination may have been read on meanwhile.
            if known
                .iter()
                .any(|known| known.name == run.name && known.synced_at >= run.synced_at)
            {
                tables.sources.written.unchanged += 1;
                continue;
            }
            self.to.put_source(&run).await.map_err(writing)?;
            tables.sources.written.inserted += 1;
        }
        for repository in self.from.repositories().await.map_err(reading)? {
            self.to.put_repository(&repository).await.map_err(writing)?;
        }
        for target in self.from.targets().await.map_err(reading)? {
            tables
                .targets
                .wrote(self.to.put_target(&target).await.map_err(writing)?);
        }
        for (index, range) in (0..).zip(slices()) {
            let filter = of(range);
            // Before the incidents, which name them.
            let deployments = self.from.deployments(&filter).await.map_err(reading)?;
            for rows in self.whole(deployments)?.chunks(BATCH) {
                tables
                    .deployments
                    .wrote(self.to.put_deployments(rows).await.map_err(writing)?);
            }
            let phases = self.from.phases(&filter).await.map_err(reading)?;
            for rows in self.whole(phases)?.chunks(BATCH) {
                tables
                    .phases
                    .wrote(self.to.record_phases(rows).await.map_err(writing)?);
            }
            self.step(Stage::Copying, index)?;
        }
        let all = DeliveryFilter::default();
        for rows in self
            .from
            .incidents(&all)
            .await
            .map_err(reading)?
            .chunks(BATCH)
        {
            tables
                .incidents
                .wrote(self.to.put_incidents(rows).await.map_err(writing)?);
        }
        for event in self.from.pdca_events(None).await.map_err(reading)? {
            tables
                .pdca_events
                .wrote(self.to.append_pdca_event(&event).await.map_err(writing)?);
        }
        let mut samples = Samples::new(self.from);
        while let Some(page) = samples.next().await.map_err(reading)? {
            for rows in page.chunks(BATCH) {
                tables
                    .health_samples
                    .wrote(self.to.put_health_samples(rows).await.map_err(writing)?);
            }
            self.step(Stage::Copying, STEPS)?;
        }
        Ok(())
    }

    async fn compare(&self, tables: &mut Tables) -> Result<(), CopyError> {
        let reading = |error| self.reading(error);
        let writing = |error| self.writing(error);
        let sources = self.to.sources().await.map_err(writing)?;
        let expected: Vec<_> = self.from.sources().await.map_err(reading)?;
        // One that the destination has read later itself is newer than expected, and as good.
        let stored: Vec<_> = expected
            .iter()
            .filter(|run| {
                sources
                    .iter()
                    .any(|known| known.name == run.name && known.synced_at >= run.synced_at)
            })
            .cloned()
            .collect();
        tables
            .sources
            .compare(&expected, &stored, |run| run.name.clone());
        let targets = self.to.targets().await.map_err(writing)?;
        let expected: Vec<_> = self.from.targets().await.map_err(reading)?;
        // When it was set is kept of the first to say so.
        let as_known = |target: &atalaya_store::metrics::Target| {
            (
                target.metric.clone(),
                target.service.clone(),
                target.team.clone(),
                target.value,
            )
        };
        tables.targets.compare(
            &expected.iter().map(as_known).collect::<Vec<_>>(),
            &targets.iter().map(as_known).collect::<Vec<_>>(),
            |target| target.0.clone(),
        );
        for (index, range) in (0..).zip(slices()) {
            let filter = of(range);
            let (expected, stored) = (
                self.from.deployments(&filter).await.map_err(reading)?.read,
                self.to.deployments(&filter).await.map_err(writing)?.read,
            );
            tables
                .deployments
                .compare(&expected, &stored, |deployment| deployment.id.clone());
            let (expected, stored) = (
                self.from.phases(&filter).await.map_err(reading)?.read,
                self.to.phases(&filter).await.map_err(writing)?.read,
            );
            tables.phases.compare(&expected, &stored, |phase| {
                format!(
                    "{} {} {}",
                    phase.cycle_id,
                    phase.phase.name(),
                    phase.attempt
                )
            });
            self.step(Stage::Comparing, index)?;
        }
        let all = DeliveryFilter::default();
        let (expected, stored) = (
            self.from.incidents(&all).await.map_err(reading)?,
            self.to.incidents(&all).await.map_err(writing)?,
        );
        tables
            .incidents
            .compare(&expected, &stored, |incident| incident.id.clone());
        let (expected, stored) = (
            self.from.cycles(&all, u32::MAX).await.map_err(reading)?,
            self.to.cycles(&all, u32::MAX).await.map_err(writing)?,
        );
        tables
            .cycles
            .compare(&expected, &stored, |cycle| cycle.cycle_id.clone());
        let (expected, stored) = (
            self.from.pdca_events(None).await.map_err(reading)?,
            self.to.pdca_events(None).await.map_err(writing)?,
        );
        tables.pdca_events.compare(&expected, &stored, |event| {
            format!("{} {}", event.pdca_id, event.seq)
        });
        let mut samples = Samples::new(self.from);
        while let Some(page) = samples.next().await.map_err(reading)? {
            let (Some(first), Some(last)) = (page.first(), page.last()) else {
                break;
            };
            let range = TimeRange::new(first.taken_at, after(last.taken_at));
            let stored = self
                .to
                .health_samples(None, range, u32::MAX)
                .await
                .map_err(writing)?;
            tables.health_samples.compare(&page, &stored, |sample| {
                format!(
                    "{} {} {}",
                    sample.component,
                    sample.measure,
                    sample.taken_at.to_rfc3339()
                )
            });
            self.step(Stage::Comparing, STEPS)?;
        }
        Ok(())
    }
}

const STEPS: u64 = SLICES as u64 + 2;

/// All of time, in order, without gaps.
fn slices() -> impl Iterator<Item = TimeRange> {
    let border = |index: i64| match index {
        0 => Timestamp::MIN,
        index if index > SLICES + 1 => Timestamp::MAX,
        index => Timestamp::from_micros(YEAR_2000 + (index - 1) * SLICE_MICROS),
    };
    (0..=SLICES + 1).map(move |index| TimeRange::new(border(index), border(index + 1)))
}

fn of(range: TimeRange) -> DeliveryFilter {
    DeliveryFilter {
        range: Some(range),
        ..DeliveryFilter::default()
    }
}

fn after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(1))
}

fn hash_of<T: Serialize>(row: &T) -> u128 {
    let mut hasher = blake3::Hasher::new();
    // Rows are plain data: writing one as JSON cannot fail. A row that could would differ from none.
    hasher.update(&serde_json::to_vec(row).unwrap_or_default());
    short(&hasher)
}

/// Samples from the newest to the oldest, in pages that never part those of one instant.
struct Samples<'a> {
    store: &'a dyn MetricsStore,
    until: Option<Timestamp>,
}

impl<'a> Samples<'a> {
    const fn new(store: &'a dyn MetricsStore) -> Self {
        Self {
            store,
            until: Some(Timestamp::MAX),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<HealthSample>>, StoreError> {
        let Some(until) = self.until else {
            return Ok(None);
        };
        let range = TimeRange::new(Timestamp::MIN, until);
        let mut limit = SAMPLES;
        loop {
            let mut page = self.store.health_samples(None, range, limit).await?;
            let Some(oldest) = page.first().map(|sample| sample.taken_at) else {
                return Ok(None);
            };
            if page.len() < limit as usize {
                self.until = None;
                return Ok(Some(page));
            }
            // The oldest instant may have been cut in two: it belongs to the next page.
            page.retain(|sample| sample.taken_at > oldest);
            if !page.is_empty() {
                self.until = Some(after(oldest));
                return Ok(Some(page));
            }
            limit = limit.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slices_cover_all_of_time() {
        let slices: Vec<TimeRange> = slices().collect();
        assert_eq!(slices.len() as u64, STEPS);
        assert_eq!(slices.first().map(|slice| slice.from), Some(Timestamp::MIN));
        assert_eq!(slices.last().map(|slice| slice.until), Some(Timestamp::MAX));
        for pair in slices.windows(2) {
            assert_eq!(pair[0].until, pair[1].from);
            assert!(!pair[0].is_empty() && !pair[1].is_empty());
        }
    }
}
