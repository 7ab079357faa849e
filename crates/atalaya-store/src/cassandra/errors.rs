//! What an error of the driver means for the statement that met it: repeat it, set the data aside,
//! or tell the user.
//!
//! Sources: the error codes of the native protocol (version 4, section 9) and what Cassandra 5.0
//! answers; where the code does not say it (a missing table is "invalid"), the message does.

use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, MetadataFetchErrorKind, NewSessionError, NextPageError, NextRowError,
    PagerExecutionError, PrepareError, RequestAttemptError, RequestError, SchemaAgreementError,
    UseKeyspaceError,
};

use crate::error::{Backend, BoxError, StoreError};

/// What to do about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The same statement may succeed later.
    Passing(Strain),
    /// The data of the statement cannot be stored, now or later.
    Poison(String),
    /// Nothing will work until somebody changes something.
    Fatal(Cause),
}

/// What a passing fault says about the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strain {
    /// They have more to do than they can: ask for less at a time.
    Overload,
    /// They, or the way to them, are not there.
    Absence,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Who are you?
    Authentication(String),
    /// You may not.
    Permission(String),
    /// The keyspace, table or column is not there.
    Schema(String),
    /// Anything else that stays as it is.
    Other(String),
}

/// An error of the driver that can be judged.
pub trait DriverError: Into<BoxError> {
    fn fault(&self) -> Fault;
}

/// The error as the rest of the program sees it; `what` names the data, for poison.
pub fn store_error<E: DriverError>(error: E, address: &str, what: &'static str) -> StoreError {
    let backend = Backend::Cassandra;
    let address = address.to_owned();
    match error.fault() {
        Fault::Passing(_) => StoreError::Unavailable {
            backend,
            address,
            source: error.into(),
        },
        Fault::Poison(reason) => StoreError::Poison {
            backend,
            what,
            reason,
        },
        Fault::Fatal(Cause::Authentication(reason)) => StoreError::NotAuthenticated {
            backend,
            address,
            reason,
        },
        Fault::Fatal(Cause::Permission(reason)) => StoreError::NotAuthorised {
            backend,
            address,
            reason,
        },
        Fault::Fatal(Cause::Schema(detail)) => StoreError::MissingSchema {
            backend,
            address,
            detail,
        },
        Fault::Fatal(Cause::Other(_)) => StoreError::Refused {
            backend,
            source: error.into(),
        },
    }
}

/// Something of the driver or the runtime that has nothing to do with the servers.
pub(super) fn refused(error: impl Into<BoxError>) -> StoreError {
    StoreError::Refused {
        backend: Backend::Cassandra,
        source: error.into(),
    }
}

const OVERLOAD: Fault = Fault::Passing(Strain::Overload);
const ABSENCE: Fault = Fault::Passing(Strain::Absence);

/// Words in the message of an "invalid" answer that tell of the schema and not of the data.
const SCHEMA_WORDS: [&str; 7] = [
    "unconfigured table",
    "unconfigured columnfamily",
    "does not exist",
    "unknown keyspace",
    "undefined column name",
    "unknown identifier",
    "unknown type",
];

/// Words in the message of a server error that tell of data which is too large.
const SIZE_WORDS: [&str; 4] = ["too large", "too big", "exceeds maximum", "longer than max"];

