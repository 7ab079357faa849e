//! Long lists, page by page, from where the last run was.
//!
//! GitHub numbers pages, and what is made or deleted while a list is read moves things from one page
//! to the next. Nothing is missed all the same:
//!
//! - A list with the newest first ([`Newest`]) only loses things to the pages before when some are
//!   deleted. So each page is asked for again, by its `ETag`, when the next one has come; that costs
//!   nothing of the rate limit where nothing changed. Where something did, the list is read once more
//!   from its beginning; until that is done undisturbed, it does not count as read. What is new
//!   meanwhile is newer than the mark that the reading began with, and is read the next time.
//! - A list by the time of change ([`Changed`]) is not paged at all: each request asks for what
//!   changed since the last thing of the one before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use atalaya_domain::time::Timestamp;

use super::Stop;
use super::reader::{Reader, list, no_list};
use crate::source::github::{Answer, AskError, Page};

/// What is remembered of a list with the newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The first page's address; another one (another setting) begins anew.
    first: String,
    /// Everything up to here was read, in microseconds.
    mark: Option<i64>,
    /// Of the first page, when the list was last read to its end.
    etag: Option<String>,
    /// A reading that is under way.
    pass: Option<Pass>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pass {
    next: String,
    /// The newest thing that it began with.
    newest: Option<i64>,
    etag: Option<String>,
    before: Option<Before>,
    /// Things went from one page to another meanwhile.
    moved: bool,
}

/// The page before the next one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Before {
    place: String,
    etag: Option<String>,
    /// Of what stood on it.
    ids: String,
}

/// Where the things of a list stand in an answer, and which time orders them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The field of the answer that is the list; `None`: all of it.
    pub field: Option<&'static str>,
    /// `created_at` or `updated_at`.
    pub time: &'static str,
}

impl Shape {
    fn things(self, place: &str, body: Value) -> Result<Vec<Value>, AskError> {
        let body = match (self.field, body) {
            (None, body) => body,
            (Some(field), Value::Object(mut fields)) => fields.remove(field).unwrap_or_default(),
            (Some(_), _) => Value::Null,
        };
        list(body).ok_or_else(|| no_list(place))
    }

    fn time_of(self, thing: &Value) -> Option<Timestamp> {
        let text = thing.get(self.time)?.as_str()?;
        chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(Timestamp::from)
    }
}

/// A list with the newest first.
pub(super) struct Newest<'a> {
    reader: &'a Reader<'a>,
    resource: String,
    shape: Shape,
    progress: Progress,
    /// What `taken` will remember.
    after: Option<Progress>,
    is_over: bool,
    resumed: bool,
    moved: bool,
    /// Readings that are still made of a list that moves.
    more: u32,
}

/// Readings of a list that moves, in one run.
const READINGS: u32 = 4;

impl<'a> Newest<'a> {
    pub async fn open(
        reader: &'a Reader<'a>,
        resource: String,
        first: String,
        shape: Shape,
    ) -> Result<Self, Stop> {
        let known: Progress = reader.load(&resource).await?;
        let progress = if known.first == first {
            known
        } else {
            Progress {
                first,
                ..Progress::default()
            }
        };
        Ok(Self {
            reader,
            resource,
            shape,
            resumed: progress.pass.is_some(),
            moved: false,
            progress,
            after: None,
            is_over: false,
            more: READINGS,
        })
    }

    /// The next things; call [`taken`](Self::taken) when they are stored. `None`: there is no more.
    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, Stop> {
        if self.is_over {
            return Ok(None);
        }
        match self.progress.pass.clone() {
            None => self.begin().await,
            Some(pass) => match self.go_on(pass).await {
                // The list became shorter, or the address is of another time: from the beginning.
                Err(Stop::Ask(AskError::Missing { .. } | AskError::Odd { .. })) if self.resumed => {
                    self.progress.pass = None;
                    self.resumed = false;
                    self.begin().await
                }
                other => other,
            },
        }
    }

