//! Tokens of the HTTP API: only what is needed to know them again, never the tokens themselves.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::Written;
use super::sql::{Connection, Failure, SqlDatabase, View, corrupt, locking, values};
use crate::error::StoreError;
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::{Scope, TokenRecord};

#[async_trait]
pub trait Tokens {
    /// A new one; refused when its id is taken.
    async fn add_token(&self, token: &TokenRecord) -> Result<Written, StoreError>;

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError>;

    /// Newest first, revoked and expired ones too.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;

    /// From this instant it is refused; one that was revoked before stays as it was. `None`: there
    /// is none of this id.
    async fn revoke_token(
        &self,
        id: &str,
        at: Timestamp,
    ) -> Result<Option<TokenRecord>, StoreError>;

    /// Remembers when it was last used, unless a later use is known.
    async fn note_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;
}

#[async_trait]
impl<D: SqlDatabase> Tokens for D {
    async fn add_token(&self, token: &TokenRecord) -> Result<Written, StoreError> {
        self.write(token.clone(), |connection, token| {
            Box::pin(add(connection, token))
        })
        .await
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        self.read(View::Latest, id.to_owned(), |connection, id| {
            Box::pin(async move {
                let row: Option<Row> = connection.row(ONE, values![id]).await?;
                row.map(record_of).transpose()
            })
        })
        .await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(View::Latest, (), |connection, ()| {
            Box::pin(async {
                let sql = "SELECT id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at
                     FROM api_tokens ORDER BY created_at DESC, id";
                let rows: Vec<Row> = connection.rows(sql, &[]).await?;
                rows.into_iter().map(record_of).collect()
            })
        })
        .await
    }

    async fn revoke_token(
        &self,
        id: &str,
        at: Timestamp,
    ) -> Result<Option<TokenRecord>, StoreError> {
        self.write((id.to_owned(), at), |connection, (id, at)| {
            Box::pin(async move {
                let sql =
                    "UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
                connection.execute(sql, values![*at, id]).await?;
                let row: Option<Row> = connection.row(ONE, values![id]).await?;
                row.map(record_of).transpose()
            })
        })
        .await
    }

    async fn note_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write((id.to_owned(), at), |connection, (id, at)| {
            Box::pin(async move {
                let sql = "UPDATE api_tokens SET last_used_at = ?
                     WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)";
                connection
                    .execute(sql, values![*at, id, *at])
                    .await
                    .map(drop)
            })
        })
        .await
    }
}

const ONE: &str = "SELECT id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at
     FROM api_tokens WHERE id = ?";

/// Id, name, hash, scopes, created, expires, last used, revoked.
type Row = (
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

fn record_of(row: Row) -> Result<TokenRecord, Failure> {
    let (id, name, hash, words, created, expires, used, revoked) = row;
    // A word that this program does not know permits nothing, and is no reason to permit the rest.
    let scopes: Result<BTreeSet<Scope>, _> = words.split(',').map(str::parse).collect();
    let scopes = scopes.map_err(|error| corrupt("api_tokens", &id, error))?;
    let instant = |micros: Option<i64>| micros.map(Timestamp::from_micros);
    Ok(TokenRecord {
        id,
        name,
        hash,
        scopes,
        created_at: Timestamp::from_micros(created),
        expires_at: instant(expires),
        last_used_at: instant(used),
        revoked_at: instant(revoked),
    })
}

async fn add(connection: &mut Connection<'_>, token: &TokenRecord) -> Result<Written, Failure> {
    let known: Option<(String,)> = connection
        .row(
            locking!("SELECT id FROM api_tokens WHERE id = ?"),
            values![&token.id],
        )
        .await?;
    if known.is_some() {
        return Err(connection.conflict(format!("there is a token `{}` already", token.id)));
    }
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let sql = "INSERT INTO api_tokens
         (id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let scopes = scopes.join(",");
    let values = values![
        &token.id,
        &token.name,
        &token.hash,
        &scopes,
        token.created_at,
        token.expires_at,
        token.last_used_at,
        token.revoked_at,
    ];
    connection.execute(sql, values).await?;
    Ok(Written::inserted(1))
}