fn has(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

/// Judges an answer of the server.
pub fn classify_answer(error: &DbError, message: &str) -> Fault {
    let said = || {
        if message.is_empty() {
            error.to_string()
        } else {
            message.to_owned()
        }
    };
    match error {
        DbError::Overloaded
        | DbError::WriteTimeout { .. }
        | DbError::ReadTimeout { .. }
        | DbError::RateLimitReached { .. } => OVERLOAD,
        // A mutation or a frame above the server's limit comes as one of these two.
        DbError::ServerError | DbError::ProtocolError if has(message, &SIZE_WORDS) => Fault::Poison(said()),
        DbError::ServerError
        | DbError::Unavailable { .. }
        | DbError::WriteFailure { .. }
        | DbError::ReadFailure { .. }
        | DbError::IsBootstrapping
        | DbError::TruncateError
        // The driver prepares again by itself; once more when it could not.
        | DbError::Unprepared { .. } => ABSENCE,
        DbError::Invalid if has(message, &SCHEMA_WORDS) => Fault::Fatal(Cause::Schema(said())),
        DbError::SyntaxError | DbError::Invalid | DbError::FunctionFailure { .. } => Fault::Poison(said()),
        // The server could not read its own table of roles: that passes.
        DbError::AuthenticationError if has(message, &["unable to perform"]) => ABSENCE,
        DbError::AuthenticationError => Fault::Fatal(Cause::Authentication(said())),
        DbError::Unauthorized => Fault::Fatal(Cause::Permission(said())),
        // 0x1xxx: "the request failed in the servers"; among them those too new for the driver.
        DbError::Other(code) if (0x1000..0x2000).contains(code) => ABSENCE,
        _ => Fault::Fatal(Cause::Other(said())),
    }
}

/// Judges one attempt.
pub fn classify_attempt(error: &RequestAttemptError) -> Fault {
    match error {
        RequestAttemptError::DbError(error, message) => classify_answer(error, message),
        RequestAttemptError::SerializationError(error) => Fault::Poison(error.to_string()),
        RequestAttemptError::CqlRequestSerialization(error) => Fault::Poison(error.to_string()),
        RequestAttemptError::UnableToAllocStreamId => OVERLOAD,
        RequestAttemptError::RepreparedIdChanged { .. }
        | RequestAttemptError::RepreparedIdMissingInBatch => {
            Fault::Fatal(Cause::Other(error.to_string()))
        }
        // A broken connection, or an answer that was damaged on the way.
        _ => ABSENCE,
    }
}

fn classify_pool(error: &ConnectionPoolError) -> Fault {
    match error {
        ConnectionPoolError::Broken {
            last_connection_error,
        } => classify_connection(last_connection_error),
        _ => ABSENCE,
    }
}

fn classify_connection(error: &ConnectionError) -> Fault {
    let fault = match error {
        ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
            ConnectionSetupRequestErrorKind::DbError(error, message) => {
                classify_answer(error, message)
            }
            ConnectionSetupRequestErrorKind::MissingAuthentication
            | ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
            | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
            | ConnectionSetupRequestErrorKind::AuthFinishError(_) => {
                Fault::Fatal(Cause::Authentication(setup.get_error().to_string()))
            }
            _ => ABSENCE,
        },
        ConnectionError::UseKeyspaceError(error) => classify_use(error),
        _ => ABSENCE,
    };
    match fault {
        // No data was sent yet: what is wrong is the other side's idea of the protocol.
        Fault::Poison(reason) => Fault::Fatal(Cause::Other(reason)),
        other => other,
    }
}

fn classify_use(error: &UseKeyspaceError) -> Fault {
    match error {
        UseKeyspaceError::RequestError(error) => classify_attempt(error),
        UseKeyspaceError::RequestTimeout(_) => OVERLOAD,
        _ => Fault::Fatal(Cause::Schema(error.to_string())),
    }
}

fn classify_metadata(error: &MetadataError) -> Fault {
    match error {
        MetadataError::ConnectionPoolError(error) => classify_pool(error),
        MetadataError::FetchError(fetch) => match &fetch.error {
            MetadataFetchErrorKind::PrepareError(error) => classify_attempt(error),
            MetadataFetchErrorKind::NextRowError(error) => error.fault(),
            _ => Fault::Fatal(Cause::Other(error.to_string())),
        },
        _ => Fault::Fatal(Cause::Other(error.to_string())),
    }
}

impl DriverError for RequestError {
    fn fault(&self) -> Fault {
        match self {
            Self::ConnectionPoolError(error) => classify_pool(error),
            Self::RequestTimeout(_) => OVERLOAD,
            Self::LastAttemptError(error) => classify_attempt(error),
            _ => ABSENCE,
        }
    }
}

impl DriverError for ExecutionError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadQuery(error) => Fault::Poison(error.to_string()),
            Self::PrepareError(error) => error.fault(),
            Self::ConnectionPoolError(error) => classify_pool(error),
            Self::LastAttemptError(error)
            | Self::SchemaAgreementError(
                SchemaAgreementError::RequestError(error)
                | SchemaAgreementError::PrepareError(PrepareError::AllAttemptsFailed {
                    first_attempt: error,
                }),
            ) => classify_attempt(error),
            Self::RequestTimeout(_) => OVERLOAD,
            Self::UseKeyspaceError(error) => classify_use(error),
            Self::MetadataError(error) => classify_metadata(error),
            // An empty plan: no node is known to be up. No agreement: some are not there.
            _ => ABSENCE,
        }
    }
}

