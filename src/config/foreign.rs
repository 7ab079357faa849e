//! From `[[stores.cassandra.foreign]]` to the mapping of a table.

use atalaya_store::cassandra::foreign::{Columns, Mapping};

use super::places::Mistake;
use super::stores::{ForeignPartitionKind, ForeignTableConfig};

/// The mappings of all entries; a table that is named twice is a mistake.
pub(super) fn mappings(entries: &[ForeignTableConfig]) -> Result<Vec<Mapping>, Mistake> {
    let mut mappings: Vec<Mapping> = Vec::with_capacity(entries.len());
    for entry in entries {
        let found = mapping(entry)?;
        if mappings.iter().any(|known| known.name() == found.name()) {
            return Err(Mistake::new(
                "foreign",
                format!("{} is named twice", found.name()),
            ));
        }
        mappings.push(found);
    }
    Ok(mappings)
}

fn mapping(entry: &ForeignTableConfig) -> Result<Mapping, Mistake> {
    let name = format!("{}.{}", entry.keyspace, entry.table);
    let wrong = |message: String| Mistake::new("foreign", format!("{name}: {message}"));
    let built_in = Mapping::built_in(&entry.keyspace, &entry.table);
    let needed = |key: &str| {
        wrong(format!(
            "`{key}` is missing; only application_logs and infrastructure_logs are known without it"
        ))
    };
    let layer = match (&entry.layer, &built_in) {
        (Some(layer), _) => layer.parse().map_err(wrong)?,
        (None, Some(known)) => known.layer,
        (None, None) => return Err(needed("layer")),
    };
    let day = match (&entry.partition, &built_in) {
        (Some(partition), _) => {
            let ForeignPartitionKind::Date = partition.kind;
            partition.column.clone()
        }
        (None, Some(known)) => known.day.clone(),
        (None, None) => return Err(needed("partition")),
    };
    let columns = match (&entry.columns, &built_in) {
        (Some(columns), _) => {
            let columns = columns.clone();
            Columns {
                timestamp: columns.timestamp,
                message: columns.message,
                level: columns.level,
                source: columns.source,
                host: columns.host,
                logger: columns.logger,
                request_id: columns.request_id,
                user_id: columns.user_id,
                session_id: columns.session_id,
                duration_ms: columns.duration_ms,
                traceback: columns.traceback,
                metadata: columns.metadata,
                extra: columns.extra,
            }
        }
        (None, Some(known)) => known.columns.clone(),
        (None, None) => return Err(needed("columns")),
    };
    if entry.days == Some(0) {
        return Err(wrong(
            "with 0 days nothing would be looked at; write 90".to_owned(),
        ));
    }
    let source = match (&entry.source, built_in) {
        (Some(source), _) => source.clone(),
        (None, Some(known)) => known.source,
        (None, None) => name.clone(),
    };
    let days = entry.days.unwrap_or(Mapping::DAYS);
    let (keyspace, table) = (entry.keyspace.clone(), entry.table.clone());
    Ok(Mapping {
        keyspace,
        table,
        layer,
        source,
        day,
        days,
        columns,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::config::stores::CassandraConfig;

    fn of(text: &str) -> Result<Vec<Mapping>, String> {
        let config: CassandraConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        mappings(&config.foreign).map_err(|mistake| format!("{}: {}", mistake.key, mistake.message))
    }

    #[test]
    fn older_tables_need_their_name_only_and_others_a_mapping() {
        let older = "[[foreign]]\nkeyspace = \"old\"\ntable = \"infrastructure_logs\"\n";
        assert_eq!(
            of(older).unwrap(),
            [Mapping::built_in("old", "infrastructure_logs").unwrap()]
        );
        assert!(of(&older.repeat(2)).unwrap_err().contains("named twice"));
        assert!(
            of(&format!("{older}days = 0"))
                .unwrap_err()
                .contains("0 days")
        );
        assert!(
            of(&format!("{older}layer = \"web\""))
                .unwrap_err()
                .contains("web")
        );

        let events = "[[foreign]]\nkeyspace = \"shop\"\ntable = \"events\"\n";
        assert!(of(events).unwrap_err().contains("`layer` is missing"));
        let full = format!(
            "{events}layer = \"app\"\ndays = 7\npartition = {{ column = \"day\", kind = \"date\" }}\n\
             columns = {{ timestamp = \"at\", message = \"body\", extra = {{ pod = \"pod_name\" }} }}"
        );
        let [mapping] = &of(&full).unwrap()[..] else {
            panic!("one mapping")
        };
        assert_eq!(
            (&*mapping.source, mapping.days, &*mapping.day),
            ("shop.events", 7, "day")
        );
        assert_eq!(mapping.columns.extra["pod"], "pod_name");
    }
}
