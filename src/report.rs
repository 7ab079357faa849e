//! A domain value as Markdown, text or JSON.

pub mod analytics_json;
pub mod analytics_text;
pub mod backup_json;
pub mod bars;
pub mod catalog_json;
pub mod dora;
pub mod dora_json;
pub mod dora_markdown;
pub mod dora_text;
pub mod ecosystem_json;
pub mod groups;
pub mod health_json;
pub mod histogram_json;
pub mod incident_note;
pub mod jobs_json;
pub mod pdca_json;
pub mod pipeline_json;
pub mod record_json;
pub mod record_text;
pub mod token_json;