impl DriverError for PrepareError {
    fn fault(&self) -> Fault {
        match self {
            Self::ConnectionPoolError(error) => classify_pool(error),
            Self::AllAttemptsFailed { first_attempt } => match classify_attempt(first_attempt) {
                // The text is ours and holds no data.
                Fault::Poison(reason) => Fault::Fatal(Cause::Other(reason)),
                other => other,
            },
            _ => ABSENCE,
        }
    }
}

impl DriverError for NextPageError {
    fn fault(&self) -> Fault {
        match self {
            Self::RequestFailure(error) => error.fault(),
            _ => Fault::Fatal(Cause::Other(self.to_string())),
        }
    }
}

impl DriverError for NextRowError {
    fn fault(&self) -> Fault {
        match self {
            Self::NextPageError(error) => error.fault(),
            _ => Fault::Fatal(Cause::Other(self.to_string())),
        }
    }
}

impl DriverError for PagerExecutionError {
    fn fault(&self) -> Fault {
        match self {
            Self::PrepareError(error) => error.fault(),
            Self::SerializationError(error) => Fault::Poison(error.to_string()),
            Self::NextPageError(error) => error.fault(),
            Self::UseKeyspaceError(error) => classify_use(error),
            Self::MetadataError(error) => classify_metadata(error),
            _ => ABSENCE,
        }
    }
}

