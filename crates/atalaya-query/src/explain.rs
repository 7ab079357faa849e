//! What a query costs, in words: which terms are answered by the request index or by the summaries
//! of chunks, and which make the store read records.

use std::fmt::{self, Display, Formatter};

use super::ast::{Expr, Field, Term};
use super::print::Printed;
use super::whose;

/// How the terms of a query are answered; each is printed as in the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Looked up in the index of ids; for users and sessions where the store has one, else decided
    /// record by record.
    pub by_index: Vec<String>,
    /// Decided from summaries: chunks that cannot match are not read.
    pub by_summary: Vec<String>,
    /// Decided record by record, within the chunks that are left.
    pub by_reading: Vec<String>,
}

impl Explanation {
    pub(super) fn of(expr: &Expr) -> Self {
        let mut explanation = Self::default();
        for child in expr.conjuncts() {
            let text = Printed(child).to_string();
            match child {
                Expr::Term(Term::RequestId { only: Some(_), .. }) => {
                    explanation.by_index.push(text);
                }
                Expr::Term(Term::Field { field, any_of }) if whose(field, any_of).is_some() => {
                    explanation.by_index.push(text);
                }
                child if by_summary(child) => explanation.by_summary.push(text),
                _ => explanation.by_reading.push(text),
            }
        }
        explanation
    }
}

fn by_summary(expr: &Expr) -> bool {
    match expr {
        Expr::And(children) | Expr::Or(children) => children.iter().all(by_summary),
        Expr::Not(inner) => by_summary(inner),
        Expr::Term(term) => matches!(
            term,
            Term::Level(_)
                | Term::Layer(_)
                | Term::Time(_)
                | Term::Id(_)
                | Term::Field {
                    field: Field::Source,
                    ..
                }
        ),
    }
}

impl Display for Explanation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let parts = [
            ("index of ids", &self.by_index),
            ("pruned by summary", &self.by_summary),
            ("needs reading", &self.by_reading),
        ];
        let mut first = true;
        for (how, terms) in parts.into_iter().filter(|(_, terms)| !terms.is_empty()) {
            write!(
                formatter,
                "{}{how}: {}",
                if first { "" } else { "; " },
                terms.join(" ")
            )?;
            first = false;
        }
        if first {
            formatter.write_str("everything, newest first")?;
        }
        Ok(())
    }
}
