//! A domain value as Markdown, text or JSON.

pub mod bars;
pub mod dora;
pub mod dora_json;
pub mod dora_markdown;
pub mod dora_text;
pub mod incident_note;
pub mod record_json;
pub mod record_text;