impl DriverError for NewSessionError {
    fn fault(&self) -> Fault {
        match self {
            Self::FailedToResolveAnyHostname(_) => ABSENCE,
            Self::MetadataError(error) => classify_metadata(error),
            Self::UseKeyspaceError(error) => classify_use(error),
            _ => Fault::Fatal(Cause::Other(self.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scylla::errors::{BadQuery, OperationType, WriteType};
    use scylla::statement::Consistency;

    use super::*;
    use crate::error::Remedy;

    fn poison(message: &str) -> Fault {
        Fault::Poison(message.to_owned())
    }

    #[test]
    fn every_answer_of_the_protocol_is_judged() {
        let consistency = Consistency::LocalQuorum;
        let schema = |message: &str| Fault::Fatal(Cause::Schema(message.to_owned()));
        let cases: Vec<(DbError, &str, Fault)> = vec![
            (DbError::ServerError, "java.lang.RuntimeException", ABSENCE),
            (
                DbError::ServerError,
                "Mutation of 17.000MiB is too large for the maximum size of 16.000MiB",
                poison("Mutation of 17.000MiB is too large for the maximum size of 16.000MiB"),
            ),
            (
                DbError::ProtocolError,
                "bad frame",
                Fault::Fatal(Cause::Other("bad frame".to_owned())),
            ),
            (
                DbError::AuthenticationError,
                "Provided username x and/or password are incorrect",
                Fault::Fatal(Cause::Authentication(
                    "Provided username x and/or password are incorrect".to_owned(),
                )),
            ),
            (
                DbError::AuthenticationError,
                "Unable to perform authentication: timeout",
                ABSENCE,
            ),
            (
                DbError::Unavailable {
                    consistency,
                    required: 2,
                    alive: 1,
                },
                "",
                ABSENCE,
            ),
            (DbError::Overloaded, "", OVERLOAD),
            (DbError::IsBootstrapping, "", ABSENCE),
            (DbError::TruncateError, "", ABSENCE),
            (
                DbError::WriteTimeout {
                    consistency,
                    received: 0,
                    required: 1,
                    write_type: WriteType::Simple,
                },
                "",
                OVERLOAD,
            ),
            (
                DbError::ReadTimeout {
                    consistency,
                    received: 0,
                    required: 1,
                    data_present: false,
                },
                "",
                OVERLOAD,
            ),
            (
                DbError::ReadFailure {
                    consistency,
                    received: 0,
                    required: 1,
                    numfailures: 1,
                    data_present: false,
                },
                "",
                ABSENCE,
            ),
            (
                DbError::FunctionFailure {
                    keyspace: String::new(),
                    function: String::new(),
                    arg_types: vec![],
                },
                "div by zero",
                poison("div by zero"),
            ),
            (
                DbError::WriteFailure {
                    consistency,
                    received: 0,
                    required: 1,
                    numfailures: 1,
                    write_type: WriteType::UnloggedBatch,
                },
                "",
                ABSENCE,
            ),
            (DbError::SyntaxError, "line 1:0", poison("line 1:0")),
            (
                DbError::Unauthorized,
                "no MODIFY",
                Fault::Fatal(Cause::Permission("no MODIFY".to_owned())),
            ),
            (
                DbError::Invalid,
                "Batch too large",
                poison("Batch too large"),
            ),
            (
                DbError::Invalid,
                "unconfigured table x",
                schema("unconfigured table x"),
            ),
            (
                DbError::Invalid,
                "keyspace nowhere does not exist",
                schema("keyspace nowhere does not exist"),
            ),
            (
                DbError::Invalid,
                "Undefined column name shard in table a.b",
                schema("Undefined column name shard in table a.b"),
            ),
            (
                DbError::ConfigError,
                "no",
                Fault::Fatal(Cause::Other("no".to_owned())),
            ),
            (
                DbError::AlreadyExists {
                    keyspace: "k".to_owned(),
                    table: "t".to_owned(),
                },
                "there",
                Fault::Fatal(Cause::Other("there".to_owned())),
            ),
            (
                DbError::Unprepared {
                    statement_id: Vec::new().into(),
                },
                "",
                ABSENCE,
            ),
            (
                DbError::RateLimitReached {
                    op_type: OperationType::Write,
                    rejected_by_coordinator: true,
                },
                "",
                OVERLOAD,
            ),
            (DbError::Other(0x1700), "CAS_WRITE_UNKNOWN", ABSENCE),
            (
                DbError::Other(0x2600),
                "later",
                Fault::Fatal(Cause::Other("later".to_owned())),
            ),
        ];
        for (error, message, expected) in cases {
            assert_eq!(
                classify_answer(&error, message),
                expected,
                "{error:?} {message}"
            );
        }
    }

    #[test]
    fn what_never_reached_a_server_is_judged_too() {
        let timeout = ExecutionError::RequestTimeout(Duration::from_secs(1));
        assert_eq!(timeout.fault(), OVERLOAD);
        assert_eq!(ExecutionError::EmptyPlan.fault(), ABSENCE);
        assert_eq!(
            ExecutionError::ConnectionPoolError(ConnectionPoolError::Initializing).fault(),
            ABSENCE
        );
        let values = ExecutionError::BadQuery(BadQuery::ValuesTooLongForKey(70_000, 65_535));
        assert!(matches!(values.fault(), Fault::Poison(_)));
        let attempt = RequestAttemptError::DbError(DbError::SyntaxError, "line 1:0".to_owned());
        let prepare = PrepareError::AllAttemptsFailed {
            first_attempt: attempt,
        };
        assert_eq!(
            prepare.fault(),
            Fault::Fatal(Cause::Other("line 1:0".to_owned())),
            "no data in it"
        );
    }

    #[test]
    fn each_fault_becomes_an_error_with_its_remedy() {
        let told = |error: DbError, message: &str| {
            let error = ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                error,
                message.to_owned(),
            ));
            store_error(error, "10.0.0.1:9042/logging", "chunk")
        };
        assert!(told(DbError::Overloaded, "").is_transient());
        assert!(told(DbError::Invalid, "Batch too large").is_poison());
        let missing = told(DbError::Invalid, "unconfigured table application_logs");
        assert_eq!(missing.remedy(), Some(Remedy::InitSchema), "{missing}");
        assert!(missing.to_string().contains("10.0.0.1:9042/logging"));
        let denied = told(DbError::Unauthorized, "User x has no MODIFY permission").to_string();
        assert!(denied.contains("grant"), "{denied}");
        assert!(matches!(
            told(DbError::AuthenticationError, "wrong"),
            StoreError::NotAuthenticated { .. }
        ));
    }
}
