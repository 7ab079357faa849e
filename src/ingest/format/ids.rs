//! Ids that stand by name in the text of a record.

/// What a text says by name about the request that it belongs to.
#[derive(Debug, Default, PartialEq)]
pub struct Found<'t> {
    pub request_id: Option<&'t str>,
    pub user_id: Option<&'t str>,
    pub session_id: Option<&'t str>,
    pub duration_ms: Option<f64>,
    /// Further ids under their own names.
    pub others: Vec<(&'t str, &'t str)>,
}

/// One pass over a message.
pub fn in_text(text: &str) -> Found<'_> {
    let _ = text;
    Found::default()
}
