//! Which tasks and threads report their own end. A panic in one of them is noticed by whoever waits
//! for it ([`crate::IngestError::Died`]) and answered there; the rest of the process goes on.

tokio::task_local! {
    static CONTAINED: ();
}

/// The thread of this crate whose end somebody waits for.
pub(crate) const READER_THREAD: &str = "ingest";

/// Marks work whose panic is answered by whoever waits for it.
pub fn contained<Work: Future>(work: Work) -> impl Future<Output = Work::Output> {
    CONTAINED.scope((), work)
}

/// Whether the code that asks runs inside of such work, or on such a thread. For panic hooks.
pub fn is_contained() -> bool {
    CONTAINED.try_with(|()| ()).is_ok()
        || std::thread::current()
            .name()
            .is_some_and(|name| name == READER_THREAD)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn only_marked_work_is_contained() {
        assert!(!is_contained());
        assert!(contained(async { is_contained() }).await);
        let thread = std::thread::Builder::new().name(READER_THREAD.into());
        assert!(thread.spawn(is_contained).unwrap().join().unwrap());
        assert!(!std::thread::spawn(is_contained).join().unwrap());
    }
}
