//! The output of a tracked command: passed on unchanged, and kept line by line as log records.
//!
//! Two threads copy, as the pipes bring it: a line need not be complete to be seen. Keeping never
//! waits: what the queue has no room for is not kept, and counted. When whoever reads our output has
//! gone, the pipe of the command is closed too, as it would be without us.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::config::Settings;
use crate::service::describe;
use atalaya_domain::record::{Entry, RequestId};
use atalaya_domain::time::Timestamp;
use atalaya_format::{Choice, Decoder, Reference, SourceZone, TimeHint};
use atalaya_ingest::FrameSink;
use atalaya_ingest::lines::LineCutter;
use atalaya_ingest::sender::{LogSender, SenderConfig};

/// A command may leave children that keep its output open; they are not waited for when they say
/// nothing for this long.
const QUIET: Duration = Duration::from_secs(1);
/// How long the end of a command is held back by the store.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

/// Where the lines of one command go.
pub struct Capture {
    sender: LogSender,
    sink: Arc<dyn FrameSink>,
    request_id: RequestId,
}

/// One stream of a running command.
pub(super) struct Pump {
    ended: oneshot::Receiver<()>,
    copied: Arc<AtomicU64>,
}

impl Capture {
    /// Opens the log store; one that is away is no reason to wait. `client` names the records
    /// (`app/<client>`). The error is for a person.
    pub async fn start(
        settings: &Settings,
        client: &str,
        request_id: RequestId,
    ) -> Result<Self, String> {
        let stores = super::super::attach_to_ingest(settings)
            .await
            .map_err(|error| describe(&error))?;
        // Through the spool, unless a running ingest has it: that one is durable at once.
        let sink = match super::super::ingest::sink(settings, stores.logs.clone()).await {
            Ok(sink) => sink,
            Err(_) => Arc::new(stores.logs),
        };
        let config = SenderConfig::new(client, super::super::health::host_name());
        let sender = LogSender::start(config, Arc::clone(&sink))
            .await
            .map_err(|error| describe(&error))?;
        Ok(Self {
            sender,
            sink,
            request_id,
        })
    }

    pub(super) fn redirect(command: &mut Command) {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    pub(super) fn begin(&self, child: &mut Child) -> io::Result<Vec<Pump>> {
        let mut pumps = Vec::with_capacity(2);
        if let Some(output) = child.stdout.take() {
            pumps.push(self.pump(File::from(output.into_owned_fd()?), io::stdout(), "stdout")?);
        }
        if let Some(output) = child.stderr.take() {
            pumps.push(self.pump(File::from(output.into_owned_fd()?), io::stderr(), "stderr")?);
        }
        Ok(pumps)
    }

    fn pump(
        &self,
        mut from: File,
        mut to: impl Write + Send + 'static,
        name: &'static str,
    ) -> io::Result<Pump> {
        let (ending, ended) = oneshot::channel();
        let copied = Arc::new(AtomicU64::new(0));
        let mut lines = Lines::new(self.sender.clone(), self.request_id.clone(), name);
        std::thread::Builder::new()
            .name(format!("capture-{name}"))
            .spawn({
                let copied = Arc::clone(&copied);
                move || {
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        let size = match from.read(&mut buffer) {
                            Ok(0) => break,
                            Ok(size) => size,
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                            Err(_) => break,
                        };
                        if to
                            .write_all(&buffer[..size])
                            .and_then(|()| to.flush())
                            .is_err()
                        {
                            break;
                        }
                        lines.take(&buffer[..size]);
                        copied.fetch_add(size as u64, Ordering::Relaxed);
                    }
                    lines.finish();
                    let _ = ending.send(()); // nobody waits any more
                }
            })?;
        Ok(Pump { ended, copied })
    }

    /// Waits until what was said is stored, or in the spool; how many lines were not kept.
    pub async fn close(self) -> u64 {
        let counts = self.sender.close(STORE_PATIENCE).await;
        self.sink.close().await;
        counts.refused + counts.rejected + counts.waiting()
    }
}

impl Pump {
    /// The command has ended: waits for the rest of its output.
    pub(super) async fn finish(mut self) {
        let mut before = self.copied.load(Ordering::Relaxed);
        while tokio::time::timeout(QUIET, &mut self.ended).await.is_err() {
            let now = self.copied.load(Ordering::Relaxed);
            if now == before {
                break;
            }
            before = now;
        }
    }
}

/// Turns the bytes of one stream into records.
struct Lines {
    sender: LogSender,
    request_id: RequestId,
    name: &'static str,
    cutter: LineCutter,
    decoder: Decoder,
}

impl Lines {
    fn new(sender: LogSender, request_id: RequestId, name: &'static str) -> Self {
        let hint = TimeHint {
            reference: Timestamp::now(),
            zone: SourceZone::Local,
        };
        Self {
            sender,
            request_id,
            name,
            cutter: LineCutter::new(0),
            decoder: Decoder::new(Choice::Any(None), hint),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.decoder
            .set_reference(Timestamp::now(), Reference::Arrival);
        let Self {
            sender,
            request_id,
            name,
            cutter,
            decoder,
        } = self;
        cutter.feed(bytes, |line| {
            decoder.line(line, &mut |entry| keep(sender, request_id, name, entry));
        });
    }

    fn finish(&mut self) {
        let Self {
            sender,
            request_id,
            name,
            cutter,
            decoder,
        } = self;
        cutter
            .finish(|line| decoder.line(line, &mut |entry| keep(sender, request_id, name, entry)));
        decoder.finish(&mut |entry| keep(sender, request_id, name, entry));
    }
}

fn keep(sender: &LogSender, request_id: &RequestId, stream: &str, mut entry: Entry) {
    // A line that names another request is about that one, but belongs to this run.
    if let Some(named) = entry.request_id.replace(request_id.clone()) {
        entry
            .metadata
            .push(("named_request_id".into(), named.as_str().into()));
    }
    entry.metadata.push(("stream".into(), stream.into()));
    let _ = sender.send(entry); // refusals are counted by the sender
}
