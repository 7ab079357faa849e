//! The app with a store of made-up records behind it.

use super::*;

pub(super) const NOW: i64 = 1_772_446_804;

/// The app with a store of made-up records behind it, which answers when `settle` is called.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) records: Vec<Record>,
    pub(super) facts: Loaded,
    pub(super) cycles: Vec<PdcaCycle>,
    pub(super) now: Timestamp,
    pub(super) broken: bool,
}

pub(super) fn origin(source: &str, layer: Layer) -> Arc<Origin> {
    Arc::new(Origin {
        id: OriginId::derive(&[source.as_bytes()]),
        layer,
        source: source.into(),
        host: "web-1".into(),
    })
}

pub(super) fn company() -> Vec<Record> {
    let shop = origin("app/shop", Layer::Application);
    let nginx = origin("nginx/access", Layer::Infrastructure);
    let mut records = Vec::new();
    for index in 0_i64..120 {
        let at = Timestamp::from_millis((NOW - 600) * 1_000 + index * 5_000);
        let id = RequestId::new(format!("req-{}", index / 3));
        let (level, message) = match index % 20 {
            7 => (
                Level::Error,
                "payment refused: upstream closed the connection",
            ),
            11 => (Level::Warning, "GET /cart was slow"),
            13 => (Level::Debug, "cache miss for /cart"),
            _ => (Level::Info, "GET /checkout accepted"),
        };
        let even = index % 2 == 0;
        let entry = Entry {
            timestamp: at,
            position: u64::try_from(index).unwrap() * 100,
            level,
            logger: Some("shop.http".into()),
            message: message.into(),
            request_id: Some(id),
            duration_ms: (!even).then_some(750.0),
            traceback: (level == Level::Error)
                .then(|| "Traceback\n  File \"pay.py\", line 7\nConnectionError".into()),
            metadata: vec![(
                "status".into(),
                if level == Level::Error { "502" } else { "200" }.into(),
            )],
            ..Entry::default()
        };
        records.push(Record {
            origin: if even { shop.clone() } else { nginx.clone() },
            entry,
        });
    }
    records
}

impl Stage {
    pub(super) fn new(size: (u16, u16), depth: ColorDepth, records: Vec<Record>) -> Self {
        let mut stage = Self::at(Timestamp::from_seconds(NOW), size, depth);
        stage.records = records;
        stage.settle();
        stage
    }

    /// Empty stores, and nothing asked of them yet.
    pub(super) fn at(now: Timestamp, size: (u16, u16), depth: ColorDepth) -> Self {
        let setup = Setup {
            tabs: tab_setup(),
            keymap: keymap(TABS, &BTreeMap::new()).unwrap(),
            theme: Theme::load("dark", None, depth).unwrap(),
            configured_theme: "dark".into(),
            themes_dir: None,
            depth,
            zone: Zone::Utc,
            unicode: true,
            mouse: false,
            demo: false,
            host: "web-1".into(),
            data_dir: PathBuf::new(),
            now,
            size,
        };
        Self {
            app: App::new(setup, &Saved::default()),
            records: Vec::new(),
            facts: Loaded::default(),
            cycles: Vec::new(),
            now,
            broken: false,
        }
    }

    /// Keys as the terminal sends them; every answer is given before the next key.
    pub(super) fn keys(&mut self, text: &str) {
        let mut parser = Parser::default();
        for byte in text.bytes() {
            let mut events = parser.feed(&[byte]);
            if byte == 0x1b {
                events.extend(parser.timed_out());
            }
            for event in events {
                self.app.on_event(AppEvent::Input(event), self.now);
                self.settle();
            }
        }
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..20 {
            let orders = self.app.take_orders();
            if orders.is_empty() {
                return;
            }
            for order in orders {
                let Order::Run(task) = order else { continue };
                if let Some(answer) = self.done(&task) {
                    self.app.on_event(AppEvent::Answer(answer), self.now);
                }
            }
        }
    }

    /// What the stores answer to the work of whichever tab.
    pub(super) fn done(&self, task: &Task) -> Option<Answer> {
        if let Some(work) = task.work::<LogsTab>() {
            return self.answer(work.clone()).map(Answer::of::<LogsTab>);
        }
        if let Some(DoraEffect::Load {
            question,
            request,
            now,
        }) = task.work::<DoraTab>()
        {
            let report = compute(&self.facts, request, *now);
            let figures = Arc::new(Figures {
                loaded: self.facts.clone(),
                report,
            });
            return Some(Answer::of::<DoraTab>(DoraAnswer::Loaded {
                question: *question,
                result: Ok(figures),
            }));
        }
        match task.work::<PdcaTab>()? {
            PdcaEffect::Read { question, now, .. } => {
                Some(Answer::of::<PdcaTab>(PdcaAnswer::Read {
                    question: *question,
                    at: *now,
                    result: Ok((
                        Listing {
                            cycles: self.cycles.clone(),
                            broken: Vec::new(),
                        },
                        Vec::new(),
                    )),
                }))
            }
            PdcaEffect::Course {
                question, cycle, ..
            } => Some(Answer::of::<PdcaTab>(PdcaAnswer::Course {
                question: *question,
                id: cycle.id.clone(),
                result: Ok(pdca::tests::course(cycle)),
            })),
            PdcaEffect::Preview { question, .. } => {
                Some(Answer::of::<PdcaTab>(PdcaAnswer::Preview {
                    question: *question,
                    sentences: pdca::tests::preview(),
                }))
            }
            PdcaEffect::Write { .. } => None,
        }
    }

