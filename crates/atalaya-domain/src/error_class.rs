//! What an error asks of its reader: the one fact that every edge of the program needs. Exit codes
//! follow from it, and the status of an HTTP answer, and whether a worker tries again.

/// Who has to do what before the same call succeeds.
///
/// An error of a layer has one by `fn class(&self) -> ErrorClass`; an error that only passes
/// another one on has the class of that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The question, the setting or the data is wrong: the caller changes it.
    Usage,
    /// What was named is not there (a record, a table, a schema): it is made first, or another one
    /// is named.
    Missing,
    /// Somebody else holds it, or changed it meanwhile: look again, then decide.
    Busy,
    /// It may pass by itself: the same call again, later.
    Transient,
    /// Neither the caller nor time mends it: a damaged file, a refusal, a fault of the program.
    Broken,
}
