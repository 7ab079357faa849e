//! What the Logs tab asks of the stores, and what comes back.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::chart::Marks;
use crate::service::Stores;
use crate::service::trace::{Trace, TraceOptions, trace};
use crate::tui::ask::Question;
use crate::tui::tab::{Work, reason_of};
use atalaya_domain::record::{Record, RequestId};
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::Query;
use atalaya_store::chunks::Order;
use atalaya_store::engine::{Cursor, Follower, Histogram, Page, PageRequest};
use atalaya_store::error::StoreError;
use atalaya_store::metrics::{AlertFilter, DeliveryFilter};

/// Records of one page: a few screens, a few milliseconds.
pub const PAGE: usize = 500;
/// Records decoded in one call, so that a filter that matches little shows how far it is.
const SCAN: u64 = 100_000;
/// Records of a request that a trace shows.
pub const TRACE_LIMIT: usize = 5_000;
/// Arrivals taken at once.
const ARRIVALS: usize = 5_000;

#[derive(Clone, Debug)]
pub enum LogsEffect {
    /// The newest page, and a follower that begins before it.
    Newest { question: Question, query: Query },
    /// A page from `after` on (or from the edge of `range`).
    Page {
        question: Question,
        query: Query,
        range: TimeRange,
        order: Order,
        after: Option<Cursor>,
    },
    /// Both sides of a time.
    Around {
        question: Question,
        query: Query,
        at: Timestamp,
    },
    /// The next record of a query from `after` on, wherever it is.
    Seek {
        question: Question,
        query: Query,
        order: Order,
        after: Cursor,
    },
    /// Arrivals, after a pause.
    Follow {
        question: Question,
        follower: Follower,
        pause: Duration,
    },
    Histogram {
        question: Question,
        query: Query,
        range: TimeRange,
        bins: usize,
    },
    /// What else happened in the chart's time.
    Marks {
        question: Question,
        range: TimeRange,
    },
    Context {
        question: Question,
        record: Box<Record>,
        lines: usize,
    },
    Trace {
        question: Question,
        ids: Vec<RequestId>,
    },
}

pub type Effect = crate::tui::ask::Effect<LogsEffect>;

/// The error is a reason on one line, safe to show.
type Outcome<T> = Result<T, String>;

#[derive(Debug)]
pub enum LogsAnswer {
    Newest {
        question: Question,
        result: Outcome<(Page, Follower)>,
    },
    Page {
        question: Question,
        order: Order,
        result: Outcome<Page>,
    },
    Around {
        question: Question,
        result: Outcome<(Page, Page)>,
    },
    Sought {
        question: Question,
        order: Order,
        result: Outcome<Page>,
    },
    /// The follower comes back, advanced or (after an error) as it was.
    Arrived {
        question: Question,
        follower: Follower,
        result: Outcome<Vec<Record>>,
    },
    Histogram {
        question: Question,
        result: Outcome<Histogram>,
    },
    Marks {
        question: Question,
        result: Outcome<Marks>,
    },
    Context {
        question: Question,
        result: Outcome<Vec<Record>>,
    },
    Trace {
        question: Question,
        result: Outcome<Trace>,
    },
}

/// Alerts that are looked through for those of the chart's time.
const MOST_ALERTS: u32 = 500;

async fn marks(stores: &Stores, range: TimeRange) -> Result<Marks, StoreError> {
    let filter = DeliveryFilter {
        range: Some(range),
        ..DeliveryFilter::default()
    };
    let alerts = AlertFilter {
        rule: None,
        before: Some(range.until),
        limit: MOST_ALERTS,
    };
    let alerts = stores.metrics.alert_history(&alerts).await?;
    let mut fired: Vec<Timestamp> = alerts
        .iter()
        .filter_map(|alert| alert.firing_since)
        .collect();
    fired.retain(|at| range.contains(*at));
    Ok(Marks {
        deployments: stores.metrics.deployments(&filter).await?.read,
        fired,
    })
}

fn told<T>(result: Result<T, StoreError>) -> Outcome<T> {
    result.map_err(|error| reason_of(&error))
}

impl Work for LogsEffect {
    type Answer = LogsAnswer;

