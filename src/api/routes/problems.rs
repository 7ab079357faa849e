//! What can go wrong at every address, written into the document once for all of them.

use serde_json::{Map, Value, json};

/// What any address with a token may answer.
const ANYWHERE: [(&str, &str); 6] = [
    (
        "400",
        "The question is wrong: an unknown parameter, or a value out of its range",
    ),
    ("401", "There is no valid token"),
    ("403", "The token has not this scope"),
    (
        "429",
        "Too many requests; `Retry-After` says how long to wait",
    ),
    ("500", "The service or what it stores is broken"),
    (
        "503",
        "A store is away, or too much is asked at once; `Retry-After` says how long to wait",
    ),
];
/// And one that takes a body.
const WITH_BODY: [(&str, &str); 2] = [
    ("408", "The body did not come"),
    ("413", "The body is too large"),
];

/// Adds these to each operation, and gives all errors the type that they are answered in.
pub fn describe(document: &mut Value) {
    let schema = json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "remedy"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "For programs" },
            "detail": { "type": "string", "description": "What is wrong, for people" },
            "remedy": { "type": "string", "description": "What to do about it" },
        },
    });
    document["components"]["schemas"]["Problem"] = schema;
    for item in objects(&mut document["paths"]) {
        for operation in objects(item) {
            complete(operation);
        }
    }
}

fn objects(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn complete(operation: &mut Value) {
    let has_token = operation.get("security").is_some();
    let has_body = operation.get("requestBody").is_some();
    // The protocol of that address has errors of its own.
    let is_foreign = operation["operationId"] == "mcp";
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    if !is_foreign {
        for (status, response) in responses.iter_mut() {
            if status.starts_with(['4', '5']) && has_token {
                response["content"] = content();
            }
        }
    }
    if !has_token {
        return;
    }
    let body = WITH_BODY.iter().filter(|_| has_body);
    for (status, what) in ANYWHERE.iter().chain(body) {
        responses
            .entry(*status)
            .or_insert_with(|| json!({ "description": what, "content": content() }));
    }
}

fn content() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}
