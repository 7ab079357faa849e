//! Issues with a label that makes them incidents.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use atalaya_domain::delivery::Incident;
use atalaya_domain::delivery::cycle_incidents::BY_PERSON;
use atalaya_store::error::StoreError;

use super::listing::{Changed, Shape};
use super::reader::Reader;
use super::{Odd, RepositoryOutcome, Stop};
use crate::source::github;

const ISSUES: Shape = Shape {
    field: None,
    time: "updated_at",
};

/// Reads what changed of the issues with one of the labels.
pub(super) async fn read(
    reader: &Reader<'_>,
    labels: &[String],
    service: &str,
    outcome: &mut RepositoryOutcome,
) -> Result<(), Stop> {
    let mut odd = Odd::default();
    for label in labels {
        let label = utf8_percent_encode(label, NON_ALPHANUMERIC).to_string();
        let first = reader.place(&format!(
            "issues?labels={label}&state=all&sort=updated&direction=asc&per_page=100"
        ));
        let hash = blake3::hash(label.as_bytes()).to_hex();
        let resource = format!("issues {}", hash.get(..12).unwrap_or_default());
        let mut listing = Changed::open(reader, resource, first, ISSUES).await?;
        reader.says("issues");
        while let Some(things) = listing.next().await? {
            for thing in things {
                let text = thing.to_string();
                let read = github::incident(&text, reader.repository, service, &reader.source);
                let Some(Some(incident)) = odd.sort(read) else {
                    continue;
                };
                if incident.opened_at >= reader.oldest || incident.resolved_at.is_none() {
                    put(reader, incident, outcome).await?;
                }
            }
            listing.taken().await?;
            reader.says("issues");
        }
    }
    odd.note("issues", &mut outcome.notes);
    Ok(())
}

/// A person's word about an incident stays; what nobody said yet is filled in.
async fn put(
    reader: &Reader<'_>,
    mut fresh: Incident,
    outcome: &mut RepositoryOutcome,
) -> Result<(), StoreError> {
    if let Some(known) = reader.store.incident(&fresh.id).await? {
        if known.origin == BY_PERSON {
            fresh = Incident {
                title: fresh.title,
                resolved_at: known.resolved_at.or(fresh.resolved_at),
                ..known
            };
        } else {
            fresh.cause = fresh.cause.or(known.cause);
            fresh.caused_by = known.caused_by;
        }
    }
    outcome.incidents += reader.store.put_incidents(&[fresh]).await?;
    Ok(())
}
