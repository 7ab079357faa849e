//! The one JSON shape of a token: everything but the token itself.

use serde_json::{Value, json};

use atalaya_domain::time::Timestamp;
use atalaya_domain::token::TokenRecord;

pub fn token(token: &TokenRecord, now: Timestamp) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "state": token.state(now),
        "created_at": token.created_at.to_rfc3339(),
        "expires_at": token.expires_at.map(Timestamp::to_rfc3339),
        "last_used_at": token.last_used_at.map(Timestamp::to_rfc3339),
        "revoked_at": token.revoked_at.map(Timestamp::to_rfc3339),
    })
}
