//! Words of the program itself that are no alert: a report, a proposal. They go the way of all
//! messages.

use crate::config::AlertSettings;
use atalaya_domain::alert::{Message, Note};
use atalaya_domain::time::Timestamp;
use atalaya_store::error::StoreError;
use atalaya_store::metrics::MetricsStore;

/// Puts a note into the outbox of each of these channels that is configured; of all when none is
/// named. `key` names what happened: the same key again is the same message, told once.
///
/// Nothing where alerts are switched off, as then nothing is sent. Returns for how many channels.
///
/// # Errors
/// Those of the store.
pub async fn put_note(
    store: &dyn MetricsStore,
    settings: &AlertSettings,
    channels: &[String],
    key: &str,
    note: &Note,
    now: Timestamp,
) -> Result<usize, StoreError> {
    if !settings.enabled {
        return Ok(0);
    }
    let wanted = |name: &&String| channels.is_empty() || channels.contains(name);
    let mut put = 0;
    for channel in settings.channels.keys().filter(wanted) {
        let message = Message::of_note(channel, format!("{key}-{channel}"), note.clone(), now);
        store.put_message(&message).await?;
        put += 1;
    }
    Ok(put)
}
