//! What is kept of tokens.

use std::collections::BTreeSet;

use atalaya::domain::token::{Scope, Token, TokenRecord};

use super::*;

fn made(name: &str, scopes: &[Scope], minute: i64) -> (Token, TokenRecord) {
    let token = Token::new(rand::random(), rand::random());
    let record = TokenRecord {
        id: token.id().to_owned(),
        name: name.to_owned(),
        hash: token.hash(),
        scopes: scopes.iter().copied().collect(),
        created_at: at(minute),
        expires_at: (minute % 2 == 0).then(|| at(minute + 1_000)),
        last_used_at: None,
        revoked_at: None,
    };
    (token, record)
}

pub async fn tokens_are_known_again_and_revoked_once(store: Store) {
    let mut kept = Vec::new();
    for minute in 0..8_i64 {
        let chosen: BTreeSet<Scope> = Scope::ALL
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| (minute + 1) >> bit & 1 == 1)
            .map(|(_, scope)| scope)
            .collect();
        let scopes: Vec<Scope> = if chosen.is_empty() {
            vec![Scope::Read]
        } else {
            chosen.into_iter().collect()
        };
        let (token, record) = made("hostile \u{1b}[2J ' ü", &scopes, minute);
        assert_eq!(store.add_token(&record).await.unwrap().inserted, 1);
        assert_eq!(store.token(token.id()).await.unwrap(), Some(record.clone()));
        kept.push(record);
    }
    kept.reverse();
    assert_eq!(store.tokens().await.unwrap(), kept);
    assert_eq!(store.token("nobody's").await.unwrap(), None);

    let id = kept[0].id.clone();
    store.note_token_use(&id, at(30)).await.unwrap();
    store.note_token_use(&id, at(20)).await.unwrap();
    store.note_token_use("nobody's", at(20)).await.unwrap();
    let used = store.token(&id).await.unwrap().unwrap();
    assert_eq!(
        used.last_used_at,
        Some(at(30)),
        "a later use is not forgotten"
    );

    let revoked = store.revoke_token(&id, at(40)).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(at(40)));
    assert!(!revoked.is_valid(at(40)));
    let again = store.revoke_token(&id, at(50)).await.unwrap().unwrap();
    assert_eq!(again, revoked, "it stays as it was");
    assert_eq!(store.revoke_token("nobody's", at(50)).await.unwrap(), None);
}

pub async fn a_token_id_is_one_tokens_alone(store: Store) {
    let (_, record) = made("first", &[Scope::Admin], 1);
    store.add_token(&record).await.unwrap();
    let (_, other) = made("second", &[Scope::Read], 2);
    let taken = TokenRecord {
        id: record.id.clone(),
        ..other
    };
    let error = store.add_token(&taken).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert_eq!(store.tokens().await.unwrap(), [record]);
}
