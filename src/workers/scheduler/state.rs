//! What a scheduler says of itself.

use atalaya_domain::health::{Check, Status};
use atalaya_domain::lease::Lease;

/// What a scheduler does, for whoever watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatState {
    /// Whose the lease is, as far as is known.
    pub lease: Option<Lease>,
    /// It is this process's.
    pub ours: bool,
    /// What runs here now.
    pub running: Vec<&'static str>,
    /// Why it cannot be told, or jobs cannot be begun.
    pub problem: Option<String>,
}

impl SeatState {
    /// The same among the checks of the health view.
    pub fn check(&self) -> Check {
        let (name, message) = match self.sentence().split_once(": ") {
            Some((name, message)) => (name.to_owned(), message.to_owned()),
            None => ("jobs".to_owned(), self.sentence()),
        };
        Check {
            name,
            status: match self.problem {
                None => Status::Ok,
                Some(_) => Status::Degraded,
            },
            message,
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let jobs = match &self.lease {
            Some(lease) if lease.name == "store" => "jobs of the store",
            Some(_) => "jobs of this host",
            None => "jobs",
        };
        let who = match (&self.lease, self.ours) {
            (_, true) if self.running.is_empty() => "run here".to_owned(),
            (_, true) => format!("run here, now {}", self.running.join(", ")),
            (Some(lease), false) => format!(
                "run by {} (process {})",
                lease.holder.host, lease.holder.pid
            ),
            (None, false) => "not run yet".to_owned(),
        };
        match &self.problem {
            Some(problem) => format!("{jobs}: {who}; {problem}"),
            None => format!("{jobs}: {who}"),
        }
    }
}