    /// What [`next`](Self::next) gave is stored.
    pub async fn taken(&mut self) -> Result<(), Stop> {
        if let Some(after) = self.after.take() {
            self.reader.save(&self.resource, &after).await?;
            self.progress = after;
            if self.progress.pass.is_none() {
                // What came while it was interrupted is read too, and what moved.
                let again = std::mem::take(&mut self.resumed) | std::mem::take(&mut self.moved);
                self.more = self.more.saturating_sub(1);
                self.is_over = !again || self.more == 0;
            }
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<Option<Vec<Value>>, Stop> {
        let place = self.progress.first.clone();
        let known = self.progress.etag.as_deref();
        let page = match self.reader.client.get(&place, known).await? {
            Answer::NotModified => {
                self.is_over = true;
                return Ok(None);
            }
            Answer::Page(page) => page,
        };
        let etag = page.etag.clone();
        let (things, next) = self.page(&place, page)?;
        let newest = things.iter().filter_map(|thing| self.shape.time_of(thing));
        let pass = Pass {
            next: String::new(),
            newest: newest.max().map(Timestamp::micros),
            etag,
            before: None,
            moved: false,
        };
        self.plan(&place, &things, pass, next);
        Ok(Some(things))
    }

    async fn go_on(&mut self, pass: Pass) -> Result<Option<Vec<Value>>, Stop> {
        let place = pass.next.clone();
        let page = self.reader.page(&place).await?;
        let etag = page.etag.clone();
        let (things, next) = self.page(&place, page)?;
        let moved = match &pass.before {
            Some(before) => pass.moved || self.has_moved(before).await?,
            None => pass.moved,
        };
        let next = next.map(|(next, _)| (next, etag));
        self.plan(&place, &things, Pass { moved, ..pass }, next);
        Ok(Some(things))
    }

    /// Whether a page holds other things than it did. Its `ETag` alone may change with what GitHub
    /// says beside them.
    async fn has_moved(&self, before: &Before) -> Result<bool, Stop> {
        let Before { place, etag, ids } = before;
        match self.reader.client.get(place, etag.as_deref()).await? {
            Answer::NotModified => Ok(false),
            Answer::Page(page) => Ok(ids_of(&self.shape.things(place, page.body)?) != *ids),
        }
    }

    /// The things of a page, and the address after it with the page's own `ETag`, unless it reaches
    /// what is known.
    fn page(
        &self,
        place: &str,
        page: Page,
    ) -> Result<(Vec<Value>, Option<(String, Option<String>)>), Stop> {
        let things = self.shape.things(place, page.body)?;
        let oldest = self.reader.oldest.micros();
        // What has the mark's own second may be new.
        let known = self.progress.mark.map_or(oldest, |mark| mark.max(oldest));
        let reaches_known = things
            .iter()
            .filter_map(|thing| self.shape.time_of(thing))
            .any(|time| time.micros() < known);
        let next = page.next.filter(|_| !reaches_known && !things.is_empty());
        Ok((things, next.map(|next| (next, page.etag))))
    }

    fn plan(
        &mut self,
        place: &str,
        things: &[Value],
        pass: Pass,
        next: Option<(String, Option<String>)>,
    ) {
        let mut after = self.progress.clone();
        match next {
            Some((next, etag)) => {
                after.pass = Some(Pass {
                    next,
                    before: Some(Before {
                        place: place.to_owned(),
                        etag,
                        ids: ids_of(things),
                    }),
                    ..pass
                });
            }
            None if pass.moved => {
                after.etag = None;
                after.pass = None;
                self.moved = true;
            }
            None => {
                after.mark = pass.newest.max(after.mark);
                after.etag = pass.etag;
                after.pass = None;
            }
        }
        self.after = Some(after);
    }
}

fn ids_of(things: &[Value]) -> String {
    let mut hasher = blake3::Hasher::new();
    for thing in things {
        hasher.update(thing["id"].to_string().as_bytes());
        hasher.update(b" ");
    }
    hasher.finalize().to_hex().to_string()
}

/// What is remembered of a list by the time of change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Changes {
    first: String,
    /// Everything that changed before it was read, in microseconds.
    since: Option<i64>,
    /// More things than one page changed in that very second.
    next: Option<String>,
    /// Of the question with `since`, when nothing came after it.
    etag: Option<String>,
}

/// A list of what changed, the oldest change first.
pub(super) struct Changed<'a> {
    reader: &'a Reader<'a>,
    resource: String,
    shape: Shape,
    progress: Changes,
    after: Option<Changes>,
    is_over: bool,
}

impl<'a> Changed<'a> {
    /// `first` lacks nothing but its `&since=`.
    pub async fn open(
        reader: &'a Reader<'a>,
        resource: String,
        first: String,
        shape: Shape,
    ) -> Result<Self, Stop> {
        let known: Changes = reader.load(&resource).await?;
        let progress = if known.first == first {
            known
        } else {
            Changes {
                first,
                ..Changes::default()
            }
        };
        Ok(Self {
            reader,
            resource,
            shape,
            progress,
            after: None,
            is_over: false,
        })
    }

    pub async fn next(&mut self) -> Result<Option<Vec<Value>>, Stop> {
        if self.is_over {
            return Ok(None);
        }
        let since = self.progress.since.unwrap_or(self.reader.oldest.micros());
        let question = format!(
            "{}&since={}",
            self.progress.first,
            seconds(Timestamp::from_micros(since))
        );
        let place = self.progress.next.clone().unwrap_or(question);
        let etag = self.progress.etag.as_deref();
        let page = match self.reader.client.get(&place, etag).await? {
            Answer::NotModified => {
                self.is_over = true;
                return Ok(None);
            }
            Answer::Page(page) => page,
        };
        let things = self.shape.things(&place, page.body)?;
        let newest = things
            .iter()
            .filter_map(|thing| self.shape.time_of(thing))
            .max()
            .map_or(since, Timestamp::micros);
        let mut after = self.progress.clone();
        after.since = Some(newest.max(since));
        after.next = None;
        after.etag = None;
        match page.next {
            Some(next) if newest <= since => after.next = Some(next),
            Some(_) => {}
            None => {
                // The same question comes next only when this one moved nothing on.
                if newest <= since && self.progress.next.is_none() {
                    after.etag = page.etag;
                }
                self.is_over = true;
            }
        }
        self.after = Some(after);
        Ok(Some(things))
    }

    pub async fn taken(&mut self) -> Result<(), Stop> {
        if let Some(after) = self.after.take() {
            self.reader.save(&self.resource, &after).await?;
            self.progress = after;
        }
        Ok(())
    }
}

/// As GitHub reads it in an address; what lies within the second is asked for again.
fn seconds(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let head = text.split(['.', '+', 'Z']).next().unwrap_or_default();
    format!("{head}Z")
}