    fn slot(&self) -> &'static str {
        match self {
            Self::Newest { .. } | Self::Page { .. } | Self::Around { .. } | Self::Seek { .. } => {
                "list"
            }
            Self::Follow { .. } => "follow",
            Self::Histogram { .. } => "histogram",
            Self::Marks { .. } => "marks",
            Self::Context { .. } => "context",
            Self::Trace { .. } => "trace",
        }
    }

    async fn perform(self, stores: &Stores, cancel: &CancellationToken) -> Option<LogsAnswer> {
        Some(match self {
            read @ (Self::Newest { .. }
            | Self::Page { .. }
            | Self::Around { .. }
            | Self::Seek { .. }) => return list(read, stores, cancel).await,
            Self::Follow {
                question,
                mut follower,
                pause,
            } => {
                tokio::time::sleep(pause).await;
                let result = told(stores.logs.follow(&mut follower, ARRIVALS).await);
                LogsAnswer::Arrived {
                    question,
                    follower,
                    result,
                }
            }
            Self::Histogram {
                question,
                query,
                range,
                bins,
            } => LogsAnswer::Histogram {
                question,
                result: told(stores.logs.histogram(&query, range, bins, cancel).await),
            },
            Self::Marks { question, range } => LogsAnswer::Marks {
                question,
                result: told(marks(stores, range).await),
            },
            Self::Context {
                question,
                record,
                lines,
            } => LogsAnswer::Context {
                question,
                result: told(stores.logs.context(&record, lines, lines).await),
            },
            Self::Trace { question, ids } => {
                let options = TraceOptions {
                    limit: TRACE_LIMIT,
                    ..TraceOptions::default()
                };
                LogsAnswer::Trace {
                    question,
                    result: told(trace(stores, &ids, options).await),
                }
            }
        })
    }
}

/// The reads of the list.
async fn list(read: LogsEffect, stores: &Stores, cancel: &CancellationToken) -> Option<LogsAnswer> {
    Some(match read {
        LogsEffect::Newest { question, query } => {
            let result = told(newest(stores, query, cancel).await);
            LogsAnswer::Newest { question, result }
        }
        LogsEffect::Page {
            question,
            query,
            range,
            order,
            after,
        } => {
            let wanted = request(query, range, order, PAGE, cancel);
            let page = stores.logs.page(&PageRequest { after, ..wanted }).await;
            LogsAnswer::Page {
                question,
                order,
                result: told(page),
            }
        }
        LogsEffect::Around {
            question,
            query,
            at,
        } => {
            let result = told(around(stores, query, at, cancel).await);
            LogsAnswer::Around { question, result }
        }
        LogsEffect::Seek {
            question,
            query,
            order,
            after,
        } => {
            let wanted = PageRequest {
                after: Some(after),
                ..request(query, TimeRange::ALL, order, 1, cancel)
            };
            LogsAnswer::Sought {
                question,
                order,
                result: told(stores.logs.page(&wanted).await),
            }
        }
        _ => return None,
    })
}

/// From the edge of `range`.
fn request(
    query: Query,
    range: TimeRange,
    order: Order,
    limit: usize,
    cancel: &CancellationToken,
) -> PageRequest {
    PageRequest {
        query,
        range,
        order,
        after: None,
        limit,
        scan_limit: SCAN,
        cancel: cancel.clone(),
    }
}

async fn newest(
    stores: &Stores,
    query: Query,
    cancel: &CancellationToken,
) -> Result<(Page, Follower), StoreError> {
    // The follower first: what arrives in between is then in both, and shown once.
    let follower = stores.logs.follower(query.clone()).await?;
    let wanted = request(query, TimeRange::ALL, Order::NewestFirst, PAGE, cancel);
    Ok((stores.logs.page(&wanted).await?, follower))
}

/// The pages before and after a time; what is at that very time is in both.
async fn around(
    stores: &Stores,
    query: Query,
    at: Timestamp,
    cancel: &CancellationToken,
) -> Result<(Page, Page), StoreError> {
    let just_after = Timestamp::from_micros(at.micros().saturating_add(1));
    let before = TimeRange::new(Timestamp::MIN, just_after);
    let after = TimeRange::new(at, Timestamp::MAX);
    let older = request(query.clone(), before, Order::NewestFirst, PAGE / 2, cancel);
    let older = stores.logs.page(&older).await?;
    let newer = request(query, after, Order::OldestFirst, PAGE / 2, cancel);
    Ok((older, stores.logs.page(&newer).await?))
}
