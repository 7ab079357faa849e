//! Rows by column name, whatever columns this version has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::policies::load_balancing::LoadBalancingPolicy;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use scylla::value::{CqlValue, Row};

use atalaya_domain::time::Timestamp;

/// Longer than any of these questions takes on a node that works.
const QUESTION_LIMIT: Duration = Duration::from_secs(3);
/// Rows of one answer: ten thousand tables or connections are more than anyone looks at.
const ROW_LIMIT: i32 = 10_000;

/// One row.
#[derive(Debug, Default)]
pub struct Fields(HashMap<String, CqlValue>);

/// Asks `cql` as it is: of one node when `pinned`, else of any. The error is in words.
pub async fn ask(
    session: &Session,
    pinned: Option<&Arc<dyn LoadBalancingPolicy>>,
    cql: String,
) -> Result<Vec<Fields>, String> {
    let mut statement = Statement::new(cql);
    statement.set_consistency(Consistency::LocalOne);
    statement.set_request_timeout(Some(QUESTION_LIMIT));
    statement.set_is_idempotent(true);
    statement.set_page_size(ROW_LIMIT);
    if let Some(policy) = pinned {
        statement.set_load_balancing_policy(Some(Arc::clone(policy)));
    }
    // One page: what lies beyond the limit is left where it is.
    let (answer, _) = session
        .query_single_page(statement, (), scylla::response::PagingState::start())
        .await
        .map_err(|error| error.to_string())?;
    let rows = answer
        .into_rows_result()
        .map_err(|error| error.to_string())?;
    let names: Vec<String> = rows
        .column_specs()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    let rows = rows.rows::<Row>().map_err(|error| error.to_string())?;
    rows.map(|row| {
        let row = row.map_err(|error| error.to_string())?;
        let cells = names.iter().cloned().zip(row.columns);
        Ok(Fields(
            cells
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        ))
    })
    .collect()
}

impl Fields {
    pub fn get(&self, name: &str) -> Option<&CqlValue> {
        self.0.get(name)
    }

    /// Text, or anything that is written as one word.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            CqlValue::Text(text) | CqlValue::Ascii(text) => Some(text.clone()),
            CqlValue::Uuid(uuid) => Some(uuid.to_string()),
            CqlValue::Timeuuid(uuid) => Some(uuid.to_string()),
            CqlValue::Inet(address) => Some(address.to_string()),
            CqlValue::Int(number) => Some(number.to_string()),
            CqlValue::BigInt(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A finite number of any type, also one written as text.
    pub fn float(&self, name: &str) -> Option<f64> {
        let number = match self.get(name)? {
            CqlValue::Int(number) => f64::from(*number),
            CqlValue::BigInt(number) => *number as f64,
            CqlValue::SmallInt(number) => f64::from(*number),
            CqlValue::Double(number) => *number,
            CqlValue::Float(number) => f64::from(*number),
            CqlValue::Text(text) => text.parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// A count; a negative one is as good as none.
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            CqlValue::Int(number) => u64::try_from(*number).ok(),
            CqlValue::BigInt(number) => u64::try_from(*number).ok(),
            CqlValue::SmallInt(number) => u64::try_from(*number).ok(),
            CqlValue::Text(text) => text.parse().ok(),
            CqlValue::Double(number) if *number >= 0.0 => Some(*number as u64),
            _ => None,
        }
    }

    pub fn time(&self, name: &str) -> Option<Timestamp> {
        match self.get(name)? {
            CqlValue::Timestamp(at) => Some(Timestamp::from_millis(at.0)),
            _ => None,
        }
    }

    /// The instant inside of a time-based UUID, to the tenth of a microsecond that it has.
    pub fn time_of_uuid(&self, name: &str) -> Option<Timestamp> {
        /// From 1582-10-15, where these UUIDs begin, to 1970, in units of 100 ns.
        const GREGORIAN: i64 = 0x01b2_1dd2_1381_4000;
        let CqlValue::Timeuuid(uuid) = self.get(name)? else {
            return None;
        };
        let (low, middle, high, _) = uuid.as_fields();
        let ticks = (i64::from(high & 0x0fff) << 48) | (i64::from(middle) << 32) | i64::from(low);
        Some(Timestamp::from_micros((ticks - GREGORIAN) / 10))
    }

    /// Elements of a set or a list.
    pub fn elements(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            CqlValue::Set(values) | CqlValue::List(values) => Some(values.len() as u64),
            _ => None,
        }
    }

    /// A map of text to text.
    pub fn map(&self, name: &str) -> HashMap<String, String> {
        let Some(CqlValue::Map(entries)) = self.get(name) else {
            return HashMap::new();
        };
        let text = |value: &CqlValue| match value {
            CqlValue::Text(text) | CqlValue::Ascii(text) => Some(text.clone()),
            _ => None,
        };
        entries
            .iter()
            .filter_map(|(key, value)| Some((text(key)?, text(value)?)))
            .collect()
    }
}

#[cfg(test)]
impl Fields {
    pub fn of(cells: impl IntoIterator<Item = (&'static str, CqlValue)>) -> Self {
        Self(
            cells
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn numbers_come_in_many_types_and_nothing_is_taken_for_a_number_that_is_none() {
        let fields = Fields::of([
            ("int", CqlValue::Int(7)),
            ("text", CqlValue::Text("117445.0".to_owned())),
            ("nan", CqlValue::Double(f64::NAN)),
            ("minus", CqlValue::Int(-1)),
        ]);
        assert_eq!(fields.count("int"), Some(7));
        assert_eq!(fields.float("text"), Some(117_445.0));
        assert_eq!(fields.float("nan"), None);
        assert_eq!(fields.count("minus"), None);
        assert_eq!(fields.count("absent"), None);
    }

    #[test]
    fn a_time_uuid_holds_its_instant() {
        let uuid = "58e0a7d7-eebc-11d8-9669-0800200c9a66".parse().unwrap();
        let fields = Fields::of([("now", CqlValue::Timeuuid(uuid))]);
        assert_eq!(
            fields.time_of_uuid("now").unwrap().to_rfc3339(),
            "2004-08-15T13:09:31.981000Z"
        );
    }
}
