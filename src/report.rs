//! A domain value as Markdown, text or JSON.