    pub(super) fn page(&self, query: &Query) -> Page {
        let mut records: Vec<Record> = self
            .records
            .iter()
            .filter(|record| query.matches(record))
            .cloned()
            .collect();
        records.reverse();
        Page {
            records,
            next: None,
            scanned: Scanned {
                records: self.records.len() as u64,
                ..Scanned::default()
            },
        }
    }

    pub(super) fn answer(&self, work: LogsEffect) -> Option<LogsAnswer> {
        let broken = || "SQLite is unreachable at logs.db: no such file".to_owned();
        Some(match work {
            LogsEffect::Newest { question, query } => {
                let follower = Follower::from_cursor(query.clone(), ArrivalCursor::new(0_i64));
                let result = if self.broken {
                    Err(broken())
                } else {
                    Ok((self.page(&query), follower))
                };
                LogsAnswer::Newest { question, result }
            }
            LogsEffect::Around {
                question, query, ..
            } => {
                let empty = Page {
                    records: Vec::new(),
                    next: None,
                    scanned: Scanned::default(),
                };
                LogsAnswer::Around {
                    question,
                    result: Ok((self.page(&query), empty)),
                }
            }
            LogsEffect::Histogram {
                question,
                query,
                range,
                bins,
            } => LogsAnswer::Histogram {
                question,
                result: Ok(self.histogram(&query, range, bins)),
            },
            LogsEffect::Marks { question, .. } => LogsAnswer::Marks {
                question,
                result: Ok(crate::tui::tabs::logs::chart::Marks {
                    deployments: vec![deployment()],
                    fired: vec![
                        deployment()
                            .finished_at
                            .saturating_add(Duration::from_secs(300)),
                    ],
                }),
            },
            LogsEffect::Context {
                question, record, ..
            } => {
                let near = |other: &&Record| other.origin == record.origin;
                LogsAnswer::Context {
                    question,
                    result: Ok(self.records.iter().filter(near).cloned().collect()),
                }
            }
            LogsEffect::Trace { question, ids } => LogsAnswer::Trace {
                question,
                result: Ok(self.trace(ids)),
            },
            LogsEffect::Page { .. } | LogsEffect::Seek { .. } | LogsEffect::Follow { .. } => {
                return None;
            }
        })
    }

    pub(super) fn histogram(&self, query: &Query, range: TimeRange, bins: usize) -> Histogram {
        let width = range.length() / u32::try_from(bins).unwrap();
        let mut counts = vec![LevelCounts::default(); bins];
        let counted =
            |record: &&Record| query.matches(record) && range.contains(record.entry.timestamp);
        for record in self.records.iter().filter(counted) {
            let index = record.entry.timestamp.since(range.from).as_micros() / width.as_micros();
            counts[usize::try_from(index).unwrap()].add(record.entry.level);
        }
        Histogram {
            range,
            bin_width: width,
            bins: counts,
            scanned: Scanned::default(),
        }
    }

    pub(super) fn trace(&self, ids: Vec<RequestId>) -> Trace {
        let events = self
            .records
            .iter()
            .filter_map(|record| {
                let id = record.entry.request_id.clone();
                let id = id.filter(|id| ids.contains(id))?;
                let event = TraceEvent::Record(Box::new(record.clone()));
                Some((record.entry.timestamp, id, event))
            })
            .collect();
        Trace::build(ids, events, Duration::from_secs(1))
    }

    pub(super) fn draw(&mut self) -> Buffer {
        let (columns, rows) = self.app.setup.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| self.app.render(frame)).unwrap();
        self.app.drawn();
        terminal.backend().buffer().clone()
    }

    pub(super) fn screen(&mut self) -> String {
        text_of(&self.draw())
    }

    /// What would be written to a real terminal for the first frame.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let (columns, rows) = self.app.setup.size;
        let mut out = Vec::new();
        let viewport = ratatui::Viewport::Fixed(Rect::new(0, 0, columns, rows));
        let options = ratatui::TerminalOptions { viewport };
        let mut terminal =
            Terminal::with_options(CrosstermBackend::new(&mut out), options).unwrap();
        terminal.draw(|frame| self.app.render(frame)).unwrap();
        drop(terminal);
        out
    }
}

pub(super) fn deployment() -> Deployment {
    Deployment {
        id: "d1".into(),
        service: "shop".into(),
        team: None,
        environment: "production".into(),
        commit: None,
        started_at: None,
        finished_at: Timestamp::from_seconds(NOW - 400),
        result: DeploymentResult::Success,
        kind: DeploymentKind::Normal,
        request_id: None,
        cycle_id: None,
        origin: "record".into(),
        taken_back_by: None,
        commits: None,
    }
}

pub(super) fn tab_setup() -> TabSetup {
    TabSetup {
        registered: TABS,
        first: FIRST,
        configured: Configured::default(),
    }
}

pub(super) fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(crate::tui::widgets::safe_text::width(symbol))
                .unwrap()
                .max(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

pub(super) fn small() -> Stage {
    Stage::new((80, 24), ColorDepth::True, company())
}

pub(super) fn large() -> Stage {
    Stage::new((200, 60), ColorDepth::True, company())
}
