//! Slack's incoming webhooks. Texts are escaped as Slack asks (`&`, `<`, `>`), so that `<!channel>`
//! in a log line mentions nobody and `<http://…|name>` is no link.
//!
//! Source: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::webhook::headers;
use super::{Http, SendError, text};
use atalaya_domain::alert::Message;

/// Longest text of one block, in characters; Slack takes 3,000.
const BLOCK: usize = 2_900;

pub(super) async fn send(
    http: &Http,
    url: &SecretString,
    message: &Message,
) -> Result<(), SendError> {
    let body = body(message).to_string();
    http.post(url.expose_secret(), headers(&message.key)?, body)
        .await
}

fn body(message: &Message) -> Value {
    let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } });
    let mut blocks = Vec::new();
    let parts = text::parts(message);
    if message.note.is_none() && (parts.len() != 1 || message.count != 1) {
        blocks.push(section(escaped(&text::title(message))));
    }
    for part in parts {
        let mut lines = vec![escaped(&part.line)];
        let bullet = if message.note.is_some() { "" } else { "• " };
        lines.extend(
            part.details
                .iter()
                .map(|line| format!("{bullet}{}", escaped(line))),
        );
        blocks.push(section(whole_lines(&lines)));
    }
    let mut footer = format!("atalaya · {}", message.key);
    if let Some(rest) = text::rest(message) {
        footer = format!("{rest} · {footer}");
    }
    let footer = json!({ "type": "mrkdwn", "text": escaped(&footer), "verbatim": true });
    blocks.push(json!({ "type": "context", "elements": [footer] }));
    json!({
        "text": escaped(&text::title(message)),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// As many lines as fit: a cut in the middle could divide an escape.
fn whole_lines(lines: &[String]) -> String {
    let mut text = String::new();
    let mut length = 0;
    for line in lines {
        length += line.chars().count() + 1;
        if length > BLOCK {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::notify::text::tests::message_saying;

    /// Every text of a block and the fallback.
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(values) => values.iter().flat_map(texts).collect(),
            Value::Object(fields) => fields.values().flat_map(texts).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_log_line_mentions_nobody() {
        let body = body(&message_saying("<!channel> <@U123> & <http://evil|click>"));
        let all = texts(&body).join("\n");
        assert!(all.contains("&lt;!channel&gt;"), "{all}");
        assert!(!all.contains(['<', '>']), "{all}");
    }

    #[test]
    fn a_note_is_its_title_and_its_lines_once() {
        let note = atalaya_domain::alert::Note {
            severity: atalaya_domain::alert::Severity::Info,
            title: "DORA 2026-11: High".to_owned(),
            text: "| metric | <!here> |\n".repeat(1_000),
        };
        let now = atalaya_domain::time::Timestamp::from_seconds(0);
        let body = body(&Message::of_note("ops", "k".to_owned(), note, now));
        let blocks = body["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 2, "the note and the footer");
        for text in texts(&body) {
            assert!(!text.contains(['<', '>']) && text.chars().count() <= 3_000);
        }
        assert_eq!(body.to_string().matches("DORA 2026-11: High").count(), 2);
    }

    proptest! {
        #[test]
        fn whatever_a_record_says_stays_text_within_the_limits(said in "\\PC{0,900}") {
            let body = body(&message_saying(&said));
            for text in texts(&body) {
                prop_assert!(!text.contains(['<', '>']));
                prop_assert!(text.chars().count() <= 3_000);
            }
            prop_assert!(body["blocks"].as_array().unwrap().len() <= 50);
        }
    }
}
